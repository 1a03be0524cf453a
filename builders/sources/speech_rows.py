"""What all sources of speech have in common: their columns, and how a list of utterances becomes a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from builders.places.sizes import Sizes
from builders.sources.pairs import Listed, Pairs, Shape, finish, outside, text
from builders.sources.pairs_table import carried, files_of
from builders.sources.pairs_text import LoadListed, typed
from builders.step import Record
from builders.uri import place_of
from schemas.errors import UserError
from schemas.speech import SpeechKind

if TYPE_CHECKING:
    from builders.uri import Place

AUDIO = ("wav", "flac", "mp3", "ogg", "opus")
"""Extensions of audio that is read."""
PIECE_BYTES = 96_000
"""Bytes that a second of a piece of a longer recording takes at most: 16-bit mono at 48 kHz."""

_UNPACKED = {"flac": 2, "mp3": 6, "ogg": 10, "opus": 10}
"""How many times the size of a file its samples come to at 16 kHz and 16 bit: MP3 of 40 kbit/s, Opus of 24."""

UTTERANCE = {
    "key": pa.string(),
    "_text": pa.string(),
    "_problem": pa.string(),
    "_bytes": pa.large_binary(),
    "audio_file": pa.string(),
    "audio_start": pa.float64(),
    "audio_seconds": pa.float64(),
    "speaker": pa.string(),
    "language": pa.string(),
    "license": pa.string(),
}
"""Columns of every utterance. `_bytes` is null where `audio_file`, relative to the source's folder, is read later: all
of it, or from `audio_start` on `audio_seconds` (null: to the end). `_text` is null where there is audio alone."""


@dataclass(frozen=True)
class SpeechFields:
    """What a recipe may say of a source, where the usual names do not do.

    audio: folder that audio paths start from, and may not leave; by default that of the list.
    text, speaker, language: the column or JSON field of each. LJSpeech has `text` and `normalised`, its default.
    names: folder: what the files' names tell, as "{text}_{speaker}_{take}"; `text` is told by a .txt beside otherwise.
    """

    audio: str | None = None
    text: str | None = None
    speaker: str | None = None
    language: str | None = None
    names: str | None = None


def _no_utterance(record: Record) -> str | None:
    if record.get("_bytes") is None and not record.get("audio_file"):
        return "no_audio: there is none"
    return None


SPEECH = Shape(UTTERANCE, _no_utterance)


@dataclass(frozen=True)
class Rows:
    """Utterances as a list tells them: `found` a record each, of UTTERANCE; `further` columns under their own names.

    `kind` and `told` are for `plan`. `mend` says what helps against repeated keys.
    """

    kind: SpeechKind
    folder: Place
    found: list[Record]
    sha256: str
    told: Mapping[str, int | str]
    mend: str
    further: Mapping[str, pa.Array]


def source_of(rows: Rows, unit: int) -> Pairs:
    """The source, cut into units of at most `unit` utterances."""
    for record in rows.found:
        file = record.get("audio_file")
        if problem := not_utf8(file) or stray(file):
            record.update(key=None, audio_file=text(file), _problem=problem)
    files = files_of(rows.folder, [record.get("audio_file") for record in rows.found])
    sizes = [size for _, size in filter(None, files)]
    speakers = {record.get("speaker") for record in rows.found} - {None}
    names = [name for name in UTTERANCE if name not in ("key", "_problem", "_bytes")]
    kinds = {name: UTTERANCE[name] for name in names}
    listed = Listed(
        keys=[record["key"] for record in rows.found],
        columns={
            **{name: pa.array([record.get(name) for record in rows.found], kind) for name, kind in kinds.items()},
            **{carried(name): values for name, values in rows.further.items()},
        },
        problems=[record.get("_problem") for record in rows.found],
        media=[_weight(record, file) for record, file in zip(rows.found, files, strict=True)],
        files=files,
        sha256={"source.path": rows.sha256},
        told={
            "kind": rows.kind,
            **rows.told,
            **({"speakers": len(speakers)} if speakers else {}),
            "utterances without text": sum(1 for record in rows.found if not record.get("_text")),
            "audio files that are missing": sum(1 for size in sizes if size is None),
        },
        mend=rows.mend,
    )
    further = {carried(name): values.type for name, values in rows.further.items()}
    return finish(listed, rows.folder, LoadListed(), unit, further, SPEECH)


def _weight(record: Record, file: tuple[str, int | None] | None) -> int:
    size = weight(file[0], file[1] or 0) if file else 0
    seconds = record.get("audio_seconds")
    return size if seconds is None else min(size, int(seconds * PIECE_BYTES))


def weight(file: str, size: int) -> int:
    """Bytes that an audio file of so many comes to in a unit, where its samples stand beside it."""
    return size * _UNPACKED.get(file.rpartition(".")[2].lower(), 1)


def not_utf8(file: str | None) -> str | None:
    """The problem of a path that Arrow cannot hold."""
    return None if text(file) == file else "bad_audio_path: the file's name is not UTF-8"


def stray(file: str | None) -> str | None:
    """The problem of a path that data names and that leaves the folder of the audio."""
    if file and outside(file):
        return f"bad_audio_path: {file!r} is no path inside the folder of the audio; see source.audio"
    return None


def as_text(value: Any) -> Record:
    """`_text` of what data gives as one (None: there is none), or the `_problem` of it."""
    if value is None:
        return {"_text": None}
    if not isinstance(value, str):
        return {"_problem": f"no_text: it is {repr(value)[:80]}"}
    told = text(value)
    return {"_text": told} if told == value else {"_problem": "broken_text: the text holds what is no character"}


def told_name(value: Any) -> str | None:
    """A speaker, language or licence: a text, or a number as one; None for what is no name."""
    return text(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


def lines_of(raw: bytes) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not blank; bytes that are no UTF-8 stay as lone surrogates."""
    whole = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    for number, line in enumerate(whole.split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def further_of(
    table: Sequence[Mapping[str, Any]], used: set[str], cells: bool
) -> tuple[dict[str, pa.Array], list[str]]:
    """Columns of a list beside the `used` ones, and the names of those left out, which are nested.

    `cells`: every value is a text, which may mean a number.
    """
    names = [name for name in dict.fromkeys(name for row in table for name in row) if name not in used]
    columns = {name: typed([row.get(name) for row in table], "csv" if cells else "jsonl") for name in names}
    shown = {str(text(name)): values for name, values in columns.items() if values is not None}
    return shown, [str(text(name)) for name, values in columns.items() if values is None]


def there(files: Sizes, names: Sequence[str]) -> str:
    """The first of several names that is a file; the first of all where none is, which is missing then."""
    return files.first([name for name in names if not outside(name)]) or names[0]


def audio_folder(fields: SpeechFields, own: Place) -> Place:
    """The folder that audio paths start from: `source.audio`, or the list's `own`. Raises UserError."""
    if fields.audio is None:
        return own
    folder = place_of(fields.audio, "source.audio")
    if not folder.is_dir():
        raise UserError(f"source.audio: {folder} is no folder")
    return folder


def without_extension(file: str) -> str:
    """A file's path without the extension of audio."""
    stem, dot, kind = file.rpartition(".")
    return stem if dot and kind.lower() in AUDIO else file
