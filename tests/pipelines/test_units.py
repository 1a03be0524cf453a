"""A worker commits a unit of the build that the output is claimed for, and of no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest

from builders.shards.dataset import CLAIM, Claim, write_claim
from builders.shards.store import Store
from pipelines.units import Job, _check_claim
from schemas.errors import BuildError


def overwritten(store: Store) -> None:
    store.delete(CLAIM)
    write_claim(store, Claim({"recipe": "another"}, (3, 3)))


@pytest.mark.parametrize("by", [overwritten, lambda store: store.delete(CLAIM)], ids=["another_build", "a_deletion"])
def test_given_an_output_that_another_took_then_no_unit_is_committed(
    tmp_path: Path, by: Callable[[Store], None]
) -> None:
    store = Store(tmp_path)
    write_claim(store, Claim({"recipe": "ours"}, (3,)))
    job = Job("1", "name", cast(Any, SimpleNamespace()), (3,), pa.array([""]), store, store.stamp(CLAIM))
    _check_claim(job)
    by(store)
    with pytest.raises(BuildError, match="another build has begun there"):
        _check_claim(job)
