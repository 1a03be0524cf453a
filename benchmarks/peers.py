"""Filtering by CLIP beside other programs: each against a bare loop over the very same model in the same library.

    python -m benchmarks.peers --datajuicer PY --clip-retrieval PY

`PY` is the Python of a virtual environment that has py-data-juicer, or clip-retrieval; one left out is not measured.
ViT-B/32 with random weights on one CPU thread, photos of about 70 KB and their captions as files. A bare loop, in
batches of 32: decode, preprocess, tokenise, encode, cosine. It keeps nothing but the scores. Each program runs in a
process of its own beside its bare loop, and the rounds of all of them are interleaved; loading models is not counted.

gristmill: `PrepareImage`, `PrepareText` and `ClipScore` by `run_steps`, Arrow to Arrow, from the bytes of the files.
data-juicer: `ImageTextSimilarityFilter.run` over a dataset in memory that names the files. It hands its model one pair
    at a time, whatever its `batch_size` (of rows), and tracks gradients; its bare loop does neither. Both pad captions
    to the longest of a batch, where open_clip always has 77 tokens: pairs/min do not compare across libraries.
clip-retrieval: its `Runner` over its own WebDataset reader (no worker processes, no logger), `ClipMapper` and
    `NumpyWriter`; then the cosines of what it wrote. It reads a tar of the same files: its reader of files raises
    KeyError where both photos and captions are asked for (2.45.0). No `use_jit`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import files, version
from pathlib import Path
from typing import IO, Any
from unittest.mock import MagicMock

BATCH = 32
PACKAGES = {
    "gristmill": ("gristmill", "open_clip_torch"),
    "datajuicer": ("py-data-juicer", "transformers"),
    "clip_retrieval": ("clip-retrieval", "open_clip_torch"),
}
ROOT = Path(__file__).parents[1]
Run = Callable[[], list[float]]
"""A whole pass over the photos; returns their scores."""


def main() -> None:
    """Print the versions, and one line for each program."""
    from benchmarks.inputs import captions, photos
    from benchmarks.measure import compare, interleave, machine

    asked = argparse.ArgumentParser(description="CLIP filtering of several programs, each against a bare loop.")
    for name in ("--datajuicer", "--clip-retrieval"):
        asked.add_argument(name, metavar="PY", help="the Python that has it")
    asked.add_argument("--photos", type=int, default=128)
    asked.add_argument("--rounds", type=int, default=5)
    given = asked.parse_args()
    pythons = {"gristmill": sys.executable, "datajuicer": given.datajuicer, "clip_retrieval": given.clip_retrieval}
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        folder = Path(made)
        (folder / "pairs").mkdir()
        with tarfile.open(folder / "pairs.tar", "w") as tar:
            for i, (photo, caption) in enumerate(zip(photos(given.photos), captions(given.photos), strict=True)):
                (folder / f"pairs/{i:06}.jpg").write_bytes(photo)
                (folder / f"pairs/{i:06}.txt").write_text(caption)
                for end in ("jpg", "txt"):
                    tar.add(folder / f"pairs/{i:06}.{end}", f"{i:06}.{end}")
        (words,) = [path for path in files("open_clip_torch") or () if path.name == "bpe_simple_vocab_16e6.txt.gz"]
        shutil.copy(words.locate(), folder / "bpe.gz")
        others = {name: stack.enter_context(Other(name, python, folder)) for name, python in pythons.items() if python}
        contenders = {(name, kind): other.timer(kind) for name, other in others.items() for kind in ("peer", "bare")}
        seconds = interleave(contenders, given.rounds)  # type: ignore[type-var]
    for name, other in others.items():
        row = compare(name, seconds[name, "peer"], seconds[name, "bare"], 60 * given.photos, "pairs/min")
        low, high = row.spread or (0, 0)
        ratio = f"ratio {row.ratio:.2f} (rounds {low:.2f}-{high:.2f})"
        print(f"{name}: {row.ours}, bare loop {row.other}, {ratio}; {other.versions}")


class Other:
    """A process that holds one program and its bare loop, and runs what it is told to; its log is read where it fails.

    It finds this repository, but not first what lies beside this file: there is a `clip` elsewhere, too.
    """

    def __init__(self, name: str, python: str, folder: Path) -> None:
        self._name, self._log = name, folder / f"{name}.log"
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HOME": str(folder / "home")}
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [python, "-P", "-c", f"from benchmarks.peers import serve; serve({name!r}, {str(folder)!r})"],
                env=os.environ | threads | quiet | {"PYTHONPATH": path, "DATA_JUICER_CACHE_HOME": str(folder / "home")},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=folder,
            )
        self.versions = self._answer()

    def timer(self, kind: str) -> Callable[[int], float]:
        """A contender that has the process run its `kind`."""

        def run(_: int) -> float:
            print(kind, file=self._process.stdin, flush=True)
            return float(self._answer())

        return run

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._name} failed:\n{self._log.read_text()[-3000:]}")
        return json.loads(line)

    def __enter__(self) -> Other:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def serve(name: str, made: str) -> None:
    """The process's side: loads, compares the scores of program and loop, and then times the one or other."""
    answers: IO[str] = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print
    import torch

    from builders.torchvision_fix import complete_torchvision

    complete_torchvision()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    peer, bare = globals()[name](Path(made))
    told, expected = peer(), bare()
    apart = max(abs(a - b) for a, b in zip(told, expected, strict=True))
    assert apart < 2e-3, f"scores lie {apart} apart"  # clip-retrieval's embeddings are float16
    found = [f"{package} {version(package)}" for package in PACKAGES[name]]
    print(json.dumps(", ".join([*found, f"torch {torch.__version__}"])), file=answers, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        {"peer": peer, "bare": bare}[line.strip()]()
        print(time.perf_counter() - began, file=answers, flush=True)


def loop(folder: Path, encode: Callable[[list[Any], list[str]], tuple[Any, Any]]) -> Run:
    """The bare loop: `encode` makes the embeddings of a batch of open photos and their captions."""
    import torch
    from PIL import Image

    paths = sorted((folder / "pairs").glob("*.jpg"))

    def run() -> list[float]:
        scores: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(paths), BATCH):
                part = paths[start : start + BATCH]
                both = encode([Image.open(path) for path in part], [p.with_suffix(".txt").read_text() for p in part])
                seen, told = (torch.nn.functional.normalize(found, dim=-1) for found in both)
                scores += (seen * told).sum(-1).tolist()
        return scores

    return run


def open_clip_loop(folder: Path, model: Any, preprocess: Any, tokenizer: Any) -> Run:
    """The bare loop over a model of open_clip."""
    import torch

    def encode(images: list[Any], texts: list[str]) -> tuple[Any, Any]:
        pixels = torch.stack([preprocess(image) for image in images])
        return model.encode_image(pixels), model.encode_text(tokenizer(texts))

    return loop(folder, encode)


def gristmill(folder: Path) -> tuple[Run, Run]:
    """Our steps, and the loop over their model."""
    import open_clip
    import pyarrow as pa
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from benchmarks.bare import NoCounters
    from builders import rows
    from builders.filters.clip import ClipScore, PrepareImage, PrepareText
    from builders.filters.clip_files import ClipSpec, find_clip
    from builders.step import Services
    from pipelines.work import run_steps

    spec = ClipSpec("ViT-B-32", random_seed=0)
    files = find_clip(spec)
    steps = PrepareImage(files.preprocess), PrepareText(spec), ClipScore(spec, files.dim, batch=BATCH)
    for step in steps:
        step.setup(Services(NoCounters(), "cpu"))
    model = steps[2]._model._model  # type: ignore[union-attr]
    paths = sorted((folder / "pairs").glob("*.jpg"))

    def run() -> list[float]:
        columns = {
            "key": [path.stem for path in paths],
            "image": pa.array([path.read_bytes() for path in paths], pa.large_binary()),
            "caption": [path.with_suffix(".txt").read_text() for path in paths],
        }
        table = run_steps(rows.begin(pa.table(columns), 0), steps, len(paths))
        found: list[float] = table["clip_score"].to_pylist()
        return found

    preprocess = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    return run, open_clip_loop(folder, model, preprocess, open_clip.get_tokenizer("ViT-B-32"))


def clip_retrieval(folder: Path) -> tuple[Run, Run]:
    """clip-retrieval's inference, and the loop over its model."""
    import numpy as np
    import open_clip
    import torch
    from clip_retrieval.clip_inference import mapper, reader, runner, writer

    torch.save(open_clip.create_model("ViT-B-32").state_dict(), folder / "clip.pt")
    tar, named = [str(folder / "pairs.tar")], f"open_clip:ViT-B-32/{folder / 'clip.pt'}"
    model, preprocess, tokenizer = mapper.load_clip(  # it remembers them
        clip_model=named, use_jit=False, warmup_batch_size=1, clip_cache_path=None
    )
    work = runner.Runner(
        lambda sampler: reader.WebdatasetReader(sampler, preprocess, tokenizer, tar, BATCH, num_prepro_workers=0),
        lambda: mapper.ClipMapper(True, True, False, False, named, False, ""),
        lambda number: writer.NumpyWriter(number, str(folder / "out"), True, True, False, 1),
        lambda _: MagicMock(),  # its logger starts a process
        1,
    )

    def run() -> list[float]:
        work(0)
        seen, told = (np.load(folder / f"out/{kind}_emb/{kind}_emb_0.npy") for kind in ("img", "text"))
        scores: list[float] = (seen.astype(np.float32) * told).sum(-1).tolist()
        return scores

    return run, open_clip_loop(folder, model, preprocess, tokenizer)


def datajuicer(folder: Path) -> tuple[Run, Run]:
    """Data-Juicer's operator, and the loop over its model and its processor."""
    import transformers
    from data_juicer.core.data import NestedDataset
    from data_juicer.ops import base_op
    from data_juicer.ops.filter.image_text_similarity_filter import ImageTextSimilarityFilter
    from data_juicer.utils.constant import Fields
    from data_juicer.utils.model_utils import get_model

    clip = _transformers_clip(transformers, folder)
    base_op.free_models = lambda: None  # or `run` would load the model again each time
    one = {"accelerator": "cpu", "auto_op_parallelism": False, "num_proc": None}  # in this process
    operator = ImageTextSimilarityFilter(str(clip), min_score=-1, **one)
    model, processor = get_model(operator.model_key)
    paths = sorted((folder / "pairs").glob("*.jpg"))

    def run() -> list[float]:
        texts = ["<__dj__image> " + path.with_suffix(".txt").read_text() for path in paths]
        rows = [{"text": text, "images": [str(path)]} for text, path in zip(texts, paths, strict=True)]
        kept = operator.run(NestedDataset.from_list(rows))
        return [stats["image_text_similarity"][0] for stats in kept[Fields.stats]]

    def encode(images: list[Any], texts: list[str]) -> tuple[Any, Any]:
        inputs = processor(text=texts, images=images, return_tensors="pt", padding=True, truncation=True)
        found = model(**inputs)
        return found.image_embeds, found.text_embeds

    return run, loop(folder, encode)


def _transformers_clip(transformers: Any, folder: Path) -> Path:
    """A folder like openai/clip-vit-base-patch32: its shape and vocabulary, random weights, the trained logit scale."""
    clip = folder / "clip"
    clip.mkdir()
    merges = gzip.decompress((folder / "bpe.gz").read_bytes()).decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    letters = list(transformers.models.clip.tokenization_clip.bytes_to_unicode().values())
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair.split()) for pair in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (clip / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (clip / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges))
    tokenizer = transformers.CLIPTokenizerFast(str(clip / "vocab.json"), str(clip / "merges.txt"), model_max_length=77)
    transformers.CLIPProcessor(transformers.CLIPImageProcessor(), tokenizer).save_pretrained(clip)
    text, vision = {"bos_token_id": 49406, "eos_token_id": 49407}, {"patch_size": 32}
    config = transformers.CLIPConfig(text, vision, projection_dim=512, logit_scale_init_value=math.log(100))
    transformers.CLIPModel(config).save_pretrained(clip)
    return clip


if __name__ == "__main__":
    main()
