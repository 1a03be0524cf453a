"""The command line. Exit codes: 0 good, 1 the build or the check failed, 2 the recipe or the command is wrong."""

from __future__ import annotations

import importlib.metadata
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines import cli_export, cli_models, cli_status, cli_submit, cli_units
from schemas.errors import BuildError, UserError
from schemas.load import load_recipe
from schemas.recipe import Recipe

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Mill raw pairs into training sets.",
)
app.command()(cli_export.export)
app.command()(cli_status.status)
app.command()(cli_submit.submit)
app.add_typer(cli_units.app, name="units")
app.add_typer(cli_models.app, name="models")

RecipePath = Annotated[Path, typer.Argument(help="A recipe, as recipes/grit.yaml.", show_default=False)]
Dataset = Annotated[str, typer.Argument(help="A dataset's folder, here or as s3://bucket/folder.", show_default=False)]
Sets = Annotated[list[str] | None, typer.Option("--set", help="Set a field: --set output.unit=500.", metavar="A.B=C")]
Limit = Annotated[int | None, typer.Option(help="Take only the first inputs.", min=1)]


def _recipe_sets(sets: list[str] | None, limit: int | None) -> list[str]:
    return [*(sets or []), *([f"source.limit={limit}"] if limit else [])]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gristmill {importlib.metadata.version('gristmill')}")
        raise typer.Exit


@app.callback()
def _options(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False) -> None:
    """Mill raw pairs into training sets."""


@app.command()
def plan(
    recipe: RecipePath,
    sets: Sets = None,
    limit: Limit = None,
    out: Annotated[str | None, typer.Option()] = None,
    cluster: Annotated[bool, typer.Option("--cluster", help="Plan for a cluster, not for this machine.")] = False,
    address: Annotated[
        str | None, typer.Option(help="The cluster: its job server, or a cluster file; else ray_cluster.yaml.")
    ] = None,
) -> None:
    """Check a recipe, and tell what a build needs and would do: inputs, stages with columns and hardware, units.

    What is missing is listed, and no error.
    """
    from pipelines.cluster import planned_for
    from pipelines.hardware import unplaceable
    from pipelines.kinds import make_dag
    from pipelines.plan import render_plan

    checked = load_recipe(recipe, _recipe_sets(sets, limit))
    on = planned_for(address) if cluster or address else None
    dag = make_dag(checked, planned=True)
    typer.echo(render_plan(checked, dag, _located(checked, out) if out else None, on))
    if on and (problem := unplaceable(dag.all_stages, on[0])):
        raise UserError(problem)


@app.command()
def build(
    recipe: RecipePath,
    out: Annotated[str, typer.Option(help="The dataset's folder, here or as s3://bucket/folder.")],
    sets: Sets = None,
    limit: Limit = None,
    retry_failed: Annotated[
        bool, typer.Option(help="Run the failed records again; what was kept or rejected stays.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Delete the dataset that is there first.")] = False,
) -> None:
    """Build a dataset; the same command goes on where it stopped."""
    from builders.shards.store import Store
    from pipelines.kinds import make_dag
    from pipelines.plan import render_facts, render_funnel
    from pipelines.run import build as run

    checked = load_recipe(recipe, _recipe_sets(sets, limit))
    store = Store(_located(checked, out))
    dag = make_dag(checked)
    typer.echo("\n".join(["inputs", *render_facts(dag)]), err=True)
    signal.signal(signal.SIGTERM, _end)
    try:
        manifest = run(checked, dag, store, overwrite=overwrite, retry_failed=retry_failed)
    except KeyboardInterrupt:
        raise BuildError(
            f"interrupted; what is committed in {store} stays. Run the same command again to go on"
        ) from None
    typer.echo(render_funnel(manifest))
    made = [file["path"] for file in manifest.get("artefacts", [])] or [f"{manifest['samples']:,} samples"]
    typer.echo(f"{store}: {', '.join(made)}, digest {manifest['dataset_digest']}")


def _located(recipe: Recipe, out: str) -> str:
    """--out, with the recipe's settings for object stores."""
    return recipe.storage.on(out) if recipe.storage else out


def _end(*_: object) -> None:
    """`ray job stop` and schedulers send SIGTERM: it ends a build as Ctrl-C does."""
    raise KeyboardInterrupt


@app.command()
def verify(
    dataset: Dataset,
    repair: Annotated[
        bool, typer.Option("--repair", help="First remove what dead builds left; refused while somebody builds.")
    ] = False,
) -> None:
    """Check every byte and every count of a dataset against its manifest."""
    from builders.shards.store import Store
    from builders.shards.verify import verify as check

    store = Store(dataset, field="DATASET")
    if repair:
        from builders.shards.repair import repair as clean

        for line in clean(store) or ["nothing to remove"]:
            typer.echo(line)
    report = check(store)
    for line in report.notes:
        typer.echo(f"note: {line}")
    if report.problems:
        raise BuildError("\n".join([*report.problems, f"{dataset}: {len(report.problems)} problems"]))
    typer.echo(f"{dataset}: good: {report.samples:,} samples in {report.units:,} units, digest {report.digest}")


@app.command()
def query(
    dataset: Dataset,
    sql: Annotated[str, typer.Argument(help="SQL over samples, rejects, units and ledger.", show_default=False)],
) -> None:
    """Ask a dataset's index with DuckDB SQL."""
    from builders.shards.query import query as ask
    from builders.shards.store import Store

    typer.echo(ask(Store(dataset, field="DATASET"), sql))


@app.command()
def show(
    dataset: Dataset,
    count: Annotated[int, typer.Option(min=1, help="How many samples.")] = 5,
    sheet: Annotated[str | None, typer.Option(help="Draw them on a contact sheet (PNG).")] = None,
) -> None:
    """Print a dataset's funnel and some samples, and draw them on a contact sheet."""
    from builders.cards.sheet import ON_SHEET, describe, draw_sheet, pick
    from builders.shards.dataset import read_manifest
    from builders.shards.store import Store
    from builders.uri import local_path
    from pipelines.plan import render_funnel

    drawing = local_path(sheet, "--sheet") if sheet else None
    if drawing and drawing.suffix.lower() != ".png":
        raise UserError(f"--sheet {sheet}: a contact sheet is a PNG; give a name that ends in .png")
    store = Store(dataset, field="DATASET")
    manifest = read_manifest(store)
    typer.echo(render_funnel(manifest))
    if manifest.get("artefacts"):
        if drawing:
            raise UserError(f"--sheet {sheet}: {store} holds an artefact, and no samples to draw; leave it out")
        for file in manifest["artefacts"]:
            typer.echo(f"{file['path']}: {file['size']:,} bytes")
        return
    samples = pick(store, max(count, ON_SHEET) if drawing else count)
    for place, sample in enumerate(samples[:count]):
        typer.echo(describe(sample, whole=not place))
    if drawing:
        draw_sheet(samples, drawing)
        typer.echo(f"contact sheet: {sheet}")


def main() -> None:
    """Run the command; errors of ours are one line and an exit code."""
    try:
        app()
    except UserError as error:
        raise SystemExit(_say(error, 2)) from None
    except BuildError as error:
        raise SystemExit(_say(error, 1)) from None
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("gristmill", "pipelines", "builders", "schemas"):
            raise
        raise SystemExit(_say(f"{error.name} is not installed; pip install 'gristmill[build]'", 2)) from None


def _say(error: Exception | str, code: int) -> int:
    print(f"gristmill: {error}", file=sys.stderr)
    return code
