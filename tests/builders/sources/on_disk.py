"""Pairs on disk, as tests open, read and are refused them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builders.sources.pairs import Pairs
from builders.sources.pairs_open import open_pairs
from schemas.errors import UserError
from schemas.pairs import PairsSource


def opened(path: Path, unit: int = 1000, **fields: Any) -> Pairs:
    return open_pairs(PairsSource(path=str(path), **fields), unit)


def read(path: Path, **fields: Any) -> list[dict[str, Any]]:
    source = opened(path, **fields)
    found: list[dict[str, Any]] = source.read(0, source.listing.num_rows).to_pylist()
    return found


def refused(path: Path, **fields: Any) -> str:
    with pytest.raises(UserError) as error:
        opened(path, **fields)
    assert "\n" not in str(error.value)
    return str(error.value)
