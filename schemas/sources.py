"""Where inputs come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.fields import Fields, location


class CocoSource(Fields):
    """Photos with captions and boxes in COCO format. One input a (photo, caption) pair."""

    kind: Literal["coco"] = "coco"
    images: str = location(description="folder of the photos that `file_name` names")
    captions: str = location(description="COCO captions JSON: images, annotations with caption")
    instances: str = location(description="COCO instances JSON: images, annotations with bbox, categories")
    limit: int | None = Field(None, ge=1, description="take only the first inputs; --limit sets it")


class ScenesSource(Fields):
    """Drawn pictures with captions, boxes and known truth: any number of them, without a download."""

    kind: Literal["scenes"]
    count: int = Field(1000, ge=1, description="how many records")
    seed: int = Field(0, ge=0, description="which world; record i depends on these fields alone")
    size: int = Field(128, ge=32, le=1024, description="the pictures' side in pixels")
    mismatched: float = Field(0.0, ge=0, le=1, description="share whose caption is that of another scene")
    one_word: float = Field(0.0, ge=0, le=1, description="share with one false word in the caption")
    duplicates: float = Field(0.0, ge=0, le=1, description="share that copies an earlier picture, cropped, resized")
    corrupt: float = Field(0.0, ge=0, le=1, description="share whose bytes do not decode")
    foreign: float = Field(0.0, ge=0, le=1, description="share with a caption in de, fr, es, it or nl")
    limit: int | None = Field(None, ge=1, description="take only the first inputs; --limit sets it")
