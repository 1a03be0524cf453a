"""Removes what dead attempts left in a dataset: files that no marker names, leases that have expired."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from builders.shards.dataset import DRAWN, MANIFEST, clear_folder, read_claim, read_markers
from builders.shards.lease import LEASES, leased
from builders.shards.store import Store
from schemas.errors import UserError

_FOLDERS = ("data", "index", "rejects", "embeddings")


def repair(store: Store) -> list[str]:
    """Remove what belongs to no committed unit, and tell what that was, a line a folder. Nobody may build meanwhile.

    Raises UserError where somebody does, or where no dataset of ours lies, BuildError where its claim is damaged.
    """
    if read_claim(store) is None:
        raise UserError(f"{store}: holds no gristmill dataset")
    before = 0
    with suppress(NotADirectoryError):  # which taking the lease tells
        before = len(store.list(LEASES))
    with leased(store) as signature:
        store = store.guarded(signature.check)  # whoever was paused meanwhile deletes nothing more
        gone: Counter[str] = Counter({LEASES: before})
        there = {folder: store.list_below(folder) for folder in _FOLDERS}
        kept = {
            file.path
            for marker in read_markers(store)
            for file in (marker.shard, marker.index, marker.rejects, marker.embeddings)
            if file
        }
        for folder, paths in there.items():
            orphans = [path for path in paths if path not in kept]
            store.delete_each(orphans)
            gone[folder] = len(orphans)
        if store.exists(MANIFEST):
            gone[DRAWN] = len(store.list_below(DRAWN))
            clear_folder(store, DRAWN)
        gone[".tmp"] = len(store.list_below(".tmp"))
        store.sweep()
        gone[".tmp"] -= len(store.list_below(".tmp"))
    return [f"removed {count:,} file{'s' * (count > 1)} in {name}/" for name, count in gone.items() if count]
