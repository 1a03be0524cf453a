"""One builder at a time: whoever builds into an output holds its lease, refreshes it while it lives, and signs.

builders.shards.lease_steps tells how the lease is taken. On this machine, a process that has ended is dead at once,
whatever its file's time. Who was wrongly taken for dead finds another's signature, and from then on no file of its own
appears, and it deletes none; what was on its way when the other signed, one request a thread, may still arrive.
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
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.shards.dataset import unreadable
from builders.shards.lease_steps import Ask, Delete, Free, List, Op, Put, Taken, take
from builders.shards.store import Store
from schemas.errors import BuildError, UserError

LEASES = "leases"
"""The folder of a dataset in which they lie."""
SIGNATURE = f"{LEASES}/signature"
"""Of who took the lease last."""
BEAT = 10.0
"""Seconds between two refreshes."""


def counting() -> float:
    """Seconds by a clock that goes on while the machine sleeps (on Linux the usual one does not). That of a virtual
    machine may stand while its host sleeps."""
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
    if not who:
        return "another build"
    job = f", job {who['job']}" if who.get("job") else ""
    place = f"on {who.get('host', 'an unknown host')}, process {who.get('pid', 'unknown')}"
    words = f"{who.get('user', 'somebody')} {place}{job}, since {who.get('since', 'an unknown time')}"
    return "".join(character if character.isprintable() else "?" for character in words)


class Lost(BuildError):
    """Another has signed: nothing more may be written."""


@dataclass(frozen=True)
class Signature:
    """The signature of one builder, under which it and its workers write into an output: the last one counts."""

    store: Store
    identity: str

    def check(self) -> None:
        """Raises Lost where another has signed since, or the build has ended. To be asked when a file is about to
        appear or to be deleted."""
        try:
            who = _parsed(self.store.read_bytes(SIGNATURE))
        except FileNotFoundError:
            who = {}
        except OSError as error:
            raise unreadable(f"{self.store}/{SIGNATURE}", error) from None
        if who.get("identity") != self.identity:
            gone = f"no {SIGNATURE} is there any more: another may have built"
            other = f"{told(who)} has built there" if who else gone
            raise Lost(
                f"{self.store}: this build was paused, or its store silent, for too long, and {other}; look what is "
                "there by now, and run the same command again"
            )

    def put(self, who: Mapping[str, Any], until: float) -> bool:
        """Sign, as long as `counting` tells less than `until`; whether that was so."""

        def check() -> None:
            if counting() >= until:
                raise Lost

        with suppress(Lost):
            _put(self.store.guarded(check), SIGNATURE, {**who, "identity": self.identity})
            return True
        return False

    def withdraw(self) -> None:
        """Take it back, if it still counts: what is left of this build's workers writes nothing more, either."""
        with suppress(Lost):
            self.store.guarded(self.check).delete(SIGNATURE)


@dataclass
class Lease:
    """A lease that is held under a signature, and refreshed by a thread."""

    signature: Signature
    name: str
    who: Mapping[str, Any]
    _end: threading.Event = field(default_factory=threading.Event)

    def put(self) -> None:
        _put(self.signature.store, self.name, {**self.who, "held": True})

    def beat(self) -> None:
        """Refresh until the end, or until another has signed. A store that fails for a while is asked again."""
        while not self._end.wait(BEAT):
            try:
                self.signature.check()
                self.put()
            except Lost:
                return
            except (BuildError, UserError, OSError):
                continue

    def end(self) -> None:
        self._end.set()


@contextmanager
def leased(store: Store, job: str | None = None) -> Iterator[Signature]:
    """Hold the lease of an output, and give it back however the block ends. `job`: what the cluster calls this one.

    Yields the signature. Raises UserError where somebody else builds there.
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
    lease = Lease(Signature(store, identity), name, who)
    try:
        dice = random.Random(identity)
        free = _run(store, who, take(name, counting, ended, dice))
        while not lease.signature.put(who, free.until):  # that took too long: others may have come
            free = _run(store, who, take(name, counting, ended, dice))
        lease.put()
        store.guarded(lease.signature.check).delete_each(free.dead)
    except Taken as error:
        raise UserError(f"{store}: {told(error.args[0])} builds there; wait for it, or build somewhere else") from None
    except BaseException:
        _give_back(lease)
        raise
    thread = threading.Thread(target=lease.beat, name="lease", daemon=True)
    thread.start()
    try:
        yield lease.signature
    finally:
        lease.end()
        thread.join(BEAT)  # a refresh that is on its way would put the file again
        _give_back(lease)


def _give_back(lease: Lease) -> None:
    """As far as the store lets us: it expires all the same."""
    store = lease.signature.store
    with suppress(BuildError, UserError, OSError):
        lease.signature.withdraw()
        store.delete(lease.name)
        store.delete_empty(LEASES)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in containers
        return f"uid {os.getuid()}"


def _run(store: Store, who: Mapping[str, Any], steps: Generator[Op, Any, Free]) -> Free:
    """Do what the steps ask for, with the files of `store`."""
    said = ""
    answer: Any = None
    while True:
        try:
            op = steps.send(answer)
        except StopIteration as end:
            free: Free = end.value
            return free
        answer = None
        if isinstance(op, Put):
            _put(store, op.name, {**who, "held": False})
        elif isinstance(op, List):
            answer = {name: at for name, at in store.times(LEASES).items() if name != SIGNATURE}
        elif isinstance(op, Ask):
            answer = _ask(store, op.name)
        elif isinstance(op, Delete):
            store.delete(op.name)
        else:
            if op.on and told(op.on) != said:
                said = told(op.on)
                print(f"{store}: {said}: has not refreshed its lease; waiting for its end", file=sys.stderr, flush=True)
            time.sleep(op.seconds)


def _put(store: Store, name: str, told: Mapping[str, Any]) -> None:
    store.put_bytes(name, json.dumps(told).encode())


def _ask(store: Store, name: str) -> Mapping[str, Any]:
    try:
        return _parsed(store.read_bytes(name))
    except OSError:
        return {}


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        who = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return who if isinstance(who, dict) else {}
