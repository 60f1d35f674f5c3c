"""An answer as a row of the journal's table: masked, spelled as JSON, encrypted when there is a key.

Most rows are made the moment they are recorded, while all that they are made of is at hand: that takes a few
microseconds, and nothing of the request has to wait in memory. What could take longer (a text in which something might
have to be masked, bytes, anything encrypted) is left to the journal's thread.

>>> from lingqu.contract.answers import LabelScores
>>> from lingqu.serve.entry import new_id
>>> from lingqu.serve.principal import ANYONE
>>> from lingqu.spec.running import JournalSettings
>>> formatter = Formatter(JournalSettings(), Sealed(None), lambda: b"a secret")
>>> answer = LabelScores.of({"sales": 0.9, "support": 0.1})
>>> entry = Entry(new_id(), "r1", 0.0, "router", 3, "champion", ANYONE, None, {"text": "where is my order"}, answer, 4.2)
>>> formatter.at_once(entry)[0][9:11]
('{"text":"where is my order"}', 'masked')
>>> later = entry._replace(input={"text": "call 138 0013 8000"})
>>> formatter.at_once(later)[0] is later, formatter.row(later)[9]
(True, '{"text":"call [PHONE]"}')
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lingqu.contract.answers import Answer, Refusal
from lingqu.privacy.mask import may_hold
from lingqu.serve.entry import Entry
from lingqu.serve.sealed import Sealed, iso, plain_text, simple, spell
from lingqu.store.tables import PREDICTIONS

if TYPE_CHECKING:
    from lingqu.spec.running import JournalSettings

COLUMNS = tuple(column.name for column in PREDICTIONS.columns)
"""What the cells of a row are, in their order."""

Cells = tuple[Any, ...]

LARGEST_BYTES = 256 << 10
"""Pictures and other bytes that are larger are not kept, only their size."""

LONGEST, LONGEST_REFUSED = 1_000_000, 10_000
"""An input with a longer text is not kept, and where the row was refused, from which nothing is learned, with a shorter one
already: who is refused is not charged, and shall not fill the disk."""

AT_ONCE_CHARACTERS = 4096
"""Longer texts are left to the thread."""

_NUMBERS = (int, float)
_MANY_SCORES = 100
MOST_SCORES = 5
"""Of so many labels, the likeliest, the journal keeps the scores."""

_BESIDE_INPUT = 200


class Formatter:
    """Entries as rows, under one policy; `secret` is what the names of users are hidden by, asked for once."""

    def __init__(self, settings: JournalSettings, seal: Sealed, secret: Callable[[], bytes]) -> None:
        self.seal = seal
        self.policy = settings.inputs
        self._share = 0.0 if settings.inputs == "none" else settings.sample
        self._read_secret = secret
        self._secret: bytes | None = None

    def at_once(self, entry: Entry) -> tuple[Cells | Entry, int]:
        """The row, where it is quickly made, or else an entry to make it of later; and about how many bytes that holds."""
        given = entry.input
        if given is not None and not self._keeps(entry.prediction_id):
            # What waits holds nothing of an input that is not kept: a picture of ten megabytes would count for nothing here.
            entry, given = entry._replace(input=None), None
        text = None if given is None else self._quick(given)
        if given is not None and text is None and _is_too_long(given, entry.answer):
            entry, given = entry._replace(input=None), None
        answer = None if given is not None and text is None else self._quick_answer(entry)
        if answer is not None and (entry.user is None or self._secret is not None):
            return self._cells(entry, text, *answer), _BESIDE_INPUT + len(text or "")
        if given is None:
            return entry, _BESIDE_INPUT
        kept, size = self._copy(given)
        return (entry if kept is given else entry._replace(input=kept)), size

    def row(self, entry: Entry) -> Cells:
        """The row of an entry, however long that takes."""
        answer, confidence = answer_cells(entry.answer, self.policy)
        text = self.seal.input(entry.prediction_id, entry.input, masked=self.policy == "masked")
        return self._cells(entry, text, spell(answer), confidence)

    def _cells(self, entry: Entry, text: str | None, answer: str, confidence: float | None) -> Cells:
        who = entry.principal
        return (
            entry.prediction_id,
            plain_text(entry.request_id)[:128],
            iso(entry.at),
            entry.name,
            entry.number,
            entry.role,
            who.id,
            who.tenant,
            None if entry.user is None else self._pseudonym(entry.user),
            text,
            "none" if entry.input is None else self.policy,
            answer,
            confidence,
            round(entry.latency_ms, 3),
        )

    def _keeps(self, prediction_id: str) -> bool:
        share = self._share
        return share >= 1 or (share > 0 and int(prediction_id[-8:], 16) < share * 2**32)

    def _quick(self, row: Mapping[str, Any]) -> str | None:
        """An input as text, when it holds nothing to be masked and needs no key; None when that is not soon told."""
        if self.seal.keys is not None or type(row) is not dict:
            return None
        masked, left = self.policy == "masked", AT_ONCE_CHARACTERS
        for value in row.values():
            if type(value) is str:
                left -= len(value)
                if left < 0 or (masked and may_hold(value)):
                    return None
            elif masked and type(value) in _NUMBERS and abs(value) >= 10**9:
                return None
        return simple(row)

    def _quick_answer(self, entry: Entry) -> tuple[str, float | None] | None:
        scores = getattr(entry.answer, "scores", None)
        if scores is not None and len(scores) > _MANY_SCORES:
            return None
        answer, confidence = answer_cells(entry.answer, self.policy)
        text = simple(answer)
        return None if text is None or len(text) > AT_ONCE_CHARACTERS else (text, confidence)

    def _copy(self, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
        """The row without bytes that are too large, or, where they would be masked, without any; and its size."""
        size = _BESIDE_INPUT
        for value in row.values():
            if isinstance(value, str):
                size += len(value)
            elif isinstance(value, bytes | bytearray):
                break
        else:
            return row, size
        most = LARGEST_BYTES if self.policy == "plain" else -1
        kept = {
            name: {"$omitted": len(value)} if isinstance(value, bytes | bytearray) and len(value) > most else value
            for name, value in row.items()
        }
        return kept, _BESIDE_INPUT + sum(len(v) for v in kept.values() if isinstance(v, str | bytes | bytearray))

    def _pseudonym(self, user: str) -> str:
        if self._secret is None:
            self._secret = self._read_secret()
        return keyed(self._secret, user)


def _is_too_long(row: Mapping[str, Any], answer: Answer) -> bool:
    """Whether a text of this row is longer than the journal keeps."""
    most = LONGEST_REFUSED if isinstance(answer, Refusal) else LONGEST
    return any(isinstance(value, str) and len(value) > most for value in row.values())


def keyed(secret: bytes, user: str) -> str:
    """What stands for the name of a user: the same for the same one, and not to be found by trying names.

    >>> keyed(b"a", "anna") == keyed(b"a", "anna") != keyed(b"b", "anna")
    True
    """
    return hmac.digest(secret, user.encode("utf-8", "replace"), "sha256").hex()[:32]


def answer_cells(answer: Answer, policy: str) -> tuple[dict[str, Any], float | None]:
    """An answer as it is kept: its cells, the five largest scores, and its confidence.

    >>> from lingqu.contract.answers import NumberValue, Refusal
    >>> answer_cells(NumberValue(3.0, 2.5, 3.5), "masked")
    ({'kind': 'number-value', 'prediction': 3.0, 'low': 2.5, 'high': 3.5}, None)
    >>> answer_cells(Refusal("Expected a number in 'age', found 'old'."), "masked")
    ({'kind': 'refusal'}, None)
    """
    cells = answer.cells()
    # A refusal repeats what it refused.
    if "error" in cells and policy != "plain":
        cells.pop("error")
    scores: Mapping[str, float] = getattr(answer, "scores", {})
    if scores:
        largest = sorted(scores, key=scores.__getitem__, reverse=True)[:MOST_SCORES]
        cells["scores"] = {label: round(float(scores[label]), 6) for label in largest}
    confidence = cells.get("confidence")
    sure = float(confidence) if isinstance(confidence, int | float) and math.isfinite(confidence) else None
    return {"kind": answer.kind, **cells}, sure
