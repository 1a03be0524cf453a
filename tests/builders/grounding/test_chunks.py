"""Noun chunks as the later steps need them, and the step that parses captions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span

from builders.grounding.chunks import CHUNK, NounChunks, describe, parser_folder, parser_need, wants_gpu
from builders.step import Record, Rejected, Services
from schemas.errors import UserError

Parsed = Callable[[str], Doc]


@pytest.fixture(scope="module")
def step(shipped_parser: Path, services: Services) -> NounChunks:
    chunks = NounChunks(shipped_parser, ["view"])
    chunks.setup(services)
    return chunks


def result(step: NounChunks, caption: str) -> Record:
    (found,) = step([{"caption": caption}])
    assert isinstance(found, dict), found
    return found


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000", "\u2028"])
def test_a_space_of_another_kind_is_read_as_a_space_and_offsets_stay(step: NounChunks, space: str) -> None:
    found = result(step, f"a woman{space}with{space}a{space}dog")
    assert found == result(step, "a woman with a dog")
    assert [(chunk["start"], chunk["end"]) for chunk in found["_chunks"]] == [(0, 7), (13, 18)]


# ---- a chunk described -----------------------------------------------------------------------------------------------


def described(chunk: Span) -> Record:
    return describe(chunk, [token.lower_ for token in chunk.doc])


def test_a_chunk_is_told_with_its_offsets_its_expression_and_its_words(parsed: Parsed) -> None:
    doc = parsed("A/DT/det/2 Brown/JJ/amod/2 dog/NN/ROOT/2 on/IN/prep/2 grass/NN/pobj/3")
    dog, grass = (described(chunk) for chunk in doc.noun_chunks)
    assert dog == {
        "start": 0,
        "end": 11,
        "expression_start": 0,
        "expression_end": 20,
        "words": ["a", "brown", "dog"],
        "plural": False,
        "of": [],
    }
    assert (grass["start"], grass["end"], grass["words"]) == (15, 20, ["grass"])
    assert list(dog) == [field.name for field in CHUNK]


@pytest.mark.parametrize(
    ("items", "plural"),
    [
        ("two/CD/nummod/1 sheep/NN/ROOT/1", True),
        ("one/CD/nummod/1 sheep/NN/ROOT/1", False),
        ("several/JJ/amod/1 sheep/NN/ROOT/1", True),
        ("these/DT/det/1 sheep/NN/ROOT/1", True),
        ("sheep/NNS/ROOT/0", True),
        ("a/DT/det/1 sheep/NN/ROOT/1", False),
        ("skis/NNS/ROOT/0", False),
    ],
)
def test_a_number_or_the_tagger_says_that_several_are_meant(parsed: Parsed, items: str, plural: bool) -> None:
    doc = parsed(items)
    assert described(doc[0 : len(doc)])["plural"] is plural


def test_the_noun_after_of_is_told_with_its_words(parsed: Parsed) -> None:
    doc = parsed("a/DT/det/1 group/NN/ROOT/1 of/IN/prep/1 small/JJ/amod/4 dogs/NNS/pobj/2 at/IN/prep/1 home/NN/pobj/5")
    assert described(next(doc.noun_chunks))["of"] == ["small", "dogs"]


# ---- the step --------------------------------------------------------------------------------------------------------


def test_the_shipped_parser_reads_the_papers_example(step: NounChunks) -> None:
    caption = "a dog in a field of flowers"
    found = result(step, caption)
    assert [caption[c["start"] : c["end"]] for c in found["_chunks"]] == ["a dog", "a field", "flowers"]
    assert [caption[c["expression_start"] : c["expression_end"]] for c in found["_chunks"]] == [
        caption,
        "a field of flowers",
        "flowers",
    ]
    assert found["n_chunks"] == 3


def test_the_shipped_parser_reads_the_released_record(step: NounChunks) -> None:
    found = result(step, "a wire hanger with a paper cover that reads we heart our customers")
    grown = {(c["start"], c["end"]): (c["expression_start"], c["expression_end"]) for c in found["_chunks"]}
    assert grown[0, 13] == (0, 66)
    assert grown[19, 32] == (19, 66)


def test_drops_are_counted_by_their_reason(step: NounChunks) -> None:
    found = result(step, "He enjoys life and a view with a dog.")
    assert [c["words"] for c in found["_chunks"]] == [["a", "dog"]]
    assert (found["n_chunks"], found["dropped_pronoun"], found["dropped_abstract"]) == (1, 1, 2)


def test_a_caption_that_names_nothing_is_rejected_with_what_was_dropped(step: NounChunks) -> None:
    (found,) = step([{"caption": "It is time."}])
    assert isinstance(found, Rejected)
    assert found.reason == "no_chunk"
    assert found.detail.startswith("2 dropped")
    assert found.known == {"n_chunks": 0, "dropped_pronoun": 1, "dropped_abstract": 1}


def test_a_caption_is_read_the_same_alone_and_among_others(step: NounChunks) -> None:
    captions = [
        "a man with a red hat walks two small dogs along the beach",
        "A kitchen.",
        "people at a table (outdoors) with plates, glasses and a bottle of wine",
        "כלב על הדשא 🐕 a dog on the grass",
        "a cat " * 60,
    ]
    together = step([{"caption": caption} for caption in captions])
    assert together == [step([{"caption": caption}])[0] for caption in captions]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_parsed_and_every_offset_lies_in_it(step: NounChunks, caption: str) -> None:
    (found,) = step([{"caption": caption}])
    if isinstance(found, Rejected):
        assert found.reason == "no_chunk"
        return
    assert isinstance(found, dict)
    for chunk in found["_chunks"]:
        assert 0 <= chunk["expression_start"] <= chunk["start"] < chunk["end"] <= chunk["expression_end"]
        assert chunk["expression_end"] <= len(caption)


# ---- which parser ----------------------------------------------------------------------------------------------------


def test_no_parser_named_is_the_one_in_models() -> None:
    assert parser_folder(None).parts[-3:] == ("models", "caption_parser", "pipeline")


def test_a_folder_of_a_pipeline_is_taken_as_it_is(tmp_path: Path) -> None:
    spacy.blank("en").to_disk(tmp_path / "mine")
    assert parser_folder(str(tmp_path / "mine")) == tmp_path / "mine"


def test_a_parser_that_is_nowhere_is_one_line_with_the_field_and_the_mend() -> None:
    with pytest.raises(UserError, match=r"^parser: 'en_core_web_none' .*spacy download en_core_web_none"):
        parser_folder("en_core_web_none")


def test_a_pipeline_without_tagger_and_parser_is_refused(tmp_path: Path, services: Services) -> None:
    spacy.blank("en").to_disk(tmp_path)
    with pytest.raises(UserError, match="needs a tagger and a parser"):
        NounChunks(tmp_path).setup(services)


# ---- what is to be fetched -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_a_pipeline_of_spacys_own_is_told_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.setattr("spacy.util.is_package", lambda name: there)
    need = parser_need("en_core_web_trf")
    assert need is not None
    assert (need.field, need.what, need.size, need.there) == ("parser", "en_core_web_trf", 457_000_000, there)
    assert need.get == "python -m spacy download en_core_web_trf"


@pytest.mark.parametrize("parser", [None, "/some/folder", "./en_core_web_trf", "mine"])
def test_ours_and_folders_are_no_needs(parser: str | None) -> None:
    assert parser_need(parser) is None


def test_a_pipeline_that_is_still_to_be_fetched_tells_by_its_name_whether_it_wants_a_gpu() -> None:
    assert wants_gpu(Path("en_core_web_trf"))
    assert not wants_gpu(Path("en_core_web_sm"))
