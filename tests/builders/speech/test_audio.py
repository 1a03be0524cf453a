"""Audio as samples and back: every format, pieces of it, and what is refused before or while it is decoded."""

from __future__ import annotations

import io
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.dice import Dice
from builders.speech import audio
from builders.speech.audio import (
    Header,
    Sound,
    UnreadableAudio,
    decode,
    encode_flac,
    header,
    resample,
    sound_hash,
    text_hash,
)
from builders.step import Rejected

RATE = 16_000


def tone(seconds: float = 1.0, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    found: np.ndarray = (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)
    return found


def encoded(samples: np.ndarray, kind: str = "WAV", subtype: str | None = None, rate: int = RATE) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind, subtype=subtype)
    return out.getvalue()


def heard(data: bytes, *piece: Any, **limits: Any) -> Sound:
    sound = decode(data, *piece, **limits)
    assert isinstance(sound, Sound), sound
    return sound


def refused(data: bytes, *piece: Any, **limits: Any) -> Rejected:
    answer = decode(data, *piece, **limits)
    assert isinstance(answer, Rejected)
    return answer


FORMATS = [
    ("WAV", "PCM_U8", "wav", 0.01),
    ("WAV", "PCM_16", "wav", 1e-4),
    ("WAV", "PCM_24", "wav", 1e-6),
    ("WAV", "PCM_32", "wav", 1e-6),
    ("WAV", "FLOAT", "wav", 0),
    ("WAV", "DOUBLE", "wav", 0),
    ("WAV", "ULAW", "wav", 0.02),
    ("WAVEX", "PCM_16", "wav", 1e-4),
    ("RF64", "PCM_16", "wav", 1e-4),
    ("FLAC", "PCM_16", "flac", 1e-4),
    ("FLAC", "PCM_24", "flac", 1e-6),
    ("MP3", None, "mp3", 0.05),
    ("OGG", "VORBIS", "ogg", 0.05),
    ("OGG", "OPUS", "opus", 0.05),
]

# ---- decoding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "subtype", "told", "near"), FORMATS)
def test_every_format_is_heard_as_it_was_said(kind: str, subtype: str, told: str, near: float) -> None:
    data = encoded(tone(), kind, subtype)
    sound = heard(data)
    assert header(data) == Header(told, RATE, 1, 1.0)
    assert (sound.rate, sound.seconds, sound.samples.dtype) == (RATE, 1.0, np.float32)
    assert np.abs(sound.samples - tone())[800:-800].max() <= near


@pytest.mark.parametrize(("kind", "subtype"), [row[:2] for row in FORMATS])
def test_a_piece_is_that_part_of_the_whole(kind: str, subtype: str) -> None:
    data = encoded(np.concatenate([tone(hertz=200 + 100 * i) for i in range(4)]), kind, subtype)
    whole, piece, rest = heard(data), heard(data, 1.25, 0.5), heard(data, 3.5)
    assert np.abs(piece.samples - whole.samples[20_000:28_000]).max() < 1e-6
    assert np.abs(rest.samples - whole.samples[56_000:]).max() < 1e-6


def test_a_piece_is_read_without_what_stands_before_and_behind() -> None:
    class Counting(io.BytesIO):
        count = 0

        def readinto(self, buffer: Any) -> int:
            self.count += len(buffer)
            return super().readinto(buffer)

    stream = Counting(encoded(np.tile(tone(), 60)))
    sound = decode(stream, 30.0, 0.5)
    assert isinstance(sound, Sound) and sound.seconds == 0.5
    assert 16_000 <= stream.count < 100_000


def test_channels_become_their_mean() -> None:
    data = encoded(np.stack([tone(), np.zeros(RATE, np.float32), tone()], axis=1), "WAV", "FLOAT")
    assert header(data).channels == 3
    assert np.allclose(heard(data).samples, tone() * 2 / 3, atol=1e-7)


def test_samples_beyond_the_scale_are_cut_to_it() -> None:
    sound = heard(encoded(np.array([0.5, 3.0, -1e30, 1.0], np.float32), "WAV", "FLOAT"))
    assert sound.samples.tolist() == [0.5, 1.0, -1.0, 1.0]


def test_a_sound_of_many_blocks_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "_BLOCK", 1000)
    assert np.array_equal(heard(encoded(tone(), "FLAC", "PCM_24")).samples.shape, (RATE,))
    stereo = encoded(np.stack([tone(), tone()], axis=1), "WAV", "FLOAT")
    assert np.array_equal(heard(stereo, 0.1, 0.8).samples, tone()[1600:14_400])


def test_an_mp3_behind_tags_is_heard() -> None:
    tags = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
    assert heard(tags + encoded(tone(), "MP3")).seconds == 1.0


# ---- what is unwanted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("piece", "detail"),
    [
        ((2.0,), "from 2.00 s on of 1.00 s"),
        ((1.0,), "from 1.00 s on of 1.00 s"),
        ((0.5, 1.0), "0.50 to 1.50 s of 1.00 s"),
        ((3.0, 1.0), "3.00 to 4.00 s of 1.00 s"),
    ],
)
def test_a_piece_that_the_audio_does_not_hold_is_rejected(piece: tuple[float, ...], detail: str) -> None:
    assert refused(encoded(tone()), *piece) == Rejected("outside_audio", detail)


@pytest.mark.parametrize("piece", [(-0.5,), (0.0, 0.0), (0.0, -1.0), (float("nan"),)])
def test_a_piece_that_is_none_is_a_mistake_of_the_caller(piece: tuple[float, ...]) -> None:
    with pytest.raises(ValueError):
        decode(encoded(tone()), *piece)


def test_a_piece_may_end_a_rounding_behind_the_audio() -> None:
    assert heard(encoded(tone()), 0.5, 0.55).seconds == 0.5


def test_audio_without_a_sample_is_rejected() -> None:
    assert refused(encoded(tone(0))).reason == "empty_audio"


def test_what_is_too_long_is_rejected_undecoded_and_a_piece_of_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(tone(3.0), "FLAC")
    assert heard(data, 1.0, 2.0, most=2.0).seconds == 2.0
    monkeypatch.setattr(audio, "_read", lambda *_: pytest.fail("was decoded"))
    assert refused(data, most=2.9) == Rejected("too_long", "3.00 s are over 2.90 s")


def test_a_bomb_of_silence_is_rejected_undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(np.zeros((40_000, 8), np.int16), "FLAC", rate=8000)
    assert len(data) < 2000  # of 640,000 bytes of samples
    monkeypatch.setattr(audio, "MAX_SAMPLES", 300_000)
    monkeypatch.setattr(audio, "_read", lambda *_: pytest.fail("was decoded"))
    assert refused(data) == Rejected("too_long", "5.00 s are over 4.69 s")


def lengthless(seconds: float) -> bytes:
    """A FLAC from a pipe: its header tells no number of samples (36 bits from the middle of byte 21 on)."""
    data = bytearray(encoded(tone(seconds), "FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return bytes(data)


def test_a_flac_that_does_not_tell_its_length_is_read_to_its_end_and_no_further_than_the_limit() -> None:
    data = lengthless(3.0)
    assert header(data).seconds is None
    assert heard(data).seconds == 3.0
    assert heard(data, 1.0, 0.5).seconds == 0.5
    assert refused(data, most=2.0) == Rejected("too_long", "over 2.00 s")
    assert refused(data, 2.5, 1.0) == Rejected("outside_audio", "2.50 to 3.50 s of 3.00 s")


def test_a_long_piece_of_audio_that_does_not_tell_its_length_is_decoded_to_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    real = audio._read
    monkeypatch.setattr(audio, "_read", lambda file, first, last: asked.append(last) or real(file, first, last))
    assert refused(lengthless(3.0), 0.5, 1e6, most=1.0) == Rejected("too_long", "over 1.00 s")
    assert asked == [8000 + RATE + 1]


def test_an_mp3_that_does_not_tell_its_length_is_read_to_its_end() -> None:
    out = io.BytesIO()
    samples = np.tile(tone(rate=22_050), 60)
    soundfile.write(out, samples, 22_050, format="MP3", compression_level=0.99, bitrate_mode="CONSTANT")
    data = out.getvalue()
    assert header(data).seconds is None
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert file.frames / 22_050 > 60.2  # what libsndfile guesses
    assert 60 <= heard(data).seconds < 60.1


# ---- what is unreadable ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it has no bytes"),
        (b"a", "neither WAV, FLAC, MP3 nor Ogg"),
        (b"<html>not found</html>", "neither WAV, FLAC, MP3 nor Ogg"),
        (b"RIFF", "Format not recognised"),
        (b"RIFF\x04\x00\x00\x00WAVE", "."),
        (b"fLaC" + bytes(100), "."),
        (b"OggS", "cut off: its last Ogg page is not whole"),
        (b"\xff\xfb" + bytes(1000), "."),
        (b"ID3" + bytes(100), "."),
    ],
)
def test_what_is_no_audio_is_an_error_in_one_line_without_addresses(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableAudio, match=why) as error:
        decode(data)
    assert "\n" not in str(error.value) and "0x" not in str(error.value) and str(error.value)


def test_formats_that_speech_does_not_come_in_are_not_opened() -> None:
    with pytest.raises(UnreadableAudio, match="neither WAV, FLAC, MP3 nor Ogg"):
        header(encoded(tone(), "AIFF"))


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3", "OGG"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_audio_that_was_cut_off_is_never_taken_for_whole(kind: str, share: float) -> None:
    data = encoded(np.tile(tone(), 5), kind)
    with pytest.raises(UnreadableAudio):
        decode(data[: int(len(data) * share)])


def test_opus_that_was_cut_off_inside_a_page_is_not_taken_for_whole() -> None:
    data = encoded(np.tile(tone(), 5), "OGG", "OPUS")
    with pytest.raises(UnreadableAudio, match="cut off"):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_from_a_pipe_which_does_not_tell_its_size_is_whole(size: int) -> None:
    data = bytearray(encoded(tone()))
    data[40:44] = size.to_bytes(4, "little")
    assert heard(bytes(data)).seconds == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_an_error(bad: float) -> None:
    samples = tone()
    samples[5] = bad
    with pytest.raises(UnreadableAudio, match="no numbers"):
        decode(encoded(samples, "WAV", "FLOAT"))


@pytest.mark.slow
@settings(max_examples=150)
@given(st.sampled_from(["WAV", "FLAC", "MP3", "OGG"]), st.floats(0, 1), st.binary(min_size=1, max_size=40))
def test_damaged_audio_is_decoded_rejected_or_an_error_of_its_own(kind: str, at: float, damage: bytes) -> None:
    data = encoded(tone(0.3), kind)
    start = int(at * len(data))
    try:
        answer = decode(data[:start] + damage + data[start + len(damage) :], most=60)
    except UnreadableAudio:
        return
    if isinstance(answer, Sound):
        assert np.isfinite(answer.samples).all() and np.abs(answer.samples).max() <= 1
        assert answer.seconds <= 60


# ---- rates -----------------------------------------------------------------------------------------------------------

rates = st.sampled_from([8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])


@settings(max_examples=60)
@given(st.integers(0, 9000), rates, rates)
def test_the_length_follows_the_rates(count: int, old: int, new: int) -> None:
    sound = resample(Sound(np.zeros(count, np.float32), old), new)
    assert len(sound.samples) == (2 * count * new + old) // (2 * old)
    assert sound.rate == new


@pytest.mark.parametrize("old", [8000, 22_050, 44_100, 48_000])
def test_a_tone_stays_the_same_tone(old: int) -> None:
    sound = resample(Sound(tone(rate=old), old), RATE)
    assert np.abs(sound.samples - tone())[800:-800].max() < 1e-4


def test_what_the_new_rate_cannot_hold_is_filtered_out() -> None:
    sound = resample(Sound(tone(rate=44_100, hertz=10_000), 44_100), RATE)
    assert np.abs(sound.samples)[800:-800].max() < 1e-4


def test_the_same_rate_changes_nothing_and_a_step_to_full_scale_stays_in_it() -> None:
    sound = Sound(np.ones(4000, np.float32), 8000)
    assert resample(sound, 8000) is sound
    assert np.abs(resample(sound, RATE).samples).max() == 1.0


# ---- encoding and hashes ---------------------------------------------------------------------------------------------

noise = st.lists(st.integers(-32768, 32767), min_size=1, max_size=300)


@settings(max_examples=50)
@given(noise)
def test_16_bit_samples_come_out_of_flac_as_they_went_in(samples: list[int]) -> None:
    sound = Sound((np.array(samples) / 32768).astype(np.float32), RATE)
    assert np.array_equal(heard(encode_flac(sound)).samples, sound.samples)


ENCODE = """
import sys, hashlib, numpy as np
from builders.speech.audio import *
sound = resample(Sound(np.frombuffer(sys.stdin.buffer.read(), "<f4"), 22050), 16000)
print(hashlib.sha256(encode_flac(sound)).hexdigest(), sound_hash(sound))
"""


@pytest.mark.slow
def test_another_process_resamples_and_encodes_to_the_same_bytes() -> None:
    dice = Dice(0, "noise")
    sound = Sound(np.array([dice.between(-1, 1) for _ in range(22_050)], np.float32), 22_050)
    here = resample(sound, RATE)
    there = subprocess.run(
        [sys.executable, "-c", ENCODE], input=sound.samples.tobytes(), capture_output=True, check=True
    ).stdout.decode()
    assert there.split() == [sha256(encode_flac(here)).hexdigest(), sound_hash(here)]
    assert encode_flac(here) == encode_flac(resample(sound, RATE))


def test_a_sample_at_the_upper_end_does_not_wrap() -> None:
    sound = heard(encode_flac(Sound(np.array([1.0, -1.0, 0.0], np.float32), RATE)))
    assert sound.samples.tolist() == [32767 / 32768, -1.0, 0.0]


def test_what_sounds_alike_has_one_hash_whatever_holds_it() -> None:
    samples = (tone() * 32_767).astype(np.int16)
    hashes = {sound_hash(heard(encoded(samples, kind, "PCM_16"))) for kind in ("WAV", "FLAC", "RF64")}
    assert len(hashes) == 1
    assert sound_hash(heard(encoded(tone(), "MP3"))) not in hashes
    assert sound_hash(Sound(heard(encoded(tone())).samples, 8000)) not in hashes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello, World!", "hello   world"),
        ("Don’t", "don't"),
        ("don't", "dont"),
        ("ﬁne", "FINE"),
        ("Straße", "STRASSE"),
        ("cafe\u0301", "café"),
        ("a-b", "a b"),
        (" ?! ", "?!"),
    ],
)
def test_texts_of_the_same_words_have_one_hash(one: str, other: str) -> None:
    assert text_hash(one) == text_hash(other)


@pytest.mark.parametrize(("one", "other"), [("a b", "ab"), ("one", "two"), ("café", "cafe"), ("?", "!"), ("1", "2")])
def test_texts_of_other_words_have_other_hashes(one: str, other: str) -> None:
    assert text_hash(one) != text_hash(other)


@given(st.text())
def test_any_text_has_a_hash_and_case_never_matters(text: str) -> None:
    assert text_hash(text) == text_hash(f"\n {text} ") and len(text_hash(text)) == 64


# ---- real recordings -------------------------------------------------------------------------------------------------


def test_real_recordings_are_decoded(shared: Path) -> None:
    files = [*sorted((shared / "data/speech/ljspeech").glob("*.flac")), *(shared / "data/speech/fsdd").glob("*.wav")]
    sounds = [heard(file.read_bytes()) for file in files]
    assert {sound.rate for sound in sounds} == {22_050, 8000}
    assert all(0.1 < sound.seconds < 11 and np.abs(sound.samples).max() > 0.01 for sound in sounds)
