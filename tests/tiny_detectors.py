"""Zero-shot detectors of the true architectures, tiny and with random weights, saved as a user's folders would be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from builders.torchvision_fix import complete_torchvision

WORDS = "a the red brown dog cat man woman with of in on and field flowers cup coffee table two dogs photo".split()
KINDS = ("grounding-dino", "mm-grounding-dino", "owlv2", "owlvit", "omdet-turbo")

_SWIN = {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 7, "image_size": 224}
_DINO = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "num_queries": 20,
}
_CLIP_TEXT = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def save_detector(kind: str, folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Saves model, image processor and tokenizer into `folder`. `changes` are of the model's own config."""
    complete_torchvision()
    import torch

    tokenizer = bert_tokenizer() if kind.endswith("grounding-dino") else _clip(folder)
    model, processor = _made(kind, len(tokenizer), changes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "owl" not in kind:  # as these are initialised, every photo gets nearly the same boxes
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
            elif "_head" in name:  # and theirs have sides of nothing or everything
                parameter.mul_(0.2)
            if "class_embed" in name and parameter.ndim == 0:  # MM-Grounding-DINO begins with scores of 0.01
                parameter.zero_()
    tokenizer.save_pretrained(folder)
    processor.save_pretrained(folder)
    model.eval().save_pretrained(folder)
    return folder


def _made(kind: str, vocabulary: int, changes: dict[str, Any]) -> tuple[Any, Any]:
    import torch
    import transformers as t

    torch.manual_seed(0)
    small = {"shortest_edge": 96, "longest_edge": 160}
    if kind.endswith("grounding-dino"):
        config, model = {
            "grounding-dino": (t.GroundingDinoConfig, t.GroundingDinoForObjectDetection),
            "mm-grounding-dino": (t.MMGroundingDinoConfig, t.MMGroundingDinoForObjectDetection),
        }[kind]
        text = t.BertConfig(vocab_size=vocabulary, **_CLIP_TEXT)
        backbone = t.SwinConfig(**_SWIN, out_indices=[2, 3, 4])
        made = model(config(text_config=text, backbone_config=backbone, **_DINO | changes))
        return made, t.GroundingDinoImageProcessor(size=small)
    text = {**_CLIP_TEXT, "vocab_size": vocabulary, "bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1}
    if kind == "omdet-turbo":
        text["hidden_size"] = 48  # not the decoder's, as in the real ones: only then is there a projection
        widths = {"encoder_hidden_dim": 32, "decoder_hidden_dim": 32, "class_embed_dim": 48, "num_queries": 20}
        projected = {"text_projection_in_dim": 48, "text_projection_out_dim": 48, "task_encoder_hidden_dim": 16}
        fed = {"encoder_in_channels": [32, 64, 128], "vision_features_channels": [32, 32, 32], "decoder_num_layers": 2}
        backbone = t.SwinConfig(**_SWIN | {"image_size": 64}, out_indices=[2, 3, 4])
        config = t.OmDetTurboConfig(
            text_config=t.CLIPTextConfig(**text, max_position_embeddings=77),
            backbone_config=backbone,
            apply_layernorm_after_vision_backbone=False,
            image_size=64,
            encoder_dim_feedforward=32,
            decoder_dim_feedforward=32,
            **widths | projected | fed | changes,
        )
        return t.OmDetTurboForObjectDetection(config), t.DetrImageProcessor(size={"height": 64, "width": 64})
    config, model, processor = {
        "owlv2": (t.Owlv2Config, t.Owlv2ForObjectDetection, t.Owlv2ImageProcessor),
        "owlvit": (t.OwlViTConfig, t.OwlViTForObjectDetection, t.OwlViTImageProcessor),
    }[kind]
    vision = {**_CLIP_TEXT, "image_size": 64, "patch_size": 16}
    made = model(config(text_config=text, vision_config=vision, projection_dim=32, **changes))
    return made, processor(size={"height": 64, "width": 64})


def bert_tokenizer(size: int = 1100) -> Any:
    """Words and letters, with the delimiters where Grounding DINO looks for them (ids 101, 102, 1012, 1029)."""
    from transformers import BertTokenizer

    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + [str(i) for i in range(10)]
    known = [*WORDS, *(c for c in letters if c not in WORDS), *(f"##{c}" for c in letters), ",", "'", "-", "!"]
    vocabulary = [f"[unused{i}]" for i in range(size)]
    for place, token in {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}.items():
        vocabulary[place] = token
    vocabulary[1012], vocabulary[1029] = ".", "?"
    vocabulary[200 : 200 + len(known)] = known
    return BertTokenizer(vocab={token: i for i, token in enumerate(vocabulary)}, do_lower_case=True)


def _clip(folder: Path) -> Any:
    """CLIP's byte-level tokenizer, with merges for the words; its last ids begin and end a text."""
    from transformers import CLIPTokenizer

    alphabet = _byte_letters()
    tokens = [*alphabet, *(f"{c}</w>" for c in alphabet)]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            pair = parts[-2], parts[-1]
            parts[-2:] = ["".join(pair)]
            if parts[-1] not in tokens:
                tokens.append(parts[-1])
                merges.append(pair)
    vocabulary = {token: i for i, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges))
    return CLIPTokenizer.from_pretrained(folder)


def _byte_letters() -> list[str]:
    """The character that stands for each byte in byte-level BPE (GPT-2)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    letters = {byte: chr(byte) for byte in shown} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}
    return [letters[byte] for byte in range(256)]
