"""A turn of the circle that is killed at any of its durable steps: before each commit and each rename.

Each turn is a child that was forked from a process that has only imported things, so a hundred of them take minutes, not
hours. What a kill leaves behind is on disk alone; the next child has nothing else to go on from.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

# Imported here, so that no child pays for it.
import lingqu.bundle.write
import lingqu.compress
import lingqu.evaluate.trial
import lingqu.feedback.circle
import lingqu.train.folds  # noqa: F401
from lingqu.contract.answers import LabelScores
from lingqu.feedback.add import add_labels
from lingqu.loop import improve, load, run
from lingqu.registry import Registry
from lingqu.registry.rollouts import SHADOW, rollout
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.spec.running import JournalSettings
from lingqu.store import Store
from tests.feedback.test_circle import rows

SPEC = """\
name: router
task: text-classification
model: ngram-linear
data:
  source: tickets.csv
  columns: {text: message, label: queue}
gates: {margin: 0.2}
improve: {after: 50 new labels, at_most: 100000 per day, promote: auto, canary: 20}
"""
STEPS = 12
"""So many looks are enough for one circle, from labels to the swap."""


def begin(work: Callable[..., Any], *given: Any) -> BaseProcess:
    """Do this in a process of its own.

    It is forked from a server that has only imported this module: one that has computed has threads, which no fork takes over.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    process = processes.Process(target=work, args=given)
    process.start()
    return process


def child(work: Callable[..., Any], *given: Any) -> int:
    """Do this in a process of its own and wait for it; the exit status, or minus the signal."""
    process = begin(work, *given)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def make(folder: Path) -> None:
    """A served model whose world has moved: labels to learn from, and audit labels to judge by."""
    lines = ["message,queue", *(f"{row['message']},{row['queue']}" for row in rows(900, 1))]
    (folder / "tickets.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "lingqu.yaml").write_text(SPEC, encoding="utf-8")
    store = Store.open(folder / ".lingqu")
    run(folder / "lingqu.yaml", store=store)
    add_labels(store, "router", rows(160, 7, late=1.0), who="anna", target="queue")
    audited(store, 160, seed=9)


def audited(store: Store, count: int, *, seed: int) -> None:
    """Answers of the champion to rows of today, with labels of the audit."""
    asked, champion = rows(count, seed, late=1.0), Registry(store).aliases("router")["champion"]
    answers = load(f"router@{champion}", store=store).predict([{"message": row["message"]} for row in asked])
    ids = [new_id() for _ in asked]
    with Journal(store, JournalSettings()) as journal:
        for id, row, answer in zip(ids, asked, answers, strict=True):
            given = {"text": row["message"]}
            told = (id, "r", time.time(), "router", champion, "champion", ANYONE, None, given, answer, 1.0)
            journal.record(Entry(*told))
    labels = [{"prediction_id": id, "queue": row["queue"]} for id, row in zip(ids, asked, strict=True)]
    add_labels(store, "router", labels, who="auditor", target="queue", audit_share=1.0)


def users(store: Store) -> None:
    """What users and auditors do meanwhile: labels while a challenger is unseen, requests while it is a canary."""
    now = rollout(store, "router")
    if now is not None and now.step == SHADOW:
        time.sleep(0.002)
        audited(store, 60, seed=len(Registry(store).history("router")))
    elif now is not None:
        with Journal(store, JournalSettings()) as journal:
            for place in range(40):
                number, role = ((1, "champion"), (now.version, "canary"))[place % 2]
                answer = LabelScores.of({"money": 0.9, "bugs": 0.1})
                told = ("r", time.time(), "router", number, role, ANYONE, f"user {place}", {"text": "a"}, answer, 1.0)
                journal.record(Entry(new_id(), *told))


class Steps:
    """Counts the durable steps of this process, and kills it before the one that is asked for, counted from 1.

    A step is a commit of a database, or a call of one of these functions of `os`.
    """

    def __init__(self, kill_at: int, *calls: str) -> None:
        self.count, self.kill_at, self.ours = 0, kill_at, True
        event.listen(Engine, "commit", self.step)
        for name in calls:
            setattr(os, name, self._counted(getattr(os, name)))

    def step(self, *_: Any) -> None:
        """One more; steps that are not `ours` are of the world around."""
        self.count += self.ours
        if self.ours and self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.step()
            return real(*given, **named)

        return call


def circle(folder: Path, kill_at: int = 0) -> None:
    """Go round until the challenger leads; killed before this durable step, counted from 1, if it comes to that.

    Writes how many steps it took to the file `steps`, and the digest of what was learned to `learned`.
    """
    store = Store.open(folder / ".lingqu")
    steps = Steps(kill_at, "replace", "rename")
    for _ in range(STEPS):
        steps.ours = False
        users(store)
        steps.ours = True
        improve(folder / "lingqu.yaml", store=store, asked=False)
        if Registry(store).aliases("router").get("champion") == 2:
            break
    improve(folder / "lingqu.yaml", store=store, asked=False)
    (folder / "steps").write_text(str(steps.count))
    (folder / "learned").write_text(Registry(store).get("router@2").lineage["candidate"])


def check(folder: Path) -> None:
    """One challenger, promoted once, looked at once, after every step once; and nothing in the store is damaged."""
    store = Store.open(folder / ".lingqu")
    registry = Registry(store)
    history = registry.history("router")
    told = [(one.action, one.version, one.evidence.get("step"), one.evidence.get("share")) for one in history]
    assert [one for one in told if one[0] in ("register", "promote", "rollout")] == [
        ("register", 1, None, None),
        ("promote", 1, None, None),
        ("register", 2, None, None),
        ("rollout", 2, "shadow", 0.0),
        ("rollout", 2, "canary", 0.05),
        ("rollout", 2, "canary", 0.25),
        ("promote", 2, None, None),
        ("rollout", None, "done", 0.0),
    ], told
    assert registry.aliases("router") == {"champion": 2, "previous": 1}
    assert [one.evidence["round"] for one in history if one.action == "gate"] == [1, 1]
    joined = [one.evidence["joined"] for one in history if one.action == "improve"]
    assert len(joined) == 1, joined
    assert registry.verify_history() == []
    assert store.fsck() == []
