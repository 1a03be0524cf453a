"""Asks through a Batch API: at half the price, within a day, and before the build that uses the answers.

**What a kill can do.** A request file is noted before it is uploaded, its SHA-256 goes into the metadata of its batch,
and every page of the server's list is searched for that before a batch is made of it. So a kill, or a call that breaks
off, at any moment submits nothing twice, as long as the list shows a batch when it is searched. Where a batch may have
been made that nobody noted (an earlier run was killed; the call that makes it broke off), the list is searched LOOKS
times within some seconds: a server whose list lags for longer may be paid twice for that one file.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from builders.llm.batch_api import Api, Batch, Missing, Unsure
from builders.llm.batch_files import MOST_BYTES, MOST_REQUESTS, ROOT, Asked, Draft, Notes, line_of
from builders.llm.batch_rows import Harvest, entry_of
from builders.llm.ledger import Ledger
from builders.llm.money import bound
from builders.llm.request import ANSWER, Purpose, Request
from builders.shards.store import Store
from schemas.errors import BuildError
from schemas.llm import OpenAiLlm

FIRST_POLL, LONGEST_POLL = 1.0, 60.0
"""Seconds between two looks at what is in flight: few at first, twice as many each time."""
LOOKS = 4
"""How often the list is searched for a batch that may be there: at once and after 1, 2 and 4 seconds."""
TELL_EVERY = 60.0
"""Seconds between two lines on how far a batch is."""
SEAL = 5_000
"""Entries of one file of the ledger."""
_CHUNK = 2_000
"""Requests that are looked up in the ledger together."""
_QUEUE_FULL = "token_limit_exceeded"
"""The account may have no more tokens waiting: a batch fails as a whole, and may be made again later."""

Requests = Callable[[], Iterator[Request]]


@dataclass
class _Flight:
    """A request file that became a batch. `rivals`: batches of others in the account's queue when it was submitted
    again, `alone`: whether nothing at all was in it."""

    number: int
    asked: Asked
    batch: Batch
    told: tuple[object, ...] = ()
    told_at: float = -math.inf
    rivals: set[str] = field(default_factory=set)
    alone: bool = False


class Batches:
    """One pass over everything that a build asks. `folder`: the notes on request files, beside the ledger's own files.

    `say` is given a line when a file is submitted, when counts change and when its answers are in the ledger.
    """

    def __init__(
        self,
        key: str | None,
        ledger: Ledger,
        folder: Store,
        settings: OpenAiLlm,
        build: str,
        run: str,
        say: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger, self._settings, self._say, self._sleep = ledger, settings, say, sleep
        self._purpose, self._notes = Purpose(build, run), Notes(folder, build)
        self._api = Api(key, settings, sleep)
        self._flying: list[_Flight] = []
        self._held: list[_Flight] = []
        self._refused: set[bytes] = set()
        self._count, self._most = 0, MOST_REQUESTS
        self._spent, self._slept, self._delay = 0.0, 0.0, FIRST_POLL

    def run(self, requests: Requests) -> None:
        """Answer what can be answered; what cannot has an entry that tells why. Goes on where another run stopped.

        `requests` gives all of them in the same order each time; it is called several times. Raises BuildError where
        going on is of no use (the key is refused, the money is spent, a batch failed as a whole or was cancelled):
        then the same command, run again, goes on.
        """
        try:
            self._ledger.refresh()
            self._count_money()
            self._resume(requests)
            for _ in range(self._settings.retries + 1):
                if not self._ask(requests):
                    break
                while self._flying or self._held:
                    self._tick()
            self._ledger.merge()
        finally:
            self._api.close()

    def _resume(self, requests: Requests) -> None:
        """Take up the batches of earlier runs. A file that never became one is forgotten: what it asks is missing."""
        found: dict[str, Batch] = {}
        for mark in self._notes.begin():
            noted = self._notes.batch(mark)
            batch = self._noted(mark, noted) if noted else self._find(mark, LOOKS)
            if batch and not batch.void:
                found[mark] = batch
            else:
                self._notes.drop(mark)
        open_marks = {mark: self._unanswered(mark) for mark, batch in found.items() if not batch.ended}
        wanted = set().union(*open_marks.values())
        if wanted:
            wanted &= {bytes.fromhex(request.hash) for request in requests()}
        for mark, batch in found.items():
            if batch.ended or open_marks[mark] & wanted:
                self._notes.submitted(mark, batch.id)
                self._take(self._asked(mark), batch, "goes on")
            else:
                self._say(f"batch {batch.id} of an earlier run is left alone: nothing that it asks is missing any more")

    def _noted(self, mark: str, batch: str) -> Batch:
        try:
            return self._api.get(batch)
        except Missing as error:
            raise BuildError(
                f"{error}; batch {batch} of an earlier run is not there: if it is lost for good, delete "
                f"{self._notes.store}/{self._notes.file(mark)} to ask its requests anew"
            ) from None

    def _ask(self, requests: Requests) -> bool:
        """Submit what is missing; False where nothing was, nor is in flight."""
        asked = {bytes.fromhex(key) for flight in self._flying for key in self._notes.hashes(flight.asked.mark)}
        draft = Draft(self._notes.count_collected())
        try:
            for request in self._missing(requests, asked):
                line, usd = line_of(request), self._bound(request)
                if draft.rows and not self._takes(draft, line, usd):
                    self._submit(draft.note(self._notes))
                    draft = Draft(self._notes.count_collected())
                while not draft.rows and usd > self._room():
                    if not self._flying and not self._held:
                        raise self._no_money(requests)
                    self._tick()
                draft.add(request, line, usd)
            if draft.rows:
                self._submit(draft.note(self._notes))
        finally:
            draft.close()
        return bool(asked)

    def _missing(self, requests: Requests, asked: set[bytes]) -> Iterator[Request]:
        """What has no answer, was not refused for good in this run, and is not in `asked`, where it is then noted."""
        every = iter(requests())
        while chunk := list(itertools.islice(every, _CHUNK)):
            fresh = {request.hash: request for request in chunk}
            new = [key for key in fresh if (digest := bytes.fromhex(key)) not in asked and digest not in self._refused]
            known = self._ledger.find(new) if new else {}
            for key in new:
                if key not in known:
                    asked.add(bytes.fromhex(key))
                    yield fresh[key]

    def _takes(self, draft: Draft, line: bytes, usd: float) -> bool:
        return draft.rows < self._most and draft.size + len(line) <= MOST_BYTES and draft.usd + usd <= self._room()

    def _submit(self, asked: Asked) -> None:
        while self._held:  # the account's queue is full
            self._tick()
        self._send(asked)

    def _send(self, asked: Asked, number: int | None = None) -> None:
        batch = self._find(asked.mark)
        how = "found on the server" if batch else "submitted"
        batch = batch or self._create(asked)
        self._notes.submitted(asked.mark, batch.id)
        self._take(asked, batch, how, number)

    def _find(self, mark: str, looks: int = 1) -> Batch | None:
        for look in range(looks):
            if look:
                self._pause(2.0 ** (look - 1))
            for batch in self._api.all():
                if batch.mark == mark and not batch.void:
                    return batch
        return None

    def _create(self, asked: Asked) -> Batch:
        for failures in itertools.count():
            file = self._api.upload(f"{asked.mark}.jsonl", lambda: self._notes.open(asked.mark))
            try:
                return self._api.create(file, asked.endpoint, asked.mark)
            except Unsure as error:
                if batch := self._find(asked.mark, LOOKS):
                    return batch
                if failures >= self._settings.retries:
                    raise BuildError(f"llm: no batch can be made: {error}; run the same command again") from None
        raise AssertionError

    def _take(self, asked: Asked, batch: Batch, how: str, number: int | None = None) -> None:
        """From now on it is in flight."""
        self._count += number is None
        flight = _Flight(number or self._count, asked, batch)
        self._flying.append(flight)
        self._delay = FIRST_POLL
        self._tell(flight, f"{how}, {asked.rows:,} request{'s' * (asked.rows != 1)}")

    def _tick(self) -> None:
        """Wait, look at everything in flight, and collect what has ended."""
        self._pause(self._delay)
        self._delay = min(self._delay * 2, LONGEST_POLL)
        ended = False
        for flight in list(self._flying):
            flight.batch = self._api.get(flight.batch.id)
            if flight.batch.ended:
                self._flying.remove(flight)
                ended |= self._end(flight)
            else:
                self._tell_counts(flight)
        if self._held and (ended or not self._flying):
            self._submit_again(self._held.pop(0), ended)

    def _end(self, flight: _Flight) -> bool:
        """Whether what has ended left room in the account's queue."""
        batch = flight.batch
        if not batch.void or batch.status == "cancelled":
            self._collect(flight)
            if batch.status == "cancelled":
                raise BuildError(
                    f"batch {batch.id} was cancelled by somebody; what it had answered by then is in the ledger: run "
                    "the same command again to ask the rest"
                )
        elif any(code == _QUEUE_FULL for code, _ in batch.problems):
            if flight.alone:
                self._tell(flight, "the account may not have so many tokens waiting; goes again in halves")
                self._halve(flight)
            else:
                self._tell(flight, "the account may have no more tokens waiting; goes again when another has ended")
                self._notes.refused(flight.asked.mark)
                self._held.append(flight)
            return False
        if batch.status == "failed":
            self._notes.drop(flight.asked.mark)
            raise BuildError(f"batch {batch.id} failed: {self._problems(batch)}")
        return True

    def _submit_again(self, flight: _Flight, ended: bool) -> None:
        """What the account's queue had no room for, once something of ours or of others has left that queue."""
        mine = {one.batch.id for one in self._flying}
        rivals = {batch.id for batch in self._api.all() if not batch.ended} - mine
        gone, flight.rivals = flight.rivals - rivals, rivals
        if rivals and not (ended or gone):
            self._held.insert(0, flight)
            return
        alone = not (rivals or mine)
        self._send(flight.asked, flight.number)
        self._flying[-1].rivals, self._flying[-1].alone = rivals, alone

    def _halve(self, flight: _Flight) -> None:
        """What the queue does not even take alone is two files from now on, and later files are no larger."""
        asked = flight.asked
        if asked.rows == 1:
            self._notes.drop(asked.mark)
            raise BuildError(f"batch {flight.batch.id} failed, of a single request: {self._problems(flight.batch)}")
        self._most = (asked.rows + 1) // 2
        every = self._notes.requests(asked.mark, self._settings.provider)
        halves = list[Asked]()
        draft = Draft(self._notes.count_collected())
        for request in every:
            if draft.rows == self._most:
                halves.append(draft.note(self._notes))
                draft = Draft(self._notes.count_collected())
            draft.add(request, line_of(request), self._bound(request))
        halves.append(draft.note(self._notes))
        self._notes.drop(asked.mark)
        self._count += 1
        numbers = (flight.number, self._count)
        self._held[:0] = [_Flight(n, half, flight.batch) for n, half in zip(numbers, halves, strict=True)]

    def _collect(self, flight: _Flight) -> None:
        """Everything that a batch left goes into the ledger; then its file is done."""
        harvest = Harvest(self._api, flight.batch, self._notes.hashes(flight.asked.mark))
        rows, answers, stop = harvest.rows(), 0, None
        made_of = (flight.batch.id, self._purpose, self._settings)
        while part := list(itertools.islice(rows, SEAL)):
            entries = [entry_of(sent, key, *made_of) for key, sent in part]
            self._ledger.seal(entries)
            answers += sum(entry.answered for entry in entries)
            self._refused |= {bytes.fromhex(key) for key, sent in part if sent.outcome != ANSWER and not sent.retry}
            stop = stop or next((f"llm: {sent.detail}" for _, sent in part if sent.fatal), None)
            if self._settings.max_usd is not None and any(entry.answered and entry.usd is None for entry in entries):
                stop = "llm.max_usd: the endpoint tells no usage, so what is spent is not known; unset it"
        self._notes.collected(flight.asked.mark, flight.batch.id)
        self._tell(flight, f"{flight.batch.status}, {answers:,} of {flight.asked.rows:,} answered{harvest.oddities()}")
        self._count_money()
        if stop:
            raise BuildError(stop)

    def _count_money(self) -> None:
        self._spent = self._ledger.totals(self._purpose.build).usd

    def _room(self) -> float:
        """US dollars that may still be spent."""
        if self._settings.max_usd is None:
            return math.inf
        return self._settings.max_usd - self._spent - sum(one.asked.usd for one in self._flying + self._held)

    def _bound(self, request: Request) -> float:
        price = self._settings.price
        return bound(price, request, batch=True) if price and self._settings.max_usd is not None else 0.0

    def _no_money(self, requests: Requests) -> BuildError:
        left = sum(1 for _ in self._missing(requests, set()))
        return BuildError(
            f"llm.max_usd: {self._spent:.4f} of {self._settings.max_usd} US dollars are spent, and {left:,} requests "
            "are left to ask, of which the next might pass it. What was answered is in the ledger: raise llm.max_usd "
            "and run the same command again"
        )

    def _unanswered(self, mark: str) -> set[bytes]:
        """What a file asks and the ledger does not answer."""
        hashes, left = self._notes.hashes(mark), set[bytes]()
        for first in range(0, len(hashes), _CHUNK):
            part = hashes[first : first + _CHUNK]
            left |= {bytes.fromhex(key) for key in set(part) - self._ledger.find(part).keys()}
        return left

    def _asked(self, mark: str) -> Asked:
        """A file as its note has it."""
        rows, usd, endpoint = 0, 0.0, ""
        for request in self._notes.requests(mark, self._settings.provider):
            rows, usd, endpoint = rows + 1, usd + self._bound(request), ROOT + request.path
        return Asked(mark, endpoint, rows, usd)

    def _problems(self, batch: Batch) -> str:
        told = [self._api.tell(f"{code}: {message}") for code, message in batch.problems[:3]]
        return "; ".join(told) or "the server does not say why"

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        self._slept += seconds

    def _tell_counts(self, flight: _Flight) -> None:
        batch = flight.batch
        told = (batch.status, batch.done, batch.failed)
        if told != flight.told and self._slept - flight.told_at >= TELL_EVERY:
            flight.told, flight.told_at = told, self._slept
            failures = f", {batch.failed:,} failed" if batch.failed else ""
            self._tell(flight, f"{batch.status}, {batch.done:,} of {flight.asked.rows:,} done{failures}")

    def _tell(self, flight: _Flight, what: str) -> None:
        self._say(f"batch {flight.number} of {self._count} ({flight.batch.id}): {what}")
