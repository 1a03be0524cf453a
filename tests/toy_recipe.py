"""A recipe for datasets that tests put together by hand."""

from __future__ import annotations

from typing import Any

from schemas.recipe import GritRecipe, content
from schemas.sources import CocoSource

_MADE = GritRecipe(kind="grit", name="toy", source=CocoSource(images="/i", captions="/c", instances="/b"))
RECIPE: dict[str, Any] = _MADE.model_dump(mode="json")
CONTENT: dict[str, Any] = content(_MADE)
