"""What `plan` prints, and the funnel that `build` and `show` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.tree import Tree

from builders.cards.card import packing_line
from builders.need import Need
from builders.shards.dataset import read_claim
from builders.shards.store import Store
from pipelines.dag import Dag, Stage
from pipelines.estimate import render_estimate
from pipelines.hardware import Cluster, fitting, lacking, place, this_machine
from pipelines.state import look, make_claim, refusal
from schemas.manifest import Funnel
from schemas.recipe import Recipe


def render_plan(recipe: Recipe, dag: Dag, out: str | None, on: tuple[Cluster, str] | None = None) -> str:
    """The plan as text: inputs, what others publish and a build needs, the DAG as a tree with hardware and columns, and
    what a run would do.

    `on`: the cluster that it would run on, and what to call it; without, this machine.
    """
    cluster, name = on or (this_machine(), "this machine")
    lines = [f"{dag.name}: kind {recipe.kind}", "", "inputs", *render_facts(dag)]
    for told_as, told in (("chosen", dag.chosen), ("expected", dag.expected)):
        lines += ["", told_as, *_lines(told)] if told else []
    lines += ["", "needs", *_needs(dag.needs)] if dag.needs else []
    lines += ["", _text(_tree(dag, cluster, name))]
    for needs in lacking(dag.stages, cluster):
        lines += [f"note: {needs} needs a GPU, and {name} has none: a build is refused there", ""]
    if dag.asks:
        lines += [*render_estimate(dag, dag.asks, out), ""]
    lines.append(_work(recipe, dag, out))
    return "\n".join(lines)


def render_facts(dag: Dag) -> list[str]:
    """What the source tells of its inputs, a line each."""
    return _lines(dag.source.facts())


def _lines(facts: Mapping[str, int | str]) -> list[str]:
    width = max(map(len, facts), default=0)
    return [
        f"  {name:<{width}}  {value:,}" if isinstance(value, int) else f"  {name:<{width}}  {value}"
        for name, value in facts.items()
    ]


def _needs(needs: Sequence[Need]) -> list[str]:
    """A line each, and the command that brings what only the user can bring."""
    width = max(len(need.field) for need in needs)
    lines = []
    for need in needs:
        lines.append(f"  {need.field:<{width}}  {need}")
        lines += [f"  {'':<{width}}    {need.get}"] if need.stops else []
    return lines


def _tree(dag: Dag, cluster: Cluster, name: str) -> Tree:
    root = Tree(f"{dag.name} on {cluster} ({name})")
    for kind in cluster.nodes:
        root.add(f"nodes {kind}")
    root.add("source").add(_columns("adds", dag.source.columns))
    _add_stages(root, dag.stages, cluster)
    if dag.fit:
        root.add("index, no shards")
        drawn = dag.drawn(dag.fit, frozenset())
        branch = root.add(f"fit: {dag.fit.fit.intended}")
        _add_stages(branch, drawn.stages, cluster)
        branch.add("and the artefact is made of it")
        return root
    if dag.pack:
        root.add(f"pack {dag.pack.name}").add(_columns("adds", dag.pack.adds))
    members = ", ".join(f"key.{m.extension or '<' + m.extension_from + '>'} ({m.column})" for m in dag.layout.members)
    root.add("shards").add(members)
    return root


def _add_stages(root: Tree, stages: Sequence[Stage], cluster: Cluster) -> None:
    for stage, placement in zip(stages, place(stages, cluster), strict=True):
        branch = root.add(f"stage {stage.name}: {placement}, batches of {stage.batch}{_where(stage, cluster)}")
        for step in stage.steps:
            leaf = branch.add(step.name)
            leaf.add(f"reads {', '.join(step.reads) or 'nothing'}")
            leaf.add(_columns("adds", step.adds))


def _where(stage: Stage, cluster: Cluster) -> str:
    """Which nodes of a cluster a stage may run on."""
    if not cluster.nodes:
        return ""
    return ", on " + (", ".join(kind.name for kind in fitting(stage, cluster)) or "NO NODE: it would wait for ever")


def _columns(verb: str, columns: Mapping[str, pa.DataType]) -> str:
    return f"{verb} " + ", ".join(f"{name} {_kind(kind)}" for name, kind in columns.items())


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_kind(kind.value_type)}"
    return "struct" if pa.types.is_struct(kind) else str(kind)


def _text(tree: Tree) -> str:
    console = Console(width=118, color_system=None)
    with console.capture() as captured:
        console.print(tree, markup=False, highlight=False)
    return captured.get()


def _work(recipe: Recipe, dag: Dag, out: str | None) -> str:
    total = len(dag.source.unit_sizes)
    if stops := [need.field for need in dag.needs if need.stops]:
        return f"units: {total:,} in all; a build would stop, it lacks {', '.join(stops)}: needs tells how to get them"
    if fetched := [need.field for need in dag.needs if not need.there]:
        return f"units: {total:,} in all; a build would begin with fetching {', '.join(fetched)}"
    if out is None:
        return f"units: {total:,} in all; --out tells how many of them are done"
    store = Store(out)
    if read_claim(store) is None:
        return f"units: {total:,} in all, none done in {store}; a run builds all of them"
    state = look(store, make_claim(recipe, dag), dag.source)
    done = f"units: {total:,} in all, {state.done:,} done, {len(state.left):,} left in {store}; "
    if problem := refusal(state, retry_failed=False):
        does = f"a run is refused: {problem}"
    elif state.left:
        does = f"a run builds the {len(state.left):,} that are left"
    else:
        does = "a run builds nothing"
    retry = len(state.with_failures)
    return done + does + (f"; --retry-failed would build {retry:,} again that hold failed records" if retry else "")


def render_funnel(manifest: Mapping[str, Any]) -> str:
    """The funnel of a finished dataset as lines."""
    told = manifest["funnel"]
    lines = _funnel_lines("inputs", Funnel.from_json(told["inputs"]))
    if told["records"] != told["inputs"]:
        lines += _funnel_lines("records", Funnel.from_json(told["records"]))
    tallies = ", ".join(f"{name} {count:,}" for name, count in manifest["tallies"].items())
    lines += [f"counted: {tallies}"] if tallies else []
    lines += [line] if (line := packing_line(manifest)) else []
    if manifest.get("samples") == 0:
        lines.append("nothing was kept: the reasons above name the rule, and the recipe has the field that sets it")
    lines += [manifest["fit"]["told"]] if "fit" in manifest else []
    return "\n".join([*lines, *_money(manifest["llm"])] if manifest.get("llm") else lines)


def _money(told: Mapping[str, Any]) -> list[str]:
    """Who was asked, and what it came to."""
    last = told["last_run"]
    tokens = "" if told["part"] == "tts" else f"{told['tokens_in']:,} tokens in, {told['tokens_out']:,} out, "
    unpriced = f", {told['unpriced']:,} answers at unknown cost" if told["unpriced"] else ""
    saved = f", ${last['saved_usd']:,.4f} saved" if last["saved_usd"] else ""
    return [
        f"{told['model']}: {told['requests']:,} requests, {told['answers']:,} answers, {tokens}"
        f"${told['usd']:,.4f}{unpriced}",
        f"  last run: {last['requests']:,} requests, ${last['usd']:,.4f}; {last['from_ledger']:,} answers were in the "
        f"ledger{saved}",
    ]


def _funnel_lines(name: str, funnel: Funnel) -> list[str]:
    lines = [f"{name:<8} {funnel.total:>10,}"]
    for outcome in ("kept", "rejected", "failed"):
        lines.append(f"  {outcome:<8} {getattr(funnel, outcome):>8,}")
        for reason, count in funnel.as_json()["reasons"].items():
            if reason.startswith(outcome + "/"):
                lines.append(f"    {count:>8,}  {reason.split('/', 1)[1]}")
    return lines
