"""transformers' zero-shot detectors, loaded once in each worker: photos and passes of text to boxes and scores.

What agrees (how a model is loaded, how photos are resized and normalised) stands in `Loaded`; what differs, the text
that goes in and the logits that come out, in a small class for each family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import torch
from torch.nn.utils.rnn import pad_sequence

from builders.grounding.expressions import Offsets
from builders.grounding.zero_shot_files import DetectorFiles
from builders.grounding.zero_shot_image import Pixels, Shape
from builders.grounding.zero_shot_text import Passage, Questions, passages, questions, tasks
from builders.hub import on_this_node
from schemas.errors import UserError, first_line

Over = Literal["mean", "max"]
Precision = Literal["fp32", "bf16", "fp16"]
Pass = Passage | Questions


class Adapter(Protocol):
    """One family's text and logits."""

    def passes(self, caption: str, spans: Sequence[Offsets]) -> Sequence[Pass]:
        """The caption and its spans as the model takes them; a span stands in one pass at most."""

    def __call__(self, photos: torch.Tensor, passes: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes (N x boxes x 4: centre, width and height in 0..1 of what the model saw) and scores (N x boxes x the
        most spans of a pass), float32; a pass's own spans come first."""


@dataclass(frozen=True)
class Loaded:
    """Model, image processor and tokenizer of one folder, on one device. `precision`: of its matrix products."""

    files: DetectorFiles
    model: Any
    processor: Any
    tokenizer: Any
    device: torch.device
    precision: Precision = "fp32"

    def run(self, **inputs: torch.Tensor) -> Any:
        """The model's own answer."""
        kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        with torch.autocast(self.device.type, dtype=kind, enabled=self.precision != "fp32"):
            return self.model(**inputs)

    def photo(self, pixels: Pixels, shape: Shape) -> torch.Tensor:
        """3 x height x width, resized and normalised by transformers' own image processor, on the device."""
        high, wide = shape.seen
        whole = {"do_pad": False} if self.files.family.phrases else {}  # for OWLv2, padding is to a square
        read = torch.from_numpy(pixels)
        if self.device.type == "cuda":
            read = read.pin_memory()  # otherwise the copy waits for the batch that runs
        found = self.processor(
            images=[read.to(self.device, non_blocking=True).permute(2, 0, 1)],
            size={"height": high, "width": wide},
            return_tensors="pt",
            **whole,
        )
        photo: torch.Tensor = found["pixel_values"][0]
        return photo.to(self.device)

    def adapter(self, over: Over) -> Adapter:
        if self.files.family.phrases:
            return _Phrases(self, over)
        return _OmDet(self) if self.files.kind == "omdet-turbo" else _Owl(self)


@dataclass(frozen=True)
class _Phrases:
    """Grounding DINO and MM-Grounding-DINO: each box has a logit for each token of the caption.

    A span's score is over the probabilities of its tokens: their mean, as GLIP and Grounding DINO score a phrase in
    their own evaluations (GLIP's `SCORE_AGG: MEAN`, Grounding DINO's normalised positive maps), so that "a red dog" is
    more than a dog; or their maximum, as Grounding DINO's demo thresholds boxes.
    """

    loaded: Loaded
    over: Over

    def passes(self, caption: str, spans: Sequence[Offsets]) -> list[Passage]:
        config = self.loaded.model.config
        limit = min(config.max_text_len, config.text_config.max_position_embeddings)
        return passages(self.loaded.tokenizer, caption, spans, limit)

    def __call__(self, photos: torch.Tensor, passes: Sequence[Passage]) -> tuple[torch.Tensor, torch.Tensor]:
        device = photos.device
        rows = [torch.tensor(one.ids) for one in passes]
        ids = pad_sequence(rows, batch_first=True, padding_value=self.loaded.tokenizer.pad_token_id).to(device)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True).to(device)
        answer = self.loaded.run(
            pixel_values=photos, input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids)
        )
        chances = answer.logits[..., : ids.shape[1]].float().sigmoid()
        most = max(len(one.spans) for one in passes)
        owned = torch.zeros(len(passes), most, ids.shape[1])
        for i, one in enumerate(passes):
            for j, (first, end) in enumerate(one.places):
                owned[i, j, first:end] = 1
        owned = owned.to(device)
        if self.over == "mean":
            scores = chances @ (owned / owned.sum(-1, keepdim=True).clamp(min=1)).transpose(1, 2)
        else:
            scores = torch.stack([(chances * owned[:, j, None]).amax(-1) for j in range(most)], -1)
        return answer.pred_boxes.float(), scores


@dataclass(frozen=True)
class _Owl:
    """OWLv2 and OWL-ViT: each box has a logit for each query, whatever the others are."""

    loaded: Loaded

    def passes(self, caption: str, spans: Sequence[Offsets]) -> list[Questions]:
        limit = self.loaded.model.config.text_config.max_position_embeddings
        return questions(self.loaded.tokenizer, caption, spans, limit)

    def __call__(self, photos: torch.Tensor, passes: Sequence[Questions]) -> tuple[torch.Tensor, torch.Tensor]:
        most = max(len(one.ids) for one in passes)
        padded = [row for one in passes for row in (*one.ids, *[one.ids[0]] * (most - len(one.ids)))]
        ids, mask = _stacked(padded, self.loaded.tokenizer.pad_token_id or 0, photos.device)
        answer = self.loaded.run(pixel_values=photos, input_ids=ids, attention_mask=mask)
        return answer.pred_boxes.float(), answer.logits.float().sigmoid()


@dataclass(frozen=True)
class _OmDet:
    """OmDet-Turbo: queries, and a task that names them, which every box attends to.

    The places where boxes are looked for are those most like any query. So a photo with fewer queries than its
    neighbours gets its own first one again, which changes nothing; a padded one, as transformers has it, would.
    """

    loaded: Loaded

    def passes(self, caption: str, spans: Sequence[Offsets]) -> list[Questions]:
        limit = self.loaded.model.config.text_config.max_position_embeddings
        return tasks(self.loaded.tokenizer, caption, spans, limit)

    def __call__(self, photos: torch.Tensor, passes: Sequence[Questions]) -> tuple[torch.Tensor, torch.Tensor]:
        model, end = self.loaded.model, self.loaded.tokenizer.eos_token_id
        for cache in (model.language_cache_class, model.language_cache_prompt):  # answers must not depend on the past
            cache.cache.clear()
            cache.current_load = 0
        most = max(len(one.ids) for one in passes)
        classes = [row for one in passes for row in (*one.ids, *[one.ids[0]] * (most - len(one.ids)))]
        ids, mask = _stacked(classes, end, photos.device)
        task_ids, task_mask = _stacked([one.task for one in passes], end, photos.device)
        answer = self.loaded.run(
            pixel_values=photos,
            classes_input_ids=ids,
            classes_attention_mask=mask,
            tasks_input_ids=task_ids,
            tasks_attention_mask=task_mask,
            classes_structure=torch.full((len(passes),), most, device=photos.device),
        )
        return answer.decoder_coord_logits.float(), answer.decoder_class_logits.float().sigmoid()


def _stacked(rows: Sequence[Sequence[int]], padding: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, rows x the longest of them."""
    each = [torch.tensor(row) for row in rows]
    ids = pad_sequence(each, batch_first=True, padding_value=padding)
    mask = pad_sequence([torch.ones_like(row) for row in each], batch_first=True)
    return ids.to(device), mask.to(device)


def _exact(heads: Sequence[Any]) -> None:
    """Keeps the heads that tell boxes out of autocast: bfloat16 has 1/256 for a coordinate near the right edge."""

    def exact(forward: Callable[[torch.Tensor], torch.Tensor], hidden: torch.Tensor) -> torch.Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            return forward(hidden.float())

    for head in heads:
        head.forward = partial(exact, head.forward)


def load_detector(files: DetectorFiles, device: str, precision: Precision = "fp32") -> Loaded:
    """The model of `files` on "cuda" or "cpu". Raises UserError where they hold another model, or not all of it."""
    from builders.torchvision_fix import complete_torchvision

    complete_torchvision()
    from transformers import AutoImageProcessor, AutoModelForZeroShotObjectDetection, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    folder = on_this_node(files.folder, files.decisive, f"{files.where}.model")
    try:
        processor = AutoImageProcessor.from_pretrained(folder, **local)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        if not tokenizer.is_fast:
            raise ValueError("its tokenizer tells no offsets; tokenizer.json is missing")
        model, told = AutoModelForZeroShotObjectDetection.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, **local
        )
    except Exception as error:  # transformers, torch and safetensors raise whatever they run into
        raise UserError(
            f"{files.where}.model: {files.folder} could not be loaded as {files.family.name}: {first_line(error)}; "
            "weights must be tensors of this architecture alone, best as safetensors"
        ) from None
    if missing := sorted(told["missing_keys"]):
        raise UserError(
            f"{files.where}.model: the weights in {files.folder} lack {len(missing)} of the model's tensors, "
            f"{missing[0]} first; give the whole model"
        )
    try:
        model.eval().requires_grad_(False).to(device)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{files.where}.model: {files.model} does not fit on the GPU: {first_line(error)}; take a smaller one"
        ) from None
    if not files.family.phrases:  # Grounding DINO adds what its heads tell to a float32 reference
        _exact(model.decoder.decoder_bbox_head if files.kind == "omdet-turbo" else [model.box_head])
    return Loaded(files, model, processor, tokenizer, torch.device(device), precision)
