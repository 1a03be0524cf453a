"""The one place of a build that asks the language model, a Ray actor: limits, budget and ledger hold for a cluster."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import ray

from builders.llm.asker import NOT_ANSWERED, Asker
from builders.llm.ledger import LEDGER_NOTE, Ledger
from builders.llm.outcomes import Sent
from builders.llm.request import Entry, Purpose, Request
from builders.shards.store import Store
from pipelines.dag import Dag
from pipelines.metrics import Meters, count_asked
from pipelines.services import beside_driver
from schemas.endpoint import Endpoint
from schemas.errors import BuildError, UserError

if TYPE_CHECKING:
    from builders.llm.client import Client

COUNTED = ("asked", "answers", "unpriced", "usd", "tokens_in", "tokens_out", "from_ledger", "saved_usd", "lost_media")
"""What the actor counts in its run: attempts, those answered, those at unknown cost, the cost of the others, their
tokens; answers found in the ledger, and their cost; media that were lost there, whose requests were asked again."""
_NEEDS_KEY = "api.openai.com"
_OPEN_EVERY, _KEY_WITHIN = 5.0, 60.0
"""Seconds."""


def meters_of(dataset: str, settings: Endpoint) -> Meters:
    """The meters of what is asked of an endpoint."""
    return Meters(dataset, part=settings.part, model=settings.model)


class AskingWorker:
    """The actor. The key is handed over by a call, since what an actor starts with is kept by the cluster."""

    def __init__(self, dataset: str, settings: Endpoint, ledger: Store, purpose: Purpose, keyed: bool) -> None:
        self._meters = meters_of(dataset, settings)
        self._settings, self._ledger, self._purpose, self._keyed = settings, ledger, purpose, keyed
        self._counted: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self._key = os.environ.get(settings.api_key_env, "").strip() or None
        self._lock, self._opened = asyncio.Lock(), asyncio.Event()
        self._asker: Asker | None = None
        self._client: Client | None = None

    async def open(self, key: str | None) -> None:
        """Be ready to ask. Raises BuildError where the ledger cannot be read."""
        self._key = key or self._key
        self._opened.set()
        await self._ready()

    async def ask(self, requests: Sequence[Request]) -> list[Entry]:
        """See builders.step.Asks."""
        asker = await self._ready()  # an actor that was started again has to begin anew
        return await asker.ask(requests)

    async def media(self, entry: Entry) -> bytes:
        """See builders.step.Asks."""
        return await asyncio.to_thread(Ledger(self._ledger).media, entry)

    async def counted(self) -> dict[str, float]:
        """COUNTED, so far."""
        return dict(self._counted)

    def _count(self, amounts: Mapping[str, float]) -> None:
        self._counted.update(amounts)
        count_asked(self._meters, amounts)

    async def close(self) -> None:
        """What is in flight is waited for and sealed."""
        if self._asker:
            await self._asker.close()
        if self._client:
            await self._client.close()

    async def _until_opened(self) -> None:
        try:
            await asyncio.wait_for(self._opened.wait(), _KEY_WITHIN)
        except TimeoutError:
            why = "the process that asks was started again, and nobody has handed it the key"
            raise BuildError(f"{self._settings.part}: {why}; run the same command again") from None

    async def _ready(self) -> Asker:
        async with self._lock:
            if self._asker is None:
                if self._keyed and not self._key:  # started again: the driver will hand the key over again
                    await self._until_opened()
                self._ledger.sweep()
                ledger = Ledger(self._ledger)
                await asyncio.to_thread(ledger.refresh)
                settings = self._settings
                if settings.kind == "openai":
                    from builders.llm.client import Client  # a second of imports, for this actor alone

                    self._client = Client(
                        settings.base_url, self._key, settings.timeout, settings.concurrency, settings.part
                    )
                send = self._client.send if self._client else _not_asked
                self._asker = Asker(send, ledger, settings, self._purpose, self._count)
        return self._asker


async def _not_asked(request: Request) -> Sent:
    """Where the Batch API has been asked before the build."""
    return Sent(NOT_ANSWERED, detail=f"select outcome, detail from ledger where hash = '{request.hash}'")


AskingActor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=3)(AskingWorker)


class ClusterAsks:
    """The `Asks` service in a worker: hands its requests to the actor and waits."""

    def __init__(self, actor: ray.actor.ActorHandle) -> None:
        self._actor = actor

    def ask(self, requests: Sequence[Request]) -> list[Entry]:
        entries: list[Entry] = _got(self._actor.ask.remote(list(requests)))
        return entries

    def media(self, entry: Entry) -> bytes:
        data: bytes = _got(self._actor.media.remote(entry))
        return data


def key_of(settings: Endpoint) -> str | None:
    """The key, from the environment alone. Raises UserError where it is not set and the endpoint surely wants it."""
    key = os.environ.get(settings.api_key_env, "").strip()
    named = settings.api_key_env != type(settings).model_fields["api_key_env"].default
    if not key and (named or urlsplit(settings.base_url).hostname == _NEEDS_KEY):
        raise _not_set(f"{settings.part}.api_key_env", settings.api_key_env, "the head node")
    return key or None


def check_keys(keys: Mapping[str, str]) -> None:
    """Raises UserError where a variable of `Dag.keys` is not set here, before workers find that out for themselves."""
    for field, variable in keys.items():
        if not os.environ.get(variable, "").strip():
            raise _not_set(field, variable, "every node, before Ray starts")


def _not_set(field: str, variable: str, where: str) -> UserError:
    return UserError(
        f"{field}: the variable {variable} is not set; export {variable}=… where this command runs (on a cluster: on "
        f"{where}, not in the job's metadata)"
    )


def ledger_store(store: Store, settings: Endpoint) -> Store:
    """Where a build into `store` keeps its answers. Without the guard of `store`: what was paid for is kept, whoever
    builds there by now."""
    return Store(settings.ledger, field="llm.ledger") if settings.ledger else Store(store.below("ledger").root)


def note_ledger(store: Store, settings: Endpoint) -> None:
    """So that `query` finds the ledger, wherever it lies."""
    if settings.ledger:
        store.put_bytes(LEDGER_NOTE, json.dumps({"at": str(ledger_store(store, settings))}).encode())
    else:
        store.delete(LEDGER_NOTE)


@contextmanager
def asked(dataset: str, dag: Dag, store: Store, purpose: Purpose) -> Iterator[ray.actor.ActorHandle | None]:
    """The actor, where the DAG asks anybody. At the end, however it comes, what is in flight is waited for."""
    if dag.asks is None:
        yield None
        return
    settings = dag.asks.settings
    key, at = key_of(settings), ledger_store(store, settings)
    asking = AskingActor.options(max_concurrency=10_000, **beside_driver())
    actor = asking.remote(dataset, settings, at, purpose, key is not None)
    _got(actor.open.remote(key))
    ended = threading.Event()
    threading.Thread(target=_keep_open, args=(actor, key, ended), daemon=True).start()
    why = ""
    try:
        yield actor
    except (BuildError, UserError) as error:
        why = f"{error}: "
        raise
    finally:
        try:
            _close(actor, why)
            _tell_lost(actor, at, settings)
        finally:
            ended.set()


def _keep_open(actor: ray.actor.ActorHandle, key: str | None, ended: threading.Event) -> None:
    """Hands the key over again and again: an actor that had to be started anew has forgotten it."""
    while not ended.wait(_OPEN_EVERY):
        with suppress(ray.exceptions.RayError):
            actor.open.remote(key)


def _close(actor: ray.actor.ActorHandle, why: str) -> None:
    """Wait for what is in flight, and tell why that is necessary where it takes longer."""
    with suppress(ray.exceptions.RayActorError):
        closing = actor.close.remote()
        if not ray.wait([closing], timeout=1)[0]:
            print(f"{why}waiting for the answers that are on their way", file=sys.stderr, flush=True)
        _got(closing)


def _tell_lost(actor: ray.actor.ActorHandle, ledger: Store, settings: Endpoint) -> None:
    with suppress(ray.exceptions.RayActorError):
        if lost := round(_got(actor.counted.remote())["lost_media"]):
            why = "was gone from the ledger, or other bytes were in its place"
            print(
                f"{settings.part}: the audio of {lost:,} answers {why} ({ledger}/media): asked again", file=sys.stderr
            )


def _got(called: ray.ObjectRef) -> Any:
    """What an actor's method returned; its own error, without what Ray wraps around it."""
    try:
        return ray.get(called)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, BuildError | UserError):
            raise type(error.cause)(str(error.cause).split("\n", 1)[0]) from None
        raise


def account(dag: Dag, store: Store, purpose: Purpose, counted: Mapping[str, float]) -> dict[str, Any] | None:
    """What the manifest says of the money: of this dataset in all runs, and of the last run, both from the ledger.

    `counted`: what the last run found there, as the actor counted it.
    """
    if dag.asks is None:
        return None
    settings = dag.asks.settings
    ledger = Ledger(ledger_store(store, settings))
    told = {"part": settings.part, "kind": settings.kind, "provider": settings.provider, "model": settings.model}
    found = {name: round(counted.get(name, 0), 6) for name in ("from_ledger", "saved_usd")}
    last = {**asdict(ledger.totals(purpose.build, purpose.run)), **found}
    return {**told, **asdict(ledger.totals(purpose.build)), "last_run": last}
