"""What a reader of the Kosmos-2 paper compares: spans and boxes an image, the length of expressions, common heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from builders.shards.query import samples_of
from builders.shards.store import Store
from schemas.errors import UserError

PAPER: Mapping[str, int | float] = {"images": 90_614_680, "spans": 114_978_233, "boxes": 137_349_210, "words": 4.7}
"""GrIT's own counts and mean expression (arXiv 2306.14824, section 2)."""
HEADS = 20
"""Of the most frequent head nouns that are told."""
HEAD_MAX = 40
"""Characters of a head that a card shows."""
_COLUMNS = ("n_phrases", "n_boxes", "n_phrase_boxes", "phrase_words", "heads")


def grit_statistics(store: Store) -> dict[str, Any]:
    """Counts over the committed units of a grit dataset, from its index alone.

    `spans` are the expressions that lie in no other, `boxes` theirs, `boxes_nested` those of all others; boxes that
    a crop cut off are none. `words` is the mean length of a span, None without one. `without_box` counts the pairs
    whose chunks got no box, or none that the crop left. `heads` maps the most frequent head nouns of the spans to how
    many they name. Raises UserError for an index of another kind.
    """
    with samples_of(store) as connection:
        return _counted(connection, store)


def _counted(connection: duckdb.DuckDBPyConnection, store: Store) -> dict[str, Any]:
    columns = connection.sql("select * from samples limit 0").columns
    if missing := [name for name in _COLUMNS if name not in columns]:
        raise UserError(f"{store}: its index has no column {missing[0]!r}; build one of kind grit, with this gristmill")
    captions = "(from samples where task is null)" if "task" in columns else "samples"
    boxed = "n_boxes - dropped_crop" if "dropped_crop" in columns else "n_boxes"
    images, spans, boxes, all_boxes, words = _row(
        connection,
        "select count(*), sum(n_phrases)::bigint, sum(n_phrase_boxes)::bigint, "
        f"sum({boxed})::bigint, sum(phrase_words)::bigint from {captions}",
    )
    (without,) = _row(connection, "select count(*) from rejects where reason in ('no_box', 'no_box_in_crop')")
    heads = connection.execute(
        f"""
            with named as (select unnest(string_split(heads, ' ')) as head from {captions})
            select head, count(*) as times from named where head <> '' group by head order by times desc, head limit ?
            """,
        [HEADS],
    ).fetchall()
    return {
        "images": images,
        "spans": spans,
        "boxes": boxes,
        "boxes_nested": all_boxes - boxes,
        "words": round(words / spans, 2) if spans else None,
        "without_box": without,
        "heads": dict(heads),
    }


def _row(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    found = connection.execute(sql).fetchone()
    return tuple(value or 0 for value in found or ())


def render_statistics(told: Mapping[str, Any]) -> list[str]:
    """The statistics as a section of a card, with the paper's figures beside."""
    pairs = told["images"] + told["without_box"]
    rows = [
        ("images", f"{told['images']:,}", f"{PAPER['images']:,}"),
        ("spans", f"{told['spans']:,}", f"{PAPER['spans']:,}"),
        ("boxes", f"{told['boxes']:,}", f"{PAPER['boxes']:,}"),
        *((f"{what} per {each}", *(_ratio(one, what, each) for one in (told, PAPER))) for what, each in _RATIOS),
        ("words per span", "-" if told["words"] is None else f"{told['words']:.1f}", f"{PAPER['words']:.1f}"),
        ("pairs without a box", f"{told['without_box'] / pairs:.1%}" if pairs else "-", "not told"),
    ]
    heads = ", ".join(f"{_short(head)} {times:,}" for head, times in told["heads"].items())
    return [
        "## Grounding",
        "",
        "| | here | GrIT, by the Kosmos-2 paper |",
        "|---|---:|---:|",
        *(f"| {name} | {here} | {there} |" for name, here, there in rows),
        "",
        f"A span is an expression that lies in no other; {told['boxes_nested']:,} more boxes belong to those inside.",
        *([f"The most frequent head nouns: {heads}."] if heads else []),
        "",
    ]


def _short(head: str) -> str:
    return head if len(head) <= HEAD_MAX else f"{head[: HEAD_MAX - 1]}…"


_RATIOS = (("spans", "image"), ("boxes", "image"), ("boxes", "span"))


def _ratio(told: Mapping[str, Any], what: str, each: str) -> str:
    return f"{told[what] / told[f'{each}s']:.2f}" if told[f"{each}s"] else "-"
