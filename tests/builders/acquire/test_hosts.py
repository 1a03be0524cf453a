"""The account of requests at hosts: never too many, fairly shared, and free again after whoever has died."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from builders.acquire import hosts as module
from builders.acquire.hosts import FORGET, LONGEST_PAUSE, Claim, Grant, HostLimits

HOSTS = ("a", "b")
HOST = st.sampled_from(HOSTS)
WORKER = st.integers(0, 2)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def account() -> tuple[HostLimits, Clock]:
    clock = Clock()
    return HostLimits(clock), clock


def ask(limits: HostLimits, worker: str, running: int, wanted: int, per_host: int = 4, pause: float = 0) -> Grant:
    """What `worker` is granted at host a."""
    return limits.renew(worker, per_host, {"a": Claim(running, wanted)}, {"a": pause} if pause else {})["a"]


# ---- never too many --------------------------------------------------------------------------------------------------


@dataclass
class Worker:
    """One that obeys: while its claim is on its way it runs no more than the claim tells."""

    running: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    allowed: Counter[str] = field(default_factory=Counter)
    reply: dict[str, Grant] | None = None

    def start(self) -> None:
        for host in HOSTS:
            more = max(0, min(self.waiting[host], self.allowed[host] - self.running[host]))
            self.running[host] += more
            self.waiting[host] -= more

    def claims(self) -> dict[str, Claim]:
        told = {host: Claim(self.running[host], self.running[host] + self.waiting[host]) for host in HOSTS}
        return {host: claim for host, claim in told.items() if claim.wanted}


class Cluster(RuleBasedStateMachine):
    @initialize(per_host=st.integers(1, 5))
    def begin(self, per_host: int) -> None:
        self.per_host = per_host
        self.limits, self.clock = account()
        self.workers = [Worker() for _ in range(3)]
        self.until = dict.fromkeys(HOSTS, 0.0)

    @rule(worker=WORKER, host=HOST, count=st.integers(1, 6))
    def want(self, worker: int, host: str, count: int) -> None:
        self.workers[worker].waiting[host] += count
        self.workers[worker].start()

    @rule(worker=WORKER, host=HOST)
    def end(self, worker: int, host: str) -> None:
        one = self.workers[worker]
        one.running[host] = max(0, one.running[host] - 1)
        one.start()

    @rule(worker=WORKER, pause=st.sampled_from([0, 0, 0, 2]))
    def ask(self, worker: int, pause: int) -> None:
        one = self.workers[worker]
        one.allowed = Counter({host: min(one.allowed[host], one.running[host]) for host in HOSTS})
        pauses = {host: float(pause) for host in HOSTS if pause and one.running[host]}
        one.reply = self.limits.renew(str(worker), self.per_host, one.claims(), pauses)
        for host, seconds in pauses.items():
            self.until[host] = max(self.until[host], self.clock.now + seconds)
        assert all(bool(grant.pause) == (self.until[host] > self.clock.now) for host, grant in one.reply.items())

    @precondition(lambda self: any(one.reply is not None for one in self.workers))
    @rule(worker=WORKER)
    def hear(self, worker: int) -> None:
        one = self.workers[worker]
        for host, grant in (one.reply or {}).items():
            one.allowed[host] = 0 if grant.pause else grant.allowed
        one.reply = None
        one.start()

    @rule(seconds=st.floats(0, FORGET / 3))
    def go_on(self, seconds: float) -> None:
        self.clock.now += seconds
        for number in range(len(self.workers)):
            self.ask(number, 0)

    @invariant()
    def no_host_is_asked_too_often_at_once(self) -> None:
        if hasattr(self, "workers"):
            for host in HOSTS:
                assert sum(one.running[host] for one in self.workers) <= self.per_host

    def teardown(self) -> None:
        """Nobody starves: each round, all that run end, and the rest asks again."""
        if not hasattr(self, "workers"):
            return
        rounds = 10 + sum(sum((one.running + one.waiting).values()) for one in self.workers)
        for _ in range(rounds):
            self.clock.now += 1
            for number, one in enumerate(self.workers):
                one.running.clear()
                self.ask(number, 0)
                self.hear(number)
            self.no_host_is_asked_too_often_at_once()
        assert not any(sum((one.running + one.waiting).values()) for one in self.workers)


TestCluster = Cluster.TestCase
TestCluster.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


# ---- shares ----------------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=2), st.integers(0, 30), max_size=8), st.integers(1, 40))
def test_what_there_is_is_shared_out_evenly_and_nothing_is_left_while_somebody_wants_it(
    wanted: dict[str, int], total: int
) -> None:
    given_ = module._fair(wanted, total)
    assert given_.keys() == wanted.keys()
    assert sum(given_.values()) == min(total, sum(wanted.values()))
    short = [given_[name] for name in wanted if given_[name] < wanted[name]]
    assert all(given_[name] <= wanted[name] for name in wanted)
    assert not short or max(given_.values()) <= min(short) + 1


def test_a_worker_alone_gets_what_it_wants_up_to_the_limit() -> None:
    limits, _ = account()
    assert ask(limits, "x", 0, 2).allowed == 2
    assert ask(limits, "x", 2, 9).allowed == 4


def test_a_second_worker_gets_its_share_when_the_first_one_has_let_go_of_it() -> None:
    limits, _ = account()
    assert ask(limits, "x", 0, 9).allowed == 4
    assert ask(limits, "y", 0, 9).allowed == 0
    assert ask(limits, "x", 4, 9).allowed == 2  # four still run
    assert ask(limits, "y", 0, 9).allowed == 0
    assert ask(limits, "x", 2, 9).allowed == 2
    assert ask(limits, "y", 0, 9).allowed == 2


def test_a_claim_that_is_given_up_is_free_for_another_and_so_is_a_host_that_is_not_named() -> None:
    limits, _ = account()
    ask(limits, "x", 0, 9)
    limits.renew("x", 4, {}, {})
    assert ask(limits, "y", 0, 9).allowed == 4
    limits.renew("y", 4, {"b": Claim(0, 1)}, {})
    assert ask(limits, "x", 0, 9).allowed == 4


def test_hosts_have_nothing_to_do_with_each_other() -> None:
    limits, _ = account()
    grants = limits.renew("x", 4, {"a": Claim(0, 9), "b": Claim(0, 9)}, {"a": 5.0})
    assert grants == {"a": Grant(4, 5.0), "b": Grant(4)}


# ---- the dead --------------------------------------------------------------------------------------------------------


def test_a_worker_that_is_not_heard_of_loses_its_claims() -> None:
    limits, clock = account()
    ask(limits, "x", 0, 9)
    clock.now += FORGET
    assert ask(limits, "y", 0, 9).allowed == 0
    clock.now += 0.01
    assert ask(limits, "y", 0, 9).allowed == 4
    assert ask(limits, "x", 4, 9).allowed == 0  # it was not dead, and comes back


def test_a_worker_that_only_tells_that_it_is_alive_keeps_its_claims() -> None:
    limits, clock = account()
    for _ in range(5):
        ask(limits, "x", 4, 4)
        clock.now += FORGET - 1
        assert ask(limits, "y", 0, 1).allowed == 0


# ---- pauses ----------------------------------------------------------------------------------------------------------


def test_a_pause_holds_for_everybody_and_ends() -> None:
    limits, clock = account()
    ask(limits, "x", 1, 1, pause=7.0)
    assert ask(limits, "y", 0, 1).pause == 7.0
    clock.now += 6.0
    assert ask(limits, "y", 0, 1).pause == 1.0
    clock.now += 1.0
    assert ask(limits, "y", 0, 1).pause == 0.0


def test_a_shorter_wish_does_not_end_a_pause_and_a_very_long_one_is_cut() -> None:
    limits, clock = account()
    ask(limits, "x", 1, 1, pause=7.0)
    assert ask(limits, "x", 1, 1, pause=2.0).pause == 7.0
    assert ask(limits, "x", 1, 1, pause=1e9).pause == LONGEST_PAUSE
    clock.now += FORGET + 1  # the worker that told of it is forgotten, the host's wish is not
    assert ask(limits, "y", 0, 1).pause == LONGEST_PAUSE - FORGET - 1


def test_a_pause_is_told_without_a_claim() -> None:
    limits, _ = account()
    assert limits.renew("x", 4, {}, {"a": 3.0}) == {}
    assert ask(limits, "y", 0, 1).pause == 3.0


def test_the_account_does_not_grow() -> None:
    limits, clock = account()
    for number in range(200):
        limits.renew(f"w{number}", 4, {f"h{number}": Claim(0, 1)}, {f"h{number}": 0.5})
        clock.now += FORGET / 10
    limits.renew("last", 4, {}, {})
    assert (len(limits._seen), len(limits._shares), len(limits._until)) == (11, 10, 0)
