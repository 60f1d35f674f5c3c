"""What is to be forgotten, in the clear: only while the command runs, and never written down.

>>> wanted = Wanted(("anna@example.org",), None, bytes(32))
>>> wanted.cleared({"said": ["mail Anna@Example.org!", 7]})
{'said': ['mail [forgotten]!', 7]}
>>> wanted.in_bytes(b"ANNA@example.org"), wanted.in_bytes(b"joanna@example.org")
(True, False)
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from functools import cached_property
from typing import Any

from lingqu.data.forgotten import Rule, Rules, alone, forms, kept_as, normal, spelled, telling
from lingqu.data.quarantine import CUT, RAW_CAP

GONE = "[forgotten]"
CUT_LEAST = 4
"""So many letters of a name at the end of a text that was cut are taken for its beginning; of Chinese, two signs."""
_RANGES = frozenset(("low", "median", "high", "mean", "from", "to", "values", "common", "what"))
_COLUMN = frozenset(("name", "column", "kind"))
"""Beside what belongs to a column one of these stands; beside an interval of something measured, its value."""
_BESIDE = frozenset(("name", "source", "column"))
"""Under these names stands the column that the values beside them are of."""
_VALUES = frozenset(("values", "common", "slice", "what", "value"))
_LOWER = frozenset(("low", "from"))
_UPPER = frozenset(("high", "to"))
_ESCAPED = re.compile(r"(?:\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}))+")
_MOST_STEPS = 100
_DEPTH = 3
"""So often a text is unescaped in another."""
TOKENIZER = "tokenizer"
"""Under this name a bundle's memory holds a tokenizer, spelled as JSON."""


class Wanted:
    """Texts, or values of one column; `rules` is what the store remembers of them.

    `known` are the columns of the data versions, role by source: the user may name either, and files know the source alone.
    """

    def __init__(
        self, texts: tuple[str, ...], column: str | None, secret: bytes, known: Iterable[Mapping[str, str]] = ()
    ) -> None:
        self.texts, self.column = texts, column
        listed = [*known]
        sources = {column, *(told[column] for told in listed if column is not None and column in told)}
        roles = {role for told in listed for role, source in told.items() if source in sources}
        self.columns = frozenset(name for name in sources | roles if name is not None)
        ways = texts if column is None else tuple(dict.fromkeys(way for text in texts for way in (text, kept_as(text))))
        named = [(way, name) for way in ways for name in sorted(sources, key=str)]
        self.rules = Rules([Rule.of(way, secret, column=name) for way, name in named], secret)
        self._everywhere = [way for way in ways if column is None or telling(way)]
        self._short = [way for way in ways if way not in self._everywhere]
        self.everywhere = Rules([Rule.of(text, secret) for text in self._everywhere], secret)
        self._ones = frozenset(map(normal, ways))
        self._pattern = _pattern(self._everywhere)
        self._slices = _slices(self._short, self.columns)
        self._normal = [*dict.fromkeys(map(normal, self._everywhere))]
        self._keep: frozenset[str] = frozenset()

    def keeping(self, labels: Collection[str]) -> Wanted:
        """The same, with these texts left as they are: a model's labels are its answers, and no person's."""
        other = copy(self)
        other._keep = frozenset(labels)
        return other

    def in_value(self, value: Any) -> bool:
        """Whether a JSON value holds it anywhere."""
        if isinstance(value, Mapping):
            return any(self.in_value(name) or self.in_value(inner) for name, inner in value.items())
        if isinstance(value, list | tuple):
            return any(map(self.in_value, value))
        return bool(text := spelled(value)) and self._stands_in(text)

    def in_record(self, value: Any, *, of_rows: bool = False) -> bool:
        """Whether a JSON value holds it as a text, or as a number of rows, as `cleared` tells them apart."""
        if isinstance(value, Mapping):
            said = self._said(value)
            return any(
                self.in_value(name)
                or (name in said and self._names(inner) != inner)
                or self.in_record(inner, of_rows=_of_rows(name, value))
                for name, inner in value.items()
            )
        if isinstance(value, list | tuple):
            return any(self.in_record(inner, of_rows=of_rows) for inner in value)
        if isinstance(value, str):
            return self.in_value(value) or (self._slices is not None and self._slices.search(value) is not None)
        return of_rows and self.in_value(value)

    def in_cells(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of the journal holds it: a text in any cell, or a value in the column."""
        if self.column is None:
            return self.in_value(row)
        called = {normal(name) for name in self.columns}
        return any(self.is_one(spelled(value)) for name, value in row.items() if normal(name) in called)

    def in_broken(self, raw: str) -> bool:
        """Whether a row that could not be read is theirs, by what was kept of it, which may end in the middle of a name."""
        parts = raw.split(CUT) if len(raw) < RAW_CAP else [*raw.split(CUT), ""]
        return self.in_value(raw) or self.rules.in_broken(raw) or any(map(self._begins_at_the_end, parts[:-1]))

    def _begins_at_the_end(self, part: str) -> bool:
        """Whether a text was cut in the middle of one that is wanted; a letter or three may begin any word."""
        low = normal(part)
        for one in self._normal:
            least = CUT_LEAST if one.isascii() else 2
            for length in range(min(len(one) - 1, len(low)), least - 1, -1):
                if low.endswith(one[:length]) and alone(low, len(low) - length, len(low)):
                    return True
        return False

    def is_one(self, text: str | None) -> bool:
        """Whether a whole text is one of those; a number or a date of a column however it is written."""
        if text is None:
            return False
        return not self._ones.isdisjoint({normal(text)} if self.column is None else forms(text))

    def cleared(self, value: Any) -> Any:
        """A JSON value without it.

        A number goes only where it is one of rows: what is counted or measured of a model is nobody's, and networks have sizes.
        """
        if isinstance(value, str):
            return self._cleared(value)
        if isinstance(value, list | tuple):
            return [self.cleared(inner) for inner in value]
        if isinstance(value, Mapping):
            new, said = self._keys(value), self._said(value)
            told = {new[name]: self._part(name, inner, value) for name, inner in value.items()}
            return {name: self._names(inner) if name in said else inner for name, inner in told.items()}
        return value

    def _part(self, name: str, inner: Any, beside: Mapping[str, Any]) -> Any:
        """What stands under a name of a mapping, without it."""
        if name == TOKENIZER:
            return self._tokenizer(inner)
        if _of_rows(name, beside):
            return self._of_range(inner, -1 if name in _LOWER else 1 if name in _UPPER else 0)
        return self.cleared(inner)

    def _keys(self, value: Mapping[str, Any]) -> dict[str, str]:
        """The new name of each key; two that were names are numbered, so that nothing beside them is lost."""
        told = {name: self._cleared(name) for name in value}
        taken = {name for name, new in told.items() if name == new}
        for name, new in told.items():
            if name != new:
                told[name] = _numbered(new, taken)
                taken.add(told[name])
        return told

    def _of_range(self, value: Any, outward: int) -> Any:
        """A number of rows, or a list of such, as round as it must be to be nobody's."""
        if isinstance(value, list | tuple):
            return [self._of_range(inner, 0) for inner in value]
        if not isinstance(value, float | int) or isinstance(value, bool):
            return self.cleared(value)
        # A number that is somebody's (a telephone, an account) may be an end of a learned range.
        new, step = value, 0
        while step < _MOST_STEPS and self._stands_in(spelled(new)):
            new, step = _rounder(value, outward, step), step + 1
        return new

    def _said(self, value: Mapping[str, Any]) -> frozenset[str]:
        """Under which names of a mapping values of the column stand, because it names the column beside them."""
        if not any(isinstance(name := value.get(key), str) and name in self.columns for key in _BESIDE):
            return frozenset()
        return _VALUES

    def in_bytes(self, data: bytes) -> bool:
        """Whether bytes hold it as a text, plain or as JSON or HTML spell it."""
        if not self._forms:
            return False
        plain = data.decode("utf-8", "replace")
        if any(_stands_alone(text, form) for text in _readings(plain) for form in self._forms):
            return True
        return bool(self._short) and self._in_json(plain)

    def _in_json(self, plain: str) -> bool:
        """Whether JSON says a value of the column that is too short to be looked for in every text."""
        if plain[:1] not in ("{", "[") or not any(name in plain for name in self.columns):
            return False
        try:
            return self.in_record(json.loads(plain))
        except (ValueError, RecursionError):
            return False

    @property
    def is_number(self) -> bool:
        """Whether all of it are digits, which may be counted or measured somewhere as well."""
        return all(kept_as(one).replace(".", "", 1).isdigit() for one in self._normal)

    @cached_property
    def _forms(self) -> set[str]:
        plain = {form for text in self._everywhere for form in (text, normal(text))}
        plain |= {f"{name} = {text}" for text in self._short for name in self.columns}
        more = {json.dumps(text)[1:-1] for text in plain} | {html.escape(text) for text in plain}
        return {form.casefold() for form in plain | more}

    def _cleared(self, text: str) -> str:
        if text in self._keep:
            return text
        if self._slices is not None:
            text = self._slices.sub(rf"\g<1>{GONE}", text)
        if not self._stands_in(text):
            return text
        said = GONE if self._pattern is None else self._pattern.sub(GONE, text)
        return GONE if self._stands_in(said) else said

    def _stands_in(self, text: str) -> bool:
        low = normal(text)
        # In the clear most texts are seen at once to be none; the rules alone know what stands alone.
        return any(one in low for one in self._normal) and self.everywhere.in_text(low)

    def _tokenizer(self, spelled_out: Any) -> Any:
        """A tokenizer as JSON text without the pieces that hold it: a name in their place, and no merge that makes one."""
        if not isinstance(spelled_out, str) or not self.everywhere:
            return self.cleared(spelled_out)
        told = json.loads(spelled_out)
        model = told.get("model") or {}
        pieces = model.get("vocab")
        if isinstance(pieces, dict):
            gone = {piece: place for place, piece in enumerate(filter(self.in_value, pieces), 1)}
            if not gone:
                return spelled_out
            prefix = model.get("continuing_subword_prefix") or ""
            model["vocab"] = {f"{GONE[:-1]} {gone[one]}]" if one in gone else one: id for one, id in pieces.items()}
            if "merges" in model:
                # A merge may name no piece that is not there, or the tokenizer would not load.
                pairs = [(merge, *_pair(merge)) for merge in model["merges"]]
                made = [(merge, {left, right, left + right.removeprefix(prefix)}) for merge, left, right in pairs]
                model["merges"] = [merge for merge, names in made if not names & gone.keys()]
            return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        return self._cleared(spelled_out)

    def _names(self, values: Any) -> Any:
        """The names of a column's values; each has its place, so it is replaced and not removed."""
        if isinstance(values, str):
            return GONE if self.is_one(values) and values not in self._keep else values
        if not isinstance(values, list):
            return values
        taken: set[str] = set()
        told: list[Any] = []
        for value in values:
            name = value[0] if isinstance(value, list) and value else value
            if isinstance(name, str) and (self.is_one(name) or name == GONE):
                new = _numbered(GONE, taken)
                taken.add(new)
                told.append([new, *value[1:]] if isinstance(value, list) else new)
            else:
                told.append(value)
        return told


def _numbered(name: str, taken: Collection[str]) -> str:
    """A name that is not taken yet.

    >>> _numbered("[forgotten]", {"[forgotten]"})
    '[forgotten 2]'
    """
    new, number = name, 1
    while new in taken:
        number += 1
        new = name.replace(GONE, f"{GONE[:-1]} {number}]", 1)
    return new


def _rounder(value: float | int, outward: int, step: int) -> float | int:
    """A number of two digits near this one, so many steps further: down (-1), up (1), or first to the nearest (0).

    >>> _rounder(1234, -1, 0), _rounder(1234.5, 1, 1), _rounder(1200, 0, 1)
    (1200, 1400.0, 1300)
    """
    exact = Decimal(repr(value))
    place = max(exact.adjusted() - 1, 0) if isinstance(value, int) else exact.adjusted() - 1
    way = {-1: ROUND_FLOOR, 0: ROUND_HALF_EVEN, 1: ROUND_CEILING}[outward]
    digits = exact.scaleb(-place).to_integral_value(way) + step * (outward or 1)
    return type(value)(digits.scaleb(place))


def _readings(plain: str) -> list[str]:
    r"""A text as it stands, and as a reader of JSON or of a page reads it: `\n` before a name is no letter of it."""
    found = [plain.casefold()]
    read = plain
    for _ in range(_DEPTH):
        # JSON may stand within JSON, and all of it in a page.
        before, read = read, html.unescape(_ESCAPED.sub(_unescaped, read))
        if before == read:
            break
        found.append(normal(read))
    return found if plain.isascii() or len(found) > 1 else [*found, normal(plain)]


def _unescaped(found: re.Match[str]) -> str:
    return json.loads(f'"{found.group()}"')


def _stands_alone(text: str, form: str) -> bool:
    start = text.find(form)
    while start >= 0:
        if alone(text, start, start + len(form)):
            return True
        start = text.find(form, start + 1)
    return False


def _of_rows(name: str, beside: Mapping[str, Any]) -> bool:
    """Whether what stands under this name is a value of rows: an end of a learned range, a cell, or a point of a curve.

    >>> _of_rows("low", {"name": "age", "kind": "number", "low": 7}), _of_rows("low", {"metric": "f1", "value": 0.9, "low": 0.8})
    (True, False)
    """
    if name == "value":
        return beside.keys() >= {"column", "kind"}
    return name in _RANGES and "value" not in beside and bool(beside.keys() & _COLUMN)


def _pair(merge: Any) -> tuple[str, str]:
    """The two halves of a merge, which older files hold as one text."""
    left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
    return left, right


def _pattern(texts: list[str]) -> re.Pattern[str] | None:
    """The texts where they stand alone, as near as one expression can say it."""
    if not texts:
        return None
    parts = []
    for text in sorted(texts, key=len, reverse=True):
        before = r"(?<![A-Za-z0-9])" if text[0].isascii() and text[0].isalnum() else ""
        after = r"(?![A-Za-z0-9])" if text[-1].isascii() and text[-1].isalnum() else ""
        parts.append(f"{before}{re.escape(text)}{after}")
    return re.compile("|".join(parts), re.IGNORECASE)


def _slices(texts: list[str], columns: Collection[str]) -> re.Pattern[str] | None:
    """How the gate names the rows with one of these values: `customer = acme`, or `where customer is acme`."""
    if not texts:
        return None
    column, value = ("|".join(map(re.escape, sorted(names, key=len, reverse=True))) for names in (columns, texts))
    said = rf"((?<![A-Za-z0-9])(?:{column}) = |\bwhere (?:{column}) is )(?:{value})(?![A-Za-z0-9])"
    return re.compile(said, re.IGNORECASE)
