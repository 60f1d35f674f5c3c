"""Which answers the audit asks a label for: a share of all, drawn by a keyed hash of their ids.

Who answers cannot choose them and who asks cannot foresee them, and every process draws the same ones. Only such a
sample, labelled by trusted people, says how good all answers are.
"""

from __future__ import annotations

import hmac

SOURCE = "audit"
"""The source, in the feedback table, of labels that trusted people gave because the audit asked; nobody else may name it."""


DISPUTED = "disputed"
"""The source of labels that trusted people gave to answers which a challenger would have given otherwise; they compare the two
models, and say nothing of how good all answers are."""


def asked(prediction_id: str, share: float, secret: bytes) -> bool:
    """Whether the audit asks a label for this answer.

    >>> sum(asked(f"{i:032x}", 0.1, b"k") for i in range(2000))
    207
    """
    drawn = hmac.digest(secret, prediction_id.encode(), "sha256")
    return int.from_bytes(drawn[:8], "big") < share * 2**64
