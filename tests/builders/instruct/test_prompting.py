"""Prompts: a folder in LLaVA's layout becomes a chat, and what is wrong with the folder is told in one line."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from builders.instruct.parse import Kind
from builders.instruct.prompting import FOLDERS, MAX_BYTES, load_prompts
from schemas.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all three kinds: no example of a conversation, one of a detail, two of complex reasoning."""
    for number, name in enumerate(FOLDERS.values()):
        (tmp_path / name).mkdir()
        (tmp_path / name / "system_message.txt").write_text(f"Be {name}.")
        for example in range(number):
            (tmp_path / name / f"00{example}_caps.txt").write_text(f"context {example}")
            (tmp_path / name / f"00{example}_conv.txt").write_text(f"answer {example}")
    return tmp_path


def refused(folder: Path, *kinds: Kind) -> str:
    with pytest.raises(UserError) as error:
        load_prompts(folder, kinds or tuple(FOLDERS))
    line = str(error.value)
    assert line.startswith(f"prompts_dir: {folder}") and "\n" not in line
    return line.removeprefix(f"prompts_dir: {folder}")


# ---- messages --------------------------------------------------------------------------------------------------------


def test_a_chat_is_the_system_message_the_examples_in_order_and_the_context(folder: Path) -> None:
    assert load_prompts(folder).messages("complex", "A cat.") == [
        {"role": "system", "content": "Be complex_reasoning."},
        {"role": "user", "content": "context 0"},
        {"role": "assistant", "content": "answer 0"},
        {"role": "user", "content": "context 1"},
        {"role": "assistant", "content": "answer 1"},
        {"role": "user", "content": "A cat."},
    ]


def test_a_kind_may_have_no_examples(folder: Path) -> None:
    roles = [message["role"] for message in load_prompts(folder).messages("conversation", "A cat.")]
    assert roles == ["system", "user"]


def test_what_stands_in_the_files_is_sent_to_the_last_byte(folder: Path) -> None:
    raw = "\ufeff Zwölf\r\n\tKätzchen \n\n".encode()
    for name in ("system_message", "000_caps", "000_conv"):
        (folder / "detail_description" / f"{name}.txt").write_bytes(raw)
    assert [message["content"].encode() for message in load_prompts(folder).messages("detail", "x")] == [raw] * 3 + [
        b"x"
    ]


def test_examples_stand_in_the_order_of_their_numbers(folder: Path) -> None:
    names = ["a", "010", "2", "b", "100", "001", "020"]
    for name in names:
        (folder / "conversation" / f"{name}_caps.txt").write_text(name)
        (folder / "conversation" / f"{name}_conv.txt").write_text("answer")
    chat = load_prompts(folder).messages("conversation", "x")
    assert [message["content"] for message in chat if message["role"] == "user"] == [
        "001",
        "2",
        "010",
        "020",
        "100",
        "a",
        "b",
        "x",
    ]


def test_one_chat_does_not_change_the_next(folder: Path) -> None:
    prompts = load_prompts(folder)
    prompts.messages("complex", "A cat.").clear()
    assert len(prompts.messages("complex", "A dog.")) == 6


def test_an_answer_may_be_expected_to_be_as_long_as_the_examples_on_average(folder: Path) -> None:
    (folder / "complex_reasoning" / "000_conv.txt").write_text("one two three four")
    (folder / "complex_reasoning" / "001_conv.txt").write_text("one two")
    prompts = load_prompts(folder)
    assert prompts.answer_tokens("complex") == 3
    assert prompts.answer_tokens("conversation") == 250, "nothing is shown"


# ---- files -----------------------------------------------------------------------------------------------------------


def test_the_files_that_were_read_are_told_and_no_others(folder: Path) -> None:
    (folder / "README.md").write_text("mine")
    (folder / "detail_description" / "notes.txt").write_text("mine")
    assert [file.relative_to(folder).as_posix() for file in load_prompts(folder).files] == [
        "conversation/system_message.txt",
        "detail_description/system_message.txt",
        "detail_description/000_caps.txt",
        "detail_description/000_conv.txt",
        "complex_reasoning/system_message.txt",
        "complex_reasoning/000_caps.txt",
        "complex_reasoning/000_conv.txt",
        "complex_reasoning/001_caps.txt",
        "complex_reasoning/001_conv.txt",
    ]


def test_only_the_kinds_that_are_asked_for_are_read(folder: Path) -> None:
    (folder / "complex_reasoning" / "system_message.txt").unlink()
    prompts = load_prompts(folder, ("detail",))
    assert {file.parent.name for file in prompts.files} == {"detail_description"}
    assert len(prompts.messages("detail", "x")) == 4


def test_prompts_travel_to_workers(folder: Path) -> None:
    prompts = load_prompts(folder)
    assert pickle.loads(pickle.dumps(prompts)) == prompts


# ---- one clear line --------------------------------------------------------------------------------------------------


def test_a_folder_that_is_none_is_refused(folder: Path) -> None:
    assert refused(folder / "gone") == " is not a folder"


def test_the_missing_folder_of_a_kind_that_is_asked_for_is_refused(folder: Path) -> None:
    (folder / "conversation").rename(folder / "talks")
    assert refused(folder, "detail", "conversation") == (
        " has no folder conversation; add it or set weights.conversation to 0"
    )
    assert load_prompts(folder, ("detail", "complex")).files


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("system_message.txt", "system_message.txt: add the instructions that open each request"),
        ("000_caps.txt", "000_caps.txt: add the context that 000_conv.txt answers, or take that file away"),
        ("000_conv.txt", "000_conv.txt: add the answer to 000_caps.txt, or take that file away"),
    ],
)
def test_a_missing_file_is_refused_with_the_mend(folder: Path, gone: str, told: str) -> None:
    (folder / "detail_description" / gone).unlink()
    assert refused(folder) == f"/detail_description has no file {told}"


def test_a_folder_in_a_files_place_is_no_file(folder: Path) -> None:
    (folder / "detail_description" / "000_conv.txt").unlink()
    (folder / "detail_description" / "000_conv.txt").mkdir()
    assert refused(folder).startswith("/detail_description has no file 000_conv.txt")


def test_what_is_not_utf8_is_refused_with_its_place(folder: Path) -> None:
    (folder / "detail_description" / "000_caps.txt").write_bytes("caf\xe9".encode("latin-1"))
    assert refused(folder) == "/detail_description/000_caps.txt, byte 3: not UTF-8; save it as UTF-8"


def test_a_file_of_white_space_is_refused(folder: Path) -> None:
    (folder / "detail_description" / "000_caps.txt").write_text(" \n")
    assert refused(folder) == "/detail_description/000_caps.txt: empty"


def test_a_file_may_have_100_kb_and_no_more(folder: Path) -> None:
    file = folder / "detail_description" / "system_message.txt"
    file.write_bytes(b"x" * MAX_BYTES)
    assert load_prompts(folder).messages("detail", "x")[0]["content"] == "x" * 100_000
    file.write_bytes(b"x" * (MAX_BYTES + 1))
    assert refused(folder).startswith("/detail_description/system_message.txt: larger than 100,000 bytes")


# ---- the authors' own ------------------------------------------------------------------------------------------------


def test_the_authors_own_folder_is_read(shared: Path) -> None:
    folder = shared / "data/formats/llava_prompts"
    prompts = load_prompts(folder, ("conversation", "detail"))
    for kind, count in (("conversation", 6), ("detail", 4)):
        files = sorted((folder / FOLDERS[kind]).iterdir())  # 000_caps, 000_conv, ..., system_message
        chat = prompts.messages(kind, "A cat.")
        assert len(chat) == count
        assert [one["content"] for one in chat] == [
            files[-1].read_bytes().decode(),
            *(file.read_bytes().decode() for file in files[:-1]),
            "A cat.",
        ]
    assert refused(folder) == " has no folder complex_reasoning; add it or set weights.complex to 0"
