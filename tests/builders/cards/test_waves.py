"""The tile of an exchange: what can be heard is drawn as it is, and what is wrong with it is red."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageColor

from builders.cards.bands import BAND, WIDTH, unit_colour
from builders.cards.lettering import COLOURS
from builders.cards.sheet import Shown
from builders.cards.waves import BAD, LEFT, WAVE, tile
from builders.speech.audio import Sound, encode_flac
from builders.speech.espeak import Espeak
from builders.speech.units import Units
from tests.builders.cards.speech_samples import RATE, exchange, some_units, sweep, tone

INSTRUCTION, RESPONSE, RED = (ImageColor.getrgb(colour) for colour in (COLOURS[1], COLOURS[4], BAD))
ROOM = WIDTH - LEFT


def drawn(sample: Shown) -> Image.Image:
    return tile(sample.key, sample.media, sample.record)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


def where(image: Image.Image, colour: tuple[int, ...]) -> np.ndarray:
    """A mask of the pixels of just that colour."""
    mask: np.ndarray = (pixels(image) == colour[:3]).all(axis=2)
    return mask


def heights(image: Image.Image, colour: tuple[int, ...]) -> np.ndarray:
    """For each column of the wave how many pixels have that colour, the words above it left out."""
    return where(image, colour)[46:, LEFT:].sum(axis=0)


# ---- the wave --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peak", [0.1, 0.5, 0.95])
def test_a_wave_is_as_high_as_the_sound_on_a_scale_from_1_to_minus_1(peak: float) -> None:
    image = drawn(exchange(sounds=(tone(2.0, peak), sweep(1.0))))

    found = heights(image, INSTRUCTION)

    assert abs(np.median(found) - peak * WAVE) <= 2
    middle = 46 + WAVE / 2
    rows = np.flatnonzero(where(image, INSTRUCTION)[46:, LEFT + 300]) + 46
    assert abs((rows[0] + rows[-1]) / 2 - middle) <= 1


def test_a_sample_over_0_stands_above_the_line() -> None:
    over = Sound(np.abs(tone(1.0, 0.8).samples), RATE)

    rows = np.flatnonzero(where(drawn(exchange(sounds=(over, sweep(1.0)))), INSTRUCTION)[46:, LEFT + 300]) + 46

    assert rows[-1] <= 46 + WAVE / 2 + 1
    assert rows[0] < 46 + WAVE / 4


def test_a_short_sound_is_drawn_as_a_line_without_holes() -> None:
    found = heights(drawn(exchange(sounds=(tone(0.03, 0.9, hz=400.0), sweep(1.0)))), INSTRUCTION)

    assert found.min() >= 1
    assert found.sum() > 0.9 * WAVE * 0.03 * 400 * 2  # up and down in each of its swings


def test_time_runs_from_left_to_right_over_the_whole_width() -> None:
    times = np.concatenate([tone(0.5, 0.1).samples, tone(1.5, 0.8).samples])

    found = heights(drawn(exchange(sounds=(Sound(times, RATE), sweep(1.0)))), INSTRUCTION)

    quarter = ROOM // 4
    assert found[: quarter - 2].max() <= 0.1 * WAVE + 2
    assert found[quarter + 2 :].min() >= 0.8 * WAVE - 4


def test_instruction_and_response_each_have_their_own_wave() -> None:
    image = drawn(exchange(sounds=(tone(1.0, 0.2), tone(10.0, 0.7))))

    assert abs(np.median(heights(image, INSTRUCTION)) - 0.2 * WAVE) <= 2
    response = np.flatnonzero(where(image, RESPONSE)[:, LEFT + 300])
    assert abs(len(response) - 0.7 * WAVE) <= 2


# ---- the units -------------------------------------------------------------------------------------------------------


def test_units_are_as_wide_as_their_durations_on_the_scale_of_the_wave() -> None:
    sounds = (tone(1.0), sweep(2.0))
    units = (Units((3, 7), (20, 70)), some_units(sounds[1]))
    image = drawn(exchange(sounds=sounds, units=units))

    three, seven = (np.argwhere(where(image, unit_colour(unit))[: image.height // 2]) for unit in (3, 7))

    assert three[:, 1].min() == LEFT and abs(three[:, 1].max() - (LEFT + 0.2 * ROOM)) <= 2
    assert abs(seven[:, 1].min() - (LEFT + 0.2 * ROOM)) <= 2 and abs(seven[:, 1].max() - (LEFT + 0.9 * ROOM)) <= 2
    assert set(np.unique(three[:, 0])) == set(np.unique(seven[:, 0]))
    assert len(np.unique(three[:, 0])) == BAND


def test_units_that_last_longer_than_the_sound_end_with_it() -> None:
    image = drawn(exchange(sounds=(tone(1.0), tone(1.0)), units=(Units((3,), (300,)), Units((7,), (10,)))))

    band = where(image, unit_colour(3))

    assert band[:, LEFT : WIDTH - 2].any(axis=0).all()
    top = np.flatnonzero(band.any(axis=1))[0]
    middle = pixels(image)[top : top + BAND, LEFT + ROOM // 2 - 5 : LEFT + ROOM // 2 + 5]
    assert middle.max(axis=2).min() < 60, "and its number stands in the middle of what is seen"


# ---- what is wrong ---------------------------------------------------------------------------------------------------


def test_nothing_is_red_where_nothing_is_wrong() -> None:
    assert not where(drawn(exchange()), RED).any()


def test_clipped_samples_are_red_where_they_are_and_marked_above() -> None:
    samples = tone(2.0, 0.5).samples.copy()
    samples[RATE : RATE + 50] = 1.0

    red = where(drawn(exchange(sounds=(Sound(samples, RATE), sweep(1.0)))), RED)

    marks = red[41:46]
    assert abs(np.flatnonzero(marks.any(axis=0)).mean() - (LEFT + ROOM / 2)) <= 2
    assert red[50:90, LEFT + 10 : WIDTH - 10].any(axis=0).sum() in (1, 2, 3), "just the columns that hold them"
    assert red[:40].any(), "and words tell it"
    assert not red[46 + WAVE + 2 :].any(), "the response has none"


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_is_framed_in_red(level: float) -> None:
    red = where(drawn(exchange(sounds=(tone(1.0, level), sweep(1.0)))), RED)

    assert red[46, LEFT:].all() and red[46 + WAVE, LEFT:].all()
    assert not red[46 + WAVE + 2 :].any()


def test_a_sound_that_is_mostly_silence_is_framed_in_red() -> None:
    samples = np.concatenate([tone(0.1).samples, np.zeros(RATE, np.float32)])
    assert where(drawn(exchange(sounds=(Sound(samples, RATE), sweep(1.0)))), RED)[46, LEFT:].all()


@pytest.mark.parametrize("flac", [b"", b"fLaC damaged", encode_flac(tone(1.0))[:2000]], ids=["none", "damaged", "cut"])
def test_what_cannot_be_decoded_is_framed_in_red_and_the_rest_is_drawn(flac: bytes) -> None:
    sample = exchange()
    image = tile("k", {**sample.media, "instruction.flac": flac}, sample.record)

    assert where(image, RED)[46, LEFT:].all()
    assert heights(image, RESPONSE).max() > WAVE / 4


# ---- any sample ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.00005, 0.02, 0.5, 10.0, 60.0])
@pytest.mark.parametrize(
    "text", ["Why?", "a word " * 100, "x" * 2000, "好 é 🐕"], ids=["short", "words", "word", "far"]
)
def test_speech_of_any_length_and_any_text_can_be_drawn(seconds: float, text: str) -> None:
    image = drawn(exchange("k" * 80, said=(text, text), sounds=(tone(seconds), tone(1.0))))

    assert image.width == WIDTH
    assert image.crop((0, image.height - 3, WIDTH, image.height)).getcolors(1) is not None, "cut at its foot"


def test_the_same_sample_gives_the_same_picture() -> None:
    assert drawn(exchange()).tobytes() == drawn(exchange()).tobytes()


@pytest.mark.slow
def test_speech_of_espeak_is_drawn_and_nothing_is_wrong_with_it() -> None:
    with Espeak() as speaker:
        sounds = (speaker.speak("Why?", "en-us"), speaker.speak("Because it rained all night long.", "en-gb+f3"))

    image = drawn(exchange(sounds=sounds))

    assert not where(image, RED).any()
    for colour in (INSTRUCTION, RESPONSE):
        assert heights(image, colour).max() > WAVE / 5
