"""One builder at a time: whoever builds into an output holds its lease, and refreshes it while it lives.

builders.shards.lease_steps tells the rules, and why they hold. On this machine, a process that has ended is dead at
once, whatever its file's time.
"""

from __future__ import annotations

import getpass
import json
import os
import random
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.shards.dataset import CLAIM
from builders.shards.lease_steps import LASTS, SPARE, Ask, Delete, List, Op, Put, Taken, Trace, expired, refresh, take
from builders.shards.store import Store
from schemas.errors import BuildError, UserError

LEASES = "leases"
"""The folder of a dataset in which they lie."""
BEAT = 10.0
"""Seconds between two refreshes."""


def counting() -> float:
    """Seconds by a clock that goes on while the machine sleeps (on Linux the usual one does not)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _here() -> dict[str, str]:
    """What tells this machine, and its space of process ids, from any other; None of it where /proc does not tell."""
    told = {"host": socket.gethostname()}
    with suppress(OSError):
        told["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        told["space"] = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  no path, but "pid:[4026531836]"
    return told


def _began(pid: int) -> str | None:
    """When a process began, by the kernel's count; None where there is none of that id, or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def ended(who: Mapping[str, Any]) -> bool:
    """Whether a lease is of a process of this machine that is no more."""
    here = _here()
    if len(here) < 3 or any(who.get(name) != value for name, value in here.items()):
        return False
    return isinstance(who.get("pid"), int) and _began(who["pid"]) != who.get("began")


def told(who: Mapping[str, Any]) -> str:
    """Who holds a lease, in words."""
    job = f", job {who['job']}" if who.get("job") else ""
    place = f"on {who.get('host', 'an unknown host')}, process {who.get('pid', 'unknown')}"
    return f"{who.get('user', 'somebody')} {place}{job}, since {who.get('since', 'an unknown time')}"


@dataclass
class Lease:
    """A lease that is held, and refreshed by a thread. `store` is the output's.

    `on_lost` is called once, by whoever finds that somebody else builds by now. `trace` is the stamp of the dataset's
    claim as this builder wrote it last.
    """

    store: Store
    name: str
    who: Mapping[str, Any]
    since: float
    clock: Callable[[], float] = counting
    on_lost: Callable[[], None] = lambda: None
    trace: tuple[float, int] | None = None
    _lost: Taken | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _end: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises BuildError where somebody else builds by now, or has built. To be asked before anything is closed or
        deleted; of a lease that was refreshed lately, it asks nothing of the store."""
        with self._lock:
            if not self._lost and self.clock() - self.since >= LASTS - SPARE:
                self._refresh()
            if self._lost:
                who = self._lost.args[0]
                other = f"{told(who)} builds there now" if who else "another may have built there since"
                raise BuildError(
                    f"{self.store}: this build was paused, or its store silent, for too long, and {other}; "
                    "look what is there by then, and run the same command again"
                )

    def claimed(self) -> None:
        """To be called whenever the holder has written the claim. Raises BuildError as `check` does."""
        trace = trace_of(self.store)
        self.check()  # after a sleep, the trace may be another's
        self.trace = trace

    def _refresh(self) -> None:
        try:
            self.since = _run(self.store, self.who, refresh(self.name, self.since, self.clock, ended), self.trace)
        except Taken as error:
            self._lost = error
            self.on_lost()

    def beat(self) -> None:
        """Refresh until the end. A store that fails for a while is asked again: `check` knows how long that may be."""
        while not self._end.wait(BEAT):
            with self._lock, suppress(BuildError, UserError, OSError):
                if self._lost or self._end.is_set():
                    return
                self._refresh()

    def release(self) -> None:
        self._end.set()
        self._lock.acquire(timeout=BEAT)  # a refresh that is on its way would put the file again
        with suppress(BuildError, UserError, OSError):  # it expires all the same
            times = self.store.times(LEASES)
            late = expired(self.name, times)
            for other in times:
                if other != self.name and (other in late or ended(_ask(self.store, other))):
                    self.store.delete(other)
            self.store.delete(self.name)
            self.store.delete_empty(LEASES)


@contextmanager
def leased(store: Store, job: str | None = None) -> Iterator[Lease]:
    """Hold the lease of an output, and give it back however the block ends. `job`: what the cluster calls this one.

    Raises UserError where somebody else builds there.
    """
    identity = uuid.uuid4().hex
    name = f"{LEASES}/{identity}.json"
    who: Mapping[str, Any] = {
        **_here(),
        "pid": os.getpid(),
        "began": _began(os.getpid()),
        "user": _user(),
        "job": job,
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }
    try:
        since = _run(store, who, take(name, counting, ended, random.Random(identity)))
        trace = trace_of(store)
        since = _run(store, who, refresh(name, since, counting, ended), trace)
        lease = Lease(store, name, who, since, trace=trace)
    except Taken as error:
        raise UserError(f"{store}: {told(error.args[0])} builds there; wait for it, or build somewhere else") from None
    except BaseException:
        with suppress(BuildError, UserError, OSError):
            store.delete(name)
        raise
    thread = threading.Thread(target=lease.beat, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease.release()
        thread.join(BEAT)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in containers
        return f"uid {os.getuid()}"


def trace_of(store: Store) -> tuple[float, int] | None:
    """The stamp of the claim; None where there is none."""
    try:
        return store.stamp(CLAIM)
    except FileNotFoundError:
        return None


def _run(
    store: Store, who: Mapping[str, Any], steps: Generator[Op, Any, float], trace: tuple[float, int] | None = None
) -> float:
    """Do what the steps ask for, with the files of `store`. `trace` is one's own."""
    said = ""
    answer: Any = None
    while True:
        try:
            op = steps.send(answer)
        except StopIteration as end:
            since: float = end.value
            return since
        answer = None
        if isinstance(op, Put):
            store.put_bytes(op.name, json.dumps({**who, "held": op.held}).encode())
        elif isinstance(op, List):
            answer = store.times(LEASES)
        elif isinstance(op, Ask):
            answer = _ask(store, op.name)
        elif isinstance(op, Delete):
            store.delete(op.name)
        elif isinstance(op, Trace):
            answer = trace_of(store) == trace
        else:
            if op.on and told(op.on) != said:
                said = told(op.on)
                print(f"{store}: {said}: has not refreshed its lease; waiting for its end", file=sys.stderr, flush=True)
            time.sleep(op.seconds)


def _ask(store: Store, name: str) -> Mapping[str, Any]:
    try:
        who = json.loads(store.read_bytes(name))
    except (OSError, ValueError):
        return {}
    return who if isinstance(who, dict) else {}
