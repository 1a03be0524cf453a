"""Lines of coloured words: nothing is lost, nothing sticks out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from builders.cards.lettering import LINE, font, lines, words, write

TEXTS = st.text(alphabet="aiW .\t\n\u3000好é", max_size=120)


@given(TEXTS, st.integers(30, 300))
def test_every_letter_stands_in_a_line_and_every_line_fits(text: str, width: int) -> None:
    broken = lines([words(text)], width, most=1000)

    assert "".join(word for line in broken for word, _ in line) == re.sub(r"\s", " ", text)
    for line in broken:
        assert font().getlength("".join(word for word, _ in line).rstrip()) <= width + 1


def test_a_word_wider_than_a_line_is_broken() -> None:
    (first, second, *_) = lines([words("a " + "x" * 100)], 100, most=1000)
    assert first[0] == ("a ", "black")
    assert set(second[0][0]) == {"x"}


def test_a_word_of_any_length_is_broken() -> None:
    assert len(lines([words("W" * 30_000)], 30, most=100_000)) >= 15_000


@pytest.mark.parametrize(("most", "shown"), [(3, ["a", "b", "c"]), (2, ["a", "…"]), (1, ["…"])])
def test_what_is_too_much_ends_in_an_ellipsis(most: int, shown: list[str]) -> None:
    told = [words("a"), words("b"), words("c")]
    assert [line[0][0] for line in lines(told, 100, most)] == shown


def test_words_are_drawn_in_their_colours_and_the_next_place_is_told() -> None:
    image = Image.new("RGB", (200, 100), "white")

    y = write(ImageDraw.Draw(image), 10, [*words("one ", "#ff0000"), *words("two", "#0000ff")], 200)

    assert y == 10 + LINE
    found = {colour for _, colour in image.getcolors(1 << 16) or []}
    assert {(255, 0, 0), (0, 0, 255)} <= found
    assert image.crop((0, 10 + LINE, 200, 100)).getcolors(1) is not None
