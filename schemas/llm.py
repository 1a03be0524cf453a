"""Who writes the answers, and what that may cost."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.endpoint import Endpoint, Price
from schemas.fields import Fields, running

MOST_TOKENS = ("max_completion_tokens", "max_tokens")
"""The parameters that bound the length of an answer: OpenAI's newer name, and everybody's."""
_OURS = ("model", "messages", "stream", "n", "input")


class TemplateLlm(Fields):
    """No model: sentences composed of what the annotations decide. Free, offline."""

    kind: Literal["template"]


class OpenAiLlm(Endpoint):
    """Any OpenAI-compatible endpoint; `openai_batch` asks through its Batch API, before the build."""

    part: ClassVar = "llm"

    kind: Literal["openai", "openai_batch"] = running("openai")
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="sent with every request as they stand: temperature, max_tokens, max_completion_tokens, …",
    )
    tokens_per_minute: int | None = running(None, ge=1, description="of the whole build, in and out")
    prices: dict[str, Price] = running(default_factory=dict, description="by model")

    @field_validator("parameters")
    @classmethod
    def _not_ours(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        for name in _OURS:
            if name in parameters:
                raise ValueError(f"{name} is not a parameter of the recipe: gristmill sets it")
        for name in MOST_TOKENS:
            if name in parameters and (type(parameters[name]) is not int or parameters[name] < 1):
                raise ValueError(f"{name} must be a whole number above 0")
        try:
            plain: dict[str, Any] = json.loads(json.dumps(parameters, allow_nan=False))  # keys are text in JSON
        except (TypeError, ValueError) as error:
            raise ValueError(f"must be JSON: {error}") from None
        return plain

    @model_validator(mode="after")
    def _answers_are_bounded(self) -> Self:
        if self.max_usd is not None and not any(self.parameters.get(name) for name in MOST_TOKENS):
            raise ValueError(
                "llm.max_usd: needs llm.parameters.max_tokens (or max_completion_tokens), which bounds a cost"
            )
        return self

    @property
    def price(self) -> Price | None:
        """The model's; None where the recipe has none."""
        return self.prices.get(self.model)

    @property
    def most_tokens_a_minute(self) -> int | None:
        return self.tokens_per_minute
