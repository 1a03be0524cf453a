"""What of img2dataset runs here, in one place: its resizer and its rule of X-Robots-Tag.

Its package imports all of itself, with ray, torch and webdataset: 5 s and 390 MB in every worker. So the two modules
are imported without it, which takes 2 s and 140 MB; whoever imports img2dataset afterwards gets the package itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from email.message import Message
from functools import cache
from types import ModuleType
from typing import Any

PACKAGE = "img2dataset"
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def resizer_class() -> Any:
    """img2dataset.resizer.Resizer."""
    return _module("resizer").Resizer


def opted_out(values: Iterable[str], token: str | None, directives: frozenset[str]) -> bool:
    """Whether X-Robots-Tag headers name one of `directives`, for everybody or for `token` (both in lower case).

    What is not ASCII counts as a space: of bytes that are no UTF-8 a Message makes an object that the rule cannot read,
    and it would keep the image. Directives are ASCII.
    """
    headers = Message()
    for value in values:
        headers["X-Robots-Tag"] = _NOT_ASCII.sub(" ", value)
    return bool(_module("downloader").is_disallowed(headers, token, directives))


@cache
def _module(name: str) -> ModuleType:
    """One module of the package. Raises ImportError where img2dataset is not installed.

    At its import albumentations asks the internet for a newer version, unless told not to, and wandb makes temporary
    folders, which outlive a killed process.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    temporary, stands_in = tempfile.tempdir, PACKAGE not in sys.modules
    if stands_in:
        sys.modules[PACKAGE] = _hollow()
    try:
        with tempfile.TemporaryDirectory() as folder:
            tempfile.tempdir = folder
            return importlib.import_module(f"{PACKAGE}.{name}")
    finally:
        tempfile.tempdir = temporary
        if stands_in:
            del sys.modules[PACKAGE]


def _hollow() -> ModuleType:
    """The package with nothing in it but where its modules lie."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None:
        raise ImportError("img2dataset is not installed: pip install 'gristmill[build]'")
    package = ModuleType(PACKAGE)
    package.__path__ = list(found.submodule_search_locations or [])
    return package
