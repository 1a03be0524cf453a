"""Tiny CLIP models with random weights, saved as a user's folders would be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builders.filters.clip_files import open_clip

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16}
PHOTO = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bilinear", "resize_mode": "squash"}


def save_clip(
    folder: Path, vision: Mapping[str, Any] = VIT, bare: str | None = None, photo: Mapping[str, Any] = PHOTO
) -> Path:
    """Saves config and safetensors into `folder`. `bare`: a config without preprocessing, of that name."""
    import torch
    from safetensors.torch import save_file

    config = {"embed_dim": 8, "vision_cfg": vision, "text_cfg": TEXT}
    torch.manual_seed(7)
    model = open_clip().CLIP(**config)
    if "patch_size" in vision and vision["patch_size"] is None:  # its blocks begin as identities
        for name, parameter in model.named_parameters():
            if name.endswith("bn3.weight"):
                torch.nn.init.ones_(parameter)
    whole = config if bare else {"model_cfg": config, "preprocess_cfg": photo}
    (folder / (f"{bare}.json" if bare else "open_clip_config.json")).write_text(json.dumps(whole))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return folder
