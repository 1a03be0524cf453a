"""Speech from text by espeak-ng, which the package espeakng-loader carries: no system package, no weights, no network.

The samples depend on text, voice, rate and pitch alone, whatever was spoken before and in whichever process (see
espeak_process.py).
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import unicodedata
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from builders.speech.audio import Sound
from builders.speech.speak import Utterance
from builders.step import Failed, Rejected, Services
from schemas.errors import BuildError, UserError

SECONDS_MAX = 600
"""Of one speech."""
_CHARS_MAX = 15_000
"""In UTF-8 they fit into a pipe: a request is never waited for."""
_TIME_MAX, _GRACE = 60, 30
"""Seconds that one text may take, hundreds of times what a long one does, and after which a process has hung."""
_RATE = 22_050
_SCRIPT = Path(__file__).with_name("espeak_process.py")


@cache
def _installed() -> Path:
    spec = importlib.util.find_spec("espeakng_loader")
    if spec is None or spec.origin is None:
        raise UserError("tts.kind: espeak needs the package espeakng-loader; pip install 'gristmill[build]'")
    return Path(spec.origin).parent


@cache
def languages() -> dict[str, str]:
    """Languages that can be spoken, as in "en-gb", and the file of espeak-ng's data that each is spoken from."""
    folder = _installed() / "espeak-ng-data" / "lang"
    ranked: list[tuple[int, str, str]] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        ranked.append((0, path.name.lower(), name))
        for code, rank in re.findall(r"^language\s+(\S+)(?:[ \t]+(\d+))?", path.read_text("utf-8"), re.MULTILINE):
            ranked.append((int(rank or 5), code.lower(), name))  # espeak-ng's rank: 1 is best, 5 where none is given
    return {code: name for _, code, name in sorted(ranked, reverse=True)}


@cache
def variants() -> tuple[str, ...]:
    """What may follow a language and "+": other speakers, as in "en-us+f3"."""
    return tuple(sorted(path.name for path in (_installed() / "espeak-ng-data" / "voices" / "!v").iterdir()))


def find_voice(voice: str) -> str:
    """A voice ("en-us", "en-gb+f3") as the library names it. Raises UserError where there is none of that name."""
    language, _, variant = voice.partition("+")
    found = languages().get(language.lower())
    if found is None:
        near = [code for code in sorted(languages()) if code.split("-")[0] == language.lower().split("-")[0]]
        some = ", ".join(near or ("en-us", "en-gb", "de", "fr", "es"))
        raise UserError(f"tts.voices: espeak has no voice {voice!r}; there are {some} and others")
    if "+" in voice and variant not in variants():
        some = ", ".join(("f1", "f2", "f3", "m1", "m2", "m3"))
        raise UserError(f"tts.voices: espeak has no variant {variant!r} for {voice!r}; there are {some} and others")
    return found + voice[len(language) :]


@dataclass
class Espeak:
    """An Engine (see builders/speech/speak.py) of 22,050 Hz. Only a worker that speaks has the process.

    `rate`: words/min, 80..450; `pitch`: 0..99.
    """

    voices: Sequence[str] = ("en-us",)
    rate: int = 175
    pitch: int = 50
    _process: _Process | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, services: Services) -> None:
        """Starts the process. Raises UserError for a voice that is not there, BuildError where espeak cannot run."""
        for voice in self.voices:
            find_voice(voice)
        self._process = self._process or _Process()

    def language(self, voice: str) -> str:
        return voice.partition("+")[0]

    def utter(self, utterances: Sequence[Utterance]) -> list[Sound | Rejected]:
        return [self._utter(one.text, one.voice) for one in utterances]

    def _utter(self, text: str, voice: str) -> Sound | Rejected:
        try:
            return self.speak(text, voice)
        except ValueError as error:
            return Failed("not_spoken", str(error))

    def speak(self, text: str, voice: str) -> Sound:
        """Plain text: tags, entities, phonemes and control characters are no commands.

        Raises ValueError where espeak has no speech of it, RuntimeError where its process died twice.
        """
        if len(text) > _CHARS_MAX:
            raise ValueError(f"espeak: {len(text)} characters; {_CHARS_MAX} at most")
        request = {"text": _plain(text), "voice": find_voice(voice), "rate": self.rate, "pitch": self.pitch}
        for _ in range(2):
            self._process = self._process or _Process()
            try:
                samples = self._process.ask(request | {"seconds": _TIME_MAX})
            except (OSError, EOFError):
                self.close()
                continue
            return Sound(np.frombuffer(samples, "<i2").astype(np.float32) / 32768, _RATE)
        raise RuntimeError("espeak's process died, and again in a new one")

    def close(self) -> None:
        """Ends the process; the next text starts another."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def __enter__(self) -> Espeak:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_process": None}


def _plain(text: str) -> str:
    """Control characters, private ones and what is none are spaces: espeak-ng takes some of them for commands."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Co", "Cs", "Cn") and c != "\n" else c for c in text)


class _Process:
    """A running espeak_process.py. It ends with its input, so with this process at the latest."""

    def __init__(self) -> None:
        folder = _installed()
        library = folder / ("libespeak-ng.dylib" if sys.platform == "darwin" else "libespeak-ng.so")
        arguments = [str(library), str(folder / "espeak-ng-data"), str(2 * _RATE * SECONDS_MAX)]
        self.running = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={},  # no locale, no secrets
            start_new_session=True,  # Ctrl-C is for the build, which then ends this
        )
        self._finalize = weakref.finalize(self, _end, self.running)
        try:
            hello, _ = self._answer()
        except (OSError, EOFError):
            hello = {"error": "its process ended at the start"}
        if hello.get("rate") != _RATE:
            self.close()
            raise BuildError(f"tts.kind: espeak does not run here: {hello.get('error', hello)}")

    def ask(self, request: dict[str, Any]) -> bytearray:
        """Samples as bytes. Raises ValueError where there are none, OSError or EOFError where the process is gone."""
        body = json.dumps(request, ensure_ascii=False).encode()
        assert self.running.stdin is not None
        whole = memoryview(len(body).to_bytes(4, "big") + body)
        while whole:
            whole = whole[self.running.stdin.write(whole) :]
        answer, samples = self._answer()
        if "error" in answer:
            raise ValueError(f"espeak: {answer['error']}")
        return samples

    def _answer(self) -> tuple[dict[str, Any], bytearray]:
        until = time.monotonic() + _TIME_MAX + _GRACE
        head = json.loads(self._read(int.from_bytes(self._read(4, until), "big"), until))
        return cast(dict[str, Any], head), self._read(head.get("bytes", 0), until)

    def _read(self, count: int, until: float) -> bytearray:
        got = bytearray(count)
        left = memoryview(got)
        pipe = cast(Any, self.running.stdout)
        waiting = select.poll()
        waiting.register(pipe, select.POLLIN)
        while left:
            if not waiting.poll(max(0.0, until - time.monotonic()) * 1000):
                raise TimeoutError("espeak's process hangs")
            size = pipe.readinto(left)
            if not size:
                raise EOFError("espeak's process ended")
            left = left[size:]
        return got

    def close(self) -> None:
        self._finalize()


def _end(running: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)  # and the child that speaks; nothing is lost
    running.wait()
    for pipe in (running.stdin, running.stdout):
        if pipe is not None:
            pipe.close()
