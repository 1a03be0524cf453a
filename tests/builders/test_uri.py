"""Where inputs may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

import builders
from builders.uri import local_path, place_of, relative, shipped
from schemas.errors import UserError


def test_a_path_is_taken_as_it_is_and_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/miller")
    assert local_path("/data/a b", "f") == Path("/data/a b")
    assert local_path("~/photos", "f") == Path("/home/miller/photos")


@pytest.mark.parametrize("uri", ["file:///data/a%20b", "file://localhost/data/a%20b"])
def test_a_file_uri_is_a_path(uri: str) -> None:
    assert local_path(uri, "f") == Path("/data/a b")


def test_a_package_uri_is_a_folder_of_an_installed_package() -> None:
    folder = Path(builders.__file__).parent
    assert local_path("package://builders/grounding/words.yaml", "f") == folder / "grounding" / "words.yaml"


@pytest.mark.parametrize("uri", ["package://no_such_package/data", "package://../etc", "package:///x"])
def test_a_package_that_is_not_installed_is_named_with_the_mend(uri: str) -> None:
    with pytest.raises(UserError, match=r"^source\.images: the package .* is not installed; pip install it"):
        local_path(uri, "source.images")


@pytest.mark.parametrize("uri", ["ftp://example.org/x", "http://example.org/x", "file://elsewhere/x"])
def test_what_cannot_be_read_is_told_with_its_field(uri: str) -> None:
    with pytest.raises(
        UserError, match=r"^source\.images: \w+://\w.*/x: only local paths, file://, package:// and s3://"
    ):
        place_of(uri, "source.images")


def test_an_unknown_address_that_may_hold_a_password_is_not_told_again() -> None:
    with pytest.raises(UserError, match=r"^source\.images: http://…: ") as refused:
        place_of("http://me:secret@example.org/x", "source.images")
    assert "secret" not in str(refused.value)


def test_what_is_read_from_the_disk_alone_says_so_of_an_object_store() -> None:
    with pytest.raises(
        UserError, match=r"^units\.vocabulary: s3://bucket/units: must be on the local disk; copy it there"
    ):
        local_path("s3://bucket/units", "units.vocabulary")


def test_a_place_is_on_the_disk_or_on_an_object_store(tmp_path: Path) -> None:
    assert place_of(str(tmp_path), "f") == tmp_path
    far = place_of("s3://bucket/a/b", "f")
    assert relative(far / "c/d.jpg", far) == relative(tmp_path / "c/d.jpg", tmp_path) == "c/d.jpg"


def test_what_gristmill_brings_lies_beside_its_code() -> None:
    assert shipped("builders") == Path(builders.__file__).parent
