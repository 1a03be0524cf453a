"""What a server's answer to one request means: the words asked for, or why there are none and what may help.

Statuses and codes are those of OpenAI's error guide, and what other compatible servers say in their place.
"""

from __future__ import annotations

import datetime
import email.utils
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from builders.llm import media
from builders.llm.limits import LONGEST_PAUSE
from builders.llm.request import ANSWER, Entry, Purpose

DETAIL_MAX = 300
"""Characters of a detail."""
_SHOWN = 4_000
"""Characters of a server's sentence that are looked at."""
_NAME_MAX = 200
"""Characters of a name that a server gives: a model, a request's id."""
_TOKENS_MAX = 2**31 - 1
HIDDEN = "[…]"
"""In the place of a secret."""


@dataclass(frozen=True)
class Sent:
    """What became of one attempt.

    `outcome` is ANSWER, or rate_limited, server_error, timeout, no_connection, garbled, bad_request, prompt_too_long,
    content_filter or refused_for_all. `text` and `finish_reason` are as in Entry; `media` is what `text` refers to.
    `detail` is one line, free of secrets. `retry`: it may succeed if asked again, `after` so many seconds where the
    server says so. `fatal`: every further request would fare alike, and `detail` says what to do. `headers` are the
    answer's, under lower-case names.
    """

    outcome: str
    status: int | None = None
    text: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    request_id: str | None = None
    detail: str | None = None
    retry: bool = False
    after: float | None = None
    fatal: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    media: bytes | None = None

    def entry(
        self, id: str, hash: str, at: datetime.datetime, purpose: Purpose, provider: str, model: str, usd: float | None
    ) -> Entry:
        """The attempt as the ledger keeps it. `model` was asked; who answered may say more exactly who it is."""
        return Entry(
            id=id,
            hash=hash,
            asked_at=at,
            build=purpose.build,
            run=purpose.run,
            provider=provider,
            model=self.model or model,
            outcome=self.outcome,
            status=self.status,
            text=self.text,
            finish_reason=self.finish_reason,
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            tokens_cached=self.tokens_cached,
            usd=usd,
            request_id=self.request_id,
            detail=self.detail,
        )


Tell = Callable[[str], str]
"""A server's words as one line without secrets: `told`, for one key and model."""

_KEY = "set the variable that {part}.api_key_env names to a key that is valid there"
_MODEL = "check {part}.model and {part}.base_url"
_CREDIT = "see to the account's credit, then run the same command again"
_PARAMETERS = "check {parameters}: the model does not take them"
_RIGHTS = "check what the key may do, and {part}.model"
_ADDRESS = "check {part}.base_url"
_PARTS = {"llm": "llm.parameters", "tts": "tts.instructions and tts.speed"}
"""The parts of a recipe that ask, and where each says what else the model is sent."""
_FOR_ALL: Mapping[str, str] = {
    "invalid_api_key": _KEY,
    "model_not_found": _MODEL,
    "invalid_model": _MODEL,
    "insufficient_quota": _CREDIT,
    "billing_hard_limit_reached": _CREDIT,
    "billing_not_active": _CREDIT,
    "unsupported_parameter": _PARAMETERS,
    "unsupported_value": _PARAMETERS,
    "unknown_parameter": _PARAMETERS,
    "unsupported_country_region_territory": _ADDRESS,
}
"""Codes that every request would be given, and what mends them. These are of the account, the model, the recipe."""
_FOR_ALL_STATUS = {401: _KEY, 402: _CREDIT, 403: _RIGHTS, 404: _MODEL}
_FILTERED = {"content_filter", "content_policy_violation"}
_TOO_LONG = {"context_length_exceeded", "string_above_max_length", "exceed_context_size_error"}
_TOO_LONG_WORDS = re.compile(r"context[ _](length|window|size)|prompt is too long|string too long", re.I)
"""As vLLM and others put it, which give no code."""
_KEY_WORDS = re.compile(r"api[ _-]?key (is )?(not valid|invalid)|(invalid|incorrect) api[ _-]?key", re.I)
"""As Gemini's endpoint puts it, under status 400."""
_BUSY = {408, 409, 425}
_AUDIO = re.compile(r"audio/[a-z0-9.+_-]+|application/(octet-stream|ogg)|")
"""Content types of audio; some servers tell none."""


def of_answer(status: int, headers: Mapping[str, str], body: bytes, tell: Tell) -> Sent:
    """What the answer to a chat completion means. `headers`: under lower-case names."""
    known = Sent("garbled", status, request_id=_name(headers.get("x-request-id")), retry=True, headers=headers)
    return _of_completion(known, body, tell) if 200 <= status < 300 else _of_error(known, status, body, tell, "llm")


def of_speech(status: int, headers: Mapping[str, str], body: bytes, tell: Tell) -> Sent:
    """What the answer to a request for speech means. `headers`: under lower-case names.

    Whether audio can be decoded is for whoever listens to it.
    """
    known = Sent("garbled", status, request_id=_name(headers.get("x-request-id")), retry=True, headers=headers)
    if not 200 <= status < 300:
        return _of_error(known, status, body, tell, "tts")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body:
        return replace(known, detail=f"{status}: an empty body in the place of audio")
    if not _AUDIO.fullmatch(kind) or body.lstrip()[:1] in (b"{", b"[", b"<"):
        words = f"{kind or 'text'} in the place of audio: {_error(_parsed(body))[1]}"
        return replace(known, detail=tell(f"{status}: {words}"))
    return replace(known, outcome=ANSWER, retry=False, text=media.reference(body, tell(kind)), media=body)


def _of_completion(known: Sent, body: bytes, tell: Tell) -> Sent:
    """`known` is what holds if the body is not what was asked for."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        return replace(known, detail=tell(f"{known.status}: no JSON: {error}"))
    if not isinstance(content, dict):
        return replace(known, detail=f"{known.status}: JSON, but no completion")
    known = _with_usage(replace(known, model=_name(content.get("model"))), content.get("usage"))
    if content.get("error"):
        return replace(known, detail=tell(f"{known.status}: {_error(content)[1]}"))
    choices = content.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return replace(known, detail=f"{known.status}: a completion without a choice")
    answer = replace(known, outcome=ANSWER, retry=False, finish_reason=_name(choice.get("finish_reason")))
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        return replace(answer, text=_sound(refusal), finish_reason="refusal")
    text = _joined(message.get("content"))
    if text is None and answer.finish_reason not in ("length", "content_filter"):
        return replace(known, detail=f"{known.status}: a completion without content")
    return replace(answer, text=_sound(text or ""))


def _of_error(known: Sent, status: int, body: bytes, tell: Tell, part: str) -> Sent:
    codes, message = _error(_parsed(body))
    detail = f"{status}: {message}"
    after = seconds_to_wait(known.headers)
    if status >= 500 or status in _BUSY:
        return replace(known, outcome="server_error", detail=tell(detail), after=after)
    mend = next((_FOR_ALL[code] for code in codes if code in _FOR_ALL), None)
    if mend is None and status == 429:
        return replace(known, outcome="rate_limited", detail=tell(detail), after=after)
    known = replace(known, retry=False)
    if codes & _FILTERED:
        return replace(known, outcome="content_filter", detail=tell(detail))
    if codes & _TOO_LONG or status == 413 or (status in (400, 422) and _TOO_LONG_WORDS.search(message)):
        return replace(known, outcome="prompt_too_long", detail=tell(detail))
    mend = mend or _FOR_ALL_STATUS.get(status) or (_KEY if _KEY_WORDS.search(message) else None)
    if status < 400:
        where = known.headers.get("location")
        mend, detail = (
            _ADDRESS,
            f"{status}: it redirects to {where}" if where else f"{status}: no answer to a request",
        )
    if mend is None:
        return replace(known, outcome="bad_request", detail=tell(detail))
    mend = mend.format(part=part, parameters=_PARTS[part])
    line = tell(detail)[: DETAIL_MAX - len(mend) - 2].rstrip(". ")
    return replace(known, outcome="refused_for_all", fatal=True, detail=f"{line}; {mend}")


def _parsed(body: bytes) -> Any:
    """JSON, or the text of what is none, without its tags."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return re.sub(r"<[^<>]*>", " ", body[:_SHOWN].decode("utf-8", "replace"))


def _error(content: Any) -> tuple[set[str], str]:
    """The codes and the sentence of an error's body; servers differ in how they wrap them."""
    if isinstance(content, list) and content:  # Gemini's endpoint
        content = content[0]
    error = content.get("error", content) if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return set(), error if isinstance(error, str) and error.strip() else "no reason given"
    codes = {code for code in (error.get("code"), error.get("type")) if isinstance(code, str)}
    sentences = (error.get(name) for name in ("message", "detail"))
    sentence = next((told for one in sentences if (told := _sentence(one))), None)
    return codes, sentence or ", ".join(sorted(codes)) or "no reason given"


def _sentence(told: Any) -> str | None:
    if isinstance(told, list) and told and isinstance(told[0], dict):  # FastAPI's: [{"loc": ["body", "n"], "msg": …}]
        place = told[0].get("loc")
        told = f"{place}: {told[0].get('msg', '')}"
    return told if isinstance(told, str) and told.strip() else None


def _with_usage(known: Sent, usage: Any) -> Sent:
    if not isinstance(usage, dict):
        return known
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    tokens_in, tokens_out = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if cached is not None and (tokens_in is None or cached > tokens_in):
        cached = None
    return replace(known, tokens_in=tokens_in, tokens_out=tokens_out, tokens_cached=cached)


def _count(number: Any) -> int | None:
    return number if type(number) is int and 0 <= number <= _TOKENS_MAX else None


def _joined(content: Any) -> str | None:
    """Content as text; of a list of parts, those that are text."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        texts = [text for text in parts if isinstance(text, str)]
        return "".join(texts) if texts else None
    return content if isinstance(content, str) else None


def _name(text: Any) -> str | None:
    return _sound(text)[:_NAME_MAX] if isinstance(text, str) and text else None


def _sound(text: str) -> str:
    """Text that can be written: JSON may hold halves of surrogate pairs, which UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: retry-after-ms, or Retry-After in seconds or as a date (RFC 9110, 10.2.3).

    A wish of more than 300 s is cut.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{0,12})?", text):
            return min(float(text) * unit, LONGEST_PAUSE)
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
    return min(max(0.0, (date - datetime.datetime.now(datetime.UTC)).total_seconds()), LONGEST_PAUSE)


_PIECE = 6
"""Characters in a row of the key that are not shown; servers repeat its head and its tail."""
_WORD = r"[^\s\"'`<>()\[\]{},;]"
_LIKE_SECRETS = re.compile(
    rf"(?i:\b(?:bearer|basic)\s+)\S+|{_WORD}*\*\*{_WORD}*"
    r"|\b(?:sk|pk|rk|gsk|csk|hf|xai|nvapi|pplx)[-_][\w.\-]{4,}|\b(?:AIza|eyJ)[\w.\-]{10,}"
    r"|\b(?=[A-Za-z]*[0-9])[A-Za-z0-9]{20,}|\b(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{24,}|\b[A-Za-z]{28,}",
    re.ASCII,
)
"""Authorization as it is sent, masked keys, the usual beginnings of keys, long words with digits, very long ones."""


def told(text: str, key: str | None, model: str) -> str:
    """A server's words as one line of at most 300 characters, without the key and what looks like one.

    The model's name may look like one, and is shown.
    """
    printable = "".join(one if one.isprintable() else " " for one in _sound(text[:_SHOWN]))
    line = _without(" ".join(printable.split()), key)
    line = _LIKE_SECRETS.sub(lambda found: found[0] if found[0] in model else HIDDEN, line)
    return line if len(line) <= DETAIL_MAX else line[: DETAIL_MAX - 1] + "…"


def _without(line: str, key: str | None) -> str:
    """Without the words that hold a piece of the key."""
    if not key:
        return line
    long = min(_PIECE, len(key))
    pieces = {key[i : i + long] for i in range(len(key) - long + 1)}

    def shown(word: str) -> str:
        return HIDDEN if any(word[i : i + long] in pieces for i in range(len(word) - long + 1)) else word

    return " ".join(shown(word) for word in line.split(" "))
