"""Manifests as NeMo writes them: a JSON object a line, with `audio_filepath`, `text`, `offset` and `duration`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders.sources.pairs import key_of, text
from builders.sources.pairs_text import json_rows
from builders.sources.speech_rows import (
    Rows,
    SpeechFields,
    as_text,
    audio_folder,
    further_of,
    told_name,
    without_extension,
)
from builders.step import Record

if TYPE_CHECKING:
    from builders.uri import Place

FILE = "audio_filepath"
_NAMES = {
    "text": ("text",),
    "speaker": ("speaker", "speaker_id"),
    "language": ("language", "lang"),
    "license": ("license",),
}
"""Names that are looked for, in order, where a field is not given."""


def list_manifest(path: Place, fields: SpeechFields, limit: int | None) -> Rows:
    """JSON lines. Paths start from the manifest's folder, or `source.audio`; absolute ones must lie inside.

    A key is the audio's path, and where an offset is given the milliseconds at which the piece starts and ends.
    """
    raw = path.read_bytes()
    folder = audio_folder(fields, path.parent)
    table: list[dict[str, Any]] = []
    found: list[Record] = []
    for row in json_rows(raw):
        if len(found) == limit:
            break
        table.append(row if isinstance(row, dict) else {})
        found.append(_utterance(row, folder, fields) if isinstance(row, dict) else {"key": None, "_problem": row})
    used = {name for what in _NAMES for name in _names(what, fields)}
    further, nested = further_of(table, used | {FILE, "offset", "duration"}, cells=False)
    told = {"manifest": path.name, **({"columns left out (nested)": ", ".join(nested)} if nested else {})}
    sha256 = hashlib.sha256(raw).hexdigest()
    return Rows("manifest", folder, found, sha256, told, f"leave one of the lines of {path.name} out", further)


def _utterance(row: Mapping[str, Any], folder: Place, fields: SpeechFields) -> Record:
    file = row.get(FILE)
    if not isinstance(file, str) or not file:
        problem = f"no_audio: its {FILE} is {repr(file)[:80]}" if file else f"no_audio: it has no {FILE}"
        return {"key": None, "_problem": problem}
    file = inside(str(text(file)), folder)
    record: Record = {"audio_file": file, **told_by(row, fields)}
    for column, name in (("audio_start", "offset"), ("audio_seconds", "duration")):
        value = row.get(name)
        if value is not None and not _is_time(value):
            record["_problem"] = f"bad_{name}: {repr(value)[:80]} is no time in seconds"
        elif value:
            record[column] = float(value)
        elif value is not None and name == "duration":
            record["_problem"] = "bad_duration: it is 0"
    key = without_extension(file)
    if "_problem" not in record and row.get("offset") is not None:
        start = record.get("audio_start", 0.0)
        end = start + record["audio_seconds"] if record.get("audio_seconds") else None
        key += f"-{round(start * 1000)}-{'end' if end is None else round(end * 1000)}"
    return {"key": key_of(key), **record}


def told_by(row: Mapping[str, Any], fields: SpeechFields) -> Record:
    """The text, speaker, language and licence that a JSON object tells, or its `_problem`."""
    values = {what: [row.get(name) for name in _names(what, fields)] for what in _NAMES}
    (said,) = values.pop("text")
    named = {what: next(filter(None, map(told_name, found)), None) for what, found in values.items()}
    return named | as_text(said)


def _names(what: str, fields: SpeechFields) -> tuple[str, ...]:
    given = getattr(fields, what, None)
    return (given,) if given else _NAMES[what]


def inside(file: str, folder: Place) -> str:
    """An absolute path as one from `folder` on, where it lies inside; any other as it is."""
    if not isinstance(folder, Path):
        return file.removeprefix(f"{folder.address.scheme}://{folder.path}/")
    if not Path(file).is_absolute():
        return file
    for root in (folder.absolute(), folder.resolve()):
        if Path(file).is_relative_to(root):
            return Path(file).relative_to(root).as_posix()
    return file


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e7
