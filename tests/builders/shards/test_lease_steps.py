"""The lease's rules: whatever happens in between, two builders never trust that they hold it at the same time."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.shards.lease_steps import (
    LASTS,
    LOOK,
    SILENT,
    SPARE,
    Ask,
    Delete,
    List,
    Op,
    Put,
    Taken,
    Trace,
    Wait,
    expired,
    refresh,
    take,
)


class World:
    """A store, and a time that all share. The store's own clock gives whole seconds, as S3 does."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.files: dict[str, tuple[float, bool]] = {}
        self.trace: str | None = None

    def do(self, op: Op) -> Any:
        if isinstance(op, Put):
            self.files[op.name] = float(int(self.now)), op.held
        elif isinstance(op, List):
            return {name: at for name, (at, _) in self.files.items()}
        elif isinstance(op, Ask):
            return {"held": self.files[op.name][1], "who": op.name} if op.name in self.files else {}
        elif isinstance(op, Delete):
            self.files.pop(op.name, None)
        return None


class Builder:
    """Takes the lease, then refreshes it for ever. `turn` does a part of an operation: asks, is answered, or waits."""

    def __init__(self, world: World, name: str, ended: Callable[[Any], bool] = lambda who: False) -> None:
        self.world, self.name, self.ended = world, name, ended
        self.since: float | None = None
        self.lost = False
        self._wake = 0.0
        self._steps: Generator[Op, Any, float] = take(name, self.clock, ended, random.Random(name))
        self._op: Op | None = next(self._steps)
        self._answer: Any = None
        self._answered = False
        self.gone = False

    def clock(self) -> float:
        return self.world.now

    @property
    def trusts(self) -> bool:
        """Whether it would close a dataset now."""
        return not self.lost and self.since is not None and self.world.now - self.since < LASTS - SPARE

    def leave(self) -> None:
        """Give the lease back, if it is trusted."""
        if self.trusts:
            times = self.world.do(List())
            for name in [*expired(self.name, times), self.name]:
                self.world.do(Delete(name))
            self.gone, self.since = True, None

    def turn(self) -> None:
        if self.gone or self.lost or self.world.now < self._wake:
            return
        if not self._answered:
            assert self._op is not None
            told = self.world.trace == self.name if isinstance(self._op, Trace) else self.world.do(self._op)
            self._answer, self._answered = told, True
            if isinstance(self._op, Wait):
                self._wake = self.world.now + self._op.seconds
            return
        self._answered = False
        try:
            self._op = self._steps.send(self._answer)
        except StopIteration as end:
            if self.since is None:
                self.world.trace = self.name
            self.since = end.value
            self._steps = refresh(self.name, self.since, self.clock, self.ended)
            self._op = next(self._steps)
        except Taken:
            self.lost, self.since = True, None


TURNS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from([0.0, 0.0, 0.0, 0.4, 1.0, LOOK, 20.0, LASTS - SPARE, LASTS, 2 * LASTS])
    ),
    max_size=150,
)
"""Who does its next part, and how many seconds pass before that."""


@settings(max_examples=200, deadline=None)
@given(TURNS)
def test_whatever_the_interleaving_two_never_trust_at_once(turns: list[tuple[int, float]]) -> None:
    world = World()
    builders = [Builder(world, name) for name in ("leases/a.json", "leases/b.json", "leases/c.json")]
    for who, passed in turns:
        world.now += passed
        builders[who].turn()
        assert sum(builder.trusts for builder in builders) <= 1


@pytest.mark.parametrize("seed", range(20))
def test_in_many_long_histories_too_two_never_trust_at_once_and_somebody_does(seed: int) -> None:
    dice, world = random.Random(seed), World()
    builders = [Builder(world, f"leases/{n}.json") for n in range(3)]
    held = 0
    for _ in range(4000):
        world.now += dice.choice([0.0, 0.01, 0.1, 0.1, 0.3, 1.0, 1.0 if dice.random() < 0.9 else 2 * LASTS])
        builder = dice.choice(builders)
        builder.leave() if dice.random() < 0.01 else builder.turn()
        trusting = sum(builder.trusts for builder in builders)
        assert trusting <= 1
        held += trusting
        for n, builder in enumerate(builders):
            if builder.lost or builder.gone:  # the command is run again
                builders[n] = Builder(world, f"leases/{dice.random()}.json")
    assert held > 100


@pytest.mark.parametrize("end", ["released", "killed"])
def test_who_slept_while_another_came_and_went_has_lost_though_nobody_is_there(end: str) -> None:
    world = World()
    sleeper = Builder(world, "leases/a.json")
    until(world, sleeper, 10)
    world.now += 2 * LASTS
    other = Builder(world, "leases/b.json")
    until(world, other, 10)
    if end == "released":
        other.leave()
    world.now += 2 * LASTS
    until(world, sleeper, 30)
    assert sleeper.lost and "leases/a.json" not in world.files


def test_a_holder_that_is_alone_goes_on_after_a_put_that_took_long() -> None:
    now = 0.0
    steps = refresh("leases/a.json", 0.0, lambda: now, lambda who: False)
    assert isinstance(next(steps), Put)
    now += LASTS
    assert isinstance(steps.send(None), List)
    assert isinstance(steps.send({"leases/a.json": now}), Trace)
    op: Op = steps.send(True)
    assert isinstance(op, Put), "it looks once more, as that took too long to be trusted"
    now += 1
    steps.send(None)
    steps.send({"leases/a.json": now})
    with pytest.raises(StopIteration) as end:
        steps.send(True)
    assert end.value.value == LASTS


def until(world: World, builder: Builder, seconds: float) -> float:
    """Let a builder go on, alone, until it trusts its lease or has lost; the seconds that it took."""
    start = world.now
    while not builder.trusts and not builder.lost and world.now - start < seconds:
        world.now += 0.1
        builder.turn()
    return world.now - start


def test_a_free_lease_is_taken_at_once() -> None:
    world = World()
    builder = Builder(world, "leases/a.json")
    assert until(world, builder, 10) < 1
    assert builder.trusts


def test_a_lease_that_is_refreshed_is_refused_and_tells_who_has_it() -> None:
    world = World()
    holder, late = Builder(world, "leases/a.json"), Builder(world, "leases/b.json")
    until(world, holder, 10)
    while not late.lost:
        world.now += 1
        holder.turn()
        late.turn()
    assert holder.trusts
    assert list(world.files) == ["leases/a.json"], "who is refused leaves nothing"


def test_the_lease_of_a_dead_builder_is_taken_over_after_it_has_expired_and_not_before() -> None:
    world = World()
    dead = Builder(world, "leases/a.json")
    until(world, dead, 10)
    heir = Builder(world, "leases/b.json")
    took = until(world, heir, 10 * LASTS)
    assert heir.trusts
    assert LASTS - 2 < took < LASTS + 2 * LOOK
    assert set(world.files) == {"leases/a.json", "leases/b.json"}, "it may only sleep, so its file is its own"


def test_who_is_looked_at_is_told_as_silent_only_after_a_holder_would_have_refreshed_it() -> None:
    world = World()
    until(world, Builder(world, "leases/a.json"), 10)
    late, told = take("leases/b.json", lambda: world.now, lambda who: False, random.Random(0)), []
    op = next(late)
    for _ in range(40):
        told += [op.on is not None] if isinstance(op, Wait) else []
        op = late.send(world.do(op))
        world.now += 1
    assert told[:4] == [False] * SILENT and told[4] is True


def test_the_lease_of_a_process_that_is_known_to_have_ended_is_taken_over_at_once() -> None:
    world = World()
    until(world, Builder(world, "leases/a.json"), 10)
    heir = Builder(world, "leases/b.json", ended=lambda who: who["who"] == "leases/a.json")
    assert until(world, heir, 10) < 2
    assert heir.trusts


def test_who_slept_too_long_has_lost_if_another_builds_and_goes_on_if_nobody_does() -> None:
    world = World()
    sleeper, alone = Builder(world, "leases/a.json"), None
    until(world, sleeper, 10)
    world.now += 5 * LASTS
    assert not sleeper.trusts
    until(world, sleeper, 10)
    assert sleeper.trusts, "nobody took it"
    world.now += 5 * LASTS
    alone = Builder(world, "leases/b.json")
    until(world, alone, 10)
    assert alone.trusts
    until(world, sleeper, 30)
    assert sleeper.lost and alone.trusts
