"""The network: open_clip's own CLIP, trained on the few tokens that our captions have, saved with the whole table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from scene_edits import Words
from torch import Tensor, nn
from torch.nn import functional as F

from builders.filters.clip_files import CONFIG, WEIGHTS, open_clip

HERE = Path(__file__).resolve().parent
TABLE = "token_embedding.weight"


class SceneClip(nn.Module):
    """A CLIP whose embeddings come normalised; `vocabulary` is every word that will be met."""

    def __init__(self, config: dict[str, Any], vocabulary: Iterable[str]) -> None:
        super().__init__()
        open_clip()
        from open_clip import SimpleTokenizer
        from open_clip.model import CLIP

        tokenizer = SimpleTokenizer()
        ids = {word: tokenizer.encode(word) for word in sorted(set(vocabulary))}
        ends = [tokenizer.sot_token_id, tokenizer.eot_token_id]
        self.kept = sorted({0, *ends, *(i for word in ids.values() for i in word)})
        """The tokenizer's number of each row of the small table: in its order, so that the end stays the highest."""
        row = {i: k for k, i in enumerate(self.kept)}
        self._rows = {word: [row[i] for i in found] for word, found in ids.items()}
        self._ends = [row[i] for i in ends]
        self._config = config
        self.context = int(config["text_cfg"]["context_length"])
        self.net = CLIP(config["embed_dim"], config["vision_cfg"], {**config["text_cfg"], "vocab_size": len(self.kept)})
        self.net.visual.to(memory_format=torch.channels_last)
        nn.init.normal_(self.net.token_embedding.weight, std=0.5)
        with torch.no_grad():
            self.net.positional_embedding.copy_(0.5 * _waves(*self.net.positional_embedding.shape))

    def images(self, pixels: Tensor) -> Tensor:
        """N x 3 x side x side, mean and deviation taken out -> N x dim."""
        return F.normalize(self.net.encode_image(pixels.contiguous(memory_format=torch.channels_last)), dim=-1)

    def texts(self, captions: Sequence[Words], chunks: int = 3) -> Tensor:
        """N x dim. Short captions go through beside short ones, and no position that none of them reaches."""
        rows = [
            [self._ends[0], *[i for word in words for i in self._rows[word]][: self.context - 2], self._ends[1]]
            for words in captions
        ]
        order = sorted(range(len(rows)), key=lambda k: len(rows[k]))
        parts = [part.tolist() for part in np.array_split(order, min(chunks, len(order)))]
        found = torch.cat([self._encode([rows[k] for k in part]) for part in parts])
        return F.normalize(found[torch.tensor(order).argsort()], dim=-1)

    def _encode(self, rows: list[list[int]]) -> Tensor:
        """open_clip's encode_text, cut to the longest row."""
        net, longest = self.net, max(map(len, rows))
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        for k, row in enumerate(rows):
            ids[k, : len(row)] = torch.tensor(row)
        x = net.token_embedding(ids) + net.positional_embedding[:longest]
        x = net.ln_final(net.transformer(x, attn_mask=net.attn_mask[:longest, :longest]))
        return x[torch.arange(len(rows)), ids.argmax(1)] @ net.text_projection

    def save(self, folder: Path) -> None:
        """As a folder that open_clip loads, in half precision. Tokens never met get zeros."""
        state = {name: value.detach().clone() for name, value in self.net.state_dict().items()}
        small = state[TABLE]
        state[TABLE] = torch.zeros(self._config["text_cfg"]["vocab_size"], small.shape[1])
        state[TABLE][torch.tensor(self.kept)] = small
        halved = {name: (v.half() if v.is_floating_point() else v).contiguous() for name, v in state.items()}
        folder.mkdir(parents=True, exist_ok=True)
        save_file(halved, folder / WEIGHTS)
        if folder != HERE:
            (folder / CONFIG).write_bytes((HERE / CONFIG).read_bytes())


def _waves(length: int, width: int) -> Tensor:
    """Positions as sines and cosines of several lengths: neighbours are alike, so that a word finds the next one."""
    angles = torch.arange(float(length))[:, None] * torch.logspace(math.log10(1.5), math.log10(0.05), width // 2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def read_config(path: Path = HERE / CONFIG) -> dict[str, Any]:
    """`model_cfg` and `preprocess_cfg`."""
    read: dict[str, Any] = json.loads(path.read_text())
    return read
