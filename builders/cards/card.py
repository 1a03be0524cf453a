"""The dataset card: what the manifest says, for people and for the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from builders.cards.grounding import render_statistics


def render_card(manifest: Mapping[str, Any]) -> str:
    """A README.md of the dataset, from its manifest alone."""
    inputs = manifest["funnel"]["inputs"]
    lines = [
        "---",
        f"pretty_name: {json.dumps(manifest['name'], ensure_ascii=False)}",
        "tags: [gristmill]" if manifest.get("artefacts") else "tags: [webdataset, gristmill]",
        "---",
        f"# {manifest['name']}",
        "",
        f"{_what(manifest)}, built by gristmill {manifest['versions'].get('gristmill', '')}: {_size(manifest)}.",
        "",
        "## Funnel",
        "",
        "| inputs | |",
        "|---|---:|",
        *(f"| {name} | {inputs[name]:,} |" for name in ("total", "kept", "rejected", "failed")),
        *(f"| {reason} | {count:,} |" for reason, count in inputs["reasons"].items()),
        "",
        *_tallies(manifest["tallies"]),
        *([line, ""] if (line := packing_line(manifest)) else []),
        *_artefacts(manifest),
        *(render_statistics(manifest["statistics"]) if "statistics" in manifest else []),
        *_chosen(manifest.get("chosen", {})),
        *_checked(manifest["recipe"].get("detector")),
        *_answers(manifest),
        *_voices(manifest["recipe"].get("tts")),
        "## Where it comes from",
        "",
        f"- dataset digest `{manifest['dataset_digest']}`",
        f"- content hash `{manifest['content_hash']}`",
        *(f"- {what} {name} `{digest}`" for what in ("inputs", "models") for name, digest in _digests(manifest, what)),
        "- versions " + ", ".join(f"{name} {version}" for name, version in manifest["versions"].items()),
        *(f"- {one['what']}" for one in manifest["exceptions"] if "unit" not in one),
        "",
        _where(manifest),
        "",
        *_read(manifest),
    ]
    return "\n".join(lines)


def _read(manifest: Mapping[str, Any]) -> list[str]:
    if manifest.get("artefacts"):
        return []
    decode = "decode()" if manifest["kind"].startswith("speech") else "decode('pil')"  # FLAC stays bytes
    tars = "sorted(glob.glob('data/*.tar'))"
    code = ["import glob, webdataset", f"data = webdataset.WebDataset({tars}, shardshuffle=False).{decode}"]
    return ["## Read it", "", "```python", *code, "```", ""]


def _where(manifest: Mapping[str, Any]) -> str:
    if manifest.get("artefacts") or manifest["kind"] == "speech_chain":  # written texts bring no licence column
        return "The whole recipe stands in `manifest.json`."
    return "The licence of each sample stands in the index (`license`), and the whole recipe in `manifest.json`."


def _what(manifest: Mapping[str, Any]) -> str:
    return f"A `{manifest['kind']}` " + ("artefact" if manifest.get("artefacts") else "dataset")


def _size(manifest: Mapping[str, Any]) -> str:
    if files := manifest.get("artefacts"):
        return f"{len(files):,} files, {sum(file['size'] for file in files):,} bytes"
    return f"{manifest['samples']:,} samples in {manifest['shards']:,} WebDataset shards, {manifest['bytes']:,} bytes"


def packing_line(manifest: Mapping[str, Any]) -> str | None:
    """How well packed samples are filled; None where nothing is packed."""
    tallies = manifest["tallies"]
    if not tallies.keys() >= {"n_turns", "sample_length", "sample_room"}:
        return None
    filled, room = tallies["sample_length"], tallies["sample_room"]
    share = filled / max(filled + room, 1)
    return f"packing: {tallies['n_turns']:,} turns in {manifest['samples']:,} samples, which are {share:.1%} full"


def _artefacts(manifest: Mapping[str, Any]) -> list[str]:
    if not (files := manifest.get("artefacts")):
        return []
    rows = [f"| `{file['path']}` | {file['size']:,} | `{file['sha256']}` |" for file in files]
    head = ["## What was made", "", f"{manifest['fit']['told']}.", "", "| file | bytes | SHA-256 |", "|---|---:|---|"]
    return [*head, *rows, ""]


def _tallies(tallies: Mapping[str, int]) -> list[str]:
    if not tallies:
        return []
    rows = [f"| {name} | {count:,} |" for name, count in tallies.items()]
    return ["## Counted over all records", "", "| | |", "|---|---:|", *rows, ""]


def _chosen(chosen: Mapping[str, str]) -> list[str]:
    """Which models, and which of their settings."""
    return ["## Chosen", "", *(f"- {name}: {what}" for name, what in chosen.items()), ""] if chosen else []


def _checked(detector: Mapping[str, Any] | None) -> list[str]:
    """How far a detector was checked whose released weights nobody here had."""
    if not detector or detector.get("kind") != "glip":
        return []
    told = (
        f"gristmill's loader of checkpoints and its GLIP-{detector['variant']} agree with the original code on weights "
        "that a seed generates. What it finds with the released weights, and any run on a GPU, nobody had seen when it "
        "was written: look at samples before you rely on the boxes."
    )
    return ["## Who found the boxes", "", told, ""]


def _answers(manifest: Mapping[str, Any]) -> list[str]:
    """Who wrote the answers, and what they cost."""
    told = manifest.get("llm")
    kind = (manifest["recipe"].get("llm") or {}).get("kind")
    if not told:
        composed = "The answers were composed from the annotations by `template`; no model has written them."
        return ["## Who answered", "", composed, ""] if kind == "template" else []
    unpriced = f" ({told['unpriced']:,} answers at unknown cost)" if told["unpriced"] else ""
    last = told["last_run"]
    tokens = "" if told["part"] == "tts" else f"{told['tokens_in']:,} tokens in, {told['tokens_out']:,} out, "
    return [
        "## Who answered",
        "",
        f"`{told['model']}` of {told['provider']}: {told['requests']:,} requests, {told['answers']:,} answers, "
        f"{tokens}{told['usd']:.4f} US dollars{unpriced}. "
        f"In the last run {int(last['from_ledger']):,} answers were in the ledger already, which saved "
        f"{last['saved_usd']:.4f} US dollars.",
        "",
    ]


def _voices(tts: Mapping[str, Any] | None) -> list[str]:
    """Who speaks, where nobody does."""
    if not tts:
        return []
    who = f"`{tts['kind']}`" + (f" (`{tts['model']}`)" if "model" in tts else "")
    voices = ", ".join(f"`{voice}`" for voice in tts["voices"])
    return ["## Who speaks", "", f"All speech is synthetic: {who} speaks the texts, with the voices {voices}.", ""]


def _digests(manifest: Mapping[str, Any], what: str) -> list[tuple[str, str]]:
    return sorted(manifest["content"].get(what, {}).items())
