"""Which tokens a phrase has, and which pass reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer, Tokenizer
from tokenizers.models import WordPiece

from builders.grounding.glip.config import MAX_TOKENS
from builders.grounding.glip.files import GlipFiles
from builders.grounding.glip.spans import CaptionTokenizer, Span, Text
from schemas.errors import UserError
from tests.builders.grounding.glip.tiny import WORDS


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bert") / "vocab.txt"
    file.write_text("\n".join(WORDS) + "\n")
    return file


@pytest.fixture(scope="module")
def tokenizer(vocabulary: Path) -> CaptionTokenizer:
    return CaptionTokenizer(GlipFiles("T", Path("unused.pth"), vocabulary), len(WORDS))


def words(text: Text) -> list[str]:
    return [WORDS[i] for i in text.ids]


def read(tokenizer: CaptionTokenizer, caption: str, *phrases: str) -> list[list[str]]:
    """The tokens of each phrase, of which the first occurrence is meant."""
    spans = [(caption.index(phrase), caption.index(phrase) + len(phrase)) for phrase in phrases]
    (text,) = tokenizer(caption, spans)
    return [[words(text)[token] for token in text.phrases.get(i, ())] for i in range(len(phrases))]


@pytest.mark.parametrize(
    ("caption", "phrase", "tokens"),
    [
        ("A dog and the cat", "A dog", ["a", "dog"]),
        ("a dog's ball", "dog's ball", ["dog", "'", "s", "ball"]),
        ("the catnip sleeps", "catnip", ["cat", "##nip"]),
        ("the catnip sleeps", "cat", ["cat"]),
        ("a (red) ball.", "(red) ball", ["(", "red", ")", "ball"]),
        ("a Café, the dog", "Café", ["cafe"]),
        ("a zebra and a dog", "zebra", ["[UNK]"]),
        ("a dog ,  and", "dog ", ["dog"]),  # a space belongs to no token: the character before it is tried
        ("a    dog", "  dog", ["dog"]),
    ],
)
def test_a_phrase_has_the_tokens_from_its_first_character_to_its_last(
    tokenizer: CaptionTokenizer, caption: str, phrase: str, tokens: list[str]
) -> None:
    assert read(tokenizer, caption, phrase) == [tokens]


def test_a_pass_reads_the_whole_caption_between_its_two_marks(tokenizer: CaptionTokenizer) -> None:
    (text,) = tokenizer("A dog, the cat.", [(2, 5)])
    assert words(text) == ["[CLS]", "a", "dog", ",", "the", "cat", ".", "[SEP]"]
    assert text.phrases == {0: (2,)}


def test_two_phrases_of_the_same_words_stay_two(tokenizer: CaptionTokenizer) -> None:
    (text,) = tokenizer("a dog and a dog", [(0, 5), (10, 15), (2, 15)])
    assert text.phrases == {0: (1, 2), 1: (4, 5), 2: (2, 3, 4, 5)}


@pytest.mark.parametrize("span", [(3, 9), (40, 44), (5, 5), (-4, -1)], ids=["spaces", "beyond", "empty", "before"])
def test_a_span_without_a_token_is_in_no_pass(tokenizer: CaptionTokenizer, span: Span) -> None:
    assert tokenizer("dog          cat", [span]) == []
    (text,) = tokenizer("dog          cat", [span, (0, 3)])
    assert text.phrases == {1: (1,)}


def test_a_long_caption_is_read_in_passes_that_lose_no_phrase(tokenizer: CaptionTokenizer) -> None:
    caption = " ".join(["dog"] * 400)
    spans = [(4 * i, 4 * j + 3) for i, j in [(0, 0), (252, 255), (253, 253), (254, 254), (399, 399), (100, 101)]]
    first, second = tokenizer(caption, spans)
    assert (len(first.ids), len(second.ids)) == (MAX_TOKENS, MAX_TOKENS)
    assert first.phrases == {0: (1,), 5: (101, 102), 2: (254,)}
    # the second pass is full, too: it begins with token 146
    assert second.phrases == {1: (107, 108, 109, 110), 3: (109,), 4: (254,)}


def test_passes_begin_where_phrases_are(tokenizer: CaptionTokenizer) -> None:
    caption = " ".join(["dog"] * 1000)
    (only,) = tokenizer(caption, [(4 * 600, 4 * 602 + 3)])
    assert only.phrases == {0: (1, 2, 3)} and len(only.ids) == MAX_TOKENS


def test_a_phrase_that_no_pass_can_hold_is_read_as_far_as_it_goes(tokenizer: CaptionTokenizer) -> None:
    caption = " ".join(["dog"] * 700)
    first, second = tokenizer(caption, [(40, 4 * 600), (0, 3)])
    assert first.phrases == {1: (1,)}
    assert second.phrases == {0: tuple(range(1, 255))}


@given(st.lists(st.tuples(st.integers(0, 799), st.integers(1, 300)), max_size=20), st.integers(1, 800))
def test_every_phrase_is_read_once_and_by_its_own_tokens(
    tokenizer: CaptionTokenizer, phrases: list[tuple[int, int]], length: int
) -> None:
    caption = " ".join(WORDS[4 + 7 * i % 3] for i in range(length))
    starts = [0]
    for word in caption.split():
        starts.append(starts[-1] + len(word) + 1)
    kept = [(first, min(first + count, length)) for first, count in phrases if first < length]
    texts = tokenizer(caption, [(starts[first], starts[last] - 1) for first, last in kept])
    assert sorted(i for text in texts for i in text.phrases) == list(range(len(kept)))
    everything = caption.split()
    for text in texts:
        assert len(text.ids) <= MAX_TOKENS
        for i, tokens in text.phrases.items():
            first, last = kept[i]
            expected = everything[first : min(last, first + MAX_TOKENS - 2)]
            assert [words(text)[token] for token in tokens] == expected


def test_a_tokenizer_in_one_file_reads_the_same_and_never_cuts(vocabulary: Path, tmp_path: Path) -> None:
    theirs = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
    theirs.enable_truncation(16)
    theirs.enable_padding(length=64)
    theirs.save(str(tmp_path / "tokenizer.json"))
    tokenizers = [
        CaptionTokenizer(GlipFiles("T", Path("unused.pth"), file), len(WORDS))
        for file in (vocabulary, tmp_path / "tokenizer.json")
    ]
    caption = "a Dog, the catnip! " * 6
    plain, whole = (each(caption, [(2, 5), (95, 100)]) for each in tokenizers)
    assert plain == whole


BAD = {
    "no json": ("tokenizer.json", "{", "is no tokenizer: "),
    "other words": ("vocab.txt", "\n".join(WORDS[:9]), "has 9 words, not BERT's 25 with"),
    "no marks": ("vocab.txt", "\n".join(f"w{i}" for i in range(25)), "is no tokenizer: TypeError: sep_token"),
    "no marks in json": (
        "tokenizer.json",
        Tokenizer(WordPiece({f"w{i}": i for i in range(25)}, unk_token="w0")).to_str(),
        "has 25 words, not BERT's 25 with \\[CLS\\] and \\[SEP\\]; give BERT's$",
    ),
}


@pytest.mark.parametrize(("name", "content", "why"), BAD.values(), ids=BAD)
def test_what_is_not_berts_vocabulary_is_told(tmp_path: Path, name: str, content: str, why: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=f"^detector.tokenizer: .*{name} .*{why}") as raised:
        CaptionTokenizer(GlipFiles("T", Path("unused.pth"), tmp_path / name), 25)
    assert "\n" not in str(raised.value)
