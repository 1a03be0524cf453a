"""Noun chunks of captions, by any spaCy pipeline with a tagger and a parser (Kosmos-2, section 2, step 1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span, Token
from thinc.api import require_gpu

from builders.grounding.expressions import ABSTRACT_NOUNS, chunk_drop_reason, expand, noun_chunks
from builders.need import Need
from builders.step import Record, Rejected, Result, Services
from builders.uri import shipped
from schemas.errors import UserError

CHUNK = pa.struct(
    [("start", pa.int32()), ("end", pa.int32()), ("expression_start", pa.int32()), ("expression_end", pa.int32())]
    + [("words", pa.list_(pa.string())), ("plural", pa.bool_()), ("of", pa.list_(pa.string()))]
)
"""A chunk and its expression as character offsets; `words`: lower-cased, up to and with its head noun; `plural`: the
tagger or a number says that it means several; `of`: the words of the noun in "a group of …"."""

SHIPPED_PARSER = "models/caption_parser/pipeline"
_OTHER_SPACES = re.compile(r"[^\S \t\r\n]")
"""A no-break space, say, which a parser takes for a noun. One character becomes one, so that offsets stay."""
_RELEASED = re.compile(r"[a-z]{2,3}_[a-z]+_[a-z]+_(sm|md|lg|trf)", re.ASCII)
"""How spaCy's own pipelines are called."""
_RELEASES = "https://github.com/explosion/spacy-models/releases"
_SIZES = {"en_core_web_trf": 457_000_000}
"""Bytes of the wheel of 3.8, as https://huggingface.co/spacy lists it."""
_SEVERAL = {"several", "many", "multiple", "various", "numerous", "these", "those", "both", "few"}
_ONE = {"one", "1", "a", "an"}


def parser_folder(parser: str | None) -> Path:
    """Where a spaCy pipeline lies: a path, an installed package, or, for None, the one that gristmill brings.

    Raises UserError where there is none.
    """
    if parser is None:
        return shipped(SHIPPED_PARSER)
    path = Path(parser).expanduser()
    if (path / "config.cfg").is_file():
        return path
    if spacy.util.is_package(parser):
        folder = spacy.util.get_package_path(parser)
        return next((p.parent for p in sorted(folder.glob("*/config.cfg"))), folder)
    raise UserError(
        f"parser: {parser!r} is neither an installed spaCy pipeline nor a folder of one; "
        f"python -m spacy download {path.name}, give its path, or leave the field out for the parser in models/"
    )


def parser_need(parser: str | None) -> Need | None:
    """The pipeline of spaCy's own that a recipe names; None where it names ours or a folder."""
    if parser is None or not _RELEASED.fullmatch(parser) or Path(parser).exists():
        return None
    there, get = spacy.util.is_package(parser), f"python -m spacy download {parser}"
    return Need("parser", parser, _RELEASES, _SIZES.get(parser), there, get)


def wants_gpu(folder: Path) -> bool:
    """Whether the pipeline in `folder` holds a transformer, as `en_core_web_trf` does; by its name, if it is yet to be
    fetched."""
    if not folder.exists():
        return folder.name.endswith("_trf")
    factories = {
        part.get("factory", "") for part in spacy.util.load_config(folder / "config.cfg")["components"].values()
    }
    return any("transformer" in factory for factory in factories)


@dataclass
class NounChunks:
    """Adds the chunks that a box can show, each with the expression that it grows into; counts the ones dropped."""

    folder: Path
    abstract: Sequence[str] = ()
    name: ClassVar = "noun_chunks"
    reads: ClassVar = ("caption",)
    adds: ClassVar = {
        "_chunks": pa.list_(CHUNK),
        "n_chunks": pa.int32(),
        "dropped_pronoun": pa.int32(),
        "dropped_abstract": pa.int32(),
    }
    _nlp: Language | None = field(default=None, repr=False)

    def setup(self, services: Services) -> None:
        if services.device == "cuda":
            require_gpu()
        self._nlp = spacy.load(self.folder, exclude=["ner", "lemmatizer"])
        if not {"parser", "tagger"} <= set(self._nlp.pipe_names):
            raise UserError(f"parser: {self.folder} has {self._nlp.pipe_names}, but needs a tagger and a parser")
        self._drops = ABSTRACT_NOUNS | set(self.abstract)

    def __call__(self, records: list[Record]) -> list[Result]:
        assert self._nlp is not None, "setup was not called"
        captions = [_OTHER_SPACES.sub(" ", record["caption"]) for record in records]
        with self._nlp.memory_zone():  # otherwise every new word of a long build stays in memory
            return [self._chunks(doc) for doc in self._nlp.pipe(captions, batch_size=len(captions))]

    def _chunks(self, doc: Doc) -> Result:
        dropped = {"pronoun": 0, "abstract": 0}
        lower = [token.lower_ for token in doc]
        chunks = []
        for chunk in noun_chunks(doc):
            reason = chunk_drop_reason(chunk, self._drops)
            if reason:
                dropped[reason] += 1
            else:
                chunks.append(describe(chunk, lower))
        counts = {"n_chunks": len(chunks), **{f"dropped_{reason}": count for reason, count in dropped.items()}}
        if not chunks:
            return Rejected("no_chunk", f"{sum(dropped.values())} dropped as pronouns or abstract nouns", counts)
        return {"_chunks": chunks, **counts}


def describe(chunk: Span, lower: Sequence[str]) -> Record:
    """A chunk as the later steps need it, in the shape of CHUNK. `lower` holds the caption's tokens, lower-cased."""
    start, end = expand(chunk)
    root = chunk.root
    nouns = _complements(root) if root.n_rights else []
    return {
        "start": chunk.start_char,
        "end": chunk.end_char,
        "expression_start": start,
        "expression_end": end,
        "words": lower[root.left_edge.i : root.i + 1],
        "plural": _plural(root),
        "of": lower[nouns[0].left_edge.i : nouns[0].i + 1] if nouns else [],
    }


def _plural(root: Token) -> bool:
    """Whether a number or, for a noun that has one form ("sheep"), the tagger says that several are meant.

    The plural of other nouns is the word table's to tell: "skis" is one pair on a skier.
    """
    if root.tag_ in ("NNS", "NNPS") and not root.lower_.endswith("s"):
        return True
    return any(
        (child.dep_ == "nummod" and child.lower_ not in _ONE) or child.lower_ in _SEVERAL for child in root.lefts
    )


def _complements(root: Token) -> list[Token]:
    """The nouns in "root of noun"."""
    return [noun for of in root.rights if of.lower_ == "of" for noun in of.rights if noun.dep_ == "pobj"]
