"""HARDENING F4, F5, F8: what a slice, a single loud user and a model's own answers can do to the next model."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest

from lingqu.contract import LabelScores, Rows
from lingqu.evaluate.gate import decide
from lingqu.feedback.influence import Offer, within_caps
from lingqu.feedback.voice import voices
from lingqu.loop import improve, load
from lingqu.registry import Registry
from lingqu.registry.alpha import alpha_of
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.spec import TrainSettings
from lingqu.spec.running import ServeSettings
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.feedback.test_circle import rows

pytestmark = pytest.mark.heavy


def test_one_point_more_in_all_does_not_pay_for_five_less_in_a_slice() -> None:
    """A slice of 400 of 4,000 rows loses five points, the rest gains more than one."""
    task, blocked, led = find_task("text-classification"), 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth = np.where(rng.random(4000) < 0.5, "a", "b")
        inside = np.arange(4000) < 400
        old = rng.random(4000) < 0.85
        draw = rng.random(4000)
        # Some answers turn right outside, and more turn wrong inside.
        new = np.where(inside, old & (draw > 0.06), old | (draw < 0.12))
        answers = [
            [LabelScores.of({one: 0.8, "b" if one == "a" else "a": 0.2} if good else {one: 0.2, "b" if one == "a" else "a": 0.8})
             for one, good in zip(truth.tolist(), right.tolist(), strict=True)]
            for right in (old, new)
        ]  # fmt: skip
        told = decide(task, truth.tolist(), *answers, alpha=alpha_of(1), resamples=500,
                      slices={"region": ["north" if one else "south" for one in inside]})  # fmt: skip
        led += told.difference > 0.005
        blocked += told.decision == "keep" and any(check.name == "region = north" for check in told.checks)
    assert (led, blocked) == (20, 20)


def test_ten_thousand_flips_of_one_user_are_a_hundredth_of_the_rows(tmp_path: Path) -> None:
    task, base, golden = find_task("text-classification"), rows(3000, 1), rows(2000, 2)
    other = {"money": "bugs", "bugs": "money"}
    said = [(row["message"], other[row["queue"]]) for row in rows(10_000, 3)]
    counts = {name: sum(row["queue"] == name for row in base) for name in other}
    offers = [Offer(f"{n}", "mallory", n, label, False) for n, (_, label) in enumerate(said)]
    taken, left = within_caps(offers, counts)
    assert len(taken) <= 0.01 * len(base)
    assert len(taken) + len(left) == 10_000
    flipped = [{"message": said[int(offer.id)][0], "queue": said[int(offer.id)][1]} for offer in taken]
    shares = []
    for part, given in (("without", base), ("with", [*base, *flipped])):
        answers, asked = learned(given, golden, tmp_path, part), [row["queue"] for row in golden]
        shares.append(
            float(np.mean([one.cells()["prediction"] == true for one, true in zip(answers, asked, strict=True)]))
        )
    assert shares[0] - shares[1] <= 0.002 + 1e-9, (task.name, shares)


def learned(given, asked, tmp_path: Path, part: str):
    from lingqu.train.folds import learned_answers

    parts = [Rows({"text": [r["message"] for r in some], "label": [r["queue"] for r in some]})
             for some in (given, rows(300, 4), asked)]  # fmt: skip
    return learned_answers(
        find_task("text-classification"), "ngram-linear", *parts, kinds={"text": "text", "label": "label"}, size="small",
        settings=TrainSettings(), seconds=60.0, store=Store.open(tmp_path / "store"), work=tmp_path / part, part=part,
    )  # fmt: skip


@pytest.mark.parametrize("told", ["model", pytest.param("person", marks=pytest.mark.slow)])
def test_ten_rounds_on_a_models_own_answers_promote_nothing(finished: Path, told: str) -> None:
    """What comes back is what it said: told to be a model's, or by a client that gives it out as a person's."""
    spec, draw = finished / "lingqu.yaml", random.Random(8)
    spec.write_text(spec.read_text() + "improve: {after: 5 new labels, promote: auto, shadow: never}\n")
    store = Store.open(finished / ".lingqu")
    inbox, words = Inbox(store, ServeSettings()), " ".join(find_task("text-classification").toy(200)["text"]).split()
    found = []
    for _ in range(10):
        asked = [{"text": " ".join(draw.choices(words, k=8))} for _ in range(12)]
        ids, answers = [new_id() for _ in asked], load("kinds", store=store).predict(asked)
        with Journal(store, ServeSettings().journal) as journal:
            for id, row, answer in zip(ids, asked, answers, strict=True):
                journal.record(Entry(id, "r", time.time(), "kinds", 1, "champion", ANYONE, None, row, answer, 1.0))
        for id, answer in zip(ids, answers, strict=True):
            inbox.receive({"prediction_id": id, "label": answer.cells()["prediction"], "origin": told}, ANYONE)
        found.append(improve(spec, store=store)["decision"])
    assert Registry(store).aliases("kinds")["champion"] == 1
    given = voices(store, "kinds")
    assert [voice.origin for voice in given] == [told] * 120
    if told == "model":
        assert found == ["wait"] * 10
        assert {(voice.status, voice.reason) for voice in given} == {
            ("rejected", "a model's own answer is no evidence")
        }
    else:
        # They are learned from, and teach nothing that a gate could see.
        assert set(found) <= {"keep", "not-enough-rows"}
