"""The dataset card: what the manifest says, for people and for the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def render_card(manifest: Mapping[str, Any]) -> str:
    """A README.md of the dataset, from its manifest alone."""
    inputs = manifest["funnel"]["inputs"]
    lines = [
        "---",
        f"pretty_name: {json.dumps(manifest['name'], ensure_ascii=False)}",
        "tags: [webdataset, gristmill]",
        "---",
        f"# {manifest['name']}",
        "",
        f"A `{manifest['kind']}` dataset, built by gristmill {manifest['versions'].get('gristmill', '')}: "
        f"{manifest['samples']:,} samples in {manifest['shards']:,} WebDataset shards, {manifest['bytes']:,} bytes.",
        "",
        "## Funnel",
        "",
        "| inputs | |",
        "|---|---:|",
        *(f"| {name} | {inputs[name]:,} |" for name in ("total", "kept", "rejected", "failed")),
        *(f"| {reason} | {count:,} |" for reason, count in inputs["reasons"].items()),
        "",
        *_tallies(manifest["tallies"]),
        *_answers(manifest),
        "## Where it comes from",
        "",
        f"- dataset digest `{manifest['dataset_digest']}`",
        f"- content hash `{manifest['content_hash']}`",
        *(f"- {what} {name} `{digest}`" for what in ("inputs", "models") for name, digest in _digests(manifest, what)),
        "- versions " + ", ".join(f"{name} {version}" for name, version in manifest["versions"].items()),
        *(f"- {one['what']}" for one in manifest["exceptions"] if "unit" not in one),
        "",
        "The licence of each sample stands in the index (`license`), and the whole recipe in `manifest.json`.",
        "",
        "## Read it",
        "",
        "```python",
        "import glob, webdataset",
        "data = webdataset.WebDataset(sorted(glob.glob('data/*.tar')), shardshuffle=False).decode('pil')",
        "```",
        "",
    ]
    return "\n".join(lines)


def _tallies(tallies: Mapping[str, int]) -> list[str]:
    if not tallies:
        return []
    rows = [f"| {name} | {count:,} |" for name, count in tallies.items()]
    return ["## Counted over all records", "", "| | |", "|---|---:|", *rows, ""]


def _answers(manifest: Mapping[str, Any]) -> list[str]:
    """Who wrote the answers, and what they cost."""
    told = manifest.get("llm")
    kind = (manifest["recipe"].get("llm") or {}).get("kind")
    if not told:
        composed = "The answers were composed from the annotations by `template`; no model has written them."
        return ["## Who answered", "", composed, ""] if kind == "template" else []
    unpriced = f" ({told['unpriced']:,} answers at unknown cost)" if told["unpriced"] else ""
    last = told["last_run"]
    return [
        "## Who answered",
        "",
        f"`{told['model']}` of {told['provider']}: {told['requests']:,} requests, {told['answers']:,} answers, "
        f"{told['tokens_in']:,} tokens in, {told['tokens_out']:,} out, {told['usd']:.4f} US dollars{unpriced}. "
        f"In the last run {int(last['from_ledger']):,} answers were in the ledger already, which saved "
        f"{last['saved_usd']:.4f} US dollars.",
        "",
    ]


def _digests(manifest: Mapping[str, Any], what: str) -> list[tuple[str, str]]:
    return sorted(manifest["content"].get(what, {}).items())
