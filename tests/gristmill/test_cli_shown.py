"""The command over datasets that are put together by hand: speech shown, and everything exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from builders.cards.sheet import Shown
from builders.export.speechgpt import PREFIX
from builders.speech.templates import FORMS
from tests.builders.cards.speech_samples import built, exchange, packed, sweep, tone, turn
from tests.gristmill.running import Cli, assert_one_line


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """An exchange of each form, the response of 67 units."""
    sounds = (tone(0.3), sweep(2.0))
    samples = [exchange(f"q{i}", form, sounds=sounds) for i, form in enumerate(FORMS)]
    return built(tmp_path / "chain", samples).root


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    samples = [packed(turn(f"a{i}"), turn(f"b{i}", "tts", f"The {i}th.")) for i in range(6)]
    return built(tmp_path / "packs", samples).root


# -- shown


def test_given_exchanges_when_shown_then_the_first_has_all_its_units_and_the_others_fewer(
    cli: Cli, chain: Path
) -> None:
    said = cli("show", chain)

    assert (said.code, said.err) == (0, "")
    funnel, first, *others = said.out.split("\nq")
    assert funnel.split()[:4] == ["inputs", "4", "kept", "4"]
    assert first.startswith("0  s2s\n") and len(others) == 3
    responses = [one.splitlines()[4] for one in (first, *others)]
    assert responses[0].count("<") == 2 + 67 and "…" not in responses[0]
    assert all(row.count("<") == 2 + 24 and "…43 more…" in row for row in responses[1:])
    assert all(row.endswith("(67 units)") for row in responses)


def test_given_turns_when_shown_then_as_many_as_asked_for_are_told(cli: Cli, packs: Path) -> None:
    said = cli("show", packs, "--count", "2")

    assert said.code == 0
    assert [line for line in said.out.splitlines() if "turns" in line] == ["a0  2 turns", "a3  2 turns"]
    assert "    The 3th.\n    -> <sosp><5><7><5><eosp> (3 units)" in said.out


@pytest.mark.parametrize("kind", ["chain", "packs"])
def test_given_speech_when_a_sheet_is_wanted_then_all_of_up_to_nine_samples_are_drawn(
    cli: Cli, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    said = cli("show", request.getfixturevalue(kind), "--count", "1", "--sheet", tmp_path / "sheet.png")

    assert said.code == 0
    assert said.out.endswith(f"contact sheet: {tmp_path / 'sheet.png'}\n")
    assert Image.open(tmp_path / "sheet.png").width == 3 * 652 + 12


# -- exported


@pytest.mark.parametrize(
    ("more", "prefix"), [((), PREFIX), (("--prefix", "Be kind.\n"), "Be kind.\n"), (("--prefix", ""), "")]
)
@pytest.mark.parametrize(("kind", "count"), [("chain", 4), ("packs", 6)])
def test_given_speech_when_exported_then_a_line_a_sample_is_written_with_the_prefix(
    cli: Cli,
    kind: str,
    count: int,
    more: tuple[str, ...],
    prefix: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    file = tmp_path / "out.jsonl"

    said = cli("export", request.getfixturevalue(kind), file, "--to", "speechgpt", *more)

    assert (said.code, said.out) == (0, f"{file}: {count} samples\n")
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == count
    assert {line["prefix"] for line in lines} == {prefix}
    assert all("[SpeechGPT]: " in line["plain_text"] for line in lines)


@pytest.mark.parametrize(("shape", "file"), [("llava", "llava.json"), ("chat", "chat.jsonl")])
def test_given_conversations_when_exported_then_the_target_is_a_folder(
    cli: Cli, tmp_path: Path, shape: str, file: str
) -> None:
    told = {"id": "k", "conversations": [{"from": "human", "value": "What?"}], "messages": [{"role": "user"}]}
    store = built(tmp_path / "made", [Shown("k", {"png": b"a photo"}, told)])

    said = cli("export", store, tmp_path / "out", "--to", shape)

    assert (said.code, said.out) == (0, f"{tmp_path / 'out' / file}: 1 samples\n")
    assert (tmp_path / "out/images/k.png").read_bytes() == b"a photo"


@pytest.mark.parametrize("shape", ["llava", "chat"])
def test_given_a_prefix_for_a_list_that_has_none_then_one_line_says_so(
    cli: Cli, chain: Path, tmp_path: Path, shape: str
) -> None:
    said = cli("export", chain, tmp_path / "out", "--to", shape, "--prefix", "")

    assert_one_line(said, 2, f"--prefix: --to {shape} writes none", "--to speechgpt")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shape", ["llava", "chat"])
def test_given_speech_for_a_list_of_conversations_then_one_line_says_what_it_takes(
    cli: Cli, chain: Path, tmp_path: Path, shape: str
) -> None:
    assert_one_line(cli("export", chain, tmp_path / "out", "--to", shape), 2, "no conversations", "kind llava")


def test_given_a_file_that_is_there_then_it_is_not_written_over(cli: Cli, chain: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("mine")

    for target in ("mine.jsonl", "."):
        assert_one_line(cli("export", chain, tmp_path / target, "--to", "speechgpt"), 2, "is there already")
    assert (tmp_path / "mine.jsonl").read_text() == "mine"


def test_given_a_shape_that_is_none_then_exit_2_and_the_shapes_are_told(cli: Cli, chain: Path, tmp_path: Path) -> None:
    said = cli("export", chain, tmp_path / "out", "--to", "gpt")

    assert said.code == 2
    for shape in ("llava", "chat", "speechgpt"):
        assert shape in said.err
