"""The GrIT sample: the released record's fields, its phrases with boxes, and the caption as grounded text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pyarrow as pa

from builders.filters.sample import strict
from builders.grounding.boxes import Box
from builders.grounding.expressions import Offsets, uncontained
from builders.grounding.heads import head_noun
from builders.grounding.tokens import PAPER, RELEASED, LowerRight, Phrase, render
from builders.step import Record, Result, Services


@dataclass
class GritSample:
    """Adds `json`, the sample's `key.json`, and what the index tells of it.

    `noun_chunks` and `ref_exps` hold `[start, end, x1, y1, x2, y2, score]` a box, as released, nested spans included.
    `phrases` and the grounded texts leave out an expression that lies in another, as Kosmos-2's loader does
    ("outermost"), or hold the most chunks that do not overlap, as Qwen-VL reads GrIT ("apart").

    nested: False leaves out of the record, too, what `phrases` leaves out.
    number: the column of the record's `id`; None where there is none.
    similarities: the column of each `clip_similarity_…` that is known.
    told: further columns that the record tells.

    `n_phrase_boxes` and `phrase_words` count the boxes and the words of the phrases; `heads` names what they show, the
    head nouns in the singular with a space between.
    """

    lower_right: LowerRight
    phrases: Literal["outermost", "apart"] = "outermost"
    nested: bool = True
    number: str | None = "caption_id"
    similarities: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    name: ClassVar = "grit_sample"
    adds: ClassVar = {
        "json": pa.large_binary(),
        "n_phrases": pa.int32(),
        "n_nested": pa.int32(),
        "n_crossing": pa.int32(),
        "n_phrase_boxes": pa.int32(),
        "phrase_words": pa.int32(),
        "heads": pa.string(),
    }

    @property
    def reads(self) -> tuple[str, ...]:
        number = (self.number,) if self.number else ()
        more = (*self.similarities.values(), *self.told)
        pair = ("key", "caption", *number, "url", "width", "height", "_chunks", "_boxes_kept")
        return tuple(dict.fromkeys((*pair, *more)))

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._sample(record) for record in records]

    def _sample(self, record: Record) -> Result:
        caption = record["caption"]
        boxed = sorted(record["_boxes_kept"], key=lambda d: d["span"])
        chunks, expressions = [], []
        for found in boxed:
            chunk = record["_chunks"][found["span"]]
            box = [found["x1"], found["y1"], found["x2"], found["y2"], found["score"]]
            chunks.append([chunk["start"], chunk["end"], *box])
            expressions.append([chunk["expression_start"], chunk["expression_end"], *box])
        marked = expressions if self.phrases == "outermost" else chunks
        distinct = {(m[0], m[1]) for m in marked}
        phrases, crossing = outermost(list(distinct)) if self.phrases == "outermost" else (apart(list(distinct)), 0)
        pairs = zip(chunks, marked, strict=True)
        heads = {(m[0], m[1]): head_noun(caption[c[0] : c[1]], caption[c[1] : m[1]]) for c, m in pairs}
        if not self.nested:
            inside = [i for i, m in enumerate(marked) if (m[0], m[1]) in phrases]
            chunks, expressions = [chunks[i] for i in inside], [expressions[i] for i in inside]
        grounded = [Phrase(*span, tuple(_boxes(marked, span))) for span in phrases]
        similar = {name: record[column] for name, column in self.similarities.items()}
        sample = {
            "key": record["key"],
            **dict.fromkeys(("clip_similarity_vitb32", "clip_similarity_vitl14")),
            **similar,
            "id": _whole(record[self.number]) if self.number else None,
            "url": record["url"],
            "caption": caption,
            "width": record["width"],
            "height": record["height"],
            "noun_chunks": chunks,
            "ref_exps": expressions,
            "phrases": [_phrase(caption, marked, span) for span in phrases],
            "grounded_caption": render(caption, grounded, RELEASED, self.lower_right),
            "grounded_caption_paper": render(caption, grounded, PAPER, self.lower_right),
            **{name: record[name] for name in self.told},
        }
        return {
            "json": json.dumps(strict(sample), ensure_ascii=False).encode(),
            "n_phrases": len(phrases),
            "n_nested": len(distinct) - len(phrases) - crossing,
            "n_crossing": crossing,
            "n_phrase_boxes": sum(len(phrase.boxes) for phrase in grounded),
            "phrase_words": sum(len(caption[slice(*span)].split()) for span in phrases),
            "heads": " ".join(heads[span] for span in phrases),
        }


def _whole(number: Any) -> Any:
    """A whole number that is written as text, as a number; anything else as it is."""
    return int(number) if isinstance(number, str) and number.isdecimal() and str(int(number)) == number else number


def outermost(spans: Sequence[Offsets]) -> tuple[list[Offsets], int]:
    """The distinct spans that lie in no other and cross none before them, and how many crossed.

    Text cannot mark two spans that cross; of such a pair, which only a non-projective parse gives, the first stays.
    """
    kept: list[Offsets] = []
    crossing = 0
    for span in uncontained(spans):
        if kept and span[0] < kept[-1][1]:
            crossing += 1
        else:
            kept.append(span)
    return kept, crossing


def apart(spans: Sequence[Offsets]) -> list[Offsets]:
    """The most spans that do not overlap, in order: always the one that ends next, of several the shortest."""
    kept: list[Offsets] = []
    for span in sorted(spans, key=lambda s: (s[1], -s[0])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def _boxes(marked: Sequence[Sequence[Any]], span: Offsets) -> list[Box]:
    return [(m[2], m[3], m[4], m[5]) for m in marked if (m[0], m[1]) == span]


def _phrase(caption: str, marked: Sequence[Sequence[Any]], span: Offsets) -> dict[str, Any]:
    scores = [m[6] for m in marked if (m[0], m[1]) == span]
    boxes = [list(box) for box in _boxes(marked, span)]
    return {"text": caption[span[0] : span[1]], "start": span[0], "end": span[1], "boxes": boxes, "scores": scores}
