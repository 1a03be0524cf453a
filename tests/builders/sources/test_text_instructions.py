"""Text instructions as a source: the shapes of their lines, and what is wrong with some."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import rows
from builders.sources.pairs import Pairs
from builders.sources.text_instructions import Names, _exchange, open_text_instructions
from pipelines.dag import Source
from schemas.errors import UserError

ALPACA = {"instruction": "Name a colour.", "input": "", "output": "Red."}
SHAREGPT = {"conversations": [{"from": "human", "value": "Name a colour."}, {"from": "gpt", "value": "Red."}]}
MESSAGES = {"messages": [{"role": "user", "content": "Name a colour."}, {"role": "assistant", "content": "Red."}]}
MOSS = {
    "chat": {
        "turn_1": {"Human": "<|Human|>: Name a colour.<eoh>\n", "MOSS": "<|MOSS|>: \n\nRed.<eom>\n"},
        "turn_2": {"Human": "<|Human|>: Another.<eoh>\n", "MOSS": "<|MOSS|>: Blue.<eom>\n"},
    }
}
SHAPES = {"alpaca": ALPACA, "sharegpt": SHAREGPT, "messages": MESSAGES, "moss": MOSS}


def written(folder: Path, *lines: Any, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def opened(path: Path, unit: int = 1000, **given: Any) -> Pairs:
    source = open_text_instructions(str(path), unit, **given)
    _fulfils: Source = source
    return source


def read(path: Path, **given: Any) -> list[dict[str, Any]]:
    source = opened(path, **given)
    table = source.read(0, sum(source.unit_sizes))
    assert {field.name: field.type for field in table.schema} == dict(source.columns)
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def refused(path: Path, **given: Any) -> str:
    with pytest.raises(UserError) as error:
        opened(path, **given)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- shapes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_a_line_gives_its_first_turn_and_the_shape_is_told(tmp_path: Path, shape: str) -> None:
    path = written(tmp_path, SHAPES[shape])
    (row,) = read(path)
    assert (row["_instruction"], row["_response"], row["_problem"]) == ("Name a colour.", "Red.", None)
    assert opened(path).facts() == {"inputs": 1, "files": 1, "shape": shape, "inputs with a problem": 0}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_is_that_of_most_lines_and_another_is_a_problem(tmp_path: Path, shape: str) -> None:
    others = [line for name, line in SHAPES.items() if name != shape]
    path = written(tmp_path, *others, SHAPES[shape], SHAPES[shape])
    found = read(path)
    assert opened(path).facts()["shape"] == shape
    assert [row["_problem"] is None for row in found] == [False, False, False, True, True]
    assert {row["_problem"].partition(":")[0] for row in found[:3]} <= {"no_turn", "no_instruction"}


def test_a_shape_that_is_given_is_read_whatever_most_lines_are(tmp_path: Path) -> None:
    bad, good = read(written(tmp_path, MOSS, ALPACA), shape="alpaca")
    assert (bad["_problem"], good["_problem"]) == ("no_instruction: there is none", None)


@pytest.mark.parametrize(
    ("given", "instruction"),
    [
        ({"instruction": "Translate.", "input": "A cat."}, "Translate. A cat."),
        ({"instruction": "Translate this", "input": " A cat. "}, "Translate this: A cat."),
        ({"instruction": "Translate:", "input": "A cat."}, "Translate: A cat."),
        ({"instruction": "Translate."}, "Translate."),
        ({"instruction": "Translate.", "input": None}, "Translate."),
    ],
)
def test_alpacas_input_follows_its_instruction(tmp_path: Path, given: dict[str, Any], instruction: str) -> None:
    (row,) = read(written(tmp_path, {**given, "output": "x"}))
    assert row["_instruction"] == instruction


@pytest.mark.parametrize("given", [5, True, ["a"], {"a": 1}])
def test_an_input_that_is_no_text_is_a_problem_and_not_left_out(tmp_path: Path, given: Any) -> None:
    (row,) = read(written(tmp_path, {"instruction": "Double it.", "input": given, "output": "Ten."}))
    assert row["_problem"] == f"no_input: it is {given!r}"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["Part one.", "Part two."], "Part one. Part two."),
        (["Why", "?"], "Why?"),
        (["One ", "two"], "One two"),
        (["One", " two"], "One two"),
    ],
)
def test_parts_of_a_message_are_parted_by_a_space_where_they_have_none(
    tmp_path: Path, parts: list[str], text: str
) -> None:
    content = [{"type": "text", "text": part} for part in parts]
    talk = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": content}]
    (row,) = read(written(tmp_path, {"messages": [*talk, {"role": "assistant", "content": "So."}]}))
    assert row["_instruction"] == text


def test_fields_have_usual_names(tmp_path: Path) -> None:
    (row,) = read(
        written(tmp_path, {"instruction": "Sum up.", "context": "A cat.", "response": "Cat.", "category": "s"})
    )
    assert (row["_instruction"], row["_response"]) == ("Sum up. A cat.", "Cat.")
    assert [name for name in row if name.startswith("source_")] == ["source_category"]


def test_fields_have_the_names_that_are_given(tmp_path: Path) -> None:
    (row,) = read(written(tmp_path, {"q": "Why?", "a": "So."}), names=Names(instruction="q", response="a"))
    assert (row["_instruction"], row["_response"]) == ("Why?", "So.")
    talk = {"talk": [{"who": "User", "said": "Why?"}, {"who": "Assistant", "said": "So."}]}
    (row,) = read(written(tmp_path, talk), names=Names(turns="talk", role="who", content="said"))
    assert (row["_instruction"], row["_response"]) == ("Why?", "So.")


def test_a_system_turn_comes_before_the_first_and_parts_that_are_texts_are_joined(tmp_path: Path) -> None:
    line = {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Why"}, {"type": "text", "text": "?"}]},
            {"role": "assistant", "content": "So."},
        ]
    }
    (row,) = read(written(tmp_path, line))
    assert (row["_instruction"], row["_response"]) == ("Why?", "So.")


def test_what_stands_inside_a_turn_of_moss_is_no_marker_of_it(tmp_path: Path) -> None:
    line = {"chat": {"turn_1": {"Human": "<|Human|>: What is <eoh>?<eoh>\n", "MOSS": "<|MOSS|>: <|MOSS|>: it<eom>"}}}
    (row,) = read(written(tmp_path, line))
    assert (row["_instruction"], row["_response"]) == ("What is <eoh>?", "<|MOSS|>: it")


def test_real_conversations_are_read(shared: Path) -> None:
    path = shared / "data/text/moss_sft.jsonl"
    found = read(path)
    assert opened(path).facts() == {"inputs": 104, "files": 1, "shape": "moss", "inputs with a problem": 0}
    assert found[0]["_instruction"] == "如果一个女性想要发展信息技术行业，她应该做些什么？"
    assert found[0]["source_conversation_id"] == "1"
    texts = [row[name] for row in found for name in ("_instruction", "_response")]
    assert not any("<|" in text or "<eo" in text or text != text.strip() for text in texts)


# ---- lines with a problem --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "bad", "problem"),
    [
        (ALPACA, "{oops", "bad_json: JSONDecodeError"),
        (ALPACA, "[1]", "bad_json: not an object"),
        (ALPACA, {"output": "x"}, "no_instruction: there is none"),
        (ALPACA, {"instruction": "", "output": "x"}, "no_instruction: there is none"),
        (ALPACA, {"instruction": "x", "output": None}, "no_response: there is none"),
        (ALPACA, {"instruction": 7, "output": "x"}, "no_instruction: it is 7"),
        (ALPACA, {"instruction": "x", "output": ["y"]}, "no_response: it is ['y']"),
        (
            ALPACA,
            '{"instruction": "\\ud83d", "output": "x"}',
            "broken_text: the instruction holds what is no character",
        ),
        (MOSS, {"chat": {}}, "no_turn: there is no turn_1"),
        (MOSS, {"chat": {"turn_1": "x"}}, "no_turn: there is no turn_1"),
        (MOSS, {"chat": {"turn_1": {"Human": "x"}}}, "no_response: there is none"),
        (MOSS, {"chat": {"turn_1": {"Human": "<|Human|>: <eoh>", "MOSS": "x"}}}, "no_instruction: there is none"),
        (SHAREGPT, {"conversations": []}, "no_turn: it begins with nothing; not with human and model"),
        (SHAREGPT, {"conversations": "x"}, "no_turn: it begins with nothing; not with human and model"),
        (
            SHAREGPT,
            {"conversations": SHAREGPT["conversations"][:1]},
            "no_turn: it begins human; not with human and model",
        ),
        (SHAREGPT, {"conversations": SHAREGPT["conversations"][::-1]}, "no_turn: it begins gpt, human; not with human"),
        (SHAREGPT, {"conversations": ["a", "b"]}, "no_turn: it begins none, none; not with human and model"),
        (
            SHAREGPT,
            {"conversations": [{"from": "human"}, {"from": "gpt", "value": "x"}]},
            "no_instruction: there is none",
        ),
        (
            MESSAGES,
            {"messages": [{"role": "user", "content": [{"type": "image"}]}, MESSAGES["messages"][1]]},
            "no_instr",
        ),
    ],
)
def test_a_line_without_an_exchange_is_told_and_its_neighbours_are_read(
    tmp_path: Path, good: dict[str, Any], bad: Any, problem: str
) -> None:
    first, found, last = read(written(tmp_path, good, bad, good))
    assert found["_problem"].startswith(problem)
    assert [(row["key"], row["_response"], row["_problem"]) for row in (first, last)] == [
        ("000000000", "Red.", None),
        ("000000002", "Red.", None),
    ]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from("abc \n\ud800<|Human>")) | st.just("human"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["from", "value", "role", "content", "turn_1", "Human", "MOSS", "text"]), inner
        )
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ("alpaca", {"instruction": "a", "input": "b", "response": "c"}),
        ("sharegpt", {"turns": "a"}),
        ("messages", {"turns": "a"}),
        ("moss", {"turns": "a"}),
    ],
)
@given(row=st.dictionaries(st.sampled_from("abc"), values))
def test_whatever_a_line_holds_is_an_exchange_or_a_problem(
    shape: Any, fields: dict[str, str], row: dict[str, Any]
) -> None:
    found = _exchange(row, shape, fields, Names())
    assert found.keys() in ({"_problem"}, {"_instruction", "_response"})
    assert all(value is None or isinstance(value, str) for value in found.values())


# ---- the source ------------------------------------------------------------------------------------------------------


def test_further_scalars_travel_and_nested_fields_do_not(tmp_path: Path) -> None:
    first, second = read(written(tmp_path, {**ALPACA, "n": 1, "tags": ["x"]}, {**ALPACA, "n": 2}))
    assert (first["source_n"], second["source_n"]) == (1, 2)
    assert not {"source_tags", "source_instruction", "source_input", "source_output"} & first.keys()


def test_keys_are_numbers_or_of_a_field_that_is_given(tmp_path: Path) -> None:
    lines = [{**ALPACA, "id": key} for key in ("a", 7, "a", "x/y", None, "")]
    path = written(tmp_path, *lines)

    assert [row["key"] for row in read(path)] == [f"{i:09d}" for i in range(6)]

    found = read(path, names=Names(key="id"))
    assert [row["_problem"] and row["_problem"].partition(":")[0] for row in found] == [
        None,
        None,
        "duplicate_key",
        "bad_key",
        "bad_key",
        "bad_key",
    ]
    assert [found[0]["key"], found[1]["key"]] == ["a", "7"]
    assert len({row["key"] for row in found}) == 6
    assert all(row["_problem"] or rows.key_problem(row["key"]) is None for row in found)


def test_a_folder_is_its_jsonl_files_by_name_in_units(tmp_path: Path) -> None:
    written(tmp_path, {**ALPACA, "n": 2}, {**ALPACA, "n": 3}, name="b.ndjson")
    written(tmp_path, {**ALPACA, "n": 1}, name="a.jsonl")
    written(tmp_path, "no", name="README.md")
    source = opened(tmp_path, unit=2)
    assert [row["source_n"] for row in read(tmp_path)] == [1, 2, 3]
    assert list(source.unit_sizes) == [2, 1]
    assert source.facts()["files"] == 2
    assert source.read(2, 1).to_pylist() == read(tmp_path)[2:]
    assert [row["source_n"] for row in read(tmp_path, limit=2)] == [1, 2]


def test_what_is_read_is_identified_by_its_bytes_and_travels_to_workers(tmp_path: Path) -> None:
    path = written(tmp_path, ALPACA)
    source = opened(path)
    assert opened(path).digests == source.digests and source.payloads([1]) == [""]
    assert pickle.loads(pickle.dumps(source)).read(0, 1) == source.read(0, 1)
    written(tmp_path, {**ALPACA, "output": "Blue."})
    assert opened(path).digests != source.digests


@pytest.mark.parametrize(
    ("text", "given", "told"),
    [
        ("", {}, "holds no line, so there is nothing to build"),
        (
            '{"a": 1}',
            {},
            "no line has a known shape (alpaca, sharegpt, messages, moss); name its fields, or write a JSON",
        ),
        ('[\n{"instruction": "x", "output": "y"}\n]', {"limit": 1}, "no line has a known shape"),
        (json.dumps(ALPACA), {"shape": "moss"}, "no line has the shape moss; name its fields"),
        (
            json.dumps(ALPACA),
            {"names": Names(input="z")},
            "no line has a field 'z'; they have: instruction, input, output",
        ),
        (json.dumps(ALPACA), {"names": Names(key="id")}, "no line has a field 'id'"),
        (json.dumps(SHAREGPT), {"names": Names(role="who")}, "no line has a known shape"),
    ],
)
def test_a_file_without_exchanges_is_refused(tmp_path: Path, text: str, given: dict[str, Any], told: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    message = refused(path, **given)
    assert message.startswith("source.") and str(path) in message and told in message


def test_a_path_without_jsonl_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "no").endswith("no is not there; give a JSONL file, or a folder of them")
    assert refused(tmp_path).endswith("holds no JSONL file; give one, or a folder of them")
