"""How object stores are reached, where the environment does not tell."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import field_validator
from pydantic_core import PydanticCustomError

from schemas.fields import SECRET, Fields, running

SETTINGS = ("endpoint", "region", "anonymous")
"""What may stand behind the "?" of an address on an object store."""
SCHEMES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az"}
"""The store that each scheme of an address means."""


class Storage(Fields):
    """How object stores are reached: for every address of the recipe, and --out. Credentials are of the environment."""

    endpoint: str | None = running(None, description="of a store that is not the cloud's own: http://127.0.0.1:9000")
    region: str | None = running(None, pattern=r"^[a-z0-9-]+$", description="of s3; else AWS_REGION, or the bucket's")
    anonymous: bool = running(False, description="without credentials, as public buckets are read")

    @field_validator("endpoint")
    @classmethod
    def _an_endpoint(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and not is_endpoint(endpoint):
            raise PydanticCustomError(SECRET, "must be as http://127.0.0.1:9000, without user, password and path")
        return endpoint

    def on(self, uri: str) -> str:
        """A location with these settings; what is on no object store, or has settings of its own, as it is."""
        if uri.partition("://")[0].lower() not in SCHEMES or "://" not in uri or "?" in uri:
            return uri
        told = {"endpoint": self.endpoint, "region": self.region, "anonymous": "true" if self.anonymous else None}
        query = "&".join(f"{name}={value}" for name, value in told.items() if value)
        return f"{uri}?{query}" if query else uri


def is_endpoint(url: str) -> bool:
    """Whether it is an http(s) address of a host, and a port maybe, and of nothing else."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises where it is none
    except ValueError:
        return False
    bare = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "&" not in url and bare
