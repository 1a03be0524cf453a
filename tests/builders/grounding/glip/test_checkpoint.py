"""The released checkpoints: every tensor has its place, and what does not fit is told by its name."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from builders.grounding.glip.checkpoint import UNUSED, convert, load_model, released_name
from builders.grounding.glip.config import VARIANTS, Variant
from builders.grounding.glip.model import GlipModel
from schemas.errors import UserError
from tests.builders.grounding.glip.released import released
from tests.builders.grounding.glip.tiny import TINY, weights, write_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("glip") / "glip.pth", weights())


@pytest.fixture
def tiny_t(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VARIANTS, "T", TINY)


@pytest.mark.parametrize(("variant", "tensors", "numbers"), [("T", 745, 231_780_222), ("L", 1021, 430_422_384)])
def test_the_written_down_names_are_those_of_the_released_models(
    variant: Variant, tensors: int, numbers: int, shared: Path
) -> None:
    listed = {}
    for line in (shared / "glip_prototype" / f"keys_glip_{variant.lower()}.txt").read_text().splitlines():
        name, shape = re.fullmatch(r"(\S+) \((.*)\) torch\.\w+", line).groups()  # type: ignore[union-attr]
        listed[name] = tuple(int(side) for side in shape.split(",") if side)
    ours = released(VARIANTS[variant])
    ours = {name: shape for name, shape in ours.items() if not name.endswith("position_ids")}  # of older checkpoints
    assert ours == listed
    assert len(listed) == tensors
    counted = [torch.Size(shape).numel() for name, shape in ours.items() if not re.search("index|cell_anchors", name)]
    assert sum(counted) == numbers


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_released_tensor_has_one_place_or_a_reason_to_have_none(variant: Variant) -> None:
    names = released(VARIANTS[variant])
    with torch.device("meta"):
        model = GlipModel(VARIANTS[variant]).state_dict()
    placed: dict[str, list[int]] = {}
    for name, tensor in model.items():
        theirs, third = released_name(name)
        placed.setdefault(theirs, []).append(third or 0)
        rows = 1 if third is None else 3
        assert names[theirs] == (rows * tensor.shape[0], *tensor.shape[1:]), name
    for theirs, thirds in placed.items():
        assert sorted(thirds) == ([0, 1, 2] if ".attn.qkv." in theirs else [0]), theirs
    unused = {name for name in names if any(re.fullmatch(pattern, name) for pattern in UNUSED)}
    assert set(names) == set(placed) | unused
    assert not set(placed) & unused


def test_weights_arrive_where_they_belong(checkpoint: Path) -> None:
    theirs, ours = weights(), load_model(checkpoint, TINY).state_dict()
    block = "backbone.body.swin.encoder.layers.2.blocks.1."
    joined = theirs["backbone.body.layers.2.blocks.1.attn.qkv.weight"]
    for which, third in zip("qkv", joined.split(32), strict=True):
        assert torch.equal(ours[f"{block}attention.{which}_proj.weight"], third)
    same = {
        f"{block}attention.o_proj.bias": "backbone.body.layers.2.blocks.1.attn.proj.bias",
        f"{block}layernorm_after.weight": "backbone.body.layers.2.blocks.1.norm2.weight",
        "backbone.body.hidden_states_norms.stage2.bias": "backbone.body.norm1.bias",
        "backbone.body.swin.embeddings.norm.bias": "backbone.body.patch_embed.norm.bias",
        "language.embeddings.word_embeddings.weight": "language_backbone.body.model.embeddings.word_embeddings.weight",
        "head.dyhead_tower.3.b_attn.gamma_v": "rpn.head.dyhead_tower.3.b_attn.gamma_v",
    }
    for mine, name in same.items():
        assert torch.equal(ours[mine], theirs[name])


def test_a_loaded_model_is_whole_float32_and_learns_nothing(checkpoint: Path) -> None:
    model = load_model(checkpoint, TINY)
    assert not model.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in model.parameters())


def test_a_converted_checkpoint_holds_the_used_tensors_and_loads_the_same(
    checkpoint: Path, tmp_path: Path, tiny_t: None
) -> None:
    out = tmp_path / "glip.safetensors"
    assert convert(checkpoint, out) == "T"
    written, given = load_file(out), weights()
    assert set(given) - set(written) == {n for n in given if any(re.fullmatch(pattern, n) for pattern in UNUSED)}
    assert all(torch.equal(tensor, given[name]) for name, tensor in written.items())
    assert list(tmp_path.iterdir()) == [out]
    a, b = (load_model(path, TINY).state_dict() for path in (checkpoint, out))
    assert all(torch.equal(a[name], b[name]) for name in a)
    again = tmp_path / "again.safetensors"
    convert(out, again)
    assert again.read_bytes() == out.read_bytes()


Change = Callable[[dict[str, Tensor]], None]


def lacking(name: str) -> Change:
    def change(tensors: dict[str, Tensor]) -> None:
        del tensors[name]

    return change


def with_one(name: str, tensor: Tensor) -> Change:
    return lambda tensors: tensors.update({name: tensor})


WRONG: dict[str, tuple[Change, str]] = {
    "missing": (lacking("rpn.head.bias0"), "lacks rpn.head.bias0; give the whole file"),
    "a missing part": (
        lacking("backbone.body.layers.1.blocks.0.attn.qkv.bias"),
        "lacks backbone.body.layers.1.blocks.0.attn.qkv.bias; give",
    ),
    "unknown": (
        with_one("rpn.head.mlm_head.bias", torch.zeros(2)),
        "holds 1 tensors that no GLIP has, rpn.head.mlm_head.bias first",
    ),
    "unknown beside the unused": (
        with_one("rpn.head.cls_logits.weight_g", torch.zeros(2)),
        "rpn.head.cls_logits.weight_g first",
    ),
    "of transformers' names": (
        with_one("backbone.body.swin.embeddings.norm.weight", torch.zeros(8)),
        "backbone.body.swin.embeddings.norm.weight first",
    ),
    "another shape": (
        with_one("rpn.head.bias_lang", torch.zeros(768)),
        r"rpn.head.bias_lang is torch.float32 \[768\], not numbers of \[24\]; give the variant of the recipe",
    ),
    "a joined one that does not divide": (
        with_one("backbone.body.layers.0.blocks.0.attn.qkv.bias", torch.zeros(25)),
        r"attn.qkv.bias is torch.float32 \[25\], not numbers of \[24\]",
    ),
    "integers": (
        with_one("rpn.head.bias0", torch.zeros(1).long()),
        r"rpn.head.bias0 is torch.int64 \[1\], not numbers",
    ),
}


@pytest.mark.parametrize(("change", "why"), WRONG.values(), ids=WRONG)
def test_a_tensor_that_does_not_fit_is_told_by_its_name(change: Change, why: str, tmp_path: Path, tiny_t: None) -> None:
    tensors = weights()
    change(tensors)
    path = write_checkpoint(tmp_path / "glip.pth", tensors)
    with pytest.raises(UserError, match=f"^detector.checkpoint: .*glip.pth.*{why}") as raised:
        load_model(path, TINY)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match=f"^glip-convert: .*glip.pth.*{why}"):
        convert(path, tmp_path / "out.safetensors")
    assert list(tmp_path.iterdir()) == [path]


class Runs:
    """Unpickled, it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


def test_a_checkpoint_that_is_code_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "old.pth").write_bytes(pickle.dumps({"model": Runs(mark)}, protocol=2))
    torch.save({"model": weights(), "hook": Runs(mark)}, tmp_path / "new.pth")
    told = {"old.pth": "it is no zip file", "new.pth": "it asks for posix.mkdir, which no weights need"}
    for name, why in told.items():
        with pytest.raises(
            UserError,
            match=f"^detector.checkpoint: .*{name} is no checkpoint: {why}.*; download it again from https://",
        ) as raised:
            load_model(tmp_path / name, TINY)
        assert "\n" not in str(raised.value)
    assert not mark.exists()


@pytest.mark.parametrize("share", [0, 0.5, 0.999], ids=["empty", "half", "nearly whole"])
def test_a_download_that_ended_early_is_to_be_fetched_again(checkpoint: Path, tmp_path: Path, share: float) -> None:
    whole = checkpoint.read_bytes()
    part = tmp_path / "part.pth"
    part.write_bytes(whole[: int(len(whole) * share)])
    why = "it is no zip file, so it is empty, cut short, or not of torch 1.6 or later; download it again from https://"
    with pytest.raises(UserError, match=f"^detector.checkpoint: .*part.pth is no checkpoint: {why}"):
        load_model(part, TINY)


def test_a_checkpoint_as_torch_wrote_them_before_zip_files_is_told(tmp_path: Path) -> None:
    torch.save({"model": weights()}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match=r"^detector.checkpoint: .*old.pth is no checkpoint: .* or not of torch 1\.6"):
        load_model(tmp_path / "old.pth", TINY)


def test_a_converted_file_that_is_cut_short_is_to_be_converted_again(
    checkpoint: Path, tmp_path: Path, tiny_t: None
) -> None:
    out = tmp_path / "glip.safetensors"
    convert(checkpoint, out)
    out.write_bytes(out.read_bytes()[:-1])
    with pytest.raises(
        UserError, match=r"glip.safetensors is no checkpoint: .*; write it again with `gristmill models"
    ):
        load_model(out, TINY)


def test_the_score_that_training_kept_beside_the_model_does_not_matter(tmp_path: Path) -> None:
    """A number of numpy, under the module's name of that time and of now."""
    named = {f"module.{name}": tensor for name, tensor in weights().items()}
    path = tmp_path / "glip.pth"
    torch.save({"model": named, "eval_result": np.float64(0.498)}, path)
    old = tmp_path / "old.pth"
    with zipfile.ZipFile(path) as members, zipfile.ZipFile(old, "w") as copy:
        for name in members.namelist():
            copy.writestr(name, members.read(name).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))

    assert b"numpy.core.multiarray" in old.read_bytes()
    for file in (path, old):
        assert torch.equal(load_model(file, TINY).head.bias0, weights()["rpn.head.bias0"])


def test_a_checkpoint_that_would_unpack_to_any_size_is_not_unpacked(checkpoint: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(checkpoint) as members, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in members.namelist():
            packed.writestr(name, members.read(name))
    with pytest.raises(UserError, match=r"^detector.checkpoint: .*bomb.pth is no checkpoint: .* it is compressed, "):
        load_model(bomb, TINY)


@pytest.mark.parametrize("held", [[], {}, {"model": 7}, {"model": {"a": 1}}], ids=["list", "empty", "number", "names"])
def test_a_file_without_a_model_is_told(held: object, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "glip.pth")
    with pytest.raises(UserError, match=r"^detector.checkpoint: .*glip.pth holds no tensors under 'model'"):
        load_model(tmp_path / "glip.pth", TINY)


@pytest.mark.parametrize("name", ["out.pth", "nowhere/out.safetensors"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^glip-convert: .*{name} is no .safetensors in a folder that is there"):
        convert(tmp_path / "unread.pth", tmp_path / name)


def test_what_is_neither_t_nor_l_is_not_converted(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^glip-convert: .* is neither GLIP-T nor GLIP-L: .*proj.bias has 8 numbers"):
        convert(checkpoint, tmp_path / "out.safetensors")
