"""A first look at the data of a spec file: every problem of it, each with the line of the setting that it is about.

>>> lines = {("data",): 3, ("data", "columns", "text"): 5}
>>> line_of(Problem("the column 'mesage' for text", "the columns 'message'"), ["text", "label"], lines)
5
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.contract import Task
from lingqu.data.roles import roles_of
from lingqu.errors import DataError, LingquError, Problem
from lingqu.spec.parse import parse
from lingqu.spec.read import load_spec
from lingqu.spec.settings import DataSettings, Spec
from lingqu.spec.synonyms import Renamed

if TYPE_CHECKING:
    from lingqu.data.ingest import Examined, Preview

Lines = Mapping[tuple[str | int, ...], int]
_SETTING = re.compile(r"\bdata((?:\.[a-z_]+)+)")


def look(settings: DataSettings, task: Task, file: str | Path | None = None) -> Preview:
    """What `ingest` would read; DataError with every problem, and its line when the spec is a file."""
    from lingqu.data.ingest import preview

    with telling_lines(task, file):
        return preview(settings, task)


def look_closely(settings: DataSettings, task: Task, file: str | Path | None = None) -> Examined:
    """The same with the profile of the rows in their splits."""
    from lingqu.data.ingest import examine

    with telling_lines(task, file):
        return examine(settings, task)


@contextmanager
def telling_lines(task: Task, file: str | Path | None) -> Iterator[None]:
    """Data problems from inside get the line of the setting that each is about, when the spec is a file."""
    try:
        yield
    except DataError as error:
        raise DataError(located(error.problems, task, file)) from None


def located(problems: Sequence[Problem], task: Task, file: str | Path | None) -> list[Problem]:
    """The problems with the line of the setting that each is about; those that say where they are stay as they are."""
    if file is None:
        return list(problems)
    lines = parse(Path(file).read_text("utf-8-sig")).lines
    found = []
    for problem in problems:
        line = line_of(problem, roles_of(task), lines)
        where = problem.where or (f"{file}:{line}" if line else "")
        found.append(Problem(problem.expected, problem.found, problem.next, where))
    return found


def line_of(problem: Problem, roles: Sequence[str], lines: Lines) -> int:
    """The line of the setting that a problem is about: one that it names, a role's column, or the data section."""
    places: list[tuple[str, ...]] = []
    for setting in _SETTING.findall(f"{problem.expected} {problem.next}"):
        places.append(("data", *setting.strip(".").split(".")))
    places += [("data", "columns", role) for role in roles if problem.expected.endswith(f" for {role}")]
    return next((lines[place] for place in (*places, ("data", "source"), ("data",)) if place in lines), 0)


def task_named(spec: str | Path | Mapping[str, Any] | Spec, tasks: Sequence[str]) -> str:
    r"""The task that a spec asks for, as far as the spec can be read; nothing where it names none.

    >>> task_named("task: Mine\nname: [", ["mine"]), task_named({"pipeline_tag": "mine"}, ["mine"])
    ('', 'mine')
    """
    if isinstance(spec, Spec):
        return spec.task
    try:
        written = spec if isinstance(spec, Mapping) else parse(_text(spec)).value
    except (OSError, UnicodeDecodeError):
        return ""
    task = Renamed(written, tasks).tree.get("task") if isinstance(written, Mapping) else None
    return task if isinstance(task, str) else ""


def _text(spec: str | Path) -> str:
    return spec if isinstance(spec, str) and "\n" in spec else Path(spec).read_text("utf-8-sig")


def problems_beside(file: str | Path, task: Task) -> list[Problem]:
    """The data problems of a spec file that has problems of its own, as far as its data can be read."""
    try:
        written = parse(Path(file).read_text("utf-8-sig")).value
        kept: dict[str, Any] = {key: written[key] for key in ("name", "task", "data") if key in written}
        spec = load_spec({"name": "unnamed", **kept}, tasks=[task.name], folder=Path(file).absolute().parent)
        look(spec.located_data(), task, file)
    except DataError as error:
        return list(error.problems)
    except (LingquError, OSError, TypeError, UnicodeDecodeError):
        # The task or the data section is itself what is wrong, and the spec's own problems say so.
        return []
    return []
