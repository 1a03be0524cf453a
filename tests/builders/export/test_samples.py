"""The samples of a dataset, read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.export.samples import samples
from builders.shards.store import Store
from schemas.errors import UserError
from tests.builders.grit_dataset import MEADOW, NO_BOX, TWO, grit_dataset


def test_samples_come_in_order_with_all_their_members(tmp_path: Path) -> None:
    first, second = samples(grit_dataset(tmp_path / "d", [MEADOW], [NO_BOX], [NO_BOX, TWO]))
    assert (first.key, first.parent, first.told) == ("k1", "k1", {})
    assert first.parts.keys() == {"jpg", "txt", "json"}
    assert second.parts["txt"].decode() == TWO.caption


def test_what_the_index_tells_comes_along_where_it_is_asked_for_and_there(tmp_path: Path) -> None:
    found = list(samples(grit_dataset(tmp_path / "d", [MEADOW, TWO]), ("heads", "nothing", "n_phrases")))
    assert [sample.told for sample in found] == [
        {"heads": "dog", "n_phrases": 1},
        {"heads": "hunde cat", "n_phrases": 2},
    ]


def test_members_that_nobody_wants_are_not_read(tmp_path: Path) -> None:
    store = grit_dataset(tmp_path / "d", [MEADOW])
    (sample,) = samples(store, only={"json"})
    assert sample.parts.keys() == {"json"}


def test_a_folder_without_a_dataset_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no gristmill dataset"):
        list(samples(Store(tmp_path / "nothing")))
