"""The audit sample: the only unbiased look at today's traffic.

People complain when an answer is wrong, and some complain to do harm; so what users volunteer may train but never
judge. Of all answers a share is drawn by the keyed hash of the prediction's id, whatever the row, the answer or the user;
a trusted labeller says what is right without being shown the answer. Half of the rows, by the keyed hash of what was
asked, are the fresh gate, which judges challengers and never trains while it does; the other half watches the champion
while it serves.

>>> drawn = [drawn_for_audit(f"{n:032x}", 0.05, b"secret") for n in range(10_000)]
>>> 400 < sum(drawn) < 600, audit_role("a" * 64, b"secret") in (GATE, LIVE)
(True, True)
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from lingqu.feedback.voice import ACCEPTED, Voice

GATE, LIVE = "gate", "live"
AUDIT = "audit"
"""The source of a label that a trusted labeller gave to a drawn row."""


def drawn_for_audit(prediction_id: str, share: float, secret: bytes) -> bool:
    """Whether a prediction belongs to the audit sample of this share (0 to 1)."""
    return _fraction(b"audit", prediction_id, secret) < share


def audit_role(asked: str, secret: bytes) -> str:
    """Whether a drawn row judges challengers or watches the champion; equal questions have one role for ever."""
    return GATE if _fraction(b"role", asked, secret) < 0.5 else LIVE


def audit_labels(given: Sequence[Voice], role: str, secret: bytes) -> list[Voice]:
    """The accepted labels of drawn rows that have this role, from the first."""
    return [
        voice
        for voice in given
        if voice.source == AUDIT and voice.status == ACCEPTED and audit_role(voice.asked, secret) == role
    ]


def _fraction(use: bytes, text: str, secret: bytes) -> float:
    digest = hmac.digest(secret, use + b":" + text.encode(), "sha256")
    return int.from_bytes(digest[:8], "big") / 2**64
