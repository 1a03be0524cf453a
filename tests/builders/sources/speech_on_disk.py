"""Small folders of speech, and how tests open, read and are refused them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from builders.sources.pairs import Pairs
from builders.sources.speech import open_speech
from builders.sources.speech_rows import SpeechFields
from schemas.errors import UserError

RATE = 8000


def audio(seconds: float = 0.2, kind: str = "WAV", hertz: float = 300.0) -> bytes:
    out = io.BytesIO()
    samples = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    soundfile.write(
        out, samples, RATE, format="OGG" if kind == "OPUS" else kind, subtype=None if kind != "OPUS" else kind
    )
    return out.getvalue()


def put(path: Path, data: bytes | str | None = None) -> Path:
    """A file, audio of the kind that its name tells where nothing else is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = audio(kind=path.suffix[1:].upper()) if data is None else data
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def tar(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as out:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


def opened(path: Path, kind: Any = None, unit: int = 1000, limit: int | None = None, **fields: Any) -> Pairs:
    return open_speech(str(path), kind, unit, limit, SpeechFields(**fields))


def read(path: Path, kind: Any = None, limit: int | None = None, **fields: Any) -> list[dict[str, Any]]:
    source = opened(path, kind, limit=limit, **fields)
    found: list[dict[str, Any]] = source.read(0, source.listing.num_rows).to_pylist()
    return found


def refused(path: Path, kind: Any = None, **fields: Any) -> str:
    with pytest.raises(UserError) as error:
        opened(path, kind, **fields)
    assert "\n" not in str(error.value)
    return str(error.value)
