"""The task samples of a unit: a pack, because what is absent from an image is drawn from the others of its unit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa

from builders.dice import Dice
from builders.grounding.heads import named_words
from builders.grounding.record import most_chunks, phrases_of
from builders.grounding.tasks import kosmos2, pali, qwen_vl
from builders.grounding.tasks.names import Named, Names
from builders.grounding.tasks.task import Task
from builders.grounding.tokens import LowerRight
from builders.instruct.turns import Turn, conversations, messages
from builders.rows import key_problem
from builders.step import Packed, Record

Maker = Callable[[Dice], Task | None]


@dataclass
class TaskSamples:
    """Each grounded caption as it is, and beside it up to `count` task samples, drawn by `weights` and (seed, key).

    A sample's `key.json` and `key.txt` are `_json` and `_text`; a task sample's hold `task`, `prompt`, `target`, and
    `conversations` and `messages` as conversations about images do. `task` is null for the caption; `n_tasks` counts
    what it brought. `photo`: columns that tell which captions are of one photo, the first that is not null; what one
    of them names is never absent from another. `gold`: the record tells every annotated box (`_gold`); `cut`: of the
    whole photo, of which the image is a part, so that these boxes are not absent for certain, nor there. A key that is
    too long to be added to brings no task.
    """

    names: Names
    weights: Mapping[str, float]
    count: int
    lower_right: LowerRight
    seed: int
    photo: tuple[str, ...] = ()
    gold: bool = False
    cut: bool = False
    name: ClassVar = "task_samples"
    joins: ClassVar = False
    adds: ClassVar = {"task": pa.string(), "n_tasks": pa.int32(), "_text": pa.string(), "_json": pa.large_binary()}

    @property
    def reads(self) -> tuple[str, ...]:
        return ("key", "format", "caption", "json", *self.photo, *(["_gold"] if self.gold else []))

    def __call__(self, records: list[Record]) -> list[Packed]:
        told = [json.loads(record["json"]) for record in records]
        named = self._named(records, told)
        others = [one for one in named if one.shown]
        samples = []
        for position, record in enumerate(records):
            tasks = self._drawn(record["key"], told[position], named[position], others)
            columns = {"task": None, "n_tasks": len(tasks), "_text": record["caption"], "_json": record["json"]}
            samples.append(Packed((position,), columns))
            for number, task in enumerate(tasks, 1):
                suffix = _suffix(number)
                samples.append(Packed((position,), self._columns(record, f"{record['key']}-{suffix}", task), suffix))
        return samples

    def _named(self, records: Sequence[Record], told: Sequence[Mapping[str, Any]]) -> list[Named]:
        captions: dict[str, list[str]] = {}
        for record in records:
            captions.setdefault(self._photo(record), []).append(record["caption"])
        return [
            self._one(record, item, captions[self._photo(record)]) for record, item in zip(records, told, strict=True)
        ]

    def _one(self, record: Record, told: Mapping[str, Any], captions: Sequence[str]) -> Named:
        annotated = [box["category"] for box in record["_gold"]] if self.gold else []
        named = self.names.of(captions, _things(told), [] if self.cut else annotated)
        return replace(named, never_absent=named.never_absent.union(annotated))

    def _photo(self, record: Record) -> str:
        return next((str(record[name]) for name in self.photo if record[name] is not None), record["key"])

    def _drawn(self, key: str, told: Mapping[str, Any], named: Named, others: Sequence[Named]) -> list[Task]:
        """Up to `count` tasks: names are drawn by weight until enough have something to ask."""
        if key_problem(f"{key}-{_suffix(self.count)}"):
            return []
        dice = Dice(self.seed, "tasks", key)
        makers = self._makers(told, named, others)
        left = {name: weight for name, weight in self.weights.items() if weight}
        tasks: list[Task] = []
        while left and len(tasks) < self.count:
            name = _by_weight(left, dice)
            del left[name]
            if task := makers[name](Dice(self.seed, "tasks", key, name)):
                tasks.append(task)
        return tasks

    def _makers(self, told: Mapping[str, Any], named: Named, others: Sequence[Named]) -> dict[str, Maker]:
        caption, phrases = told["caption"], phrases_of(told)
        absent = pali.absent_from(named, others)
        kosmos = caption, phrases, self.lower_right
        return {
            "kosmos2_caption": partial(kosmos2.caption_task, *kosmos),
            "kosmos2_grounding": partial(kosmos2.grounding_task, *kosmos),
            "kosmos2_comprehension": partial(kosmos2.comprehension_task, *kosmos),
            "kosmos2_generation": partial(kosmos2.generation_task, *kosmos),
            "qwen_caption": partial(qwen_vl.caption_task, caption, most_chunks(told)),
            "qwen_comprehension": partial(qwen_vl.comprehension_task, caption, phrases),
            "qwen_generation": partial(qwen_vl.generation_task, caption, phrases),
            "pali_presence": partial(pali.presence_task, named, absent),
            "pali_listing": partial(pali.listing_task, named),
            "pali_which": partial(pali.which_task, named, absent),
        }

    def _columns(self, record: Record, key: str, task: Task) -> Record:
        turns = [Turn(task.prompt.strip(), task.target.strip())]
        told = {
            "id": key,
            "image": f"{key}.{record['format']}",
            "caption": record["caption"],
            "task": task.name,
            "prompt": task.prompt,
            "target": task.target,
            "conversations": conversations(turns, self.seed, key),
            "messages": messages(turns),
        }
        text = json.dumps(told, ensure_ascii=False).encode()
        return {"task": task.name, "n_tasks": 0, "_text": task.prompt + task.target, "_json": text}


def _things(told: Mapping[str, Any]) -> list[str]:
    """The boxed noun chunks; in place of "a group", what it is of: "dogs" of "a group of dogs"."""
    caption, found = told["caption"], []
    for chunk, expression in zip(told["noun_chunks"], told["ref_exps"], strict=True):
        found.append(named_words(caption[chunk[0] : chunk[1]], caption[chunk[1] : expression[1]]))
    return found


def _suffix(number: int) -> str:
    return f"t{number}"


def _by_weight(weights: Mapping[str, float], dice: Dice) -> str:
    at = dice.unit() * sum(weights.values())
    for name, weight in weights.items():
        at -= weight
        if at < 0:
            return name
    return name  # what is left over by rounding
