"""How stages share what there is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.dag import Stage
from pipelines.hardware import (
    Cluster,
    Nodes,
    Placement,
    cluster_of,
    fitting,
    lacking,
    place,
    this_machine,
    unplaceable,
)


def stages(*gpus: float, cpus: int = 1) -> list[Stage]:
    return [Stage(f"s{i}", (), cpus=cpus, gpus=share) for i, share in enumerate(gpus)]


def pools(gpus: float, *wanted: float) -> list[tuple[int | None, float]]:
    return [(p.workers, p.gpus) for p in place(stages(*wanted), Cluster(8, int(gpus)))]


def test_given_no_gpu_stage_then_all_are_tasks_and_none_waits_for_a_pool() -> None:
    assert place(stages(0, 0), Cluster(4, 2)) == [Placement(1, 0, None), Placement(1, 0, None)]


def test_given_no_gpu_then_a_gpu_stage_runs_on_cpus_and_says_so() -> None:
    (placement,) = place(stages(1), Cluster(4, 0))

    assert (placement.cpus, placement.gpus, placement.workers) == (1, 0, None)
    assert str(placement) == "tasks of 1 CPU (a GPU stage: there is none)"


def test_what_needs_a_gpu_lacks_one_only_where_there_is_none() -> None:
    both = [Stage("any", (), gpus=1), Stage("half", (), gpus=1, needs_gpu="detector.precision: bf16")]
    assert lacking(both, Cluster(4, 0)) == ["detector.precision: bf16"]
    assert lacking(both, Cluster(4, 1)) == []


@pytest.mark.parametrize(("gpus", "workers"), [(1, 1), (2, 2), (4, 4)])
def test_given_one_gpu_stage_then_it_gets_a_worker_on_each_gpu(gpus: int, workers: int) -> None:
    assert pools(gpus, 0, 1, 0) == [(None, 0), (workers, 1), (None, 0)]


@pytest.mark.parametrize(
    ("gpus", "wanted", "expected"),
    [
        (1, (1, 1), [(1, 0.5), (1, 0.5)]),
        (2, (1, 1), [(1, 1), (1, 1)]),
        (4, (1, 1), [(2, 1), (2, 1)]),
        (4, (2, 1), [(1, 2), (2, 1)]),
        (1, (1, 1, 1), [(1, 1 / 3)] * 3),
        (2, (1, 1, 1), [(1, 0.5)] * 3),
        (1, (0.5,), [(2, 0.5)]),
        (2, (0.25,), [(8, 0.25)]),
    ],
)
def test_given_several_gpu_stages_then_they_share_in_whole_gpus_where_those_suffice(
    gpus: int, wanted: tuple[float, ...], expected: list[tuple[int, float]]
) -> None:
    assert pools(gpus, *wanted) == expected


def test_given_a_stage_that_wants_more_gpus_than_there_are_then_it_gets_what_there_is() -> None:
    assert pools(1, 4) == [(1, 1)]
    assert pools(2, 4) == [(1, 2)]


def test_given_a_pool_then_its_workers_hold_no_cpu_so_that_the_tasks_that_feed_it_always_find_one() -> None:
    assert [p.cpus for p in place(stages(1, 0), Cluster(1, 1))] == [0, 1]


def test_given_a_stage_that_wants_more_cpus_than_there_are_then_it_takes_those_that_are_there() -> None:
    assert [p.cpus for p in place(stages(0, cpus=16), Cluster(2, 0))] == [2]


def test_placements_tell_themselves_in_words() -> None:
    texts = [str(p) for p in place(stages(0, 0.5), Cluster(4, 1))]

    assert texts == ["tasks of 1 CPU", "2 workers of 0.5 GPU"]


def test_given_a_stage_that_waits_for_others_then_it_may_say_how_many_tasks_it_is_at_most() -> None:
    waits = Stage("ask", (), cpus=0, at_once=3)

    (first, placement) = place([Stage("a", ()), waits], Cluster(2, 0))

    assert first.at_once is None
    assert placement == Placement(0, 0, None, at_once=3)
    assert str(placement) == "3 tasks at most, each of 0 CPUs"


def test_given_a_bound_on_tasks_then_the_cluster_does_not_change_it() -> None:
    found = [place([Stage("ask", (), at_once=5)], Cluster(cpus, gpus)) for cpus in (1, 64) for gpus in (0, 8)]

    assert found == [[Placement(1, 0, None, at_once=5)]] * 4


def test_this_machine_has_a_cpu_and_no_gpu_that_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert this_machine().cpus >= 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert this_machine().gpus == 0


def fits(workers: list[float], gpus: int) -> bool:
    """Whether each worker finds its share, in the order of the stages: a fraction on one GPU, more on whole ones."""
    free = [1.0] * gpus
    for share in workers:
        if share >= 1:
            whole = [i for i, left in enumerate(free) if left == 1.0][: int(share)]
            if len(whole) < share:
                return False
            for i in whole:
                free[i] = 0.0
            continue
        place_ = next((i for i, left in enumerate(free) if left >= share - 1e-9), None)
        if place_ is None:
            return False
        free[place_] -= share
    return True


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(
    cluster=st.builds(Cluster, st.integers(1, 64), st.integers(0, 16)),
    wanted=st.lists(
        st.sampled_from([0.0, 0.0, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0, 2.0, 4.0]) | st.integers(1, 8).map(float), max_size=6
    ),
)
def test_any_stages_on_any_cluster_are_placed_within_what_there_is(cluster: Cluster, wanted: list[float]) -> None:
    placements = place(stages(*wanted), cluster)

    assert len(placements) == len(wanted)
    workers: list[float] = []
    for want, placement in zip(wanted, placements, strict=True):
        assert placement.cpus <= cluster.cpus
        if placement.workers is None:
            assert placement.gpus == 0
            assert placement.cpus >= 1
            assert not want or not cluster.gpus
        else:
            assert want
            assert placement.workers >= 1
            assert 0 < placement.gpus <= want
            assert placement.gpus < 1 or placement.gpus == int(placement.gpus), "Ray takes whole GPUs above one"
            workers += [placement.gpus] * placement.workers
    assert sum(workers) <= cluster.gpus + 1e-9
    assert fits(workers, cluster.gpus), "a worker that finds no GPU waits for ever"


# -- nodes


def nodes(*sizes: tuple[float, int, int]) -> Cluster:
    return cluster_of([Nodes(f"n{i}", cpus, gpus, count) for i, (cpus, gpus, count) in enumerate(sizes)])


def test_given_nodes_then_they_are_added_up() -> None:
    assert nodes((16, 0, 3), (8, 2, 2), (0, 0, 1)) == Cluster(64, 4, nodes((16, 0, 3), (8, 2, 2), (0, 0, 1)).nodes)


def limited(most: int, *sizes: tuple[float, int, int]) -> Cluster:
    """A head and node types, of which `most` nodes may be there."""
    return cluster_of([Nodes("head", 0, 0, 1)], nodes(*sizes).nodes, most)


def test_given_as_many_workers_as_the_types_make_together_then_nothing_is_said_of_a_limit() -> None:
    assert str(limited(6, (16, 0, 4), (8, 1, 2))) == "80 CPUs, 2 GPUs"


def test_given_fewer_workers_than_the_types_make_together_then_cpu_nodes_go_first_and_of_the_commonest_type() -> None:
    kinds = ((4, 0, 3), (16, 0, 9), (8, 1, 4))

    assert str(limited(15, *kinds)) == "172 CPUs, 4 GPUs, 15 workers at most"  # 3, 8 and 4
    assert str(limited(6, *kinds)) == "40 CPUs, 4 GPUs, 6 workers at most"  # 2, none and 4
    assert str(limited(1, *kinds)) == "8 CPUs, 1 GPU, 1 worker at most"


def test_given_a_limit_then_pools_are_sized_by_it_and_each_type_may_still_be_the_one_that_is_started() -> None:
    cluster = limited(3, (16, 0, 4), (8, 1, 4))

    assert [p.workers for p in place(stages(0, 1), cluster)] == [None, 3]
    assert [kind.count for kind in cluster.nodes] == [1, 4, 4]
    assert unplaceable(stages(0, cpus=16), cluster) is None


@pytest.mark.slow
@settings(deadline=None)
@given(
    most=st.integers(0, 20),
    sizes=st.lists(st.tuples(st.integers(1, 16), st.integers(0, 2), st.integers(0, 9)), max_size=4),
)
def test_a_cluster_with_a_limit_has_no_more_than_without_and_all_of_its_gpus_where_gpu_nodes_suffice(
    most: int, sizes: list[tuple[int, int, int]]
) -> None:
    cluster, whole = limited(most, *sizes), nodes(*sizes)

    assert cluster.cpus <= whole.cpus
    assert cluster.gpus <= whole.gpus
    assert (cluster.most is None) == (sum(count for _, _, count in sizes) <= most)
    if sum(count for _, gpus, count in sizes if gpus) <= most:
        assert cluster.gpus == whole.gpus


def test_given_a_stage_that_wants_more_gpus_than_any_node_has_then_it_is_named_though_their_sum_would_do() -> None:
    said = unplaceable(stages(0, 2), nodes((16, 0, 4), (8, 1, 4)))

    assert said == (
        "stage s1 wants 2 GPUs on one node, but the largest has 1 "
        "(4 x n0 (16 CPUs, 0 GPUs); 4 x n1 (8 CPUs, 1 GPU)); start nodes that are large enough"
    )


def test_given_a_stage_that_wants_more_cpus_than_any_node_has_then_it_is_named() -> None:
    said = unplaceable(stages(0, cpus=4), nodes((2, 0, 100)))

    assert said is not None
    assert said.startswith("stage s0 wants 4 CPUs on one node, but the largest has 2 ")


def test_given_a_head_alone_that_runs_no_tasks_then_nothing_would_ever_run() -> None:
    assert unplaceable(stages(0), nodes((0, 0, 1))) is not None
    assert unplaceable(stages(0), nodes((0, 0, 1), (1, 0, 1))) is None


def test_given_node_types_of_which_there_may_be_none_then_nothing_is_placed_on_them() -> None:
    assert unplaceable(stages(0), nodes((0, 0, 1), (16, 0, 0))) is not None


def test_given_a_gpu_stage_and_no_gpu_anywhere_then_it_runs_on_cpus() -> None:
    assert unplaceable(stages(1), nodes((4, 0, 2))) is None


def test_given_one_machine_then_nothing_is_refused_as_stages_are_fitted_to_it() -> None:
    assert unplaceable(stages(8, cpus=64), Cluster(2, 1)) is None


def test_a_stage_finds_room_on_the_nodes_that_are_large_enough() -> None:
    cluster = nodes((16, 0, 4), (8, 1, 4), (0, 0, 1))

    (cpu, gpu) = stages(0, 1)

    assert [kind.name for kind in fitting(cpu, cluster)] == ["n0", "n1"]
    assert [kind.name for kind in fitting(gpu, cluster)] == ["n1"]
