"""What a build needs that others publish: told before anything is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "KB"))


@dataclass(frozen=True)
class Need:
    """A package or a file of others, and whether it is on this machine.

    `field` of the recipe names it; `source` is the page or repository that has it; `size`: bytes to fetch, None where
    that is not known. `get`: what brings it, or None where a build fetches it by itself.
    """

    field: str
    what: str
    source: str
    size: int | None
    there: bool
    get: str | None = None

    @property
    def stops(self) -> bool:
        """Whether a build would stop for want of it."""
        return not self.there and self.get is not None

    def __str__(self) -> str:
        size = "size unknown" if self.size is None else f"about {size_of(self.size)}"
        where = f"{self.what}, {size}, {self.source}"
        if self.there:
            return f"{where}: there"
        return f"{where}: not there" if self.get else f"{where}: not there, a build fetches it"


def size_of(count: int) -> str:
    """Bytes, rounded: 457 MB, 6.9 GB."""
    unit, name = next((unit for unit in _UNITS if count >= unit[0]), (1, "bytes"))
    return f"{count / unit:.0f} {name}" if count >= 10 * unit else f"{count / unit:.1f} {name}"


def cached(repository: str, names: Sequence[str]) -> bool:
    """Whether one of these files of a repository on the hub has been fetched to this machine before."""
    from huggingface_hub import try_to_load_from_cache

    return any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)
