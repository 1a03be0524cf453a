"""Samples of speech as a build makes them: exchanges with their sounds, packed turns, and datasets of both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from builders import rows
from builders.cards.sheet import Shown
from builders.shards.dataset import Claim, read_markers, write_claim
from builders.shards.finish import finish
from builders.shards.store import Store
from builders.shards.unit import Layout, Member, commit_unit
from builders.speech.audio import Sound, encode_flac
from builders.speech.crossmodal import Turn, render_turn
from builders.speech.templates import Form, render
from builders.speech.units import Units, merge
from tests.toy_recipe import CONTENT, RECIPE

RATE = 22_050
UNIT_HZ = 100.0


def tone(seconds: float, peak: float = 0.5, hz: float = 2000.0) -> Sound:
    """High enough that each column of a picture holds a whole swing."""
    times = np.arange(max(round(seconds * RATE), 1)) / RATE
    return Sound((peak * np.sin(2 * np.pi * hz * times)).astype(np.float32), RATE)


def sweep(seconds: float, peak: float = 0.5) -> Sound:
    """From 100 Hz up to 4,000."""
    times = np.arange(round(seconds * RATE)) / RATE
    turns = 100 * times + 3900 / seconds * times**2 / 2
    return Sound((peak * np.sin(2 * np.pi * turns)).astype(np.float32), RATE)


def some_units(sound: Sound, hold: int = 3) -> Units:
    """A unit for every `hold` frames of the sound, no two neighbours equal."""
    return merge([i // hold % 89 for i in range(int(sound.seconds * UNIT_HZ))])


def exchange(
    key: str = "k",
    form: Form = "s2s",
    said: tuple[str, str] = ("Why?", "Because it rained."),
    sounds: tuple[Sound, Sound] | None = None,
    units: tuple[Units, Units] | None = None,
) -> Shown:
    """A sample of a chain of modality."""
    sounds = sounds or (tone(0.5), sweep(2.0))
    units = units or (some_units(sounds[0]), some_units(sounds[1]))
    record: dict[str, Any] = {"id": key, "form": form, "unit_hz": UNIT_HZ}
    media = {}
    voices = ("en-us", "en-gb+f3")
    for side, text, sound, row, voice in zip(("instruction", "response"), said, sounds, units, voices, strict=True):
        record |= {side: text, f"{side}_units": str(row), f"{side}_durations": list(row.durations)}
        record |= {f"{side}_voice": voice, f"{side}_seconds": round(sound.seconds, 4)}
        media[f"{side}.flac"] = encode_flac(sound)
    record["text"] = render(form, str(units[0]), *said, str(units[1]))
    return Shown(key, media, record)


def turn(
    key: str, task: str = "asr", text: str = "Hello there.", units: str = "<sosp><5><7><5><eosp>"
) -> dict[str, Any]:
    instruction = "What is said here?" if task == "asr" else "Say this aloud."
    return {"key": key, "task": task, "instruction": instruction, "text": text, "units": units, "seconds": 1.25}


def packed(*turns: dict[str, Any]) -> Shown:
    """A sample of cross-modal turns; its key is the first one's."""
    text = "".join(render_turn(Turn(one["task"], one["instruction"], one["units"], one["text"])) for one in turns)
    return Shown(turns[0]["key"], {}, {"text": text, "turns": list(turns)})


def built(folder: Path, samples: Sequence[Shown], parents: Mapping[str, str] | None = None) -> Store:
    """A finished dataset of one unit. Exchanges are children of `parents`, packs of the keys of their turns."""
    inputs = sorted({(parents or {}).get(one.key, one.key) for one in samples})
    made, members = [], [*samples[0].media, "json"]
    fields = [("key", pa.string()), *((name, pa.large_binary()) for name in members)]
    for one in samples:
        made.append({"key": one.key, **one.media, "json": json.dumps(one.record).encode()})
        if "turns" in one.record:
            made[-1]["parents"] = [told["key"] for told in one.record["turns"]]
    if "turns" in samples[0].record:
        fields.append(("parents", pa.list_(pa.string())))
    store = Store(folder)
    claim = Claim({"recipe": CONTENT, "inputs": {}, "models": {}}, (len(inputs),))
    write_claim(store, claim)
    table = rows.begin(pa.Table.from_pylist(made, pa.schema(fields)), 0)
    names = [(parents or {}).get(one.key, one.key) for one in samples]
    table = table.set_column(table.column_names.index(rows.PARENT), rows.PARENT, pa.array(names, pa.string()))
    places = pa.array([inputs.index(name) for name in names], pa.int64())
    table = table.set_column(table.column_names.index(rows.ROW), rows.ROW, places)
    layout = Layout(tuple(Member(name, name) for name in members))
    commit_unit(store, 0, len(inputs), table, layout, {}, content_hash=claim.hash)
    finish(
        store, claim, read_markers(store), {**RECIPE, "kind": "speech_chain"}, {"seconds": 1.0}, {"inputs": len(inputs)}
    )
    return store
