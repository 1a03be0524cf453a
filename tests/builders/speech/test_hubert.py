"""HuBERT's features: batches against single utterances and transformers' own forward pass, and what is no model."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from builders.digest import digest_of
from builders.speech import hubert
from builders.speech.audio import Sound
from builders.speech.features import FeatureSpec
from builders.speech.hubert import Hubert, find_hubert
from builders.speech.vocabulary import Vocabulary
from builders.torchvision_fix import complete_torchvision
from schemas.errors import UserError

pytestmark = pytest.mark.slow

NORMS = ("group", "layer")
LAYERS = 3


def tiny(folder: Path, norm: str, **changes: Any) -> Path:
    """A random HuBERT of the real architecture. `group` is the base model's and mHuBERT's, `layer` the large one's."""
    complete_torchvision()
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    sizes = {"hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 64}
    positions = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    large = {"do_stable_layer_norm": norm == "layer", "conv_bias": norm == "layer"}
    config = HubertConfig(conv_dim=[16] * 7, feat_extract_norm=norm, **sizes, **positions, **large, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        HubertModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {norm: tiny(tmp_path_factory.mktemp(norm), norm) for norm in NORMS}


def sounds(*samples: int) -> list[Sound]:
    rng = np.random.default_rng(0)
    loudness = rng.uniform(0.01, 0.5, len(samples))
    return [
        Sound(rng.normal(0.02, loud, n).astype(np.float32), 16_000) for n, loud in zip(samples, loudness, strict=True)
    ]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("layer", [1, LAYERS])
def test_a_batch_is_as_good_as_one_by_one(
    norm: str, layer: int, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(hubert.BATCH_SECONDS, "cpu", 160.0)
    model = Hubert(find_hubert(str(models[norm]), layer), "cpu")
    spoken = sounds(16_000, 400, 31_000, 16_000, 9_999, 30_999, 720)
    together = model(spoken)
    alone = [model([sound])[0] for sound in spoken]
    assert [len(features) for features in together] == [49, 1, 96, 49, 30, 96, 2]
    for batched, single in zip(together, alone, strict=True):
        assert batched.dtype == np.float32 and batched.shape == single.shape
        assert np.abs(batched - single).max() < 1e-5
    centres = np.concatenate(alone)[::7]
    units = Vocabulary(model.files.spec(), np.ascontiguousarray(centres))
    assert [units.apply(features).tolist() for features in together] == [units.apply(one).tolist() for one in alone]


@pytest.mark.parametrize("norm", NORMS)
def test_features_are_transformers_own_hidden_states(norm: str, models: dict[str, Path]) -> None:
    from transformers import HubertModel

    theirs = HubertModel.from_pretrained(models[norm]).eval()
    (sound,) = sounds(12_000)
    values = (sound.samples - sound.samples.mean()) / np.sqrt(sound.samples.var() + 1e-7)
    with torch.inference_mode():
        states = theirs(torch.from_numpy(values)[None], output_hidden_states=True).hidden_states
    for layer in range(1, LAYERS + 1):
        (ours,) = Hubert(find_hubert(str(models[norm]), layer), "cpu")([sound])
        assert np.abs(ours - states[layer][0].numpy()).max() < 1e-5


def test_padding_would_show_if_the_convolutions_ran_in_batches(models: dict[str, Path]) -> None:
    """What the batches are for: with transformers' own batch, a GroupNorm changes the shorter utterance."""
    from transformers import HubertModel

    theirs = HubertModel.from_pretrained(models["group"]).eval()
    values = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    padded, mask = torch.zeros(2, 16_000), torch.ones(2, 16_000, dtype=torch.long)
    padded[0, :8000], mask[0, 8000:] = values[0], 0
    padded[1] = torch.randn(16_000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        alone = theirs(values).last_hidden_state[0]
        batched = theirs(padded, attention_mask=mask).last_hidden_state[0, : len(alone)]
    assert (alone - batched).abs().max() > 1e-3


def test_batches_hold_so_many_seconds_and_come_longest_first(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(hubert.BATCH_SECONDS, "cpu", 4.0)
    model = Hubert(find_hubert(str(models["group"]), 1), "cpu")
    batches = []
    run = model._run
    monkeypatch.setattr(model, "_run", lambda some: batches.append([round(s.seconds) for s in some]) or run(some))
    order = [i for i, _ in model.each(sounds(16_000, 48_000, 100, 16_000, 32_000, 160_000, 16_000))]
    assert batches == [[10], [3], [2, 1], [1, 1]]
    assert order == [2, 5, 1, 4, 0, 3, 6]


def test_what_is_shorter_than_a_frame_has_none_and_nothing_has_nothing(models: dict[str, Path]) -> None:
    model = Hubert(find_hubert(str(models["group"]), 2), "cpu")
    assert [features.shape for features in model(sounds(0, 399, 400))] == [(0, 32), (0, 32), (1, 32)]
    assert model([]) == []


def test_a_sound_at_another_rate_is_refused(models: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="a sound at 8000 Hz"):
        Hubert(find_hubert(str(models["group"]), 2), "cpu")([Sound(np.zeros(8000, np.float32), 8000)])


def test_loudness_counts_only_where_the_model_says_so(models: dict[str, Path], tmp_path: Path) -> None:
    loud = sounds(8000)[0]
    quiet = Sound(loud.samples * np.float32(0.1), 16_000)
    plain = tmp_path / "plain"
    shutil.copytree(models["layer"], plain)
    told = json.loads((plain / "preprocessor_config.json").read_text())
    (plain / "preprocessor_config.json").write_text(json.dumps(told | {"do_normalize": False}))

    def apart(folder: Path) -> float:
        a, b = Hubert(find_hubert(str(folder), 1), "cpu")([loud, quiet])
        return float(np.abs(a - b).max())

    assert apart(models["layer"]) < 1e-3 < apart(plain)


def test_a_found_model_tells_its_frames_and_what_a_vocabulary_must_know(models: dict[str, Path]) -> None:
    folder = models["group"]
    files = find_hubert(str(folder), 2)
    decisive = tuple(folder / name for name in ("config.json", "preprocessor_config.json", "model.safetensors"))
    assert files.spec() == FeatureSpec("hubert", 50.0, model=folder.name, model_sha256=digest_of(decisive), layer=2)
    assert [files.frames(n) for n in (0, 399, 400, 719, 720, 16_000)] == [0, 0, 1, 1, 2, 49]


def test_a_model_of_the_hub_is_found_by_its_id(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetched(model: str, allow_patterns: list[str], revision: str | None) -> str:
        asked.append((model, allow_patterns[-2:]))
        return str(models["group"])

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    files = find_hubert("utter-project/mHuBERT-147", 2)
    assert (files.model, files.folder) == ("utter-project/mHuBERT-147", models["group"])
    assert asked == [("utter-project/mHuBERT-147", ["model*.safetensors", "model*.safetensors.index.json"])]


def test_a_model_that_cannot_be_fetched_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(UserError) as raised:
        find_hubert("utter-project/mHuBERT-147", 11)
    assert str(raised.value) == (
        "units.model: utter-project/mHuBERT-147 could not be fetched (OSError: no route to host); "
        "check its name and the network, or fetch it elsewhere and give a local folder"
    )


def config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        told = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(told))

    return change


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


NOT_FOUND = {
    "no config": (without("config.json"), r"holds no config\.json, so it is no model; give the folder that holds it"),
    "another architecture": (config(model_type="wav2vec2"), "is a 'wav2vec2' model, not 'hubert'; give a HuBERT"),
    "no layers": (config(num_hidden_layers=None), "describes no HuBERT: TypeError"),
    "strides of nothing": (config(conv_stride=[0] * 7), "describes no HuBERT: ValueError"),
    "a layer too far": (config(num_hidden_layers=1), "units.layer: 2, but .* has the layers 1 to 1"),
    "batch norm": (config(conv_pos_batch_norm=True), "has conv_pos_batch_norm, which sees padding"),
    "no extractor": (without("preprocessor_config.json"), "lacks preprocessor_config.json, which says how sound is"),
    "no weights": (without("model.safetensors"), "holds no weights; it needs model.safetensors"),
}


@pytest.mark.parametrize(("change", "why"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_a_folder_that_is_no_whole_model_is_told_before_anything_loads(
    change: Callable[[Path], None], why: str, models: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(models["group"], folder)
    change(folder)
    with pytest.raises(UserError, match=why) as raised:
        find_hubert(str(folder), 2)
    assert "\n" not in str(raised.value)


def test_a_name_that_is_neither_folder_nor_id_is_told() -> None:
    with pytest.raises(UserError, match=r"^tts.model: './nowhere' is neither a folder nor the id of a model"):
        find_hubert("./nowhere", 2, "tts.")


class Runs:
    """Unpickled, it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def test_weights_that_are_code_are_never_run(models: dict[str, Path], tmp_path: Path) -> None:
    folder, mark = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(models["group"], folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"x": Runs(mark)}, protocol=2))
    with pytest.raises(UserError, match=r"^units.model: .* could not be loaded as a HuBERT: ") as raised:
        Hubert(find_hubert(str(folder), 2), "cpu")
    assert "\n" not in str(raised.value)
    assert not mark.exists()


def test_weights_saved_by_torch_are_read(models: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = tmp_path / "model"
    shutil.copytree(models["group"], folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    spoken = sounds(8000)
    read, same = (Hubert(find_hubert(str(one), 2), "cpu")(spoken)[0] for one in (folder, models["group"]))
    assert np.array_equal(read, same)


def test_weights_that_lack_a_tensor_are_refused_instead_of_drawn(models: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(models["group"], folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layers.1.attention.k_proj.weight"], tensors["masked_spec_embed"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        UserError, match=r"lack 1 of the model's tensors, encoder.layers.1.attention.k_proj.weight first"
    ):
        Hubert(find_hubert(str(folder), 2), "cpu")


def test_a_model_of_other_sound_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(models["group"], folder)
    told = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(told | {"sampling_rate": 8000}))
    with pytest.raises(UserError, match="wants sound at 8000 Hz, not 16000 Hz mono"):
        Hubert(find_hubert(str(folder), 2), "cpu")
