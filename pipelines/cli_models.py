"""`gristmill models`: models that come from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Models that come from elsewhere.")


@app.callback()
def _models() -> None:
    """Models that come from elsewhere."""


@app.command("glip-convert")
def glip_convert(
    checkpoint: Annotated[Path, typer.Argument(help="A .pth of GLIP's authors.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The .safetensors to write, a new file.", show_default=False)],
) -> None:
    """Write what a GLIP needs of its checkpoint, a quarter of the bytes, for detector.checkpoint."""
    from builders.grounding.glip.checkpoint import convert

    if not checkpoint.is_file():
        raise UserError(f"glip-convert: there is no file {checkpoint}; give a .pth of GLIP's authors")
    if out.exists():
        raise UserError(f"glip-convert: {out} is there already; name a new file")
    variant = convert(checkpoint, out)
    typer.echo(f"{out}: GLIP-{variant}, {out.stat().st_size:,} bytes")
