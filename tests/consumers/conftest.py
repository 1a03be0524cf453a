"""A finished dataset as its readers find it: shards of several formats, and a gap where a unit kept nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipelines.coco import Coco, encoded, picture
from tests.pipelines.milling import mill, one_ray

__all__ = ["one_ray"]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, one_ray: None) -> Path:
    """15 samples in units 0, 1, 3 and 4; unit 2 kept nothing."""
    coco = Coco(tmp_path_factory.mktemp("consumers"))
    for i in range(8):
        kind = ("JPEG", "PNG", "WEBP")[i % 3]
        coco.pair(encoded(picture(i), kind), suffix=kind.lower())
    for _ in range(4):
        coco.pair(b"no photo")
    for _ in range(5):
        coco.pair()
    coco.pair(b"no photo")
    coco.pair(encoded(picture(99, mode="CMYK")))
    coco.pair(encoded(picture(98, mode="L")))
    out = coco.folder / "out"
    mill(coco.save(), out)
    return out
