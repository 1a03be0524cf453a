"""Speech by a tiny VITS of the real architecture, with weights drawn at random."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from builders.speech.audio import Sound
from builders.speech.speak import Utterance
from builders.speech.vits import Vits
from builders.step import Rejected, Services
from builders.torchvision_fix import complete_torchvision
from schemas.errors import UserError

pytestmark = pytest.mark.slow

LETTERS = "_ abcdefghijklmnopqrstuvwxyz',.?-"
TEXT = "Hello there, my friend."
SaveVits = Callable[..., Path]


@pytest.fixture(scope="module")
def save_vits(tmp_path_factory: pytest.TempPathFactory) -> SaveVits:
    """Saves a model of some 100,000 weights and its tokenizer of letters."""
    complete_torchvision()
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    def save(tokenizer: dict[str, Any] | None = None, **config: Any) -> Path:
        folder = tmp_path_factory.mktemp("vits")
        (folder / "vocab.json").write_text(json.dumps({letter: i for i, letter in enumerate(LETTERS)}))
        kinds: dict[str, Any] = {"pad_token": "_", "unk_token": "_", "phonemize": False} | (tokenizer or {})
        VitsTokenizer(str(folder / "vocab.json"), **kinds).save_pretrained(folder)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            VitsModel(VitsConfig(**(_TINY | config))).save_pretrained(folder)
        return folder

    return save


_TINY: dict[str, Any] = {
    "vocab_size": len(LETTERS),
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "ffn_dim": 16,
    "flow_size": 16,
    "spectrogram_bins": 17,
    "upsample_initial_channel": 32,
    "upsample_rates": [8, 8],
    "upsample_kernel_sizes": [16, 16],
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3]],
    "depth_separable_num_layers": 1,
    "duration_predictor_filter_channels": 16,
    "duration_predictor_num_flows": 2,
    "prior_encoder_num_flows": 2,
    "prior_encoder_num_wavenet_layers": 1,
    "posterior_encoder_num_wavenet_layers": 1,
    "sampling_rate": 16_000,
}
_MANY: dict[str, Any] = {"num_speakers": 3, "speaker_embedding_size": 8}


@pytest.fixture(scope="module")
def one_speaker(save_vits: SaveVits) -> Path:
    return save_vits()


@pytest.fixture(scope="module")
def three_speakers(save_vits: SaveVits) -> Path:
    return save_vits(**_MANY)


def _loaded(services: Services, folder: Path, **fields: Any) -> Vits:
    engine = Vits(folder, (), **fields)
    engine.setup(services)
    return engine


def _sound(engine: Vits, text: str = TEXT, voice: str = "0", seed: int = 1) -> Sound:
    [found] = engine.utter([Utterance(text, voice, seed)])
    assert isinstance(found, Sound) and found.rate == 16_000 and found.samples.dtype == np.float32
    return found


# ---- the sound -------------------------------------------------------------------------------------------------------


def test_a_sound_is_that_of_transformers_with_the_same_seed(services: Services, one_speaker: Path) -> None:
    from transformers import VitsModel, VitsTokenizer

    ours = _sound(_loaded(services, one_speaker), seed=2**64 - 1)
    model, tokenizer = VitsModel.from_pretrained(one_speaker), VitsTokenizer.from_pretrained(one_speaker)
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(2**64 - 1)
        theirs = model(**tokenizer(TEXT, return_tensors="pt")).waveform[0].numpy()
    assert np.array_equal(ours.samples, theirs) and ours.seconds > 0.1 and np.abs(theirs).max() > 0.01


def test_a_sound_depends_on_text_voice_and_seed_alone(services: Services, three_speakers: Path) -> None:
    asked = [Utterance(text, voice, seed) for text in (TEXT, "Why?") for voice in "02" for seed in (1, 2)]
    engine = _loaded(services, three_speakers, voices=("0", "2"))
    first = [found.samples.tobytes() for found in engine.utter(asked) if isinstance(found, Sound)]
    torch.manual_seed(99)
    again = [_sound(engine, one.text, one.voice, one.seed).samples.tobytes() for one in reversed(asked)]
    assert again[::-1] == first and len(set(first)) == len(asked) == 8


def test_other_chance_is_left_as_it_was(services: Services, one_speaker: Path) -> None:
    engine = _loaded(services, one_speaker)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _sound(engine)
    assert torch.equal(torch.rand(3), expected)


def test_a_sound_takes_its_own_threads_whatever_ran_in_the_process_before(
    services: Services, one_speaker: Path
) -> None:
    engine, before = _loaded(services, one_speaker), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        _sound(engine)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_without_noise_there_is_no_chance(services: Services, one_speaker: Path) -> None:
    still = _loaded(services, one_speaker, noise_scale=0.0, noise_scale_duration=0.0)
    assert np.array_equal(_sound(still, seed=1).samples, _sound(still, seed=2).samples)
    own = _loaded(services, one_speaker)
    assert not np.array_equal(_sound(own, seed=1).samples, _sound(own, seed=2).samples)


def test_a_faster_rate_is_shorter(services: Services, one_speaker: Path) -> None:
    still = {"noise_scale": 0.0, "noise_scale_duration": 0.0}
    slow, fast = (_loaded(services, one_speaker, speaking_rate=rate, **still) for rate in (0.25, 4.0))
    assert _sound(slow).seconds > 1.2 * _sound(fast).seconds


# ---- what it cannot say ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "missing"), [("I have 25 dogs", "25"), ("a & b", "&"), ("50%", "%05"), ("naïve", "ï")]
)
def test_what_the_vocabulary_lacks_is_rejected_not_left_out(
    services: Services, one_speaker: Path, text: str, missing: str
) -> None:
    [found] = _loaded(services, one_speaker).utter([Utterance(text, "0", 1)])
    assert found == Rejected("not_in_vocabulary", f"the model's vocabulary has no {missing!r}")


def test_marks_that_are_not_said_may_be_left_out(services: Services, one_speaker: Path) -> None:
    engine = _loaded(services, one_speaker)
    assert np.array_equal(
        _sound(engine, 'He said: "Hello" (twice)!').samples, _sound(engine, "he said hello twice").samples
    )


def test_a_text_of_which_nothing_is_left_has_failed(services: Services, one_speaker: Path) -> None:
    [found] = _loaded(services, one_speaker).utter([Utterance("!!!", "0", 1)])
    assert isinstance(found, Rejected) and found.reason == "not_spoken"


# ---- the model -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voice", ["3", "-1", "f", "", "²"])
def test_a_speaker_that_the_model_lacks_is_told(services: Services, three_speakers: Path, voice: str) -> None:
    with pytest.raises(UserError, match=rf"tts\.voices: .* has no speaker '{voice}', only 0\.\.2"):
        Vits(three_speakers, (), ("0", voice)).setup(services)


def test_a_model_of_one_speaker_has_the_voice_0(services: Services, one_speaker: Path) -> None:
    with pytest.raises(UserError, match=r"only 0\.\.0"):
        Vits(one_speaker, (), ("1",)).setup(services)


def _problem(services: Services, model: Path) -> str:
    with pytest.raises(UserError) as error:
        Vits(model, ()).setup(services)
    text = str(error.value)
    assert text.startswith("tts.model: ") and "\n" not in text
    return text


def test_a_model_that_is_not_there_or_not_a_vits_is_told(services: Services, tmp_path: Path) -> None:
    assert "give a folder or hub id of a VitsModel" in _problem(services, tmp_path / "nowhere")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "it is a bert, not a vits" in _problem(services, tmp_path)


def test_weights_that_are_not_whole_are_no_model(services: Services, save_vits: SaveVits) -> None:
    folder = save_vits()
    weights = load_file(folder / "model.safetensors")
    del weights["decoder.conv_post.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "its weights lack 1 tensors, decoder.conv_post.weight among them" in _problem(services, folder)


def test_pickled_weights_are_not_read(services: Services, save_vits: SaveVits) -> None:
    folder = save_vits()
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    assert "safetensors" in _problem(services, folder)


def test_a_tokenizer_that_needs_a_package_names_it(
    services: Services, save_vits: SaveVits, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_vits({"phonemize": True})
    monkeypatch.setattr("builders.speech.vits._there", lambda package: False)
    assert "needs the package phonemizer; pip install phonemizer" in _problem(services, folder)


def test_the_engine_is_pickled_without_its_model_and_without_torch(services: Services, one_speaker: Path) -> None:
    engine = _loaded(services, one_speaker)
    code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read()); print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(engine), capture_output=True, check=True)
    assert ran.stdout.decode().strip() == "False"
