"""What fields of a recipe are made of: content or running, paths and models, and choices between kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

SECRET = "secret"
"""The type of an error about a value that may be a secret: it is not told again."""


class Fields(BaseModel):
    """A part of a recipe: unknown fields are refused, yes and no are no numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and info.field_name:  # YAML reads yes and no so
            kinds = set(_parts(cls.model_fields[info.field_name].annotation))
            if bool not in kinds and kinds & {int, float}:
                raise PydanticCustomError("number", "must be a number")
        return value


def running(default: Any = ..., **rules: Any) -> Any:
    """A field that may change between runs of one build."""
    return Field(default, json_schema_extra={"running": True}, **rules)


def location(default: Any = ..., **rules: Any) -> Any:
    """A path or URI: where content lies, not what it is; the content's own digest is guarded instead."""
    return Field(default, json_schema_extra={"running": True, "location": True}, **rules)


def model_name(default: Any = ..., *, running: bool = False, **rules: Any) -> Any:
    """A model's name, which is content, or its path, which is not: its own digest is guarded beside.

    `running`: the digest alone is guarded, so that equal models may be named differently.
    """
    return Field(default, json_schema_extra={"model": True, "running": running}, **rules)


def marked(field: FieldInfo, mark: str) -> bool:
    """Whether a field carries one of the marks "running", "location" and "model"."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get(mark))


def by_kind(*models: type[Fields]) -> Callable[[Any], str | None]:
    """For pydantic's Discriminator: the class (by name, its Tag) that a mapping's `kind` chooses.

    Without, of those that need none the one that has most of the mapping's fields, the first of several. `kind: null`
    is a choice as well: of a class whose `kind` may be left open; where there is none, of no class.
    """
    open_ones = [model for model in models if not model.model_fields["kind"].is_required()] or list(models[:1])

    def choose(value: Any) -> str | None:
        if not isinstance(value, dict):
            return next((model.__name__ for model in models if isinstance(value, model)), open_ones[0].__name__)
        if "kind" not in value:
            return max(open_ones, key=lambda model: len(model.model_fields.keys() & value.keys())).__name__
        kind = value["kind"]
        return next((model.__name__ for model in models if kind in _choices(model)), None)

    return choose


def spelt_out(value: Any) -> Any:
    """A part of a recipe that is given by a plain word: its kind."""
    return {"kind": value} if isinstance(value, str) else value


BY_WORD = BeforeValidator(spelt_out)
"""For the annotation of a part that may be given so."""


def takes_word(field: FieldInfo) -> bool:
    return BY_WORD in field.metadata


def kinds_of(model: type[BaseModel]) -> list[str]:
    """The values of `kind` that choose a class; none where it has no such field."""
    return [part for part in _choices(model) if isinstance(part, str)]


def _choices(model: type[BaseModel]) -> list[Any]:
    """What `kind` may be in a class: words, and None where it may be left open."""
    field = model.model_fields.get("kind")
    return [None if part is NoneType else part for part in _parts(field.annotation)] if field else []


def nested(annotation: Any) -> list[type[BaseModel]]:
    """The classes that a field may hold: itself, in a choice, or in a list."""
    return [part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]


def _parts(annotation: Any) -> Iterator[Any]:
    """What a type is made of, down to plain types and the values of a Literal."""
    if get_origin(annotation) is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType, list, tuple) or get_args(annotation):
        for part in get_args(annotation):
            yield from _parts(part)
    else:
        yield annotation
