"""Which source reads the utterances at a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builders.sources.pairs import Pairs
from builders.sources.speech_folder import open_speech_folder
from builders.sources.speech_manifest import FILE, list_manifest
from builders.sources.speech_rows import AUDIO, SpeechFields, source_of
from builders.sources.speech_tables import LJSPEECH, TRANSCRIPTS, list_commonvoice, list_librispeech, list_ljspeech
from builders.sources.speech_tar import open_speech_tars
from builders.uri import place_of
from schemas.errors import UserError
from schemas.speech import SpeechKind

if TYPE_CHECKING:
    from builders.uri import Place

_TABLES = {"ljspeech": list_ljspeech, "commonvoice": list_commonvoice, "manifest": list_manifest}
_FIELDS: dict[str, tuple[SpeechKind, ...]] = {
    "audio": ("ljspeech", "commonvoice", "manifest"),
    "text": ("ljspeech", "commonvoice", "manifest", "webdataset"),
    "speaker": ("commonvoice", "manifest", "webdataset"),
    "language": ("commonvoice", "manifest", "webdataset"),
    "names": ("folder",),
}
"""Which kinds have a field."""
_LISTS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_HEAD = 65_536
"""Bytes of a list that are looked at to tell its kind."""
_KNOWN = (
    f"{LJSPEECH} (LJSpeech), *{TRANSCRIPTS} (LibriSpeech), a TSV with path and sentence (Common Voice), JSON lines "
    f"with {FILE} (a manifest), tars, or {', '.join(AUDIO)} files"
)


def open_speech(
    path: str, kind: SpeechKind | None, unit: int, limit: int | None = None, fields: SpeechFields | None = None
) -> Pairs:
    """List the utterances at a path, the first `limit`, in units of at most `unit`. Its facts name the kind.

    Raises UserError for what cannot be read, holds nothing, or is of several kinds while `kind` is None.
    """
    place = place_of(path, "source.path")
    try:
        source = _open(place, kind, unit, limit, fields or SpeechFields())
    except OSError as error:
        raise UserError(f"source.path: {error.filename or place}: {error.strerror or error}") from None
    if not source.listing.num_rows:
        raise UserError(f"source.path: {place} holds no utterance, so there is nothing to build")
    return source


def _open(path: Place, kind: SpeechKind | None, unit: int, limit: int | None, fields: SpeechFields) -> Pairs:
    if not path.exists():
        raise UserError(f"source.path: {path} is not there")
    if not path.is_dir() and not path.is_file():
        raise UserError(f"source.path: {path} is neither a file nor a folder")
    if all((path / name).exists() for name in ("manifest.json", "units", "data")):
        path = path / "data"  # a dataset that gristmill built and finished
    kind = kind or detect(path)
    wrong = next((name for name, kinds in _FIELDS.items() if getattr(fields, name) and kind not in kinds), None)
    if wrong:
        raise UserError(f"source.{wrong}: a source of kind {kind} has no such field; leave it out")
    if kind == "folder":
        if not path.is_dir():
            raise UserError(f"source.path: {path} is not a folder")
        return open_speech_folder(path, fields, unit, limit)
    if kind == "librispeech":
        return source_of(list_librispeech(path, limit), unit)
    files = _files(path, kind)
    if kind == "webdataset":
        return open_speech_tars(files, fields, unit, limit)
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise UserError(f"source.path: {path} holds several lists ({names}); give one, as {files[-1]}")
    return source_of(_TABLES[kind](files[0], fields, limit), unit)


def detect(path: Place) -> SpeechKind:
    """The kind of a folder or file, by names and by heads of lists. Raises UserError where it is none, or several."""
    entries: list[Place] = sorted(path.iterdir()) if path.is_dir() else [path]
    kinds = {kind for entry in entries if (kind := _kind_of(entry))}
    if not kinds and path.is_dir():
        kinds = {"librispeech"} if next(path.rglob(f"*{TRANSCRIPTS}"), None) else set()
        if not kinds and any(file.suffix.lower().lstrip(".") in AUDIO for file in path.rglob("*")):
            kinds = {"folder"}
            if odd := next((entry for entry in entries if entry.suffix.lower() in _LISTS), None):
                raise UserError(f"source.path: {odd} is no list that is known: {_KNOWN}; give source.kind, as folder")
    if len(kinds) > 1:
        raise UserError(f"source.path: {path} holds several kinds ({', '.join(sorted(kinds))}); give source.kind")
    if not kinds:
        raise UserError(
            f"source.path: {path} holds no speech that is known: {_KNOWN}; give source.kind or another path"
        )
    return kinds.pop()


def _files(path: Place, kind: SpeechKind) -> list[Place]:
    """The files of a kind in a folder, by name; one that is given by itself may have any name."""
    if path.is_file():
        return [path]
    found = sorted(entry for entry in path.iterdir() if _kind_of(entry) == kind)
    if not found:
        raise UserError(f"source.path: {path} holds no list or tar of kind {kind}; it may be: {_KNOWN}")
    return found


def _kind_of(path: Place) -> SpeechKind | None:
    """The kind that a file's name tells, and its first line where the name may mean other things."""
    if not path.is_file():
        return None
    suffix = path.suffix.lower()
    if suffix == ".tar":
        return "webdataset"
    if path.name.endswith(TRANSCRIPTS):
        return "librispeech"
    if path.name == LJSPEECH:
        return "ljspeech" if "|" in _head(path) else None
    if suffix == ".tsv":
        return "commonvoice" if {"path", "sentence"} <= set(_head(path).split("\t")) else None
    if suffix in (".jsonl", ".ndjson", ".json"):
        return "manifest" if f'"{FILE}"' in _head(path) else None
    return None


def _head(path: Place) -> str:
    """The first line that is not blank."""
    with path.open("rb") as file:
        head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    return next((line.strip("\r") for line in head.split("\n") if line.strip()), "")
