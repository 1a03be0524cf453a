"""The store: a file appears whole or not at all, whatever happens to its writer."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builders.shards.store import Store
from schemas.errors import BuildError, UserError

TEMPORARY = ".tmp"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out")


def everything(store: Store) -> list[str]:
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


class Stop(Exception):
    """What a writer may raise."""


# ---- whole or not at all ---------------------------------------------------------------------------------------------


def test_a_file_appears_when_its_writer_is_done_and_not_before(store: Store) -> None:
    with store.put("data/a.tar") as file:
        file.write(b"half")
        file.flush()
        assert not store.exists("data/a.tar")
        assert store.list("data") == []
        file.write(b" and half")
    assert store.read_bytes("data/a.tar") == b"half and half"
    assert everything(store) == ["data/a.tar"]


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, SystemExit])
def test_a_writer_that_raises_leaves_nothing(store: Store, error: type[BaseException]) -> None:
    with pytest.raises(error), store.put("data/a.tar") as file:
        file.write(b"x" * 100_000)
        raise error
    assert everything(store) == []


def test_a_writer_that_raises_leaves_the_file_that_was_there(store: Store) -> None:
    store.put_bytes("a", b"old")
    with pytest.raises(Stop), store.put("a") as file:
        file.write(b"new")
        raise Stop
    assert store.read_bytes("a") == b"old"
    assert everything(store) == ["a"]


@contextmanager
def small_files() -> Iterator[None]:
    """The system refuses files over 10,000 bytes, as a full disk would; no fixture, or the log of pytest meets it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [10_001, 1_000_000])
def test_a_disk_that_takes_no_more_is_one_line_and_leaves_nothing(store: Store, size: int) -> None:
    refused = r"could not write .*/data/a\.tar: File too large; .*run the same command"
    with pytest.raises(BuildError, match=refused), small_files():
        store.put_bytes("data/a.tar", b"x" * size)
    assert everything(store) == []


def test_a_place_where_no_file_can_be_is_one_line(store: Store) -> None:
    store.put_bytes("data", b"a file where a folder should be")
    with pytest.raises(BuildError, match=r"could not write .*/data/a\.tar: "):
        store.put_bytes("data/a.tar", b"x")
    assert everything(store) == ["data"]


def test_readers_see_the_old_file_or_the_new_one_and_never_half(store: Store) -> None:
    contents = {bytes([n]) * 50_000 for n in range(40)}
    store.put_bytes("a", min(contents))
    seen: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(store.read_bytes("a"))

    reader = threading.Thread(target=read)
    reader.start()
    for content in sorted(contents):
        store.put_bytes("a", content)
    done.set()
    reader.join()
    assert seen and set(seen) <= contents


def test_a_reader_that_began_with_the_old_file_ends_with_it(store: Store) -> None:
    store.put_bytes("a", b"old" * 1000)
    with store.open("a") as file:
        head = file.read(3)
        store.put_bytes("a", b"new" * 1000)
        assert head + file.read() == b"old" * 1000


# ---- what killed writers leave ---------------------------------------------------------------------------------------

WRITER = """
import os, sys
from builders.shards.store import Store
with Store(sys.argv[1]).put("data/killed.tar") as file:
    file.write(b"x" * 1000)
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


def start_writer(store: Store) -> subprocess.Popen[bytes]:
    """A process in the middle of a put."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    return writer


def test_a_sweep_removes_what_a_killed_writer_left_and_not_what_a_live_one_writes(store: Store) -> None:
    live, killed = start_writer(store), start_writer(store)
    try:
        assert len(store.list(TEMPORARY)) == 2
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert len(store.list(TEMPORARY)) == 2
        store.sweep()
        assert len(store.list(TEMPORARY)) == 1
        live.communicate(b"")
        assert live.returncode == 0
        assert everything(store) == ["data/killed.tar"]
        store.sweep()
        assert not (store.root / TEMPORARY).exists()
    finally:
        for process in (live, killed):
            if process.poll() is None:
                process.kill()
                process.communicate()


def test_a_sweep_leaves_what_other_machines_write(store: Store) -> None:
    host = socket.gethostname()
    for name in (f"{host}-worker-999999-abc", f"{host}-9999999-7-abc", "other-999999-abc", "something"):
        store.put_bytes(f"{TEMPORARY}/{name}", b"x")
    before = store.list(TEMPORARY)
    store.sweep()
    assert store.list(TEMPORARY) == before


def test_sweeping_where_nothing_was_written_does_nothing(store: Store) -> None:
    store.sweep()
    assert not store.root.exists()


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_folder_is_listed_in_order_with_files_alone(store: Store) -> None:
    for name in ("data/b", "data/a", "data/deeper/c", "other"):
        store.put_bytes(name, b"")
    assert store.list("data") == ["data/a", "data/b"]
    assert store.list("nowhere") == []


def test_whatever_lies_below_a_folder_is_listed_in_order_and_links_are_not_followed(store: Store) -> None:
    for name in ("data/b", "data/a", "data/deeper/still/c", "other/d"):
        store.put_bytes(name, b"")
    (store.root / "data/empty").mkdir()
    (store.root / "data/deeper/round").symlink_to(store.root / "data")
    (store.root / "data/gone").symlink_to("nowhere")
    assert store.list_below("data") == ["data/a", "data/b", "data/deeper/round", "data/deeper/still/c", "data/gone"]
    assert store.list_below("nowhere") == []
    with pytest.raises(NotADirectoryError):
        store.list_below("data/a")


def test_deleting_what_is_gone_is_no_error(store: Store) -> None:
    store.put_bytes("a", b"1")
    store.delete("a")
    store.delete("a")
    assert not store.exists("a")


def test_a_store_is_empty_until_anybody_writes_there(store: Store) -> None:
    assert store.is_empty()
    store.root.mkdir()
    assert store.is_empty()
    (store.root / "stranger.txt").write_text("hello")
    assert not store.is_empty()


def test_what_is_named_does_not_count_against_emptiness(store: Store) -> None:
    store.put_bytes("ledger/a.parquet", b"paid")
    (store.root / ".tmp").rmdir()
    assert not store.is_empty()
    assert store.is_empty(but=("ledger", "ledger.json"))
    assert not store.is_empty(but=("ledger.json",))
    assert not store.is_empty(but=("led",))
    store.put_bytes("notes.txt", b"mine")
    assert not store.is_empty(but=("ledger", "ledger.json"))


def test_a_store_of_nothing_is_empty_whatever_is_named(store: Store) -> None:
    assert store.is_empty(but=("ledger",))
    store.root.mkdir()
    assert store.is_empty(but=("ledger",))


def test_a_store_is_given_as_a_path_or_a_uri(tmp_path: Path) -> None:
    assert Store(tmp_path / "a b").root == Store(f"file://{tmp_path}/a%20b").root == tmp_path / "a b"
    assert str(Store("s3://bucket/a b/").below("data")) == "s3://bucket/a b/data"


@pytest.mark.parametrize("uri", ["", "package://skimage/data", "ftp://host/x", "s3://", "s3:///x", "s3://bucket/../x"])
def test_what_can_hold_no_dataset_is_one_line(uri: str) -> None:
    with pytest.raises(UserError, match=r"^--out[: ]"):
        Store(uri)
    with pytest.raises(UserError, match=r"^DATASET[: ]"):
        Store(uri, field="DATASET")


def test_a_guarded_store_asks_before_it_writes_or_deletes_and_its_copy_elsewhere_does_not(store: Store) -> None:
    store.put_bytes("a", b"1")

    def refuse() -> None:
        raise Stop

    guarded = store.guarded(refuse)
    for write in (lambda: guarded.put_bytes("a", b"2"), lambda: guarded.below("b").put_bytes("c", b"2")):
        with pytest.raises(Stop):
            write()
    with pytest.raises(Stop):
        guarded.delete("a")
    assert guarded.read_bytes("a") == b"1" and guarded.list_below("") == ["a"]
    pickle.loads(pickle.dumps(guarded)).delete("a")
    assert not store.exists("a")


def test_each_of_many_files_is_deleted_only_after_a_check(store: Store) -> None:
    paths = [f"a{n}" for n in range(5)]
    for path in paths:
        store.put_bytes(path, b"1")
    asked = iter((True, True, False))

    def twice_well() -> None:
        if not next(asked):
            raise Stop

    with pytest.raises(Stop):
        store.guarded(twice_well).delete_each(paths)
    assert store.list_below("") == paths[2:]
