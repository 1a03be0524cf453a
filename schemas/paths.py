"""The paths of this machine, and the addresses elsewhere, that a checked recipe names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from schemas.fields import marked


def local_paths(recipe: BaseModel) -> Iterator[tuple[str, Path]]:
    """Each field of a recipe that holds an absolute local path, dotted, and the path. Files and models alike; names of
    packages, ids on a hub and URIs are none."""
    for field, value in _places(recipe):
        if "://" not in value and Path(value).is_absolute():
            yield field, Path(value)


def addresses(recipe: BaseModel) -> Iterator[tuple[str, str]]:
    """Each field of a recipe that holds a URI in the place of a path or of a model, dotted, and the URI."""
    return ((field, value) for field, value in _places(recipe) if "://" in value)


def _places(part: BaseModel, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        marks = type(part).model_fields[name]
        if isinstance(value, str) and (marked(marks, "location") or marked(marks, "model")):
            yield prefix + name, value
        for item in _items(value):
            if isinstance(item, BaseModel):
                yield from _places(item, f"{prefix}{name}.")


def _items(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else [value]
