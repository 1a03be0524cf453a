"""Prepared pixels against open_clip's own evaluation transform."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from builders.filters.clip_files import open_clip
from builders.filters.clip_image import PrepareImage, Preprocess
from builders.step import Rejected

MODES = ("RGB", "L", "P", "1", "RGBA", "LA", "CMYK")
SIDES = st.integers(1, 90)


def picture(seed: int, size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def theirs(preprocess: Preprocess, image: Image.Image) -> Any:
    """open_clip's transform without its last two steps, which convert to float and normalise."""
    open_clip()
    from open_clip.transform import PreprocessCfg, image_transform_v2

    fields = {name: getattr(preprocess, name) for name in PreprocessCfg.__dataclass_fields__ if name != "mode"}
    whole = image_transform_v2(PreprocessCfg(**fields), is_train=False).transforms
    assert [type(step).__name__ for step in whole[-3:]] == ["MaybeConvertMode", "MaybeToTensor", "Normalize"]
    for step in whole[:-2]:
        image = step(image)
    return np.asarray(image)


@settings(max_examples=150)
@given(
    st.tuples(SIDES, SIDES),
    st.tuples(st.integers(8, 40), st.integers(8, 40)) | st.integers(8, 40).map(lambda n: (n, n)),
    st.sampled_from(["shortest", "longest", "squash"]),
    st.sampled_from(["bicubic", "bilinear", "random"]),
    st.sampled_from([0, 127]),
    st.sampled_from(MODES),
)
@example((64, 48), (32, 32), "shortest", "bicubic", 0, "RGB")
def test_pixels_are_open_clips_own_bit_by_bit(
    size: tuple[int, int], target: tuple[int, int], resize: Any, interpolation: Any, fill: int, mode: str
) -> None:
    preprocess = Preprocess(size=target, interpolation=interpolation, resize_mode=resize, fill_color=fill)
    resized = preprocess.resized(*size)
    if min(resized) < 1:
        return  # open_clip fails on these; see below
    image = picture(1, size, mode)
    ours = preprocess(image, resized)
    assert ours.mode == "RGB" and ours.size == target[::-1]
    assert np.array_equal(np.asarray(ours), theirs(preprocess, image))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_a_prepared_photo_is_its_pixels_row_by_row() -> None:
    image = picture(2, (50, 40))
    preprocess = Preprocess(size=(16, 16))
    (result,) = PrepareImage(preprocess)([{"image": encoded(image)}])
    assert isinstance(result, dict)
    assert np.array_equal(
        np.frombuffer(result["_pixels"], np.uint8).reshape(16, 16, 3), np.asarray(preprocess(image, (20, 16)))
    )
    assert len(result["_pixels"]) == preprocess.nbytes


def test_drafts_are_off_unless_asked_for_and_stay_close() -> None:
    smooth = picture(3, (20, 15)).resize((640, 480), Image.Resampling.BICUBIC)
    data = encoded(smooth, "JPEG", quality=95)
    preprocess = Preprocess(size=(64, 64))
    exact, draft1, draft2 = (
        np.frombuffer(PrepareImage(preprocess, draft)([{"image": data}])[0]["_pixels"], np.uint8).astype(int)  # type: ignore[call-overload, index]
        for draft in (0, 1, 2)
    )
    assert np.array_equal(exact.reshape(64, 64, 3), theirs(preprocess, Image.open(io.BytesIO(data))))
    assert not np.array_equal(draft1, exact)
    assert np.abs(draft2 - exact).mean() <= np.abs(draft1 - exact).mean() < 3


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_an_image"),
        (b"MZ this is no photo", "not_an_image"),
        (encoded(picture(4, (60, 60)), "JPEG")[:900], "broken_image"),
        (encoded(Image.new("1", (12_000, 12_000)), "PNG"), "too_many_pixels"),
        (encoded(Image.new("L", (9_000, 1)), "PNG"), "too_elongated"),
    ],
)
def test_what_cannot_be_prepared_is_rejected(data: bytes, reason: str) -> None:
    (result,) = PrepareImage(Preprocess())([{"image": data}])
    assert isinstance(result, Rejected) and result.reason == reason


def test_a_photo_that_would_vanish_is_rejected() -> None:
    (result,) = PrepareImage(Preprocess(resize_mode="longest"))([{"image": encoded(Image.new("L", (9_000, 1)))}])
    assert result == Rejected("too_elongated", "9000 x 1 pixels would become 224 x 0")
