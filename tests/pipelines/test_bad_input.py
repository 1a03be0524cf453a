"""What bad input gets: a reason. And what its good neighbours get: a place in the dataset. All in one build."""

from __future__ import annotations

import io
import json
import math
import struct
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from builders.shards.store import Store
from builders.shards.verify import verify
from tests.pipelines.coco import Coco, encoded, picture
from tests.pipelines.milling import losses, mill, table

pytestmark = pytest.mark.ray


@dataclass
class Spoilt:
    """The dataset and what must become of it."""

    out: Path
    coco: Coco
    manifest: dict[str, Any] = field(default_factory=dict)
    good: list[str] = field(default_factory=list)
    lost: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    odd: dict[str, str | None] = field(default_factory=dict)
    """Kept although odd: key -> `reencoded`."""
    foreign: list[str] = field(default_factory=list)
    """Captions in which an English parser finds nothing that it knows: rejected, by one step or another."""


def rejected(step: str, reason: str) -> tuple[str, str, str]:
    return "rejected", step, reason


NO_CHUNK = rejected("noun_chunks", "no_chunk")
NO_BOX = rejected("select_boxes", "no_box")


def png_header_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def rotated(orientation: int) -> bytes:
    """A JPEG that lies on its side: 64 x 48 as stored, 48 x 64 as a viewer shows it, red at the viewer's top."""
    image = Image.new("RGB", (48, 64), "blue")
    image.paste("red", (0, 0, 48, 32))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=95)


def spoilt_photos(it: Spoilt) -> None:
    jpeg = encoded(picture(1, (256, 256)))
    bomb = encoded(Image.new("1", (12_000, 9_000)), "PNG")
    pages = [picture(i) for i in range(3)]
    for suffix, data, reason in (
        ("jpg", jpeg[: len(jpeg) // 2], "broken_image"),
        ("png", encoded(picture(2), "PNG")[:100], "broken_image"),
        ("jpg", b"<html>404 not found</html>", "not_an_image"),
        ("png", png_header_of(20_000, 20_000), "too_many_pixels"),
        ("png", bomb, "too_many_pixels"),
        ("gif", encoded(pages[0], "GIF", save_all=True, append_images=pages[1:]), "animated"),
        ("webp", encoded(pages[0], "WEBP", save_all=True, append_images=pages[1:]), "animated"),
        ("jpg", encoded(picture(3, (30, 30))), "size_differs"),
    ):
        step = "place_boxes" if reason == "size_differs" else "read_image"
        it.lost[it.coco.pair(data, suffix=suffix)] = rejected(step, reason)
        it.good.append(it.coco.pair())
    empty = it.coco.pair()
    it.coco.files[it.coco.photos[-1]["file_name"]] = b""
    it.lost[empty] = rejected("read_image", "empty_image")
    it.lost[it.coco.pair(None)] = ("failed", "read_image", "FileNotFoundError")
    it.good.append(it.coco.pair())


def odd_photos(it: Spoilt) -> None:
    deep = Image.new("I;16", (64, 48), 30_000)
    see_through = Image.new("RGBA", (64, 48), (255, 0, 0, 128))
    for suffix, data, reencoded in (
        ("jpg", encoded(picture(4).convert("CMYK")), "cmyk"),
        ("png", encoded(picture(5).convert("P"), "PNG"), None),
        ("jpg", encoded(picture(6).convert("L")), None),
        ("png", encoded(deep, "PNG"), "16_bit"),
        ("png", encoded(see_through, "PNG"), "transparent"),
        ("bmp", encoded(picture(7), "BMP"), "format_bmp"),
        ("png", encoded(picture(8)), None),  # a JPEG by another name
    ):
        it.odd[it.coco.pair(data, suffix=suffix)] = reencoded
        it.good.append(it.coco.pair())


def rotated_photos(it: Spoilt) -> tuple[str, str]:
    """The same photo, boxes drawn by an annotator who saw it upright, and by one who saw it as stored."""
    upright = it.coco.photo(rotated(6), size=(48, 64))
    it.coco.box(upright, "dog", 0, 0, 48, 32)
    stored = it.coco.photo(rotated(6), size=(64, 48))
    it.coco.box(stored, "dog", 0, 0, 32, 48)
    keys = it.coco.caption(upright, "A dog."), it.coco.caption(stored, "A dog.")
    it.odd |= dict.fromkeys(keys, "exif_rotated")
    return keys


def spoilt_captions(it: Spoilt) -> None:
    for text, reason in (
        ("", "empty_caption"),
        (" \n\t", "empty_caption"),
        ("A dog. " * 3_000, "caption_too_long"),
        ("A dog\0 sits.", "control_character"),
        ("A dog <box> sits.", "markup"),
        (None, "no_caption"),
        (["A dog."], "no_caption"),
    ):
        it.lost[it.coco.caption(1, text)] = rejected("check_caption", reason)
        it.good.append(it.coco.pair())
    for text in ("A dog 🐶 sits on 🪑 a bench.", "A dog (כלב) sits on a bench.", "A  dog\n sits."):
        photo = it.coco.photo()
        it.coco.box(photo, "dog", 1, 1, 20, 20)
        it.odd[it.coco.caption(photo, text)] = None
    for text in ("כלב על ספסל", "A dog\u202e sits.", "🐶🐶🐶", "犬"):
        photo = it.coco.photo()
        it.coco.box(photo, "dog", 1, 1, 20, 20)
        it.foreign.append(it.coco.caption(photo, text))
    it.lost[it.coco.caption(1, "Running quickly.")] = NO_CHUNK


def spoilt_boxes(it: Spoilt) -> None:
    for bbox in (
        (500, 500, 10, 10),
        (-50, -50, 10, 10),
        (math.nan, 1, 10, 10),
        (1, 1, math.inf, 10),
        (1, 1, 0, 10),
        (1, 1, -5, 10),
        ("1", None, 3, 4),
        (1, 2, 3),
        (1e308, 1e308, 1e308, 1e308),
    ):
        photo = it.coco.photo()
        it.coco.box(photo, "dog", *bbox)
        it.lost[it.coco.caption(photo, "A dog.")] = NO_BOX
        it.coco.box(photo, "bench", 1, 1, 30, 30)
        it.good.append(it.coco.caption(photo, "A bench."))
    it.lost[it.coco.caption(it.coco.photo(), "A dog without a box.")] = NO_BOX
    it.coco.boxes.append({"id": 9_000, "image_id": 77_777, "category_id": 1, "bbox": [1, 1, 2, 2], "iscrowd": 0})


def spoilt_keys(it: Spoilt) -> None:
    it.lost[it.coco.caption(4_444, "A dog.")] = rejected("check_caption", "unknown_image")
    for name in ("a/b", "..", ".", "a.b", "../../etc/passwd", "with space", "_hidden", "x" * 200, "nul\0"):
        it.coco.photo(id=name)
        number = len(it.coco.captions) + 1
        it.coco.caption(name, "A dog.")
        it.lost[f"{name}-{number}"] = rejected("check_caption", "bad_key")
        it.good.append(it.coco.pair())
    twin = it.coco.pair()
    it.good.append(twin)
    it.coco.captions.append(dict(it.coco.captions[-1]))
    it.good.append(it.coco.pair())


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory, one_ray: None) -> Spoilt:
    folder = tmp_path_factory.mktemp("spoilt")
    it = Spoilt(folder / "out", Coco(folder))
    for spoil in (spoilt_photos, odd_photos, rotated_photos, spoilt_captions, spoilt_boxes, spoilt_keys):
        it.good.append(it.coco.pair())
        spoil(it)
    it.coco.recipe["output"]["unit"] = 7
    it.manifest = mill(it.coco.save(), it.out)
    return it


def test_given_bad_inputs_then_each_is_lost_with_the_step_and_the_reason(spoilt: Spoilt) -> None:
    found = losses(spoilt.out)
    twins = [key for key, (_, _, reason) in found.items() if reason == "duplicate_key"]

    assert {key: found.get(key) for key in spoilt.lost} == spoilt.lost
    assert {found[key] for key in spoilt.foreign} <= {NO_CHUNK, NO_BOX}
    assert set(found) == {*spoilt.lost, *spoilt.foreign, *twins}
    assert len(twins) == 1
    assert twins[0] in spoilt.good, "the first of two with one key stays"


def test_given_bad_inputs_then_no_good_neighbour_is_lost(spoilt: Spoilt) -> None:
    kept = {key for (key,) in table(spoilt.out, "index", "key")}

    assert kept == {*spoilt.good, *spoilt.odd}


def test_given_bad_inputs_then_every_input_is_accounted_for_and_the_dataset_verifies(spoilt: Spoilt) -> None:
    funnel = spoilt.manifest["funnel"]["inputs"]

    assert funnel["total"] == len(spoilt.coco.captions)
    assert funnel["kept"] == len(spoilt.good) + len(spoilt.odd)
    assert funnel["failed"] == 1
    assert verify(Store(str(spoilt.out))).problems == []
    assert spoilt.manifest["tallies"]["boxes_invalid"] >= 9


def test_every_detail_of_a_loss_is_there_and_short(spoilt: Spoilt) -> None:
    for key, detail in table(spoilt.out, "rejects", "key", "detail"):
        assert detail is not None, key
        assert len(detail) <= 500


def test_given_odd_photos_then_they_are_kept_and_the_index_tells_which_were_encoded_again(spoilt: Spoilt) -> None:
    found = dict(table(spoilt.out, "index", "key", "reencoded"))

    assert {key: found[key] for key in spoilt.odd} == spoilt.odd
    assert {found[key] for key in spoilt.good} == {None}


def samples(out: Path) -> dict[str, bytes]:
    found = {}
    for shard in sorted((out / "data").iterdir()):
        with tarfile.open(shard) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


def test_every_photo_in_the_shards_is_what_a_plain_decoder_shows_right(spoilt: Spoilt) -> None:
    sizes = {key: (w, h) for key, w, h in table(spoilt.out, "index", "key", "width", "height")}
    for name, data in samples(spoilt.out).items():
        key, suffix = name.split(".")
        if suffix not in ("jpg", "png", "webp"):
            continue
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert image.format == {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[suffix]
            assert image.size == sizes[key]
            assert image.mode in ("RGB", "L", "P")
            assert image.getexif().get(0x0112, 1) == 1


def test_given_a_photo_on_its_side_then_its_box_lies_on_what_a_viewer_sees_whoever_drew_it(spoilt: Spoilt) -> None:
    inside = samples(spoilt.out)
    rotated_keys = [key for key, reason in spoilt.odd.items() if reason == "exif_rotated"]
    assert len(rotated_keys) == 2
    for key in rotated_keys:
        record = json.loads(inside[f"{key}.json"])
        ((start, end, x1, y1, x2, y2, score),) = record["noun_chunks"]
        assert (record["caption"][start:end], score) == ("A dog", 1.0)
        assert (x1, y1, x2, y2) == pytest.approx((0, 0, 1, 0.5))
        with Image.open(io.BytesIO(inside[f"{key}.jpg"])) as image:
            assert image.size == (48, 64)
            red, _, blue = image.convert("RGB").getpixel((24, 10))  # type: ignore[misc]
            assert red > 200 > blue
