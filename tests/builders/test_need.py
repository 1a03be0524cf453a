"""What others publish, as plan tells it."""

from __future__ import annotations

import pytest

from builders.need import Need, cached, size_of
from tests.hub import Hub

MODEL = Need("parser", "model", "https://example.org", 457_000_000, False, "fetch model")


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (700, "700 bytes"),
        (7_400, "7.4 KB"),
        (605_400_000, "605 MB"),
        (999_400_000, "999 MB"),
        (6_896_153_761, "6.9 GB"),
        (80_300_000_000, "80 GB"),
    ],
)
def test_sizes_are_told_in_two_or_three_figures(size: int, told: str) -> None:
    assert size_of(size) == told


@pytest.mark.parametrize(
    ("there", "get", "stops", "told"),
    [
        (True, "fetch model", False, "model, about 457 MB, https://example.org: there"),
        (False, "fetch model", True, "model, about 457 MB, https://example.org: not there"),
        (False, None, False, "model, about 457 MB, https://example.org: not there, a build fetches it"),
    ],
)
def test_what_only_the_user_can_bring_stops_a_build(there: bool, get: str | None, stops: bool, told: str) -> None:
    need = Need(MODEL.field, MODEL.what, MODEL.source, MODEL.size, there, get)
    assert (need.stops, str(need)) == (stops, told)


def test_an_unknown_size_is_told_as_unknown() -> None:
    assert "model, size unknown, https" in str(Need("parser", "model", "https://example.org", None, True))


def test_one_file_of_a_repository_in_the_cache_is_enough(hub: Hub) -> None:
    assert not cached("owner/name", ["a", "b"])
    hub("owner/name", "b")
    assert cached("owner/name", ["a", "b"])
    assert not cached("owner/name", ["a"])
    assert not cached("owner/other", ["a", "b"])
