"""Who builds: held and given back, refused to a second, taken over from the dead."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.shards import lease as lease_module
from builders.shards import lease_steps
from builders.shards.lease import LEASES, SIGNATURE, Lost, Signature, leased
from builders.shards.store import Store
from schemas.errors import UserError
from tests.leases import left_by, signed_by
from tests.s3 import S3


@pytest.fixture(params=["disk", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "disk":
        return Store(tmp_path / "out")
    s3: S3 = request.getfixturevalue("s3")
    return Store(f"s3://{s3.bucket()}/out")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become tenths, or what whole seconds of a store's clock allow."""
    monkeypatch.setattr(lease_module, "BEAT", 0.2)
    monkeypatch.setattr(lease_steps, "LOOK", 0.4)


def refreshing(store: Store, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        left_by(store)


@pytest.fixture
def held_elsewhere(store: Store) -> Iterator[None]:
    """Another machine holds the lease, and refreshes it."""
    ended = threading.Event()
    left_by(store)
    thread = threading.Thread(target=refreshing, args=(store, ended))
    thread.start()
    yield
    ended.set()
    thread.join()


def test_a_lease_is_held_within_the_block_and_given_back_however_it_ends(store: Store) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), leased(store, "job-1"):
            (name,) = (name for name in store.list(LEASES) if name != SIGNATURE)
            told = json.loads(store.read_bytes(name))
            assert (told["host"], told["pid"], told["job"]) == (socket.gethostname(), os.getpid(), "job-1")
            raise error
        assert store.list(LEASES) == []


@pytest.mark.slow
def test_a_second_builder_is_refused_with_who_builds_and_leaves_nothing(
    store: Store, held_elsewhere: None, quick: None
) -> None:
    who = r"rosa on elsewhere, process 7, since 2026-01-01 10:00:00 UTC builds there; wait for it"
    with pytest.raises(UserError, match=who), leased(store):
        pass
    assert store.list(LEASES) == [f"{LEASES}/theirs.json"]


@pytest.mark.slow
def test_the_lease_of_a_dead_builder_is_taken_over(store: Store, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_steps, "LASTS", 2.0)
    monkeypatch.setattr(lease_steps, "SPARE", 0.5)
    left_by(store)
    with leased(store) as signature:
        signature.check()
        assert not store.exists(f"{LEASES}/theirs.json")
    assert store.list(LEASES) == []


ENDED = """
import sys
from builders.shards.lease import leased
from builders.shards.store import Store
held = leased(Store(sys.argv[1]))
held.__enter__()
import os; os.kill(os.getpid(), 9)
"""


def no_wait(seconds: float) -> None:
    raise AssertionError("it waited")


@pytest.mark.slow
def test_a_process_of_this_machine_that_was_killed_holds_nothing_any_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    subprocess.run([sys.executable, "-c", ENDED, str(store)], env=environment, check=False, timeout=120)
    assert len(store.list(LEASES)) == 2, "its lease and its signature"
    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", no_wait)
        with leased(store):
            pass
    assert store.list(LEASES) == []


def test_a_process_that_lives_is_not_taken_for_dead_and_one_of_its_number_is_not_taken_for_it() -> None:
    here = lease_module._here()
    mine = {**here, "pid": os.getpid(), "began": lease_module._began(os.getpid())}
    assert not lease_module.ended(mine)
    assert lease_module.ended({**mine, "began": "1"}), "another process has its number by now"
    assert not lease_module.ended({**mine, "host": "elsewhere", "began": "1"})
    assert not lease_module.ended({**mine, "space": "pid:[1]", "began": "1"}), "another container on this machine"
    assert not lease_module.ended({})


TAKEN = r"paused, or its store silent, for too long, and rosa on elsewhere, .* has built there; look what is there"


def test_after_another_has_signed_no_file_appears_and_none_is_deleted(store: Store) -> None:
    with leased(store) as signature:
        guarded = store.guarded(signature.check)
        guarded.put_bytes("data/a", b"1")
        with pytest.raises(Lost, match=TAKEN), guarded.put("data/a") as file:
            file.write(b"2")
            signed_by(store)
        for write in (
            lambda: guarded.delete("data/a"),
            lambda: guarded.delete_each(["data/a"]),
            lambda: guarded.below("data").put_bytes("a", b"2"),
        ):
            with pytest.raises(Lost, match=TAKEN):
                write()
        assert store.read_bytes("data/a") == b"1"
    assert store.exists(SIGNATURE), "it is the other's"


@pytest.mark.parametrize("raw", [b"", b"[", b"[" * 100_000, b"[]", b'{"identity": 3}'])
def test_a_signature_that_is_none_is_not_ones_own(store: Store, raw: bytes) -> None:
    with leased(store) as signature:
        store.put_bytes(SIGNATURE, raw)
        with pytest.raises(Lost, match=r"for too long, and (no leases/signature is there any more|somebody on)"):
            signature.check()


def test_who_has_given_the_lease_back_writes_nothing_more_and_its_workers_neither(store: Store) -> None:
    with leased(store) as signature:
        worker: Signature = pickle.loads(pickle.dumps(signature))
        worker.check()
    with pytest.raises(Lost, match="no leases/signature is there any more"):
        worker.check()


def test_who_takes_the_lease_over_signs_so_that_who_had_it_is_told(store: Store, quick: None) -> None:
    with leased(store) as before:
        for name in store.list(LEASES):
            if name != SIGNATURE:
                store.delete(name)  # as where it has expired
        with leased(store) as after:
            after.check()
            with pytest.raises(Lost):
                before.check()


@pytest.mark.slow
def test_who_has_lost_the_lease_refreshes_it_no_more(store: Store, quick: None) -> None:
    with leased(store):
        (name,) = (name for name in store.list(LEASES) if name != SIGNATURE)
        signed_by(store)
        time.sleep(1.0)  # five refreshes
        store.delete(name)
        time.sleep(1.0)
        assert store.list(LEASES) == [SIGNATURE]


def test_a_lease_is_refreshed_by_itself(store: Store, quick: None) -> None:
    with leased(store):
        (name,) = (name for name in store.list(LEASES) if name != SIGNATURE)
        store.delete(name)
        for _ in range(100):
            time.sleep(0.1)
            if store.exists(name):
                return
        raise AssertionError("it was not refreshed")


def test_a_refresh_that_is_on_its_way_when_the_lease_is_given_back_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_its_way = threading.Event()

    class Slow(Store):
        def put_bytes(self, path: str, data: bytes) -> None:
            if threading.current_thread().name == "lease":
                on_its_way.set()
                time.sleep(0.2)
            super().put_bytes(path, data)

    store = Slow(tmp_path / "out")
    monkeypatch.setattr(lease_module, "BEAT", 0.05)
    with leased(store):
        assert on_its_way.wait(30)
        monkeypatch.setattr(lease_module, "BEAT", 5.0)
    assert store.list(LEASES) == []


@pytest.mark.slow
def test_what_is_no_lease_holds_until_it_expires(store: Store, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_steps, "LASTS", 2.0)
    monkeypatch.setattr(lease_steps, "SPARE", 0.5)
    store.put_bytes(f"{LEASES}/odd.json", b"\xff{")
    with leased(store):
        pass
    assert store.list(LEASES) == []
