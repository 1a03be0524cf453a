"""What speech units are compared with: a plain loop over the libraries that the steps call.

`python -m benchmarks.speech_bare FOLDER VOCABULARY OUT I N` writes the units of every N-th file of an LJSpeech folder,
the I-th first, with their texts as JSON lines. It has no limits, no levels, no hashes, no index, no shards, no SHA-256,
and cannot resume. Prints as JSON the seconds of all but the interpreter's start and the imports, and those of its CPU.
"""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import soundfile
import soxr

from builders.speech.vocabulary import Vocabulary, load_vocabulary

RATE = 16_000


class Bare:
    """Speech to units by a vocabulary of mfcc."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._twice = np.ascontiguousarray(2 * vocabulary.centroids.T)
        self._squares = (vocabulary.centroids**2).sum(1)

    def units(self, data: bytes) -> tuple[str, list[int]]:
        """The units of encoded audio as SpeechGPT writes them, and for how many frames each holds."""
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
        if rate != RATE:
            samples = soxr.resample(samples, rate, RATE, quality="VHQ")
        return self.of(samples)

    def of(self, samples: np.ndarray) -> tuple[str, list[int]]:
        """The same of samples at 16 kHz."""
        nearest = (self._squares - self._features(samples) @ self._twice).argmin(1)
        starts = np.flatnonzero(np.diff(nearest, prepend=-1))
        text = "".join(f"<{unit}>" for unit in nearest[starts].tolist())
        return f"<sosp>{text}<eosp>", np.diff(starts, append=len(nearest)).tolist()

    def _features(self, samples: np.ndarray) -> np.ndarray:
        options = kaldi_native_fbank.MfccOptions()
        options.frame_opts.samp_freq, options.frame_opts.dither = RATE, 0.0
        options.use_energy, options.num_ceps = False, 13
        mfcc = kaldi_native_fbank.OnlineMfcc(options)
        mfcc.accept_waveform(RATE, samples.tolist())  # as the step does: with an array the loop is slower than it
        mfcc.input_finished()
        cepstra = np.array([mfcc.get_frame(i) for i in range(mfcc.num_frames_ready)])
        slopes = _slopes(cepstra)
        return np.concatenate([cepstra, slopes, _slopes(slopes)], 1)


def _slopes(frames: np.ndarray) -> np.ndarray:
    wide = np.pad(frames, ((2, 2), (0, 0)), mode="edge")
    return (wide[3:-1] - wide[1:-3] + 2 * (wide[4:] - wide[:-4])) / np.float32(10)


def main(folder: str, vocabulary: str, out: str, first: str, every: str) -> None:
    """Write this process's share."""
    began, cpu = time.perf_counter(), time.process_time()
    bare = Bare(load_vocabulary(vocabulary))
    lines = Path(folder, "metadata.csv").read_text().splitlines()
    with Path(out).open("w") as file:
        for line in lines[int(first) :: int(every)]:
            key, _, text = line.split("|")
            units, durations = bare.units(Path(folder, "wavs", f"{key}.wav").read_bytes())
            file.write(json.dumps({"key": key, "text": text, "units": units, "durations": durations}) + "\n")
    print(json.dumps({"whole": time.perf_counter() - began, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
