"""A site of one picture and of all kinds of answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from builders.acquire.img2dataset_parts import opted_out
from tests.builders.acquire.asking import PNG
from tests.builders.acquire.server import Site, serve


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    opted_out((), None, frozenset())  # whose import no request should wait for
    with serve({"a.png": PNG}) as found:
        yield found
