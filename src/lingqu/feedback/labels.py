"""Labels as files and people spell them: read as the right answers of a model, or refused.

Who does not know writes "-" or "n/a", and no model shall learn that as a class, or be judged by it. A class that is
really called so stays possible: one among the labels that the model knows is always a label.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lingqu.contract import JOINT
from lingqu.data.values import CONVERT, MISSING, CellFault, shown
from lingqu.errors import LingquError
from lingqu.registry import Registry
from lingqu.serve.journal import spell
from lingqu.store import Store
from lingqu.tasks import find_task

MOST_TOLD = 5
"""So many faults of a file of labels are told."""

_ANSWERS = {"label-scores": "label", "label-set": "labels", "number-value": "number"}
"""The kind of column that holds the right answers to answers of each kind."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What kind of right answer a model has, and the labels it knows."""

    kind: str = "label"
    known: frozenset[str] = frozenset()
    columns: tuple[str, ...] = ("label",)
    """How the column of the right answer may be called in a file: as in the user's rows, as in the task, as in the queue."""
    inputs: frozenset[str] = frozenset()
    """The columns of a request."""
    pictures: tuple[tuple[str, str], ...] = ()
    """Those of them that hold pictures: as in the user's rows, as in the task."""

    def column(self, names: Collection[str], *, by_answer: bool) -> str:
        """The column of the right answer in a file with columns of these names; the user's own name of it where there is none.

        The queue spells a column of a request otherwise if it is called so too; a file of rows holds it under its name.
        """
        taken = () if by_answer else self.inputs
        return next((name for name in self.columns if name in names and name not in taken), self.columns[0])


def wanted(store: Store, name: str) -> Wanted:
    """What labels of this model are, by its newest version; without one, names of classes; "" where nobody knows."""
    versions = Registry(store).versions(name)
    if not versions:
        return Wanted()
    version = versions[-1]
    report = version.lineage.get("report")
    data = store.get_json(report).get("data", {}) if report else {}
    # Columns that were found by their names are told by the data alone.
    named = {**(version.spec.get("data", {}).get("columns") or {}), **data.get("columns", {})}
    kind, role = "", "label"
    # Where the package of a task is gone, answers still say what their labels are, and whoever learns from them complains.
    with suppress(LingquError):
        kind, role = (target := find_task(version.task).target).kind, target.name
    kinds = [(str(named.get(name, name)), name, held) for name, held in _pairs(data.get("kinds", ())) if name != role]
    inputs = frozenset(source for source, _, _ in kinds)
    pictures = tuple((source, name) for source, name, held in kinds if held == "image")
    columns = dict.fromkeys((str(named.get(role, role)), role, "label"))
    return Wanted(kind, frozenset(data.get("labels", ())), tuple(columns), inputs, pictures)


def _pairs(kinds: Any) -> list[Any]:
    """The columns of a data version, today or when they were still a mapping."""
    return [*kinds.items()] if isinstance(kinds, Mapping) else [*kinds]


def label_for(answer: Mapping[str, Any], given: Any, asked: Wanted | None = None) -> Any:
    """A label as feedback on this answer is kept, however a file or a person spells it; CellFault for what is none.

    >>> label_for({"kind": "number-value"}, "1e-05"), label_for({"kind": "label-scores"}, "1e-05")
    (1e-05, '1e-05')
    """
    asked = asked or Wanted()
    kind = _ANSWERS.get(answer.get("kind", ""), asked.kind)
    return right_answer(kind, given, {*asked.known, *answer.get("scores", ())})


def right_answer(kind: str, given: Any, known: Collection[str] = ()) -> Any:
    """A right answer of this kind as rows that train hold it; CellFault for what is none.

    No label at all is an empty list, and never an empty cell, which nobody has filled in.

    >>> right_answer("label", " food "), right_answer("labels", "b; a"), right_answer("labels", "[]"), right_answer("number", "1,234.5")
    ('food', 'a|b', '', 1234.5)
    >>> right_answer("label", "n/a", known={"n/a", "food"})
    'n/a'
    >>> right_answer("label", "n/a")
    Traceback (most recent call last):
    lingqu.data.values.CellFault: 'n/a'
    """
    if kind not in CONVERT or (kind == "label" and given in known):
        return given
    cell = spell(given) if kind == "labels" and isinstance(given, list) else given
    try:
        value = CONVERT[kind](cell)
    except CellFault:
        value = None
    if value is None or not _names(kind, value, str(cell), known):
        raise CellFault(shown(given))
    return value


def _names(kind: str, value: Any, cell: str, known: Collection[str]) -> bool:
    """Whether each name of a label is one; where it is no name of a class, there is nothing to ask."""
    if kind not in ("label", "labels"):
        return True
    if value == "":
        return cell.lstrip().startswith("[")
    names = str(value).split(JOINT) if kind == "labels" else [str(value)]
    return all(name in known or name.lower() not in MISSING for name in names)


def cell_of(said: Any) -> Any:
    """What was answered or said as a cell shows it: an empty one would be nothing, so no label at all is an empty list.

    >>> cell_of(""), cell_of("a|b"), cell_of(3.5)
    ('[]', 'a|b', 3.5)
    """
    return "[]" if said == "" else said


def strange_of(asked: Wanted, given: Iterable[Any]) -> tuple[str, ...]:
    """The labels within these right answers that no row of the model has had; none where nobody knows which it has.

    >>> strange_of(Wanted("labels", frozenset("ab")), ["a|c", ""]), strange_of(Wanted("label"), ["c"])
    (('c',), ())
    """
    if asked.kind not in ("label", "labels") or not asked.known:
        return ()
    cells = {str(one) for one in given}
    if asked.kind == "label":
        return tuple(sorted(cells - asked.known))
    return tuple(sorted({name for cell in cells for name in unknown_of(cell, asked.known)}))


def unknown_of(cell: str, known: Collection[str]) -> list[str]:
    """The labels of a set that are not among those that are known.

    >>> unknown_of("a|b", {"a"}), unknown_of("", {"a"})
    (['b'], [])
    """
    return [name for name in cell.split(JOINT) if name and name not in known]
