"""From a recipe file and `--set` options to a checked recipe, with errors that name the line or the field."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from schemas.errors import UserError
from schemas.fields import SECRET, kinds_of, marked, nested, spelt_out, takes_word
from schemas.recipe import KINDS, Recipe

MAX_BYTES = 1_000_000
"""A recipe is a page, not a data file."""


_PLAIN = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "union_tag_not_found": "must be a mapping of fields",
    "string_type": "must be text; put it in quotes",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping of fields",
}
"""What pydantic says in words of its own, in those of a recipe."""


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (they can blow up) and without keys given twice (the first would be lost silently)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed in a recipe", event.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError) as error:  # 2020-13-45, !!int x
            problem = f"not a value that YAML can hold: {error}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a plain word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, name: str) -> Any:
    """Plain values of a YAML text. Raises UserError with line and column where it is malformed."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
        raise UserError(f"{place}: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        raise UserError(f"{name}, line {line}, column {column}: {error.reason}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{name}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise UserError(f"{name}: nested too deeply to be a recipe") from None


def load_recipe(path: str | Path, sets: Sequence[str] = ()) -> Recipe:
    """The recipe in the file `path` with `--set a.b=c` applied, checked.

    Paths in the file are relative to the file, paths in `sets` to the working directory. Raises UserError.
    """
    path = Path(path)
    data = parse_yaml(_read(path), str(path))
    if not isinstance(data, dict):
        raise UserError(f"{path}: a recipe is a mapping of fields, as `kind: grit`")
    model = _model(data, sets, path)
    _anchor(data, [model], path.parent)
    given = _given(sets, model)
    for dotted, value in given:
        _put(data, dotted, value, model)
    data.setdefault("name", path.stem)
    checked = _checked(model, data, str(path), {dotted for dotted, _ in given})
    if checked.storage is None:
        return checked
    _put_in(data, [model], "location", checked.storage.on)
    return model.model_validate(data)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: larger than {MAX_BYTES:,} bytes, so not a recipe")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; give the path of a recipe, as recipes/grit.yaml") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text at byte {error.start}") from None


def _model(data: dict[str, Any], sets: Sequence[str], path: Path) -> type[Recipe]:
    kind, where = data.get("kind"), str(path)
    for item in sets:
        if item.startswith("kind="):
            kind, where = item.partition("=")[2], "--set"
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        known = ", ".join(sorted(KINDS))
        raise UserError(f"{where}: kind is {kind!r}, but must be one of: {known}")
    return model


def _given(sets: Sequence[str], model: type[BaseModel]) -> list[tuple[str, Any]]:
    """`--set` options as (dotted field, value), paths made absolute."""
    given = []
    for item in sets:
        dotted, equals, text = item.partition("=")
        if not equals or not all(part.strip() for part in dotted.split(".")):
            raise UserError(f"--set {item}: write it as field=value, as --set output.unit=500")
        dotted = dotted.strip()
        _check_names(dotted, model)
        if dotted in set(_marked(model, "location")):  # a path is no YAML: `2024-01-01` and `@old` name folders
            text = text.strip()
            given.append((dotted, None if text in ("", "~", "null") else _absolute(text, Path.cwd())))
            continue
        value = parse_yaml(text, f"--set {dotted}")
        if dotted in set(_marked(model, "model")) and isinstance(value, str):
            value = _model_path(value, Path.cwd())
        given.append((dotted, value))
    return given


def _check_names(dotted: str, model: type[BaseModel]) -> None:
    """Raises UserError for a field below a mapping of parts by name, as llm.prices, that no such part has.

    The likeliest cause is a name with dots, at which `--set` is cut.
    """
    for named, part in _named(model):
        field = dotted.removeprefix(f"{named}.").partition(".")[2] if dotted.startswith(f"{named}.") else ""
        if field and field not in part.model_fields:
            raise UserError(
                f"--set {dotted}: there is no such field; {named}.NAME has {', '.join(part.model_fields)}, and a NAME "
                f"with dots is set in a mapping, as --set '{named}={{NAME: {{{next(iter(part.model_fields))}: …}}}}'"
            )


def _named(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The dotted fields that hold parts by names of the user's own, with the class of those parts."""
    for name, field in model.model_fields.items():
        for part in nested(field.annotation):
            if get_origin(field.annotation) is dict:
                yield prefix + name, part
            yield from _named(part, f"{prefix}{name}.")


def _put(data: dict[str, Any], dotted: str, value: Any, model: type[BaseModel]) -> None:
    *parents, last = dotted.split(".")
    if parents and parents[0] in model.model_fields and takes_word(model.model_fields[parents[0]]):
        data[parents[0]] = spelt_out(data.get(parents[0]))
    for parent in parents:
        child = data.setdefault(parent, {})
        if child is None:
            child = data[parent] = {}
        if not isinstance(child, dict):
            raise UserError(f"--set {dotted}: {parent} holds {child!r}, so it has no field {last}")
        data = child
    data[last] = value


def _marked(model: type[BaseModel], mark: str, prefix: str = "") -> Iterator[str]:
    """The dotted names of the fields, of any kind that may be chosen, that hold a path ("location") or a "model"."""
    for name, field in model.model_fields.items():
        if marked(field, mark):
            yield prefix + name
        for part in nested(field.annotation):
            yield from _marked(part, mark, f"{prefix}{name}.")


def _absolute(value: str, folder: Path) -> str:
    """A local path made absolute; a URI, a package's name or an unset field as it is."""
    if "://" in value or not value or Path(value).is_absolute():
        return value
    expanded = Path(value).expanduser()
    return str(expanded if expanded.is_absolute() else (folder / expanded).resolve())


def _model_path(value: str, folder: Path) -> str:
    """A model's path made absolute; a bare name (an installed package, a hub id) as it is."""
    return _absolute(value, folder) if value.startswith((".", "~")) or (folder / value).exists() else value


def _anchor(data: dict[str, Any], models: Sequence[type[BaseModel]], folder: Path) -> None:
    """Make the file's own relative paths absolute; `models` are those that `data` may be."""
    _put_in(data, models, "location", lambda value: _absolute(value, folder))
    _put_in(data, models, "model", lambda value: _model_path(value, folder))


def _put_in(data: dict[str, Any], models: Sequence[type[BaseModel]], mark: str, of: Callable[[str], str]) -> None:
    """Put what `of` makes of them in the place of all texts whose fields carry a mark."""
    for name, value in data.items():
        fields = [model.model_fields[name] for model in models if name in model.model_fields]
        if isinstance(value, str) and any(marked(field, mark) for field in fields):
            data[name] = of(value)
        parts = [part for field in fields for part in nested(field.annotation)]
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and parts:
                _put_in(item, parts, mark, of)


def _checked(model: type[Recipe], data: dict[str, Any], name: str, given: set[str]) -> Recipe:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # A misspelt field is told before the field that is missing for it.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        dotted, parent, options = _walk(model, first["loc"])
        if first["type"] == "union_tag_not_found" and isinstance(first["input"], dict):
            dotted += ".kind"  # pydantic tells the mapping whose kind is unknown
        by_set = any(f"{option}.".startswith(f"{dotted}.") or dotted.startswith(f"{option}.") for option in given)
        raise UserError(f"{'--set' if by_set else name}: {_problem(model, first, dotted, parent, options)}") from None


def _walk(model: type[BaseModel], loc: Sequence[int | str]) -> tuple[str, type[BaseModel], list[type[BaseModel]]]:
    """Where an error is, dotted, without pydantic's choices of class; the class around it; what may be there."""
    names: list[str] = []
    parent, options = model, [model]
    for part in loc:
        if chosen := [option for option in options if option.__name__ == part]:
            options = chosen
            continue
        names.append(str(part))
        if isinstance(part, str):
            parent = options[0] if options else parent
            fields = [option.model_fields[part] for option in options if part in option.model_fields]
            options = [found for field in fields for found in nested(field.annotation)]
    return ".".join(names), parent, options


def _problem(
    model: type[BaseModel], error: Any, dotted: str, parent: type[BaseModel], options: Sequence[type[BaseModel]]
) -> str:
    if error["type"] == "extra_forbidden":
        before = dotted.rpartition(".")[0]
        fields = list(_fields(parent, f"{before}." if before else ""))
        if dotted in set(_fields(model)):
            return f"{dotted} is a field of another {before}.kind; the fields here are {', '.join(fields)}"
        near = difflib.get_close_matches(dotted, fields, n=1, cutoff=0.4)
        dotted = dotted if dotted.isprintable() else repr(dotted)
        mend = f"did you mean {near[0]}?" if near else f"the fields are {', '.join(fields)}"
        return f"there is no field {dotted}; {mend}"
    if error["type"] == "missing" or (dotted in set(_marked(model, "location")) and error["input"] is None):
        return f"{dotted} is not given; set it in the recipe or with --set {dotted}=…"
    if dotted.endswith(".kind") and error["type"] in ("union_tag_not_found", "literal_error"):
        chosen = error["input"]["kind"] if error["type"] == "union_tag_not_found" else error["input"]
        known = sorted(kind for option in options or [parent] for kind in kinds_of(option))
        return f"{dotted} is {chosen!r}, but must be one of: {', '.join(known)}"
    message: str = _PLAIN.get(error["type"], error["msg"].removeprefix("Value error, "))
    message = message[0].lower() + message[1:]
    if not dotted or message.startswith(f"{dotted}."):
        return message
    untold = isinstance(error["input"], dict) or error["type"] == SECRET
    return f"{dotted}: {message}" if untold else f"{dotted} is {error['input']!r}: {message}"


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every field that a recipe may hold, dotted."""
    found = []
    for name, field in model.model_fields.items():
        found.append(prefix + name)
        for part in nested(field.annotation):
            found += _fields(part, f"{prefix}{name}.")
    yield from dict.fromkeys(found)
