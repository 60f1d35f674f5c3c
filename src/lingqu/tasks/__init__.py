"""One file per task, found by name.

Ours are a closed table; a team's own arrive by the entry point group `lingqu.tasks`, whose entries name a Task class.
Nothing here is imported before it is asked for, so one broken task breaks itself alone.

>>> find_task("text-classification").decide_by
'f1'
>>> find_task("text-clasification")
Traceback (most recent call last):
    ...
lingqu.errors.UnknownNameError: Expected a task that lingqu knows, found 'text-clasification'. Did you mean 'text-classification'?
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from lingqu.contract import Task
from lingqu.errors import Problem, UnknownNameError, near

OURS = {
    "text-classification": "lingqu.tasks.text_classification:TextClassification",
    "image-classification": "lingqu.tasks.image_classification:ImageClassification",
    "tabular-classification": "lingqu.tasks.tabular_classification:TabularClassification",
    "tabular-regression": "lingqu.tasks.tabular_regression:TabularRegression",
}


def task_names() -> list[str]:
    """The names of all tasks, ours first, then those of installed packages."""
    theirs = sorted(entry.name for entry in entry_points(group="lingqu.tasks"))
    return list(dict.fromkeys([*OURS, *theirs]))


def find_task(name: str) -> Task:
    """The task of that name; UnknownNameError with the nearest right name otherwise. Ours cannot be replaced."""
    if name in OURS:
        module, attribute = OURS[name].split(":")
        return getattr(import_module(module), attribute)()
    for entry in entry_points(group="lingqu.tasks", name=name):
        return entry.load()()
    raise UnknownNameError(Problem("a task that lingqu knows", f"'{name}'", near(name, task_names())))
