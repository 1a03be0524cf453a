"""An OpenAI-compatible endpoint that a part of a recipe asks, and what its answers cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from schemas.fields import SECRET, Fields, location, running


class Price(Fields):
    """US dollars a million tokens, as the provider's price list has them."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(
        None, ge=0, description="of tokens that the provider had cached; input, if unset"
    )
    batch: float = Field(0.5, ge=0, le=1, description="what the Batch API costs of that, as a share")


class SpeechPrice(Fields):
    """US dollars a million characters of the text that is spoken: the endpoint tells no usage."""

    characters: float = Field(ge=0)


class Endpoint(Fields):
    """What every part of a recipe has that asks an endpoint. `part` is that part's name, for errors."""

    part: ClassVar[str]

    kind: str
    model: str = Field(min_length=1, description="as the endpoint names it")
    provider: str = Field(
        "openai", min_length=1, description="who answers, whatever the address; part of the ledger's key"
    )
    base_url: str = running("https://api.openai.com/v1", description="the endpoint's address")
    api_key_env: str = running("OPENAI_API_KEY", description="the variable of the environment that holds the key")
    concurrency: int = running(32, ge=1, le=10_000, description="requests in flight, of the whole build")
    requests_per_minute: int | None = running(None, ge=1, description="of the whole build")
    timeout: float = running(120, gt=0, le=3600, description="seconds for one answer")
    retries: int = running(5, ge=0, le=100, description="further tries of what may succeed later")
    prices: Mapping[str, Price | SpeechPrice] = running(default_factory=dict, description="by model")
    max_usd: float | None = running(None, gt=0, description="stops before it is passed, earlier runs included")
    ledger: str | None = location(
        None, description="folder of paid answers, shared by recipes; in --out where not given"
    )

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, base_url: str) -> str:
        if not _is_whole(base_url):
            raise PydanticCustomError(SECRET, "must be an address, as https://api.openai.com/v1")
        if not is_address(base_url):
            raise PydanticCustomError(
                SECRET,
                "must hold no key or password: put it into the environment ({part}.api_key_env)",
                {"part": cls.part},
            )
        return base_url.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _a_variable(cls, name: str) -> str:
        if not is_variable(name):
            raise PydanticCustomError(
                SECRET, "must be the name of a variable, as OPENAI_API_KEY, which holds the key itself"
            )
        return name

    @model_validator(mode="after")
    def _budget_can_hold(self) -> Self:
        if self.max_usd is not None and self.model not in self.prices:
            raise ValueError(f"{self.part}.max_usd: needs {self.part}.prices with the prices of {self.model!r}")
        return self

    @property
    def price(self) -> Price | SpeechPrice | None:
        """The model's; None where the recipe has none."""
        return self.prices.get(self.model)

    @property
    def most_tokens_a_minute(self) -> int | None:
        """In and out, of the whole build; None where nobody limits that."""
        return None


def is_address(url: str) -> bool:
    """Whether it is an http(s) address that holds neither key nor password."""
    parts = urlsplit(url) if _is_whole(url) else None
    return parts is not None and not (parts.username or parts.password or parts.query or parts.fragment)


def is_variable(name: str) -> bool:
    """Whether a variable of the environment may have this name."""
    return bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name))


def _is_whole(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
