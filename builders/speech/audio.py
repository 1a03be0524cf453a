"""Encoded audio of strangers' as samples and back: WAV, FLAC, MP3, Ogg Vorbis and Opus, through libsndfile."""

from __future__ import annotations

import hashlib
import io
import math
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from builders.step import Rejected

MAX_BYTES = 256_000_000
"""A larger file is held by nobody: pieces of a long recording are read from the file itself."""
MAX_SECONDS = 600.0
"""No utterance is longer, and ten minutes at 48 kHz are 115 MB of samples."""
MAX_SAMPLES = 200_000_000
"""Of all channels together: more are a decompression bomb (FLAC packs silence 2,000 to 1)."""
SLACK = 0.1
"""Seconds by which a told end may miss the true one: lists round theirs, lossy codecs pad theirs."""

_KINDS = {"WAV": "wav", "WAVEX": "wav", "RF64": "wav", "FLAC": "flac", "MP3": "mp3", "OGG": "ogg"}
_NAMES = (b"RIFF", b"RF64", b"fLaC", b"OggS")
_UNKNOWN = 1 << 62
"""libsndfile tells about twice this many frames where a FLAC header tells none."""
_STREAMED = 0x7FFFF000
"""WAVs that were written to a pipe tell at least so many bytes."""
_BLOCK = 1 << 20
_MP3_LEAD = 32 * 1152
"""Samples decoded before a piece: an MP3 frame may need the bytes of frames before it, and is silent without."""
_PAGE = 65_307
"""Bytes of an Ogg page at most (RFC 3533)."""


class UnreadableAudio(ValueError):
    """Audio that is of no kind above, is damaged, or was cut off."""


@dataclass(frozen=True)
class Sound:
    """Mono samples in -1..1 (float32) at `rate` Hz."""

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class Header:
    """What encoded audio tells of itself. `kind` is the extension of such files; `seconds` None: it does not tell."""

    kind: str
    rate: int
    channels: int
    seconds: float | None


def header(data: bytes | BinaryIO) -> Header:
    """Without decoding. Raises UnreadableAudio."""
    with _opened(data) as (file, frames):
        kind = "opus" if file.subtype == "OPUS" else _KINDS[file.format]
        seconds = None if frames is None else frames / file.samplerate
        return Header(kind, file.samplerate, file.channels, seconds)


def decode(
    data: bytes | BinaryIO, start: float = 0.0, seconds: float | None = None, most: float = MAX_SECONDS
) -> Sound | Rejected:
    """The mean of the channels from `start` (seconds) on, `seconds` of it (None: to the end); no more is decoded.

    Samples beyond -1..1, as float files may hold, are cut to it. What is longer than `most` seconds, empty, or not all
    there is Rejected, before it is decoded. Raises UnreadableAudio.
    """
    if start < 0 or (seconds is not None and seconds <= 0):
        raise ValueError(f"a piece from {start} s on, {seconds} s long, is none")
    with _opened(data) as (file, frames):
        rate, first = file.samplerate, round(start * file.samplerate)
        limit = min(int(most * rate), MAX_SAMPLES // file.channels)
        last = first + limit + 1 if frames is None else frames
        if seconds is not None:
            end = first + round(seconds * rate)
            if frames is not None and end - last > SLACK * rate:
                return _outside(start, seconds, last / rate)
            last = min(end, last)
        if frames is not None and last - first > limit:
            return Rejected("too_long", f"{(last - first) / rate:.2f} s are over {limit / rate:.2f} s")
        samples = _read(file, first, last)
    missing = max(last - first, 0) - len(samples)
    if missing > SLACK * rate:
        if frames is not None:
            raise UnreadableAudio(f"cut off: it ends {missing / rate:.2f} s before the end that it tells")
        if seconds is not None:
            return _outside(start, seconds, start + len(samples) / rate)
    if len(samples) > limit:
        return Rejected("too_long", f"over {limit / rate:.2f} s")
    if not len(samples):
        return _outside(start, seconds, last / rate) if first else Rejected("empty_audio", "it holds no sample")
    if not math.isfinite(samples.min()) or not math.isfinite(samples.max()):
        raise UnreadableAudio("it holds samples that are no numbers")
    return Sound(np.clip(samples, -1.0, 1.0, out=samples), rate)


def resample(sound: Sound, rate: int) -> Sound:
    """The sound at `rate` Hz, by soxr at its very high quality.

    n samples become n * rate / old rate, a half rounded up. The filter may ring a little over -1..1 where a sound
    reaches its ends; that is cut.
    """
    if rate == sound.rate:
        return sound
    samples = soxr.resample(sound.samples, sound.rate, rate, quality="VHQ")
    return Sound(np.clip(samples, -1.0, 1.0, out=samples), rate)


def wave_of(sound: Sound, rate: int) -> bytes:
    """Its 16-bit samples (little-endian) at `rate` Hz: what is handed to the step that makes features."""
    return _as_16_bit(resample(sound, rate)).tobytes()


def sound_of(wave: bytes, rate: int) -> Sound:
    """The sound that `wave_of` wrote."""
    return Sound(np.frombuffer(wave, "<i2").astype(np.float32) / 32768, rate)


def resampled_length(samples: int, old: int, rate: int) -> int:
    """How many samples `resample` makes of so many at `old` Hz."""
    return samples if old == rate else (2 * samples * rate + old) // (2 * old)


def encode_flac(sound: Sound) -> bytes:
    """FLAC of 16 bit; the same sound gives the same bytes with one version of libsndfile."""
    out = io.BytesIO()
    soundfile.write(out, _as_16_bit(sound), sound.rate, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def sound_hash(sound: Sound) -> str:
    """SHA-256 in hex of what is heard: rate and 16-bit samples. A WAV and its FLAC have one hash, an MP3 another."""
    return hashlib.sha256(f"{sound.rate}\n".encode() + _as_16_bit(sound).tobytes()).hexdigest()


def text_hash(text: str) -> str:
    """SHA-256 in hex of a text's words: case, white space and punctuation do not count.

    Compatibility forms are one (NFKC), apostrophes are dropped, whatever else is no letter, mark or digit parts words.
    A text of such alone stands for itself.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = (c if unicodedata.category(c)[0] in "LMN" else "" if c in "'’ʼ" else " " for c in folded)
    words = " ".join("".join(kept).split()) or " ".join(folded.split())
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()


def _as_16_bit(sound: Sound) -> np.ndarray:
    samples = sound.samples * 32768.0  # the only copy: a fresh array costs more than what is done to it
    np.rint(samples, out=samples)
    return np.clip(samples, -32768, 32767, out=samples).astype("<i2")


def _outside(start: float, seconds: float | None, there: float) -> Rejected:
    piece = f"from {start:.2f} s on" if seconds is None else f"{start:.2f} to {start + seconds:.2f} s"
    return Rejected("outside_audio", f"{piece} of {there:.2f} s")


def _read(file: soundfile.SoundFile, first: int, last: int) -> np.ndarray:
    """Frames first..last as mono, block by block: channels are never held all at once."""
    blocks: list[np.ndarray] = []
    step = max(_BLOCK // file.channels, 1)
    try:
        lead = min(first, _MP3_LEAD) if file.format == "MP3" else 0
        if lead < first < last:
            file.seek(first - lead)
        file.seekable = lambda: False  # soundfile seeks after each block: it fails at an end untold, MP3 loses its lead
        file.read(lead)
        while first < last:
            block = file.read(min(step, last - first), dtype="float32", always_2d=True)
            if not len(block):
                break
            mono = block[:, 0] if file.channels == 1 else block.mean(axis=1, dtype=np.float64).astype(np.float32)
            blocks.append(mono)
            first += len(block)
    except (soundfile.SoundFileError, ValueError) as error:
        raise UnreadableAudio(f"{_told(error)}") from None
    return blocks[0] if len(blocks) == 1 else np.concatenate([np.zeros(0, np.float32), *blocks])


@contextmanager
def _opened(data: bytes | BinaryIO) -> Iterator[tuple[soundfile.SoundFile, int | None]]:
    """The audio, opened, and its frames, where it tells them; of kinds that speech comes in: libsndfile knows more."""
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    head = stream.read(12)
    if not head:
        raise UnreadableAudio("it has no bytes")
    known = head[:4] in _NAMES or head[:3] == b"ID3"
    if not known and not (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        raise UnreadableAudio("neither WAV, FLAC, MP3 nor Ogg")
    _check_whole(stream, head)
    guessed = head[:4] not in _NAMES and not _mp3_tells(stream, head)
    stream.seek(0)
    try:
        file = soundfile.SoundFile(stream)
    except (soundfile.SoundFileError, TypeError) as error:
        raise UnreadableAudio(f"{_told(error)}") from None
    with file:
        if file.format not in _KINDS:
            raise UnreadableAudio(f"{file.format} is neither WAV, FLAC, MP3 nor Ogg")
        yield file, None if file.frames > _UNKNOWN or (guessed and file.format == "MP3") else file.frames


def _mp3_tells(stream: BinaryIO, head: bytes) -> bool:
    """Whether the first frame tells how many follow; libsndfile guesses otherwise, 0.5% too many in a trial."""
    size = 0
    if head[:3] == b"ID3":  # 4 bytes of 7 bits
        size = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
    stream.seek(size)
    frame = stream.read(4096)
    return any(name in frame for name in (b"Xing", b"Info", b"VBRI"))


def _told(error: Exception) -> str:
    """What libsndfile says, without the address of the opened object, which no two runs share."""
    if isinstance(error, soundfile.LibsndfileError):
        return error.error_string.strip() or f"libsndfile error {error.code}"
    return str(error)


def _check_whole(stream: BinaryIO, head: bytes) -> None:
    """Raises UnreadableAudio for a WAV or Ogg that ends early: libsndfile reads what is there without a word."""
    end = stream.seek(0, io.SEEK_END)
    if head[:4] == b"OggS":
        stream.seek(max(end - _PAGE, 0))
        tail = stream.read()
        last = tail[tail.rfind(b"OggS") :]
        sizes = last[27 : 27 + last[26]] if len(last) > 27 else b""
        if not sizes or len(last) < 27 + last[26] + sum(sizes):
            raise UnreadableAudio("cut off: its last Ogg page is not whole")
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return
    at, a_second = 12, 0
    for _ in range(1000):  # chunks before the samples; files have a handful
        stream.seek(at)
        chunk = stream.read(20)
        size = int.from_bytes(chunk[4:8], "little")
        if len(chunk) < 8:
            return
        if chunk[:4] == b"fmt ":
            a_second = int.from_bytes(chunk[16:20], "little")
        if chunk[:4] == b"data":
            there = end - at - 8
            if size - there > SLACK * a_second and size < _STREAMED:
                raise UnreadableAudio(f"cut off: {size:,} bytes of samples are told, but {there:,} are there")
            return
        at += 8 + size + size % 2
