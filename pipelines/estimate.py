"""What an endpoint would be asked and cost, from the real prompts or texts of some inputs: what `plan` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from builders import rows
from builders.llm.money import about_prompt, characters, cost
from builders.llm.request import SPEECH, Request
from builders.shards.store import Store
from builders.step import Services
from pipelines.dag import Asking, Dag
from pipelines.work import run_steps
from schemas.endpoint import Endpoint, Price, SpeechPrice

if TYPE_CHECKING:
    from builders.llm.ledger import Ledger

SAMPLED_UNITS = 8
"""Places in the source, evenly spread, at which inputs are looked at."""
AT_EACH = 16
"""Inputs at each of them."""


@dataclass(frozen=True)
class Estimate:
    """`sampled` inputs made `made` requests, of which `known` are in the ledger.

    Tokens, and characters to be spoken, are means of these requests.
    """

    sampled: int
    made: int
    known: int
    tokens_in: float
    tokens_out: float
    characters: float


class _Nobody:
    def add(self, amounts: object) -> None:
        """Nobody watches a plan."""


def estimate(dag: Dag, asks: Asking, ledger: Ledger | None) -> Estimate:
    """Run some inputs through the stages before the asking step, and make their requests."""
    for stage in dag.before_asking:
        for step in stage.steps:
            step.setup(Services(_Nobody(), "cpu"))
    sampled = 0
    requests: list[Request] = []
    answers: list[float] = []
    for table in _some(dag):
        sampled += table.num_rows
        for stage in dag.before_asking:
            table = run_steps(table, stage.steps, stage.batch)
        records = table.filter(rows.live(table)).select(asks.step.reads).to_pylist()
        requests += asks.step.requests(records)
        answers += asks.step.expected_tokens(records)
    known = ledger.find([request.hash for request in requests]) if ledger else {}
    made = max(len(requests), 1)
    return Estimate(
        sampled,
        len(requests),
        sum(request.hash in known for request in requests),
        sum(map(about_prompt, requests)) / made,
        sum(answers) / made,
        sum(characters(request) for request in requests if request.path == SPEECH) / made,
    )


def _some(dag: Dag) -> Iterator[pa.Table]:
    total = sum(dag.source.unit_sizes)
    places = min(SAMPLED_UNITS, -(-total // AT_EACH))
    for place in range(places):
        start = place * total // places
        yield rows.begin(dag.source.read(start, min(AT_EACH, (place + 1) * total // places - start)), 0)


def render_estimate(dag: Dag, asks: Asking, out: str | None) -> list[str]:
    """The estimate as lines of a plan."""
    settings: Endpoint = asks.settings
    found = estimate(dag, asks, _ledger(settings, out))
    calls = min(round(found.made / max(found.sampled, 1) * sum(dag.source.unit_sizes)), asks.most(1 << 60))
    amounts, usd, at = _spoken(settings, found, calls) if settings.part == "tts" else _written(settings, found, calls)
    lines = {
        "calls": f"{calls:,} ({found.sampled:,} inputs looked at would make {found.made:,})",
        **amounts,
        "cost": f"unknown: {settings.part}.prices has no price of {settings.model!r}"
        if usd is None
        else f"${usd:,.2f} ({at})",
        "ledger": f"{found.known:,} of the {found.made:,} are answered in it already{_left(usd, found)}",
    }
    limit = "" if settings.max_usd is None else f", stops at ${settings.max_usd:,.2f}"
    who = f"{settings.part}: {settings.model} at {settings.base_url}"
    head = f"{who}, {settings.concurrency:,} requests in flight{limit}"
    return [head, *(f"  {name:<10}  {told}" for name, told in lines.items())]


def _left(usd: float | None, found: Estimate) -> str:
    """What the others come to."""
    if usd is None or not found.known:
        return ""
    return f", which leaves about ${usd * (1 - found.known / found.made):,.2f} to pay"


def _ledger(settings: Endpoint, out: str | None) -> Ledger | None:
    if settings.ledger:
        where = Store(settings.ledger, field="llm.ledger")
    elif out:
        where = Store(out).below("ledger")
    else:
        return None
    from builders.llm.ledger import Ledger  # takes numpy, which `show` does without where only the reader is installed

    ledger = Ledger(where)
    ledger.refresh()
    return ledger


def _written(settings: Endpoint, found: Estimate, calls: int) -> tuple[dict[str, str], float | None, str]:
    """What the calls come to in tokens and dollars, and at what price."""
    tokens_in, tokens_out = (round(calls * mean) for mean in (found.tokens_in, found.tokens_out))
    amounts = {
        "tokens in": f"{tokens_in:,} (those inputs' real prompts, in words, numbers and signs)",
        "tokens out": f"{tokens_out:,} (answers as long as those that the prompts show)",
    }
    price, batch = settings.price, settings.kind == "openai_batch"
    if not isinstance(price, Price):
        return amounts, None, ""
    share = f", {price.batch:.0%} of that as a batch" if batch else ""
    at = f"at ${price.input:g} in and ${price.output:g} out a million tokens{share}"
    return amounts, cost(price, tokens_in, tokens_out, 0, batch), f"{at}; nothing taken off for cached prompts"


def _spoken(settings: Endpoint, found: Estimate, calls: int) -> tuple[dict[str, str], float | None, str]:
    """The same of speech, in characters."""
    count, price = round(calls * found.characters), settings.price
    amounts = {"characters": f"{count:,} (those inputs' real texts)"}
    if not isinstance(price, SpeechPrice):
        return amounts, None, ""
    return amounts, count * price.characters / 1e6, f"at ${price.characters:g} a million characters"
