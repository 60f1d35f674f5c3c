"""Verbs to begin with: new, check, tasks."""

from __future__ import annotations

import argparse
from pathlib import Path

from lingqu.cli.present import emit, next_step, out, table
from lingqu.contract import Task
from lingqu.errors import Problem, RequestError
from lingqu.loop import check as check_spec
from lingqu.spec import show
from lingqu.store import write_bytes
from lingqu.tasks import find_task, task_names

SPEC_FILE = "lingqu.yaml"
TOY_ROWS = 240


def tasks(arguments: argparse.Namespace) -> int:
    """Every task with what goes in and what comes out."""
    found = [find_task(name) for name in task_names()]
    records = [
        {
            "task": task.name,
            "about": task.about,
            "columns": {column.name: column.about for column in (*task.columns, task.target)},
            "ladder": list(task.ladder),
            "metrics": list(task.metrics),
            "decide_by": task.decide_by,
        }
        for task in found
    ]
    rows = [
        (task.name, " + ".join(column.name for column in task.columns), task.target.name, task.about) for task in found
    ]
    emit(arguments, {"tasks": records}, table("", ["task", "in", "out", "about"], rows))
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Look at the spec and its data before any work."""
    from lingqu.data.look import look

    spec = check_spec(arguments.spec)
    if arguments.show:
        out.print(show(spec), markup=False)
        return 0
    found = look(spec.located_data(), find_task(spec.task), arguments.spec)
    rows = [(name, kind, found.examples.get(name, "")) for name, kind in found.kinds.items()]
    emit(
        arguments,
        {"name": spec.name, "task": spec.task, "rows": found.rows, "kinds": found.kinds, "roles": found.roles},
        f"{arguments.spec} is right: {spec.task} on {found.rows:,} rows.",
        table("", ["column", "kind", "for example"], rows),
        next_step(f"lingqu run {arguments.spec}"),
    )
    return 0


def new(arguments: argparse.Namespace) -> int:
    """Make a folder with a spec, and toy rows when there are no others."""
    if arguments.task is None:
        known = ", ".join(task_names())
        raise RequestError(Problem("--task TASK", "no task", f"Known: {known}."))
    task = find_task(arguments.task)
    folder = Path(arguments.name)
    spec = folder / SPEC_FILE
    if spec.exists():
        raise RequestError(Problem("a name without a spec yet", f"{spec}", "Edit it, or choose another name."))
    if arguments.data is not None and not arguments.data.startswith("sklearn:") and not Path(arguments.data).exists():
        raise RequestError(Problem("a file or folder for --data", f"nothing at '{arguments.data}'", "Check the path."))
    source = arguments.data if arguments.data is not None else _toys(task, folder)
    if not source.startswith("sklearn:") and arguments.data is not None:
        source = str(Path(source).absolute())
    write_bytes(spec, _text(folder.name, task, source).encode())
    check_spec(spec)
    emit(
        arguments,
        {"spec": str(spec), "task": task.name, "source": source},
        f"{spec} is ready: {task.about}",
        next_step(f"lingqu run {spec}"),
    )
    return 0


def _toys(task: Task, folder: Path) -> str:
    """Toy rows in the first format that can hold them; the name of the file, as the spec names it."""
    import csv
    import io

    rows = task.toy(TOY_ROWS)
    images = [column.name for column in task.columns if column.kind == "image"]
    if images:
        for number, row in enumerate(rows):
            write_bytes(folder / "pictures" / str(row[task.target.name]) / f"{number:03}.png", row[images[0]])
        return "pictures"
    text = io.StringIO()
    writer = csv.DictWriter(text, rows.names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(folder / "rows.csv", text.getvalue().encode())
    return "rows.csv"


def _text(name: str, task: Task, source: str) -> str:
    import json

    roles = [column.name for column in task.columns if column.kind != "features"] + [task.target.name]
    columns = ", ".join(f"{role}: {role}" for role in roles)
    return (
        f"# {task.about} Every other setting has a default: lingqu check --show\n"
        f"name: {name}\n"
        f"task: {task.name}\n"
        f"data:\n"
        f"  source: {json.dumps(source, ensure_ascii=False)}\n"
        f"  columns: {{{columns}}}      # the task's word: the name of your column\n"
        f"size: small                # tiny | small | medium | large\n"
        f"budget: 10 min             # stop climbing the ladder of models\n"
    )
