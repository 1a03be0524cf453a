"""The clouds' own SDKs, given credentials that are none: nothing is asked of any server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.places.filesystem import filesystem
from builders.shards.store import Store
from schemas.errors import UserError


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """File systems keep the credentials that they were made with."""
    filesystem.cache_clear()
    yield
    filesystem.cache_clear()


@pytest.mark.parametrize("content", [None, "no JSON", "[]", "{}"])
def test_a_credentials_file_of_google_that_is_missing_or_none_is_one_line(
    content: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "key.json").write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(
        UserError, match=r"^gs://bucket/x/build\.json: the store cannot be asked: [^\n]*key\.json"
    ) as told:
        Store("gs://bucket/x").exists("build.json")
    assert str(told.value).endswith(
        "mend the credentials of this process (GOOGLE_APPLICATION_CREDENTIALS) or the address"
    )


def test_a_key_of_azure_that_is_none_is_one_line_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "account")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "not base64!")
    with pytest.raises(UserError, match=r"^az://bucket/x/build\.json: the store cannot be asked: [^\n]*$") as told:
        Store("az://bucket/x").exists("build.json")
    assert "not base64" not in str(told.value)
