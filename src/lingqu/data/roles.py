"""Which column of the data plays which role of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lingqu.contract import Task
from lingqu.errors import DataError, Problem, near

OTHER_NAMES = {
    "text": ("sentence", "review", "content", "comment", "message", "body", "文本", "内容", "评论"),
    "image": ("img", "picture", "photo", "file", "path", "filename", "图片", "图像"),
    "label": ("labels", "target", "class", "category", "y", "标签", "类别"),
    "labels": ("label", "tags", "topics", "classes", "categories", "标签", "类别"),
    "target": ("label", "y", "value", "目标"),
}
"""Names that a column of a role often has, looked for when the spec does not name it."""

ORIGINAL = " (original)"


def roles_of(task: Task) -> list[str]:
    """The roles that a task gives to columns, its target last; features keep their own names and are none.

    >>> from lingqu.tasks import find_task
    >>> roles_of(find_task("text-classification"))
    ['text', 'label']
    """
    return [column.name for column in task.columns if column.kind != "features"] + [task.target.name]


def find_roles(task: Task, given: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The source column of each role; DataError with every role that has none and every word that is none.

    >>> from lingqu.tasks import find_task
    >>> find_roles(find_task("text-classification"), {"label": "stars"}, ["Review", "stars"])
    {'text': 'Review', 'label': 'stars'}
    """
    roles = roles_of(task)
    problems = [
        Problem(f"a column that {task.name} has", repr(role), near(role, roles)) for role in given if role not in roles
    ]
    problems += [
        Problem(f"the column {given[role]!r} for {role}", _listed(names), near(given[role], names))
        for role in roles
        if role in given and given[role] not in names
    ]
    found = {role: given.get(role) or guess(role, names, set(given.values())) for role in roles}
    problems += [
        Problem(f"a column for {role}", _listed(names), f"Name it: data: {{columns: {{{role}: NAME}}}}.")
        for role, column in found.items()
        if not column
    ]
    if problems:
        raise DataError(problems)
    return {role: column for role, column in found.items() if column}


def guess(role: str, names: Sequence[str], taken: set[str]) -> str | None:
    """The column that plays a role by its name alone, of those that are not taken; None when none does, or several.

    >>> guess("text", ["id", "Message"], set()), guess("label", ["id", "queue"], set())
    ('Message', None)
    """
    free = {name.strip().lower(): name for name in reversed(names) if name not in taken}
    if role in names and role not in taken:
        return role
    if role in free:
        return free[role]
    others = [free[word] for word in OTHER_NAMES.get(role, ()) if word in free]
    return others[0] if len(others) == 1 else None


def _listed(names: Sequence[str]) -> str:
    some = ", ".join(map(repr, names[:12]))
    return f"the columns {some}" + (f" and {len(names) - 12} more" if len(names) > 12 else "") if names else "no column"


def new_names(roles: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Source column -> the name it has inside lingqu: its role, or its own, which gives way when a role has that name.

    >>> new_names({"label": "stars"}, ["label", "stars", "x"])
    {'label': 'label (original)', 'stars': 'label', 'x': 'x'}
    """
    by_column = {column: role for role, column in roles.items()}
    return {name: by_column.get(name) or (name + ORIGINAL if name in roles else name) for name in names}


def check_named(names: Sequence[str], named: Mapping[str, str]) -> list[Problem]:
    """What is wrong with columns that settings name, {setting: column}.

    >>> print(check_named(["day"], {"data.time": "dya"})[0])
    Expected the column 'dya' for data.time, found the columns 'day'. Did you mean 'day'?
    """
    return [
        Problem(f"the column {column!r} for {setting}", _listed(names), near(column, names))
        for setting, column in named.items()
        if column not in names
    ]
