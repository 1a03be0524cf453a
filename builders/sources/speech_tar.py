"""WebDataset tars of speech: neighbours that share a name up to its first "." are one utterance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from builders.sources.pairs import Listed, Pairs, check_unchanged, decoded, finish, key_of
from builders.sources.pairs_tar import TEXT_MAX, Tars, list_samples, member, opened_tars
from builders.sources.speech_manifest import told_by
from builders.sources.speech_rows import AUDIO, SPEECH, SpeechFields, weight
from builders.speech.audio import MAX_BYTES
from builders.step import Record

if TYPE_CHECKING:
    from builders.uri import Place

_SLOTS = {"txt": "txt", "json": "json", **dict.fromkeys(AUDIO, "audio")}


@dataclass(frozen=True)
class LoadSpeechTar:
    """Reads members at their offsets. Raises BuildError where a tar is not as it was listed."""

    files: tuple[Place, ...]
    sizes: tuple[int, ...]
    fields: SpeechFields

    def __call__(self, listed: pa.Table) -> list[Record]:
        rows = listed.to_pylist()
        used = sorted({row["audio"]["file"] for row in rows if row["audio"]})
        check_unchanged([self.files[i] for i in used], [self.sizes[i] for i in used])
        with opened_tars(self.files, used) as tars:
            return [self._record(row, tars) for row in rows]

    def _record(self, row: dict[str, Any], tars: Tars) -> Record:
        record: Record = {"audio_file": row["audio_name"]}
        if row["_problem"]:
            return record
        said, told = (member(tars, row[slot]) if row[slot] else None for slot in ("txt", "json"))
        return {**record, **_words(said, told, self.fields), "_bytes": member(tars, row["audio"])}


def open_speech_tars(files: list[Place], fields: SpeechFields, unit: int, limit: int | None) -> Pairs:
    """List the utterances of tars from their headers. Raises UserError for a tar that is none, packed, or cut off.

    Of a sample's members one audio, `.txt` and `.json` are used; `.txt` not where `source.text` names a JSON field.
    """
    found = list_samples(files, _SLOTS, "audio", bool(fields.text), limit)
    listed = Listed(
        keys=[key_of(one["name"]) for one in found.samples],
        columns=found.columns("audio"),
        problems=[_problem(one) for one in found.samples],
        media=[weight(one["file_name"], one["audio"]["size"]) if "audio" in one else 0 for one in found.samples],
        files=None,
        sha256={"source.path": found.sha256},
        told={"kind": "webdataset", "tars": len(files), "members not used": found.unused},
        mend="rename the samples, or give each shard its own build",
    )
    load = LoadSpeechTar(tuple(files), tuple(path.stat().st_size for path in files), fields)
    return finish(listed, files[0].parent, load, unit, {}, SPEECH)


def _problem(one: Mapping[str, Any]) -> str | None:
    if "problem" in one:
        return str(one["problem"])
    if "audio" not in one:
        return "no_audio: the sample has none"
    if one["audio"]["size"] > MAX_BYTES:
        return f"audio_too_large: over {MAX_BYTES:,} bytes"
    long = next((slot for slot in ("txt", "json") if slot in one and one[slot]["size"] > TEXT_MAX), None)
    return f"text_too_large: its .{long} has over {TEXT_MAX:,} bytes" if long else None


def _words(said: bytes | None, told: bytes | None, fields: SpeechFields) -> Record:
    """What a sample's text file and its JSON tell, either of which may be missing (None)."""
    record: Record = {}
    if told is not None:
        try:
            row = json.loads(told.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            return {"_problem": f"bad_json: {type(error).__name__}: {error}"}
        if not isinstance(row, dict):
            return {"_problem": "bad_json: not an object"}
        record = told_by(row, fields)
    if said is None:
        return record
    return {name: value for name, value in record.items() if name != "_problem"} | as_said(said)


def as_said(data: bytes) -> Record:
    """`_text` of a text file's bytes, or the `_problem` of them."""
    found = decoded(data)
    if "_problem" in found:
        return {"_problem": str(found["_problem"]).replace("the caption", "the text")}
    return {"_text": found["_caption"]}
