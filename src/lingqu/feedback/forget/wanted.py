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
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

from lingqu.data.forgotten import Rule, Rules, alone, normal, spelled, telling

GONE = "[forgotten]"
TOKENIZER = "tokenizer"
"""Under this name a bundle's memory holds a tokenizer, spelled as JSON."""


class Wanted:
    """Texts, or values of one column; `rules` is what the store remembers of them."""

    def __init__(self, texts: tuple[str, ...], column: str | None, secret: bytes) -> None:
        self.texts, self.column = texts, column
        self.rules = Rules([Rule.of(text, secret, column=column) for text in texts], secret)
        everywhere = [text for text in texts if column is None or telling(text)]
        self.everywhere = Rules([Rule.of(text, secret) for text in everywhere], secret)
        self._pattern = _pattern(everywhere)
        self._normal = [normal(text) for text in everywhere]
        self._keep: frozenset[str] = frozenset()

    def keeping(self, labels: Collection[str]) -> Wanted:
        """The same, with these texts left as they are: a model's labels are its answers, and no person's."""
        other = Wanted(self.texts, self.column, self.rules.secret)
        other._keep = frozenset(labels)
        return other

    def in_value(self, value: Any) -> bool:
        """Whether a JSON value holds it anywhere."""
        if isinstance(value, Mapping):
            return any(self.in_value(name) or self.in_value(inner) for name, inner in value.items())
        if isinstance(value, list | tuple):
            return any(map(self.in_value, value))
        return bool(text := spelled(value)) and self._stands_in(text)

    def in_cells(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of the journal holds it: a text in any cell, or a value in the column."""
        if self.column is None:
            return self.in_value(row)
        same = [value for name, value in row.items() if normal(name) == normal(self.column)]
        return any(normal(spelled(value)) == normal(text) for value in same for text in self.texts)

    def is_one(self, text: str | None) -> bool:
        """Whether a whole text is one of those."""
        return text is not None and any(normal(text) == normal(one) for one in self.texts)

    def cleared(self, value: Any, inside: frozenset[str] = frozenset(), *, numbers: bool = True) -> Any:
        """A JSON value without it; `inside` names what the column is called there, and `numbers` stay if they are not asked for."""
        if isinstance(value, str):
            return self._cleared(value)
        if isinstance(value, float | int) and not isinstance(value, bool):
            # A number that is somebody's (a telephone, an account) may be an end of a learned range.
            return float(f"{value:.2g}") if numbers and self._stands_in(spelled(value)) else value
        if isinstance(value, list | tuple):
            return [self.cleared(inner, inside, numbers=numbers) for inner in value]
        if isinstance(value, Mapping):
            told = {
                self._cleared(name): self._tokenizer(inner)
                if name == TOKENIZER
                else self.cleared(inner, inside, numbers=numbers)
                for name, inner in value.items()
            }
            if inside & {value.get("name"), value.get("source")}:
                told = {
                    name: self._names(inner) if name in ("values", "common") else inner for name, inner in told.items()
                }
            return told
        return value

    def in_bytes(self, data: bytes) -> bool:
        """Whether bytes hold it as a text, plain or as JSON or HTML spell it."""
        if not self._forms:
            return False
        text = data.decode("utf-8", "replace").casefold()
        for form in self._forms:
            start = text.find(form)
            while start >= 0:
                if alone(text, start, start + len(form)):
                    return True
                start = text.find(form, start + 1)
        return False

    @cached_property
    def _forms(self) -> set[str]:
        plain = {form for text in self.texts if self.column is None or telling(text) for form in (text, normal(text))}
        more = {json.dumps(text)[1:-1] for text in plain} | {html.escape(text) for text in plain}
        return {form.casefold() for form in plain | more}

    def _cleared(self, text: str) -> str:
        if text in self._keep or not self._stands_in(text):
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
        if not isinstance(values, list):
            return values
        gone = 0
        told: list[Any] = []
        for value in values:
            name = value[0] if isinstance(value, list) and value else value
            if isinstance(name, str) and (self.is_one(name) or name == GONE):
                gone += 1
                new = GONE if gone == 1 else f"{GONE[:-1]} {gone}]"
                told.append([new, *value[1:]] if isinstance(value, list) else new)
            else:
                told.append(value)
        return told


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
