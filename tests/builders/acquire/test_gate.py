"""The gate before hosts: who may start, who waits, and who is turned away."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from builders.acquire import gate as module
from builders.acquire.gate import PATIENCE, UNPROVEN, HostGate, TurnedAway
from builders.acquire.hosts import Claim, Grant, HostLimits, Hosts

SOON = 5.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.005)
    monkeypatch.setattr(module, "HEARTBEAT", 0.02)


class Shared:
    """The account as a cluster has it: one call after the other; each that claims something takes a while."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.limits, self.seconds = HostLimits(), seconds
        self._lock = threading.Lock()

    def renew(
        self, worker: str, per_host: int, claims: Mapping[str, Claim], pauses: Mapping[str, float]
    ) -> Mapping[str, Grant]:
        time.sleep(self.seconds if claims else 0)
        with self._lock:
            grants = self.limits.renew(worker, per_host, claims, pauses)
        time.sleep(self.seconds if claims else 0)
        return grants


@asynccontextmanager
async def gate(hosts: Hosts, per_host: int, worker: str = "x") -> AsyncIterator[HostGate]:
    made = HostGate(hosts, worker, per_host)
    keep = asyncio.create_task(made.keep())
    try:
        yield made
    finally:
        keep.cancel()
        await asyncio.gather(keep, return_exceptions=True)
        made.give_up()


async def held(gate: HostGate, end: asyncio.Event, host: str = "a") -> None:
    async with gate.at(host):
        await end.wait()


async def passed(gate: HostGate, host: str = "a") -> bool:
    async with gate.at(host):
        return True


async def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.002)


# ---- never too many --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("per_host", [1, 3])
@pytest.mark.parametrize("seconds", [0.0, 0.003])
def test_two_gates_together_never_pass_the_limit_and_everybody_gets_in(per_host: int, seconds: float) -> None:
    chance = random.Random(per_host)
    now: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def one(gate: HostGate, host: str, after: float, stay: float) -> None:
        await asyncio.sleep(after)
        async with gate.at(host):
            now[host] += 1
            most[host] = max(most[host], now[host])
            await asyncio.sleep(stay)
            now[host] -= 1

    async def main() -> None:
        shared = Shared(seconds)
        async with gate(shared, per_host, "x") as x, gate(shared, per_host, "y") as y, asyncio.timeout(20):
            plans = [
                (chance.choice([x, y]), chance.choice("ab"), chance.uniform(0, 0.4), chance.uniform(0, 0.01))
                for _ in range(120)
            ]
            await asyncio.gather(*(one(*plan) for plan in plans))

    asyncio.run(main())
    assert most == {"a": per_host, "b": per_host}


def test_a_gate_that_had_let_go_of_a_host_asks_again_before_it_goes_there() -> None:
    async def main() -> None:
        shared, end = Shared(), asyncio.Event()
        async with gate(shared, 2, "x") as x, gate(shared, 2, "y") as y, asyncio.timeout(SOON):
            assert await passed(x)
            others = [asyncio.create_task(held(y, end)) for _ in range(2)]
            await until(lambda: "a" in y._known and y._known["a"].running == 2)
            mine = asyncio.create_task(passed(x))
            await asyncio.sleep(0.05)
            assert not mine.done()
            end.set()
            assert await mine
            await asyncio.gather(*others)

    asyncio.run(main())


def test_while_a_claim_is_on_its_way_nothing_starts_that_it_does_not_tell_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNPROVEN", 4)
    told: list[int] = []
    on_its_way, go = threading.Event(), threading.Event()

    class Slow:
        def renew(
            self, worker: str, per_host: int, claims: Mapping[str, Claim], pauses: Mapping[str, float]
        ) -> Mapping[str, Grant]:
            told.extend(claim.running for claim in claims.values())
            if told and told[-1]:
                on_its_way.set()
                go.wait(SOON)
            return {host: Grant(per_host) for host in claims}

    async def main() -> None:
        end = asyncio.Event()
        async with gate(Slow(), 4) as x, asyncio.timeout(SOON):
            first = asyncio.create_task(held(x, end))
            await until(on_its_way.is_set)
            more = [asyncio.create_task(held(x, end)) for _ in range(3)]
            await asyncio.sleep(0.02)
            assert x._known["a"].running == told[-1] == 1
            go.set()
            await until(lambda: x._known["a"].running == 4)
            end.set()
            await asyncio.gather(first, *more)

    asyncio.run(main())


def test_those_who_wait_come_in_the_order_in_which_they_came() -> None:
    came: list[int] = []

    async def one(gate: HostGate, number: int) -> None:
        async with gate.at("a"):
            came.append(number)

    async def main() -> None:
        async with gate(Shared(), 1) as x, asyncio.timeout(SOON):
            await asyncio.gather(*(one(x, number) for number in range(20)))

    asyncio.run(main())
    assert came == list(range(20))


def test_a_request_that_comes_late_does_not_wait_for_the_next_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 60)

    async def main() -> None:
        async with gate(Shared(), 1) as x, asyncio.timeout(SOON):
            for host in "abc":
                await asyncio.sleep(0.01)
                assert await passed(x, host)

    asyncio.run(main())


# ---- nothing stays behind --------------------------------------------------------------------------------------------


def test_one_that_no_longer_waits_and_one_that_is_cut_short_leave_their_places() -> None:
    async def main() -> None:
        shared = Shared()
        async with gate(shared, 2, "x") as x, gate(shared, 2, "y") as y, asyncio.timeout(SOON):
            tasks = [asyncio.create_task(held(x, asyncio.Event())) for _ in range(10)]
            await until(lambda: "a" in x._known and x._known["a"].running == 2)
            for task in reversed(tasks):
                task.cancel()
            assert all(
                isinstance(e, asyncio.CancelledError) for e in await asyncio.gather(*tasks, return_exceptions=True)
            )
            async with AsyncExitStack() as stack:
                for _ in range(2):
                    await stack.enter_async_context(y.at("a"))
            assert await passed(x)
            assert x._known["a"].idle

    asyncio.run(main())


def test_one_that_is_let_in_and_cut_short_at_once_leaves_its_place() -> None:
    async def main() -> None:
        async with gate(Shared(), 1) as x, asyncio.timeout(SOON):
            end = asyncio.Event()
            first, second = asyncio.create_task(held(x, end)), asyncio.create_task(passed(x))
            await until(lambda: "a" in x._known and x._known["a"].running)
            x._leave(x._known["a"])  # lets the second in, which does not know of it yet
            x._known["a"].running += 1  # the first one leaves a second time below
            second.cancel()
            end.set()
            await asyncio.gather(first, second, return_exceptions=True)
            assert x._known["a"].running == 0

    asyncio.run(main())


def test_a_gate_that_has_ended_claims_nothing_though_a_claim_was_on_its_way() -> None:
    on_its_way = threading.Event()

    class Late(Shared):
        def renew(
            self, worker: str, per_host: int, claims: Mapping[str, Claim], pauses: Mapping[str, float]
        ) -> Mapping[str, Grant]:
            if claims:
                on_its_way.set()
                time.sleep(0.05)
            return super().renew(worker, per_host, claims, pauses)

    async def main() -> Mapping[str, Grant]:
        shared = Late()
        async with gate(shared, 4) as x, asyncio.timeout(SOON):
            task = asyncio.create_task(held(x, asyncio.Event()))
            await until(on_its_way.is_set)
            task.cancel()
        await asyncio.sleep(0.1)
        return shared.renew("y", 4, {"a": Claim(0, 4)}, {})

    assert asyncio.run(main()) == {"a": Grant(4)}


def test_an_error_of_the_account_ends_the_gates_keeper() -> None:
    class Broken:
        def renew(self, *_: object) -> Mapping[str, Grant]:
            raise ValueError("no account")

    async def main() -> None:
        with pytest.raises(ValueError, match="no account"):
            await HostGate(Broken(), "x", 1).keep()

    asyncio.run(main())


# ---- hosts that ask to wait ------------------------------------------------------------------------------------------


async def refused(gate: HostGate, seconds: float = 0.01) -> None:
    with pytest.raises(ZeroDivisionError):
        async with gate.at("a"):
            gate.pause("a", seconds)
            raise ZeroDivisionError


def test_a_paused_host_waits_and_another_does_not() -> None:
    async def main() -> None:
        async with gate(Shared(), 2) as x, asyncio.timeout(SOON):
            await refused(x, 0.2)
            began = time.monotonic()
            mine = asyncio.create_task(passed(x))
            assert await passed(x, "b")
            assert not mine.done()
            assert await mine
            assert time.monotonic() - began >= 0.15

    asyncio.run(main())


def test_a_pause_holds_for_the_other_gate_too() -> None:
    async def main() -> None:
        shared = Shared()
        async with gate(shared, 2, "x") as x, gate(shared, 2, "y") as y, asyncio.timeout(SOON):
            await refused(x, 0.3)
            await until(lambda: shared.limits._until)
            began = time.monotonic()
            assert await passed(y)
            assert time.monotonic() - began >= 0.15

    asyncio.run(main())


def test_after_too_many_wishes_in_a_row_all_are_turned_away_at_once() -> None:
    async def main() -> None:
        async with gate(Shared(), 1) as x, asyncio.timeout(SOON):
            tasks = [asyncio.create_task(refused(x)) for _ in range(PATIENCE)]
            rest = [asyncio.create_task(passed(x)) for _ in range(5)]
            await asyncio.gather(*tasks)
            assert [type(e) for e in await asyncio.gather(*rest, return_exceptions=True)] == [TurnedAway] * 5
            assert x._known["a"].idle
            with pytest.raises(TurnedAway):
                await passed(x)
            assert await passed(x, "b")

    asyncio.run(main())


def test_a_success_in_between_makes_up_for_earlier_wishes() -> None:
    async def main() -> None:
        async with gate(Shared(), 1) as x, asyncio.timeout(SOON):
            for _ in range(2):
                for _ in range(PATIENCE - 1):
                    await refused(x)
                assert await passed(x)

    asyncio.run(main())


def test_requests_that_run_side_by_side_count_as_one_wish() -> None:
    async def main() -> None:
        async with gate(Shared(), 8) as x, asyncio.timeout(SOON):
            assert await passed(x)  # a host that has answered gets all its share at once
            together = asyncio.Barrier(8)

            async def one() -> None:
                with pytest.raises(ZeroDivisionError):
                    async with x.at("a"):
                        await together.wait()
                        x.pause("a", 0.01)
                        raise ZeroDivisionError

            await asyncio.gather(*(one() for _ in range(8)))
            assert await passed(x)

    asyncio.run(main())


def test_a_host_gets_two_requests_at_once_until_it_answers_and_again_after_a_silence() -> None:
    async def main() -> None:
        async with gate(Shared(), 8) as x, asyncio.timeout(SOON):
            most = now = 0

            async def one(answers: bool) -> None:
                nonlocal most, now
                with suppress(ZeroDivisionError):
                    async with x.at("a"):
                        now += 1
                        most = max(most, now)
                        await asyncio.sleep(0.01)
                        now -= 1
                        if not answers:
                            x.failed("a", answered=False)
                            raise ZeroDivisionError

            for answers, expected in ((False, UNPROVEN), (True, 8), (False, 8), (False, UNPROVEN)):
                most = 0
                await asyncio.gather(*(one(answers) for _ in range(24)))
                assert most == expected

    asyncio.run(main())
