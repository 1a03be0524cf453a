"""(h) Speech: units against a bare loop, a whole build against a script, hours of audio per hour, espeak, memory.

"Steps" are those of the build, `CheckAudio` and `ToUnits` under the engine, from the bytes of a file to units in Arrow;
the bare loop (benchmarks/speech_bare.py) decodes, resamples, computes mfcc and finds the nearest centres by the same
libraries, and does no more: no limits, no levels, no hashes. "ToUnits" is the same from samples at 16 kHz. Both in
seconds of this process's CPU, which other work on the machine disturbs less, and by the clock. The captions are spoken
by espeak, once as LJSpeech's files (WAV, 22 kHz) and once as LibriSpeech's (FLAC, 16 kHz); one thread.

"Whole" is a cross-modal build through Ray on one CPU, packed, with shards and index, against the bare loop as a process
over the same files; that both found the same units is checked. HuBERT has the base model's size (mHuBERT's) and random
weights; the bare loop calls the very model, cut off after the same layer, utterance by utterance. espeak is the step
`SpeakText`, voices drawn, texts checked, FLAC written, against bare requests to the very process, answers left as they
come.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
from threadpoolctl import threadpool_limits

from benchmarks.bare import NoCounters
from benchmarks.engine import Contest
from benchmarks.measure import Row, compare, interleave
from benchmarks.memory import grown, peaks
from benchmarks.speech_bare import Bare
from benchmarks.speech_inputs import VOICES, base_hubert, fitted, ljspeech, speech, texts
from builders import rows
from builders.shards.store import Store
from builders.speech.audio import Sound, resample, sound_of, wave_of
from builders.speech.checks import CheckAudio
from builders.speech.espeak import Espeak
from builders.speech.extract import HubertLayer, Mfcc
from builders.speech.features import RATE
from builders.speech.hubert import find_hubert
from builders.speech.speak import SpeakText, Utterance
from builders.speech.steps import ToUnits
from builders.speech.units import distance, merge, parse_units
from builders.speech.vocabulary import Vocabulary, save_vocabulary
from builders.step import Services, Step
from pipelines.work import run_steps

K = 100
PIECE = 8
"""Utterances of a round: short rounds, so that a disturbance falls on all alike."""
ROUNDS = 41
UTTERANCES = 2_000
WHOLE_ROUNDS = 3
MEMORY = (200, 2_000)
UNIT = 100
LAYER = 11
_BUILD = """
import ray, sys
from pathlib import Path
from builders.shards.store import Store
from pipelines.kinds import make_dag
from pipelines.run import build
from schemas.load import load_recipe
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
recipe = load_recipe(Path(sys.argv[1]))
build(recipe, make_dag(recipe), Store(sys.argv[2]))
ray.shutdown()
"""

Contenders = Mapping[str, Callable[[int], object]]
Seconds = dict[str, list[float]]


def main() -> list[Row]:
    """The rows of this benchmark."""
    spoken = list(speech(60))
    sounds = [sound for _, sound in spoken]
    vocabulary = fitted(sounds, K)
    piece = spoken[:PIECE]
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        folder = Path(name)
        found = [*steps(piece, vocabulary), *hubert(folder / "hubert", sounds), *espeak()]
        prepare(folder, vocabulary)
        return [*found, *whole(folder), *memory(folder)]


def timed(contenders: Contenders, rounds: int) -> tuple[Seconds, Seconds]:
    """Of each round, the seconds of this process's CPU and those of the clock."""
    clock: Seconds = {name: [] for name in contenders}

    def both(name: str) -> Callable[[int], float]:
        def run(turn: int) -> float:
            began, cpu = time.perf_counter(), time.process_time()
            told = contenders[name](turn)
            cpu = told if isinstance(told, float) else time.process_time() - cpu
            clock[name].append(time.perf_counter() - began)
            return cpu

        return run

    cpu = interleave({name: both(name) for name in contenders}, rounds)
    return cpu, {name: seconds[1:] for name, seconds in clock.items()}  # the first round is not measured


def steps(piece: list[tuple[str, Sound]], vocabulary: Vocabulary) -> list[Row]:
    """Units of mfcc, from files of two kinds and from samples."""
    bare, found = Bare(vocabulary), []
    seconds = sum(sound.seconds for _, sound in piece)
    for name, kind, rate in (("WAV, 22 kHz", "WAV", 22_050), ("FLAC, 16 kHz", "FLAC", RATE)):
        files = [_encoded(resample(sound, rate), kind) for _, sound in piece]
        table = _table(_audio=pa.array(files, pa.large_binary()), text=[text for text, _ in piece])
        chain = (CheckAudio(), ToUnits(Mfcc(), vocabulary))
        contenders = {
            "engine": _run(table, *chain),
            "bare": lambda _, files=files: [bare.units(file) for file in files],
        }
        found += _rows(f"steps, {name}", contenders, seconds, ROUNDS, (0.95, None))
    waves = [wave_of(sound, RATE) for _, sound in piece]
    samples = [sound_of(wave, RATE).samples for wave in waves]
    contenders = {
        "engine": _run(_table(_wave=pa.array(waves, pa.large_binary())), ToUnits(Mfcc(), vocabulary)),
        "bare": lambda _: [bare.of(one) for one in samples],
    }
    return [*found, *_rows("ToUnits (mfcc) alone", contenders, seconds, ROUNDS, (0.95, None))]


def hubert(folder: Path, sounds: list[Sound]) -> list[Row]:
    """Units of a base model, on one CPU thread, and on the GPU where there is one."""
    import torch

    base_hubert(folder)
    files = find_hubert(str(folder), LAYER)
    centres = np.random.default_rng(0).normal(size=(1000, files.dimensions)).astype(np.float32)
    vocabulary = Vocabulary(files.spec(), centres)
    found = []
    for device, count, rounds in (("cpu", 3, 7), *((("cuda", len(sounds), 9),) if torch.cuda.is_available() else ())):
        step = ToUnits(HubertLayer(files), vocabulary)
        step.setup(Services(NoCounters(), device))
        waves = [wave_of(sound, RATE) for sound in sounds[:count]]
        model = step.extractor._model  # the very model: two copies differ by where they lie in memory

        def bare(_: int, model: Any = model, waves: list[bytes] = waves, device: str = device) -> None:
            with torch.inference_mode():
                for wave in waves:
                    values = model._extractor(sound_of(wave, RATE).samples, sampling_rate=RATE, return_tensors="pt")
                    hidden = model._model(values["input_values"].to(device)).last_hidden_state[0]
                    merge(vocabulary.apply(hidden.cpu().numpy()))

        table = _table(_wave=pa.array(waves, pa.large_binary()))
        contenders = {"engine": _run(table, step), "bare": bare}
        seconds = sum(sound.seconds for sound in sounds[:count])
        targets = (0.95, None) if device == "cpu" else (None, 0.95)
        found += _rows(f"ToUnits (HuBERT base, layer {LAYER}), {device}", contenders, seconds, rounds, targets)
    return found


def espeak() -> list[Row]:
    """The step that speaks, against the process that it asks."""
    engine = Espeak(VOICES)
    step = SpeakText(engine, 0)
    with engine:
        step.setup(Services(NoCounters(), "cpu"))
        asked = [(f"{i:06d}", text) for i, text in enumerate(texts(40))]
        table = _table(text=[text for _, text in asked])
        requests = step.utterances([{"key": key, "text": text} for key, text in asked])
        assert engine._process is not None and len(requests) == len(asked)
        process, plain = engine._process, Espeak.speak

        def bare(_: int) -> None:
            for one in requests:
                process.ask(_request(engine, one))

        contenders = {"engine": _run(table, step), "bare": bare}
        clocked = {name: _with_child(call, process.running.pid) for name, call in contenders.items()}
        seconds = sum(plain(engine, one.text, one.voice).seconds for one in requests)
        return _rows("SpeakText (espeak)", clocked, seconds, 21, (0.8, None))


def prepare(folder: Path, vocabulary: Vocabulary) -> None:
    """The corpus, the vocabulary, and the recipes of the whole build and of the one that starts Ray."""
    save_vocabulary(vocabulary, Store(folder / "units"))
    ljspeech(folder / "corpus", UTTERANCES)
    for name, limit in (("first", 4), ("recipe", UTTERANCES), *((f"memory-{n}", n) for n in MEMORY)):
        recipe = {
            "kind": "speech_crossmodal",
            "source": {"path": str(folder / "corpus"), "limit": limit},
            "units": {"vocabulary": str(folder / "units")},
            "pack": {"max_length": 2048},
            "output": {"unit": UNIT if limit > UNIT else 2},
        }
        (folder / f"{name}.yaml").write_text(json.dumps(recipe))  # JSON is YAML


def whole(folder: Path) -> list[Row]:
    """A build through Ray, and the bare loop in a process."""
    contest = Contest(folder, 1, UTTERANCES)
    command = [sys.executable, "-m", "benchmarks.speech_bare", str(folder / "corpus"), str(folder / "units")]

    def bare(_: int) -> float:
        told = subprocess.run(
            [*command, str(folder / "bare.jsonl"), "0", "1"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            start_new_session=True,  # as Ray's workers are, see benchmarks/engine.py
            check=True,
        )
        return float(json.loads(told.stdout)["whole"])

    seconds = interleave({"engine": contest.engine, "bare": bare}, WHOLE_ROUNDS)
    _check_same(folder / "engine", folder / "bare.jsonl")
    audio = sum(soundfile.info(path).duration for path in (folder / "corpus" / "wavs").iterdir())
    what = f"whole build of {audio / 3600:.1f} h, one process"
    return [
        compare(what, seconds["engine"], seconds["bare"], audio, "× real time", 0.9),
        compare(f"{what}: steps", contest.steps["engine"][1:], seconds["bare"], audio, "× real time"),
    ]


def memory(folder: Path) -> list[Row]:
    """Peaks of builds of few and of many utterances, in units of one size."""
    small, large = (peaks(_BUILD, str(folder / f"memory-{n}.yaml"), str(folder / f"out-{n}")) for n in MEMORY)
    return grown(small, large, f"{MEMORY[1]:,} / {MEMORY[0]:,} utterances")


def _rows(
    what: str, contenders: Contenders, seconds: float, rounds: int, targets: tuple[float | None, float | None]
) -> list[Row]:
    """By CPU and by the clock; speeds as multiples of real time, which are hours of audio per hour and core."""
    cpu, clock = timed(contenders, rounds)
    return [
        compare(f"{what}: {unit}", took["engine"], took["bare"], seconds, "× real time", target)
        for unit, took, target in zip(("CPU", "clock"), (cpu, clock), targets, strict=True)
    ]


def _run(table: pa.Table, *chain: Step) -> Callable[[int], object]:
    """The steps under the engine; none may lose a record."""
    assert rows.live(run_steps(table, chain, 64)).true_count == len(table)
    return lambda _: run_steps(table, chain, 64)


def _table(**columns: Any) -> pa.Table:
    count = len(next(iter(columns.values())))
    return rows.begin(pa.table({"key": [f"{i:06d}" for i in range(count)], **columns}), 0)


def _encoded(sound: Sound, kind: str) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, sound.samples, sound.rate, format=kind, subtype="PCM_16")
    return out.getvalue()


def _request(engine: Espeak, one: Utterance) -> dict[str, Any]:
    from builders.speech.espeak import _TIME_MAX, find_voice

    voice = find_voice(one.voice)
    return {"text": one.text, "voice": voice, "rate": engine.rate, "pitch": engine.pitch, "seconds": _TIME_MAX}


def _with_child(call: Callable[[int], object], pid: int) -> Callable[[int], float]:
    """Seconds of CPU of this process, of another one, and of the children that it has waited for."""

    def other() -> float:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def run(turn: int) -> float:
        began = time.process_time() + other()
        call(turn)
        return time.process_time() + other() - began

    return run


def _check_same(dataset: Path, bare: Path) -> None:
    """The bare loop does not round samples to 16 bit, so a unit may differ here and there; more is another method."""
    theirs = {line["key"]: line["units"] for line in map(json.loads, bare.read_text().splitlines())}
    ours: dict[str, str] = {}
    for path in (dataset / "data").iterdir():
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                ours |= {turn["key"]: turn["units"] for turn in json.load(file)["turns"]} if file else {}
    apart = [distance(parse_units(units), parse_units(theirs[key])) for key, units in ours.items()]
    if len(ours) != len(theirs) or np.mean(apart) > 0.01:
        raise AssertionError(f"{len(ours)} of {len(theirs)} utterances, apart by {np.mean(apart):.3f}: no comparison")
