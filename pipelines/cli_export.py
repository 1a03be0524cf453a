"""`gristmill export`: a finished dataset as the files that others read."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import typer

from schemas.errors import UserError


class Shape(enum.StrEnum):
    """What `export` writes."""

    llava = "llava"
    chat = "chat"
    grit = "grit"
    kosmos2 = "kosmos2"
    qwen_vl = "qwen_vl"
    coco = "coco"
    speechgpt = "speechgpt"


def export(
    dataset: Annotated[str, typer.Argument(help="A dataset's folder.", show_default=False)],
    target: Annotated[
        str, typer.Argument(help="Where to: an empty folder, or for speechgpt a new file.", show_default=False)
    ],
    to: Annotated[
        Shape,
        typer.Option(
            help="llava, chat: conversations about images (llava of a grit dataset: about its regions; chat: its "
            "tasks); grit, kosmos2, qwen_vl, coco: grounded captions; speechgpt: speech."
        ),
    ],
    prefix: Annotated[
        str | None, typer.Option(help="For speechgpt: what stands before every sample, instead of our own words.")
    ] = None,
    tokens: Annotated[
        Literal["released", "paper"] | None, typer.Option(help="For kosmos2: whose tokens; released, if not given.")
    ] = None,
) -> None:
    """Write a dataset as the files that others read."""
    from builders.export import coco, conversations, grit, kosmos2, qwen_vl, referring, speechgpt
    from builders.shards.dataset import read_manifest
    from builders.shards.store import Store
    from builders.uri import local_path

    if prefix is not None and to is not Shape.speechgpt:
        raise UserError(f"--prefix: --to {to.value} writes none; leave it out, or give --to speechgpt")
    if tokens is not None and to is not Shape.kosmos2:
        raise UserError(f"--tokens: --to {to.value} writes none; leave it out, or give --to kosmos2")
    store, place = Store(dataset, field="DATASET"), local_path(target, "target")
    regions = to is Shape.llava and read_manifest(store)["kind"] == "grit"
    writers: Mapping[Shape, Callable[[], int]] = {
        Shape.llava: lambda: referring.export(store, place) if regions else conversations.export(store, "llava", place),
        Shape.chat: lambda: conversations.export(store, "chat", place),
        Shape.grit: lambda: grit.export(store, place),
        Shape.kosmos2: lambda: kosmos2.export(store, place, tokens or "released"),
        Shape.qwen_vl: lambda: qwen_vl.export(store, place),
        Shape.coco: lambda: coco.export(store, place),
        Shape.speechgpt: lambda: speechgpt.export(store, place, speechgpt.PREFIX if prefix is None else prefix),
    }
    count = writers[to]()
    typer.echo(f"{place / conversations.FILES.get(to.value, '')}: {count:,} samples")
