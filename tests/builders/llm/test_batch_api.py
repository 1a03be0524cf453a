"""The calls of a Batch API: which are tried again, which are not, and what the user reads of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.llm import batch
from builders.llm.batch_api import Api, Batch
from builders.llm.batch_files import scratch
from schemas.errors import BuildError
from schemas.llm import OpenAiLlm
from tests.builders.llm.batch_pass import Pass, request_of
from tests.builders.llm.batch_server import KEY, Call, Reply, Site, error, serve

pytestmark = pytest.mark.slow


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """With files of 3 requests."""
    monkeypatch.setattr(batch, "MOST_REQUESTS", 3)
    with serve() as site:
        yield site


def each_once(reply: Reply) -> Callable[[Call], Reply | None]:
    """Every call of its kind is answered so at first, and rightly from then on."""
    seen = set[tuple[str, str]]()

    def answer(call: Call) -> Reply | None:
        kind = (call.method, call.path)
        if kind in seen:
            return None
        seen.add(kind)
        return reply

    return answer


BUSY = error(429, "rate_limit_exceeded", "Too many.")
"""Who says this has done nothing."""
PASSING = {
    "500": Reply(500, "<html>"),
    "503": error(503, None, "Busy."),
    "408": error(408, None, "Slow."),
    "cut": Reply(cut=True),
    "half": Reply(content={"id": "batch_7"}, cut=True),
}


@pytest.mark.parametrize(
    ("name", "moment"), [("429", "before"), *((name, moment) for name in PASSING for moment in ("before", "after"))]
)
def test_any_call_may_fail_for_a_moment_before_or_after_it_was_done(
    name: str, moment: str, site: Site, tmp_path: Path
) -> None:
    setattr(site, moment, each_once({**PASSING, "429": BUSY}[name]))
    one = Pass(tmp_path, site.base_url).run()
    assert len(one.answers()) == 7 and set(site.asked.values()) == {1}
    assert len(site.marks) == len(set(site.marks)) == 3


def test_a_batch_that_was_made_though_the_call_broke_off_is_looked_for_patiently(site: Site, tmp_path: Path) -> None:
    site.lag = 3
    site.after = lambda call: Reply(504, "") if call.number == 2 else None
    one = Pass(tmp_path, site.base_url).run()
    assert len(site.marks) == len(set(site.marks)) == 3 and len(one.answers()) == 7


def test_retry_after_is_waited_for(site: Site, tmp_path: Path) -> None:
    site.before = each_once(error(429, "rate_limit_exceeded", "Too many.", Retry_After="17"))
    one = Pass(tmp_path, site.base_url, [request_of(0)]).run()
    assert one.slept == [17, 17, 17, 1, 17, 2, 4, 17]  # search, upload, create, looks (one in vain), rows


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (error(401, "invalid_api_key", f"Incorrect API key provided: {KEY}."), "llm: 401: Incorrect API key provided"),
        (error(404, None, "There is no such page."), "llm: 404: There is no such page; check llm.model and llm.base"),
        (error(429, "insufficient_quota", "You have used it up."), "llm: 429: You have used it up; see to the account"),
        (error(400, "billing_hard_limit_reached", "No more."), "llm: 400: No more; see to the account's credit"),
        (Reply(302, "", {"Location": "https://elsewhere.example/"}), "llm: 302: it redirects to https://elsewhere"),
        (Reply(200, b"<html>"), "llm.base_url: what the endpoint answers is not a list of batches: has it a Batch"),
        (Reply(200, "<html>"), "llm.base_url: what the endpoint answers is not a list of batches: has it a Batch API?"),
        (Reply(200, {"data": [{"id": 3}]}), "llm.base_url: what the endpoint answers is not a batch: has it a Batch"),
    ],
)
def test_what_no_waiting_mends_stops_at_once(reply: Reply, line: str, site: Site, tmp_path: Path) -> None:
    site.before = lambda call: reply
    one = Pass(tmp_path, site.base_url)
    with pytest.raises(BuildError) as stop:
        one.run()
    said = str(stop.value)
    assert said.startswith(line) and "\n" not in said and KEY not in said
    assert len(site.calls) == 1 and not one.slept


def test_a_wrong_key_is_refused_in_one_line_that_does_not_show_it(site: Site, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"llm: 401: .*; set the variable that llm\.api_key_env names"):
        Pass(tmp_path, site.base_url, key="sk-wrong").run()


def test_without_a_key_none_is_sent(site: Site, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="llm: 401"):
        Pass(tmp_path, site.base_url, key=None).run()
    assert "authorization" not in site.calls[0].headers


def test_the_environment_says_nothing_of_the_endpoint(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "http://wrong.example")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: wrong.example")
    assert len(Pass(tmp_path, site.base_url).run().answers()) == 7
    assert not any("wrong.example" in value for call in site.calls for value in call.headers.values())


def test_where_nobody_listens_the_pass_ends_after_the_retries(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    one = Pass(tmp_path, f"http://127.0.0.1:{port}/v1")
    with pytest.raises(BuildError, match=r"llm\.base_url: the Batch API does not answer: .*run the same command again"):
        one.run()
    assert one.slept == [1, 2]


def test_a_server_that_is_gone_for_minutes_while_batches_are_on_their_way_is_waited_for(
    site: Site, tmp_path: Path
) -> None:
    away = [Reply(cut=True)] * 12
    site.before = lambda call: away.pop() if call.path.endswith("/batch_0") and away else None
    one = Pass(tmp_path, site.base_url).run()
    assert len(one.answers()) == 7 and sum(one.slept) > 300


def test_a_server_that_stays_away_ends_the_pass_and_the_next_one_goes_on(site: Site, tmp_path: Path) -> None:
    site.before = lambda call: Reply(502, "") if call.path.endswith("/batch_0") else None
    one = Pass(tmp_path, site.base_url)
    with pytest.raises(BuildError, match=r"the Batch API does not answer: 502: .*to go on"):
        one.run()
    assert 600 <= sum(one.slept) < 700
    site.before = lambda call: None
    assert len(one.run().answers()) == 7 and len(site.batches) == 3


def test_a_batch_with_odd_or_missing_fields_is_read_as_far_as_it_goes(site: Site) -> None:
    odd = {
        "id": "batch_1",
        "status": "paused",
        "metadata": [],
        "request_counts": {"completed": "7"},
        "errors": {"data": [3]},
    }
    api = Api(KEY, OpenAiLlm(kind="openai_batch", model="m", base_url=site.base_url), lambda seconds: None)
    site.before = lambda call: Reply(content=odd)
    assert api.get("batch_1") == Batch("batch_1", "paused") and not api.get("batch_1").ended
    api.close()


def test_of_a_file_without_end_so_many_bytes_are_read(site: Site) -> None:
    api = Api(KEY, OpenAiLlm(kind="openai_batch", model="m", base_url=site.base_url), lambda seconds: None)
    site.files["file-1"] = b"x" * 1_000_000
    with scratch() as file:
        api.download("file-1", file, 70_000)
        assert len(file.read()) == 70_000
    api.close()
