"""How long a sample is, and turns that are too long for any."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import ByteLevel, Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from builders.speech.crossmodal import Turn, render_turn
from builders.speech.lengths import CheckLength, Tokens, length_of, units_and_words, words
from builders.step import Rejected, Services
from schemas.errors import UserError

TURN = render_turn(Turn("asr", "What is said here?", "<sosp><5><7><5><eosp>", "Good morning, Ann."))
"""[Human]: 1 (+ "What"), 8 more words before the units, 5 of units, <eoh>, [SpeechGPT], 3 words, <eos>."""


# ---- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("Good morning, Ann.", 3),
        ("well-known fact - isn't it ?", 4),
        ("  two\nlines\u00a0here ", 3),
        ("你好，世界。", 4),
        ("用 Python 写", 3),
        ("AI技术", 3),
        ("こんにちは", 5),
        ("안녕하세요 여러분", 2),
        ("สวัสดี", 6),
        ("--- ... !!", 0),
        ("4 8 15", 3),
    ],
)
def test_words_stand_between_spaces_and_scripts_without_them_count_characters(text: str, count: int) -> None:
    assert words(text) == count


def test_units_and_markers_count_one_each_beside_the_words() -> None:
    assert units_and_words("<sosp><5><7><5><eosp>") == 5
    assert units_and_words("[Human]:Say it.<eoh>") == 4
    assert units_and_words(TURN) == 1 + 7 + 5 + 1 + 1 + 3 + 1


@given(st.lists(st.sampled_from([TURN, TURN.replace("Ann", "Bob and all the others")]), min_size=1, max_size=5))
def test_turns_that_are_joined_are_as_long_as_they_are_together(turns: list[str]) -> None:
    assert units_and_words("".join(turns)) == sum(map(units_and_words, turns))


# ---- tokenizers ------------------------------------------------------------------------------------------------------


def word_level(folder: Path) -> Path:
    """A tokenizers JSON that knows some words, cuts and fills what it is given, and puts a token in front."""
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "<s>": 1, "good": 2, "morning": 3, "<5>": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=8)
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def transformers_folder(folder: Path) -> Path:
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(word_level(folder)), unk_token="[UNK]", bos_token="<s>")
    tokenizer.save_pretrained(str(folder / "saved"))
    return folder / "saved"


@pytest.fixture(params=[word_level, transformers_folder])
def tokenizer(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path: Path = request.param(tmp_path)
    return path


def test_a_tokenizer_counts_its_tokens_whole_and_adds_none(tokenizer: Path) -> None:
    count = length_of(str(tokenizer), 10, "pack.tokenizer")
    assert count("good morning") == 2
    assert count("good morning " * 10) == 20
    assert count("") == 0


def test_units_and_markers_are_tokens_whether_the_tokenizer_knows_them_or_not(tokenizer: Path) -> None:
    count = length_of(str(tokenizer), 10, "pack.tokenizer")
    assert count("<sosp><5><7><5><eosp>") == 5
    assert count("good<eoh>good<eos>[Human]") == 5
    assert count("<12>") == 3, "a unit that the vocabulary does not have is no token"


def test_a_length_travels_to_workers(tokenizer: Path) -> None:
    count = length_of(str(tokenizer), 10, "pack.tokenizer")
    assert pickle.loads(pickle.dumps(count))("good <5>") == 2
    assert pickle.loads(pickle.dumps(length_of(None, 10, "pack.tokenizer"))) is units_and_words


@pytest.mark.parametrize("text", ["", "{", '{"model": 1}', "[]"])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(
        UserError, match=rf"^pack\.tokenizer: {path} is no tokenizer: .*; give a tokenizer.json"
    ) as error:
        length_of(str(path), 10, "pack.tokenizer")
    assert "\n" not in str(error.value)


def test_a_folder_without_a_tokenizer_and_a_path_without_anything_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^pack\.tokenizer: .* is no tokenizer: ") as error:
        length_of(str(tmp_path), 10, "pack.tokenizer")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"^pack\.tokenizer: .*none is not there; give"):
        length_of(str(tmp_path / "none"), 10, "pack.tokenizer")


def test_code_that_a_folder_brings_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoTokenizer": ["evil.Evil", null]}}')
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", null]}}'
    )
    (tmp_path / "evil.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\nclass Evil: ...\n"
    )
    with pytest.raises(UserError, match="is no tokenizer"):
        length_of(str(tmp_path), 10, "pack.tokenizer")
    assert not (tmp_path / "ran").exists()


# ---- the step --------------------------------------------------------------------------------------------------------


def test_a_turn_that_no_sample_could_hold_is_rejected_with_its_length(services: Services) -> None:
    step = CheckLength(units_and_words, most=19)
    step.setup(services)

    fits, too_long = step([{"_turn": TURN}, {"_turn": TURN.replace("Ann", "Ann Smith")}])

    assert fits == {"length": 19}
    assert isinstance(too_long, Rejected)
    assert (too_long.reason, too_long.detail, too_long.known) == ("turn_too_long", "20 are over 19", {"length": 20})


def test_tokens_that_meet_between_turns_may_count_otherwise_than_turns_alone(tmp_path: Path) -> None:
    """Why a pack counts what it joined: this tokenizer makes 3 tokens of "abcd", and 1 each of its halves."""
    alphabet = {character: i for i, character in enumerate(["a", "b", "c", "d", "bc", "ab", "cd"])}
    bpe = Tokenizer(BPE(alphabet, [("b", "c"), ("a", "b"), ("c", "d")]))
    bpe.pre_tokenizer = ByteLevel(add_prefix_space=False)
    bpe.save(str(tmp_path / "t.json"))
    count = Tokens(tmp_path / "t.json", 0)
    assert (count("ab"), count("cd"), count("abcd")) == (1, 1, 3)
