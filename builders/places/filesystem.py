"""The file system of a store, as pyarrow has them, with the credentials that each cloud's own tools would find."""

from __future__ import annotations

import datetime
import functools
import os
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pa_fs

from builders.places.address import Address
from schemas.errors import UserError

_SDK_TRIES = 4
"""Of one request, by the AWS SDK itself, with its own backoff; builders.places.persist tries the whole call again."""
_SECONDS = 20
"""Of one request to Google, its retries included."""


@functools.lru_cache(maxsize=32)
def filesystem(address: Address, bucket: str) -> pa_fs.FileSystem:
    """The file system, made once a process. Raises UserError where nothing tells what it needs."""
    if address.scheme == "s3":
        return _s3(address, bucket)
    return _gcs(address) if address.scheme == "gs" else _azure(address, bucket)


def _environment(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)


def _s3(address: Address, bucket: str) -> pa_fs.FileSystem:
    endpoint = address.endpoint or _environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    region = address.region or _environment("AWS_REGION", "AWS_DEFAULT_REGION")
    told: dict[str, Any] = {"endpoint_override": endpoint} if endpoint else {}
    if region or endpoint:
        told["region"] = region or "us-east-1"
    elif found := _region_of(bucket):
        told["region"] = found
    return pa_fs.S3FileSystem(
        **told,
        anonymous=address.anonymous,
        retry_strategy=pa_fs.AwsStandardS3RetryStrategy(max_attempts=_SDK_TRIES),
        allow_delayed_open=True,
    )


def _region_of(bucket: str) -> str | None:
    """Where a bucket of Amazon's lies; None where nobody tells, and the SDK looks for it in profiles."""
    try:
        return str(pa_fs.resolve_s3_region(bucket))
    except (OSError, pa.ArrowException):
        return None


def _gcs(address: Address) -> pa_fs.FileSystem:
    emulator = _environment("STORAGE_EMULATOR_HOST")
    endpoint = address.endpoint or emulator
    told: dict[str, Any] = {}
    if endpoint:
        parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        told = {"scheme": parts.scheme, "endpoint_override": parts.netloc}
    return pa_fs.GcsFileSystem(
        **told,
        anonymous=address.anonymous or bool(emulator and not address.endpoint),
        retry_time_limit=datetime.timedelta(seconds=_SECONDS),
    )


def _azure(address: Address, bucket: str) -> pa_fs.FileSystem:
    told = dict(
        part.split("=", 1) for part in (_environment("AZURE_STORAGE_CONNECTION_STRING") or "").split(";") if "=" in part
    )
    account = address.account or _environment("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME")
    account = account or told.get("AccountName")
    if not account:
        raise UserError(
            f"{address.uri(bucket)}: nothing names the storage account; export AZURE_STORAGE_ACCOUNT=…, or write "
            "abfs://container@account.dfs.core.windows.net/path"
        )
    key = _environment("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY") or told.get("AccountKey")
    token = _environment("AZURE_STORAGE_SAS_TOKEN") or told.get("SharedAccessSignature")
    chosen: dict[str, Any] = {"account_key": key} if key else {"sas_token": token} if token else {}
    if endpoint := address.endpoint or told.get("BlobEndpoint"):
        parts = urlsplit(endpoint)
        for kind in ("blob", "dfs"):
            chosen |= {f"{kind}_storage_authority": parts.netloc, f"{kind}_storage_scheme": parts.scheme}
    return pa_fs.AzureFileSystem(account, **chosen)
