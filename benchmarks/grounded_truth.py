"""How true the expressions of a GrIT build are, by how good its detector is: a table for the documentation.

`python -m benchmarks.grounded_truth [COUNT]` runs the DAG of a grit recipe on COUNT drawn scenes, all its own steps
but one: the detector answers the truth with noise (benchmarks/noisy_truth.py).

A mention is what a caption calls one kind of thing ("two small red balls"), by its place in the text, and the boxes of
all things that it means: the maker of the scene tells both. What is said of the background has no box, and is none. A
grounded expression is what a sample's record holds under one span of `noun_chunks` and `ref_exps`, nested ones too. It
is right if

- it names the mention: its noun chunk is the mention's words ("just" may stand before them), and it begins with them
  and takes in no other mention but those that say where this one is ("a ball left of a cat"); and
- it has as many boxes as the mention, and each of the mention's has one of them at an IoU of 0.5 or more.

Precision: the right ones of all expressions; recall: of all mentions, those with a right expression. Two of three balls
found is wrong, so boxes are counted by themselves, too: one is right if its expression names a mention of which it is a
box, one for each of the mention's. A mention without a right expression is put down to the first that lost it: the
parser (no chunk or expression names it), the detector (a box was not among its answers), the threshold, NMS, or a box
too many.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.bare import NoCounters, read, run
from benchmarks.noisy_truth import Mention, Noise, NoisyTruth, mentions
from builders.grounding.boxes import Box, iou
from builders.grounding.detect import Detect, SelectBoxes
from builders.sources.scenes.noise import World
from builders.step import Record, Services
from pipelines.dag import Stage
from pipelines.grit import grit
from schemas.common import Output
from schemas.recipe import GritRecipe
from schemas.sources import ScenesSource

COUNT, SEED = 1000, 7
UNDER, OVER, ACROSS = (0.3, 0.65), (0.66, 0.95), (0.3, 0.8)
"""Scores of boxes that are not true, beside Kosmos-2's threshold of 0.65. True boxes score 0.7 to 1, or UNSURE."""
UNSURE = (0.55, 1.0)
NOISES: dict[str, Noise | None] = {
    "none": Noise(),
    "10% missed": Noise(missed=0.1),
    "30% missed": Noise(missed=0.3),
    "edges off by up to 10%": Noise(jitter=0.1),
    "edges off by up to 20%": Noise(jitter=0.2),
    "edges off by up to 30%": Noise(jitter=0.3),
    "30% spurious, under the threshold": Noise(spurious=0.3, false_scores=UNDER),
    "30% spurious, over it": Noise(spurious=0.3, false_scores=OVER),
    "30% another thing's box, less sure": Noise(confused=0.3, false_scores=(0.66, 0.7)),
    "30% another thing's box, as sure": Noise(confused=0.3, false_scores=(0.7, 1.0)),
    "true boxes unsure": Noise(scores=UNSURE),
    "all": Noise(0.1, 0.2, 0.3, 0.3, UNSURE, ACROSS),
    "(annotations: boxes by head noun)": None,
}
"""The rows of the table; None: the recipe's own detector, which is handed the boxes but cannot tell colours."""
CAUSES = ("parser", "detector", "threshold", "NMS", "a box too many")


@dataclass(frozen=True)
class Score:
    """What a row tells, each in 0..1. `lost`: the share of mentions without a right expression, by cause."""

    precision: float
    recall: float
    box_precision: float
    box_recall: float
    lost: Mapping[str, float]


@dataclass(frozen=True)
class Parsed:
    """Records of a world as the parser left them, and the stages that come then, the detector's first."""

    world: World
    records: Sequence[Record]
    stages: tuple[Stage, ...]
    min_score: float


def main(count: int) -> None:
    """Print the table."""
    parsed = parse(count)
    print(f"| noise | precision | recall | precision of boxes | recall of boxes | {' | '.join(CAUSES)} |")
    print(f"|---|{'---:|' * (4 + len(CAUSES))}")
    for name, noise in NOISES.items():
        score = measure(parsed, noise)
        shares = score.precision, score.recall, score.box_precision, score.box_recall, *score.lost.values()
        print(f"| {name} | {' | '.join(f'{share:.1%}' for share in shares)} |", flush=True)


def parse(count: int, seed: int = SEED) -> Parsed:
    """The first `count` scenes of the world `seed`, through the stages before the detector's."""
    world = World(seed)
    source = ScenesSource(kind="scenes", count=count, seed=seed, size=world.side)
    dag = grit(GritRecipe(kind="grit", source=source, output=Output(unit=500)))
    for step in dag.steps:
        step.setup(Services(NoCounters(), "cpu"))
    at = next(i for i, stage in enumerate(dag.stages) if isinstance(stage.steps[0], Detect))
    records = [record for unit in range(len(dag.source.unit_sizes)) for record in read(dag, unit)]
    _through(dag.stages[:at], records)
    least = next(step.min_score for step in dag.steps if isinstance(step, SelectBoxes))
    return Parsed(world, records, dag.stages[at:], least)


def measure(parsed: Parsed, noise: Noise | None) -> Score:
    """What comes out where the detector has this noise."""
    grounding, *others = parsed.stages
    if noise is not None:
        grounding = replace(grounding, steps=(Detect(NoisyTruth(parsed.world, noise)),))
    records = [dict(record) for record in parsed.records]
    _through((grounding, *others), [record for record in records if "_chunks" in record])
    seen, lost = Counter[str](), Counter[str | None]()
    for record in records:  # those that were rejected, too: they have what was added before
        said = mentions(parsed.world, record["key"])
        found = _expressions(record)
        seen.update(expressions=len(found), boxes=sum(map(len, found.values())))
        for mention in said:
            spans = named_by(mention, said, record)
            lost[lost_to(mention, spans, record, found, parsed.min_score)] += 1
            kept = found.get(spans, ()) if spans else ()
            seen.update(true=len(mention.boxes), right=sum(_covered([box], kept) for box in mention.boxes))
    right, said_in_all = lost[None], lost.total()
    return Score(
        right / seen["expressions"],
        right / said_in_all,
        seen["right"] / seen["boxes"],
        seen["right"] / seen["true"],
        {cause: lost[cause] / said_in_all for cause in CAUSES},
    )


def _through(stages: Sequence[Stage], records: list[Record]) -> None:
    """Adds to the records what the stages add, up to the step that rejects them."""
    for stage in stages:
        records = run(stage, records, defaultdict(float))


Spans = tuple[int, int, int, int]
"""Of a noun chunk and of the expression that it grew into."""


def _expressions(record: Record) -> dict[Spans, list[Box]]:
    """The grounded expressions of a sample's record; none where there is no sample."""
    found: dict[Spans, list[Box]] = defaultdict(list)
    sample: dict[str, Any] = json.loads(record.get("json", "{}"))
    for chunk, expression in zip(sample.get("noun_chunks", ()), sample.get("ref_exps", ()), strict=True):
        found[(chunk[0], chunk[1], expression[0], expression[1])].append(tuple(expression[2:6]))
    return dict(found)


def named_by(mention: Mention, said: Sequence[Mention], record: Record) -> Spans | None:
    """The chunk that is a mention's words and the expression that it grew into, where that names nothing beside it."""
    for start, end, first, last in _chunks(record):
        before = record["caption"][start : mention.start].strip().lower() if start <= mention.start else "more"
        held = {other.number for other in said if other.start < last and other.end > first}
        if end == mention.end and before in ("", "just"):
            named = first == start and held <= {mention.number, *mention.placed_by}
            return (start, end, first, last) if named else None
    return None


def _chunks(record: Record) -> list[Spans]:
    return [(c["start"], c["end"], c["expression_start"], c["expression_end"]) for c in record.get("_chunks", ())]


def lost_to(
    mention: Mention, spans: Spans | None, record: Record, found: Mapping[Spans, Sequence[Box]], least: float
) -> str | None:
    """What lost a mention that `spans` name; None where it has a right expression."""
    if spans is None:
        return "parser"
    answers = [d for d in record["_detections"] if d["span"] == _chunks(record).index(spans)]
    if not _covered(mention.boxes, [_box(d) for d in answers]):
        return "detector"
    if not _covered(mention.boxes, [_box(d) for d in answers if d["score"] > least]):
        return "threshold"
    kept = found.get(spans, ())
    if not _covered(mention.boxes, kept):
        return "NMS"
    return "a box too many" if len(kept) > len(mention.boxes) else None


def _covered(true: Sequence[Box], found: Sequence[Box]) -> bool:
    """Whether each true box is found. True boxes lie apart, so that no box finds two of them."""
    return all(any(iou(box, each) >= 0.5 for each in found) for box in true)


def _box(row: Mapping[str, Any]) -> Box:
    return row["x1"], row["y1"], row["x2"], row["y2"]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)
