"""What every recipe holds."""

from __future__ import annotations

from pydantic import Field

from schemas.fields import Fields, running
from schemas.storage import Storage


class Output(Fields):
    unit: int = Field(1000, ge=1, le=100_000, description="records a unit, at most: fewer where media are large")


class BaseRecipe(Fields):
    """What every recipe holds."""

    name: str | None = running(None, description="the dataset's name; the recipe's file name where it is not given")
    seed: int = 0
    output: Output = Output()
    max_failed: float = running(0.05, ge=0, le=1, description="share of failed records that stops the build")
    storage: Storage | None = running(
        None, description="how object stores are reached, where the environment is silent"
    )
