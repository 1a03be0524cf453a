"""The step that reads an utterance: its audio, encoded, and its text."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar

import pyarrow as pa

from builders.places.several import each
from builders.speech.audio import MAX_BYTES, SLACK, UnreadableAudio, decode, encode_flac, header
from builders.step import Failed, Record, Rejected, Result, Services

if TYPE_CHECKING:
    from builders.uri import Place


@dataclass
class ReadUtterance:
    """Adds `_audio`, the source's own bytes, and `text`, on one line (null: there is none).

    A piece of a recording becomes FLAC: 16 bit, mono, at its rate; a told length within SLACK of the file's means all
    of it. A missing file has failed, and can be tried again. `needs_text`: an utterance without is rejected.
    """

    folder: Place
    needs_text: bool = True
    name: ClassVar = "read_utterance"
    reads: ClassVar = ("_problem", "_text", "_bytes", "audio_file", "audio_start", "audio_seconds")
    adds: ClassVar = {"_audio": pa.large_binary(), "text": pa.string()}

    def setup(self, services: Services) -> None:
        self._root = self.folder.resolve()

    def __call__(self, records: list[Record]) -> list[Result]:
        return list(each(self._root, records, self._read))

    def _read(self, record: Record) -> Result:
        if record["_problem"]:
            reason, _, detail = record["_problem"].partition(": ")
            return Rejected(reason, detail)
        text = " ".join((record["_text"] or "").split())
        if self.needs_text and not text:
            return Rejected("no_text", "there is none")
        control = next((c for c in text if unicodedata.category(c) == "Cc"), None)
        if control is not None and self.needs_text:
            return Rejected("control_character", f"U+{ord(control):04X} at character {text.index(control)}")
        audio = record["_bytes"] if record["_bytes"] is not None else self._audio(record)
        return audio if isinstance(audio, Rejected) else {"_audio": audio, "text": text or None}

    def _audio(self, record: Record) -> bytes | Rejected:
        path = inside(self._root, record["audio_file"])
        if isinstance(path, Rejected):
            return path
        if not path.exists():
            return Failed("missing_audio", f"{record['audio_file']} is not there")
        with path.open("rb") as file:
            try:
                piece = _piece(file, record["audio_start"] or 0.0, record["audio_seconds"])
            except UnreadableAudio as error:
                return Failed("unreadable_audio", str(error))
            if piece is not None:
                return piece
            file.seek(0)
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            return Rejected("audio_too_large", f"{record['audio_file']} has over {MAX_BYTES:,} bytes")
        return data


def _piece(file: BinaryIO, start: float, seconds: float | None) -> bytes | Rejected | None:
    """Encoded anew; None where all of the file is meant."""
    if not start:
        if seconds is None:
            return None
        told = header(file).seconds
        if told is not None and abs(told - seconds) <= SLACK:
            return None
        file.seek(0)
    sound = decode(file, start, seconds)
    return sound if isinstance(sound, Rejected) else encode_flac(sound)


def inside(root: Place, file: str) -> Place | Rejected:
    """The path of a file in the folder `root` (resolved): neither a pipe, which would block, nor a link out of it."""
    path = root / file
    if not isinstance(path, Path) or not isinstance(root, Path):
        return path  # on an object store there are files alone
    if not path.resolve().is_relative_to(root):
        return Rejected("bad_audio_path", f"{file} links out of the folder of the audio")
    if path.exists() and not path.is_file():
        return Rejected("not_a_file", f"{file} is no regular file")
    return path
