"""The tile of a chain of modality: what is heard and what stands for it, one below the other on one scale of time.

Needs what decodes FLAC, which a reader alone does not bring: `builders.cards.sheet` imports it where it draws speech.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from builders.cards.bands import BAND, WIDTH, draw_band
from builders.cards.lettering import COLOURS, GREY, font, words, write
from builders.cards.spoken import SIDES, counted, unit_ids
from builders.speech.audio import Sound, UnreadableAudio, decode
from builders.speech.checks import FULL, AudioLimits, measure
from builders.step import Rejected

BAD = "#e60000"
"""The colour of what should not be: clipped, silent, or not to be read."""
WAVE = 96
"""Pixels from 1 to -1."""
LEFT = 20
"""Pixels of the scale's numbers before the wave."""
_ROOM = WIDTH - LEFT
_MARK = 5
"""Pixels of the red marks over what is clipped."""
_LINES = 5
"""Of each side's text, at most."""
_TALL = 1000
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120)
_TICKS = 10
"""On a scale of seconds, at most."""


def tile(key: str, media: dict[str, bytes], record: dict[str, Any]) -> Image.Image:
    """Instruction and response: measures, wave, seconds, units as wide as they last, and text; as wide as WIDTH."""
    whole = Image.new("RGB", (WIDTH, _TALL), "white")
    draw = ImageDraw.Draw(whole)
    y = write(draw, 0, words(f"{key}  {record['form']}", GREY), WIDTH, 2, 12)
    for side, colour in zip(SIDES, (COLOURS[1], COLOURS[4]), strict=True):
        y = _side(draw, y, side, colour, media[f"{side}.flac"], record)
    return whole.crop((0, 0, WIDTH, round(y)))


def _side(draw: ImageDraw.ImageDraw, y: float, side: str, colour: str, flac: bytes, record: dict[str, Any]) -> float:
    ids, durations = unit_ids(record[f"{side}_units"]), record[f"{side}_durations"]
    sound = _heard(flac)
    told, wrong = _measures(sound)
    seconds = sound.seconds if isinstance(sound, Sound) else record[f"{side}_seconds"]
    head = f"{record[f'{side}_voice']}  {told}{counted(len(ids), 'unit')}  "
    measures = [*words(f"{side}  ", colour), *words(head, GREY), *words(wrong, BAD)]
    y = write(draw, y, measures, WIDTH, 3) + _MARK + 1
    _scale(draw, y)
    if isinstance(sound, Sound):
        _wave(draw, y, sound.samples, colour)
    if wrong:
        draw.rectangle((LEFT, y, WIDTH - 1, y + WAVE), outline=BAD)
    y = _seconds(draw, y + WAVE, seconds)
    ends = np.cumsum([0, *durations]) / record["unit_hz"] * _ROOM / seconds
    draw_band(draw, y, ids, (LEFT + np.minimum(ends, _ROOM)).tolist())
    return write(draw, y + BAND + 4, words(record[side]), WIDTH, _LINES) + 8


def _heard(flac: bytes) -> Sound | str:
    """The sound, or why there is none."""
    try:
        sound = decode(flac)
    except UnreadableAudio as error:
        return f"unreadable: {error}"
    return sound.reason.replace("_", " ") if isinstance(sound, Rejected) else sound


def _measures(sound: Sound | str) -> tuple[str, str]:
    """What a sound measures, and what is wrong with it."""
    if isinstance(sound, str):
        return "", sound
    found, limits = measure(sound), AudioLimits()
    wrong = []
    if clipped := int((np.abs(sound.samples) >= FULL).sum()):
        wrong.append(f"{counted(clipped, 'sample')} clipped")
    if found["rms_db"] < limits.min_rms_db:
        wrong.append("silent")
    elif found["silence"] > limits.max_silence:
        wrong.append("mostly silent")
    told = f"{found['seconds']:.2f} s  {found['rms_db']:.1f} dB RMS  peak {found['peak']:.2f}  "
    return told, ", ".join(wrong)


def _scale(draw: ImageDraw.ImageDraw, y: float) -> None:
    """The ground that a wave is drawn on, from 1 to -1 with a line at 0."""
    draw.rectangle((LEFT, y, WIDTH - 1, y + WAVE), fill="#f4f4f4")
    for number, at in (("1", y), ("0", y + WAVE / 2), ("-1", y + WAVE)):
        draw.line((LEFT, at, WIDTH - 1, at), fill="#bbbbbb")
        draw.text((LEFT - 4, at), number, fill=GREY, font=font(10), anchor="rm")


def _wave(draw: ImageDraw.ImageDraw, y: float, samples: np.ndarray, colour: str) -> None:
    """A column from the highest to the lowest of its samples, joined to the column before; red where one is clipped,
    with a mark above."""
    starts = np.arange(_ROOM) * len(samples) // _ROOM
    before = samples[np.maximum(starts - 1, 0)]
    high = np.maximum(np.maximum.reduceat(samples, starts), before)
    low = np.minimum(np.minimum.reduceat(samples, starts), before)
    for i, (top, bottom) in enumerate(zip(high.tolist(), low.tolist(), strict=True)):
        x, clipped = LEFT + i, max(top, -bottom) >= FULL
        places = [y + WAVE / 2 * (1 - value) for value in (top, bottom)]
        draw.line((x, places[0], x, places[1]), fill=BAD if clipped else colour)
        if clipped:
            draw.rectangle((x - 1, y - _MARK, x + 1, y - 1), fill=BAD)


def _seconds(draw: ImageDraw.ImageDraw, y: float, seconds: float) -> float:
    """The scale below a wave, its numbers inside the tile. Returns where it ends."""
    step = next((step for step in _STEPS if seconds / step <= _TICKS), seconds)
    for i in range(int(seconds / step) + 1):
        x = LEFT + min(i * step / seconds * _ROOM, _ROOM - 1)
        draw.line((x, y + 1, x, y + 4), fill=GREY)
        number = f"{i * step:.3g} s"
        left = min(
            max(x - draw.textlength(number, font=font(10)) / 2, LEFT), WIDTH - draw.textlength(number, font=font(10))
        )
        draw.text((left, y + 4), number, fill=GREY, font=font(10))
    return y + 19
