"""The contact sheet: samples read back by range, their boxes drawn and coloured."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image, ImageColor

from builders import rows
from builders.cards.lettering import COLOURS
from builders.cards.sheet import Shown, describe, draw_sheet, pick
from builders.shards.dataset import Claim, write_claim
from builders.shards.store import Store
from builders.shards.unit import Layout, Member, commit_unit
from schemas.errors import BuildError

LAYOUT = Layout((Member("image", extension_from="format"), Member("caption", "txt"), Member("json", "json")))


def photo(colour: str, size: tuple[int, int] = (240, 180), kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


def record(caption: str = "a dog on grass", *boxes: tuple[float, float, float, float]) -> dict[str, Any]:
    found = [{"text": "a dog", "start": 0, "end": 5, "boxes": [list(b) for b in boxes], "scores": [1.0] * len(boxes)}]
    return {"caption": caption, "phrases": found, "grounded_caption": f"<grounding>{caption}"}


def shown(key: str, image: bytes, told: dict[str, Any]) -> Shown:
    return Shown(key, {"png": image}, told)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three photos with two captions each."""
    made = []
    for i in range(6):
        image = i // 2
        sample = record(f"a dog, caption {i}", (0.1, 0.1, 0.5, 0.5))
        made.append(
            {"key": f"k{i}", "image_file": f"{image}.png", "n_phrases": i % 2, "format": "png"}
            | {"image": photo(("red", "lime", "blue")[image]), "caption": sample["caption"]}
            | {"json": json.dumps(sample).encode()}
        )
    schema = pa.schema(
        [("key", pa.string()), ("image_file", pa.string()), ("n_phrases", pa.int32()), ("format", pa.string())]
        + [("image", pa.large_binary()), ("caption", pa.string()), ("json", pa.large_binary())]
    )
    store = Store(tmp_path / "d")
    claim = Claim({}, (6,))
    write_claim(store, claim)
    table = rows.begin(pa.Table.from_pylist(made, schema), 0)
    commit_unit(store, 0, 6, table, LAYOUT, {}, content_hash=claim.hash)
    return store


def test_one_sample_a_photo_is_picked_first_the_one_with_most_phrases(store: Store) -> None:
    assert [one.key for one in pick(store, 3)] == ["k1", "k3", "k5"]


def test_more_are_picked_where_more_are_asked_for_and_all_where_there_are_no_more(store: Store) -> None:
    assert [one.key for one in pick(store, 5)] == ["k1", "k3", "k5", "k0", "k2"]
    assert sorted(one.key for one in pick(store, 100)) == [f"k{i}" for i in range(6)]


def test_fewer_are_picked_evenly(store: Store) -> None:
    assert [one.key for one in pick(store, 1)] == ["k1"]
    assert pick(store, 2) == pick(store, 2)
    assert len({one.media["png"] for one in pick(store, 2)}) == 2


def test_a_picked_sample_is_read_back_from_its_shard(store: Store) -> None:
    (one,) = [one for one in pick(store, 3) if one.key == "k3"]
    assert one.media == {"png": photo("lime")}
    assert one.record["caption"] == "a dog, caption 3"
    assert describe(one) == "k3  <grounding>a dog, caption 3"


def test_an_index_that_cannot_be_read_is_told_in_one_line(store: Store) -> None:
    [path] = store.list("index")
    store.put_bytes(path, store.read_bytes(path)[:100])
    with pytest.raises(BuildError, match="; `gristmill verify` names the file if one is damaged$"):
        pick(store, 1)


def test_boxes_are_drawn_where_they_are_in_the_phrases_colour(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "sheet.png"
    draw_sheet([shown("k", photo("white"), record("a dog on grass", (0.25, 0.5, 0.75, 1.0)))], path)
    sheet = Image.open(path).convert("RGB")
    colour = ImageColor.getrgb(COLOURS[0])
    left, top = 12, 12
    assert sheet.getpixel((left + 120, top + 300)) == colour  # the photo is shown twice as large
    assert sheet.getpixel((left + 359, top + 300)) == colour
    assert sheet.getpixel((left + 300, top + 180)) == colour
    assert sheet.getpixel((left + 240, top + 270)) == (255, 255, 255)
    assert sheet.getpixel((left + 60, top + 300)) == (255, 255, 255)


def test_the_same_samples_give_the_same_picture(tmp_path: Path, store: Store) -> None:
    for name in ("a.png", "b.png"):
        draw_sheet(pick(store, 6), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "caption", ["a dog", "a dog " * 200, "a dog" + "x" * 2000, "a dog 🐕 כלב על הדשא", "a dog\nin two\n\nlines"]
)
@pytest.mark.parametrize("size", [(1, 1), (4000, 30), (30, 4000)])
def test_any_caption_and_any_photo_can_be_drawn(tmp_path: Path, caption: str, size: tuple[int, int]) -> None:
    tiny = (0.0, 0.0, 0.000001, 0.000001)
    sample = shown("k" * 80, photo("gray", size), record(caption, (0.0, 0.0, 1.0, 1.0), tiny))
    draw_sheet([sample, sample], tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").width == 2 * 492 + 12


def test_a_photo_of_every_format_that_a_shard_holds_can_be_drawn(tmp_path: Path) -> None:
    samples = [shown("k", photo("red", kind=kind), record("a dog", (0.0, 0.0, 1.0, 1.0))) for kind in ("JPEG", "WEBP")]
    draw_sheet(samples, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 0


def test_no_sample_is_a_sheet_without_photos(tmp_path: Path) -> None:
    draw_sheet([], tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").convert("RGB").getcolors(1) is not None
