"""Verbs to begin with: new, tasks."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from lingqu.cli.present import emit, err, next_step, table
from lingqu.contract import Task
from lingqu.errors import LingquError, Problem, RequestError, UnknownNameError
from lingqu.loop import check as check_spec
from lingqu.spec.addresses import located, scheme, sheet_of
from lingqu.store import write_bytes
from lingqu.tasks import find_task, task_names

SPEC_FILE = "lingqu.yaml"
TOY_ROWS = 240
MOST_LISTED = 30


def tasks(arguments: argparse.Namespace) -> int:
    """Every task with what goes in and what comes out; one that is broken is told on standard error."""
    found: list[Task] = []
    for name in task_names():
        try:
            found.append(find_task(name))
        except UnknownNameError as error:
            err.print(str(error))
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
    given = arguments.data if arguments.data is not None and not scheme(arguments.data) else None
    if given is not None and not Path(sheet_of(given)[0]).exists():
        raise RequestError(Problem("a file or folder for --data", f"nothing at '{arguments.data}'", "Check the path."))
    # A wrong name is told before anything is written.
    check_spec({"name": folder.absolute().name, "task": task.name, "data": {"source": "sklearn:iris"}})
    source = arguments.data if arguments.data is not None else _toys(task, folder)
    if arguments.data is not None:
        source = located(source, Path.cwd().resolve())
    columns, there = _columns(task, source if arguments.data is not None else None)
    if given is not None:
        source = _seen_from(folder.resolve(), source)
    write_bytes(spec, _text(folder.absolute().name, task, source, columns, there).encode())
    emit(
        arguments,
        {"spec": str(spec), "task": task.name, "source": source},
        f"{spec} is ready: {task.about}",
        next_step(f"lingqu check {shlex.quote(str(spec))}", "once data.columns names your columns")
        if there
        else next_step(f"lingqu run {shlex.quote(str(spec))}"),
    )
    return 0


def _seen_from(folder: Path, source: str) -> str:
    """A path as a spec in this folder names it: relative where both lie in one place, so that they can move together.

    >>> _seen_from(Path("/home/anna/router"), "/home/anna/tickets.csv"), _seen_from(Path("/home/anna/router"), "/data/tickets.csv")
    ('../tickets.csv', '/data/tickets.csv')
    """
    return os.path.relpath(source, folder) if Path(source).is_relative_to(folder.parent) else source


def _columns(task: Task, source: str | None) -> tuple[dict[str, str], list[str]]:
    """Role -> column as far as the names tell it; and the columns that there are, when a role's is for the user to say."""
    from lingqu.data.readers import stream
    from lingqu.data.roles import guess, roles_of

    roles = roles_of(task)
    # What no reader takes is told at once.
    batches = iter(stream(source, 1)) if source is not None else iter(())
    try:
        names = list(next(batches).rows.names) if source is not None else roles
    except (LingquError, StopIteration):
        # What is wrong with the file is for `lingqu check` to say.
        names = roles
    found = {role: guess(role, names, set()) for role in roles}
    return {role: column or role for role, column in found.items()}, [] if all(found.values()) else names


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


def _plain(word: str) -> str:
    """A name as YAML takes it.

    >>> _plain("queue"), _plain("no"), _plain("a: b")
    ('queue', '"no"', '"a: b"')
    """
    safe = re.fullmatch(r"\w+", word) and yaml.safe_load(word) == word
    return word if safe else json.dumps(word, ensure_ascii=False)


def _text(name: str, task: Task, source: str, columns: Mapping[str, str], there: Sequence[str]) -> str:
    """The spec; `there` are the columns to choose from where a name alone did not tell."""
    given = ", ".join(f"{role}: {_plain(column)}" for role, column in columns.items())
    listed = ", ".join(map(_plain, there[:MOST_LISTED])) + ", …" * (len(there) > MOST_LISTED)
    choice = f"  # your columns: {listed}\n" if there else ""
    return (
        f"# {task.about} Every other setting has a default: lingqu check --show\n"
        f"name: {name}\n"
        f"task: {task.name}\n"
        f"data:\n"
        f"  source: {json.dumps(source, ensure_ascii=False)}\n"
        f"{choice}"
        f"  columns: {{{given}}}      # the task's word: the name of your column\n"
        f"size: small                # tiny | small | medium | large\n"
        f"budget: 10 min             # stop climbing the ladder of models\n"
    )
