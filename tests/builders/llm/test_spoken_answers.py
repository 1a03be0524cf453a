"""Answers that are audio, from the wire to the ledger: what is one, what is tried again, what it costs."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.llm import asker as asker_module
from builders.llm import client as client_module
from builders.llm import media
from builders.llm.ledger import Ledger
from builders.llm.outcomes import HIDDEN
from builders.llm.request import ANSWER, Entry
from builders.shards.store import Store
from schemas.errors import BuildError
from tests.builders.llm import replies
from tests.builders.llm.replies import Reply, as_json
from tests.builders.llm.server import Api, Script, serve
from tests.builders.llm.spoken import KEY, PRICE, asks, audio, once, said, speaking, streamed, tone

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker_module, "BACKOFF", 0.001)


def say(script: Script, folder: Path, *texts: str, **fields: Any) -> tuple[Api, list[Entry], list[bytes | None]]:
    """What becomes of each text, and the audio of those that were answered."""
    with serve(script) as api, asks(api.base_url, folder, **fields) as service:
        entries = service.ask([speaking(text) for text in texts])
        return api, entries, [service.media(entry) if entry.answered else None for entry in entries]


def media_in(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "media").rglob("*") if path.is_file())


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def totals(folder: Path) -> Any:
    return Ledger(Store(folder)).totals("build")


# ---- what is audio ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["audio/wav", "audio/x-wav", "Audio/WAV; charset=binary", "audio/flac", "application/octet-stream", None]
)
def test_audio_is_kept_as_it_came_in_a_file_of_its_own_that_the_entry_names(tmp_path: Path, kind: str | None) -> None:
    data = tone("Hello", "FLAC" if kind == "audio/flac" else "WAV")

    api, [entry], [heard] = say(lambda seen: audio(data, kind), tmp_path, "Hello")

    digest = hashlib.sha256(data).hexdigest()
    told = (kind or "").partition(";")[0].lower()
    assert heard == data
    assert json.loads(entry.text or "") == {"media": digest, "bytes": len(data), "type": told}
    assert (entry.outcome, entry.status, entry.model, entry.finish_reason) == (ANSWER, 200, "tts-1", None)
    assert (entry.tokens_in, entry.tokens_out) == (None, None)
    assert [path.relative_to(tmp_path).as_posix() for path in media_in(tmp_path)] == [f"media/{digest[:2]}/{digest}"]
    [table] = tmp_path.glob("*.parquet")
    assert data not in table.read_bytes()
    [seen] = api.requests
    assert (seen.path, seen.body) == ("/v1/audio/speech", speaking("Hello").body)
    assert seen.headers["accept"] == "*/*"


def test_a_header_that_does_not_tell_the_length_is_no_reason_to_ask_again(tmp_path: Path) -> None:
    data = streamed(tone("Hello"))
    api, _, [heard] = say(lambda seen: audio(data), tmp_path, "Hello")
    assert heard == data and len(api.requests) == 1


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(b"", headers=(("Content-Type", "audio/wav"),)), "200: an empty body in the place of audio"),
        (as_json({"error": {"message": "No voice."}}), "200: application/json in the place of audio: No voice."),
        (as_json({"data": "UklGRg=="}), "200: application/json in the place of audio: no reason given"),
        (replies.broken(200), "200: text/html in the place of audio: Sorry"),
        (Reply(b"sorry", headers=(("Content-Type", "text/plain"),)), "200: text/plain in the place of audio: sorry"),
        (
            Reply(b'{"error": "busy"}', headers=(("Content-Type", "audio/wav"),)),
            "200: audio/wav in the place of audio: busy",
        ),
        (audio(b" <html>Welcome</html>", None), "200: text in the place of audio: Welcome"),
        (audio(tone("x"), "video/mp4"), "200: video/mp4 in the place of audio: "),
        (replies.cut(audio(tone("x"))), "200: its body breaks off"),
    ],
    ids=["empty", "json error", "json", "html", "text", "json as audio", "html untold", "video", "cut"],
)
def test_what_is_no_audio_is_garbled_and_asked_for_again(tmp_path: Path, reply: Reply, told: str) -> None:
    api, [entry], [heard] = say(once(reply), tmp_path / "again", "Hello")
    assert (entry.outcome, heard, len(api.requests)) == (ANSWER, tone("Hello"), 2)

    _, [entry], _ = say(lambda seen: reply, tmp_path / "never", "Hello", retries=1)
    assert entry.outcome == "garbled"
    assert " ".join((entry.detail or "").split()).startswith(told.strip())
    assert media_in(tmp_path / "never") == []


@pytest.mark.parametrize(
    ("reply", "outcome", "times"),
    [
        (replies.broken(500), "server_error", 3),
        (replies.broken(503), "server_error", 3),
        (replies.error(400, None, "No such voice."), "bad_request", 1),
        (replies.error(400, "string_above_max_length", "4,096 characters at most."), "prompt_too_long", 1),
    ],
)
def test_errors_are_those_of_any_request(tmp_path: Path, reply: Reply, outcome: str, times: int) -> None:
    api, [entry], _ = say(lambda seen: reply, tmp_path, "Hello", retries=2)
    assert (entry.outcome, len(api.requests)) == (outcome, times)


def test_a_busy_server_is_asked_again_after_what_it_says(tmp_path: Path) -> None:
    api, [entry], _ = say(once(replies.rate_limited(Retry_After="0.2")), tmp_path, "Hello", retries=0)
    assert entry.answered
    first, second = api.requests
    assert second.at - first.at >= 0.2


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            replies.wrong_key(KEY),
            "tts: 401: .*; set the variable that tts.api_key_env names to a key that is valid there",
        ),
        (replies.no_such_model("tts-9"), "tts: 404: .*; check tts.model and tts.base_url"),
        (replies.redirect("http://127.0.0.1:9/v1"), "tts: 307: .*; check tts.base_url"),
        (
            replies.error(400, "unsupported_parameter", "No speed."),
            "tts: 400: .*; check tts.instructions and tts.speed: ",
        ),
    ],
)
def test_what_every_text_would_meet_stops_the_build_and_names_the_recipes_fields(
    tmp_path: Path, reply: Reply, told: str
) -> None:
    with pytest.raises(BuildError, match=told) as caught:
        say(lambda seen: reply, tmp_path, "Hello")
    assert "llm" not in str(caught.value) and "Ab3dEf" not in str(caught.value)


def test_where_nobody_listens_the_field_is_named(tmp_path: Path) -> None:
    with serve(said) as gone:
        pass
    with (
        asks(gone.base_url, tmp_path, retries=0) as service,
        pytest.raises(BuildError, match=r"^tts\.base_url: no serv"),
    ):
        service.ask([speaking("Hello")])


def test_an_answer_of_20_mb_is_refused(tmp_path: Path) -> None:
    large = audio(tone("Hello") + bytes(20_000_000))
    _, [entry], _ = say(lambda seen: large, tmp_path, "Hello", retries=0)
    assert (entry.outcome, entry.detail) == ("garbled", "200: an answer of more than 16,000,000 bytes")
    assert media_in(tmp_path) == []


def test_the_longest_text_that_openai_takes_fits_as_it_is_sent() -> None:
    assert client_module.ANSWER_MAX > 5 * 60 * 24_000 * 2


# ---- paid once -------------------------------------------------------------------------------------------------------


def test_equal_texts_are_asked_for_once_also_while_they_are_in_flight(tmp_path: Path) -> None:
    api, entries, heard = say(lambda seen: said(seen).after(0.05), tmp_path, "a", "b", "a", "a")
    assert [seen.body["input"] for seen in sorted(api.requests, key=lambda seen: seen.body["input"])] == ["a", "b"]
    assert heard == [tone("a"), tone("b"), tone("a"), tone("a")]
    assert len({entry.id for entry in entries}) == 2


def test_what_was_spoken_once_is_heard_again_without_a_server(tmp_path: Path) -> None:
    say(said, tmp_path, "a", "b")
    api, _, heard = say(said, tmp_path, "b", "a")
    assert not api.requests and heard == [tone("b"), tone("a")]


def test_voice_speed_and_model_are_other_requests(tmp_path: Path) -> None:
    asked = [speaking("a"), speaking("a", "nova"), speaking("a", speed=1.5), speaking("a", instructions="Whisper.")]
    with serve(said) as api, asks(api.base_url, tmp_path) as service:
        service.ask(asked)
    assert len(api.requests) == 4
    assert len(media_in(tmp_path)) == 1, "equal sounds are one file"


@pytest.fixture
def damaged(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    say(said, tmp_path, "a", "b")
    [path] = [path for path in media_in(tmp_path) if path.name == hashlib.sha256(tone("a")).hexdigest()]
    if request.param is None:
        path.unlink()
    else:
        path.write_bytes(request.param(path.read_bytes()))
    yield tmp_path


@pytest.mark.parametrize(
    "damaged", [None, lambda data: b"", lambda data: data[:-1], lambda data: tone("b")], indirect=True
)
def test_audio_that_is_gone_or_is_other_audio_is_asked_for_again_once(damaged: Path) -> None:
    other = tone("a", seconds=0.4)  # no two answers of such a server need be equal
    with serve(lambda seen: audio(other)) as api, asks(api.base_url, damaged) as service:
        first = service.ask([speaking("a"), speaking("b")])
        assert [service.media(entry) for entry in first] == [other, tone("b")]
    assert [seen.body["input"] for seen in api.requests] == ["a"]
    assert service.told["lost_media"] == 1

    api, _, heard = say(said, damaged, "a", "b")
    assert not api.requests and heard == [other, tone("b")]
    assert totals(damaged).answers == 3, "what was paid stays paid"


def test_audio_that_is_lost_after_it_was_found_is_an_error_and_never_another_sound(tmp_path: Path) -> None:
    with serve(said) as api, asks(api.base_url, tmp_path) as service:
        [entry] = service.ask([speaking("a")])
        media_in(tmp_path)[0].write_bytes(tone("b"))
        with pytest.raises(
            BuildError, match=r"media/.*: is gone, or is not what was paid for; run the same command aga"
        ):
            service.media(entry)


def test_words_that_look_like_a_reference_are_words(tmp_path: Path) -> None:
    say(said, tmp_path, "a")
    ledger = Ledger(Store(tmp_path))
    ledger.refresh()
    [spoken] = ledger.find([speaking("a").hash]).values()
    written = replace(spoken, id="w", hash="1" * 64, finish_reason="stop", text=media.reference(b"lost", "audio/wav"))
    ledger.seal([written])
    assert ledger.find(["1" * 64]) == {"1" * 64: written} and not ledger.lost
    with pytest.raises(BuildError, match="is gone"):
        ledger.media(written)


# ---- kills and full disks --------------------------------------------------------------------------------------------


_CHILD = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [{root!r}]
from builders.llm import media, segments
from tests.builders.llm.spoken import asks, speaking

write = media.write

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def cut(ledger, data):
    os.fsync = kill
    write(ledger, data)

if {where!r} == "audio":
    media.write = cut
else:
    segments.write = kill
with asks({url!r}, Path({folder!r})) as service:
    service.ask([speaking("a")])
"""


@pytest.mark.faults
@pytest.mark.parametrize(
    ("where", "left"), [("audio", []), ("entry", [tone("a")])], ids=["in the audio", "before the entry"]
)
def test_a_kill_leaves_no_half_of_an_answer_and_the_text_is_asked_for_again(
    tmp_path: Path, where: str, left: list[bytes]
) -> None:
    root = str(Path(__file__).resolve().parents[3])
    with serve(said) as api:
        code = _CHILD.format(root=root, where=where, url=api.base_url, folder=str(tmp_path))
        ended = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL and len(api.requests) == 1
    assert [path.read_bytes() for path in media_in(tmp_path)] == left
    assert not list(tmp_path.glob("*.parquet"))

    Store(tmp_path).sweep()
    assert not (tmp_path / ".tmp").exists()
    api, _, heard = say(said, tmp_path, "a")
    assert len(api.requests) == 1 and heard == [tone("a")]
    assert [path.read_bytes() for path in media_in(tmp_path)] == [tone("a")]


def test_a_disk_without_room_for_the_audio_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(ledger: Ledger, data: bytes) -> None:
        raise BuildError("could not write the ledger: No space left on device")

    monkeypatch.setattr(Ledger, "keep", full)
    with pytest.raises(BuildError, match="No space left"):
        say(said, tmp_path, *[str(n) for n in range(9)])
    assert not list(tmp_path.glob("*.parquet"))


# ---- money -----------------------------------------------------------------------------------------------------------


def test_an_answer_costs_the_characters_of_its_text(tmp_path: Path) -> None:
    _, [entry, _], _ = say(said, tmp_path, "Hé \N{GRINNING FACE}", "abc", prices=PRICE)
    assert entry.usd == 4.0
    assert (totals(tmp_path).usd, totals(tmp_path).unpriced) == (7.0, 0)


def test_what_was_refused_costs_nothing_and_what_broke_off_may_have_been_billed(tmp_path: Path) -> None:
    say(once(replies.broken(500)), tmp_path / "refused", "abc", prices=PRICE)
    assert totals(tmp_path / "refused").usd == 3.0
    say(once(replies.cut(audio(tone("abc")))), tmp_path / "cut", "abc", prices=PRICE)
    assert totals(tmp_path / "cut").usd == 6.0


def test_money_is_never_passed_and_used_to_the_last_character(tmp_path: Path) -> None:
    texts = [f"{n:04}" for n in range(20)]
    with pytest.raises(
        BuildError, match=r"^tts\.max_usd: 40\.0000 of 42\.0 US dollars are spent, .* raise tts\.max_usd"
    ):
        say(lambda seen: said(seen).after(0.005), tmp_path, *texts, prices=PRICE, max_usd=42, concurrency=8)
    assert (totals(tmp_path).answers, totals(tmp_path).usd) == (10, 40.0)


# ---- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        audio(tone("a"), f"audio/{KEY.lower()}"),
        audio(tone("a")).with_headers(x_request_id=KEY),
        audio(tone("a") + b"LIST" + KEY.encode()),
        audio(KEY.encode(), "text/plain"),
        as_json({"error": {"message": f"Key {KEY} is busy."}}),
        replies.error(500, None, f"{KEY}"),
    ],
)
def test_a_key_that_the_server_repeats_reaches_neither_ledger_nor_media(tmp_path: Path, reply: Reply) -> None:
    _, [entry], _ = say(lambda seen: reply, tmp_path, "a", retries=0)
    everything = everything_in(tmp_path) + repr(entry).encode()
    assert KEY.encode() not in everything and KEY.lower().encode() not in everything


def test_a_short_key_that_stands_in_any_audio_and_in_any_name_spoils_nothing(tmp_path: Path) -> None:
    _, [entry], [heard] = say(said, tmp_path, "a", key="a")
    assert heard == tone("a")
    assert json.loads(entry.text or "")["type"] == HIDDEN


def test_without_a_key_none_is_sent(tmp_path: Path) -> None:
    api, _, heard = say(said, tmp_path, "a", key=None)
    assert heard == [tone("a")] and "authorization" not in api.requests[0].headers
