"""The lease's rules: who refreshes in time is let alone, who is dead is followed, and one signature counts."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.shards.lease import BEAT
from builders.shards.lease_steps import LASTS, LOOK, SILENT, SPARE, Ask, Delete, Free, List, Op, Put, Taken, Wait, take


class World:
    """A store, and a time that all share. The store's own clock gives whole seconds, as S3 does, and may be wrong."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wrong = 0.0
        self.files: dict[str, tuple[float, bool]] = {}
        self.signed: list[str] = []

    def put(self, name: str, held: bool) -> None:
        self.files[name] = float(int(self.now + self.wrong)), held

    def do(self, op: Op) -> Any:
        if isinstance(op, Put):
            self.put(op.name, held=False)
        elif isinstance(op, List):
            return {name: at for name, (at, _) in self.files.items()}
        elif isinstance(op, Ask):
            return {"held": self.files[op.name][1], "who": op.name} if op.name in self.files else {}
        elif isinstance(op, Delete):
            self.files.pop(op.name, None)
        return None


class Builder:
    """Takes the lease, signs, then refreshes it. `turn` does a part of an operation: asks, is answered, or waits."""

    def __init__(self, world: World, name: str, ended: Callable[[Any], bool] = lambda who: False) -> None:
        self.world, self.name = world, name
        self.holds = self.lost = self.gone = False
        self._put_at, self.longest = 0.0, 0.0
        self._wake = 0.0
        self._ended, self._dice = ended, random.Random(name)
        self._free: Free | None = None
        self._dead: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self._steps: Generator[Op, Any, Free] = take(self.name, lambda: self.world.now, self._ended, self._dice)
        self._op: Op = next(self._steps)
        self._answer: Any = None
        self._answered = False

    @property
    def writes(self) -> bool:
        """Whether a file of its own would appear now."""
        return self.holds and self.world.signed[-1] == self.name

    @property
    def settled(self) -> bool:
        """Whether it holds the lease, and has cleared away those of the dead."""
        return self.holds and not self._dead

    @property
    def in_time(self) -> bool:
        """Whether it has refreshed in time ever since it took the lease."""
        return self.holds and max(self.longest, self.world.now - self._put_at) < LASTS - SPARE

    def leave(self) -> None:
        if self.writes:
            self.world.signed.append("")
            self.world.do(Delete(self.name))
            self.gone, self.holds = True, False

    def turn(self) -> None:
        if self.gone or self.lost or self.world.now < self._wake:
            return
        if self.holds:
            self._beat()
        elif self._free:
            self._sign(self._free)
        elif not self._answered:
            if isinstance(self._op, Put):
                self._put_at = self.world.now
            self._answer, self._answered = self.world.do(self._op), True
            if isinstance(self._op, Wait):
                self._wake = self.world.now + self._op.seconds
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._answered = False
        try:
            self._op = self._steps.send(self._answer)
        except StopIteration as end:
            self._free = end.value
        except Taken:
            self.lost = True

    def _sign(self, free: Free) -> None:
        self._free = None
        if self.world.now < free.until:
            self.holds, self._dead = True, list(free.dead)
            self.world.signed.append(self.name)
        else:
            self._begin()

    def _beat(self) -> None:
        if self.writes:
            if self._dead and self.world.files.get(self.name, (0, False))[1]:
                self.world.do(Delete(self._dead.pop()))
            else:
                self._refresh()
        else:
            self.lost, self.holds = True, False
            self.world.do(Delete(self.name))

    def _refresh(self) -> None:
        self.longest = max(self.longest, self.world.now - self._put_at)
        self._put_at = self.world.now
        self.world.put(self.name, held=True)
        self._wake = self.world.now + (0.0 if self._dead else BEAT)


def check(world: World, builders: list[Builder], before: int) -> None:
    """One may write at most; and where somebody has just signed, nobody was displaced who had refreshed in time."""
    assert sum(builder.writes for builder in builders) <= 1
    if len(world.signed) > before and world.signed[-1]:
        assert [b.name for b in builders if b.in_time and b.name != world.signed[-1]] == []


TURNS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from([0.0, 0.0, 0.0, 0.4, 1.0, LOOK, 20.0, LASTS - SPARE, LASTS, 2 * LASTS])
    ),
    max_size=150,
)
"""Who does its next part, and how many seconds pass before that."""


@settings(max_examples=200, deadline=None)
@given(TURNS)
def test_whatever_the_interleaving_one_may_write_and_who_refreshes_in_time_is_let_alone(
    turns: list[tuple[int, float]],
) -> None:
    world = World()
    builders = [Builder(world, name) for name in ("leases/a.json", "leases/b.json", "leases/c.json")]
    for who, passed in turns:
        world.now += passed
        before = len(world.signed)
        builders[who].turn()
        check(world, builders, before)


@pytest.mark.parametrize("seed", [*range(20), 1000, 1240, 1295, 1832, 2026])
def test_in_many_long_histories_too_and_somebody_builds(seed: int) -> None:
    dice, world = random.Random(seed), World()
    builders = [Builder(world, f"leases/{n}.json") for n in range(3)]
    writing = 0
    for _ in range(4000):
        world.now += dice.choice([0.0, 0.01, 0.1, 0.1, 0.3, 1.0, 1.0 if dice.random() < 0.9 else 2 * LASTS])
        builder, before = dice.choice(builders), len(world.signed)
        builder.leave() if dice.random() < 0.01 else builder.turn()
        check(world, builders, before)
        writing += sum(one.writes for one in builders)
        for n, one in enumerate(builders):
            if one.lost or one.gone:  # the command is run again
                builders[n] = Builder(world, f"leases/{dice.random()}.json")
    assert writing > 100


def until(world: World, builder: Builder, seconds: float) -> float:
    """Let a builder go on, alone, until it holds the lease or has lost; the seconds that it took."""
    start = world.now
    while not builder.settled and not builder.lost and world.now - start < seconds:
        world.now += 0.1
        builder.turn()
    return world.now - start


def test_a_free_lease_is_taken_at_once() -> None:
    world = World()
    builder = Builder(world, "leases/a.json")
    assert until(world, builder, 10) < 1
    assert builder.writes


def test_a_lease_that_is_refreshed_is_refused_and_tells_who_has_it() -> None:
    world = World()
    holder, late = Builder(world, "leases/a.json"), Builder(world, "leases/b.json")
    until(world, holder, 10)
    while not late.lost:
        world.now += 1
        holder.turn()
        late.turn()
    assert holder.writes
    assert list(world.files) == ["leases/a.json"], "who is refused leaves nothing"


def test_the_lease_of_a_dead_builder_is_taken_over_after_it_has_expired_and_not_before() -> None:
    world = World()
    until(world, Builder(world, "leases/a.json"), 10)
    heir = Builder(world, "leases/b.json")
    took = until(world, heir, 10 * LASTS)
    assert heir.writes
    assert LASTS - 2 < took < LASTS + 2 * LOOK
    assert set(world.files) == {"leases/b.json"}


@pytest.mark.parametrize("wrong", [3600.0, 1e9])
def test_a_lease_that_a_clock_dated_into_the_future_holds_no_longer_than_another(wrong: float) -> None:
    world = World()
    world.wrong = wrong
    until(world, Builder(world, "leases/a.json"), 10)
    world.wrong = 0.0
    heir = Builder(world, "leases/b.json")
    assert until(world, heir, 10 * LASTS) < LASTS + 2 * LOOK
    assert heir.writes and set(world.files) == {"leases/b.json"}


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
    assert heir.writes


def test_who_slept_goes_on_if_it_was_not_missed_and_has_lost_if_another_signed_whether_that_is_still_there_or_not() -> (
    None
):
    for end in ("builds", "released", "killed"):
        world = World()
        sleeper = Builder(world, "leases/a.json")
        until(world, sleeper, 10)
        world.now += 5 * LASTS
        sleeper.turn()
        assert sleeper.writes, "nobody took it"
        world.now += 5 * LASTS
        other = Builder(world, "leases/b.json")
        until(world, other, 10)
        if end == "released":
            other.leave()
        world.now += 5 * LASTS if end == "killed" else 0.0
        assert not sleeper.writes
        sleeper.turn()
        assert sleeper.lost and "leases/a.json" not in world.files
