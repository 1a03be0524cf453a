"""What of img2dataset runs here, in one place: its resizer and its rule of X-Robots-Tag."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.message import Message
from functools import cache
from typing import Any


@cache
def resizer_class() -> Any:
    """img2dataset.resizer.Resizer. Its import takes seconds: the package loads ray, torch and wandb."""
    with _tidy():
        from img2dataset.resizer import Resizer
    return Resizer


@cache
def _is_disallowed() -> Any:
    with _tidy():
        from img2dataset.downloader import is_disallowed
    return is_disallowed


def opted_out(values: Iterable[str], token: str | None, directives: frozenset[str]) -> bool:
    """Whether X-Robots-Tag headers name one of `directives`, for everybody or for `token` (both in lower case)."""
    headers = Message()
    for value in values:
        headers["X-Robots-Tag"] = value
    return bool(_is_disallowed()(headers, token, directives))


@contextmanager
def _tidy() -> Iterator[None]:
    """Around the import: albumentations asks the internet for a newer version, wandb makes temporary folders that
    outlive a killed process."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before
