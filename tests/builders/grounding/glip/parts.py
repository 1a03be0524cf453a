"""The parts of builders/grounding/glip as the recorded cases ask for them: seeded, in float64, tensors in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from builders.grounding.glip.backbone import Backbone, Fpn
from builders.grounding.glip.checkpoint import released_name
from builders.grounding.glip.config import VARIANTS, Variant
from builders.grounding.glip.deform import deform_conv
from builders.grounding.glip.dynamic_head import DyConv
from builders.grounding.glip.fusion import VLFuse
from builders.grounding.glip.head import Head
from builders.grounding.glip.language import BertLayer, bert
from builders.grounding.glip.model import GlipModel
from tests.builders.grounding.glip import golden
from tests.builders.grounding.glip.seeded import seeded

TINY = VARIANTS["T"]


def filled(module: nn.Module, place: str, scaled: Mapping[str, float] = {}, fixed: Mapping[str, float] = {}) -> Any:
    """A module with the weights that the seed rule draws for its place in GlipModel, some scaled, some all one number.

    `scaled` goes by the module's own names, `fixed` by those of a checkpoint.
    """
    module = module.double().eval().requires_grad_(False)
    for name, tensor in module.state_dict().items():
        key, third = released_name(place + name)
        shape = tensor.shape if third is None else (3 * tensor.shape[0], *tensor.shape[1:])
        drawn = seeded(key, shape)
        tensor.copy_(drawn if third is None else drawn.chunk(3)[third])
        tensor.mul_(scaled.get(name, 1.0))
        if key in fixed:
            tensor.fill_(fixed[key])
    return module


def lengths_to_mask(lengths: Sequence[int], tokens: int) -> Tensor:
    return torch.arange(tokens) < torch.tensor(lengths)[:, None]


def swin(variant: Variant) -> Any:
    return filled(Backbone(VARIANTS[variant]).body, "backbone.body.")


def pyramid(variant: Variant, stages: Sequence[Tensor]) -> list[Tensor]:
    config = VARIANTS[variant]
    fpn = Fpn([stage.shape[1] for stage in stages], config.channels)
    levels: list[Tensor] = filled(fpn, "backbone.fpn.")(stages)
    return levels


def language(ids: Tensor, mask: Tensor) -> Tensor:
    hidden: Tensor = filled(bert(TINY), "language.")(input_ids=ids, attention_mask=mask).last_hidden_state
    return hidden


def deform(module: str, x: Tensor, offset: Tensor, mask: Tensor, stride: int) -> Tensor:
    weight, bias = seeded(f"{module}.weight", (256, 256, 3, 3)), seeded(f"{module}.bias", (256,))
    return deform_conv(x, offset, mask, weight, bias, stride)


def _place(module: str) -> str:
    return module.removeprefix("rpn.") + "."


def dyconv(module: str, levels: Sequence[Tensor]) -> list[Tensor]:
    fused: list[Tensor] = filled(DyConv(TINY.channels), _place(module))(levels)
    return fused


def fused(case: Mapping[str, Any]) -> list[Tensor]:
    """The five levels, then the text, of a recorded case of VLFuse."""
    given = case["inputs"]
    levels, text = [golden.given(level) for level in given["levels"]], golden.given(given["text"])
    fuse = filled(VLFuse(TINY), _place(case["module"]), case["scaled"])
    together, read = fuse(levels, text, lengths_to_mask(given["tokens"], text.shape[1]))
    return [*together, read]


def bert_layer(module: str, scaled: Mapping[str, float], text: Tensor, mask: Tensor) -> Tensor:
    layer = filled(BertLayer(TINY.text_width, TINY.text_heads), _place(module), scaled)
    answer: Tensor = layer(text, mask)
    return answer


def head(fixed: Mapping[str, float], levels: Sequence[Tensor], text: Tensor, mask: Tensor) -> list[Any]:
    """The head without its tower."""
    whole = Head(TINY)
    whole.dyhead_tower = nn.ModuleList()
    answers: list[Any] = filled(whole, "head.", fixed=fixed)(levels, text, mask)
    return answers


def network(variant: Variant, pixels: Tensor, ids: Tensor) -> tuple[dict[str, Tensor], list[Any]]:
    """What goes on inside, by the names of the recorded case, and the head's answer."""
    model = filled(GlipModel(VARIANTS[variant]), "")
    seen: dict[str, Tensor] = {}

    def watch(name: str, part: nn.Module) -> None:
        def note(module: nn.Module, given: Any, answer: Any) -> None:
            seen[name] = answer if isinstance(answer, Tensor) else answer[0]

        part.register_forward_hook(note)

    for i in range(0, len(model.head.dyhead_tower), 3):
        watch(f"tower.{i // 3}.text", model.head.dyhead_tower[i + 1])
        watch(f"tower.{i // 3}.p3", model.head.dyhead_tower[i + 2])
    mask = torch.ones_like(ids, dtype=torch.bool)
    levels = model.backbone(pixels)
    text = model.language(input_ids=ids, attention_mask=mask).last_hidden_state
    answers = model.head(levels, text, mask)
    pyramid_levels = {f"fpn.p{i + 3}": level for i, level in enumerate(levels)}
    return {**pyramid_levels, "bert": text, **seen}, answers
