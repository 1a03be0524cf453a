"""LLaVA's pre-training data, from drawn scenes to the files of its trainer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from builders.export.conversations import export
from builders.instruct.questions import BRIEF
from builders.shards.store import Store
from builders.shards.verify import verify
from schemas.errors import BuildError, UserError
from tests.pipelines.milling import mill, table

pytestmark = pytest.mark.ray


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, one_ray: None) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    recipe = folder / "recipe.yaml"
    source = {"kind": "scenes", "count": 20, "size": 64, "corrupt": 0.2}
    recipe.write_text(yaml.safe_dump({"kind": "llava_pretrain", "source": source, "output": {"unit": 8}}))
    mill(recipe, folder / "out")
    return folder / "out"


def test_each_caption_becomes_one_turn_about_its_image(built: Path) -> None:
    assert verify(Store(str(built))).problems == []
    kept = table(built, "index", "key", "n_turns")
    assert 10 < len(kept) < 20
    assert {turns for _, turns in kept} == {1}


def test_llavas_export_is_its_trainers_list_and_folder(built: Path, tmp_path: Path) -> None:
    count = export(Store(str(built)), "llava", tmp_path / "llava")

    told = json.loads((tmp_path / "llava/llava.json").read_text())
    assert len(told) == count == len(table(built, "index", "key"))
    for item in told:
        assert item.keys() == {"id", "image", "conversations"}
        human, gpt = item["conversations"]
        assert human["value"].replace("<image>", "").strip() in BRIEF
        assert gpt["from"] == "gpt"
        Image.open(tmp_path / "llava/images" / item["image"]).load()
    assert {path.name for path in (tmp_path / "llava").iterdir()} == {"llava.json", "images"}


def test_the_chat_export_is_a_line_of_messages_each(built: Path, tmp_path: Path) -> None:
    count = export(Store(str(built)), "chat", tmp_path)

    lines = [json.loads(line) for line in (tmp_path / "chat.jsonl").read_text().splitlines()]
    assert len(lines) == count
    for line in lines:
        assert [message["role"] for message in line["messages"]] == ["user", "assistant"]
        assert (tmp_path / line["images"][0]).is_file()


def test_an_export_overwrites_nothing_and_leaves_no_half_list(built: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(UserError, match="not an empty folder"):
        export(Store(str(built)), "llava", tmp_path)
    with pytest.raises(UserError, match="holds no gristmill dataset"):
        export(Store(str(tmp_path / "nothing")), "llava", tmp_path / "a")


def test_a_cut_shard_is_told(built: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(built, tmp_path / "copy"))
    shard = copy / "data/000001.tar"
    shard.write_bytes(shard.read_bytes()[:2000])

    with pytest.raises(BuildError, match=r"000001\.tar: ends before"):
        export(Store(str(copy)), "llava", tmp_path / "llava")
    assert not (tmp_path / "llava/llava.json").exists()
