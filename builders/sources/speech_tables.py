"""Transcripts as LJSpeech, LibriSpeech and Common Voice write them, the audio in files beside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from builders.places.sizes import Sizes
from builders.sources.pairs import key_of
from builders.sources.speech_rows import (
    AUDIO,
    Rows,
    SpeechFields,
    as_text,
    audio_folder,
    further_of,
    lines_of,
    stray,
    there,
    told_name,
    without_extension,
)
from builders.step import Record
from builders.uri import relative
from schemas.errors import UserError

if TYPE_CHECKING:
    from builders.uri import Place

LJSPEECH = "metadata.csv"
TRANSCRIPTS = ".trans.txt"
_LJ_TEXTS = ("text", "normalised")


def list_ljspeech(path: Place, fields: SpeechFields, limit: int | None) -> Rows:
    """`metadata.csv`: id|text|normalised text, unquoted, without a header; the audio in `wavs/`, or beside."""
    if fields.text not in (None, *_LJ_TEXTS):
        raise UserError(f"source.text: {fields.text!r}: LJSpeech has {' and '.join(_LJ_TEXTS)}")
    raw = path.read_bytes()
    folder = audio_folder(fields, path.parent)
    files = Sizes(folder)
    found: list[Record] = []
    for number, line in lines_of(raw):
        if len(found) == limit:
            break
        name, *texts = line.split("|")
        stem = name.strip()
        problem = stray(stem)
        if len(texts) not in (1, 2):
            problem = f"ragged_row: line {number}: {1 + len(texts)} cells; write it as id|text|normalised"
        if problem:
            found.append({"key": None, "_problem": problem})
            continue
        told = dict(zip(_LJ_TEXTS, texts, strict=False))
        said = told.get(fields.text) if fields.text else told.get("normalised") or told["text"]
        names = [f"{place}{stem}.{kind}" for place in ("wavs/", "") for kind in AUDIO]
        found.append({"key": key_of(stem) if stem else None, "audio_file": there(files, names), **as_text(said)})
    return Rows(
        "ljspeech", folder, found, hashlib.sha256(raw).hexdigest(), {}, f"give each line of {path.name} an id", {}
    )


def list_librispeech(path: Place, limit: int | None) -> Rows:
    """`*.trans.txt`, of a folder and its folders: id, a space, text; audio beside. Ids are speaker-chapter-number."""
    folder = path if path.is_dir() else path.parent
    files = Sizes(folder)
    whole = hashlib.sha256()
    found: list[Record] = []
    transcripts = sorted(f for f in folder.rglob(f"*{TRANSCRIPTS}") if f.is_file()) if path.is_dir() else [path]
    for transcript in transcripts:
        raw = transcript.read_bytes()
        beside = relative(transcript.parent, folder)
        whole.update(f"{beside}\0{transcript.name}\0{hashlib.sha256(raw).hexdigest()}\n".encode("utf-8", "replace"))
        for _, line in lines_of(raw):
            stem, _, said = line.strip().partition(" ")
            parts = stem.split("-")
            names = [f"{stem if beside == '.' else f'{beside}/{stem}'}.{kind}" for kind in AUDIO]
            speaker = told_name(parts[0]) if len(parts) == 3 else None
            found.append({"key": key_of(stem), "audio_file": there(files, names), "speaker": speaker, **as_text(said)})
    told = {"transcripts": len(transcripts)}
    return Rows("librispeech", folder, found[:limit], whole.hexdigest(), told, "give one of its parts", {})


def list_commonvoice(path: Place, fields: SpeechFields, limit: int | None) -> Rows:
    """A TSV, unquoted, with `path` and `sentence`; the audio in `clips/`, or beside. Its other columns travel along."""
    raw = path.read_bytes()
    folder = audio_folder(fields, path.parent)
    lines = lines_of(raw)
    header = next(lines, (1, ""))[1].split("\t")
    twice = next((name for i, name in enumerate(header) if name in header[:i]), None)
    if twice is not None:
        raise UserError(f"source.path: {path}: two columns are named {twice!r}; rename one")
    usual = {"text": "sentence", "speaker": "client_id", "language": "locale"}
    roles = {"path": "path", **{role: getattr(fields, role) or name for role, name in usual.items()}}
    for role in ("path", "text", *(role for role in ("speaker", "language") if getattr(fields, role))):
        if roles[role] not in header:
            raise UserError(
                f"source.{role}: {path.name} has no column {roles[role]!r}; it has: {', '.join(header[:20])}"
            )
    place = "clips/" if not fields.audio and (folder / "clips").is_dir() else ""
    found: list[Record] = []
    table: list[dict[str, str | None]] = []
    for number, line in lines:
        if len(found) == limit:
            break
        cells = line.split("\t")
        if len(cells) == len(header):
            table.append({name: cell or None for name, cell in zip(header, cells, strict=True)})
            found.append(_clip({role: table[-1].get(name) for role, name in roles.items()}, place))
        else:
            problem = f"ragged_row: line {number}: {len(cells)} cells, but {len(header)} columns"
            table.append({})
            found.append({"key": None, "_problem": problem})
    further, _ = further_of(table, set(roles.values()), cells=True)
    told = {"table": path.name}
    mend = f"leave one of the lines of {path.name} out"
    return Rows("commonvoice", folder, found, hashlib.sha256(raw).hexdigest(), told, mend, further)


def _clip(row: Mapping[str, str | None], place: str) -> Record:
    """An utterance of Common Voice. Early tables leave the extension of its file out."""
    file = row["path"]
    if file is None or (problem := stray(file)):
        return {"key": None, "_problem": "no_audio: it has no path" if file is None else problem}
    return {
        "key": key_of(without_extension(file)),
        "audio_file": place + (file if without_extension(file) != file else f"{file}.mp3"),
        "speaker": told_name(row["speaker"]),
        "language": told_name(row["language"]),
        **as_text(row["text"]),
    }
