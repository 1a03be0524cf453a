"""Chains of modality as samples: an instruction and its response, both as text and speech, in one of four templates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from builders.dice import Dice
from builders.filters.sample import strict
from builders.speech.templates import FORMS, Form, Style, render
from builders.step import Child, Record, Result, Services

PARTS = ("instruction", "response")


@dataclass
class ChooseForm:
    """Adds the `form`, drawn by (seed, key) with `weights`; `all_forms`: a child for each whose weight is above 0."""

    weights: Mapping[Form, float]
    all_forms: bool
    seed: int
    name: ClassVar = "choose_form"
    reads: ClassVar = ("key",)
    adds: ClassVar = {"form": pa.string()}

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._chosen(record["key"]) for record in records]

    def _chosen(self, key: str) -> Result:
        if self.all_forms:
            return [Child(form, {"form": form}) for form in FORMS if self.weights[form]]
        return {"form": Dice(self.seed, "form", key).weighted({form: self.weights[form] for form in FORMS})}


@dataclass
class ChainSample:
    """Adds `json`, the sample's `key.json`: `text`, the rendered template; both texts and units; for how many frames
    each unit holds, at `hz` frames a second; and `columns`, as the index holds them."""

    columns: tuple[str, ...]
    hz: float
    style: Style = "lecture"
    name: ClassVar = "chain_sample"
    adds: ClassVar = {"json": pa.large_binary(), "text_chars": pa.int32()}

    @property
    def reads(self) -> tuple[str, ...]:
        parts = [name for part in PARTS for name in (part, f"_{part}_units", f"_{part}_durations")]
        return tuple(dict.fromkeys(("key", "form", *parts, *self.columns)))

    def setup(self, services: Services) -> None:
        """Nothing to load."""

    def __call__(self, records: list[Record]) -> list[Result]:
        return [self._made(record) for record in records]

    def _made(self, record: Record) -> Record:
        units = {part: record[f"_{part}_units"] for part in PARTS}
        text = render(
            record["form"],
            units["instruction"],
            record["instruction"],
            record["response"],
            units["response"],
            self.style,
        )
        told: dict[str, Any] = {"id": record["key"], "form": record["form"], "text": text}
        for part in PARTS:
            told |= {part: record[part], f"{part}_units": units[part]}
            told[f"{part}_durations"] = record[f"_{part}_durations"]
        told |= {"unit_hz": self.hz, **strict({name: record[name] for name in self.columns})}
        return {"json": json.dumps(told, ensure_ascii=False).encode(), "text_chars": len(text)}
