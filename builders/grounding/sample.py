"""The GrIT sample: the released record's fields, its phrases with boxes, and the caption as grounded text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from builders.grounding.boxes import Box
from builders.grounding.expressions import Offsets, uncontained
from builders.grounding.heads import head_noun
from builders.grounding.tokens import PAPER, RELEASED, LowerRight, Phrase, render
from builders.step import Record, Result, Services


@dataclass
class GritSample:
    """Adds `json`, the sample's `key.json`, and what the index tells of it.

    `noun_chunks` and `ref_exps` hold `[start, end, x1, y1, x2, y2, score]` a box, as released, nested spans included.
    `phrases` and the grounded texts leave out an expression that lies in another, as Kosmos-2's loader does.
    `n_phrase_boxes` and `phrase_words` count the boxes and the words of the phrases; `heads` names what they show, the
    head nouns in the singular with a space between.
    """

    lower_right: LowerRight
    name: ClassVar = "grit_sample"
    reads: ClassVar = ("key", "caption", "caption_id", "url", "width", "height", "_chunks", "_boxes_kept")
    adds: ClassVar = {
        "json": pa.large_binary(),
        "n_phrases": pa.int32(),
        "n_nested": pa.int32(),
        "n_crossing": pa.int32(),
        "n_phrase_boxes": pa.int32(),
        "phrase_words": pa.int32(),
        "heads": pa.string(),
    }

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
        phrases, crossing = outermost([(e[0], e[1]) for e in expressions])
        grounded = [Phrase(*span, tuple(_boxes(expressions, span))) for span in phrases]
        number = record["caption_id"]
        sample = {
            "key": record["key"],
            "clip_similarity_vitb32": None,
            "clip_similarity_vitl14": None,
            "id": int(number) if number.isdecimal() and str(int(number)) == number else number,
            "url": record["url"],
            "caption": caption,
            "width": record["width"],
            "height": record["height"],
            "noun_chunks": chunks,
            "ref_exps": expressions,
            "phrases": [_phrase(caption, expressions, span) for span in phrases],
            "grounded_caption": render(caption, grounded, RELEASED, self.lower_right),
            "grounded_caption_paper": render(caption, grounded, PAPER, self.lower_right),
        }
        distinct = {(e[0], e[1]) for e in expressions}
        pairs = zip(chunks, expressions, strict=True)
        heads = {(e[0], e[1]): head_noun(caption[c[0] : c[1]], caption[c[1] : e[1]]) for c, e in pairs}
        return {
            "json": json.dumps(sample, ensure_ascii=False).encode(),
            "n_phrases": len(phrases),
            "n_nested": len(distinct) - len(phrases) - crossing,
            "n_crossing": crossing,
            "n_phrase_boxes": sum(len(phrase.boxes) for phrase in grounded),
            "phrase_words": sum(len(caption[slice(*span)].split()) for span in phrases),
            "heads": " ".join(heads[span] for span in phrases),
        }


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


def _boxes(expressions: Sequence[Sequence[Any]], span: Offsets) -> list[Box]:
    return [(e[2], e[3], e[4], e[5]) for e in expressions if (e[0], e[1]) == span]


def _phrase(caption: str, expressions: Sequence[Sequence[Any]], span: Offsets) -> dict[str, Any]:
    scores = [e[6] for e in expressions if (e[0], e[1]) == span]
    boxes = [list(box) for box in _boxes(expressions, span)]
    return {"text": caption[span[0] : span[1]], "start": span[0], "end": span[1], "boxes": boxes, "scores": scores}
