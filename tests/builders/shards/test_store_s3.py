"""The store on a real S3 server: whole or not at all, on bad days too."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.places import persist
from builders.places.remote import RemotePath
from builders.shards.remote_files import RemoteFiles
from builders.shards.store import Store
from schemas.errors import BuildError, UserError
from tests.s3 import FAULTS, S3, sometimes

pytestmark = pytest.mark.slow


@pytest.fixture
def store(s3: S3) -> Store:
    return Store(f"s3://{s3.bucket()}/some/dataset")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries are short."""
    monkeypatch.setattr(persist, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(persist, "_LONGEST_WAIT", 0.02)


class Stop(Exception):
    """What a writer may raise."""


def unfinished(s3: S3, store: Store) -> bool:
    """Whether uploads lie in the bucket that were begun and never ended."""
    bucket = str(store).split("/")[2]
    with urllib.request.urlopen(f"{s3.url}/{bucket}?uploads", timeout=30) as answer:
        return b"<Upload>" in answer.read()


def test_a_file_appears_when_its_writer_is_done_and_not_before(store: Store) -> None:
    with store.put("data/a.tar") as file:
        file.write(b"half")
        file.flush()
        assert not store.exists("data/a.tar")
        assert store.list("data") == []
        file.write(b" and half")
    assert store.read_bytes("data/a.tar") == b"half and half"
    store.put_bytes("empty", b"")
    assert store.read_bytes("empty") == b""


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, SystemExit])
def test_a_writer_that_raises_leaves_nothing_and_the_file_that_was_there(
    store: Store, error: type[BaseException]
) -> None:
    store.put_bytes("old", b"old")
    for name in ("new", "old"):
        with pytest.raises(error), store.put(name) as file:
            file.write(b"x" * 12_000_000)  # a stream of pyarrow's would have begun to upload, and end that when closed
            raise error
    assert store.list_below("") == ["old"]
    assert store.read_bytes("old") == b"old"


def test_a_large_file_comes_back_whole_and_in_ranges(store: Store, s3: S3) -> None:
    data = os.urandom(25_000_000)
    store.put_bytes("large", data)
    with store.open("large") as file:
        file.seek(20_000_000)
        before = s3.proxy.seen["GET"]
        assert file.read(1000) == data[20_000_000:20_001_000]
        assert file.read(1_000_000) == data[20_001_000:21_001_000]
        assert s3.proxy.seen["GET"] == before + 1, "what is read next has come with it"
        file.seek(0)
        assert file.read() == data


@pytest.mark.parametrize("kind", FAULTS)
def test_each_call_gets_over_a_fault(store: Store, s3: S3, kind: str, impatient: None) -> None:
    store.put_bytes("data/a", b"a" * 100_000)
    calls = {
        "put": lambda: store.put_bytes("data/b", b"b" * 1000),
        "read": lambda: store.read_bytes("data/a"),
        "open": lambda: store.open("data/a").read(),
        "list": lambda: store.list("data"),
        "exists": lambda: store.exists("data/a"),
        "delete": lambda: store.delete("data/b"),
    }
    for name, call in calls.items():
        waiting = [kind]
        s3.proxy.fault = lambda method, path, waiting=waiting: waiting.pop() if waiting else None  # type: ignore[misc]
        found = call()
        assert not waiting, f"{name} met no fault"
        if name in ("read", "open"):
            assert found == b"a" * 100_000
        if name == "list":
            assert found == ["data/a", "data/b"]
        if name == "exists":
            assert found is True


def test_many_faults_lose_nothing(store: Store, s3: S3, impatient: None) -> None:
    s3.proxy.fault = sometimes(0.3, seed=1, kinds=("500", "503", "reset", "truncate"))
    for n in range(30):
        store.put_bytes(f"units/{n:02d}", bytes([n]) * 1000)
    paths = [f"units/{n:02d}" for n in range(30)]
    assert store.list("units") == paths
    assert list(store.read_each(paths)) == [bytes([n]) * 1000 for n in range(30)]
    assert sum(s3.proxy.done.values()) > 15


@pytest.mark.parametrize("kind", ["503", "reset"])
def test_a_store_that_stays_ill_is_one_line_and_leaves_nothing(
    store: Store, s3: S3, kind: str, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persist, "TRIES", 2)
    store.put_bytes("old", b"old")
    s3.proxy.fault = lambda method, path: kind
    with pytest.raises(BuildError, match=r"^s3://.*/dataset/new: the store failed 2 times: .*; run the same command"):
        store.put_bytes("new", b"x" * 1000)
    with pytest.raises(BuildError, match=r"^s3://.*/old: the store failed 2 times"):
        store.read_bytes("old")
    s3.proxy.fault = lambda method, path: None
    assert store.list_below("") == ["old"]


def test_an_upload_of_which_a_part_fails_makes_no_file(
    store: Store, s3: S3, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persist, "TRIES", 2)
    s3.proxy.fault = lambda method, path: "500" if "partNumber=2" in path else None
    with pytest.raises(BuildError, match="the store failed 2 times"):
        store.put_bytes("large", b"x" * 25_000_000)
    s3.proxy.fault = lambda method, path: None
    assert not store.exists("large")
    assert store.list_below("") == []


def test_a_writer_that_is_killed_while_it_uploads_leaves_no_file(store: Store, s3: S3) -> None:
    uploading = threading.Event()

    def fault(method: str, path: str) -> str | None:
        if "partNumber=3" in path:
            uploading.set()
            return "timeout"
        return None

    s3.proxy.fault = fault
    write = f"from builders.shards.store import Store; Store({str(store)!r}).put_bytes('large', b'x' * 25_000_000)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    writer = subprocess.Popen([sys.executable, "-c", write], env=environment)
    try:
        assert uploading.wait(60)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait(30)
    s3.proxy.fault = lambda method, path: None
    assert store.list_below("") == []
    assert unfinished(s3, store), "the parts stay until a rule of the bucket removes them"


def test_what_is_not_there_is_told_as_on_a_disk(store: Store) -> None:
    assert store.is_empty() and not store.exists("a") and store.list("data") == [] == store.list_below("data")
    store.delete("a")
    with pytest.raises(FileNotFoundError):
        store.read_bytes("a")
    store.put_bytes("ledger/a", b"1")
    store.put_bytes("data/deeper/b", b"2")
    assert not store.is_empty() and not store.is_empty(but=("ledger",)) and store.is_empty(but=("ledger", "data"))
    assert store.list("data") == [] and store.list_below("data") == ["data/deeper/b"]
    store.delete("data/deeper/b")
    assert store.is_empty(but=("ledger",)), "what a deleted file leaves of its folder is nothing"


def test_many_files_are_deleted_several_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [f"data/{n}" for n in range(8)]
    for path in [*paths, "data/kept"]:
        store.put_bytes(path, b"x")
    all_here, unlink = threading.Barrier(4, timeout=60), RemotePath.unlink

    def together(self: RemotePath, missing_ok: bool, check: Callable[[], None]) -> None:
        all_here.wait()
        unlink(self, missing_ok, check)

    monkeypatch.setattr(RemotePath, "unlink", together)
    store.delete_each(paths)
    assert store.list_below("") == ["data/kept"]


def test_of_many_files_one_that_cannot_be_deleted_is_one_line(
    store: Store, s3: S3, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persist, "TRIES", 1)
    paths = [f"data/{n}" for n in range(8)]
    for path in paths:
        store.put_bytes(path, b"x")
    s3.proxy.fault = lambda method, path: "500" if method == "DELETE" and path.endswith("data/5") else None
    with pytest.raises(BuildError, match=r"^s3://.*/data/5: the store failed"):
        store.delete_each(paths)
    assert store.list("data") == ["data/5"]


def test_what_lies_where_files_were_deleted_is_no_file(store: Store, s3: S3) -> None:
    store.put_bytes("data/a", b"x")
    store.delete("data/a")
    store.delete_empty("data")
    bucket = str(store).split("/")[2]
    with urllib.request.urlopen(f"{s3.url}/{bucket}", timeout=30) as answer:
        left = re.findall(rb"<Key>(.*?)</Key>", answer.read())
    assert all(key.endswith(b"/") for key in left), left
    assert store.is_empty() and store.list_below("") == [] == store.list("data") and not store.times("data")


def test_what_keys_may_hold_does_not_matter(store: Store) -> None:
    for name in ("a b/ü+%20&=#.json", "x:y@z", "[a]*"):
        store.put_bytes(name, name.encode())
        assert store.read_bytes(name) == name.encode()
    assert len(store.list_below("")) == 3


def test_where_uploads_begin_with_an_empty_file_that_is_none_yet(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RemoteFiles, "begins_empty", True)
    store.put_bytes("units/000000.json", b"")
    store.put_bytes("units/000001.json", b"{}")
    assert store.list("units") == ["units/000001.json"]
    assert not store.exists("units/000000.json") and store.exists("units/000001.json")
    with pytest.raises(FileNotFoundError):
        store.read_bytes("units/000000.json")
    assert len(store.times("units")) == 2, "a lease that is being refreshed is one"


# ---- what the user has to mend ---------------------------------------------------------------------------------------


def test_a_missing_bucket_is_one_line_whatever_is_asked_of_it(s3: S3) -> None:
    store = Store("s3://there-is-no-such-bucket/dataset")
    for call in (lambda: store.exists("a"), lambda: store.put_bytes("a", b""), lambda: store.list("data")):
        with pytest.raises(UserError, match=r"^s3://there-is-no-such-bucket/.*: there is no such bucket; make it"):
            call()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("403", r"^s3://.*: access is denied: the credentials of this process \(AWS_PROFILE.*\) may not do that"),
        ("301", r"^s3://.*: the bucket is in another region; export AWS_REGION=…, or set storage\.region"),
    ],
)
def test_what_the_store_refuses_is_told_at_once_in_one_line_without_the_secret(
    store: Store, s3: S3, kind: str, told: str
) -> None:
    s3.proxy.fault = lambda method, path: kind
    for call in (lambda: store.put_bytes("a", b"1"), lambda: store.list("data"), lambda: store.exists("a")):
        s3.proxy.seen.clear()
        with pytest.raises(UserError, match=told) as refused:
            call()
        assert "of no worth" not in str(refused.value)
        assert sum(s3.proxy.seen.values()) <= 2


def test_who_has_no_credentials_is_told_which_are_looked_for(
    store: Store, s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3.proxy.fault = lambda method, path: "403"
    with pytest.raises(UserError, match=r"this process has no credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID"):
        store.list("data")


def test_settings_in_the_address_win_over_the_environment(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3.bucket()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = Store(f"s3://{bucket}/x?endpoint={s3.proxy.url}&region=us-east-1")
    store.put_bytes("a", b"1")
    assert store.below("y").root.path == f"{bucket}/x/y"
    assert Store(str(store)).read_bytes("a") == b"1"


def test_a_lease_is_a_small_file_of_plain_words(store: Store) -> None:
    from builders.shards.lease import SIGNATURE, leased

    with leased(store, "raysubmit_1") as signature:
        (name,) = (name for name in store.list("leases") if name != SIGNATURE)
        told = json.loads(store.read_bytes(name))
        assert told["pid"] == os.getpid() and told["job"] == "raysubmit_1" and told["held"] is True
        signature.check()
    assert store.list("leases") == []
