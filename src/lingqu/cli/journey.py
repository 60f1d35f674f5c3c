"""Verbs of the journey: run, show, predict."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

from rich.text import Text

from lingqu.bundle.notebook import GATES
from lingqu.cli.present import emit, err, findings, next_step, out, progress, read_store, table
from lingqu.errors import Problem, UnknownNameError
from lingqu.loop import check, home, load
from lingqu.loop import run as run_journey
from lingqu.registry import Registry, Version
from lingqu.spec.addresses import called, scheme, sheet_of
from lingqu.store import Store, write_bytes
from lingqu.tasks import find_task


def run(arguments: argparse.Namespace) -> int:
    """The whole journey, with a line per stage; exit status 1 when the gate did not say yes."""
    check(arguments.spec)
    store = Store.open(Path(arguments.home)) if arguments.home else None
    with progress() as tell:
        result = run_journey(arguments.spec, store=store, tell=tell)
    tell_result(arguments, result)
    return 0 if result["gate"]["decision"] == "promote" else 1


def tell_result(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """What a run found: models tried, metrics, the gate, where the report is, what to type next."""
    if arguments.json:
        emit(arguments, result)
        return
    name, number, gate = result["name"], result["version"], result["gate"]
    for line in findings(result):
        out.print(line)
    out.print(ladder_table(result["ladder"]))
    for one in result["ladder"]:
        if (one["forecast"] or {}).get("by") == "pilot":
            out.print(foretold(one))
    for one in result["skipped"]:
        out.print(f"Not climbed: {one['recipe']}: {one['why']}.")
    if result["tune"]:
        out.print(tuning(result["tune"]))
    chosen = result["chosen"]
    out.print(Text.assemble("Chosen: ", (chosen["recipe"], "bold"), f", {chosen['why']}."))
    out.print(metrics_table(f"\n{name}@{number} on {result['rows']['test']:,} test rows", result))
    out.print(Text.assemble("\nGate: ", (GATES[gate["decision"]], "bold"), f". {gate.get('why', '')}"))
    out.print(f"Report: {result['report']}")
    place = _elsewhere(Path(result["report"]).parent.parent)
    out.print(next_step(f"lingqu show {name}@{number}{place}", "the report in the terminal"))
    if result["champion"] == number:
        out.print(next_step(f"lingqu predict {name} INPUT -o OUT{place}", "answers for a file, without torch"))
    elif gate["decision"] == "promote":
        out.print(next_step(f"lingqu promote {name}@{number}{place}", "make it the champion"))


def _elsewhere(store: Path) -> str:
    """What a command needs to find this store: nothing where it is the one of this folder.

    >>> _elsewhere(Path.cwd() / ".lingqu"), _elsewhere(Path.cwd() / "a b" / ".lingqu")
    ('', " --home 'a b/.lingqu'")
    """
    if store.resolve() == home(Path.cwd()).resolve():
        return ""
    here = Path.cwd()
    return f" --home {shlex.quote(str(store.relative_to(here) if store.is_relative_to(here) else store))}"


def ladder_table(rungs: list[dict[str, Any]]) -> Any:
    """The models that were tried, the cheapest first."""
    metric = rungs[0]["metric"]
    rows = [
        (
            rung["recipe"],
            f"{rung['value']:.4f}",
            interval(rung),
            f"{rung['seconds']:.1f}",
            megabytes(rung["bytes"]),
            f"{rung['ms_per_row']:.2f}",
        )
        for rung in rungs
    ]
    return table(
        "Models tried (validation rows)", ["model", metric, "95 % interval", "seconds", "size", "ms a row"], rows
    )


def foretold(rung: dict[str, Any]) -> str:
    """What a pilot foretold of a rung beside what came.

    >>> told = {"seconds": 40.0, "memory_mib": 600.0, "disk_bytes": 3_000_000}
    >>> foretold({"recipe": "cnn", "forecast": told, "seconds": 43.4, "memory_mib": 612.3, "disk_bytes": 3_400_000})
    'cnn: 43 s (foretold 40), 612 MiB of memory (600), 3.4 MB of disk (3.0)'
    """
    told = rung["forecast"]
    return (
        f"{rung['recipe']}: {rung['seconds']:.0f} s (foretold {told['seconds']:.0f}), "
        f"{rung['memory_mib']:.0f} MiB of memory ({told['memory_mib']:.0f}), "
        f"{rung['disk_bytes'] / 1e6:.1f} MB of disk ({told['disk_bytes'] / 1e6:.1f})"
    )


def tuning(told: dict[str, Any]) -> str:
    """What a search over dials did, in a sentence or two.

    >>> trials = [{"number": n, "state": state, "error": 0.2 - n / 100} for n, state in enumerate(("complete", "pruned", "complete"))]
    >>> tuning({"recipe": "tree", "trials": trials, "asked": 3, "seconds": 4.2, "best": 2, "dials": {"depth": 5}, "why": "it is so"})
    'Tuned: 3 of 3 trials of tree in 4.2 s, 1 ended early; best: trial 2, error 0.18 (at first 0.2), depth 5: it is so.'
    """
    trials = told["trials"]
    if not trials:
        return f"Not tuned: {told['why']}."
    early = sum(one["state"] == "pruned" for one in trials)
    text = f"Tuned: {len(trials)} of {told['asked']} trials of {told['recipe']} in {told['seconds']:.1f} s"
    text += f", {early} ended early" if early else ""
    if told["dials"]:
        dials = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in told["dials"].items()
        )
        text += f"; best: trial {told['best']}, error {trials[told['best']]['error']:.4g} (at first {trials[0]['error']:.4g}), {dials}"
    return f"{text}: {told['why']}."


def metrics_table(title: str, result: dict[str, Any]) -> Any:
    """The metrics in the order of the task, each with its interval."""
    found = [(name, result["metrics"][name]) for name in find_task(result["task"]).metrics]
    rows = [(name, "-" if told["value"] is None else f"{told['value']:.4f}", interval(told)) for name, told in found]
    return table(title, ["metric", "value", "95 % interval"], rows)


def megabytes(count: int) -> str:
    """Bytes as people say them.

    >>> megabytes(12_345), megabytes(3_400_000)
    ('12 kB', '3.4 MB')
    """
    return f"{count / 1e3:.0f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"


def interval(told: dict[str, Any]) -> str:
    """An interval in words, or why there is none.

    >>> interval({"low": 0.5, "high": 0.75}), interval({"low": None, "high": None, "why": "one class"})
    ('0.5000 to 0.7500', 'one class')
    """
    if told.get("low") is None:
        return told.get("why", "")
    return f"{told['low']:.4f} to {told['high']:.4f}"


def show(arguments: argparse.Namespace) -> int:
    """The report of a version, by default of the newest one here, in the terminal or as a page."""
    from lingqu.evaluate import page, terminal
    from lingqu.evaluate.page import versions
    from lingqu.evaluate.side_by_side import side_by_side
    from lingqu.evaluate.translation import language_of

    language = language_of(arguments.language)
    with read_store(arguments) as store:
        registry = Registry(store)
        found = _version(registry, arguments.model)
        if arguments.against:
            told = side_by_side(found, registry.get(arguments.against), store)
            shown, write = terminal.show_versions(told, language), versions.write_versions
        else:
            told = {**store.get_json(found.lineage["report"]), "version": found.number}
            shown, write = terminal.show(told, language), page.write_page
    if arguments.out:
        write_bytes(Path(arguments.out), write(told, language).encode())
        told, shown = {**told, "page": arguments.out}, f"The report is in {shlex.quote(arguments.out)}."
    emit(arguments, told, shown)
    return 0


def _version(registry: Registry, reference: str | None) -> Version:
    """The version that was asked for, or the newest; UnknownNameError where there is none."""
    if reference is not None:
        return registry.get(reference)
    # By the order of the history, since clocks go back.
    made = [event for event in registry.history() if event.action == "register"]
    if not made:
        raise UnknownNameError(Problem("a version to show", "none here yet", "Make one: lingqu run"))
    return registry.get(f"{made[-1].name}@{made[-1].version}")


def predict(arguments: argparse.Namespace) -> int:
    """Answer every row of a file; exit status 1 when some were refused."""
    from lingqu.bundle.files import predict_file

    with read_store(arguments) as store:
        bundle = load(arguments.model, store=store)
    source = arguments.input
    out_path = Path(arguments.out) if arguments.out else _beside(source)
    with progress() as tell:
        done = predict_file(
            bundle,
            source,
            out_path,
            scores=arguments.scores,
            root=Path(arguments.root) if arguments.root else None,
            tell=lambda rows: tell("predict", 0.5, f"{rows:,} rows"),
        )
        tell("predict", 1.0, f"{done.rows:,} rows")
    if done.refused:
        err.print(f"{done.refused:,} of {done.rows:,} rows were refused; the column 'error' says why.")
    emit(
        arguments,
        {"rows": done.rows, "refused": done.refused, "out": str(done.out)},
        f"{done.rows - done.refused:,} answers in {shlex.quote(str(done.out))}",
    )
    return 1 if done.refused else 0


def _beside(source: str) -> Path:
    """Where answers go when nobody says: beside the input, named after it."""
    # `.` and `..` are folders too, but have no name of their own to add to.
    path = Path(re.sub(r"[^\w.\-]+", "-", called(source))) if scheme(source) else Path(sheet_of(source)[0])
    path = path if path.name not in ("", "..") else path.resolve()
    suffix = path.suffix if path.suffix.lower() in (".csv", ".tsv", ".jsonl", ".parquet") else ".csv"
    return path.with_name(f"{path.stem}.answers{suffix}")
