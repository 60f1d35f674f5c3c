"""A process that gives feedback until it is killed; forked from one that has imported everything, so it starts at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from lingqu.serve.inbox import Inbox
from lingqu.serve.keys import ANYONE
from lingqu.spec.running import ServeSettings
from lingqu.store import Store

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.serve.giver"])


def give(folder: Path, ids: Sequence[str], acknowledged: Connection) -> None:
    """Feedback on each prediction in turn, under its own id as the Idempotency-Key; each receipt is told at once."""
    inbox = Inbox(Store.open(folder), ServeSettings(votes=1_000_000))
    acknowledged.send(("", ""))
    for one in ids:
        receipt = inbox.receive({"prediction_id": one, "label": "no"}, ANYONE, one)
        acknowledged.send((one, receipt.feedback_id))
