"""What all units of a dataset come to together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.shards.dataset import Claim, read_claim, read_markers
from builders.shards.store import Store
from builders.shards.totals import Totals, total
from schemas.errors import BuildError
from schemas.manifest import File, UnitMarker

Dataset = Callable[[Path], Store]


def test_the_digest_is_the_same_for_the_same_data_in_any_order(dataset: Dataset, tmp_path: Path) -> None:
    one, two = (dataset(tmp_path / name) for name in "ab")
    claim = read_claim(one)
    assert claim is not None
    markers = list(read_markers(one))
    assert total(claim, markers).digest() == total(claim, reversed(list(read_markers(two)))).digest()
    fewer = Totals(claim)
    fewer.add(next(marker for marker in markers if marker.shard))
    assert fewer.digest() != total(claim, markers).digest()


def test_an_artefact_is_part_of_the_digest() -> None:
    totals = Totals(Claim({}, ()))
    assert totals.digest([File("fitted/a", 1, "0" * 64)]) != totals.digest()


def committed(unit: Any, folder: Path, number: int) -> UnitMarker:
    """Of two inputs, for a claim on nothing."""
    marker: UnitMarker = unit(number, [[None], [None]]).commit(Store(folder))
    return replace(marker, content_hash=Claim({}, ()).hash)


def test_a_unit_that_lost_an_input_is_not_conserved(unit: Any, tmp_path: Path) -> None:
    marker = committed(unit, tmp_path, 0)
    total(Claim({}, (2,)), [marker])
    with pytest.raises(BuildError, match="2 inputs have an outcome, but it has 3"):
        total(Claim({}, (3,)), [marker])
    marker.records.kept -= 1
    with pytest.raises(BuildError, match="outcomes do not add up"):
        total(Claim({}, (2,)), [marker])


def test_units_that_are_missing_are_counted_and_the_first_is_named(unit: Any, tmp_path: Path) -> None:
    marker = committed(unit, tmp_path, 1)
    with pytest.raises(BuildError, match="2 of 3 units are not committed, the first is 0"):
        total(Claim({}, (2, 2, 2)), [marker])


def test_a_unit_that_the_claim_does_not_know_is_refused(unit: Any, tmp_path: Path) -> None:
    marker = committed(unit, tmp_path, 1)
    with pytest.raises(BuildError, match="unit 1: its marker is of another build"):
        total(Claim({}, (2,)), [marker])


def test_a_unit_that_was_built_for_another_claim_is_refused_however_well_it_fits(unit: Any, tmp_path: Path) -> None:
    marker = committed(unit, tmp_path, 0)
    with pytest.raises(BuildError, match="unit 0: its marker is of another build; run the same build command again"):
        total(Claim({"recipe": "another"}, (2,)), [marker])
