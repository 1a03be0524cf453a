"""(h) The detector against a forward-only loop over the same batches, prepared before.

Grounding DINO of full size (Swin-T, on a GPU Swin-B too) with random weights. "detect" is `ZeroShot` from encoded
photos and captions to boxes in 0..1: decoding, resizing, tokens, the model, thresholds. The loop has pixels and tokens
on the device already, calls the model, and fetches its logits and boxes. On a GPU both run in bfloat16. Random weights
let far more boxes over the threshold than trained ones, so that 0.9 is asked for in its place.
"""

from __future__ import annotations

import io
import resource
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.measure import Row, compare, interleave
from builders.grounding.detect import Found, Query
from builders.grounding.zero_shot import ZeroShot, _batches, _Row
from builders.grounding.zero_shot_files import FAMILIES, DetectorFiles
from builders.grounding.zero_shot_image import pixels_of, shape_of
from builders.grounding.zero_shot_model import Loaded
from builders.step import Rejected
from builders.torchvision_fix import complete_torchvision
from tests.tiny_detectors import bert_tokenizer

CAPTION = "a woman with a cup of coffee and a red dog on a table in a field of flowers"
CHUNKS = ("a woman", "a cup", "coffee", "a red dog", "a table", "a field", "flowers")
SIZES = ((640, 480), (640, 480), (480, 640), (640, 427))
SWIN_B = {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32], "window_size": 12, "image_size": 384}


def main() -> list[Row]:
    """The rows of this benchmark."""
    gpu = torch.cuda.is_available()
    torch.set_num_threads(4 if gpu else 1)
    sizes = {"Swin-T": {}, **({"Swin-B": SWIN_B} if gpu else {})}
    return [_contest(name, swin, 256 if gpu else 2, 8 if gpu else 2, 5 if gpu else 2) for name, swin in sizes.items()]


def _contest(name: str, swin: dict[str, Any], count: int, batch: int, rounds: int) -> Row:
    detector = _random(swin, batch)
    queries = [Query(photo, CAPTION, [_span(chunk) for chunk in CHUNKS], {}) for photo in _photos(count)]
    prepared = _prepared(detector, queries)
    loaded = detector._loaded
    assert loaded is not None

    def bare(_: int) -> None:
        with torch.inference_mode():
            for photos, inputs in prepared:
                answer = loaded.run(pixel_values=photos, **inputs)
                answer.logits.cpu(), answer.pred_boxes.cpu()

    def detect(_: int) -> None:
        assert all(isinstance(one, Found) for one in detector.detect(queries))

    contenders: dict[str, Callable[[int], object]] = {"detect": detect, "bare": bare}
    seconds = interleave(contenders, rounds)
    return compare(f"Grounding DINO {name}", seconds["detect"], seconds["bare"], 60 * count, "photos/min", 0.9)


def _random(swin: dict[str, Any], batch: int) -> ZeroShot:
    """A detector of the true architecture whose weights nobody trained, loaded."""
    complete_torchvision()
    import transformers as t

    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu = device.type == "cuda"
    precision: Any = "bf16" if gpu else "fp32"
    config = t.GroundingDinoConfig(**({"backbone_config": t.SwinConfig(**swin, out_indices=[2, 3, 4])} if swin else {}))
    model = t.GroundingDinoForObjectDetection(config).eval().requires_grad_(False).to(device)
    known = DetectorFiles("random", "grounding-dino", Path(), FAMILIES["grounding-dino"].size, ())
    detector = ZeroShot(
        known, threshold=0.9, batch=batch, precision=precision, threads=8 if device.type == "cuda" else 1
    )
    tokenizer = bert_tokenizer(config.text_config.vocab_size)
    detector._loaded = Loaded(known, model, t.GroundingDinoImageProcessor(), tokenizer, device, precision)
    detector._adapter, detector._asked = detector._loaded.adapter("mean"), batch
    return detector


def _photos(count: int) -> list[bytes]:
    """scikit-image's astronaut, in a few sizes of COCO's, as JPEG."""
    found = []
    for size in SIZES:
        out = io.BytesIO()
        picture = Image.open(str(files("skimage") / "data" / "astronaut.png")).convert("RGB")
        picture.resize(size).save(out, "JPEG", quality=90)
        found.append(out.getvalue())
    return [found[i % len(found)] for i in range(count)]


def _span(chunk: str) -> tuple[int, int]:
    start = CAPTION.index(chunk)
    return start, start + len(chunk)


def _prepared(detector: ZeroShot, queries: Sequence[Query]) -> list[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """The batches as a script would hold them."""
    loaded, adapter = detector._loaded, detector._adapter
    assert loaded is not None and adapter is not None
    rows, pixels = [], []
    for i, query in enumerate(queries):
        shape = shape_of(query.image or b"", detector.files.size, detector.multiple)
        seen = pixels_of(query.image or b"", detector.files.size.largest)
        assert not isinstance(shape, Rejected) and not isinstance(seen, Rejected)
        (text,) = adapter.passes(query.caption, query.spans)
        rows.append(_Row(i, shape, text))
        pixels.append(loaded.photo(seen, shape))
    found = []
    for batch in _batches(rows, detector.batch):
        ids = torch.tensor([row.text.ids for row in batch], device=loaded.device)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
        found.append((torch.stack([pixels[row.query] for row in batch]), inputs))
    return found


def by_hand() -> None:
    """Seconds a photo of one forward pass, and the memory that it took: `python -m benchmarks.detect`."""
    torch.set_num_threads(1)
    detector = _random({}, 1)
    query = Query(_photos(1)[0], CAPTION, [_span(chunk) for chunk in CHUNKS], {})
    for _ in range(2):
        began, busy = time.perf_counter(), time.process_time()
        detector.detect([query])
        took, used = time.perf_counter() - began, time.process_time() - busy
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{took:.1f} s a photo, {used:.1f} s of CPU, {most:.2f} GB at most", flush=True)


if __name__ == "__main__":
    by_hand()
