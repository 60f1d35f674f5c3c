"""What was forgotten, remembered only as keyed hashes, so that the same rows of the same file stay out.

A rule says which rows: those with a text in any cell, standing alone (`anna@example.org` is not in
`joanna@example.org`), or those with a value in one column. What is kept of it is its length, 16 bits of a keyed
polynomial hash, and an HMAC-SHA256; the hash is a sieve that a window of letters rarely passes, and whatever passes is
compared by the HMAC. Without the store's secret nobody can try names against it.
Source of the sieve: Karp and Rabin 1987, "Efficient randomized pattern-matching algorithms".

>>> rules = Rules([Rule.of("Anna@example.org", bytes(32)), Rule.of("u7", bytes(32), column="user")], bytes(32))
>>> rows = Rows({"text": ["write to ANNA@example.org.", "joanna@example.org", "hello"], "user": ["u1", "u17", "u7"]})
>>> sorted(rules.places(rows))
[0, 2]
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from lingqu.contract import Rows
from lingqu.data.values import CellFault, looks_like_code, to_number, to_time
from lingqu.errors import Problem, StoreError
from lingqu.store import Store, canonical_json
from lingqu.store.canonical import digest_of

Array = np.ndarray[Any, np.dtype[Any]]

ACTION = "forget"
"""The action of the history that tells of it; the evidence holds the rules."""
KEYED_BY = "forgotten"
"""The name of the secret that keys the hashes."""
TELLING = 6
"""So many characters make a value of a column worth looking for outside its column; a shorter one stands everywhere."""
_GAP = "\0"
_JOINS = frozenset("._+-")
_BEGINS = frozenset("0123456789+-.−")
"""With one of these begins every number and every date."""
_CELLS = re.compile(r"[,;\t|=:{}\[\]]")
"""What stands between the cells of a broken row, whatever it was read from."""


def normal(text: str) -> str:
    """A text as it is compared: one form of each letter, no case.

    >>> normal(" ＡＮＮＡ@Example.org ")
    'anna@example.org'
    """
    return unicodedata.normalize("NFKC", text).casefold().strip()


def spelled(value: Any) -> str:
    """A cell as a text, numbers as people write them; bytes and nothing have none.

    >>> spelled(17.0), spelled("u7"), spelled(None)
    ('17', 'u7', '')
    """
    if value is None or isinstance(value, bytes | bytearray):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e17:
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def forms(text: str) -> set[str]:
    """A cell as it is compared: as it stands, and as a column of numbers or of times keeps it.

    A file says `17.0`, `1,234` or `2024/1/31`, and a data version 17, 1234 and `2024-01-31`; a code is no number.

    >>> sorted(forms("17.0")), sorted(forms("1,234")), sorted(forms("2024/1/31")), sorted(forms("0017"))
    (['17', '17.0'], ['1,234', '1234'], ['2024-01-31', '2024/1/31'], ['0017'])
    """
    return {normal(text), kept_as(text)}


def kept_as(text: str) -> str:
    """A cell as it is compared, once it was typed.

    >>> kept_as(" 17.00 "), kept_as("Bob")
    ('17', 'bob')
    """
    wanted = unicodedata.normalize("NFKC", text).strip()
    # Most cells are words: they are seen to be neither number nor date by their first sign.
    if wanted[:1] not in _BEGINS or looks_like_code(wanted):
        return wanted.casefold()
    for read in (to_number, to_time):
        try:
            typed = read(wanted)
        except CellFault:
            continue
        return wanted.casefold() if typed is None else normal(spelled(typed))
    return wanted.casefold()


def telling(text: str) -> bool:
    """Whether a value of a column says whose it is where it stands outside its column.

    >>> telling("user-4711"), telling("17"), telling("张晓")
    (True, False, True)
    """
    wanted = normal(text)
    return len(wanted) >= TELLING or (len(wanted) > 1 and not wanted.isascii())


@dataclass(frozen=True, slots=True)
class Rule:
    """What was forgotten, without it: a column or none, how long it was, and what only the store's secret can repeat."""

    column: str | None
    length: int
    sieve: int
    keyed: str

    @classmethod
    def of(cls, text: str, secret: bytes, *, column: str | None = None) -> Rule:
        """The rule for a text, or for a value of a column."""
        wanted = normal(text)
        sieve = int(_sieves(_points(wanted), len(wanted), secret)[0])
        return cls(column, len(wanted), sieve, _keyed(wanted, column, secret))

    def to_json(self) -> dict[str, Any]:
        """The rule as JSON values."""
        return asdict(self)


class Rules:
    """Several rules together; a row goes when any of them says so."""

    def __init__(self, rules: Iterable[Rule], secret: bytes) -> None:
        self.rules = tuple(dict.fromkeys(rules))
        self.secret = secret

    def __bool__(self) -> bool:
        return bool(self.rules)

    def digest(self) -> str:
        """One name for all of them, whatever their order."""
        return digest_of(canonical_json(sorted(rule.keyed for rule in self.rules)))

    def places(self, rows: Rows, names: Mapping[str, str] | None = None) -> set[int]:
        """The places of the rows that go; `names` gives the source column of those that have another name here."""
        found: set[int] = set()
        for column in rows.names:
            here = {column, (names or {}).get(column, column)}
            if not any(rule.column is None or rule.column in here for rule in self.rules):
                continue
            texts = [spelled(cell) for cell in rows[column]]
            ways = [[normal(text) for text in texts], [kept_as(text) for text in texts]]
            if ways[0] == ways[1]:
                del ways[1]
            for rule, cells in product(self.rules, ways):
                if rule.column is None:
                    found |= self._within(cells, rule)
                elif rule.column in here:
                    found |= {place for place, cell in enumerate(cells) if self._is(cell, rule)}
        return found

    def in_text(self, text: str) -> bool:
        """Whether a text holds one that was forgotten; one of a column only if it is telling, for cells run together here."""
        whole = normal(text)
        return any(self._is(whole, rule) or self._within([whole], rule) for rule in self.rules)

    def in_broken(self, line: str) -> bool:
        """Whether a row that could not be read is one of those that go: where its columns are, nobody knows.

        So a value of a column counts in any of its cells, however short it is: a broken row serves nothing but to be looked at.

        >>> rules = Rules([Rule.of("17", bytes(32), column="user")], bytes(32))
        >>> [rules.in_broken(line) for line in ('"17",hello,a,b', "user=17, text=hi", "{'user': 17}", "170,hello,17 a")]
        [True, True, True, False]
        """
        cells = [cell.strip(" '\"\r\n") for cell in _CELLS.split(line)] if self._of_columns else []
        ways = {form for cell in cells for form in forms(cell)}
        return self.in_text(line) or any(self._is(cell, rule) for cell in ways for rule in self._of_columns)

    @property
    def _of_columns(self) -> list[Rule]:
        return [rule for rule in self.rules if rule.column is not None]

    def _is(self, cell: str, rule: Rule) -> bool:
        return len(cell) == rule.length and hmac.compare_digest(_keyed(cell, rule.column, self.secret), rule.keyed)

    def _within(self, cells: Sequence[str], rule: Rule) -> set[int]:
        whole = _GAP.join(cells)
        hashes = _sieves(_points(whole), rule.length, self.secret)
        ends = np.cumsum([len(cell) + 1 for cell in cells])
        found: set[int] = set()
        for start in np.flatnonzero(hashes == rule.sieve).tolist():
            end = start + rule.length
            window = whole[start:end]
            is_it = hmac.compare_digest(_keyed(window, rule.column, self.secret), rule.keyed)
            if is_it and alone(whole, start, end) and (rule.column is None or telling(window)):
                found.add(int(np.searchsorted(ends, start, side="right")))
        return found


def alone(text: str, start: int, end: int) -> bool:
    """Whether what stands here is not a part of a longer word, number or address.

    >>> [alone(text, text.find("u7"), text.find("u7") + 2) for text in ("u7", "(u7)", "u71", "用户u7说")]
    [True, True, False, True]
    """
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    if _letter(text[start]) and _letter(before):
        return False
    if _letter(text[end - 1]) and _letter(after):
        return False
    if "@" in text[start:end]:
        # What stands before the name, or behind the domain, makes it another address.
        return not (
            (before in _JOINS and start > 1 and _letter(text[start - 2]))
            or (after in (".", "-") and _letter(text[end + 1 : end + 2]))
        )
    return True


def remembered(store: Store) -> Rules | None:
    """The rules of this store; None where nothing was forgotten, StoreError where its secret is gone."""
    rules = _told(store)
    return Rules(rules, secret_of(store)) if rules else None


def secret_of(store: Store) -> bytes:
    """What keys the rules, made on first use; StoreError where there are rules and it is gone, for none would match any more."""
    if not store.has_secret(KEYED_BY) and _told(store):
        path = store.folder / "secrets" / KEYED_BY
        advice = "Restore it from a backup of the store: without it those who were forgotten would come back."
        raise StoreError(Problem(f"the file {path}, which says who was forgotten", "no such file", advice))
    return store.secret(KEYED_BY, passing=True)


def _told(store: Store) -> list[Rule]:
    return [Rule(**rule) for evidence in store.records.evidence(ACTION) for rule in evidence.get("rules", ())]


def _letter(sign: str) -> bool:
    return sign.isascii() and sign.isalnum()


def _keyed(text: str, column: str | None, secret: bytes) -> str:
    message = canonical_json([column, text.encode("utf-8", "replace").decode()])
    return hmac.digest(secret, message, "sha256").hex()


def _points(text: str) -> Array:
    """The code points, uint64 (characters,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)


def _sieves(points: Array, length: int, secret: bytes) -> Array:
    """The top 16 bits of the hash of each window of so many characters, uint64 (windows,)."""
    windows = len(points) - length + 1
    if windows <= 0 or length <= 0:
        return np.zeros(0, np.uint64)
    base, add, times = (
        np.frombuffer(hmac.digest(secret, name, "sha256")[:8], np.uint64) for name in (b"b", b"a", b"t")
    )
    odd = np.uint64(1)
    mixed = (points + add) * (times | odd)
    mixed ^= mixed >> np.uint64(29)
    found = np.zeros(windows, np.uint64)
    for place in range(length):
        found *= base | odd
        found += mixed[place : place + windows]
    return found >> np.uint64(48)
