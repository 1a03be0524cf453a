"""A pass over a Batch API: what it asks, what it does with what comes back, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.llm import batch
from builders.shards.store import Store
from schemas.errors import BuildError
from tests.builders.llm.batch_pass import BUILD, USD, Pass, request_of
from tests.builders.llm.batch_server import KEY, Row, Site, answered, ended, refused, row, serve

pytestmark = pytest.mark.slow


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """With files of 3 requests."""
    monkeypatch.setattr(batch, "MOST_REQUESTS", 3)
    with serve() as site:
        yield site


Rows = Callable[[dict[str, object], int], Row]


def one_row(number: int, becomes: Rows) -> Rows:
    """The row of one request is another; the others are answered."""
    key = request_of(number).hash
    return lambda request, nth: becomes(request, nth) if request["custom_id"] == key else answered(request)


def outcomes(one: Pass, number: int) -> list[str]:
    """Of all attempts at a request, the first one first."""
    entries = [entry for entry in one.entries() if entry.hash == request_of(number).hash]
    return [entry.outcome for entry in sorted(entries, key=lambda entry: entry.asked_at)]


def test_every_request_is_asked_once_in_files_that_are_full_and_its_answer_is_in_the_ledger(
    site: Site, tmp_path: Path
) -> None:
    one = Pass(tmp_path, site.base_url)
    one.requests.insert(3, request_of(1))
    one.run()
    assert [len(made.requests) for made in site.batches.values()] == [3, 3, 1]
    assert one.answers() == {request_of(n).hash: f"You said What is {n}? 🐕" for n in range(7)}
    first = site.batches["batch_0"].requests[0]
    assert first == {"custom_id": request_of(0).hash, "method": "POST", "url": "/v1/chat/completions"} | {
        "body": request_of(0).body
    }
    entry = one.entries()[0]
    assert (entry.provider, entry.model, entry.build, entry.run) == ("openai", "mill-1-2026", BUILD, "run")
    assert (entry.tokens_in, entry.tokens_out, entry.usd, entry.finish_reason) == (100, 10, USD, "stop")
    assert one.usd() == pytest.approx(7 * USD)


def test_a_file_is_no_larger_than_the_api_takes(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_BYTES", 600)
    one = Pass(tmp_path, site.base_url).run()
    sizes = [len(site.files[made.file]) for made in site.batches.values()]
    assert len(one.answers()) == 7 and len(sizes) > 3 and all(size <= 600 for size in sizes)


def test_only_what_the_ledger_does_not_answer_is_asked(site: Site, tmp_path: Path) -> None:
    Pass(tmp_path, site.base_url, [request_of(n) for n in (1, 4)]).run()
    one = Pass(tmp_path, site.base_url).run()
    assert set(site.asked.values()) == {1} and len(one.answers()) == 7


def test_what_may_succeed_later_goes_again_in_a_further_file(site: Site, tmp_path: Path) -> None:
    site.row = one_row(4, lambda request, nth: answered(request) if nth else refused(request, 500, "server_error"))
    one = Pass(tmp_path, site.base_url).run()
    assert len(one.answers()) == 7
    assert [len(made.requests) for made in site.batches.values()] == [3, 3, 1, 1]
    assert outcomes(one, 4) == ["server_error", "answer"]


def test_a_file_that_failed_as_a_whole_goes_again_as_another_file(site: Site, tmp_path: Path) -> None:
    site.row = lambda request, nth: answered(request) if nth == 2 else ended(request)
    one = Pass(tmp_path, site.base_url, [request_of(0)]).run()
    assert len(one.answers()) == 1 and len(set(site.marks)) == 3
    assert outcomes(one, 0) == ["batch_expired", "batch_expired", "answer"]


def test_no_more_rounds_than_retries(site: Site, tmp_path: Path) -> None:
    site.row = one_row(4, lambda request, nth: refused(request, 500, "server_error"))
    one = Pass(tmp_path, site.base_url).run()
    assert len(one.answers()) == 6
    assert outcomes(one, 4) == ["server_error"] * 3


def test_what_fails_for_good_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    site.row = one_row(4, lambda request, nth: refused(request, 400, "context_length_exceeded"))
    one = Pass(tmp_path, site.base_url).run()
    assert outcomes(one, 4) == ["prompt_too_long"] and len(site.batches) == 3
    assert one.said[-1] == "batch 3 of 3 (batch_2): completed, 1 of 1 answered"


def test_a_row_that_tells_that_no_request_can_be_answered_stops_the_pass(site: Site, tmp_path: Path) -> None:
    site.row = one_row(1, lambda request, nth: refused(request, 429, "insufficient_quota"))
    one = Pass(tmp_path, site.base_url)
    with pytest.raises(BuildError, match=r"llm: 429: This is insufficient_quota; see to the account's credit"):
        one.run()
    assert {request_of(0).hash, request_of(2).hash} <= set(one.answers())


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_what_a_batch_answered_before_its_end_is_kept(status: str, site: Site, tmp_path: Path) -> None:
    site.course = lambda made: ("validating", "in_progress", status if made.id == "batch_0" else "completed")
    late = {request_of(n).hash for n in (1, 2)}
    code = f"batch_{status}"
    site.row = lambda r, nth: answered(r) if nth or r["custom_id"] not in late else ended(r, code)
    one = Pass(tmp_path, site.base_url)
    if status == "cancelled":
        with pytest.raises(BuildError, match="batch_0 was cancelled by somebody.*run the same command again"):
            one.run()
        assert request_of(0).hash in one.answers() and request_of(1).hash not in one.answers()
        assert set(site.asked.values()) == {1}
    one.run()
    assert len(one.answers()) == 7 and outcomes(one, 1) == [code, "answer"]
    assert site.asked == dict.fromkeys((request_of(n).hash for n in range(7)), 1) | dict.fromkeys(late, 2)


def test_garbage_among_the_rows_costs_no_other_answer(site: Site, tmp_path: Path) -> None:
    rows: list[Row] = [b'{"custom_id": "tru\n', b"[]\n", b"\xff\x00\n", b'{"custom_id": 7}\n', b"[" * 50_000 + b"\n"]
    site.row = lambda request, nth: (
        rows.pop() if rows and request["custom_id"] != request_of(2).hash else answered(request)
    )
    one = Pass(tmp_path, site.base_url).run()
    assert len(one.answers()) == 7
    assert outcomes(one, 0) == ["batch_lost", "answer"] and outcomes(one, 2) == ["answer"]
    assert "batch 1 of 3 (batch_0): completed, 1 of 3 answered; 2 rows cannot be read" in one.said


@pytest.mark.parametrize("status", [10**30, -1, 0, True])
def test_a_row_of_no_status_that_http_knows_goes_again(status: int, site: Site, tmp_path: Path) -> None:
    site.row = one_row(2, lambda request, nth: answered(request) if nth else row(request, status, {}))
    assert len(Pass(tmp_path, site.base_url).run().answers()) == 7


def test_a_last_row_that_is_cut_off_goes_again(site: Site, tmp_path: Path) -> None:
    cut = json.dumps(answered({"custom_id": request_of(2).hash, **_asked(2)})).encode()[:-20]
    site.row = one_row(2, lambda request, nth: answered(request) if nth else cut)
    assert len(Pass(tmp_path, site.base_url).run().answers()) == 7


def _asked(number: int) -> dict[str, object]:
    return {"body": request_of(number).body}


def test_a_row_of_a_strange_request_is_told_and_ignored(site: Site, tmp_path: Path) -> None:
    stranger = {"custom_id": "f" * 64, "body": {"messages": [{"content": "?"}]}}
    site.row = one_row(
        6, lambda r, nth: b"".join(json.dumps(answered(one)).encode() + b"\n" for one in (r, r, stranger))
    )
    one = Pass(tmp_path, site.base_url).run()
    assert len(one.answers()) == len(one.entries()) == 7
    assert one.said[-1].endswith("completed, 1 of 1 answered; 2 rows are of no request that it was asked")


def test_a_request_without_a_row_has_an_entry_that_says_so(site: Site, tmp_path: Path) -> None:
    site.row = one_row(6, lambda request, nth: None)
    one = Pass(tmp_path, site.base_url, settings={"retries": 0}).run()
    assert outcomes(one, 6) == ["batch_lost"]
    assert [e.detail for e in one.entries() if e.outcome == "batch_lost"] == [
        "batch batch_2 is completed and has no row of it"
    ]


def test_a_batch_that_fails_as_a_whole_stops_the_pass_in_the_servers_words(site: Site, tmp_path: Path) -> None:
    site.problem = lambda made: ("invalid_json_line", f"Line 1 is none.\nSee {KEY}.")
    one = Pass(tmp_path, site.base_url)
    with pytest.raises(BuildError) as error:
        one.run()
    assert str(error.value) == "batch batch_0 failed: invalid_json_line: Line 1 is none. See […]"
    site.problem = lambda made: None
    assert len(one.run().answers()) == 7


def test_a_batch_that_an_earlier_run_found_is_not_told_as_submitted(site: Site, tmp_path: Path) -> None:
    Pass(tmp_path / "lost ledger", site.base_url).run()
    one = Pass(tmp_path / "new", site.base_url).run()
    assert len(site.batches) == 3 and len(one.answers()) == 7
    assert one.said[0] == "batch 1 of 1 (batch_0): found on the server, 3 requests"


def test_the_list_is_searched_to_its_last_page(site: Site, tmp_path: Path) -> None:
    site.page = 2
    Pass(tmp_path / "lost ledger", site.base_url).run()
    for _ in range(4):
        site.somebody_elses(("completed",))
    Pass(tmp_path / "new", site.base_url).run()
    assert len(site.batches) == 7


def test_a_batch_that_nobody_wants_any_more_is_not_waited_for(site: Site, tmp_path: Path) -> None:
    site.course = lambda made: ["in_progress"] * 50 + ["completed"]
    one = Pass(tmp_path, site.base_url, [request_of(0)], sleep=_interrupt)
    with pytest.raises(KeyboardInterrupt):
        one.run()
    site.course = lambda made: ("validating", "completed")
    again = Pass(tmp_path, site.base_url, [request_of(1)]).run()
    assert again.said[0] == ("batch batch_0 of an earlier run is left alone: nothing that it asks is missing any more")
    assert len(again.answers()) == 1 and len(site.batches) == 2


def _interrupt(seconds: float) -> None:
    raise KeyboardInterrupt


def test_a_batch_that_the_server_no_longer_knows_stops_the_pass_and_says_what_to_delete(
    site: Site, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        Pass(tmp_path, site.base_url, sleep=_interrupt).run()
    site.batches.clear()
    one = Pass(tmp_path, site.base_url)
    for _ in range(3):
        with pytest.raises(BuildError, match=r"llm: 404: .* delete (.*\.jsonl) to ask its requests anew") as error:
            one.run()
        Path(str(error.value).partition("delete ")[2].partition(" to ask")[0]).unlink()
    assert len(one.run().answers()) == 7


def test_what_a_server_no_longer_has_of_a_batch_is_asked_again(site: Site, tmp_path: Path) -> None:
    one = Pass(tmp_path, site.base_url)
    site.before = lambda call: site.files.pop("file-batch_0-output", None) and None
    one.run()
    assert len(one.answers()) == 7 and site.asked[request_of(0).hash] == 2 and site.asked[request_of(3).hash] == 1
    assert "batch 1 of 3 (batch_0): completed, 0 of 3 answered; the server no longer has all that it left" in one.said


def test_counts_are_told_once_a_minute_and_polls_grow_rare(site: Site, tmp_path: Path) -> None:
    site.course = lambda made: ["validating"] + ["in_progress"] * 12 + ["completed"]
    one = Pass(tmp_path, site.base_url, [request_of(0)])
    one.sleep = lambda seconds: setattr(site.batches["batch_0"], "done", len(one.slept))
    one.run()
    assert one.slept == [1, 2, 4, 8, 16, 32] + [60] * 7
    assert len(one.said) == 2 + 1 + 7  # its two ends, the first look, and the seven that are a minute apart
    assert one.said[1] == "batch 1 of 1 (batch_0): in_progress, 1 of 1 done"


def test_the_key_is_in_no_file_no_metadata_and_no_line(site: Site, tmp_path: Path) -> None:
    one = Pass(tmp_path, site.base_url).run()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not any(KEY.encode() in content for content in [*files, *site.files.values()])
    assert KEY not in "\n".join(one.said) and KEY not in "".join(site.marks)


def test_nothing_but_that_a_file_is_done_is_left_in_the_folder(site: Site, tmp_path: Path) -> None:
    Pass(tmp_path, site.base_url).run()
    left = Store(tmp_path / "batches").list_below(".")
    assert sorted(path.rpartition("/")[2] for path in left) == sorted(f"{mark}.done" for mark in site.marks)
