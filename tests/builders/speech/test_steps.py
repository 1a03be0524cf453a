"""The steps from samples to units: what they say before, what they make, and that it depends on one utterance alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from builders.speech.audio import Sound, UnreadableAudio, encode_flac, sound_hash, sound_of, wave_of
from builders.speech.checks import CheckAudio
from builders.speech.extract import Extractor, HubertLayer, Mfcc
from builders.speech.features import mfcc, mfcc_spec
from builders.speech.hubert import find_hubert
from builders.speech.steps import HALVED, AddFeatures, CountFrames, HearSpeech, ToUnits, from_npy, npy
from builders.speech.units import merge, parse_units
from builders.speech.vocabulary import Vocabulary
from builders.step import Record, Rejected, Services, Step
from tests.builders.speech.test_hubert import tiny

UNITS = re.compile(r"^<sosp>(<\d{1,3}>)*<eosp>$")
"""By facts.md section 3, for up to 1000 units."""


def sweep(samples: int, rate: int = 16_000, start: float = 200.0) -> Sound:
    """A tone that rises: its frames are not alike."""
    at = np.arange(samples) / rate
    return Sound((0.4 * np.sin(2 * np.pi * (start + 600 * at) * at)).astype(np.float32), rate)


def heard(*sounds: Sound) -> list[Record]:
    return [{"_wave": wave_of(sound, 16_000)} for sound in sounds]


@cache
def vocabulary() -> Vocabulary:
    """12 centres that are frames of sweeps."""
    frames = np.concatenate([mfcc(sweep(16_000, start=start)) for start in (100.0, 500.0, 2000.0)])
    return Vocabulary(mfcc_spec(), np.ascontiguousarray(frames[:: len(frames) // 12][:12]))


SPOKEN = [sweep(16_000), sweep(400), sweep(40_000, start=900), sweep(7777, start=50), sweep(16_000, start=1500)]


# ---- counted before --------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 8000),
    st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000]) | st.integers(4000, 96_000),
)
def test_as_many_frames_are_counted_as_there_are(samples: int, rate: int) -> None:
    (counted,) = CountFrames(Mfcc())([{"samples": samples, "sample_rate": rate}])
    (made,) = AddFeatures(Mfcc())(heard(sweep(samples, rate)))
    if isinstance(counted, Rejected):
        assert made == counted
    else:
        assert isinstance(made, dict) and isinstance(counted, dict)
        assert len(from_npy(made["_features"])) == counted["frames"]


def test_frames_are_counted_of_what_the_check_tells() -> None:
    """The two steps that stand before it in a build hand over what it reads."""
    record = {"_audio": encode_flac(sweep(11_025, 22_050)), "text": None}
    (checked,) = CheckAudio(wave=True)([record])
    assert isinstance(checked, dict)
    assert CountFrames(Mfcc())([checked]) == [{"frames": 48}]
    (made,) = AddFeatures(Mfcc())([checked])
    assert isinstance(made, dict)
    assert from_npy(made["_features"]).shape == (48, 39)


# ---- features --------------------------------------------------------------------------------------------------------


def test_features_travel_as_numpys_own_file_and_come_back() -> None:
    (made,) = AddFeatures(Mfcc())(heard(sweep(16_000)))
    assert isinstance(made, dict)
    read = from_npy(made["_features"])
    assert read.dtype == np.float32
    assert np.array_equal(read, mfcc(sound_of(wave_of(sweep(16_000), 16_000), 16_000)))
    assert npy(read) == made["_features"]


def test_objects_are_neither_written_nor_read() -> None:
    """They would be pickled."""
    with pytest.raises(ValueError, match="allow_pickle=False"):
        npy(np.array([{}], dtype=object))
    file = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    with pytest.raises(ValueError, match="allow_pickle=False"):
        from_npy(file + head + b"cposix\nsystem\n(S'true'\ntR.")


# ---- units -----------------------------------------------------------------------------------------------------------


def to_units(records: list[Record]) -> list[Any]:
    return list(ToUnits(Mfcc(), vocabulary())(records))


def test_units_are_written_as_the_paper_does_with_how_long_each_holds() -> None:
    (made,) = to_units(heard(sweep(16_000)))
    assert UNITS.match(made["_units"])
    ids = parse_units(made["_units"])
    assert all(a != b for a, b in pairwise(ids))
    assert made["n_units"] == len(ids) == len(made["_durations"]) > 3
    assert made["n_frames"] == sum(made["_durations"]) == 98


def test_repeats_are_merged_as_in_the_papers_example() -> None:
    class Fixed(Mfcc):
        """Features that are the numbers 5 5 5 7 7 5."""

        def __call__(self, sounds: Sequence[Sound]) -> list[np.ndarray]:
            return [np.array([[n] * 39 for n in (5, 5, 5, 7, 7, 5)], np.float32) for _ in sounds]

    nine = Vocabulary(mfcc_spec(), np.repeat(np.arange(9, dtype=np.float32)[:, None], 39, axis=1))
    (made,) = ToUnits(Fixed(), nine)(heard(sweep(400)))
    assert made == {"_units": "<sosp><5><7><5><eosp>", "_durations": [3, 2, 1], "n_units": 3, "n_frames": 6}


@cache
def units_alone() -> list[Any]:
    return [to_units([record])[0] for record in heard(*SPOKEN)]


@pytest.mark.slow
@given(st.permutations(range(len(SPOKEN))), st.integers(1, len(SPOKEN)))
def test_units_depend_on_the_utterance_alone(order: list[int], size: int) -> None:
    records = heard(*SPOKEN)
    alone = units_alone()
    shuffled = [records[i] for i in order]
    batched = [made for start in range(0, len(order), size) for made in to_units(shuffled[start : start + size])]
    assert batched == [alone[i] for i in order]


def test_what_has_no_frame_is_rejected_and_its_neighbours_are_not() -> None:
    records = heard(sweep(16_000), sweep(399), sweep(400))
    long, short, least = to_units(records)
    assert short == Rejected("too_short_for_units", "it has no whole frame")
    assert AddFeatures(Mfcc())(records)[1] == short
    assert CountFrames(Mfcc())([{"samples": 399, "sample_rate": 16_000}]) == [short]
    assert (long["n_frames"], least["n_frames"], least["n_units"]) == (98, 1, 1)


def test_both_sides_of_an_exchange_have_units_of_their_own() -> None:
    one, other = (wave_of(sweep(n), 16_000) for n in (16_000, 8000))
    step = ToUnits(Mfcc(), vocabulary(), ("instruction_", "response_"))
    records = [
        {"_instruction_wave": one, "_response_wave": other},
        {"_instruction_wave": other, "_response_wave": one},
        {"_instruction_wave": one, "_response_wave": b""},
    ]
    first, second, third = step(records)
    assert isinstance(first, dict) and isinstance(second, dict)
    assert first.keys() == step.adds.keys()
    assert first["_instruction_units"] == second["_response_units"] != first["_response_units"]
    assert (first["instruction_n_frames"], first["response_n_frames"]) == (98, 48)
    assert isinstance(third, Rejected), "an exchange with one side has none"


def test_the_columns_that_are_told_are_the_columns_that_are_added() -> None:
    step = ToUnits(Mfcc(), vocabulary())
    (made,) = step(heard(sweep(16_000)))
    assert isinstance(made, dict)
    table = pa.Table.from_pylist([made], pa.schema(step.adds))
    assert table.to_pylist() == [made]


# ---- what is heard ---------------------------------------------------------------------------------------------------


def test_speech_is_decoded_once_and_its_hash_is_that_of_what_is_heard() -> None:
    one, other = sweep(22_050, 22_050), sweep(11_025, 22_050)
    step = HearSpeech({"a_": "_a_speech", "b_": "_b_speech"})
    (made,) = step([{"_a_speech": encode_flac(one), "_b_speech": encode_flac(other)}])
    assert isinstance(made, dict)
    assert made.keys() == step.adds.keys()
    assert (len(made["_a_wave"]), len(made["_b_wave"])) == (2 * 16_000, 2 * 8000)
    assert (made["a_audio_sha256"], made["b_audio_sha256"]) == (sound_hash(one), sound_hash(other))


def test_speech_that_is_none_raises_so_that_its_record_fails() -> None:
    with pytest.raises(UnreadableAudio):
        HearSpeech({"": "_speech"})([{"_speech": b"fLaC and nothing"}])


# ---- HuBERT ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["group", "layer"])
def layer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, services: Services
) -> Iterator[HubertLayer]:
    before = torch.get_num_threads()
    made = HubertLayer(find_hubert(str(tiny(tmp_path_factory.mktemp("hubert"), request.param)), 2))
    made.setup(services)
    yield made
    torch.set_num_threads(before)


def of_model(extractor: Extractor) -> Vocabulary:
    (frames,) = extractor([sweep(40_000, start=300)])
    return Vocabulary(extractor.spec, np.ascontiguousarray(frames[::9]))


@pytest.mark.slow
def test_units_of_hubert_are_those_of_its_frames_and_batches_change_nothing(layer: HubertLayer) -> None:
    made = ToUnits(layer, of_model(layer))(heard(*SPOKEN))
    for record, one in zip(heard(*SPOKEN), made, strict=True):
        assert ToUnits(layer, of_model(layer))([record]) == [one]
        (frames,) = layer([sound_of(record["_wave"], 16_000)])
        units = merge(of_model(layer).apply(frames))
        assert isinstance(one, dict)
        assert (one["_units"], one["_durations"]) == (str(units), list(units.durations))
        assert CountFrames(layer)([{"samples": len(record["_wave"]) // 2, "sample_rate": 16_000}]) == [
            {"frames": one["n_frames"]}
        ]


@pytest.mark.slow
def test_units_of_hubert_tell_whether_memory_was_short(layer: HubertLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    step: Step = ToUnits(layer, of_model(layer))
    assert step.adds[HALVED] == pa.int32()
    (before,) = step(heard(sweep(16_000)))
    monkeypatch.setattr(layer, "halved", True)
    (after,) = step(heard(sweep(16_000)))
    assert isinstance(before, dict) and isinstance(after, dict)
    assert (before[HALVED], after[HALVED]) == (0, 1)
    assert HALVED not in ToUnits(Mfcc(), vocabulary()).adds


@pytest.mark.slow
def test_what_is_too_short_for_the_convolutions_is_rejected(layer: HubertLayer) -> None:
    short, least = ToUnits(layer, of_model(layer))(heard(sweep(399), sweep(400)))
    assert isinstance(short, Rejected) and short.reason == "too_short_for_units"
    assert isinstance(least, dict) and (least["n_frames"], least["n_units"]) == (1, 1)
