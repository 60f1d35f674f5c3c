"""Everything that is wrong with a spec, each with its line: expected, found, what to do next.

>>> reading = Reading(file="spec.yaml", lines={("train", "epochs"): 7})
>>> reading.where(("train", "epochs"))
'spec.yaml:7'
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from lingqu.errors import Problem, SpecError, near
from lingqu.spec.names import Known, check_names, check_paths
from lingqu.spec.synonyms import ACCEPTED, TOLD, Place, Renamed
from lingqu.spec.words import Node, descend, options, settings_in, words

# The branches of data.source and model appear in pydantic's places and are no part of the spec.
_TAGS = ("one source", "given splits", "one family", "several families", "one word", "several ways")


def refuse(expected: str, found: str, advice: str = "") -> PydanticCustomError:
    """An error for a validator to raise whose words are given, instead of read off the schema.

    >>> refuse("shares below 1", "0.9 + 0.2").context
    {'expected': 'shares below 1', 'found': '0.9 + 0.2', 'next': ''}
    """
    return PydanticCustomError("told", "told", {"expected": expected, "found": found, "next": advice})


@dataclass
class Reading:
    """One reading of a spec: what is known about names and lines, and every problem so far."""

    known: Known = field(default_factory=Known)
    file: str = ""
    lines: Mapping[Place, int] = field(default_factory=dict)
    refused: Iterable[Place] = ()
    folder: Path | None = None
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    _renamed: Renamed | None = None

    def prepare(self, given: Any) -> Any:
        """The settings in lingqu's words; unknown names and missing files are noted."""
        if not isinstance(given, Mapping):
            return given
        renamed = self._renamed = Renamed(given, self.known.tasks, self.known.roles)
        found = renamed.problems + check_names(renamed.tree, self.known)
        if self.folder is not None:
            found += check_paths(renamed.tree, self.folder)
        for place, problem in found:
            self.note(place, problem)
        return renamed.tree

    def add(self, error: ValidationError, schema: Node) -> None:
        """Note each of pydantic's complaints in our own words."""
        for details in error.errors(include_url=False):
            place = tuple(part for part in details["loc"] if part not in _TAGS)
            self.note(place, told(details, place, schema))

    def note(self, place: Place, problem: Problem) -> None:
        """Keep one problem, at the line of its place as the user wrote it."""
        place = self._renamed.origin(place) if self._renamed else place
        if any(place[: len(refused)] == refused for refused in self.refused):
            return
        located = Problem(problem.expected, problem.found, problem.next, self.where(place))
        self.problems.append((self.line(place), located))

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest group of settings around it."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return 1

    def where(self, place: Place) -> str:
        """File and line of a place; nothing for settings that came from Python."""
        return f"{self.file}:{self.line(place)}" if self.file else ""

    def finish(self) -> None:
        """Raise one SpecError when anything was noted."""
        if self.problems:
            raise self.error()

    def error(self) -> SpecError:
        """All problems in the order of their lines."""
        ordered = [problem for _, problem in sorted(self.problems, key=lambda pair: pair[0])]
        return SpecError(dict.fromkeys(ordered))


def told(details: ErrorDetails, place: Place, schema: Node) -> Problem:
    """One of pydantic's complaints as a problem."""
    setting, kind = dotted(place), details["type"]
    if kind == "told":
        context = details.get("ctx", {})
        return Problem(f"{context['expected']} for {setting}", context["found"], context["next"])
    if kind == "extra_forbidden":
        return _unknown(place, schema)
    if kind == "missing":
        node = descend(schema, place)
        advice = node.get("description", "")
        return Problem(f"the setting {setting}", "nothing", f"Add it: {advice[:1].lower()}{advice[1:]}")
    if not place:
        advice = "Write NAME: VALUE, a line each; lingqu new NAME --task TASK --data FILE makes one."
        return Problem("a spec, which is names with settings", shown(details["input"]), advice)
    node = descend(schema, place)
    expected = words(node, schema)
    advice = _advice(details["input"], expected, options(node, schema)) or _default(node)
    return Problem(f"{expected} for {setting}", shown(details["input"]), advice)


def dotted(place: Place) -> str:
    """A place as people write it.

    >>> dotted(("data", "columns", "label"))
    'data.columns.label'
    """
    return ".".join(str(part) for part in place)


def shown(value: Any) -> str:
    """A value as it should stand in a sentence: short, and as YAML would write it.

    >>> shown(None), shown(True), shown("a" * 80), shown({"a": 1})
    ('nothing', 'true', "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…'", 'a group of settings')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "…")
    if isinstance(value, Mapping):
        return "a group of settings"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    return str(value)[:60]


def _advice(value: Any, expected: str, choices: list[str]) -> str:
    if isinstance(value, str):
        return TOLD.get(value) or (near(value, choices, say="") if choices else "")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "Put it in quotes." if is_number and expected.startswith(("a name ", "the name ")) else ""


def _default(node: Node) -> str:
    """What to do with a value that is wrong where nothing near it is right: a setting with a default may be left out.

    >>> _default({"default": "10 min"}), _default({"default": None}), _default({})
    ('Correct it; left out, it is 10 min.', 'Correct it, or leave it out.', 'Correct it.')
    """
    if "default" not in node:
        return "Correct it."
    default = node["default"]
    plain = isinstance(default, str | int | float) and default != ""
    value = default if isinstance(default, str) else json.dumps(default)
    return f"Correct it; left out, it is {value}." if plain else "Correct it, or leave it out."


def _unknown(place: Place, schema: Node) -> Problem:
    parent, word = place[:-1], str(place[-1])
    expected = f"a setting of {dotted(parent)}" if parent else "a setting of the spec"
    return Problem(expected, repr(word), _right_word(word, parent, schema))


def _right_word(word: str, parent: Place, schema: Node) -> str:
    """The nearest setting here, or what lingqu calls it, or where it belongs."""
    known = settings_in(schema, parent)
    advice = TOLD.get(dotted((*parent, word))) or near(word, known, say="") or TOLD.get(word)
    if advice:
        return advice
    for section in ("", "data", "train", "compress", "serve", "improve", "data.split"):
        inner = tuple(section.split(".")) if section else ()
        right = ACCEPTED.get(section, {}).get(word, word)
        if inner != parent and right in settings_in(schema, inner):
            return f"lingqu calls it {dotted((*inner, right))}."
    return near(word, known)
