"""`gristmill submit`: a build on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import BuildError


def submit(
    recipe: Annotated[Path, typer.Argument(help="A recipe below recipes/.", show_default=False)],
    out: Annotated[str, typer.Option(help="The dataset's folder, as every node sees it.")],
    address: Annotated[
        str | None, typer.Option(help="The job server, as http://127.0.0.1:8265; else RAY_API_SERVER_ADDRESS.")
    ] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", help="As for build.", metavar="A.B=C")] = None,
    limit: Annotated[int | None, typer.Option(help="Take only the first inputs.", min=1)] = None,
    retry_failed: Annotated[bool, typer.Option(help="As for build.")] = False,
    overwrite: Annotated[bool, typer.Option(help="As for build.")] = False,
    env: Annotated[
        Path | None, typer.Option(help="YAML with a runtime environment (pip, uv), where the image has no gristmill.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Tell the log until the job ends.")] = True,
) -> None:
    """Build a dataset on a cluster; the same command goes on where it stopped. The code of this checkout travels."""
    from pipelines import submit as jobs
    from pipelines.submit_follow import follow as to_its_end

    flags = [
        *(["--limit", str(limit)] if limit else []),
        *(["--retry-failed"] if retry_failed else []),
        *(["--overwrite"] if overwrite else []),
    ]
    job = jobs.job(recipe, out, sets or [], flags, env)
    client = jobs.connect(address)
    name = jobs.submit(client, job)
    typer.echo(f"job {name}: {job.size / 1e6:.0f} MB sent, {job.entrypoint}", err=True)
    where = f" --address {address}" if address else ""
    if not follow:
        typer.echo(f"its log: ray job logs --follow {name}{where}; its end: ray job stop {name}{where}", err=True)
        return
    try:
        with jobs.quiet():
            code = to_its_end(client, name, lambda text: typer.echo(text, nl=False), where)
    except KeyboardInterrupt:
        raise BuildError(f"the job goes on; to end it: ray job stop {name}{where}") from None
    raise typer.Exit(code)
