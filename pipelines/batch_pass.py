"""The Batch API as a pass before the build: the requests of all units that are left, collected into the ledger."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ray.data.block import Block
from ray.data.datasource import Datasink

from builders import rows
from builders.llm.ledger import Ledger
from builders.llm.request import Purpose, Request
from builders.shards.store import Store
from pipelines.asking import key_of, ledger_store, meters_of
from pipelines.dag import Asking, Dag
from pipelines.hardware import Cluster
from pipelines.metrics import count_asked
from pipelines.units import Handle, job_of, unit_of
from pipelines.wave import run_wave, waves
from schemas.llm import OpenAiLlm

_AT_ONCE = 64
"""Records of which requests are made at once."""


class RequestSink(Datasink[None]):  # type: ignore[misc]  # Ray is untyped
    """Writes what each unit would ask, a file a unit."""

    def __init__(self, handle: Handle, folder: Store) -> None:
        self._handle, self._folder = handle, folder

    def get_name(self) -> str:
        return "Requests"

    def write(self, blocks: Iterable[Block], ctx: Any) -> None:
        asks = job_of(self._handle).dag.asks
        assert asks is not None
        for block in blocks:
            live = block.select([*asks.step.reads, rows.OUTCOME]).filter(rows.live(block))
            lines = []
            for start in range(0, live.num_rows, _AT_ONCE):
                records = live.slice(start, _AT_ONCE).select(asks.step.reads).to_pylist()
                lines += [json.dumps([r.provider, r.path, r.body]) for r in asks.step.requests(records)]
            text = "".join(f"{line}\n" for line in lines)
            self._folder.put_bytes(_path(unit_of(block)), gzip.compress(text.encode(), mtime=0))


def ask_in_batches(
    dag: Dag, asks: Asking, store: Store, purpose: Purpose, handle: Handle, units: Sequence[int], cluster: Cluster
) -> None:
    """Bring the answers of `units` into the ledger. Returns when every batch has ended. Raises BuildError.

    Who has lost the lease submits no more, and deletes nothing that another who builds the same needs.
    """
    from builders.llm.batch import Batches  # a second of imports, for this pass alone

    assert isinstance(asks.settings, OpenAiLlm), "speech is not asked for in batches"
    ledger_at = ledger_store(store, asks.settings)
    notes = ledger_at.below("batches").guarded(job_of(handle).signature.check)
    folder = notes.below(f"{purpose.build[:16]}/requests")
    missing = [unit for unit in units if not folder.exists(_path(unit))]
    for wave in waves(job_of(handle).sizes, missing):
        run_wave(handle, dag.before_asking, wave, cluster, RequestSink(handle, folder))
    batches = Batches(
        key_of(asks.settings),
        Ledger(ledger_at),
        notes,
        asks.settings,
        purpose.build,
        purpose.run,
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    try:
        batches.run(lambda: _requests(folder, units))
    finally:
        ran = Ledger(ledger_at).totals(purpose.build, purpose.run)
        amounts = {"asked": ran.requests, "answers": ran.answers, "usd": ran.usd}
        amounts |= {"tokens_in": ran.tokens_in, "tokens_out": ran.tokens_out}
        count_asked(meters_of(job_of(handle).dataset, asks.settings), amounts)
    for unit in units:
        folder.delete(_path(unit))


def _path(unit: int) -> str:
    return f"{unit:06d}.jsonl.gz"


def _requests(folder: Store, units: Sequence[int]) -> Iterator[Request]:
    for unit in units:
        for line in gzip.decompress(folder.read_bytes(_path(unit))).splitlines():
            provider, path, body = json.loads(line)
            yield Request(provider, path, body)
