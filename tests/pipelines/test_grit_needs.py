"""What plan tells of a grit recipe whose models are still to be fetched, and where a build stops."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.kinds import make_dag
from pipelines.plan import render_plan
from schemas.errors import UserError
from schemas.load import load_recipe
from schemas.recipe import Recipe
from tests.conftest import ROOT
from tests.hub import Hub

pytestmark = pytest.mark.slow  # open_clip takes seconds to load

KOSMOS2 = ROOT / "recipes" / "grit_kosmos2.yaml"
CLIP = "timm/vit_base_patch32_clip_224.openai"
BERT = "google-bert/bert-base-uncased"


@pytest.fixture(autouse=True)
def nothing_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> str:
        raise AssertionError("plan fetches nothing")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    monkeypatch.setattr("builders.filters.clip_files._fetched", fetch)
    monkeypatch.setattr("spacy.util.is_package", lambda name: False)


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "a.jpg").write_bytes(b"never opened")
    (tmp_path / "a.txt").write_text("a dog")
    return f"source.path={tmp_path}"


def planned(recipe: Recipe, out: str | None = None) -> str:
    return render_plan(recipe, make_dag(recipe, planned=True), out)


def test_given_nothing_but_pairs_then_all_that_is_missing_is_told_at_once(source: str) -> None:
    text = planned(load_recipe(KOSMOS2, [source]))

    told = text.partition("\nneeds\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in told] == [
        *("parser", "python", "detector.checkpoint", "hf", "detector.tokenizer", "clip.0", "clip.1")
    ]
    assert "en_core_web_trf, about 457 MB, https://github.com/explosion/spacy-models/releases: not there" in told[0]
    assert told[1].strip() == "python -m spacy download en_core_web_trf"
    assert "glip_large_model.pth, about 6.9 GB, https://huggingface.co/GLIPModel/GLIP: not there" in told[2]
    assert "gristmill models glip-convert glip_large_model.pth glip_large.safetensors (1.7 GB)" in told[3]
    assert f"about 700 KB, https://huggingface.co/{BERT}: not there, a build fetches it" in told[4]
    assert f"about 605 MB, https://huggingface.co/{CLIP}: not there, a build fetches it" in told[5]
    assert text.endswith(
        "units: 1 in all; a build would stop, it lacks parser, detector.checkpoint: needs tells how to get them"
    )


def test_given_nothing_but_pairs_then_the_stages_are_told_all_the_same(source: str) -> None:
    recipe = load_recipe(KOSMOS2, [source])
    dag = make_dag(recipe, planned=True)

    names = [stage.name for stage in dag.stages]
    assert names == ["photos", "chunks", "grounding", "boxes", "prepare", "clip", "sample"]
    assert {stage.name for stage in dag.stages if stage.gpus} == {"chunks", "grounding", "clip"}
    assert dag.chosen["detector"] == "GLIP-L, glip_large_model.pth"


def test_given_an_output_and_something_missing_then_the_plan_does_not_look_into_it(source: str, tmp_path: Path) -> None:
    assert "a build would stop" in planned(load_recipe(KOSMOS2, [source]), str(tmp_path / "out"))


def test_given_what_only_the_user_can_bring_then_the_build_fetches_the_rest(source: str, tmp_path: Path) -> None:
    (tmp_path / "glip.pth").touch()
    recipe = load_recipe(KOSMOS2, [source, f"detector.checkpoint={tmp_path / 'glip.pth'}", "parser=null"])

    text = planned(recipe)

    assert "https://huggingface.co/GLIPModel/GLIP: there" in text
    assert "python -m spacy" not in text and "hf download" not in text
    assert text.endswith("units: 1 in all; a build would begin with fetching detector.tokenizer, clip.0, clip.1")


def test_given_what_was_fetched_before_then_it_is_told_as_there(source: str, hub: Hub) -> None:
    hub(BERT, "tokenizer.json")
    hub(CLIP, "open_clip_model.safetensors")
    needs = {need.field: need.there for need in make_dag(load_recipe(KOSMOS2, [source, "clip=[]"]), True).needs}
    assert needs == {"parser": False, "detector.checkpoint": False, "detector.tokenizer": True}


@pytest.mark.parametrize(
    ("sets", "first"),
    [((), "parser: 'en_core_web_trf' is neither"), (("parser=null",), "detector.checkpoint is not given; fetch")],
)
def test_a_build_stops_at_the_first_of_them_with_one_line(source: str, sets: tuple[str, ...], first: str) -> None:
    with pytest.raises(UserError) as error:
        make_dag(load_recipe(KOSMOS2, [source, *sets]))
    assert str(error.value).startswith(first)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("variant", "precision", "hours"),
    [
        (
            "L",
            "fp32",
            "29 for 1 M images, 2,600 for 91 M: an estimate, no GPU was measured; 2.08 TFLOP an image on an H100 at "
            "30% of its 67 TFLOP/s in fp32",
        ),
        (
            "L",
            "bf16",
            "10 for 1 M images, 1,000 for 91 M: an estimate, no GPU was measured; 1.66 TFLOP an image on an H100 at "
            "10% of its 989 TFLOP/s in bf16, and 0.42 at 30% of its 67 TFLOP/s in fp32",
        ),
        (
            "T",
            "fp32",
            "8 for 1 M images, 700 for 91 M: an estimate, no GPU was measured; 0.55 TFLOP an image on an H100 at "
            "30% of its 67 TFLOP/s in fp32",
        ),
    ],
)
def test_gpu_hours_say_what_they_are_estimated_from(source: str, variant: str, precision: str, hours: str) -> None:
    sets = [source, f"detector.variant={variant}", f"detector.precision={precision}", "clip=[]"]
    assert make_dag(load_recipe(KOSMOS2, sets), planned=True).expected["GPU hours"] == hours
