"""One attempt at a request over real sockets: what goes over the wire, what comes back, and what is left open."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from builders.llm import client
from builders.llm.client import Client, Sent
from builders.llm.request import Request
from schemas.errors import UserError
from tests.builders.llm import replies
from tests.builders.llm.replies import Reply, answer, as_json
from tests.builders.llm.server import Api, Script, Seen, serve

pytestmark = pytest.mark.slow

KEY = "sk-proj-Ab3dEf6hIj9kLm2nOp5q"
BODY = {
    "model": "mill-1",
    "messages": [{"role": "system", "content": "Say it in \N{GRINNING FACE} é."}, {"role": "user", "content": "A dog"}],
    "temperature": 0.0,
    "max_tokens": 100,
    "seed": 2**40,
    "stop": ["\n"],
    "response_format": {"type": "json_object"},
    "chat_template_kwargs": {"enable_thinking": False, "nothing": None},
}
REQUEST = Request("mill", "chat/completions", BODY)
T = TypeVar("T")


def talk(api: Api, main: Callable[[Client], Coroutine[Any, Any, T]], key: str | None = KEY, timeout: float = 30.0) -> T:
    """What `main` does with a client, which is closed afterwards."""

    async def whole() -> T:
        client = Client(api.base_url, key, timeout, 256)
        try:
            return await main(client)
        finally:
            await client.close()

    return asyncio.run(whole())


def ask(api: Api, key: str | None = KEY, timeout: float = 30.0, request: Request = REQUEST) -> Sent:
    return talk(api, lambda client: client.send(request), key, timeout)


def always(reply: Reply) -> Script:
    return lambda seen: reply


def asked(number: int) -> Request:
    """One of many that differ."""
    return Request("mill", "chat/completions", {**BODY, "seed": number})


async def soon(holds: Callable[[], bool]) -> None:
    """Wait for what the server's thread will bring about."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


def test_the_body_goes_over_the_wire_as_it_is() -> None:
    with serve(always(answer("A dog."))) as api:
        assert ask(api).text == "A dog."
    (seen,) = api.requests
    assert seen.path == "/v1/chat/completions"
    assert seen.body == BODY
    assert list(seen.body) == list(BODY)
    assert (seen.times, seen.answered) == (1, True)


def test_the_headers_are_ours_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = {
        "BASE_URL": "http://127.0.0.1:9/v1",
        "ORG_ID": "org-1",
        "PROJECT_ID": "proj-1",
        "ADMIN_KEY": "sk-admin",
    }
    custom = "X-Extra: 1\nAuthorization: Bearer sk-custom\nHost: elsewhere.example\nUser-Agent: somebody"
    for name, value in {**elsewhere, "API_KEY": "sk-other", "CUSTOM_HEADERS": custom}.items():
        monkeypatch.setenv(f"OPENAI_{name}", value)
    with serve(always(answer("A dog.").with_headers(Set_Cookie="crumb=1; Path=/"))) as api:
        for key in (KEY, None):
            talk(api, lambda client: _twice(client), key)
    *with_key, first_without, second_without = (dict(seen.headers) for seen in api.requests)
    for headers in with_key:
        assert headers.pop("authorization") == f"Bearer {KEY}"
    for headers in (*with_key, first_without, second_without):
        assert headers.pop("user-agent").startswith("gristmill ")
        assert headers.pop("content-length") == str(len(api.requests[0].raw))
        assert headers == {
            "host": f"127.0.0.1:{api.port}",
            "accept": "application/json",
            "accept-encoding": "identity",
            "content-type": "application/json",
        }


async def _twice(client: Client) -> None:
    await client.send(REQUEST)
    await client.send(REQUEST)


@pytest.mark.parametrize("key", ["", "  \n"])
def test_a_key_of_nothing_is_none(key: str) -> None:
    with serve(always(answer("A dog."))) as api:
        assert ask(api, key).text == "A dog."
    assert "authorization" not in api.requests[0].headers


def test_a_newline_after_the_key_does_not_matter() -> None:
    with serve(always(answer("A dog."))) as api:
        ask(api, KEY + "\n")
    assert api.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-é", "sk-a\nsk-b", "my key", "sk-\x7f"])
def test_a_key_that_no_header_can_hold_is_named_without_being_shown(key: str) -> None:
    with pytest.raises(UserError, match=r"^llm\.api_key_env: ") as caught:
        Client("http://127.0.0.1:9/v1", key, 1.0, 1)
    assert key not in str(caught.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999/v1", "http://[::1/v1", "http:///v1"])
def test_an_address_that_is_none_is_named(address: str) -> None:
    with pytest.raises(UserError, match=r"^llm\.base_url: "):
        Client(address, KEY, 1.0, 1)


LATE = answer("A dog.").after(30)
PACKED = Reply(gzip.compress(answer("A dog.").body)).with_headers(Content_Encoding="gzip")


@pytest.mark.parametrize(
    ("reply", "outcome", "retry"),
    [
        (answer("A dog."), "answer", False),
        (answer("A dog", "length"), "answer", False),
        (replies.refusal("I cannot."), "answer", False),
        (answer("A dog.").after(0.05), "answer", False),
        (replies.dripping(as_json({"choices": [{"message": {"content": ""}}]}), 0.001), "answer", False),
        (replies.rate_limited(), "rate_limited", True),
        (replies.out_of_quota(), "refused_for_all", False),
        (replies.wrong_key("sk-pr****Op5q"), "refused_for_all", False),
        (replies.wrong_key(KEY), "refused_for_all", False),
        (replies.no_such_model("mill-1"), "refused_for_all", False),
        (replies.prompt_too_long(), "prompt_too_long", False),
        (replies.error(400, "content_filter", "Filtered."), "content_filter", False),
        (replies.error(400, None, "We could not read that."), "bad_request", False),
        (replies.broken(500), "server_error", True),
        (replies.broken(503), "server_error", True),
        (replies.cut(answer("A dog.")), "garbled", True),
        (replies.cut(replies.broken(500)), "garbled", True),
        (as_json({"choices": []}), "garbled", True),
        (Reply(b"<html>Welcome!</html>"), "garbled", True),
        (Reply(b""), "garbled", True),
        (PACKED, "garbled", True),
        (replies.hang_up(), "no_connection", True),
        (Reply(raw=b"what?\r\n\r\n"), "garbled", True),
        (Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "garbled", True),
    ],
)
def test_every_kind_of_answer_is_an_outcome(reply: Reply, outcome: str, retry: bool) -> None:
    with serve(always(reply)) as api:
        sent = ask(api)
    assert (sent.outcome, sent.retry) == (outcome, retry)
    assert "Ab3dEf" not in (sent.detail or "")
    assert len(api.requests) == 1, "trying again is for whoever asks"


@pytest.mark.parametrize(
    "reply",
    [replies.hang(), LATE, replies.dripping(answer("A dog."), 0.05), replies.dripping(replies.broken(500), 0.05)],
    ids=["never", "late", "drop by drop", "an error drop by drop"],
)
def test_an_answer_has_so_much_time_and_no_more(reply: Reply) -> None:
    async def main(client: Client) -> Sent:
        sent = await client.send(REQUEST)
        await soon(lambda: api.connections == 0)
        return sent

    with serve(always(reply)) as api:
        sent = talk(api, main, timeout=0.2)
    assert (sent.outcome, sent.retry, sent.detail) == ("timeout", True, "no whole answer within 0.2 s (llm.timeout)")
    assert not api.requests[0].answered


def test_what_is_wrong_is_told_by_the_fields_of_the_part_that_asks() -> None:
    async def main() -> Sent:
        client = Client(api.base_url, KEY, 0.1, 1, "tts")
        try:
            return await client.send(REQUEST)
        finally:
            await client.close()

    with serve(always(replies.hang())) as api:
        assert asyncio.run(main()).detail == "no whole answer within 0.1 s (tts.timeout)"
    with pytest.raises(UserError, match=r"^tts\.api_key_env: "):
        Client("http://127.0.0.1:9/v1", "my key", 1.0, 1, "tts")
    with pytest.raises(UserError, match=r"^tts\.base_url: "):
        Client("http:///v1", KEY, 1.0, 1, "tts")


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_that_is_too_large_is_not_read_on(
    status: int, announced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_MAX", 100_000)
    body = replies.oversized(100_000).body
    chunked = f"HTTP/1.1 {status} OK\r\nTransfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body
    with serve(always(Reply(body, status) if announced else Reply(raw=chunked))) as api:
        sent = ask(api)
    assert (sent.outcome, sent.retry) == ("garbled", True)
    assert sent.detail == f"{status}: an answer of more than 100,000 bytes"


def test_an_answer_just_small_enough_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = replies.oversized(100_000)
    monkeypatch.setattr(client, "ANSWER_MAX", len(reply.body))
    with serve(always(reply)) as api:
        assert ask(api).text == "x" * 100_000


def test_where_nobody_listens_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    sent = ask(Api(port))
    assert (sent.outcome, sent.retry, sent.status) == ("no_connection", True, None)
    assert f"127.0.0.1:{port}" in (sent.detail or "")


def at(base_url: str) -> Sent:
    async def main() -> Sent:
        client = Client(base_url, KEY, 10.0, 1)
        try:
            return await client.send(REQUEST)
        finally:
            await client.close()

    return asyncio.run(main())


def test_tls_with_a_server_that_has_none_is_no_connection() -> None:
    with serve(always(answer("A dog."))) as api:
        assert at(api.base_url.replace("http:", "https:")).outcome == "no_connection"


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "a b.example"])
def test_a_name_that_nobody_can_look_up_is_no_connection(host: str) -> None:
    assert at(f"http://{host}/v1").outcome == "no_connection"


def test_a_redirect_is_not_followed_and_so_the_key_goes_nowhere_else() -> None:
    with serve(always(answer("stolen"))) as thief, serve(always(replies.redirect(thief.base_url))) as api:
        sent = ask(api)
    assert (sent.outcome, sent.fatal, sent.status) == ("refused_for_all", True, 307)
    assert thief.base_url in (sent.detail or "")
    assert not thief.requests


def test_what_the_server_asks_for_is_told() -> None:
    reply = replies.rate_limited(Retry_After="3", x_ratelimit_remaining_requests="0")
    with serve(always(reply)) as api:
        sent = ask(api)
    assert sent.after == 3
    assert sent.headers["x-ratelimit-remaining-requests"] == "0"
    assert sent.request_id == "req_2"


def test_as_many_requests_as_allowed_run_at_once_over_connections_that_are_kept() -> None:
    at_once = 128

    async def main(client: Client) -> list[Sent]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(client.send(asked(number))) for number in range(at_once)]
        return [task.result() for task in tasks]

    async def thrice(client: Client) -> list[Sent]:
        return [sent for _ in range(3) for sent in await main(client)]

    def script(seen: Seen) -> Reply:
        """Nobody is answered before all are there."""
        return answer(str(seen.body["seed"])).after(0.0 if api.most >= at_once else 1.5)

    with serve(script) as api:
        found = talk(api, thrice)
    assert [sent.text for sent in found] == [str(number) for number in range(at_once)] * 3
    assert api.most == at_once
    assert api.most_connections == max(seen.connection for seen in api.requests) == at_once


def test_a_connection_that_was_closed_meanwhile_is_not_used_again() -> None:
    async def main(client: Client) -> list[str]:
        first = await client.send(REQUEST)
        await soon(lambda: api.connections == 0)
        await asyncio.sleep(0.1)  # in which the client hears of it
        return [first.outcome, (await client.send(REQUEST)).outcome]

    with serve(always(replace(answer("A dog."), closes=True))) as api:
        assert talk(api, main) == ["answer", "answer"]


@pytest.mark.parametrize("reply", [replies.hang(), replies.dripping(answer("A dog."), 0.01)], ids=["head", "body"])
def test_a_request_that_is_given_up_leaves_no_connection(reply: Reply) -> None:
    async def main(client: Client) -> None:
        task = asyncio.create_task(client.send(REQUEST))
        await soon(lambda: len(api.requests) == 1)
        await asyncio.sleep(0.05)
        assert api.connections == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await soon(lambda: api.connections == 0)

    with serve(always(reply)) as api:
        talk(api, main)
    assert not api.requests[0].answered


def test_a_closed_client_leaves_no_connection() -> None:
    async def main() -> None:
        client = Client(api.base_url, KEY, 10.0, 4)
        await client.send(REQUEST)
        assert api.connections == 1
        await client.close()
        await soon(lambda: api.connections == 0)

    with serve(always(answer("A dog."))) as api:
        asyncio.run(main())


def test_the_server_counts_how_often_a_request_has_come() -> None:
    async def main(client: Client) -> list[str]:
        return [(await client.send(request)).outcome for request in (asked(1), asked(2), asked(1), asked(1))]

    with serve(lambda seen: answer("A dog.") if seen.times > 1 else replies.broken(500)) as api:
        assert talk(api, main) == ["server_error", "server_error", "answer", "answer"]
    assert [seen.times for seen in api.requests] == [1, 1, 2, 3]
    assert [seen.number for seen in api.requests] == [1, 2, 3, 4]


def test_a_fault_in_a_script_is_told_to_the_test() -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"), serve(lambda seen: answer(str(1 // 0))) as api:
        assert ask(api).outcome == "no_connection"
