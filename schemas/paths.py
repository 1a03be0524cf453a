"""The paths of this machine that a checked recipe names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from schemas.fields import marked


def local_paths(part: BaseModel, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Each field of a recipe that holds an absolute local path, dotted, and the path. Files and models alike; names of
    packages, ids on a hub and URIs are none."""
    for name in type(part).model_fields:
        value = getattr(part, name)
        marks = type(part).model_fields[name]
        if isinstance(value, str) and (marked(marks, "location") or marked(marks, "model")):
            if "://" not in value and Path(value).is_absolute():
                yield prefix + name, Path(value)
        for item in _items(value):
            if isinstance(item, BaseModel):
                yield from local_paths(item, f"{prefix}{name}.")


def _items(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else [value]
