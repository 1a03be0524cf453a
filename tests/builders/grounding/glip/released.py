"""What a released checkpoint holds, written down anew: names and shapes of all tensors, the unused ones too."""

from __future__ import annotations

from collections.abc import Iterator

from builders.grounding.glip.config import GlipConfig

Named = Iterator[tuple[str, tuple[int, ...]]]


def released(config: GlipConfig) -> dict[str, tuple[int, ...]]:
    names = [*_swin(config), *_fpn(config), *_bert(config), *_head(config)]
    return dict(names)


def _layer(name: str, out: int, *rest: int) -> Named:
    yield f"{name}.weight", (out, *rest)
    yield f"{name}.bias", (out,)


def _swin(config: GlipConfig) -> Named:
    body, window = "backbone.body", config.window
    yield from _layer(f"{body}.patch_embed.proj", config.embed_dim, 3, 4, 4)
    yield from _layer(f"{body}.patch_embed.norm", config.embed_dim)
    for stage, (depth, heads) in enumerate(zip(config.depths, config.heads, strict=True)):
        width = config.embed_dim * 2**stage
        for block in range(depth):
            name = f"{body}.layers.{stage}.blocks.{block}"
            yield from _layer(f"{name}.norm1", width)
            yield f"{name}.attn.relative_position_bias_table", ((2 * window - 1) ** 2, heads)
            yield f"{name}.attn.relative_position_index", (window**2, window**2)
            yield from _layer(f"{name}.attn.qkv", 3 * width, width)
            yield from _layer(f"{name}.attn.proj", width, width)
            yield from _layer(f"{name}.norm2", width)
            yield from _layer(f"{name}.mlp.fc1", 4 * width, width)
            yield from _layer(f"{name}.mlp.fc2", width, 4 * width)
        if stage < 3:
            yield f"{body}.layers.{stage}.downsample.reduction.weight", (2 * width, 4 * width)
            yield from _layer(f"{body}.layers.{stage}.downsample.norm", 4 * width)
        if stage > 0:
            yield from _layer(f"{body}.norm{stage}", width)


def _fpn(config: GlipConfig) -> Named:
    channels = config.channels
    for level in (2, 3, 4):
        yield from _layer(f"backbone.fpn.fpn_inner{level}", channels, config.embed_dim * 2 ** (level - 1), 1, 1)
        yield from _layer(f"backbone.fpn.fpn_layer{level}", channels, channels, 3, 3)
    for level in (6, 7):
        yield from _layer(f"backbone.fpn.top_blocks.p{level}", channels, channels, 3, 3)


def _bert(config: GlipConfig) -> Named:
    name, width = "language_backbone.body.model.embeddings", config.text_width
    for words, count in (("word", config.vocabulary), ("position", 512), ("token_type", 2)):
        yield f"{name}.{words}_embeddings.weight", (count, width)
    yield from _layer(f"{name}.LayerNorm", width)
    yield f"{name}.position_ids", (1, 512)
    for layer in range(config.text_layers):
        yield from _bert_layer(f"language_backbone.body.model.encoder.layer.{layer}", width)


def _bert_layer(name: str, width: int) -> Named:
    for part in ("query", "key", "value"):
        yield from _layer(f"{name}.attention.self.{part}", width, width)
    yield from _layer(f"{name}.attention.output.dense", width, width)
    yield from _layer(f"{name}.attention.output.LayerNorm", width)
    yield from _layer(f"{name}.intermediate.dense", 4 * width, width)
    yield from _layer(f"{name}.output.dense", width, 4 * width)
    yield from _layer(f"{name}.output.LayerNorm", width)


def _head(config: GlipConfig) -> Named:
    channels, width = config.channels, config.text_width
    for layer in range(config.layers):
        yield from _fusion(f"rpn.head.dyhead_tower.{3 * layer}.b_attn", config)
        yield from _bert_layer(f"rpn.head.dyhead_tower.{3 * layer + 1}", width)
        yield from _dynamic(f"rpn.head.dyhead_tower.{3 * layer + 2}", channels)
    yield from _layer("rpn.head.cls_logits", 80, channels, 1, 1)
    yield from _layer("rpn.head.bbox_pred", 4, channels, 1, 1)
    yield from _layer("rpn.head.centerness", 1, channels, 1, 1)
    yield from _layer("rpn.head.dot_product_projection_text", channels, width)
    yield from {"rpn.head.log_scale": (1,), "rpn.head.bias0": (1,), "rpn.head.bias_lang": (width,)}.items()
    for level in range(5):
        yield f"rpn.head.scales.{level}.scale", (1,)
        yield f"rpn.anchor_generator.cell_anchors.{level}", (1, 4)


def _fusion(name: str, config: GlipConfig) -> Named:
    yield f"{name}.gamma_v", (config.channels,)
    yield f"{name}.gamma_l", (config.text_width,)
    for side, width in (("v", config.channels), ("l", config.text_width)):
        yield from _layer(f"{name}.layer_norm_{side}", width)
        yield from _layer(f"{name}.attn.{side}_proj", config.fusion_width, width)
        yield from _layer(f"{name}.attn.values_{side}_proj", config.fusion_width, width)
        yield from _layer(f"{name}.attn.out_{side}_proj", width, config.fusion_width)


def _dynamic(name: str, channels: int) -> Named:
    for branch in range(3):
        yield from _layer(f"{name}.DyConv.{branch}.conv", channels, channels, 3, 3)
        yield from _layer(f"{name}.DyConv.{branch}.bn", channels)
    yield from _layer(f"{name}.AttnConv.1", 1, channels, 1, 1)
    yield from _layer(f"{name}.relu.fc.0", channels // 4, channels)
    yield from _layer(f"{name}.relu.fc.2", 4 * channels, channels // 4)
    yield from _layer(f"{name}.offset", 27, channels, 3, 3)
