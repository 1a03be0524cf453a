"""Bands of units, and turns drawn of bands and text."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw

from builders.cards.bands import BAND, WIDTH, draw_band, tile, unit_colour
from builders.speech.units import Units
from tests.builders.cards.speech_samples import packed, turn

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def band(ids: list[int], edges: list[float]) -> Image.Image:
    image = Image.new("RGB", (200, BAND), "white")
    draw_band(ImageDraw.Draw(image), 0, ids, edges)
    return image


def across(image: Image.Image, y: int = 1) -> list[object]:
    return [image.getpixel((x, y)) for x in range(image.width)]


def rows_with(image: Image.Image, *colours: object) -> list[int]:
    """The rows where each of `colours` stands."""
    return [y for y in range(image.height) if set(colours) <= set(across(image, y))]


def luminance(colour: tuple[int, ...]) -> float:
    """Relative, by WCAG 2."""
    parts = (c / 255 for c in colour)
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# ---- a band ----------------------------------------------------------------------------------------------------------


def test_a_unit_is_as_wide_as_its_edges_are_apart_with_a_gap_after_it() -> None:
    row = across(band([3, 7], [10, 50, 150]))

    assert row[:10] == [WHITE] * 10
    assert row[10:49] == [unit_colour(3)] * 39
    assert row[49] == WHITE
    assert row[50:149] == [unit_colour(7)] * 99
    assert row[149:] == [WHITE] * 51


def test_narrow_units_stand_without_a_gap_and_none_leaves_a_hole() -> None:
    assert across(band([1, 2, 3], [0, 2, 4, 6]))[:6] == [unit_colour(i) for i in (1, 1, 2, 2, 3, 3)]
    crowd = across(band([i % 2 for i in range(500)], [i * 0.4 for i in range(501)]))
    assert set(crowd) <= {unit_colour(0), unit_colour(1)}


@pytest.mark.parametrize(
    ("unit", "width", "written"), [(5, 10, True), (5, 4, False), (123, 24, True), (123, 16, False)]
)
def test_a_number_is_written_where_it_fits(unit: int, width: int, written: bool) -> None:
    image = band([unit], [50, 50 + width])

    darkest = min(luminance(colour) for _, colour in image.getcolors(1 << 16) or [] if isinstance(colour, tuple))
    assert (darkest < 0.02) is written
    outside = [image.getpixel((x, y)) for x in (*range(50), *range(50 + width, 200)) for y in range(BAND)]
    assert set(outside) == {WHITE}


def test_a_units_colour_is_its_own_and_black_can_be_read_on_it() -> None:
    assert unit_colour(71) == unit_colour(71)
    assert len({unit_colour(unit) for unit in range(100)}) == 100
    for unit in range(1000):
        assert (luminance(unit_colour(unit)) + 0.05) / 0.05 >= 4.5  # WCAG 2, AA


# ---- turns -----------------------------------------------------------------------------------------------------------

COLOURS = [unit_colour(unit) for unit in (5, 7)]


@pytest.mark.parametrize(("task", "band_first"), [("asr", True), ("tts", False)])
def test_what_is_given_stands_above_what_is_wanted(task: str, band_first: bool) -> None:
    image = tile("a", packed(turn("a", task, units="<sosp><5><7><eosp>")).record)

    units = rows_with(image, *COLOURS)
    numbers = set(range(units[0], units[-1] + 1))
    text = [y for y in rows_with(image, BLACK) if y not in numbers]

    assert len(units) == BAND
    assert (units[-1] < text[0]) if band_first else (text[-1] < units[0])


def test_units_without_durations_are_equally_wide() -> None:
    image = tile("a", packed(turn("a", units="<sosp><5><7><eosp>")).record)

    row = across(image, rows_with(image, *COLOURS)[0])

    assert row.count(COLOURS[0]) == row.count(COLOURS[1]) == 19


def test_a_long_row_of_units_fills_the_tile_and_no_more() -> None:
    many = str(Units(tuple(range(1000)), (1,) * 1000))
    row = across(tile("a", packed(turn("a", units=many)).record), 20 + 24 + 3 + 10)
    assert WHITE not in row
    assert len(row) == WIDTH


def test_all_turns_up_to_eight_are_drawn_and_then_how_many_more_there_are() -> None:
    heights = [tile("a", packed(*[turn(f"t{i}") for i in range(n)]).record).height for n in (1, 2, 8, 9, 30)]

    one = heights[1] - heights[0]
    assert heights[2] - heights[1] == 6 * one
    assert 0 < heights[3] - heights[2] < one
    assert heights[4] == heights[3]


def test_any_text_can_be_drawn() -> None:
    odd = turn("k" * 80, text="好 é " + "x" * 3000, units="<sosp><eosp>")
    image = tile("k" * 80, packed(odd, {**odd, "task": "tts"}).record)
    assert image.width == WIDTH
    assert image.crop((0, image.height - 2, WIDTH, image.height)).getcolors(1) is not None
