"""Calls to an object store, tried again where that may help, and one line for people where it does not."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from schemas.errors import BuildError, UserError

T = TypeVar("T")

TRIES = 6
"""Of a call, each of which the cloud's SDK has tried again itself: minutes of a store that is down, not hours."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 20.0
"""Seconds before the second try, which double up to the longest; as much again at random, so that workers part."""

_NO_BUCKET = re.compile(r"NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound|bucket (?:\S+ )?does not exist", re.IGNORECASE)
_ELSEWHERE = re.compile(
    r"PermanentRedirect|HTTP status 301|AuthorizationHeaderMalformed|configured region|"
    r"IllegalLocationConstraint",
)
_REFUSED = re.compile(
    r"ACCESS_DENIED|AccessDenied|HTTP status 40[13]|INVALID_ACCESS_KEY|InvalidAccessKeyId|"
    r"SIGNATURE_DOES_NOT_MATCH|EXPIRED_TOKEN|ExpiredToken|UNRECOGNIZED_CLIENT|INVALID_CLIENT_TOKEN|MISSING_AUTH|"
    r"AuthenticationFailed|AuthorizationFailure|AuthorizationPermissionMismatch|PERMISSION_DENIED|UNAUTHENTICATED|"
    r"credential|Unauthorized|Forbidden",
)
_BAD_NAME = re.compile(r"InvalidBucketName|INVALID_BUCKET_NAME")


class StoreError(BuildError):
    """The store answers with errors until the end: what lies there may be whole."""


def unasked() -> None:
    """Whoever gives no other check may do as it likes."""


def persist(
    uri: str,
    call: Callable[[], T],
    sleep: Callable[[float], None] = time.sleep,
    check: Callable[[], None] = unasked,
) -> T:
    """What `call` returns, tried up to TRIES times. `uri` is what it is about, for errors; `check`, which may raise,
    is asked before each try.

    Raises FileNotFoundError where nothing lies there, PermissionError where the store refuses, UserError where the
    bucket is missing or elsewhere, or where credentials or settings are such that nothing can be asked, and StoreError
    where the store answers with errors until the end.
    """
    wait = _FIRST_WAIT
    for attempt in range(1, TRIES + 1):
        check()
        try:
            return call()
        except OSError as error:
            _refuse(uri, error)
            last = error
        except pa.ArrowException as error:  # what the cloud's SDK says before it has asked for anything
            raise UserError(
                f"{uri}: the store cannot be asked: {words(error)}; mend the credentials of this process "
                f"({_credentials(uri)[2]}) or the address"
            ) from None
        if attempt < TRIES:
            sleep(wait * (1 + random.random()))  # not for data: no seed
            wait = min(2 * wait, _LONGEST_WAIT)
    raise StoreError(
        f"{uri}: the store failed {TRIES} times: {words(last)}; run the same command again when it is well"
    ) from None


def _refuse(uri: str, error: OSError) -> None:
    """Raise what no further try would mend."""
    told = str(error)
    if _NO_BUCKET.search(told) or _BAD_NAME.search(told):
        raise UserError(f"{uri}: there is no such bucket; make it, or mend the address") from None
    if _ELSEWHERE.search(told):
        raise UserError(f"{uri}: the bucket is in another region; export AWS_REGION=…, or set storage.region") from None
    if isinstance(error, FileNotFoundError):
        raise error
    if isinstance(error, PermissionError) or _REFUSED.search(told):
        raise PermissionError(error.errno or 13, f"access is denied: {_mend(uri)}", uri) from None


def refused(error: PermissionError) -> UserError:
    """The one line for people, where a whole command cannot do without."""
    return UserError(f"{error.filename}: {error.strerror}")


def _mend(uri: str) -> str:
    """Whether there are credentials at all, and where they would come from."""
    names, file, how = _credentials(uri)
    if any(os.environ.get(name) for name in names) or (file and Path(file).expanduser().exists()):
        return f"the credentials of this process ({how}) may not do that; give it others, or give these the right"
    return f"this process has no credentials; set {how}, or storage.anonymous for a public bucket"


def _credentials(uri: str) -> tuple[tuple[str, ...], str | None, str]:
    return _CREDENTIALS.get(uri.partition("://")[0], _CREDENTIALS["az"])


_CREDENTIALS: dict[str, tuple[tuple[str, ...], str | None, str]] = {
    "s3": (
        ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        "~/.aws/credentials",
        "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    "gs": (
        ("GOOGLE_APPLICATION_CREDENTIALS",),
        "~/.config/gcloud/application_default_credentials.json",
        "GOOGLE_APPLICATION_CREDENTIALS",
    ),
    "az": (
        ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_CLIENT_ID"),
        None,
        "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY",
    ),
}
"""By scheme: variables that hold credentials or lead to them, the file that may, and what to set."""


def words(error: BaseException) -> str:
    """An error of a store on one line, without the ids that each of its answers has, and what Google wraps it in."""
    told = re.sub(r"\s*\(Request ID: [^)]*\)", "", " ".join(str(error).split()))
    told = re.sub(r"^.*?The underlying error message was: |\s*error_info=\{.*", "", told)
    return told if len(told) <= 300 else told[:299] + "…"
