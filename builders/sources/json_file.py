"""JSON of a user's, with errors that name file, line and column."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from schemas.errors import UserError

if TYPE_CHECKING:
    from builders.uri import Place


def load_json(path: Place, field: str) -> tuple[Any, str]:
    """The parsed file and its SHA-256 in hex. Raises UserError; `field` is the recipe field that named the file."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{field}: {path}: {error.strerror or error}") from None
    try:
        return json.loads(raw), hashlib.sha256(raw).hexdigest()
    except json.JSONDecodeError as error:
        raise UserError(f"{field}: {path}, line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise UserError(f"{field}: {path}, line {line}, column {column}: not UTF-8") from None
    except ValueError as error:  # a whole number of thousands of digits
        raise UserError(f"{field}: {path}: {error}") from None
    except RecursionError:
        raise UserError(f"{field}: {path}: nested too deeply") from None
