"""A detector behind an endpoint: the contract of docs/detector_http.md, and what becomes of whoever breaks it."""

from __future__ import annotations

import base64
import json
import pickle
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from builders.grounding import http_detector
from builders.grounding.boxes import Detection
from builders.grounding.detect import Found, Query
from builders.grounding.http_detector import HttpDetector
from builders.step import Failed, Rejected, Services
from schemas.errors import BuildError, UserError
from tests.builders.grounding.detector_server import serving
from tests.builders.llm.replies import Reply, as_json, broken, cut, dripping, hang, hang_up, redirect
from tests.builders.llm.server import Seen, serve

CAPTION = "a dög and a dög"
SPANS = [(0, 5), (10, 15)]
QUERY = Query(b"jpeg", CAPTION, SPANS, {})
GOOD = as_json({"spans": [{"boxes": [[0.1, 0.2, 0.3, 0.4]], "scores": [0.5]}, {"boxes": [], "scores": []}]})
FOUND = Found([Detection(0, (0.1, 0.2, 0.3, 0.4), 0.5)])
Asked = Callable[..., Found | Rejected]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of a second before the second try."""
    monkeypatch.setattr(http_detector, "BACKOFF", 0.01)


@pytest.fixture
def ask(services: Services) -> Asked:
    """What becomes of QUERY, by a server that gives these replies in turn, the last of them again and again."""

    def run(*replies: Reply, seen: list[Seen] | None = None, **options: Any) -> Found | Rejected:
        def script(one: Seen) -> Reply:
            if seen is not None:
                seen.append(one)
            return replies[min(one.times, len(replies)) - 1]

        with serve(script) as api:
            detector = HttpDetector(f"http://127.0.0.1:{api.port}/detect", **options)
            detector.setup(services)
            (found,) = detector.detect([QUERY])
        return found

    return run


# ---- the contract ----------------------------------------------------------------------------------------------------


def test_the_reference_server_is_asked_and_answers_span_by_span(services: Services) -> None:
    def detect(image: bytes, caption: str, chunks: list[str]) -> Any:
        assert caption == CAPTION
        boxes = [((0.1 * i, 0.25, 1.5, 0.75), 0.5 + 0.1 * i) for i in range(len(chunks))]
        return [[boxes[i], *([((0.0, 0.0, 0.5, 0.5), 0.25)] if image == b"png" else [])] for i in range(len(chunks))]

    with serving(detect) as url:
        detector = HttpDetector(url)
        detector.setup(services)
        jpeg, png, none = detector.detect([QUERY, Query(b"png", CAPTION, SPANS[:1], {}), Query(b"x", CAPTION, [], {})])
    assert jpeg == Found([Detection(0, (0.0, 0.25, 1.0, 0.75), 0.5), Detection(1, (0.1, 0.25, 1.0, 0.75), 0.6)])
    assert png == Found([Detection(0, (0.0, 0.25, 1.0, 0.75), 0.5), Detection(0, (0.0, 0.0, 0.5, 0.5), 0.25)])
    assert none == Found([])


def test_what_is_sent_is_the_photo_in_base64_the_caption_and_the_spans_in_characters(ask: Asked) -> None:
    seen: list[Seen] = []
    assert ask(GOOD, seen=seen) == FOUND
    (one,) = seen
    assert one.path == "/detect"
    assert one.body == {"image": base64.b64encode(b"jpeg").decode(), "caption": CAPTION, "spans": [[0, 5], [10, 15]]}
    assert [CAPTION[start:end] for start, end in one.body["spans"]] == ["a dög", "a dög"]
    assert one.headers["content-type"] == "application/json" and "authorization" not in one.headers


def test_at_most_so_many_requests_run_at_once_and_answers_come_in_order(services: Services) -> None:
    def script(one: Seen) -> Reply:
        place = json.loads(one.raw)["caption"]
        boxes = {"boxes": [[0.0, 0.0, 1.0, 1.0]], "scores": [int(place) / 100]}
        return as_json({"spans": [boxes]}).after(0.05 if int(place) % 2 else 0.0)

    with serve(script) as api:
        detector = HttpDetector(f"http://127.0.0.1:{api.port}/", concurrency=3)
        found = detector.detect([Query(b"", str(i), [(0, 1)], {}) for i in range(20)])
    assert [one.detections[0].score for one in found if isinstance(one, Found)] == [i / 100 for i in range(20)]
    assert 2 <= api.most <= 3 and api.most_connections <= 3


def test_boxes_outside_the_photo_are_dropped(ask: Asked) -> None:
    boxes = [[0.5, 0.5, 0.5, 0.9], [1.1, 0, 1.2, 1], [-0.5, 0, 0.5, 2]]
    answer = {"spans": [{"boxes": boxes, "scores": [0.9, 0.9, 0.9]}, {"boxes": [], "scores": []}]}
    assert ask(as_json(answer)) == Found([Detection(0, (0.0, 0.0, 0.5, 1.0), 0.9)])


# ---- tried again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [
        broken(500),
        broken(503),
        Reply(status=429),
        Reply(status=408),
        hang_up(),
        cut(GOOD),
        Reply(b"{"),
        Reply(raw=b"?"),
    ],
    ids=["500", "503", "429", "408", "hangs up", "cut off", "no JSON", "no HTTP"],
)
def test_what_may_pass_is_tried_again(ask: Asked, first: Reply) -> None:
    seen: list[Seen] = []
    assert ask(first, first, GOOD, seen=seen) == FOUND
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("reply", "reason", "detail"),
    [
        (broken(500), "server_error", "500: <html><h1>Sorry</h1></html>"),
        (Reply(status=429), "rate_limited", "429:"),
        (hang_up(), "no_connection", "Server disconnected"),
        (cut(GOOD), "garbled", "ContentLengthError|payload is not completed"),
        (as_json([]), "garbled", "TypeError"),
        (as_json({"spans": []}), "garbled", "0 spans are answered, 2 were asked for"),
    ],
    ids=["500", "429", "hangs up", "cut off", "a list", "too few"],
)
def test_what_never_passes_fails_with_a_reason_after_so_many_tries(
    ask: Asked, reply: Reply, reason: str, detail: str
) -> None:
    seen: list[Seen] = []
    found = ask(reply, seen=seen, retries=2)
    assert isinstance(found, Failed) and found.reason == reason
    assert re.search(detail, found.detail) and "\n" not in found.detail
    assert len(seen) == 3


@pytest.mark.slow
@pytest.mark.parametrize("reply", [hang(), dripping(GOOD, 0.05)], ids=["silent", "dripping"])
def test_an_answer_has_so_many_seconds_in_all(ask: Asked, reply: Reply) -> None:
    found = ask(reply, timeout=0.2, retries=1)
    assert found == Failed("timeout", "no whole answer within 0.2 s (detector.timeout)")


def test_an_answer_may_take_as_long_as_the_recipe_says(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiohttp.client, "DEFAULT_TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    assert ask(GOOD.after(0.3), retries=0) == FOUND


def test_nobody_listens(services: Services) -> None:
    with serving(lambda *_: []) as url:
        pass
    (found,) = HttpDetector(url, retries=1).detect([QUERY])
    assert isinstance(found, Failed) and found.reason == "no_connection"


def test_retry_after_is_waited_for_by_all(services: Services) -> None:
    def script(one: Seen) -> Reply:
        return Reply(status=429).with_headers(Retry_After="0.3") if one.number == 1 else GOOD

    with serve(script) as api:
        detector = HttpDetector(f"http://127.0.0.1:{api.port}/", concurrency=1)
        found = detector.detect([QUERY, QUERY])
    assert found == [FOUND, FOUND]
    first, second, _ = api.requests
    assert second.at - first.at >= 0.29


def test_who_asks_to_wait_too_long_is_left_for_a_later_run(ask: Asked) -> None:
    seen: list[Seen] = []
    found = ask(Reply(status=503).with_headers(Retry_After="61"), seen=seen)
    assert isinstance(found, Failed) and found.reason == "server_error"
    assert len(seen) == 1


# ---- not tried again -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_not_taken_fails_at_once(ask: Asked, status: int) -> None:
    seen: list[Seen] = []
    found = ask(as_json({"error": "image too large"}, status), seen=seen)
    assert isinstance(found, Failed) and found.reason == "bad_request"
    assert "image too large" in found.detail
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("reply", "field"),
    [
        (broken(401), "detector.api_key_env"),
        (broken(403), "detector.api_key_env"),
        (broken(404), "detector.url"),
        (broken(405), "detector.url"),
        (redirect("http://127.0.0.1:1/"), "detector.url"),
    ],
    ids=["401", "403", "404", "405", "redirect"],
)
def test_what_would_befall_every_pair_stops_the_build(services: Services, reply: Reply, field: str) -> None:
    with serve(lambda one: reply if one.number == 2 else GOOD.after(0.05)) as api:
        detector = HttpDetector(f"http://127.0.0.1:{api.port}/", concurrency=2)
        with pytest.raises(BuildError, match=f"^{field}: http://127.0.0.1:{api.port}/ ") as raised:
            detector.detect([QUERY] * 50)
    assert "\n" not in str(raised.value)
    assert len(api.requests) < 10


@pytest.mark.parametrize(
    "spans",
    [
        [{"boxes": [[0, 0, 1, 1]], "scores": [1.5]}] * 2,
        [{"boxes": [[0, 0, 1, 1]], "scores": [float("nan")]}] * 2,
        [{"boxes": [[0, 0, 1, float("inf")]], "scores": [0.5]}] * 2,
        [{"boxes": [[0, 0, 1, 10**400]], "scores": [0.5]}] * 2,
        [{"boxes": [[0, 0, 1]], "scores": [0.5]}] * 2,
        [{"boxes": [[0, 0, 1, "1,0"]], "scores": [0.5]}] * 2,
        [{"boxes": [[0, 0, 1, 1]], "scores": []}] * 2,
        [{"boxes": [[0, 0, 1, 1]], "scores": ["0.5"]}] * 2,
        [{"scores": [0.5]}] * 2,
        "ab",
        None,
    ],
    ids=["score", "nan", "infinite", "immense", "corner", "text", "counts", "score text", "no boxes", "a text", "null"],
)
def test_an_answer_that_breaks_the_contract_is_garbled(ask: Asked, spans: Any) -> None:
    found = ask(as_json({"spans": spans}), retries=0)
    assert isinstance(found, Failed) and found.reason == "garbled"


def test_an_endless_answer_is_not_read_to_its_end(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_detector, "ANSWER_MAX", 50)
    assert ask(GOOD, retries=0) == Failed("garbled", "an answer of more than 50 bytes")


def test_a_compressed_answer_is_not_unpacked(ask: Asked) -> None:
    found = ask(GOOD.with_headers(Content_Encoding="gzip"), retries=0)
    assert found == Failed("garbled", "compressed, though asked for identity")


# ---- address and key -------------------------------------------------------------------------------------------------


def test_a_key_is_sent_and_shown_nowhere(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECTOR_KEY", "s3cr3t-of-the-detector")
    seen: list[Seen] = []
    found = ask(Reply(b"no use for s3cr3t-of-the-detector", 400), seen=seen, api_key_env="DETECTOR_KEY")
    assert seen[0].headers["authorization"] == "Bearer s3cr3t-of-the-detector"
    assert isinstance(found, Failed) and "s3cr3t" not in found.detail


@pytest.mark.parametrize("value", [None, "", "two\nlines"])
def test_a_key_that_is_not_there_is_told(
    services: Services, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv("DETECTOR_KEY", raising=False)
    else:
        monkeypatch.setenv("DETECTOR_KEY", value)
    with pytest.raises(UserError, match=r"^detector.api_key_env: DETECTOR_KEY holds no key where the worker runs"):
        HttpDetector("http://127.0.0.1/", "DETECTOR_KEY").setup(services)


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://host/", "http://", "http://[::1", "http://me:pw@host/"])
def test_what_is_no_address_is_told_without_a_password(services: Services, url: str) -> None:
    with pytest.raises(UserError, match=r"^detector.url: must be an address without a password") as raised:
        HttpDetector(url).setup(services)
    assert "pw" not in str(raised.value)


def test_it_is_pickled_as_it_was_written_in_the_recipe() -> None:
    detector = HttpDetector("http://host/", "DETECTOR_KEY", concurrency=2)
    assert pickle.loads(pickle.dumps(detector)) == detector
