"""espeak-ng in its small process: the same bytes always, no command in a text, and nothing left behind."""

from __future__ import annotations

import ast
import gc
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from builders.speech import espeak
from builders.speech.audio import Sound
from builders.speech.checks import measure
from builders.speech.espeak import Espeak, find_voice, languages, variants
from builders.speech.speak import Utterance
from builders.step import Failed, Services
from schemas.errors import BuildError, UserError

pytestmark = pytest.mark.slow

LONG = "999999999999 " * 500
TEXTS = ["Good morning.", "The quick brown fox sees 25 dogs, and then it sleeps.", "Why?", "Good evening, Doctor."]


@pytest.fixture(scope="module")
def speaker() -> Iterator[Espeak]:
    with Espeak() as one:
        yield one


def _bytes(sound: Sound) -> bytes:
    assert sound.rate == 22_050 and sound.samples.dtype == np.float32
    return sound.samples.tobytes()


def _pid(one: Espeak) -> int:
    assert one._process is not None
    return one._process.running.pid


# ---- the same bytes --------------------------------------------------------------------------------------------------


def test_a_text_has_the_same_samples_in_any_order_and_any_process(speaker: Espeak) -> None:
    asked = [(text, voice) for text in TEXTS for voice in ("en-us", "en-gb+f3", "de+whisper")]
    first = {one: _bytes(speaker.speak(*one)) for one in asked}
    assert {one: _bytes(speaker.speak(*one)) for one in reversed(asked)} == first
    now = int(time.time())
    while int(time.time()) == now:  # espeak-ng would take its chance from the second in which it starts
        time.sleep(0.02)
    with Espeak() as other:
        assert {one: _bytes(other.speak(*one)) for one in asked[5:] + asked[:5]} == first
    assert len(set(first.values())) == len(asked)


def test_a_text_has_the_same_samples_whatever_the_environment_is(
    speaker: Espeak, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = _bytes(speaker.speak("Größe 3,5", "de"))
    for name, value in {"LC_ALL": "C", "LANG": "de_DE", "ESPEAK_DATA_PATH": str(tmp_path), "API_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit('not the json of the standard library')")
    with Espeak() as other:
        assert _bytes(other.speak("Größe 3,5", "de")) == expected
        assert Path(f"/proc/{_pid(other)}/environ").read_bytes() == b""


def test_rate_and_pitch_are_heard() -> None:
    with Espeak(rate=100) as slow, Espeak(rate=300) as fast, Espeak(rate=100, pitch=90) as high:
        sounds = [one.speak(TEXTS[1], "en-us") for one in (slow, fast, high)]
    assert sounds[0].seconds > 1.8 * sounds[1].seconds
    assert len({_bytes(sound) for sound in sounds}) == 3


# ---- how it sounds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voice", ["en-us", "en-us+f3", "en-gb", "en-gb-scotland+f2"])
def test_speech_is_as_long_and_as_loud_as_speech_is_and_does_not_clip(speaker: Espeak, voice: str) -> None:
    for text in TEXTS[:2]:
        told = measure(speaker.speak(text, voice))
        assert 120 < 60 * len(text.split()) / told["seconds"] < 260
        assert -30 < told["rms_db"] < -15 and told["peak"] < 0.95 and told["clipped"] == 0 and told["silence"] < 0.3


# ---- a text is a text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "as_if"),
    [
        ("<speak>Hello</speak> there", "speak, Hello, speak, there"),
        ("[[h@l'oU]] there", "h@l'oU there"),
        ("Hello \x0199P\x01250S there", "Hello 99P 250S there"),
        ("Hello \ue041\ue042 there", "Hello there"),
        ("Hello\x00 there", "Hello there"),
        ("Hello\ud800 there", "Hello there"),
    ],
)
def test_markup_phonemes_and_control_characters_are_no_commands(speaker: Espeak, text: str, as_if: str) -> None:
    heard, plain = (speaker.speak(one, "en-us").seconds for one in (text, as_if))
    assert heard == pytest.approx(plain, rel=0.25)


def test_tags_are_not_left_out(speaker: Espeak) -> None:
    assert speaker.speak("<speak>Hello</speak>", "en-us").seconds > 1.5 * speaker.speak("Hello", "en-us").seconds


# ---- voices ----------------------------------------------------------------------------------------------------------


def test_every_language_and_variant_that_is_told_can_be_spoken(speaker: Espeak) -> None:
    assert len(languages()) > 100 and len(variants()) > 50
    for voice in [*languages(), *(f"en-us+{variant}" for variant in variants())]:
        assert len(speaker.speak("1", voice).samples), voice


def test_a_language_of_several_files_is_spoken_from_its_own() -> None:
    assert {code: languages()[code] for code in ("en-us", "en-gb", "en", "pt", "es")} == {
        "en-us": "gmw/en-US",
        "en-gb": "gmw/en",
        "en": "gmw/en",
        "pt": "roa/pt",
        "es": "roa/es",
    }


@pytest.mark.parametrize(
    ("voice", "problem"),
    [
        ("klingon", r"tts\.voices: espeak has no voice 'klingon'; there are en-us, en-gb, de, fr, es and others"),
        ("en-xx", r"tts\.voices: espeak has no voice 'en-xx'; there are en, en-029, en-gb, .*en-us, .*and others"),
        ("en-us+nobody", r"tts\.voices: espeak has no variant 'nobody' for 'en-us\+nobody'; there are f1, f2, .*"),
        ("en-us+", r"tts\.voices: espeak has no variant ''"),
        ("../../etc/passwd", r"tts\.voices: espeak has no voice"),
        ("en-us+../../lang/gmw/de", r"tts\.voices: espeak has no variant"),
    ],
)
def test_an_unknown_voice_is_told_with_some_that_there_are(services: Services, voice: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        find_voice(voice)
    with pytest.raises(UserError, match=problem):
        Espeak((voice,)).setup(services)


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_process_that_died_is_started_again(speaker: Espeak) -> None:
    expected = _bytes(speaker.speak(TEXTS[0], "en-us"))
    dead = _pid(speaker)
    os.kill(dead, 9)
    assert _bytes(speaker.speak(TEXTS[0], "en-us")) == expected
    assert _pid(speaker) != dead


SAYS_RATE = "import os; body = b'{\"rate\": 22050}'; os.write(1, len(body).to_bytes(4, 'big') + body)"


@pytest.mark.parametrize(
    ("script", "error", "problem"),
    [
        (SAYS_RATE, RuntimeError, "espeak's process died, and again in a new one"),
        ("raise SystemExit(3)", BuildError, r"tts\.kind: espeak does not run here: its process ended at the start"),
        (SAYS_RATE.replace("22050", "16000"), BuildError, r"tts\.kind: espeak does not run here: .*16000"),
    ],
)
def test_a_process_that_cannot_run_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, error: type[Exception], problem: str
) -> None:
    path = tmp_path / "process.py"
    path.write_text(script)
    monkeypatch.setattr(espeak, "_SCRIPT", path)
    with Espeak() as one, pytest.raises(error, match=problem):
        one.speak("Hello", "en-us")


def test_a_library_without_its_data_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = espeak._installed() / "libespeak-ng.so"
    (tmp_path / library.name).symlink_to(library)
    find_voice("en-us")  # by the true data, which is remembered
    monkeypatch.setattr(espeak, "_installed", lambda: tmp_path)
    with Espeak() as one, pytest.raises(BuildError, match="espeak does not run here: .*does not start with the data"):
        one.speak("Hello", "en-us")


def test_a_package_that_is_missing_is_told_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tts\.kind: .*espeakng-loader; pip install 'gristmill\[build\]'"):
        espeak._installed.__wrapped__()


def test_a_text_that_takes_too_long_is_given_up_and_the_next_is_spoken(speaker: Espeak) -> None:
    speaker.speak("Hello", "en-us")
    assert speaker._process is not None
    request = {"text": LONG, "voice": "gmw/en-US", "rate": 80, "pitch": 50, "seconds": 0.01}
    with pytest.raises(ValueError, match=r"espeak: it took over 0\.01 s"):
        speaker._process.ask(request)
    with pytest.raises(ValueError, match="espeak: the voice could not be loaded"):
        speaker._process.ask(request | {"voice": "nobody"})
    with pytest.raises(ValueError, match="espeak: the speech is too long"):
        speaker._process.ask(request | {"seconds": 60})
    assert speaker.speak("Hello", "en-us").seconds < 1


def test_a_process_that_hangs_is_replaced(speaker: Espeak, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, stopped = _bytes(speaker.speak("Hello", "en-us")), _pid(speaker)
    os.kill(stopped, 19)
    monkeypatch.setattr(espeak, "_TIME_MAX", 1)
    monkeypatch.setattr(espeak, "_GRACE", 1)
    assert _bytes(speaker.speak("Hello", "en-us")) == expected
    assert _pid(speaker) != stopped and not _runs(stopped)


def test_one_text_that_is_not_spoken_is_one_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with Espeak() as one:
        answers = one.utter([Utterance(text, "en-us", 0) for text in ("Hello", LONG, "Hello")])
    assert answers[1] == Failed("not_spoken", "espeak: the speech is too long")
    assert isinstance(answers[0], Sound) and isinstance(answers[2], Sound)
    assert _bytes(answers[0]) == _bytes(answers[2])


def test_a_text_that_a_pipe_might_not_take_is_not_asked_for(speaker: Espeak) -> None:
    with pytest.raises(ValueError, match="espeak: 15001 characters; 15000 at most"):
        speaker.speak("a" * 15_001, "en-us")
    with pytest.raises(ValueError, match="espeak: the speech is too long"):
        speaker.speak("\U0001f600" * 15_000, "en-us")


# ---- the process -----------------------------------------------------------------------------------------------------


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_process_is_not_pickled_and_ends_with_its_speaker(services: Services) -> None:
    one = Espeak(("de",), rate=120)
    one.setup(services)
    pid = _pid(one)
    copy = pickle.loads(pickle.dumps(one))
    assert copy == one and copy._process is None
    one.setup(services)
    assert _pid(one) == pid and _runs(pid)
    one.close()
    one.close()
    assert not _runs(pid)
    with copy:
        pid = _pid(copy) if copy.speak("Hallo", "de") else 0
    assert not _runs(pid)
    copy.setup(services)
    pid = _pid(copy)
    del copy
    gc.collect()
    assert not _runs(pid)


def test_the_process_ends_where_its_worker_is_killed() -> None:
    code = (
        "import os; from builders.speech.espeak import Espeak; one = Espeak(); one.speak('a', 'en-us');"
        "print(one._process.running.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(ran.stdout)
    until = time.monotonic() + 30
    while _stat(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not _stat(pid)


def _stat(pid: int) -> bool:
    """Whether it runs; an orphan whose new parent has not looked yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_process_imports_the_standard_library_alone() -> None:
    tree = ast.parse(espeak._SCRIPT.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names) and "ctypes" in imported
