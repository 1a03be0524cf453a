"""Instructions and responses as text: JSONL in the shapes that they are usually published in, first turn taken.

alpaca: {instruction, input?, output}. sharegpt: {conversations: [{from, value}]}. messages: {messages: [{role,
content}]}. moss: {chat: {turn_1: {Human, MOSS}}}, whose markers are taken off. One shape is read, that of most lines; a
line of another is an input with a problem.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import pyarrow as pa

from builders.sources.pairs import Listed, Pairs, Shape, finish, text
from builders.sources.pairs_table import KEY_MEND, carried
from builders.sources.pairs_text import LoadListed, json_rows, typed
from builders.speech.audio import text_hash
from builders.speech.lengths import words
from builders.speech.templates import refused
from builders.step import Record, Rejected, Result, Services
from builders.uri import place_of
from schemas.errors import UserError
from schemas.speech import InstructionsShape

if TYPE_CHECKING:
    from builders.uri import Place

_SUFFIXES = (".jsonl", ".ndjson")
_HUMAN = ("human", "user", "prompter")
_MODEL = ("gpt", "assistant", "chatgpt", "bot", "model")
_MOSS_MARKERS = re.compile(r"\A\s*<\|(?:Human|MOSS)\|>:|<eo[hm]>\s*\Z")
_PARTED = re.compile(r"(?<=\S)\0(?=[^\s.,;:!?)])")
"""Where two parts of a text meet that have no space between them, and need one."""
_USUAL: Mapping[InstructionsShape, Mapping[str, tuple[str, ...]]] = {
    "alpaca": {
        "instruction": ("instruction", "prompt", "question"),
        "input": ("input", "context"),
        "response": ("output", "response", "completion", "answer"),
    },
    "sharegpt": {"turns": ("conversations",), "role": ("from",), "content": ("value",)},
    "messages": {"turns": ("messages",), "role": ("role",), "content": ("content",)},
    "moss": {"turns": ("chat",)},
}


@dataclass(frozen=True)
class Names:
    """Fields of a line that are not named as usual. `instruction`, `input` and `response` are alpaca's; `turns` holds a
    conversation, `role` and `content` are a turn's. `key`: lines are numbered where it is None."""

    instruction: str | None = None
    input: str | None = None
    response: str | None = None
    turns: str | None = None
    role: str | None = None
    content: str | None = None
    key: str | None = None


def _problem(record: Record) -> str | None:
    return next((f"no_{part}: there is none" for part in ("instruction", "response") if not record[f"_{part}"]), None)


EXCHANGES = Shape({name: pa.string() for name in ("key", "_instruction", "_response", "_problem")}, _problem)


def open_text_instructions(
    path: str,
    unit: int,
    shape: InstructionsShape | None = None,
    names: Names | None = None,
    limit: int | None = None,
) -> Pairs:
    """List the lines of a JSONL file, or of all in a folder, in units of at most `unit`; they are read whole.

    Further fields that are scalars travel as `source_...`. Raises UserError for what cannot be read, for names that no
    line has, and where no line has a known shape.
    """
    files = _files(place_of(path, "source.path"))
    rows, digest = _read(files)
    rows = rows[:limit]
    if not rows:
        raise UserError(f"source.path: {files[0]} holds no line, so there is nothing to build")
    told = [row if isinstance(row, dict) else {} for row in rows]
    there = list(dict.fromkeys(name for row in told for name in row))
    names = names or Names()
    shape = _shape(told, shape, names, files[0], there)
    fields = _fields(there, shape, names, files[0])
    taken = [_exchange(row, shape, fields, names) if isinstance(row, dict) else {"_problem": row} for row in rows]
    further = [name for name in there if name not in fields.values()]
    values = {carried(str(text(name))): typed([row.get(name) for row in told], "jsonl") for name in further}
    extra = {name: column for name, column in values.items() if column is not None}
    parts = ("_instruction", "_response")
    listed = Listed(
        keys=[row.get(fields["key"]) for row in told] if "key" in fields else [f"{i:09d}" for i in range(len(rows))],
        columns={**{name: pa.array([one.get(name) for one in taken], pa.string()) for name in parts}, **extra},
        problems=[one.get("_problem") for one in taken],
        media=[0] * len(rows),
        files=None,
        sha256={"source.path": digest},
        told={"files": len(files), "shape": shape},
        mend=KEY_MEND,
    )
    kinds = {name: column.type for name, column in extra.items()}
    return finish(listed, files[0].parent, LoadListed(), unit, kinds, EXCHANGES)


def _files(path: Place) -> list[Place]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"source.path: {path} is not there; give a JSONL file, or a folder of them")
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())
    if not found:
        raise UserError(f"source.path: {path} holds no JSONL file; give one, or a folder of them")
    return found


def _read(files: list[Place]) -> tuple[list[dict[str, Any] | str], str]:
    """Each line's object, or the problem of it, and what identifies the files."""
    whole = hashlib.sha256()
    rows: list[dict[str, Any] | str] = []
    for file in files:
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise UserError(f"source.path: {file}: {error.strerror or error}") from None
        whole.update(hashlib.sha256(raw).digest())
        rows += json_rows(raw)
    return rows, whole.hexdigest()


def _candidates(shape: InstructionsShape, role: str, names: Names) -> tuple[str, ...]:
    """The names under which a field is looked for: the one given, or the usual ones."""
    given = getattr(names, role)
    return (given,) if given else _USUAL[shape].get(role, ())


def _shape(
    rows: list[dict[str, Any]], given: InstructionsShape | None, names: Names, path: Place, there: list[str]
) -> InstructionsShape:
    """The shape that is given, or that of most lines; of equally many, the first in the order of the documentation."""
    shapes: tuple[InstructionsShape, ...] = (given,) if given else get_args(InstructionsShape)
    counts = {shape: sum(_has(row, shape, names) for row in rows) for shape in shapes}
    best = max(shapes, key=lambda shape: counts[shape])
    if not counts[best]:
        told = f"no line has the shape {given}" if given else f"no line has a known shape ({', '.join(shapes)})"
        mend = "name its fields, or write a JSON list as lines (jq -c '.[]')"
        raise UserError(f"source.path: {path}: {told}; {mend}; its fields: {', '.join(there) or 'none'}")
    return best


def _has(row: dict[str, Any], shape: InstructionsShape, names: Names) -> bool:
    if shape == "alpaca":
        return all(any(name in row for name in _candidates(shape, r, names)) for r in ("instruction", "response"))
    turns = next((row[name] for name in _candidates(shape, "turns", names) if name in row), None)
    if shape == "moss":
        return isinstance(turns, dict)
    first = turns[0] if isinstance(turns, list) and turns else None
    return isinstance(first, dict) and any(name in first for name in _candidates(shape, "role", names))


def _fields(there: list[str], shape: InstructionsShape, names: Names, path: Place) -> dict[str, str]:
    """Which field of a line is which. Raises UserError for one that is named, and that no line has."""
    fields: dict[str, str] = {}
    for role in ("instruction", "input", "response", "turns", "key"):
        given = getattr(names, role)
        if given and given not in there:
            raise UserError(f"source.{role}: {path}: no line has a field {given!r}; they have: {', '.join(there)}")
        hit = next((name for name in _candidates(shape, role, names) if name in there), None)
        if hit is not None:
            fields[role] = hit
    return fields


def _field(row: dict[str, Any], fields: Mapping[str, str], role: str) -> Any:
    return row.get(fields[role]) if role in fields else None


def _exchange(row: dict[str, Any], shape: InstructionsShape, fields: Mapping[str, str], names: Names) -> Record:
    """`_instruction` and `_response` of a line's first turn, or the `_problem` of it."""
    if shape == "alpaca":
        asked, given, answered = (_field(row, fields, role) for role in ("instruction", "input", "response"))
        if given is not None and not isinstance(given, str):
            return {"_problem": f"no_input: it is {repr(given)[:80]}"}
        if isinstance(asked, str) and given and given.strip():
            asked = asked.strip() + (" " if asked.strip().endswith(tuple(".:?!")) else ": ") + given.strip()
        return _texts(asked, answered)
    turns = _field(row, fields, "turns")
    if shape == "moss":
        first = turns.get("turn_1") if isinstance(turns, dict) else None
        if not isinstance(first, dict):
            return {"_problem": "no_turn: there is no turn_1"}
        return _texts(*(_unmarked(first.get(who)) for who in ("Human", "MOSS")))
    (who,), (what,) = (_candidates(shape, role, names) for role in ("role", "content"))
    said = [turn if isinstance(turn, dict) else {} for turn in turns] if isinstance(turns, list) else []
    roles = [str(turn.get(who)).lower() for turn in said]
    start = 1 if roles[:1] in (["system"], ["developer"]) else 0
    if len(said) < start + 2 or roles[start] not in _HUMAN or roles[start + 1] not in _MODEL:
        begins = ", ".join(roles[:3])[:80] or "with nothing"
        return {"_problem": f"no_turn: it begins {begins}; not with human and model"}
    return _texts(*(_plain(turn.get(what)) for turn in said[start : start + 2]))


def _texts(asked: Any, answered: Any) -> Record:
    for part, value in {"instruction": asked, "response": answered}.items():
        if value is not None and not isinstance(value, str):
            return {"_problem": f"no_{part}: it is {repr(value)[:80]}"}
        if text(value) != value:
            return {"_problem": f"broken_text: the {part} holds what is no character"}
    return {"_instruction": asked, "_response": answered}


def _unmarked(value: Any) -> Any:
    """A turn of MOSS without the markers around it."""
    return _MOSS_MARKERS.sub("", value).strip() if isinstance(value, str) else value


def _plain(content: Any) -> Any:
    """A message's text, also where it is a list of parts and all of them are texts."""
    parts = content if isinstance(content, list) and content else None
    if parts and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in parts):
        return _PARTED.sub(" ", "\0".join(part["text"] for part in parts)).replace("\0", "")
    return content


@dataclass
class CheckExchange:
    """Adds `instruction` and `response`, without spaces around them, hashes of their words, and `response_words`.

    A response is rejected over `max_words`: SpeechGPT takes those of under 35. So is a text of several lines, which are
    layout (a list, code, verse) that is lost when it is spoken, and what the templates could not hold.
    """

    max_words: int = 34
    name: ClassVar = "check_exchange"
    reads: ClassVar = ("_instruction", "_response", "_problem")
    adds: ClassVar = {
        "instruction": pa.string(),
        "response": pa.string(),
        "instruction_text_sha256": pa.string(),
        "response_text_sha256": pa.string(),
        "response_words": pa.int32(),
    }

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._checked(record) for record in records]

    def _checked(self, record: Record) -> Result:
        if record["_problem"]:
            reason, _, detail = record["_problem"].partition(": ")
            return Rejected(reason, detail)
        found = {"instruction": record["_instruction"].strip(), "response": record["_response"].strip()}
        count = words(found["response"])
        if count > self.max_words:
            told = f"{count:,} words are over {self.max_words:,}"
            return Rejected("response_too_long", told, {"response_words": count})
        for part, told in found.items():
            if bad := refused(told):
                return Rejected(bad.reason, f"{part}: {bad.detail}", {"response_words": count})
        hashes = {f"{part}_text_sha256": text_hash(told) for part, told in found.items()}
        return {**found, **hashes, "response_words": count}
