"""A bad promotion is rolled back by itself while it is on probation, once; and what is frozen is left alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from lingqu.contract.answers import LabelScores
from lingqu.feedback.add import add_labels
from lingqu.feedback.freeze import frozen, thaw
from lingqu.feedback.guard import guard
from lingqu.loop import check
from lingqu.monitor import status
from lingqu.registry import Registry
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.spec.running import ServeSettings
from lingqu.store import Store
from tests.feedback.test_circle import project  # noqa: F401 - a fixture


def answered(store: Store, number: int, right: list[bool]) -> None:
    """Answers of a version, all drawn for the audit and labelled, so many of them right."""
    ids = [new_id() for _ in right]
    with Journal(store, ServeSettings().journal) as journal:
        for place, id in enumerate(ids):
            row = {"text": f"{number} {place} {id}"}
            answer = LabelScores.of({"money": 0.9, "bugs": 0.1})
            journal.record(Entry(id, "r", time.time(), "router", number, "champion", ANYONE, None, row, answer, 1.0))
    labels = [{"prediction_id": id, "queue": "money" if good else "bugs"} for id, good in zip(ids, right, strict=True)]
    add_labels(store, "router", labels, who="auditor", target="queue", audit_share=1.0)


def second(store: Store) -> int:
    """Another version with the bundle of the first; its number."""
    first = Registry(store).get("router@1")
    kept = ("bundle", "run", "task", "metrics", "decision", "lineage", "spec")
    about = {name: getattr(first, name) for name in kept}
    return Registry(store).register("router", data_version="another", **about).number


@pytest.mark.heavy
def test_a_champion_on_probation_that_errs_goes_back_once(project, tmp_path):  # noqa: F811
    path, store = project
    spec, registry = check(path), Registry(store)
    again = second(store)
    registry.promote("router", again, who="anna", why="on purpose")
    assert guard(store, spec).restored is None

    answered(store, again, [False] * 30)
    seen = guard(store, spec)
    assert seen.restored == 1
    assert registry.alias("router", "champion")[0] == 1
    assert seen.why.startswith(
        "on probation: The champion errs more than it may: 30 of 30 audit labels say it was wrong"
    )
    assert frozen(store, "router") == f"rolled back from version {again}; thaw when the reason is known (lingqu)"

    # The restored one errs too: the world has moved, and nothing flaps.
    answered(store, 1, [False] * 30)
    seen = guard(store, spec)
    assert seen.restored is None
    assert seen.alarm == "risk alarm"
    assert seen.why.startswith(
        "The world has moved, not the model: version 1 was restored and errs as well. The champion"
    )
    assert seen.why.endswith("Learn anew: lingqu thaw router, then lingqu improve")
    assert guard(store, spec).why == seen.why
    assert sum(event.evidence.get("kind") == "world" for event in registry.history("router")) == 1
    assert {alarm.kind for alarm in status("router", store=store).alarms} == {"risk", "retrain"}
    thaw(store, "router", who="anna")
    assert guard(store, spec).restored is None
    assert {alarm.kind for alarm in status("router", store=store).alarms} == {"risk"}

    # After its probation a champion is only complained of.
    registry.promote("router", again, who="anna", why="on purpose")
    late = datetime.now(UTC) + timedelta(days=8)
    answered(store, again, [True] * 2100)
    answered(store, again, [False] * 60)
    assert guard(store, spec, now=late).restored is None


@pytest.mark.heavy
def test_a_person_who_promotes_anew_is_overruled_by_new_labels_alone(project):  # noqa: F811
    path, store = project
    spec, registry = check(path), Registry(store)
    again = second(store)
    registry.promote("router", again, who="anna", why="on purpose")
    time.sleep(0.002)  # Ids of answers tell the millisecond, and only younger ones count.
    answered(store, again, [False] * 12)
    assert guard(store, spec).restored == 1

    thaw(store, "router", who="anna", why="looked")
    registry.promote("router", again, who="anna", why="it is right")
    time.sleep(0.002)
    assert guard(store, spec).restored is None
    answered(store, again, [False] * 4)
    assert guard(store, spec).restored is None
    answered(store, again, [False] * 4)
    seen = guard(store, spec)
    assert seen.restored == 1
    assert seen.why.startswith("on probation: The champion errs more than it may: 8 of 8 audit labels say it was wrong")
