"""Addresses on object stores: which store, how it is reached, and the path there.

`s3://bucket/key`, `gs://bucket/key`, `az://container/path` or `abfs://container@account.dfs.core.windows.net/path`;
behind a "?", what the environment does not tell: `?endpoint=http://127.0.0.1:9000&region=eu-central-1`. A key holds no
"?" and no part that is empty, "." or "..", and is taken as it stands: nothing is decoded. No address holds credentials,
which are of the environment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from schemas.errors import UserError
from schemas.storage import SCHEMES, SETTINGS, is_endpoint

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_ACCOUNT = re.compile(r"([a-z0-9]{3,24})\.(?:dfs|blob)\.[A-Za-z0-9.-]+")


@dataclass(frozen=True)
class Address:
    """A store and how it is reached. `account`: of az, where the address names it. Holds no credentials."""

    scheme: str
    account: str | None = None
    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False

    def uri(self, path: str) -> str:
        """The whole address of a path that begins with its bucket."""
        if self.account:
            bucket, slash, key = path.partition("/")
            start = f"abfs://{bucket}@{self.account}.dfs.core.windows.net{slash}{key}"
        else:
            start = f"{self.scheme}://{path}"
        told = {"endpoint": self.endpoint, "region": self.region, "anonymous": "true" if self.anonymous else None}
        query = "&".join(f"{name}={value}" for name, value in told.items() if value)
        return f"{start}?{query}" if query else start


def is_remote(uri: str) -> bool:
    """Whether a path is meant to be on an object store."""
    return "://" in uri and uri.partition("://")[0].lower() in SCHEMES


def parse(uri: str, field: str) -> tuple[Address, str]:
    """The store, and the path there, its bucket first. Raises UserError, which tells nothing that may be a secret."""
    scheme, _, rest = uri.partition("://")
    place, _, query = rest.partition("?")
    authority, _, key = place.partition("/")
    settings = _settings(query, field)
    account = None
    if "@" in authority:
        bucket, _, host = authority.partition("@")
        known = _ACCOUNT.fullmatch(host)
        if scheme.lower() not in ("abfs", "abfss") or ":" in bucket or known is None:
            raise UserError(f"{field}: an address holds no user or password; {_FROM_ENVIRONMENT}")
        authority, account = bucket, known[1]
    if ":" in authority:  # a password with a "/" ends what comes before the "@"
        raise UserError(f"{field}: an address holds no user, password or port; {_FROM_ENVIRONMENT}")
    if not _BUCKET.fullmatch(authority):
        raise UserError(f"{field}: {scheme}://{authority}: names no bucket; write it as {scheme}://bucket/folder")
    parts = key.removesuffix("/").split("/") if key else []
    if any(part in ("", ".", "..") for part in parts):
        raise UserError(f"{field}: {scheme}://{place}: has an empty part, '.' or '..' in its key; leave that out")
    endpoint, region = settings.get("endpoint"), settings.get("region")
    anonymous = settings.get("anonymous") == "true"
    return Address(SCHEMES[scheme.lower()], account, endpoint, region, anonymous), "/".join([authority, *parts])


_FROM_ENVIRONMENT = "credentials come from the environment, as AWS_PROFILE"


def _settings(query: str, field: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name not in SETTINGS or not value:
            raise UserError(
                f"{field}: behind the '?' of an address stand {', '.join(SETTINGS)} alone; {_FROM_ENVIRONMENT}"
            )
        settings[name] = value
    if "endpoint" in settings and not is_endpoint(settings["endpoint"]):
        raise UserError(f"{field}: endpoint: must be as http://127.0.0.1:9000, without user, password and path")
    if settings.get("anonymous", "true") != "true":
        raise UserError(f"{field}: anonymous: can be true; leave it out otherwise")
    return settings
