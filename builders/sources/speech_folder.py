"""A plain folder of audio files: alone, with `name.txt` beside, or with names that tell what is said."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from builders.places.several import each
from builders.sources.pairs import Listed, Pairs, finish, key_of, text
from builders.sources.pairs_tar import TEXT_MAX
from builders.sources.speech_read import inside
from builders.sources.speech_rows import AUDIO, SPEECH, SpeechFields, not_utf8, weight
from builders.sources.speech_tar import as_said
from builders.step import Record, Rejected
from schemas.errors import UserError

if TYPE_CHECKING:
    from builders.uri import Place

_PART = re.compile(r"\{([a-z_]+)\}")
_TOLD = ("text", "speaker", "language")


@dataclass(frozen=True)
class LoadFolder:
    """Reads the texts beside; the audio is read by ReadUtterance."""

    folder: Place

    def __call__(self, listed: pa.Table) -> list[Record]:
        root = self.folder.resolve()
        return list(each(root, listed.to_pylist(), partial(_with_text, root)))


def _with_text(root: Place, row: Record) -> Record:
    record: Record = {name: row[name] for name in ("audio_file", "_text", "speaker", "language")}
    if row["_problem"] or not row["txt"]:
        return record
    name = f"{row['audio_file'].rpartition('.')[0]}.txt"
    path = inside(root, name)
    if isinstance(path, Rejected):
        return {**record, "_problem": f"bad_text_file: {path.detail}"}
    try:
        with path.open("rb") as file:
            data = file.read(TEXT_MAX + 1)
    except OSError as error:
        return {**record, "_problem": f"bad_text_file: {name}: {error.strerror}"}
    if len(data) > TEXT_MAX:
        return {**record, "_problem": f"text_too_large: {name} has over {TEXT_MAX:,} bytes"}
    return {**record, **as_said(data)}


def open_speech_folder(folder: Place, fields: SpeechFields, unit: int, limit: int | None) -> Pairs:
    """List the audio of a folder and of its folders, by path. The key is the path, as key_of makes it."""
    pattern = names_pattern(fields.names) if fields.names else None
    files = _walk(folder)
    audio = sorted(name for name in files if name.rpartition(".")[2].lower() in AUDIO)[:limit]
    stems = [name.rpartition(".")[0] for name in audio]
    told = [_told(pattern, stem) for stem in stems]
    by_name = pattern is not None and "text" in pattern.groupindex
    texts = [not by_name and f"{stem}.txt" in files for stem in stems]
    beside = [
        [name, *([f"{stem}.txt"] if there else [])] for name, stem, there in zip(audio, stems, texts, strict=True)
    ]
    whole = hashlib.sha256("\n".join("\0".join(names) for names in beside).encode("utf-8", "surrogateescape"))
    speakers = {one.get("speaker") for one in told} - {None}
    without = sum(1 for one, there in zip(told, texts, strict=True) if not (there or one.get("text")))
    listed = Listed(
        keys=[key_of(stem) for stem in stems],
        columns={
            "audio_file": pa.array([text(name) for name in audio], pa.string()),
            "_text": pa.array([one.get("text") for one in told], pa.string()),
            "speaker": pa.array([one.get("speaker") for one in told], pa.string()),
            "language": pa.array([one.get("language") for one in told], pa.string()),
            "txt": pa.array(texts, pa.bool_()),
        },
        problems=[not_utf8(name) or one.get("problem") for name, one in zip(audio, told, strict=True)],
        media=[weight(name, files[name] or 0) for name in audio],
        files=[[(text(name), files[name]) for name in names] for names in beside],
        sha256={"source.path": whole.hexdigest()},
        told={
            "kind": "folder",
            **({"speakers": len(speakers)} if speakers else {}),
            "utterances without text": without,
        },
        mend="rename one of the files",
    )
    return finish(listed, folder, LoadFolder(folder), unit, {}, SPEECH)


def names_pattern(names: str) -> re.Pattern[str]:
    """What `source.names` means, as "{text}_{speaker}_{take}". Raises UserError."""
    parts = set(found := _PART.findall(names))
    if not parts & set(_TOLD) or len(parts) < len(found) or "}{" in names or set(_PART.sub("", names)) & set("{}"):
        told = ", ".join(f"{{{name}}}" for name in _TOLD)
        raise UserError(
            f"source.names: {names!r}: write at least one of {told}, each once, apart, as '{{text}}_{{take}}'"
        )
    pieces = _PART.split(names)
    ends = [f"[^{re.escape(after[0])}]+" if after else ".+" for after in pieces[2::2]]
    parts_of = [f"(?P<{part}>{of})" for part, of in zip(pieces[1::2], ends, strict=True)]
    between = [re.escape(literal) for literal in pieces[0::2]]
    return re.compile("".join(a + b for a, b in zip(between, [*parts_of, ""], strict=True)), re.DOTALL)


def _told(pattern: re.Pattern[str] | None, stem: str) -> dict[str, str]:
    if pattern is None:
        return {}
    name = stem.rpartition("/")[2]
    match = pattern.fullmatch(name)
    if match is None:
        return {"problem": f"bad_name: {text(name)!r} is not as source.names says"}
    return {what: str(text(match[what])) for what in _TOLD if what in pattern.groupindex}


def _walk(folder: Place) -> dict[str, int | None]:
    """Bytes (None: missing) of every file below `folder`, by relative path. Linked folders are not entered."""

    if not isinstance(folder, Path):
        return {path.relative_to(folder).as_posix(): stat.st_size for path, stat in folder.below()}

    def stop(error: OSError) -> None:
        raise error

    files: dict[str, int | None] = {}
    for base, _, names in os.walk(folder, onerror=stop):
        beside = Path(base).relative_to(folder)
        for name in names:
            try:
                size = (Path(base) / name).stat().st_size
            except OSError:
                size = None
            files[(beside / name).as_posix()] = size
    return files
