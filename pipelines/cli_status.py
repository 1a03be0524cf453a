"""`gristmill status`: how far a dataset is, told by its files alone."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from builders.shards.status import Status

_MOST_REASONS = 5


def status(
    dataset: Annotated[str, typer.Argument(help="A dataset's folder.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell how far a build is, from wherever its dataset can be read: done, left, speed, failures by reason, cost."""
    from builders.shards.status import look_at
    from builders.shards.store import Store

    store = Store(dataset, field="DATASET")
    found = look_at(store)
    typer.echo(json.dumps(found.as_json()) if as_json else "\n".join([f"{store}: {_state(found)}", *_lines(found)]))


def _state(found: Status) -> str:
    if found.finished:
        return f"{found.kind}, finished"
    if found.units_done < found.units:
        return f"{found.kind}, not finished"
    return (
        f"{found.kind}, not finished, all units have markers: the same build command makes what is gone and closes it"
    )


def _lines(found: Status) -> Iterator[str]:
    left = found.units - found.units_done
    yield f"units     {found.units_done:,} of {found.units:,} done, {left:,} left"
    about = "about " if found.estimated_from else ""
    outcomes = f"{found.kept:,} kept, {found.rejected:,} rejected, {found.failed:,} failed"
    yield f"inputs    {found.inputs_done:,} of {found.inputs:,} done: {about}{outcomes}"
    yield f"samples   {about}{found.samples:,}, {found.bytes:,} bytes in shards"
    if found.drawn:
        yield f"drawn     {found.drawn[0]:,} of {found.drawn[1]:,} units of what an artefact is made of"
    for path in found.artefacts:
        yield f"artefact  {path}"
    yield from _pace(found)
    for outcome in ("failed", "rejected"):
        yield from _reasons(outcome, found.reasons)
    slowest = sorted(found.worker_seconds.items(), key=lambda item: -item[1])[:_MOST_REASONS]
    if slowest := [(step, seconds) for step, seconds in slowest if seconds >= 0.5]:
        yield f"worker    {', '.join(f'{step} {seconds:,.0f} s' for step, seconds in slowest)}"
    yield from _cost(found)
    if found.estimated_from:
        read = f"{found.estimated_from:,} of {found.units_done:,} markers were read"
        yield f"note      {read}: all but units and inputs is estimated from them"


def _pace(found: Status) -> Iterator[str]:
    if not found.last_committed:
        return
    at = datetime.datetime.fromisoformat(found.last_committed)
    ago = f"{_time((datetime.datetime.now(datetime.UTC) - at).total_seconds())} ago"
    if found.finished:
        yield f"finished  {ago}"
        return
    speed = found.inputs_per_second
    told = f"{speed:,.1f} inputs/s, " if speed else ""
    left = f"; at that speed {_time(found.seconds_left)} left" if found.seconds_left else ""
    yield f"speed     {told}last unit committed {ago}{left}"


def _time(seconds: float) -> str:
    """A length of time in the largest unit of which it has two."""
    for size, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def _reasons(outcome: str, reasons: Mapping[str, int]) -> Iterator[str]:
    mine = [(why.split("/", 1)[1], n) for why, n in reasons.items() if why.startswith(f"{outcome}/")]
    if mine:
        more = f", and {len(mine) - _MOST_REASONS} more reasons" if len(mine) > _MOST_REASONS else ""
        yield f"{outcome:<9} {', '.join(f'{why} {n:,}' for why, n in mine[:_MOST_REASONS])}{more}"


def _cost(found: Status) -> Iterator[str]:
    cost = found.cost
    if cost:
        unpriced = f", {cost['unpriced']:,} answers at unknown cost" if cost["unpriced"] else ""
        tokens = f"{cost['tokens_in']:,} tokens in, {cost['tokens_out']:,} out"
        asked = f"{cost['requests']:,} requests, {cost['answers']:,} answers"
        yield f"cost      {asked}, {tokens}, ${cost['usd']:,.4f}{unpriced}"
    elif found.ledger:
        yield f"cost      not known here: nothing is at {found.ledger}, the ledger"
