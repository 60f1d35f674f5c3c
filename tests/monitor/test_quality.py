"""Quality before labels and after them: who gave a label counts, and few of them decide nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from lingqu.monitor import Share, labels_wanted
from lingqu.monitor.observed import labelled, shares
from lingqu.monitor.quality import Cohort, estimate, right
from lingqu.monitor.risk import risk
from lingqu.privacy.encrypt import MasterKeys, new_master_key, spelled
from lingqu.serve.inbox import received
from lingqu.serve.journal import Sealed, spell
from lingqu.store.tables import FEEDBACK
from tests.monitor.stream import Service, registered


def test_only_accepted_labels_count_and_volunteers_are_kept_apart(tmp_path: Path) -> None:
    store, version = registered(tmp_path)
    service = Service(store, version)
    ids = service.answers(200)
    service.labels(ids[:50], [True] * 45 + [False] * 5)
    service.labels(ids[40:60], [False] * 20, source="page")
    service.labels(ids[100:150], [False] * 50, source="api", status="quarantined")
    labels = labelled(store, version)
    assert len(labels) == 60
    audited, volunteered = shares(labels, ids[0], ids[-1])
    assert audited is not None
    assert volunteered is not None
    # Ten answers have both: the label that the audit asked for stands.
    assert (audited.right, audited.labels) == (45, 50)
    assert (volunteered.right, volunteered.labels) == (0, 10)
    assert shares(labels, ids[150], ids[-1]) == (None, None)
    assert len(labelled(store, version, since=ids[50])) == 10


def test_labels_that_are_encrypted_count_where_the_key_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, version = registered(tmp_path)
    service, keys = Service(store, version), MasterKeys((new_master_key(),))
    service.labels(service.answers(2), [True, False])
    with store.database.writing() as connection:
        for vote in received(store):
            value = Sealed(keys).close(spell(vote.value), f"value:{vote.id}")
            connection.execute(update(FEEDBACK).where(FEEDBACK.c.id == vote.id).values(value=value))
    assert labelled(store, version) == []
    monkeypatch.setenv("LINGQU_ENCRYPTION_KEY", spelled(keys.keys[0]))
    assert [one.right for one in labelled(store, version)] == [True, False]


def test_the_count_takes_over_when_four_in_five_labels_have_come() -> None:
    guessed = estimate([0.9] * 300, np.linspace(0.5, 1, 400).tolist(), [True] * 300 + [False] * 100)
    early = Cohort("a", "b", 300, 100, Share.of(60, 79), None, guessed)
    ripe = Cohort("a", "b", 300, 100, Share.of(60, 80), None, guessed)
    assert not early.ripe
    assert early.sentence().startswith("300 answers, 79 of 100 audit labels have come. Estimated accuracy 0.")
    assert ripe.sentence() == "300 answers, 80 of 100 audit labels: 60 of 80 right: 0.750 (0.641 to 0.840)."
    nothing = Cohort("a", "b", 300, 0, None, None, None)
    assert nothing.sentence() == "300 answers, the audit asks for none: nothing is known of their quality yet."
    assert nothing.to_json()["ripe"] is False


def test_late_and_missing_labels_decide_nothing_and_say_so() -> None:
    """Half of the labels never come and the others a month late: nothing is decided until enough are there."""
    few = risk([False] * 4, held_out_right=900, held_out=1000, tolerance=0.02)
    assert few is not None
    assert few.level == "quiet"
    assert few.sentence() == "4 of 5 audit labels that any decision needs have come; 4 say the champion was wrong."
    none = risk([], held_out_right=900, held_out=1000, tolerance=0.02)
    assert none is not None
    assert none.sentence() == (
        "No audit label has come yet; the champion may be wrong in at most 0.137 of all answers."
    )
    assert risk([True], held_out_right=0, held_out=0, tolerance=0.02) is None
    late = Cohort("a", "b", 300, 60, Share.of(12, 29), None, None)
    assert not late.ripe
    half = Share.of(12, 29)
    assert half is not None
    assert half.sentence().endswith("too few to decide by (30 are needed)")
    assert estimate([0.9], [0.8] * 99, [True] * 99) is None
    assert estimate([], [0.8] * 200, [True] * 200) is None


@pytest.mark.heavy
def test_a_broken_champion_is_told_within_twenty_labels_and_a_sound_one_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    found = [
        risk((rng.random(100) < 0.5).tolist(), held_out_right=900, held_out=1000, tolerance=0.02) for _ in range(40)
    ]
    acted = [one.found.first_act for one in found if one is not None and one.found.first_act is not None]
    assert len(acted) == 40
    assert np.median(acted) <= 20
    sound = [
        risk((rng.random(200) < 0.9).tolist(), held_out_right=900, held_out=1000, tolerance=0.02) for _ in range(40)
    ]
    assert sum(one is not None and one.level == "act" for one in sound) == 0


@pytest.mark.parametrize(
    ("answer", "label", "good"),
    [
        ({"kind": "label-scores", "prediction": "1"}, 1, True),
        ({"kind": "label-set", "prediction": "a|b"}, "b|a", True),
        ({"kind": "label-set", "prediction": ""}, [], True),
        ({"kind": "label-set", "prediction": "a"}, ["a", "b"], False),
        ({"kind": "number-value", "prediction": 3.0, "low": 2.0, "high": 4.0}, 4.1, False),
        ({"kind": "number-value", "prediction": 3.0, "low": 2.0, "high": 4.0}, "no number", False),
        ({"kind": "refusal"}, "a", False),
    ],
)
def test_right_is_told_for_every_kind_of_answer(answer: dict, label: object, good: bool) -> None:
    assert right(answer, label) is good


def test_how_many_labels_are_asked_for() -> None:
    assert labels_wanted(0.1) < labels_wanted(0.3)
    assert labels_wanted(0.1, worse=0.02) > 6 * labels_wanted(0.1) * 0.9
