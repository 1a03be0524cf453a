"""Which task samples stand beside grounded captions."""

from __future__ import annotations

from pydantic import Field, model_validator

from schemas.fields import Fields


class TaskWeights(Fields):
    """How likely each task is drawn; any numbers, 0 leaves it out. Formats: Kosmos-2, Qwen-VL and PaLI."""

    kosmos2_caption: float = Field(1.0, ge=0, description="an opening -> the caption with its boxes")
    kosmos2_grounding: float = Field(1.0, ge=0, description="the caption up to a phrase -> the phrase's boxes")
    kosmos2_comprehension: float = Field(1.0, ge=0, description="a phrase -> its boxes")
    kosmos2_generation: float = Field(1.0, ge=0, description="a box -> its phrase")
    qwen_caption: float = Field(1.0, ge=0, description="a question -> the caption with its boxes")
    qwen_comprehension: float = Field(1.0, ge=0, description="a phrase -> its boxes")
    qwen_generation: float = Field(1.0, ge=0, description="a box -> its phrase")
    pali_presence: float = Field(1.0, ge=0, description="is there a dog? -> yes or no")
    pali_listing: float = Field(1.0, ge=0, description="which things are there? -> those with a box")
    pali_which: float = Field(1.0, ge=0, description="which of these are there? -> those of them that are")

    @model_validator(mode="after")
    def _something_is_wanted(self) -> TaskWeights:
        if not any(self.model_dump().values()):
            raise ValueError("all are 0; leave tasks out where none is wanted")
        return self


class Tasks(Fields):
    """Task samples, drawn by (seed, key) and different from each other, beside each grounded caption."""

    per_caption: int = Field(1, ge=1, le=10, description="at most: some captions have nothing to ask a task about")
    weights: TaskWeights = TaskWeights()
