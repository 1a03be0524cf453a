"""Who writes the answers, and what that may cost."""

from __future__ import annotations

import json
import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from schemas.fields import SECRET, Fields, location, running

MOST_TOKENS = ("max_completion_tokens", "max_tokens")
"""The parameters that bound the length of an answer: OpenAI's newer name, and everybody's."""
_OURS = ("model", "messages", "stream", "n", "input")


class Price(Fields):
    """US dollars a million tokens, as the provider's price list has them."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(
        None, ge=0, description="of tokens that the provider had cached; input, if unset"
    )
    batch: float = Field(0.5, ge=0, le=1, description="what the Batch API costs of that, as a share")


class TemplateLlm(Fields):
    """No model: sentences composed of what the annotations decide. Free, offline."""

    kind: Literal["template"]


class OpenAiLlm(Fields):
    """Any OpenAI-compatible endpoint; `openai_batch` asks through its Batch API, before the build."""

    kind: Literal["openai", "openai_batch"] = running("openai")
    model: str = Field(min_length=1, description="as the endpoint names it")
    provider: str = Field(
        "openai", min_length=1, description="who answers, whatever the address; part of the ledger's key"
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="sent with every request as they stand: temperature, max_tokens, max_completion_tokens, …",
    )
    base_url: str = running("https://api.openai.com/v1", description="the endpoint's address")
    api_key_env: str = running("OPENAI_API_KEY", description="the variable of the environment that holds the key")
    concurrency: int = running(32, ge=1, le=10_000, description="requests in flight, of the whole build")
    requests_per_minute: int | None = running(None, ge=1, description="of the whole build")
    tokens_per_minute: int | None = running(None, ge=1, description="of the whole build, in and out")
    timeout: float = running(120, gt=0, le=3600, description="seconds for one answer")
    retries: int = running(5, ge=0, le=100, description="further tries of what may succeed later")
    prices: dict[str, Price] = running(default_factory=dict, description="by model")
    max_usd: float | None = running(None, gt=0, description="stops before it is passed, earlier runs included")
    ledger: str | None = location(
        None, description="folder of paid answers, shared by recipes; in --out where not given"
    )

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

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, base_url: str) -> str:
        try:
            parts = urlsplit(base_url)
            whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            whole = False
        if not whole:
            raise PydanticCustomError(SECRET, "must be an address, as https://api.openai.com/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise PydanticCustomError(
                SECRET, "must hold no key or password: put it into the environment (llm.api_key_env)"
            )
        return base_url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _a_variable(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise PydanticCustomError(
                SECRET, "must be the name of a variable, as OPENAI_API_KEY, which holds the key itself"
            )
        return name

    @model_validator(mode="after")
    def _budget_can_hold(self) -> OpenAiLlm:
        if self.max_usd is not None and self.model not in self.prices:
            raise ValueError(f"llm.max_usd: needs llm.prices with the prices of {self.model!r}")
        if self.max_usd is not None and not any(self.parameters.get(name) for name in MOST_TOKENS):
            raise ValueError(
                "llm.max_usd: needs llm.parameters.max_tokens (or max_completion_tokens), which bounds a cost"
            )
        return self

    @property
    def price(self) -> Price | None:
        """The model's; None where the recipe has none."""
        return self.prices.get(self.model)
