"""Which detector a recipe means: found in a folder or on the hub, or told in one line why not."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builders.grounding.zero_shot import ZeroShot
from builders.grounding.zero_shot_files import FAMILIES, InputSize, find_detector
from builders.step import Services
from schemas.errors import UserError
from tests.tiny_detectors import KINDS

pytestmark = pytest.mark.slow  # the models are made by transformers


@pytest.fixture
def folder(tiny: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a Grounding DINO, to be spoilt."""
    shutil.copytree(tiny("grounding-dino"), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_every_family_is_found_with_its_size_and_the_files_that_identify_it(
    kind: str, tiny: Callable[[str], Path]
) -> None:
    files = find_detector(str(tiny(kind)))
    assert (files.kind, files.family) == (kind, FAMILIES[kind])
    assert files.size == (InputSize(shortest=96, longest=160) if files.family.phrases else InputSize(64, 64))
    names = [path.name for path in files.decisive]
    assert names[0] == "config.json" and names[-1] == "model.safetensors"
    assert {"preprocessor_config.json", "tokenizer.json"} <= set(names)


@pytest.mark.parametrize(
    ("told", "size"),
    [
        ({"shortest_edge": 800, "longest_edge": 1333}, InputSize(shortest=800, longest=1333)),
        ({"height": 640, "width": 480}, InputSize(640, 480)),
        ([768, 768], InputSize(768, 768)),
        (600, InputSize(shortest=600, longest=1000)),
        (None, InputSize(shortest=800, longest=1333)),
    ],
)
def test_the_size_is_read_as_every_version_of_transformers_wrote_it(folder: Path, told: Any, size: InputSize) -> None:
    config = {"size": told, "max_size": 1000} if told else {}
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    assert find_detector(str(folder)).size == size
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": config}))
    assert find_detector(str(folder)).size == size


def config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        told = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(told))

    return change


def preprocessor(size: Any) -> Callable[[Path], None]:
    return lambda folder: (folder / "preprocessor_config.json").write_text(json.dumps({"size": size})) and None


def without(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names] and None


NOT_FOUND = {
    "no config": (without("config.json"), r"holds no config\.json, so it is no model; give the folder that holds it"),
    "half a config": (
        lambda folder: (folder / "config.json").write_text("{") and None,
        "config.json is no JSON config: J",
    ),
    "another architecture": (config(model_type="detr"), "is a 'detr' model, no zero-shot detector; give one of ground"),
    "no type": (config(model_type=None), "is a 'None' model"),
    "no preprocessor": (without("preprocessor_config.json"), "lacks preprocessor_config.json, which says how photos"),
    "no size": (preprocessor({"max_height": 3}), "preprocessor_config.json gives no size of photos that can be used"),
    "size of nothing": (preprocessor({"height": 0, "width": 0}), "gives no size of photos that can be used"),
    "huge": (preprocessor({"height": 64, "width": 10**9}), "gives no size of photos that can be used"),
    "no tokenizer": (without("tokenizer.json", "vocab.txt"), "holds no tokenizer; it needs tokenizer.json"),
    "no weights": (without("model.safetensors"), "holds no weights; it needs model.safetensors"),
}


@pytest.mark.parametrize(("change", "why"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_a_folder_that_is_no_whole_model_is_told_before_anything_loads(
    change: Callable[[Path], None], why: str, folder: Path
) -> None:
    change(folder)
    with pytest.raises(UserError, match=why) as raised:
        find_detector(str(folder))
    assert "\n" not in str(raised.value) and str(raised.value).startswith("detector.model: ")


def test_a_name_that_is_neither_folder_nor_id_is_told() -> None:
    with pytest.raises(UserError, match=r"^grounder.model: './nowhere' is neither a folder nor the id of a model"):
        find_detector("./nowhere", "grounder")


def test_a_model_of_the_hub_is_found_by_its_id(tiny: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetched(model: str, allow_patterns: list[str], revision: str | None) -> str:
        asked.append((model, allow_patterns[-2:]))
        return str(tiny("owlv2"))

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    files = find_detector("google/owlv2-base-patch16-ensemble")
    assert (files.model, files.folder) == ("google/owlv2-base-patch16-ensemble", tiny("owlv2"))
    assert asked == [(files.model, ["model*.safetensors", "model*.safetensors.index.json"])]


def test_a_model_that_cannot_be_fetched_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(UserError) as raised:
        find_detector("IDEA-Research/grounding-dino-tiny")
    assert str(raised.value) == (
        "detector.model: IDEA-Research/grounding-dino-tiny could not be fetched (OSError: no route to host); "
        "check its name and the network, or fetch it elsewhere and give a local folder"
    )


# ---- loading ---------------------------------------------------------------------------------------------------------


class Runs:
    """Unpickled, it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def test_weights_that_are_code_are_never_run(folder: Path, tmp_path: Path, services: Services) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"x": Runs(tmp_path / "ran")}, protocol=2))
    with pytest.raises(UserError, match=r"^detector.model: .* could not be loaded as Grounding DINO: ") as raised:
        ZeroShot(find_detector(str(folder))).setup(services)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "ran").exists()


def test_weights_that_lack_a_tensor_are_refused_instead_of_drawn(folder: Path, services: Services) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["model.text_projection.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"lack 1 of the model's tensors, model.text_projection.weight first"):
        ZeroShot(find_detector(str(folder))).setup(services)


def test_half_precision_wants_a_gpu(folder: Path, services: Services) -> None:
    with pytest.raises(UserError, match=r"^detector.precision: bf16 needs a GPU"):
        ZeroShot(find_detector(str(folder)), precision="bf16").setup(services)


def test_a_detector_is_pickled_without_its_model(folder: Path) -> None:
    detector = ZeroShot(find_detector(str(folder)))
    assert pickle.loads(pickle.dumps(detector)) == detector
