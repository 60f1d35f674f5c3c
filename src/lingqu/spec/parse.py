r"""YAML as far as a spec needs it, with the line of every key.

Only the scanner and parser of PyYAML are used, which give events and build nothing. What is left out on purpose: tags (they
name types to construct), anchors and aliases (they make bombs and cycles), more than one document, and the words
yes, no, on and off as truth values (they turn Norway's `no` into false). A plain scalar is read as in YAML 1.2.

>>> parsed = parse("name: a\ntrain:\n  epochs: 3\n")
>>> parsed.value, parsed.lines["train", "epochs"]
({'name': 'a', 'train': {'epochs': 3}}, 3)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from lingqu.errors import Problem

Place = tuple[str | int, ...]

DEEPEST = 20
LONGEST = 262_144

_FULL_WIDTH = {
    "：": ":",
    "，": ",",
    "｛": "{",
    "｝": "}",
    "［": "[",
    "］": "]",
    "＃": "#",
    "“": '"',
    "”": '"',
    "\u3000": "a space",
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass(slots=True)
class Parsed:
    """A document as plain values, the line of each place in it, and what was wrong with its form.

    >>> Parsed({"a": 1}, {("a",): 1}).value
    {'a': 1}
    """

    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    refused: set[Place] = field(default_factory=set)


class _UnreadableError(Exception):
    def __init__(self, line: int, problem: Problem) -> None:
        self.line, self.problem = line, problem


def parse(text: str) -> Parsed:
    r"""The one document in this text; never raises, what is wrong is in `.problems` with its line.

    >>> str(parse("a: 1\na: 2").problems[0][1])
    "Expected each name once, found 'a' again (first on line 1). Keep one of them."
    """
    parsed = Parsed()
    if len(text) > LONGEST:
        advice = "Is it your data? Then: lingqu new NAME --task TASK --data FILE"
        parsed.problems.append((1, Problem(f"a spec of at most {LONGEST:,} characters", f"{len(text):,}", advice)))
        parsed.refused.add(())
        return parsed
    try:
        _Builder(text, parsed).document()
    except _UnreadableError as stop:
        parsed.problems.append((stop.line, stop.problem))
        parsed.refused.add(())
    except yaml.YAMLError as error:
        parsed.problems.append(_unreadable(error, text))
        parsed.refused.add(())
    return parsed


class _Builder:
    """Turns events into values. Depth is limited before Python's own stack could notice."""

    def __init__(self, text: str, parsed: Parsed) -> None:
        self.events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
        self.parsed = parsed

    def document(self) -> None:
        next(self.events)
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return
        self.parsed.value = self.node(next(self.events), ())
        next(self.events)
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            problem = Problem("one YAML document", "a second one", "Remove the line --- and what follows.")
            raise _UnreadableError(_line(event), problem)

    def node(self, event: Any, place: Place) -> Any:
        self.parsed.lines.setdefault(place, _line(event))
        if len(place) > DEEPEST:
            raise _UnreadableError(_line(event), Problem(f"at most {DEEPEST} levels", "more", "A spec needs four."))
        self.check_form(event, place)
        if isinstance(event, yaml.ScalarEvent):
            return scalar(event.value) if event.implicit[0] else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(place)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(place)
        return None

    def check_form(self, event: Any, place: Place) -> None:
        problem = None
        if isinstance(event, yaml.AliasEvent):
            problem = Problem("the value itself", f"the alias *{event.anchor}", "A spec has no anchors; write it out.")
        elif event.anchor is not None:
            problem = Problem("the value itself", f"the anchor &{event.anchor}", "A spec has no anchors; write it out.")
        elif event.tag is not None:
            problem = Problem("a plain value", f"the tag {event.tag!r}", "A spec names no types; remove the tag.")
        if problem is not None:
            self.parsed.problems.append((_line(event), problem))
            self.parsed.refused.add(place)

    def sequence(self, place: Place) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            values.append(self.node(event, (*place, len(values))))
        return values

    def mapping(self, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                advice = "Write NAME: VALUE."
                raise _UnreadableError(_line(event), Problem("a name before the colon", "something else", advice))
            # Keys are names, so their text is kept: a column may be called 1 or no.
            key, line = event.value, _line(event)
            inner = (*place, key)
            self.check_form(event, inner)
            if key in values:
                first = self.parsed.lines[inner]
                found = f"{key!r} again (first on line {first})"
                self.parsed.problems.append((line, Problem("each name once", found, "Keep one of them.")))
                # Read past the second value without letting it replace the first.
                self.node(next(self.events), (*place, f"{key} (again on line {line})"))
                continue
            self.parsed.lines[inner] = line
            values[key] = self.node(next(self.events), inner)
        return values


def scalar(text: str) -> Any:
    """The value of a plain scalar: nothing, a truth value, a number, or its text.

    >>> [scalar(text) for text in ("1e-3", "12", "no", "true", "~", "1_000")]
    [0.001, 12, 'no', True, None, '1_000']
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _full_width(wide: str) -> Problem:
    r"""What YAML does not read as the sign that it looks like.

    >>> print(_full_width("："))
    Expected ':' as on an English keyboard, found '：'. Type it in half width, with a space behind it.
    """
    plain = _FULL_WIDTH[wide]
    behind = ", with a space behind it" if plain in ":," else ""
    shown = plain if len(plain) > 1 else f"'{plain}'"
    return Problem(f"{shown} as on an English keyboard", f"'{wide}'", f"Type it in half width{behind}.")


def _line(event: Any) -> int:
    return event.start_mark.line + 1


def _unreadable(error: yaml.YAMLError, text: str) -> tuple[int, Problem]:
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark or error.context_mark):
        said = ", ".join(part for part in (error.context, error.problem) if part)
        if "\\t" in said:
            return mark.line + 1, Problem("spaces", "a tab", "Put spaces in its place: YAML takes no tabs there.")
        for place in filter(None, (error.context_mark, error.problem_mark)):
            line = "".join(text.splitlines()[place.line : place.line + 1])
            if wide := next((character for character in line.partition("#")[0] if character in _FULL_WIDTH), None):
                return place.line + 1, _full_width(wide)
        return mark.line + 1, Problem("YAML", said, "Check indentation, colons, quotes and brackets here.")
    position = getattr(error, "position", 0)
    code = getattr(error, "character", 0)
    found = f"the character U+{code if isinstance(code, int) else ord(code):04X}"
    return text.count("\n", 0, position) + 1, Problem("text without control characters", found, "Remove it.")
