"""How images are fetched from URLs and resized.

Names and defaults are img2dataset's where it has the same option, but for `retries`, which are none there.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from schemas.fields import Fields, running

ResizeMode = Literal["no", "border", "keep_ratio", "keep_ratio_largest", "center_crop"]
Interpolation = Literal["nearest", "linear", "bilinear", "cubic", "bicubic", "area", "lanczos", "lanczos4"]
_HIGHEST_PNG = 9


class Fetch(Fields):
    """What is asked of servers, what is taken from them, and how it is stored."""

    image_size: int = Field(256, ge=1, le=10_000, description="pixels, of the side that resize_mode tells")
    resize_mode: ResizeMode = Field(
        "border",
        description="border: longer side, padded white to a square; keep_ratio: shorter side; keep_ratio_largest: "
        "longer side; center_crop: shorter side, then cut to a square; no: as it is",
    )
    resize_only_if_bigger: bool = False
    upscale_interpolation: Interpolation = "lanczos"
    downscale_interpolation: Interpolation = "area"
    encode_format: Literal["jpg", "png", "webp"] = "jpg"
    encode_quality: int = Field(95, ge=0, le=100, description="png: compression, 0 to 9")
    skip_reencode: bool = Field(False, description="keep the bytes of what is in encode_format already and fits")
    disable_all_reencoding: bool = Field(
        False, description="nothing is resized; bytes stay, where viewers show them as they are"
    )
    min_image_size: int = Field(0, ge=0, description="pixels of the shorter side")
    max_image_area: float | None = Field(None, gt=0, description="pixels")
    max_aspect_ratio: float | None = Field(None, ge=1, description="longer side / shorter side")
    extract_exif: bool = Field(True, description="the EXIF tags as JSON text in column exif")
    max_bytes: int = Field(20_000_000, ge=1, le=128_000_000, description="larger answers are rejected")
    user_agent_token: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_.\-]+$", description="who asks; X-Robots-Tag may address it by name"
    )
    disallowed_header_directives: list[str] = Field(
        default=["noai", "noimageai", "noindex", "noimageindex"],
        description="X-Robots-Tag values that opt out; an empty list ignores the header",
    )
    timeout: float = running(10, gt=0, le=600, description="seconds without a byte, or to connect")
    max_seconds: float = running(30, gt=0, le=3600, description="seconds for one answer in all, redirects included")
    retries: int = running(2, ge=0, le=10, description="further tries of what may succeed later")
    connections: int = running(64, ge=1, le=1000, description="requests at once, of each unit in work")
    per_host: int = running(16, ge=1, le=1000, description="requests at once to one host, of the whole cluster")
    allow_private: bool = running(False, description="allow loopback, private and link-local addresses")

    @model_validator(mode="after")
    def _quality_fits(self) -> Fetch:
        if self.encode_format == "png" and self.encode_quality > _HIGHEST_PNG:
            raise ValueError("fetch.encode_quality: for png it is the compression, 0 to 9")
        return self
