"""Lists of image URLs: tables of pairs whose images are elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from yarl import URL

from builders.sources.pairs import Pairs
from builders.sources.pairs_parquet import open_parquet
from builders.sources.pairs_text import open_text
from schemas.errors import UserError
from schemas.pairs import PairsKind, UrlsSource

if TYPE_CHECKING:
    from builders.uri import Place

SLICES, SLICE = 20, 1000
"""How many places of a list are looked at, and how many rows at each."""
FETCHED_BYTES = 130_000
"""Of an average image of the web: img2dataset's README, "Setting up", counts 130 MB/s for 1,000 images a second."""


def open_urls(source: UrlsSource, files: list[Place], kind: PairsKind, unit: int) -> Pairs:
    """List the rows of tables of URLs, in units of at most `unit`."""
    if source.columns and kind != "csv":
        raise UserError(f"source.columns: {files[0]} names its columns itself; leave the field out")
    listed = open_parquet(source, files, unit) if kind == "parquet" else open_text(source, files, kind, unit)
    return replace(listed, survey=survey)


def survey(pairs: Pairs) -> Mapping[str, int | str]:
    """What `plan` tells of a list, from rows spread evenly over it: hosts, repeated URLs, bytes to expect."""
    rows = pairs.listing.num_rows
    starts = range(0, rows, max(SLICE, rows // SLICES))
    urls = [url for at in starts for url in pairs.read(at, min(SLICE, rows - at))["url"].to_pylist()[:SLICE] if url]
    if not urls:
        return {}
    hosts = Counter(_host(url) for url in urls)
    busiest, most = hosts.most_common(1)[0]
    repeated = len(urls) - len(set(urls))
    return {
        "rows looked at": len(urls),
        "hosts among them": len(hosts),
        "busiest host": f"{busiest} ({most / len(urls):.1%} of them)",
        "URLs that stand there again": f"{repeated:,} ({repeated / len(urls):.1%})",
        "bytes to expect": f"{_bytes(rows * FETCHED_BYTES)}, at {FETCHED_BYTES:,} an image (img2dataset's mean)",
    }


def _host(url: str) -> str:
    try:
        return URL(url.strip()).host or "(none)"
    except ValueError:
        return "(none)"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.0f} PB"
