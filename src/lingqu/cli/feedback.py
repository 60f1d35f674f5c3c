"""`lingqu feedback`: say what was right, and see what has come."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from lingqu.cli.present import emit, next_step, read_store, table
from lingqu.errors import Problem, RequestError
from lingqu.serve.inbox import KINDS, Inbox, received
from lingqu.serve.journal import spell
from lingqu.serve.keys import SCOPES, Principal
from lingqu.spec.settings import ServeSettings

OWNER = Principal("owner", "owner", frozenset(SCOPES))
"""Who has the store in hands may speak of every prediction in it."""


def feedback(arguments: argparse.Namespace) -> int:
    """Add feedback on a prediction, or list what was given."""
    with read_store(arguments) as store:
        if arguments.action == "add":
            receipt = Inbox(store, ServeSettings(votes=1_000_000)).receive(_given(arguments), OWNER)
            emit(arguments, asdict(receipt), f"Feedback {receipt.feedback_id} is {receipt.status}.")
            return 0
        found = received(store)
    rows = [
        (vote.at[:16], vote.name, vote.kind, vote.value, vote.answer.get("prediction", ""), vote.source, vote.status)
        for vote in found
    ]
    shown = table("", ["at", "model", "kind", "value", "answer was", "source", "status"], rows)
    # A picture among the inputs is spelled as the journal spells it.
    told = {"feedback": [json.loads(spell(asdict(vote))) for vote in found]}
    emit(arguments, told, shown if found else next_step("lingqu serve MODEL", "no feedback yet"))
    return 0


def _given(arguments: argparse.Namespace) -> dict[str, object]:
    if not arguments.prediction:
        advice = "Type: lingqu feedback add PREDICTION --label LABEL"
        raise RequestError(Problem("the id of a prediction", "none", advice))
    said = {name: getattr(arguments, name) for name in (*KINDS, "comment")}
    return {"prediction_id": arguments.prediction, "source": "cli", **{k: v for k, v in said.items() if v is not None}}
