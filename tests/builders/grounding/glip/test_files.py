"""Finding a GLIP before a build starts: one line for whatever is missing."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from builders.grounding.glip.config import VARIANTS, Variant
from builders.grounding.glip.files import CONVERTED, RELEASED, SIZES, TOKENIZER, GlipFiles, find_glip, glip_needs
from schemas.errors import UserError
from tests.hub import Hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("glip.pth", "glip.safetensors", "glip.zip", "vocab.txt"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_found_glip_tells_what_identifies_it(folder: Path) -> None:
    files = find_glip("T", str(folder / "glip.pth"), str(folder))
    assert files == GlipFiles("T", folder / "glip.pth", folder / "vocab.txt")
    sha256 = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("glip.pth", "vocab.txt")}
    assert files.digests() == {"checkpoint": sha256["glip.pth"], "tokenizer": sha256["vocab.txt"]}


def test_a_whole_tokenizer_comes_before_its_words(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    assert find_glip("L", str(folder / "glip.safetensors"), str(folder)).vocabulary == folder / "tokenizer.json"


def test_a_tokenizer_of_the_hub_is_found_by_its_id(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetched(model: str, allow_patterns: list[str], revision: str | None) -> str:
        asked.append((model, allow_patterns))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetched)
    assert find_glip("T", str(folder / "glip.pth")).vocabulary == folder / "vocab.txt"
    assert asked == [("google-bert/bert-base-uncased", ["tokenizer.json", "vocab.txt"])]


def test_a_tokenizer_that_cannot_be_fetched_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(UserError) as raised:
        find_glip("T", str(folder / "glip.pth"))
    assert str(raised.value) == (
        "detector.tokenizer: google-bert/bert-base-uncased could not be fetched (OSError: no route to host); "
        "check its name and the network, or fetch it elsewhere and give a local folder"
    )


NOT_FOUND = {
    "variant": ("H", "glip.pth", ".", "^detector.variant: 'H' is no GLIP; give one of T, L$"),
    "no file": (
        "L",
        "nowhere.pth",
        ".",
        "^detector.checkpoint: there is no file .*nowhere.pth; fetch glip_large_model.pth .6.9 GB. from https://huggingface.co/",
    ),
    "a folder": ("T", "empty", ".", "^detector.checkpoint: there is no file .*empty; fetch glip_tiny_model_o365"),
    "another kind": ("T", "glip.zip", ".", "^detector.checkpoint: .*glip.zip is neither .pth nor .safetensors; give"),
    "no words": ("T", "glip.pth", "empty", "^detector.tokenizer: .*empty has neither tokenizer.json nor vocab.txt"),
    "no tokenizer": ("T", "glip.pth", "no/such/name", "^detector.tokenizer: '.*' is neither a folder nor the id"),
}


@pytest.mark.parametrize(("variant", "checkpoint", "tokenizer", "why"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_what_is_not_there_is_told_in_one_line(
    folder: Path, variant: str, checkpoint: str, tokenizer: str, why: str
) -> None:
    with pytest.raises(UserError, match=why) as raised:
        find_glip(variant, str(folder / checkpoint), str(folder / tokenizer))  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_a_checkpoint_that_is_not_given_is_told_with_where_it_is_to_be_had(folder: Path) -> None:
    with pytest.raises(UserError) as raised:
        find_glip("L", None, str(folder))
    assert str(raised.value) == (
        "detector.checkpoint is not given; fetch glip_large_model.pth (6.9 GB) from "
        "https://huggingface.co/GLIPModel/GLIP, and name it with --set detector.checkpoint=…"
    )


def test_what_is_needed_is_told_with_the_commands_that_bring_it(tmp_path: Path, hub: Hub) -> None:
    checkpoint, tokenizer = glip_needs("L", None, TOKENIZER)
    assert (checkpoint.field, checkpoint.what, checkpoint.size) == (
        "detector.checkpoint",
        "glip_large_model.pth",
        6_896_153_761,
    )
    assert checkpoint.source == "https://huggingface.co/GLIPModel/GLIP"
    assert checkpoint.get == (
        "hf download GLIPModel/GLIP glip_large_model.pth --local-dir . && gristmill models glip-convert "
        "glip_large_model.pth glip_large.safetensors (1.7 GB), then --set detector.checkpoint=glip_large.safetensors"
    )
    assert checkpoint.stops
    assert (tokenizer.field, tokenizer.there, tokenizer.stops) == ("detector.tokenizer", False, False)
    assert tokenizer.source == "https://huggingface.co/google-bert/bert-base-uncased"


def test_what_is_there_is_told_as_there(folder: Path, hub: Hub) -> None:
    hub(TOKENIZER, "vocab.txt")
    assert [need.there for need in glip_needs("T", str(folder / "glip.pth"), TOKENIZER)] == [True, True]
    assert [need.there for need in glip_needs("T", str(folder / "none.pth"), TOKENIZER)] == [False, True]


def test_a_tokenizer_in_a_folder_is_no_need(folder: Path) -> None:
    assert [need.field for need in glip_needs("T", None, str(folder))] == ["detector.checkpoint"]


def test_every_variant_has_a_file_and_its_sizes() -> None:
    assert RELEASED.keys() == SIZES.keys() == CONVERTED.keys() == VARIANTS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["T", "L"])
def test_a_converted_checkpoint_is_as_large_as_told(variant: Variant) -> None:
    import torch

    from builders.grounding.glip.model import GlipModel

    with torch.device("meta"):
        tensors = GlipModel(VARIANTS[variant]).state_dict().values()
    assert sum(4 * tensor.numel() for tensor in tensors) == CONVERTED[variant]


def test_finding_one_loads_no_torch() -> None:
    code = "import sys, builders.grounding.glip.files; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
