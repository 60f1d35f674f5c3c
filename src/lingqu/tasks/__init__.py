"""One file per task, found by name.

Ours are a closed table; a team's own arrive by the entry point group `lingqu.tasks`, whose entries name a Task class.
Nothing here is imported before it is asked for, so one broken task breaks itself alone: whoever asks for it is told which
package it is from and what is wrong with it.

>>> find_task("text-classification").decide_by
'f1'
>>> find_task("text-clasification")
Traceback (most recent call last):
    ...
lingqu.errors.UnknownNameError: Expected a task that lingqu knows, found 'text-clasification'. Did you mean 'text-classification'?
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lingqu.contract import Task
from lingqu.contract.outside import installed
from lingqu.errors import Problem, UnknownNameError, near

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "lingqu.tasks"
OURS = {
    "text-classification": "lingqu.tasks.text_classification:TextClassification",
    "multi-label-text-classification": "lingqu.tasks.multi_label_text_classification:MultiLabelTextClassification",
    "image-classification": "lingqu.tasks.image_classification:ImageClassification",
    "tabular-classification": "lingqu.tasks.tabular_classification:TabularClassification",
    "tabular-regression": "lingqu.tasks.tabular_regression:TabularRegression",
}


def task_names() -> list[str]:
    """The names of all tasks, ours first, then those of installed packages."""
    theirs = sorted(entry.name for entry in installed(GROUP))
    return list(dict.fromkeys([*OURS, *theirs]))


def find_task(name: str) -> Task:
    """The task of that name; UnknownNameError with the nearest right name, or with what is wrong with a package's task.

    Ours cannot be replaced.
    """
    if name in OURS:
        module, attribute = OURS[name].split(":")
        return getattr(import_module(module), attribute)()
    for entry in installed(GROUP).select(name=name):
        return _theirs(entry)
    raise UnknownNameError(Problem("a task that lingqu knows", f"'{name}'", near(name, task_names())))


def is_ours(task: Task) -> bool:
    """Whether this code came with lingqu, and not with another package.

    >>> is_ours(find_task("text-classification"))
    True
    """
    return type(task).__module__.startswith("lingqu.tasks.")


def _theirs(entry: EntryPoint) -> Task:
    try:
        kind = entry.load()
        task = kind() if isinstance(kind, type) and issubclass(kind, Task) else None
    except Exception as error:
        # A module of somebody else's may fail in any way while it is imported; the cause stays in the chain.
        raise _broken(entry, f"{type(error).__name__}: {error}") from error
    if task is None:
        raise _broken(entry, f"no class derived from lingqu.contract.Task but {_called(kind)}")
    if getattr(task, "name", None) != entry.name:
        raise _broken(entry, f"one whose name is {getattr(task, 'name', None)!r}")
    return task


def _broken(entry: EntryPoint, found: str) -> UnknownNameError:
    package = entry.dist.name if entry.dist is not None else "an unnamed package"
    expected = f"the task '{entry.name}' at {entry.value} in the package {package}"
    advice = f"Mend its entry point or its code, or remove it: pip uninstall {package}"
    return UnknownNameError(Problem(expected, found, advice))


def _called(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a value of type {type(value).__name__}"
