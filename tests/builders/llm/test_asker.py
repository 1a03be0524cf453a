"""Asking many things at once: each answer once, sealed before it is used, within places and money."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.llm import asker as module
from builders.llm.asker import Asker
from builders.llm.ledger import Ledger
from builders.llm.outcomes import Sent
from builders.llm.request import ANSWER, Entry, Request
from builders.shards.store import Store
from schemas.errors import BuildError
from tests.builders.llm.scripted import PRICE, Counted, Scripted, asking, good, in_ledger, named, run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF", 0.001)


def test_each_request_gets_its_answer_in_order(tmp_path: Path) -> None:
    send = Scripted(lambda name, _: good(f"to {name}"))

    entries = run(tmp_path, send, lambda asker: asker.ask([asking(n) for n in "abcab"]))

    assert [entry.text for entry in entries] == ["to a", "to b", "to c", "to a", "to b"]
    assert send.asked == {"a": 1, "b": 1, "c": 1}


def test_an_answer_is_in_the_ledger_before_anybody_has_it(tmp_path: Path) -> None:
    async def use(asker: Asker) -> str:
        [entry] = await asker.ask([asking("a")])
        assert in_ledger(tmp_path, "a")["a"] == entry
        return entry.build

    assert run(tmp_path, Scripted(lambda *_: good()), use) == "build"


def test_what_the_ledger_holds_is_not_asked_again(tmp_path: Path) -> None:
    first, told = Scripted(lambda *_: good("first")), Counted()
    run(tmp_path, first, lambda asker: asker.ask([asking("a")]), prices=PRICE)
    again = Scripted(lambda *_: good("again"))

    entries = run(tmp_path, again, lambda asker: asker.ask([asking("a"), asking("b")]), told, prices=PRICE)

    assert [entry.text for entry in entries] == ["first", "again"]
    assert again.asked == {"b": 1}
    once = dict.fromkeys(("from_ledger", "asked", "answers"), 1)
    tokens = {"tokens_in": 2, "tokens_out": 2}
    assert told.amounts == {**once, **tokens, "saved_usd": 4.0, "usd": 4.0, "unpriced": 0}


def test_two_units_that_ask_the_same_at_once_ask_once(tmp_path: Path) -> None:
    send = Scripted(lambda *_: good(), seconds=0.01)

    async def use(asker: Asker) -> list[list[Entry]]:
        return list(await asyncio.gather(*(asker.ask([asking("a"), asking(str(n))]) for n in range(5))))

    units = run(tmp_path, send, use)

    assert send.asked["a"] == 1
    assert len({unit[0].id for unit in units}) == 1


@settings(max_examples=15)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=40), st.integers(1, 6))
def test_never_more_than_concurrency_are_in_flight(
    tmp_path_factory: pytest.TempPathFactory, names: list[int], places: int
) -> None:
    send = Scripted(lambda *_: good(), seconds=0.001)
    folder = tmp_path_factory.mktemp("ledger")

    run(folder, send, lambda asker: asker.ask([asking(str(n)) for n in names]), concurrency=places)

    assert send.most <= places
    assert set(send.asked.values()) == {1}


def test_an_answer_holds_its_place_until_it_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unsealed = most = 0
    seal = Ledger.seal

    def counted(ledger: Ledger, entries: list[Entry]) -> None:
        nonlocal unsealed
        seal(ledger, entries)
        unsealed -= len(entries)

    def answered(*_: object) -> Sent:
        nonlocal unsealed, most
        unsealed += 1
        most = max(most, unsealed + send.running)
        return good()

    monkeypatch.setattr(Ledger, "seal", counted)
    send = Scripted(answered)

    run(tmp_path, send, lambda asker: asker.ask([asking(str(n)) for n in range(50)]), concurrency=4)

    assert most <= 4


@pytest.mark.parametrize("outcome", ["server_error", "timeout", "garbled", "no_connection"])
def test_what_may_succeed_later_is_asked_again_and_every_attempt_is_noted(tmp_path: Path, outcome: str) -> None:
    send = Scripted(lambda name, n: good() if n > 2 or name == "b" else Sent(outcome, retry=True))

    async def use(asker: Asker) -> tuple[Entry, int]:
        await asker.ask([asking("b")])
        [entry] = await asker.ask([asking("a")])
        return entry

    entry = run(tmp_path, send, use)
    assert entry.answered
    assert Ledger(Store(tmp_path)).totals("build").requests == sum(send.asked.values()) == 4


def test_after_its_retries_a_request_has_failed_with_the_last_outcome(tmp_path: Path) -> None:
    def script(name: str, _: int) -> Sent:
        return good() if name == "b" else Sent("server_error", 500, detail="500: oops", retry=True)

    entries = run(tmp_path, send := Scripted(script), lambda a: a.ask([asking("a"), asking("b")]), retries=2)

    assert (entries[0].outcome, entries[0].detail, entries[1].answered) == ("server_error", "500: oops", True)
    assert send.asked == {"a": 3, "b": 1}


def test_what_cannot_succeed_is_asked_once(tmp_path: Path) -> None:
    send = Scripted(lambda *_: Sent("bad_request", 400, detail="400: no"))
    [entry] = run(tmp_path, send, lambda asker: asker.ask([asking("a")]))
    assert (entry.outcome, send.asked["a"]) == ("bad_request", 1)
    assert in_ledger(tmp_path, "a") == {}


def test_a_busy_server_costs_no_retries_but_patience_ends(tmp_path: Path) -> None:
    def script(name: str, number: int) -> Sent:
        return good() if name == "a" and number > 4 else Sent("rate_limited", 429, retry=True, after=0.0)

    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(module.random, "uniform", lambda *_: 0.001)
        entries = run(tmp_path, Scripted(script), lambda a: a.ask([asking("a"), asking("b")]), retries=0)
    assert [entry.outcome for entry in entries] == [ANSWER, "rate_limited"]


def test_a_fatal_answer_stops_everything_with_the_servers_sentence(tmp_path: Path) -> None:
    def script(name: str, _: int) -> Sent:
        return Sent("refused_for_all", 401, detail="401: no such key", fatal=True) if name == "3" else good()

    send = Scripted(script, seconds=0.001)
    with pytest.raises(BuildError, match="^llm: 401: no such key$"):
        run(tmp_path, send, lambda asker: asker.ask([asking(str(n)) for n in range(200)]), concurrency=2)

    assert len(send.asked) < 20
    done = [name for name in send.asked if name != "3"]
    assert in_ledger(tmp_path, *done).keys() == set(done)  # what was paid for by then is kept


def test_whoever_waits_for_a_busy_server_hears_at_once_that_the_build_stops(tmp_path: Path) -> None:
    def script(name: str, _: int) -> Sent:
        if name == "a":
            return Sent("rate_limited", 429, retry=True, after=250.0)
        return Sent("refused_for_all", 401, detail="401: no", fatal=True)

    send = Scripted(script, seconds=0.001)
    with pytest.raises(BuildError, match="^llm: 401: no$"):  # the test's own limit of time is the proof
        run(tmp_path, send, lambda asker: asker.ask([asking(n) for n in "abcdef"]), concurrency=2)


def test_a_call_that_is_given_up_takes_nothing_from_the_others(tmp_path: Path) -> None:
    send = Scripted(lambda *_: good(), seconds=0.02)

    async def use(asker: Asker) -> str | None:
        given_up = asyncio.create_task(asker.ask([asking("a"), asking("b")]))
        other = asyncio.create_task(asker.ask([asking("a")]))
        await asyncio.sleep(0.01)
        given_up.cancel()
        [entry] = await other
        return entry.text

    assert run(tmp_path, send, use) == "yes"
    assert in_ledger(tmp_path, "a", "b").keys() == {"a", "b"}


def test_where_every_one_of_the_first_requests_is_refused_all_would_be(tmp_path: Path) -> None:
    send = Scripted(lambda *_: Sent("bad_request", 400, detail="400: no such model"))
    with pytest.raises(BuildError, match="^llm: 400: no such model$"):
        run(tmp_path, send, lambda asker: asker.ask([asking(str(n)) for n in range(200)]), concurrency=2)
    assert module.REFUSED <= len(send.asked) <= module.REFUSED + 2


def test_one_that_is_refused_among_good_ones_stops_nothing(tmp_path: Path) -> None:
    def script(name: str, _: int) -> Sent:
        if int(name) % 2:
            return Sent("bad_request", 400, detail="400: no")
        return good() if int(name) < 20 else Sent("refused_for_all", 403, detail="403: moderated", fatal=True)

    entries = run(
        tmp_path, Scripted(script), lambda a: a.ask([asking(str(n)) for n in range(24)]), retries=0, concurrency=1
    )
    assert sum(entry.answered for entry in entries) == 10


@pytest.mark.parametrize("refusal", [Sent("bad_request", 400), Sent("refused_for_all", 403, fatal=True)])
def test_refusals_that_are_left_over_stop_no_later_run(tmp_path: Path, refusal: Sent) -> None:
    run(tmp_path, Scripted(lambda *_: good()), lambda asker: asker.ask([asking("a")]))

    entries = run(tmp_path, Scripted(lambda *_: refusal), lambda asker: asker.ask([asking(str(n)) for n in range(9)]))

    assert {entry.outcome for entry in entries} == {refusal.outcome}


def test_what_another_build_writes_meanwhile_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.0)
    send = Scripted(lambda *_: good())

    async def use(asker: Asker) -> str | None:
        await asker.ask([asking("a")])
        other = [await asker.ask([asking("a")])]
        entry = replace(other[0][0], id="other", hash=asking("b").hash, text="theirs", run="another")
        await asyncio.to_thread(Ledger(Store(tmp_path)).seal, [entry])
        [found] = await asker.ask([asking("b")])
        return found.text

    assert run(tmp_path, send, use) == "theirs"
    assert send.asked == {"a": 1}


def test_a_ledger_that_cannot_be_written_is_told_before_anything_is_paid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise BuildError("could not write the ledger: No space left on device")

    run(tmp_path, Scripted(lambda *_: good("known")), lambda asker: asker.ask([asking("a")]))
    monkeypatch.setattr(Store, "put_bytes", full)
    send = Scripted(lambda *_: good())
    with pytest.raises(BuildError, match="No space left"):
        run(tmp_path, send, lambda asker: asker.ask([asking("b")]))
    assert not send.asked
    [entry] = run(tmp_path, send, lambda asker: asker.ask([asking("a")]))
    assert entry.text == "known", "what is answered needs no room"


def test_what_broke_off_may_have_been_billed_and_counts_in_later_runs(tmp_path: Path) -> None:
    send = Scripted(lambda *_: Sent("timeout", retry=True))
    run(tmp_path, send, lambda asker: asker.ask([asking("a")]), prices=PRICE, retries=1)

    spent = Ledger(Store(tmp_path)).totals("build").usd
    assert spent == 2 * (len(json.dumps(asking("a").body)) + 5)


def test_answers_longer_than_asked_for_are_learned_from_before_many_are_in_flight(tmp_path: Path) -> None:
    send = Scripted(lambda *_: Sent(ANSWER, 200, "x", "stop", tokens_in=1, tokens_out=500), seconds=0.001)
    names = [str(n) for n in range(50)]
    with pytest.raises(BuildError, match=r"llm\.max_usd"):
        run(tmp_path, send, lambda a: a.ask([asking(n) for n in names]), prices=PRICE, max_usd=2000, concurrency=20)
    assert Ledger(Store(tmp_path)).totals("build").usd <= 2000


def test_a_fatal_answer_is_told_while_others_are_still_in_flight(tmp_path: Path) -> None:
    async def send(request: Request) -> Sent:
        if named(request) == "b":
            return Sent("refused_for_all", 401, detail="401: no", fatal=True)
        await asyncio.sleep(0.3)
        return good()

    async def use(asker: Asker) -> None:
        with pytest.raises(BuildError, match="401"):
            await asker.ask([asking("a"), asking("b")])
        assert in_ledger(tmp_path, "a") == {}, "told at once"

    run(tmp_path, send, use)  # type: ignore[arg-type]
    assert in_ledger(tmp_path, "a").keys() == {"a"}, "and kept all the same"


def test_a_server_that_only_fails_is_not_told_as_absent(tmp_path: Path) -> None:
    def script(name: str, number: int) -> Sent:
        return Sent("server_error", 500, retry=True) if number == 1 else Sent("no_connection", retry=True)

    [entry] = run(tmp_path, Scripted(script), lambda asker: asker.ask([asking("a")]), retries=1)
    assert entry.outcome == "no_connection"


def test_where_no_server_answers_at_all_the_build_stops(tmp_path: Path) -> None:
    send = Scripted(lambda *_: Sent("no_connection", detail="connection refused", retry=True))
    with pytest.raises(BuildError, match=r"llm\.base_url: no server answers there: connection refused"):
        run(tmp_path, send, lambda asker: asker.ask([asking("a")]), retries=1)


def test_money_is_never_passed_and_what_is_left_of_it_is_used(tmp_path: Path) -> None:
    send = Scripted(lambda *_: good(), seconds=0.001)  # 4 dollars each, 100 or so at most
    names = [str(n) for n in range(100)]
    with pytest.raises(BuildError, match=r"llm\.max_usd: (\d+\.\d+) of 300\.0 US dollars are spent"):
        run(tmp_path, send, lambda a: a.ask([asking(n) for n in names]), prices=PRICE, max_usd=300, concurrency=50)

    spent = Ledger(Store(tmp_path)).totals("build").usd
    assert 190 < spent <= 300
    assert spent == 4 * sum(send.asked.values())


def test_what_earlier_runs_of_the_build_spent_counts(tmp_path: Path) -> None:
    run(tmp_path, Scripted(lambda *_: good()), lambda a: a.ask([asking("a")]), prices=PRICE)
    send = Scripted(lambda *_: good())
    with pytest.raises(BuildError, match=r"4\.0000 of 10\.0"):
        run(tmp_path, send, lambda a: a.ask([asking("b")]), prices=PRICE, max_usd=10)
    assert not send.asked


def test_a_budget_needs_an_endpoint_that_tells_usage(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"llm\.max_usd: the endpoint tells no usage"):
        run(tmp_path, Scripted(lambda *_: good("x", None)), lambda a: a.ask([asking("a")]), prices=PRICE, max_usd=99)
    assert "a" in in_ledger(tmp_path, "a")


def test_an_answer_of_unknown_price_is_counted_as_such(tmp_path: Path) -> None:
    run(tmp_path, Scripted(lambda *_: good()), lambda asker: asker.ask([asking("a")]))
    totals = Ledger(Store(tmp_path)).totals("build")
    assert (totals.answers, totals.usd, totals.unpriced) == (1, 0, 1)


def test_a_full_disk_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise BuildError("could not write the ledger: No space left on device")

    monkeypatch.setattr(Ledger, "seal", full)
    with pytest.raises(BuildError, match="No space left"):
        run(tmp_path, Scripted(lambda *_: good()), lambda asker: asker.ask([asking(str(n)) for n in range(9)]))


def test_few_files_are_left_behind(tmp_path: Path) -> None:
    send = Scripted(lambda *_: good(), seconds=0.002)
    run(tmp_path, send, lambda asker: asker.ask([asking(str(n)) for n in range(300)]), concurrency=2)
    assert len(list(tmp_path.glob("*.parquet"))) == 1
    assert len(in_ledger(tmp_path, *map(str, range(300)))) == 300


_CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.builders.llm.scripted import asking, good, run

async def log(request):
    with open({log!r}, "a") as file:
        file.write(request.body["messages"][0]["content"] + "\\n")
    await asyncio.sleep(0.005)
    return good()

run(Path({folder!r}), log, lambda asker: asker.ask([asking(str(n)) for n in range(400)]), concurrency=8)
"""


@pytest.mark.faults
@pytest.mark.parametrize("lines", [20, 90, 210])
def test_a_kill_loses_no_more_answers_than_were_in_flight(tmp_path: Path, lines: int) -> None:
    log, folder = tmp_path / "log", tmp_path / "ledger"
    root = str(Path(__file__).resolve().parents[3])
    code = _CHILD.format(root=root, log=str(log), folder=str(folder))

    async def killed() -> None:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        while not log.exists() or log.read_text().count("\n") < lines:
            await asyncio.sleep(0.002)
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        again = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        assert await again.wait() == 0

    asyncio.run(killed())

    asked = Counter(log.read_text().split())
    assert len(asked) == 400
    assert sum(times - 1 for times in asked.values()) <= 8
