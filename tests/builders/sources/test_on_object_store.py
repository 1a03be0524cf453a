"""Every kind of source on a real S3 server: the same inputs, digests and payload identities as on the disk."""

from __future__ import annotations

import csv
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from builders.instruct.prompting import OURS, load_prompts
from builders.places import persist
from builders.shards.store import Store
from builders.sources.coco import open_coco
from builders.sources.coco_images import open_coco_images
from builders.sources.images import ReadImage
from builders.sources.pairs import ReadPairImage
from builders.sources.pairs_open import open_pairs
from builders.sources.speech import open_speech
from builders.sources.speech_read import ReadUtterance
from builders.sources.text_instructions import open_text_instructions
from builders.step import Services
from builders.uri import place_of
from schemas.errors import BuildError, UserError
from schemas.pairs import PairsSource, UrlsSource
from schemas.sources import CocoSource
from tests.builders.sources.speech_on_disk import audio, tar
from tests.s3 import S3, sometimes

pytestmark = pytest.mark.slow


def photo(n: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40 + n, 30), (n * 20, 90, 90)).save(out, "JPEG")
    return out.getvalue()


def folder(at: Path) -> None:
    for n in range(4):
        (at / "deeper").mkdir(exist_ok=True)
        (at / f"deeper/{n} ü.jpg").write_bytes(photo(n))
        (at / f"deeper/{n} ü.txt").write_text(f"photo {n}")


def captions(at: Path) -> None:
    for n in range(3):
        (at / f"{n}.png").write_bytes(photo(n))


def tars(at: Path) -> None:
    for shard in range(2):
        members = [
            (f"{shard}{n}.{kind}", data)
            for n in range(3)
            for kind, data in (("jpg", photo(n)), ("txt", b"a photo"), ("json", b'{"url": "http://x/"}'))
        ]
        tar(at / f"{shard}.tar", *members)


def parquet(at: Path) -> None:
    folder(at)
    names = [f"deeper/{n} ü.jpg" for n in range(4)] + ["deeper/missing.jpg"]
    table = pa.table({"caption": [f"photo {n}" for n in range(5)], "image": names, "score": [0.5] * 5})
    pq.write_table(table, at / "pairs.parquet", row_group_size=2)


def embedded(at: Path) -> None:
    table = pa.table({"caption": ["a", "b", "c"], "image": [photo(n) for n in range(3)]})
    pq.write_table(table, at / "pairs.parquet", row_group_size=2)


def jsonl(at: Path) -> None:
    folder(at)
    lines = [{"caption": f"photo {n}", "image": f"deeper/{n} ü.jpg"} for n in range(4)]
    (at / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))


def tsv(at: Path) -> None:
    folder(at)
    with (at / "pairs.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([("caption", "image"), ("a photo", "deeper/1 ü.jpg")])


PAIRS: dict[str, tuple[Callable[[Path], None], str]] = {
    "folder": (folder, ""),
    "captions": (captions, ""),
    "tars": (tars, ""),
    "parquet": (parquet, "/pairs.parquet"),
    "embedded": (embedded, "/pairs.parquet"),
    "jsonl": (jsonl, "/pairs.jsonl"),
    "tsv": (tsv, "/pairs.tsv"),
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(persist, "_LONGEST_WAIT", 0.02)


def copied(local: Path, s3: S3) -> str:
    """The address of a copy of a folder."""
    store = Store(f"s3://{s3.bucket()}/some/where")
    for file in sorted(local.rglob("*")):
        if file.is_file():
            store.put_bytes(file.relative_to(local).as_posix(), file.read_bytes())
    return str(store)


def same(far: Any, near: Any) -> None:
    """Both sources tell the same, and one travels to workers."""
    assert far.unit_sizes == near.unit_sizes
    assert far.digests == near.digests
    assert far.payloads(far.unit_sizes) == near.payloads(near.unit_sizes)
    assert far.facts() == near.facts()
    inputs = sum(far.unit_sizes)
    assert pickle.loads(pickle.dumps(far)).read(0, inputs).equals(near.read(0, inputs))


def media(source: Any, step: Any, services: Services) -> list[Any]:
    """What a step makes of all inputs, or how it fails."""
    step.setup(services)
    found = []
    for record in source.read(0, sum(source.unit_sizes)).select(step.reads).to_pylist():
        try:
            found += step([record])
        except OSError as error:
            found.append(type(error).__name__)
    return found


@pytest.mark.parametrize("kind", PAIRS)
def test_pairs(kind: str, tmp_path: Path, s3: S3, services: Services, quick: None) -> None:
    make, name = PAIRS[kind]
    make(tmp_path)
    where = copied(tmp_path, s3)
    told = {}
    if kind == "captions":
        (tmp_path.parent / "captions.tsv").write_text("0.png\tfirst\n2.png\tthird\n")
        other = f"s3://{s3.bucket()}"
        Store(other).put_bytes("of.tsv", (tmp_path.parent / "captions.tsv").read_bytes())
        told = {"near": {"captions": f"{tmp_path.parent}/captions.tsv"}, "far": {"captions": f"{other}/of.tsv"}}
    s3.proxy.fault = sometimes(0.1, seed=3, kinds=("500", "503", "reset", "truncate"))
    near = open_pairs(PairsSource(path=f"{tmp_path}{name}", **told.get("near", {})), 2)
    far = open_pairs(PairsSource(path=f"{where}{name}", **told.get("far", {})), 2)
    same(far, near)
    read = [media(source, ReadPairImage(source.folder), services) for source in (far, near)]
    assert read[0] == read[1]
    assert any(isinstance(one, dict) for one in read[0])


def test_a_dataset_that_gristmill_built_brings_its_index(tmp_path: Path, s3: S3) -> None:
    for name in ("data", "index", "units"):
        (tmp_path / name).mkdir()
    tars(tmp_path / "data")
    pq.write_table(pa.table({"key": ["00", "12"], "clip": [0.25, 0.5]}), tmp_path / "index" / "0.parquet")
    (tmp_path / "units" / "000000.json").write_text("{}")
    (tmp_path / "manifest.json").write_text("{}")
    where = copied(tmp_path, s3)
    near, far = (open_pairs(PairsSource(path=str(path)), 4, index=True) for path in (tmp_path, where))
    same(far, near)
    assert far.read(0, 6)["source_clip"].to_pylist() == [0.25, None, None, None, None, 0.5]


def test_a_list_of_urls(tmp_path: Path, s3: S3) -> None:
    pq.write_table(pa.table({"url": ["http://x/a.jpg"], "caption": ["a"]}), tmp_path / "urls.parquet")
    where = copied(tmp_path, s3)
    near, far = (open_pairs(UrlsSource(kind="urls", path=f"{path}/urls.parquet"), 9) for path in (tmp_path, where))
    same(far, near)


def test_coco(tmp_path: Path, s3: S3, services: Services) -> None:
    photos = [{"id": n, "file_name": f"{n}.jpg", "width": 40 + n, "height": 30} for n in range(3)]
    told = [{"id": n, "image_id": n, "caption": "a dog"} for n in range(3)]
    box = {"id": 3, "image_id": 1, "category_id": 18, "bbox": [10, 20, 3, 4], "iscrowd": 0}
    (tmp_path / "images").mkdir()
    for n in range(2):
        (tmp_path / f"images/{n}.jpg").write_bytes(photo(n))
    (tmp_path / "captions.json").write_text(json.dumps({"images": photos, "annotations": told}))
    boxes = {"images": photos, "annotations": [box], "categories": [{"id": 18, "name": "dog"}]}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    where = copied(tmp_path, s3)
    s3.proxy.seen.clear()
    sources = [
        CocoSource(images=f"{at}/images", captions=f"{at}/captions.json", instances=f"{at}/boxes.json")
        for at in (where, tmp_path)
    ]
    for open_it in (open_coco, open_coco_images):
        far, near = (open_it(source, 2) for source in sources)  # type: ignore[operator]
        same(far, near)
        read = [media(source, ReadImage(source.folder), services) for source in (far, near)]
        assert read[0] == read[1]
        assert read[0][2] == "FileNotFoundError"


def speech_folder(at: Path) -> None:
    for n in range(2):
        (at / f"{n}.wav").write_bytes(audio(hertz=300 + n))
        (at / f"{n}.txt").write_text("hello")


def ljspeech(at: Path) -> None:
    (at / "wavs").mkdir()
    (at / "metadata.csv").write_text("a|Hello.|hello\nb|Gone.|gone\n")
    (at / "wavs/a.wav").write_bytes(audio())


def librispeech(at: Path) -> None:
    (at / "1/2").mkdir(parents=True)
    (at / "1/2/1-2.trans.txt").write_text("1-2-0000 HELLO\n")
    (at / "1/2/1-2-0000.flac").write_bytes(audio(kind="FLAC"))


def manifest(at: Path) -> None:
    lines = [{"audio_filepath": "a.wav", "text": "hello", "offset": 0.05, "duration": 0.1}]
    (at / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (at / "a.wav").write_bytes(audio())


def speech_tars(at: Path) -> None:
    tar(at / "0.tar", ("a.wav", audio()), ("a.txt", b"hello"), ("b.flac", audio(kind="FLAC")), ("b.txt", b"bye"))


@pytest.mark.parametrize("make", [speech_folder, ljspeech, librispeech, manifest, speech_tars])
def test_speech(make: Callable[[Path], None], tmp_path: Path, s3: S3, services: Services) -> None:
    make(tmp_path)
    where = copied(tmp_path, s3)
    near, far = (open_speech(str(path), None, 1) for path in (tmp_path, where))
    same(far, near)
    read = [media(source, ReadUtterance(source.folder), services) for source in (far, near)]
    assert read[0] == read[1]
    assert any(isinstance(one, dict) for one in read[0])


def test_text_instructions(tmp_path: Path, s3: S3) -> None:
    (tmp_path / "a.jsonl").write_text('{"instruction": "Say hello.", "output": "Hello."}\n')
    near, far = (open_text_instructions(str(path), 9) for path in (tmp_path, copied(tmp_path, s3)))
    same(far, near)


def test_prompts(s3: S3) -> None:
    far = load_prompts(place_of(copied(OURS, s3), "prompts_dir"))
    assert far.prompts == load_prompts(OURS).prompts


def test_a_tar_that_changed_since_it_was_listed_stops_the_build(tmp_path: Path, s3: S3) -> None:
    tars(tmp_path)
    where = copied(tmp_path, s3)
    source = open_pairs(PairsSource(path=where), 9)
    Store(where).put_bytes("0.tar", b"another")
    with pytest.raises(BuildError, match=r"0\.tar has changed since it was listed"):
        source.read(0, 3)


@pytest.mark.parametrize("path", ["/nothing", "/nothing/x.parquet"])
def test_what_is_not_there_is_one_line(s3: S3, path: str) -> None:
    with pytest.raises(UserError, match=r"^source\.path: s3://.*/nothing.* is not there$"):
        open_pairs(PairsSource(path=f"s3://{s3.bucket()}{path}"), 9)


def test_who_may_not_look_is_told_so_in_one_line(s3: S3) -> None:
    where = f"s3://{s3.bucket()}"
    s3.proxy.fault = lambda method, path: "403"
    with pytest.raises(UserError, match=r"^s3://.*: access is denied: "):
        open_pairs(PairsSource(path=f"{where}/x"), 9)
    with pytest.raises(UserError, match=r"^s3://.*: access is denied: "):
        open_coco(CocoSource(images=where, captions=f"{where}/c", instances=f"{where}/i"), 9)


def test_a_folder_of_many_files_is_listed_once(tmp_path: Path, s3: S3) -> None:
    lines = [json.dumps({"caption": f"photo {n}", "image": f"{n}.jpg"}) for n in range(40)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    for n in range(40):
        (tmp_path / f"{n}.jpg").write_bytes(b"x")
    where = copied(tmp_path, s3)
    s3.proxy.seen.clear()
    open_pairs(PairsSource(path=f"{where}/pairs.jsonl"), 2)
    assert sum(s3.proxy.seen.values()) < 20
