"""The whole network: backbone and language model side by side, the head on both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from builders.grounding.glip.backbone import Backbone
from builders.grounding.glip.config import GlipConfig
from builders.grounding.glip.head import Head, Level
from builders.grounding.glip.language import bert


class GlipModel(nn.Module):
    """A GLIP for inference. Its parts are named as in the released checkpoints, but for Swin's (checkpoint.py).

    `dtype` (bfloat16 or float16) is what the backbone computes in, on a GPU. All else is float32 whatever it says: the
    deformable convolutions, because offsets added to coordinates of up to 168 cells would be rounded to a whole cell
    in bfloat16; fusion, language model and tower, because their scores may reach the clamps at 50,000, and padding
    apart they are little work; the head, because logits and boxes are what is compared.
    """

    def __init__(self, config: GlipConfig, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config, self.dtype = config, dtype
        self.backbone = Backbone(config)
        self.language = bert(config)
        self.head = Head(config)

    def forward(self, images: Tensor, ids: Tensor, mask: Tensor) -> list[Level]:
        """Images (N x 3 x height x width), token ids and their mask (N x tokens; False where there is padding)."""
        lower = self.dtype is not torch.float32
        with torch.autocast(images.device.type, self.dtype if lower else None, enabled=lower):
            levels = self.backbone(images)
        text = self.language(input_ids=ids, attention_mask=mask).last_hidden_state
        if lower:
            levels = [level.float() for level in levels]
        answers: list[Level] = self.head(levels, text, mask)
        return answers
