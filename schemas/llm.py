"""Who writes the answers, and what that may cost."""

from __future__ import annotations

import json
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from schemas.fields import Fields, location, running

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
        try:
            json.dumps(parameters, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"must be JSON: {error}") from None
        return parameters

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, base_url: str) -> str:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address, as https://api.openai.com/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("must hold no key or password: put it into the environment (llm.api_key_env)")
        return base_url.rstrip("/")
