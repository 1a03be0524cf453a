"""How long a sample is: in a tokenizer's tokens, or in units and words.

A trainer cuts what is longer than its model takes (512 tokens of cross-modal samples and 1,024 of chains in SpeechGPT's
scripts, prefix included), so what is packed to a length is counted as that trainer counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from builders.step import Record, Rejected, Result, Services
from schemas.errors import UserError

Length = Callable[[str], int]
"""Counts a text. Picklable."""

MARKERS = ("<sosp>", "<eosp>", "[Human]", "[SpeechGPT]", "<eoh>", "<eos>")
"""Tokens of their own, as every unit is: SpeechGPT's trainer adds these to the model's, though not <eoa>."""
_TOKEN = re.compile(r"<(?:\d+|sosp|eosp|eoh|eos|eoa)>|\[(?:Human|SpeechGPT)\]")
_NO_SPACES = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # kana and Chinese characters
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff]"  # Thai, Lao, Burmese, Khmer
)


def words(text: str) -> int:
    """Words between spaces that have a letter or digit; of scripts without spaces, characters."""
    spaced = _NO_SPACES.sub(" ", text)
    return len(_NO_SPACES.findall(text)) + sum(1 for part in spaced.split() if any(c.isalnum() for c in part))


def units_and_words(text: str) -> int:
    """Units and markers, one each, and words. Most tokenizers cut words further: leave room."""
    return len(_TOKEN.findall(text)) + words(_TOKEN.sub(" ", text))


@dataclass(frozen=True)
class Tokens:
    """Counts with a tokenizer: a tokenizers JSON, or a folder that transformers reads. Loaded once a process.

    MARKERS and <0> ... <`units` - 1> become tokens of it where they are none, as a trainer makes them. None is counted
    for the beginning or the end of a text.
    """

    path: Path
    units: int

    def __call__(self, text: str) -> int:
        return _counter(self.path, self.units)(text)


def length_of(tokenizer: str | None, units: int, field: str) -> Length:
    """The length that a recipe names: a tokenizer's path, or None for units and words. `units`: how many there are.

    Raises UserError, which names `field`, where the tokenizer cannot be read.
    """
    if tokenizer is None:
        return units_and_words
    counted = Tokens(Path(tokenizer).expanduser(), units)
    if not counted.path.exists():
        raise UserError(f"{field}: {counted.path} is not there; give a tokenizer.json or a folder that holds one")
    try:
        counted("")
    except Exception as error:  # tokenizers raises plain Exception
        told = " ".join(str(error).split())[:200]
        raise UserError(
            f"{field}: {counted.path} is no tokenizer: {told}; give a tokenizer.json or its folder"
        ) from None
    return counted


@cache
def _counter(path: Path, units: int) -> Length:
    tokenizer: Any
    if path.is_dir():
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)

        def count(text: str) -> int:
            return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    else:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()

        def count(text: str) -> int:
            return len(tokenizer.encode(text, add_special_tokens=False).ids)

    tokenizer.add_tokens([*MARKERS, *(f"<{i}>" for i in range(units))])
    return count


@dataclass
class CheckLength:
    """Adds `length`, of the turn, and rejects a turn of over `most`: no utterance is split, and a pack loses none."""

    count: Length
    most: int
    name: ClassVar = "check_length"
    reads: ClassVar = ("_turn",)
    adds: ClassVar = {"length": pa.int32()}

    def setup(self, services: Services) -> None:
        """Nothing to load: the tokenizer is, with the first turn."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._checked(self.count(record["_turn"])) for record in records]

    def _checked(self, length: int) -> Result:
        if length > self.most:
            return Rejected("turn_too_long", f"{length:,} are over {self.most:,}", {"length": length})
        return {"length": length}
