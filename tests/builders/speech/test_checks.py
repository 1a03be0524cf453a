"""What is told of an utterance, and which it must be rejected for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from builders.speech.audio import Sound, encode_flac, resampled_length, sound_hash, sound_of, text_hash
from builders.speech.checks import AudioLimits, CheckAudio, broken_limit, measure
from builders.step import Failed, Record, Rejected, Result

RATE = 16_000


def tone(seconds: float = 1.0, level: float = 0.5, rate: int = RATE) -> Sound:
    return Sound((level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32), rate)


def joined(*sounds: Sound) -> Sound:
    return Sound(np.concatenate([sound.samples for sound in sounds]), RATE)


def nothing(seconds: float) -> Sound:
    return tone(seconds, 0.0)


def checked(data: bytes, text: str | None = "said", **limits: Any) -> Result:
    (result,) = CheckAudio(AudioLimits(**limits), wave=False)([{"_audio": data, "text": text}])
    return result


def kept(data: bytes, text: str | None = "said", **limits: Any) -> Record:
    result = checked(data, text, **limits)
    assert isinstance(result, dict), result
    return result


def why(sound: Sound, **limits: Any) -> str | None:
    result = checked(encode_flac(sound), **limits)
    return result.reason if isinstance(result, Rejected) else None


# ---- measures --------------------------------------------------------------------------------------------------------


def test_an_utterance_is_told_by_its_source_and_by_what_is_heard() -> None:
    out = io.BytesIO()
    sound = tone(0.5, 0.5, 22_050)
    soundfile.write(out, np.stack([sound.samples] * 2, axis=1), 22_050, format="WAV", subtype="FLOAT")
    told = kept(out.getvalue())
    assert told == {
        "audio_format": "wav",
        "sample_rate": 22_050,
        "channels": 2,
        "samples": 11_025,
        "seconds": 0.5,
        "rms_db": -9.03,
        "peak": 0.5,
        "clipped": 0.0,
        "silence": 0.0,
        "audio_sha256": sound_hash(sound),
        "text_sha256": text_hash("said"),
    }
    assert told.keys() == CheckAudio(wave=False).adds.keys()


def test_audio_without_text_has_no_hash_of_it() -> None:
    assert kept(encode_flac(tone()), None)["text_sha256"] is None


@pytest.mark.parametrize(
    ("samples", "level"), [([1.0, -1.0], 0.0), ([0.1] * 4, -20.0), ([0.001], -60.0), ([0.0], -120.0), ([], -120.0)]
)
def test_the_level_is_that_of_a_square_wave_at_full_scale(samples: list[float], level: float) -> None:
    assert measure(Sound(np.array(samples, np.float32), RATE))["rms_db"] == level


def test_silence_is_what_is_40_db_below_the_loudest_frame_however_loud_that_is() -> None:
    for level in (0.9, 0.01):
        assert measure(joined(tone(0.6, level), tone(0.2, level * 0.009), nothing(0.2)))["silence"] == 0.4
        assert measure(joined(tone(0.6, level), tone(0.4, level * 0.02)))["silence"] == 0.0
    assert measure(nothing(1.0))["silence"] == 1.0


@given(st.lists(st.floats(-1, 1, width=32), max_size=2000), st.sampled_from([8000, 44_100]))
def test_measures_of_any_sound_are_numbers_in_their_range(samples: list[float], rate: int) -> None:
    told = measure(Sound(np.array(samples, np.float32), rate))
    assert -120 <= told["rms_db"] <= 0 and all(0 <= told[name] <= 1 for name in ("peak", "clipped", "silence"))


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_plain_speech_keeps_all_limits() -> None:
    assert why(joined(nothing(0.4), tone(0.6), nothing(0.4))) is None


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (tone(0.09), "too_short"),
        (tone(30.1), "too_long"),
        (tone(rate=7999), "low_rate"),
        (tone(level=0.0013), "silent"),
        (nothing(1.0), "silent"),
        (joined(tone(0.18), nothing(0.82)), "mostly_silent"),
        (joined(tone(0.9), Sound(np.ones(17, np.float32), RATE)), "clipped"),
    ],
)
def test_what_breaks_a_limit_is_rejected_by_its_name(sound: Sound, reason: str) -> None:
    assert why(sound) == reason


@pytest.mark.parametrize(
    ("sound", "limits"),
    [
        (tone(0.09), {"min_seconds": 0.09}),
        (tone(30.1), {"max_seconds": 30.1}),
        (tone(rate=7999), {"min_rate": 7999}),
        (tone(level=0.0013), {"min_rms_db": -62}),
        (nothing(1.0), {"min_rms_db": -120, "max_silence": 1.0}),
        (joined(tone(0.18), nothing(0.82)), {"max_silence": 0.82}),
        (joined(tone(0.9), Sound(np.ones(17, np.float32), RATE)), {"max_clipped": 0.002}),
    ],
)
def test_a_limit_may_be_set_and_what_meets_it_is_kept(sound: Sound, limits: dict[str, float]) -> None:
    assert why(sound, **limits) is None


def test_what_is_known_of_a_rejected_utterance_stands_with_it() -> None:
    result = checked(encode_flac(nothing(1.0)))
    assert isinstance(result, Rejected) and result.known.keys() == CheckAudio(wave=False).adds.keys()
    assert result.detail == "-120.0 dB are under -60"
    long = checked(encode_flac(tone(3.0)), max_seconds=2.0)
    assert isinstance(long, Rejected)
    assert long.known == {"audio_format": "flac", "sample_rate": RATE, "channels": 1, "seconds": 3.0}


def test_the_samples_are_handed_on_at_16_khz_beside_the_same_facts() -> None:
    sound = tone(0.5, 0.5, 22_050)
    (found,) = CheckAudio()([{"_audio": encode_flac(sound), "text": "said"}])
    assert isinstance(found, dict)

    wave = sound_of(found.pop("_wave"), RATE)

    assert found == kept(encode_flac(sound))
    assert len(wave.samples) == resampled_length(11_025, 22_050, RATE) == 8000
    middle = slice(1000, 7000)  # the filter rings at the ends of a tone that is cut
    assert np.abs(wave.samples - tone(0.5, 0.5).samples)[middle].max() < 1e-3


def test_unreadable_audio_has_failed_and_its_neighbours_have_not() -> None:
    good = {"_audio": encode_flac(tone()), "text": "said"}
    first, bad, last = CheckAudio()([good, {"_audio": b"<html>", "text": "said"}, good])
    assert bad == Failed("unreadable_audio", "neither WAV, FLAC, MP3 nor Ogg")
    assert first == last and isinstance(first, dict)


def test_the_limits_can_be_asked_of_any_sound_that_was_measured() -> None:
    told = {**measure(nothing(1.0)), "sample_rate": RATE}
    assert broken_limit(told, AudioLimits()) == Rejected("silent", "-120.0 dB are under -60")
    assert broken_limit({**measure(tone(40)), "sample_rate": RATE}, AudioLimits()) == Rejected(
        "too_long", "40.0 s are over 30"
    )


def test_real_recordings_keep_the_limits(shared: Path) -> None:
    folder = shared / "data" / "speech"
    files = [*folder.glob("ljspeech/*.flac"), *folder.glob("fsdd/*.wav")]
    told = [kept(file.read_bytes()) for file in files]
    assert len(told) == 106 and min(one["rms_db"] for one in told) < -45
