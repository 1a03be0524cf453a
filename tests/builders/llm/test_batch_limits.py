"""A pass over a Batch API within limits: the money of the recipe, and the account's queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.llm import batch
from builders.llm.money import bound
from schemas.endpoint import Price
from schemas.errors import BuildError
from tests.builders.llm.batch_pass import PRICE, USD, Pass, request_of
from tests.builders.llm.batch_server import ENDED, QUEUE_FULL, Made, Site, answered, ended, row, serve

pytestmark = pytest.mark.slow

MOST = max(bound(Price(**PRICE), request_of(number), batch=True) for number in range(7))
"""What a request of these may cost."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """With files of 3 requests."""
    monkeypatch.setattr(batch, "MOST_REQUESTS", 3)
    with serve() as site:
        yield site


def sizes(site: Site) -> list[int]:
    return [len(made.requests) for made in site.batches.values() if made.status != "failed"]


def test_where_money_is_short_files_are_smaller_and_wait_for_each_other(site: Site, tmp_path: Path) -> None:
    assert MOST > USD
    site.before = lambda call: check(site)
    limit = 2 * MOST + 5 * USD

    def check(site: Site) -> None:
        open_rows = sum(len(made.requests) for made in site.batches.values() if made.status not in ENDED)
        assert site.asked.total() * USD + open_rows * MOST <= limit + 1e-9

    one = Pass(tmp_path, site.base_url, settings={"max_usd": limit}).run()
    assert len(one.answers()) == 7 and max(sizes(site)) > 2
    assert sum(sizes(site)) == 7 and len(sizes(site)) > 3
    assert one.usd() <= limit


def test_where_no_request_fits_what_is_in_flight_is_collected_and_the_pass_ends(site: Site, tmp_path: Path) -> None:
    limit = MOST + 2.5 * USD
    one = Pass(tmp_path, site.base_url, settings={"max_usd": limit})
    with pytest.raises(BuildError) as error:
        one.run()
    assert str(error.value).startswith(
        f"llm.max_usd: {3 * USD:.4f} of {limit} US dollars are spent, and 4 requests are left to ask"
    )
    assert len(one.answers()) == 3 and one.notes() == ["done"] * 2
    one.settings = {"max_usd": 1.0}
    assert len(one.run().answers()) == 7 and site.asked.total() == 7


def test_what_an_earlier_run_has_in_flight_counts(site: Site, tmp_path: Path) -> None:
    site.course = lambda made: ["in_progress"] * 9 + ["completed"]
    limit, five = 3.5 * MOST, [request_of(number) for number in range(5)]

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pass(tmp_path, site.base_url, five, settings={"max_usd": limit}, sleep=interrupt).run()
    assert sizes(site) == [3]
    one = Pass(tmp_path, site.base_url, five, settings={"max_usd": limit})
    one.sleep = lambda seconds: None if len(one.slept) > 5 else check()

    def check() -> None:
        assert len(site.batches) == 1, "there is no money for another one yet"

    assert len(one.run().answers()) == 5


def test_without_usage_a_limit_cannot_hold(site: Site, tmp_path: Path) -> None:
    body = {"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}]}
    site.row = lambda request, nth: row(request, 200, body)
    with pytest.raises(BuildError, match=r"llm\.max_usd: the endpoint tells no usage"):
        Pass(tmp_path, site.base_url, settings={"max_usd": 1.0}).run()
    assert len(Pass(tmp_path, site.base_url).run().answers()) == 7


def test_no_price_is_needed_without_a_limit(site: Site, tmp_path: Path) -> None:
    one = Pass(tmp_path, site.base_url, settings={"prices": {}}).run()
    assert len(one.answers()) == 7 and {entry.usd for entry in one.entries()} == {None}


def queue_of(site: Site, most: int) -> None:
    """The account's queue takes so many requests, those of others included, who have 1 each."""

    def problem(made: Made) -> tuple[str, str] | None:
        others = (one for one in site.batches.values() if one is not made and one.status not in ENDED)
        waiting = sum(len(one.requests) or 1 for one in others if one.problem is None)
        return QUEUE_FULL if waiting + len(made.requests) > most else None

    site.problem = problem


def test_a_file_for_which_the_queue_has_no_room_waits_until_another_has_ended(site: Site, tmp_path: Path) -> None:
    queue_of(site, 4)
    one = Pass(tmp_path, site.base_url).run()
    assert len(one.answers()) == 7 and site.asked.total() == 7
    assert sizes(site) == [3, 1, 3]
    assert any("(batch_1): the account may have no more tokens waiting" in line for line in one.said)


def test_a_file_that_the_queue_could_never_take_is_halved(site: Site, tmp_path: Path) -> None:
    queue_of(site, 1)
    one = Pass(tmp_path, site.base_url).run()
    assert len(one.answers()) == 7 and site.asked.total() == 7
    assert sizes(site) == [1] * 7 and one.notes() == ["done"] * 7


def test_a_file_waits_for_the_batches_of_others_too(site: Site, tmp_path: Path) -> None:
    queue_of(site, 3)
    site.somebody_elses(("in_progress", "completed"))
    one = Pass(tmp_path, site.base_url, [request_of(number) for number in range(3)])
    one.sleep = lambda seconds: site.batches["batch_0"].course.pop(0) if len(one.slept) == 6 else None
    assert len(one.run().answers()) == 3
    assert sizes(site) == [0, 3] and len(site.batches) == 3


def test_a_single_request_that_the_queue_does_not_take_ends_the_pass(site: Site, tmp_path: Path) -> None:
    queue_of(site, 0)
    with pytest.raises(BuildError, match="of a single request: token_limit_exceeded: Enqueued token limit reached"):
        Pass(tmp_path, site.base_url).run()


@settings(max_examples=8)
@given(
    fates=st.lists(st.lists(st.sampled_from(["expired", "lost", "garbage"]), max_size=2), min_size=1, max_size=8),
    queue=st.integers(1, 5),
    share=st.floats(1.0, 12.0),
)
def test_whatever_goes_wrong_everything_is_answered_in_the_end_and_no_answer_is_asked_for_again(
    fates: list[list[str]], queue: int, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    requests = [request_of(number) for number in range(len(fates))]
    keys = {request.hash: [*fate, "answer"] for request, fate in zip(requests, fates, strict=True)}
    with pytest.MonkeyPatch.context() as patch, serve() as site:
        patch.setattr(batch, "MOST_REQUESTS", 3)
        queue_of(site, queue)
        site.row = lambda request, nth: {
            "answer": answered(request),
            "expired": ended(request),
            "lost": None,
            "garbage": b"{\n",
        }[keys[request["custom_id"]][nth]]
        limit = (share + len(fates)) * MOST
        one = Pass(tmp_path_factory.mktemp("any"), site.base_url, requests, settings={"max_usd": limit}).run()
    assert len(one.answers()) == len(requests)
    assert site.asked == {key: len(fate) for key, fate in keys.items()}
