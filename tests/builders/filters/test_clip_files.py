"""How a recipe names a model, and what it is told where that cannot be."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from builders.digest import digest_of
from builders.filters.clip_files import ClipSpec, clip_need, find_clip, open_clip
from builders.filters.clip_image import OPENAI_MEAN, Preprocess
from builders.filters.clip_model import ClipModel
from builders.step import Record, Services
from schemas.errors import UserError
from tests.hub import Hub

pytestmark = pytest.mark.slow

Scored = Callable[..., list[Record]]


def test_a_folder_brings_its_preprocessing(vit: Path) -> None:
    files = find_clip(ClipSpec(str(vit)))
    assert files.preprocess == Preprocess((32, 32), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "bilinear", "squash")
    assert (files.dim, files.decisive) == (8, (vit / "open_clip_config.json", vit / "open_clip_model.safetensors"))


def test_a_folder_with_a_bare_config_scores_the_same(
    save_model: Callable[..., Path], pairs: list[Record], services: Services, scored: Scored
) -> None:
    whole, bare = save_model(photo={}), save_model(bare="our-tiny")
    scores = [[r["clip_score"] for r in scored(ClipSpec(str(f)), pairs, services)] for f in (whole, bare)]
    assert scores[0] == scores[1]
    assert find_clip(ClipSpec(str(bare))).preprocess.mean == OPENAI_MEAN


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_an_architecture_takes_a_file_of_weights(save_model: Callable[..., Path], tmp_path: Path, suffix: str) -> None:
    folder = save_model(bare="our-file")
    weights = folder / "open_clip_model.safetensors"
    find_clip(ClipSpec(str(folder)))  # registers the architecture
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save({"epoch": 3, "state_dict": load_file(weights)}, path)
    else:
        shutil.copy(weights, path)
    spec = ClipSpec("our-file", str(path))
    assert find_clip(spec).decisive == (path,)
    pixels = torch.from_numpy(np.arange(32 * 32 * 3, dtype=np.uint8).reshape(1, 32, 32, 3))
    from_file, from_folder = (ClipModel(s, "cpu").embed_images(pixels) for s in (spec, ClipSpec(str(folder))))
    assert torch.equal(from_file, from_folder)


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("/tmp/gristmill_was_unpickled"),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_is_not_run(save_model: Callable[..., Path], tmp_path: Path) -> None:
    find_clip(ClipSpec(str(save_model(bare="our-evil"))))
    path = tmp_path / "weights.pt"
    for write in (lambda: torch.save({"state_dict": Evil()}, path), lambda: path.write_bytes(pickle.dumps(Evil()))):
        write()
        with pytest.raises(UserError, match=r"clip\.pretrained: .*weights\.pt could not be loaded as our-evil"):
            ClipModel(ClipSpec("our-evil", str(path)), "cpu")
        assert not Path("/tmp/gristmill_was_unpickled").exists()


@pytest.mark.slow
def test_weights_of_another_architecture_are_told(vit: Path) -> None:
    spec = ClipSpec("ViT-B-32", str(vit / "open_clip_model.safetensors"))
    with pytest.raises(UserError, match=r"clip\.pretrained: .* could not be loaded as ViT-B-32: "):
        ClipModel(spec, "cpu")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (ClipSpec("ViT-B-33"), r"model: 'ViT-B-33' is no folder, hub id or architecture.* close to it: .*ViT-B-32"),
        (ClipSpec("ViT-B-32"), r"pretrained: ViT-B-32 needs weights: a file, or a tag \(openai"),
        (ClipSpec("ViT-B-32", "laion2b"), "pretrained: 'laion2b' is neither a file nor a tag; tags: .*laion2b_s34b"),
        (ClipSpec("ViT-B-32", "openai"), "model: openai was trained with another GELU; name ViT-B-32-quickgelu"),
        (ClipSpec("ViT-B-32", "openai", random_seed=1), "random_seed: clip.pretrained names weights already"),
        (ClipSpec("hf-hub:a/b", "openai"), "pretrained: hf-hub:a/b brings its own weights"),
        (ClipSpec("ViT-B-32", "pyproject.toml"), "pretrained: pyproject.toml is none of .safetensors"),
    ],
)
def test_what_is_named_badly_is_told_with_its_mend(
    spec: ClipSpec, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    with pytest.raises(UserError, match=rf"^clip\.{problem}"):
        find_clip(spec)


@pytest.mark.parametrize("spec", [ClipSpec("hf-hub:nobody/nothing"), ClipSpec("ViT-B-32", "laion2b_s34b_b79k")])
def test_without_a_network_the_mend_is_told(spec: ClipSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> str:
        raise OSError("offline")

    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", offline)
    with pytest.raises(UserError, match=r"clip\.\w+: .* could not be fetched .*give a local folder or file"):
        find_clip(spec)


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (lambda f: (f / "open_clip_model.safetensors").unlink(), "needs one safetensors file of weights, .*found none"),
        (lambda f: (f / "open_clip_config.json").unlink(), "holds 0 open_clip configs"),
        (lambda f: (f / "open_clip_config.json").write_text("{"), "is no JSON config"),
        (lambda f: (f / "open_clip_config.json").write_text('{"model_cfg": {}}'), "lacks one of embed_dim"),
        (lambda f: (f / "open_clip_config.json").write_text(" " * 2_000_000), "over 1,000,000 bytes"),
        (
            lambda f: ((f / "open_clip_model.safetensors").rename(f / "a.safetensors"), (f / "b.bin").touch()),
            "found a.safetensors, b.bin",
        ),
    ],
)
def test_a_folder_that_is_not_whole_is_told(vit: Path, tmp_path: Path, break_it: Any, problem: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(vit, folder)
    break_it(folder)
    with pytest.raises(UserError, match=rf"^clip\.model: .*{problem}"):
        find_clip(ClipSpec(str(folder)))


def test_a_folder_cannot_take_the_name_of_another_architecture(save_model: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="has the name of another architecture; rename the file"):
        find_clip(ClipSpec(str(save_model(bare="ViT-B-32"))))


def test_damaged_weights_are_told(vit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(vit, folder)
    with (folder / "open_clip_model.safetensors").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(UserError, match=r"clip\.model: .* could not be loaded"):
        ClipModel(ClipSpec(str(folder)), "cpu")


def test_a_digest_is_of_the_bytes(vit: Path, tmp_path: Path) -> None:
    weights = vit / "open_clip_model.safetensors"
    copy = shutil.copy(weights, tmp_path / "other.safetensors")
    assert digest_of(weights) == digest_of(Path(copy)) != digest_of(vit / "open_clip_config.json")
    assert json.loads((vit / "open_clip_config.json").read_text())["model_cfg"]["embed_dim"] == 8


def test_a_node_whose_hub_gives_another_revision_than_the_driver_found_says_so(
    vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / "models--owner--name" / "snapshots"
    for revision in ("a" * 40, "b" * 40):
        shutil.copytree(vit, hub / revision)
    main = "a" * 40
    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", lambda *_, filename, **__: str(hub / main / filename))
    spec = ClipSpec("hf-hub:owner/name")
    pinned = dataclasses.replace(spec, revision=find_clip(spec).revision)
    assert find_clip(pinned).revision == "a" * 40
    main = "b" * 40
    with pytest.raises(UserError, match=r"^clip\.model: hf-hub:owner/name has changed on the hub: the node .* bbb"):
        find_clip(pinned)


# -- what is to be fetched

TIMM = "timm/vit_base_patch32_clip_224.openai"


def test_a_tag_is_told_with_the_repository_that_its_weights_come_from(hub: Hub) -> None:
    spec = ClipSpec("ViT-B-32-quickgelu", "openai")
    need = clip_need(spec)
    assert need is not None
    assert (need.field, need.what, need.there) == ("clip", "ViT-B-32-quickgelu openai", False)
    assert (need.source, need.size, need.get) == (f"https://huggingface.co/{TIMM}", 605_000_000, None)
    hub(TIMM, "open_clip_pytorch_model.bin")
    assert clip_need(spec) == dataclasses.replace(need, there=True)


def test_a_repository_on_the_hub_is_told(hub: Hub) -> None:
    need = clip_need(ClipSpec("hf-hub:owner/name"))
    assert need is not None
    assert (need.source, need.size, need.there) == ("https://huggingface.co/owner/name", None, False)
    hub("owner/name", "open_clip_model.safetensors")
    assert (found := clip_need(ClipSpec("hf-hub:owner/name"))) is not None and found.there


def test_what_lies_here_or_is_drawn_or_unknown_is_no_need(vit: Path, tmp_path: Path) -> None:
    specs = [
        ClipSpec(str(vit)),
        ClipSpec("ViT-B-32", random_seed=0),
        ClipSpec("ViT-B-32", str(tmp_path / "weights.pt")),
        ClipSpec("ViT-B-31", "openai"),
    ]
    assert [clip_need(spec) for spec in specs] == [None] * 4


@pytest.mark.slow
@pytest.mark.parametrize("model", ["ViT-B-32-quickgelu", "ViT-L-14-quickgelu"])
def test_openais_weights_are_as_large_as_told(hub: Hub, model: str) -> None:
    need = clip_need(ClipSpec(model, "openai"))
    assert need is not None and need.size is not None
    config = open_clip().get_model_config(model)
    with torch.device("meta"):
        network = open_clip().CLIP(**config)
    assert 4 * sum(one.numel() for one in network.parameters()) == pytest.approx(need.size, rel=0.01)
