"""After a rollback the version that went back answers unseen: it was the model, the world has moved, or it was needless."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from lingqu.contract import NumberValue
from lingqu.feedback import aftermath
from lingqu.feedback.add import add_labels
from lingqu.feedback.aftermath import after_rollback
from lingqu.feedback.freeze import frozen, thaw
from lingqu.feedback.rollout import advance
from lingqu.registry import Registry
from lingqu.registry.events import Event
from lingqu.registry.rollouts import DEMOTED, rollout
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.serve.shadow import shadow_id
from lingqu.store import Store
from tests.feedback.test_rollout import PLAIN, made, spec_of, store  # noqa: F401 - fixtures

NOW = datetime.now(UTC)


def rolled_back(store: Store) -> Event:  # noqa: F811
    """Version 2 led, and live risk has taken it back; the process was killed before it did more."""
    registry = Registry(store)
    registry.promote("echo", 2, who="anna", why="a hunch")
    evidence = {"kind": "risk", "labels": 30, "wrong": 30}
    registry.rollback("echo", who="lingqu", why="on probation: it errs", evidence=evidence)
    return registry.history("echo")[-1]


def answers(store: Store, *, right: list[int]) -> None:  # noqa: F811
    """Ten answers of version 1 with what version 2 says unseen, and labels of the audit that say who of them is right."""
    ids = [new_id() for _ in range(10)]
    with Journal(store, PLAIN) as journal:
        for place, id in enumerate(ids):
            for number, role in ((1, "champion"), (2, "shadow")):
                mine = place if number in right else place + 5
                said = NumberValue(mine, mine - 1, mine + 1)
                key = id if number == 1 else shadow_id(id, 2)
                journal.record(
                    Entry(key, "r", time.time(), "echo", number, role, ANYONE, None, {"x": place}, said, 1.0)
                )
    labels = [{"prediction_id": id, "y": place} for place, id in enumerate(ids)]
    add_labels(store, "echo", labels, who="auditor", target="y", audit_share=1.0)


def look(store: Store, back: Event, **more: datetime) -> str:  # noqa: F811
    return after_rollback(store, spec_of(), back, 0.1, more.get("now", NOW))


def last(store: Store) -> str:  # noqa: F811
    return Registry(store).history("echo")[-1].sentence().split(" UTC: ")[1]


@pytest.mark.parametrize("right", [1, 2])
def test_the_version_that_went_back_answers_unseen_until_it_is_known_who_was_right(store: Store, right: int) -> None:  # noqa: F811
    back = rolled_back(store)
    assert look(store, back) == ""
    assert frozen(store, "echo") == "rolled back from version 2; thaw when the reason is known (lingqu)"
    registry = Registry(store)
    assert registry.aliases("echo") == {"champion": 1, "demoted": 2}
    assert last(store) == (
        "version 2 of echo answers unseen beside version 1, which took its place back (lingqu): "
        "whether it was at fault shows on the same labels."
    )
    # It is on its way to nobody, so it keeps no round from beginning.
    assert advance(store, spec_of()) is None
    time.sleep(0.002)
    answers(store, right=[right])
    before = len(registry.history("echo"))
    if right == 2:
        # Whoever errs now is the restored one: with a limit that it keeps, the rollback was needless.
        assert after_rollback(store, spec_of(), back, None, NOW) == ""
        assert last(store) == (
            "version 2 of echo was dropped (lingqu): the rollback was needless: of 10 rows on which exactly one is right, "
            "version 2 won 10 (p = 0.0079, valid at any look); of 10 audit labels since, version 1 was wrong on 10 and "
            "version 2 would have been wrong on 0. A person may say: lingqu promote echo@2."
        )
        told = registry.history("echo")[-1].evidence
        assert (told["wins"], told["losses"]) == (10, 0)
        assert told["p_anytime"] < 0.05
    else:
        assert look(store, back) == ""
        assert last(store) == (
            "version 2 of echo was dropped (lingqu): it was the model: of 10 rows on which exactly one is right, version 1 "
            "won 10 (p = 0.0079, valid at any look); of 10 audit labels since, version 1 was wrong on 0 and version 2 "
            "would have been wrong on 10."
        )
    assert (look(store, back), len(registry.history("echo"))) == ("", before + 1)
    assert registry.aliases("echo") == {"champion": 1}
    assert registry.verify_history() == []


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_where_both_err_the_world_has_moved_and_a_person_is_told_to_learn_anew(
    store: Store,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    back = rolled_back(store)
    look(store, back)
    time.sleep(0.002)
    answers(store, right=[])
    # Killed before it is told: the next look finds all as it was.
    monkeypatch.setattr(aftermath, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        look(store, back)
    monkeypatch.undo()
    told = look(store, back)
    assert told == (
        "The world has moved, not the model: version 1 was restored and errs as well. The champion errs more than it may: "
        "10 of 10 audit labels say it was wrong, where at most 0.100 may be (E reached 1.2e+08, act at 100). "
        "Of 10 audit labels since, version 1 was wrong on 10 and version 2 would have been wrong on 10. "
        "Learn anew: lingqu thaw echo, then lingqu improve"
    )
    registry = Registry(store)
    history = registry.history("echo")
    assert history[-1].evidence["wants"] == "retrain"
    assert (rollout(store, "echo"), registry.aliases("echo")) == (None, {"champion": 1})
    assert (look(store, back), len(registry.history("echo"))) == (told, len(history))
    assert registry.verify_history() == []


def test_nothing_is_watched_for_ever_nor_against_a_persons_will(store: Store) -> None:  # noqa: F811
    back = rolled_back(store)
    look(store, back)
    look(store, back, now=NOW + timedelta(days=15))
    assert last(store) == (
        "version 2 of echo was dropped (lingqu): 14 d have passed, and of 0 audit labels since, version 1 was wrong on 0 "
        "and version 2 would have been wrong on 0."
    )
    thaw(store, "echo", who="anna")
    look(store, back)
    assert frozen(store, "echo") == ""

    back = rolled_back(store)
    look(store, back)
    standing = rollout(store, "echo")
    assert standing is not None
    assert standing.step == DEMOTED
    Registry(store).promote("echo", 2, who="anna", why="it was right")
    assert rollout(store, "echo") is None
    assert Registry(store).aliases("echo") == {"champion": 2, "previous": 1}
    assert Registry(store).verify_history() == []
