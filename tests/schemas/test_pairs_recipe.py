"""The recipe that filters pairs: what of it is content, and where its paths start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.errors import UserError
from schemas.load import load_recipe
from schemas.recipe import PairsRecipe, content

CLIP = {"model": "ViT-B-32", "pretrained": "laion2b_s34b_b79k"}


def recipe(clip: dict[str, Any] | None = None, **fields: Any) -> PairsRecipe:
    return PairsRecipe.model_validate({"kind": "pairs", "source": {"path": "/p"}, "clip": clip, **fields})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model": "/a"}, {"model": "/b"}),
        ({**CLIP, "pretrained": "/a.safetensors"}, {**CLIP, "pretrained": "/b.safetensors"}),
        ({**CLIP, "heads": [{"column": "nsfw", "path": "/a"}]}, {**CLIP, "heads": [{"column": "nsfw", "path": "/b"}]}),
    ],
)
def test_how_and_where_a_model_runs_and_lies_is_no_content(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert content(recipe(one)) == content(recipe(other))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "ViT-L-14"},
        {"pretrained": "openai"},
        {"precision": "bf16"},
        {"min_score": 0.3},
        {"draft": 1},
        {"batch": 8},
        {"image_embedding": True},
        {"heads": [{"column": "nsfw", "path": "/a", "max_score": 0.5}]},
    ],
)
def test_what_decides_scores_or_bytes_is_content(change: dict[str, Any]) -> None:
    assert content(recipe({**CLIP, **change})) != content(recipe(CLIP))


def test_a_presets_numbers_are_content_of_their_own() -> None:
    named = content(recipe(rules={"preset": "datacomp_basic"}))["rules"]
    assert (named["min_side"], named["languages"]) == (200, ["en"])


def test_paths_in_the_file_start_at_the_file_whatever_holds_them(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    heads = [{"column": "nsfw", "path": "heads/nsfw.safetensors"}, {"column": "aesthetic", "path": "/a.safetensors"}]
    data = {"kind": "pairs", "source": {"path": "in"}, "clip": {"model": "model", "heads": heads}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(data))

    made = load_recipe(tmp_path / "r.yaml")

    assert isinstance(made, PairsRecipe) and made.clip and made.source.kind is None
    assert made.source.path == str(tmp_path / "in")
    assert made.clip.model == str(tmp_path / "model")
    assert [head.path for head in made.clip.heads] == [str(tmp_path / "heads/nsfw.safetensors"), "/a.safetensors"]


def test_a_null_kind_of_pairs_on_disk_is_told_by_the_files_names_as_one_that_is_not_given(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"kind": "pairs", "source": {"path": "x", "kind": None}}))
    (tmp_path / "without.yaml").write_text(yaml.safe_dump({"kind": "pairs", "source": {"path": "x"}}))
    assert load_recipe(tmp_path / "r.yaml").source == load_recipe(tmp_path / "without.yaml").source


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        (["source={kind: scenes}", "source.count=yes"], "--set: source.count is True: must be a number"),
        (["source.kind=coco"], "--set: source.kind is 'coco', but must be one of: csv, folder, jsonl"),
        (["source=5"], "--set: source is 5: must be a mapping of fields"),
        (["clip.modle=x"], "--set: there is no field clip.modle; did you mean clip.model?"),
        (["clip.model=RN50", "clip.heads=[{column: A b, path: x}]"], "--set: clip.heads.0.column is 'A b': "),
        (["clip={}"], "--set: clip.model is not given"),
        (["rules.min_sid=3"], "--set: there is no field rules.min_sid; did you mean rules.min_side?"),
        (["rules.max_words=2", "rules.min_words=5"], "--set: rules.max_words is 2: under min_words 5"),
    ],
)
def test_what_is_wrong_is_told_by_its_dotted_field(tmp_path: Path, sets: list[str], told: str) -> None:
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"kind": "pairs", "source": {"path": "x"}}))
    with pytest.raises(UserError) as refused:
        load_recipe(tmp_path / "r.yaml", sets)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"heads": [{"column": "clip_score", "path": "a"}]},
            "clip.heads.0.column: 'clip_score' is the name of another",
        ),
        ({"heads": [{"column": "a", "path": "a"}] * 2}, "clip.heads.1.column: 'a' is the name of another score"),
        ({"min_score_by_language": {"deutsch": 0.2}}, "'deutsch' is no language"),
        ({"min_score_by_language": {"de": 5}}, "clip.min_score_by_language.de: 5 is no cosine"),
        ({"min_score_by_language": {"de": True}}, "clip.min_score_by_language.de: True is no cosine"),
    ],
)
def test_scores_have_names_of_their_own_and_thresholds_are_cosines_of_languages(
    fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        recipe({**CLIP, **fields})


def test_a_threshold_for_a_language_that_rules_reject_is_refused() -> None:
    with pytest.raises(ValueError, match="'fr' is not among rules.languages"):
        recipe({**CLIP, "min_score_by_language": {"fr": 0.2}}, rules={"languages": ["de"]})
