"""Names and paths in a spec that must mean something: tasks, roles of columns, metrics, model families, files.

The tables of names belong to layers above, so they are handed in; a name without a table is left to who uses it.

>>> known = Known.of(tasks=["text-classification"])
>>> [str(problem) for _, problem in check_names({"task": "text-clasification"}, known)]
["Expected a task that lingqu knows, found 'text-clasification'. Did you mean 'text-classification'?"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lingqu.errors import Problem, near
from lingqu.spec.addresses import fault, scheme, sheet_of
from lingqu.spec.synonyms import TOLD, Place

SPLITS = ("train", "validation", "test")
HUB_ID = re.compile(r"[\w\-][\w\-.]{0,95}/[\w\-][\w\-.]{0,95}(@[\w\-.]{1,96})?", re.ASCII)
"""How a model of the Hugging Face Hub is written: owner/name, and the commit behind an @."""
_GATES = ("latency_p95", "size", "slices", "margin", "alpha")


@dataclass(frozen=True)
class Known:
    """The names that exist; an empty table means that its names are not checked here.

    >>> Known.of(tasks={"mine": ["text", "label"]}).roles
    {'mine': ('text', 'label')}
    """

    tasks: tuple[str, ...] = ()
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        tasks: Iterable[str] | Mapping[str, Iterable[str]] | None = None,
        metrics: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
    ) -> Known:
        """Tables from whatever the layers above have; `tasks` may map each name to the roles of its columns."""
        given = tasks.items() if isinstance(tasks, Mapping) else ()
        # A table of name -> "module:class" is a table of names; its text is no list of roles.
        roles = {name: tuple(columns) for name, columns in given if not isinstance(columns, str)}
        return cls(tuple(tasks or ()), roles, tuple(metrics or ()), tuple(models or ()))


def check_names(tree: Mapping[str, Any], known: Known) -> list[tuple[Place, Problem]]:
    """A problem for each name that nothing answers to; values of a wrong type are left to the schema."""
    return [
        *_tasks(tree, known),
        *_models(tree, known),
        *_student(tree, known),
        *_columns(tree, known),
        *_metrics(tree, known),
    ]


def check_paths(tree: Mapping[str, Any], folder: Path) -> list[tuple[Place, Problem]]:
    """A problem for each source or encoder that is not there."""
    data, encoders = tree.get("data"), [_encoder(place, name, folder) for place, name in _asked(tree)]
    if not isinstance(data, Mapping):
        return [one for one in encoders if one is not None]
    source, root, unlabelled = data.get("source"), data.get("root"), _distil(tree).get("unlabelled")
    given = [(split, source.get(split)) for split in SPLITS] if isinstance(source, Mapping) else [(None, source)]
    found = encoders + [_source(("data", "source", *([split] if split else [])), text, folder) for split, text in given]
    found.append(_source(("compress", "distil", "unlabelled"), unlabelled, folder))
    if isinstance(root, str) and _readable(root) and not (folder / root).is_dir():
        problem = Problem("a folder for data.root", _missing(root), f"It is looked for in {folder}.")
        found.append((("data", "root"), problem))
    return [one for one in found if one is not None]


def _encoder(place: Place, name: Any, folder: Path) -> tuple[Place, Problem] | None:
    """A pretrained model that is neither a folder nor what could be a Hub id."""
    if not isinstance(name, str) or not looks_pretrained(name) or "\0" in name or HUB_ID.fullmatch(name):
        return None
    path = folder / Path(name).expanduser()
    if path.is_dir():
        return None
    advice = f"A folder is looked for in {folder}; a model of the Hub is written owner/name@commit."
    return place, Problem("the folder of a pretrained model, or its Hub id", _missing(name), advice)


def _tasks(tree: Mapping[str, Any], known: Known) -> Iterable[tuple[Place, Problem]]:
    task = tree.get("task")
    if isinstance(task, str) and task and known.tasks and task not in known.tasks:
        yield ("task",), Problem("a task that lingqu knows", repr(task), TOLD.get(task) or near(task, known.tasks))


def looks_pretrained(name: str) -> bool:
    """Whether a model is meant as a pretrained encoder, by its Hub id or folder, and not as a family.

    >>> looks_pretrained("sentence-transformers/all-MiniLM-L6-v2"), looks_pretrained("./mine"), looks_pretrained("bilstm")
    (True, True, False)
    """
    return "/" in name or name.startswith((".", "~"))


def _models(tree: Mapping[str, Any], known: Known) -> Iterable[tuple[Place, Problem]]:
    for place, name in _asked(tree):
        if not isinstance(name, str) or not name or not known.models or looks_pretrained(name):
            continue
        if name not in ("auto", *known.models):
            yield place, Problem("a model family that lingqu knows", repr(name), near(name, ["auto", *known.models]))


def _asked(tree: Mapping[str, Any]) -> list[tuple[Place, Any]]:
    """What stands under model, each with its place."""
    model = tree.get("model")
    return [(("model", i), name) for i, name in enumerate(model)] if isinstance(model, list) else [(("model",), model)]


def _student(tree: Mapping[str, Any], known: Known) -> Iterable[tuple[Place, Problem]]:
    name = _distil(tree).get("into")
    if isinstance(name, str) and name and known.models and name not in known.models:
        problem = Problem("a model family that lingqu knows", repr(name), near(name, known.models))
        yield ("compress", "distil", "into"), problem


def _distil(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    compress = tree.get("compress")
    found = compress.get("distil") if isinstance(compress, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _columns(tree: Mapping[str, Any], known: Known) -> Iterable[tuple[Place, Problem]]:
    task, data = tree.get("task"), tree.get("data")
    columns = data.get("columns") if isinstance(data, Mapping) else None
    if not isinstance(columns, Mapping) or not isinstance(task, str) or task not in known.roles:
        return
    for role in columns:
        if role not in known.roles[task]:
            problem = Problem(f"a column that {task} has", repr(role), near(role, known.roles[task]))
            yield ("data", "columns", role), problem


def _metrics(tree: Mapping[str, Any], known: Known) -> Iterable[tuple[Place, Problem]]:
    gates = tree.get("gates")
    if not isinstance(gates, Mapping) or not known.metrics:
        return
    slices = gates.get("slices")
    sliced = slices.items() if isinstance(slices, Mapping) else ()
    for name in gates:
        if name not in known.metrics and name not in _GATES:
            advice = near(name, [*known.metrics, *_GATES])
            yield ("gates", name), Problem("a metric or a setting of gates", repr(name), advice)
    for column, limits in sliced:
        for name in limits if isinstance(limits, Mapping) else ():
            if name not in known.metrics:
                place = ("gates", "slices", column, name)
                yield place, Problem("a metric that lingqu knows", repr(name), near(name, known.metrics))


def _source(place: Place, text: Any, folder: Path) -> tuple[Place, Problem] | None:
    if not _readable(text):
        return None
    setting = ".".join(str(part) for part in place)
    if scheme(text):
        problem = fault(text)
        if problem is None:
            return None
        return place, Problem(f"{problem.expected} for {setting}", problem.found, problem.next)
    text = sheet_of(text)[0]
    if _exists(folder / text):
        return None
    return place, Problem(f"a file or folder for {setting}", _missing(text), _where_to_look(text, folder))


def _readable(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip()) and "\0" not in text


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        # A name too long for the file system is a file that is not there.
        return False


def _missing(text: str) -> str:
    return f"nothing at {text[:200]!r}"


def _where_to_look(text: str, folder: Path) -> str:
    if text.startswith("~") or any(mark in text for mark in ("${", "$(", "{{")):
        return "Nothing is replaced in a spec: write the path itself."
    looked = (folder / text).parent
    try:
        # A link that leads nowhere is no name to give.
        beside = [entry.name for entry in looked.iterdir() if _exists(entry)] if looked.is_dir() else []
    except OSError:
        beside = []
    return near(Path(text).name, beside, say="") or f"It is looked for in {folder}."
