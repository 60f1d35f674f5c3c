"""Whose fault it is when a model fails: that of the rows, or its own.

Anybody who may ask could otherwise take a model out of service with rows at which it fails. So it is asked again: a model
that no longer gives its golden answers has failed by itself; rows at which another version of it does not fail are its
fault too, for they tell that it has become worse; all others are refused one by one, and count against nobody else.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lingqu.bundle import golden
from lingqu.bundle.read import gave_numbers
from lingqu.contract import Answer, Refusal, Rows
from lingqu.errors import Problem

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

FAILS = str(Problem("a row that the model can compute", "one at which it fails", "Look for extreme values in it."))

log = logging.getLogger("lingqu.serve")


def blamed(rows: Rows, error: BaseException, bundle: Bundle, witness: Bundle | None = None) -> list[Answer] | None:
    """Answers to accepted rows at which a model failed together, with a Refusal for each that makes it fail alone.

    None where the model itself is to blame. `witness` is another version of it, if one is in memory.
    """
    if is_models_fault(rows, bundle, witness):
        return None
    log.warning("%s fails at a row that it was asked: %s", bundle.path.name[:12], error)
    return _searched(rows, bundle)


def is_models_fault(rows: Rows, bundle: Bundle, witness: Bundle | None) -> bool:
    """Whether a model that failed at these accepted rows would have failed at others, or had no need to fail at these."""
    try:
        golden.check(bundle)
    except Exception:  # it may fail in any way, and then it is what is broken
        return True
    if witness is None:
        return False
    try:
        return gave_numbers(witness.answer(rows)) is True
    except Exception:  # the other version fails at them as well
        return False


def _searched(rows: Rows, bundle: Bundle) -> list[Answer]:
    """Answers to these rows, which fail together: halves are asked until those are found that fail alone."""
    if len(rows) == 1:
        return [Refusal(FAILS)]
    half = len(rows) // 2
    found: list[Answer] = []
    for part in (rows.take(range(half)), rows.take(range(half, len(rows)))):
        try:
            found += bundle.decide(part)
        except Exception:  # as above
            found += _searched(part, bundle)
    return found
