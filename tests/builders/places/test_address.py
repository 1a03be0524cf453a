"""Addresses on object stores, and what no address may hold."""

from __future__ import annotations

import pickle

import pytest

from builders.places.address import Address, is_remote, parse
from builders.places.remote import RemotePath
from schemas.errors import UserError


@pytest.mark.parametrize(
    ("uri", "address", "path"),
    [
        ("s3://bucket/a/b", Address("s3"), "bucket/a/b"),
        ("s3a://bucket/a/b/", Address("s3"), "bucket/a/b"),
        ("gs://bucket", Address("gs"), "bucket"),
        ("az://container/a", Address("az"), "container/a"),
        ("abfs://container@account.dfs.core.windows.net/a", Address("az", "account"), "container/a"),
        ("s3://bucket/a%20b #+&=", Address("s3"), "bucket/a%20b #+&="),
        ("s3://b-1.x/a?region=eu-west-1&anonymous=true", Address("s3", region="eu-west-1", anonymous=True), "b-1.x/a"),
        ("s3://bucket/a?endpoint=http://127.0.0.1:9000", Address("s3", endpoint="http://127.0.0.1:9000"), "bucket/a"),
    ],
)
def test_an_address_tells_the_store_and_the_path_and_comes_back_from_both(
    uri: str, address: Address, path: str
) -> None:
    assert is_remote(uri)
    assert parse(uri, "f") == (address, path)
    assert parse(address.uri(path), "f") == (address, path)


SECRETS = [
    "s3://AKIA:hidden@bucket/x",
    "s3://hidden@bucket/x",
    "s3://AKIA:hidden/and/more@bucket/x",
    "s3://bucket/x?access_key=hidden",
    "s3://bucket/x?secret_key=hidden&region=eu-west-1",
    "s3://bucket/x?endpoint=http://me:hidden@127.0.0.1:9000",
    "s3://bucket/x?endpoint=http://127.0.0.1:9000/?key=hidden",
    "az://container/x?sv=2024&sig=hidden",
    "abfs://container:hidden@account.dfs.core.windows.net/x",
    "abfs://container@account.evil.hidden/x",
]


@pytest.mark.parametrize("uri", SECRETS)
def test_an_address_with_what_may_be_a_secret_is_refused_and_the_secret_not_told(uri: str) -> None:
    with pytest.raises(UserError, match=r"^source\.path: ") as refused:
        parse(uri, "source.path")
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("uri", ["s3://", "s3:///a", "s3://-/a", "s3://bucket/a/../b", "s3://bucket/x?anonymous=no"])
def test_an_address_that_leads_nowhere_is_one_line(uri: str) -> None:
    with pytest.raises(UserError, match=r"^--out: [^\n]*$"):
        parse(uri, "--out")


@pytest.mark.parametrize("key", ["a//b", "/a", "/", "a//", "a/./b", "../a", "a/.."])
def test_a_key_that_would_have_to_be_changed_is_refused(key: str) -> None:
    with pytest.raises(
        UserError, match=r"^source\.path: s3://bucket/[^\n]*: has an empty part, '\.' or '\.\.' in its key"
    ):
        parse(f"s3://bucket/{key}?region=eu-west-1", "source.path")


def test_a_path_there_is_used_as_one_on_the_disk_and_travels() -> None:
    path = RemotePath("bucket/folder/name.tar.gz", Address("s3", region="eu-west-1"))
    assert (path.name, path.suffix, path.parent.name, path.bucket) == ("name.tar.gz", ".gz", "folder", "bucket")
    assert str(path) == "s3://bucket/folder/name.tar.gz?region=eu-west-1"
    assert path.parent / "x" / "y/z" == path.parent / "x/y/z"
    assert pickle.loads(pickle.dumps(path)) == path
