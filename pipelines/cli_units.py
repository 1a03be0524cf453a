"""`gristmill units`: unit vocabularies that come from elsewhere."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Unit vocabularies that come from elsewhere.")


class FeatureKind(enum.StrEnum):
    """What a vocabulary was fitted on."""

    mfcc = "mfcc"
    hubert = "hubert"


@app.callback()
def _units() -> None:
    """Unit vocabularies that come from elsewhere."""


@app.command("import")
def import_units(
    file: Annotated[Path, typer.Argument(help="A k-means file of fairseq's (.bin, .km).", show_default=False)],
    out: Annotated[str, typer.Option(help="The vocabulary's folder, empty or new: a recipe's units.vocabulary.")],
    features: Annotated[FeatureKind, typer.Option(help="What it was fitted on: the file does not tell.")],
    model: Annotated[str | None, typer.Option(help="hubert: the model, a folder or a hub id.")] = None,
    layer: Annotated[int | None, typer.Option(help="hubert: after which layer, as 11 of mHuBERT.", min=1)] = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="The file is a pickle, which is a program: run it.")
    ] = False,
) -> None:
    """Convert a k-means file of fairseq's, in a process of its own."""
    from builders.shards.store import Store
    from builders.speech.fairseq_import import import_fairseq
    from builders.speech.features import MFCC_DIMENSIONS, mfcc_spec
    from builders.speech.hubert import find_hubert
    from builders.speech.vocabulary import save_vocabulary
    from builders.uri import local_path

    store = Store(local_path(out, "--out"))
    if not store.is_empty():
        raise UserError(f"--out {out}: is not an empty folder; give another")
    if features == FeatureKind.mfcc:
        if model is not None or layer is not None:
            raise UserError("--model and --layer: are of --features hubert; leave them out")
        spec, dimensions = mfcc_spec(), MFCC_DIMENSIONS
    elif model is None or layer is None:
        raise UserError("--features hubert: needs --model and --layer, which the file does not tell")
    else:
        files = find_hubert(model, layer, "--")
        spec, dimensions = files.spec(), files.dimensions
    vocabulary = import_fairseq(file, spec, trust_pickle)
    if vocabulary.dimensions != dimensions:
        raise UserError(f"{file}: has {vocabulary.dimensions} dimensions, but {model} has {dimensions}; give its model")
    save_vocabulary(vocabulary, store)
    typer.echo(f"{out}: {vocabulary.k:,} units of {vocabulary.dimensions} dimensions")
