"""Which rung is kept, and what is said of it: a lead that few rows show may be luck, and more rows would tell."""

from __future__ import annotations

import re

import numpy as np

from lingqu.bundle.read import Bundle
from lingqu.evaluate.judged import Judged
from lingqu.evaluate.rung import choose, judged_rung, score
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import between
from tests.evaluate.tiny_bundle import noisy


def judged(right: float, rows: int, seed: int) -> Judged:
    """Answers of which this share is right."""
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 2, rows)
    said = np.where(draw.random(rows) < right, truth, 1 - truth)
    return Judged("labels", ("a", "b"), truth, np.eye(2)[said])


def better(base: Judged, mended: int) -> Judged:
    """The same answers, some mistakes mended."""
    said = base.guess.copy()
    wrong = np.flatnonzero(~base.right)[:mended]
    said[wrong] = base.truth[wrong]
    return Judged("labels", ("a", "b"), base.truth, np.eye(2)[said])


def test_why_the_cheaper_one_is_kept_and_how_many_rows_would_tell() -> None:
    cheap = judged(0.95, 135, 1)
    dear = better(cheap, 3)
    found = choose(["logistic", "resnet"], [cheap, dear], "accuracy")
    assert (found["chosen"], found["best"]) == (0, 1)
    told = re.fullmatch(
        r"the lead of resnet, 0\.0222, may be luck on 135 rows \(paired test, p = 0\.13\); about ([\d,]+) would show it",
        found["why"],
    )
    assert told, found["why"]
    needed = int(told[1].replace(",", ""))
    assert 136 <= needed < 400
    # What was foretold holds: on so many rows of the same kind the lead is seen four times in five.
    share, seen = 3 / 135, 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        truth = np.zeros(needed, int)
        wrong = (draw.random(needed) < share).astype(int)
        pair = [Judged("labels", ("a", "b"), truth, np.eye(2)[said]) for said in (wrong, truth)]
        seen += choose(["logistic", "resnet"], pair, "accuracy")["chosen"] == 1
    assert 130 <= seen <= 200, seen


def test_a_rung_without_mistakes_is_not_certain(bundles: dict[str, Bundle]) -> None:
    bundle, rows = bundles["text-classification"], noisy("text-classification", 60, seed=5, wrong=0.0)
    right = np.flatnonzero(judged_rung(bundle, rows).right)[:25]
    told = score(bundle, rows.take(right), "f1")
    assert (told["value"], told["low"], told["high"]) == (1.0, None, None)
    assert told["why"] == "all 25 right: too few to tell more"
    assert between(told, Words("zh")) == "25 行全对：行数太少，看不出更多"
    some = score(bundle, noisy("text-classification", 60, seed=5, wrong=0.3), "f1")
    assert some["low"] < some["value"] < some["high"]


def test_no_better_is_said_in_both_languages() -> None:
    same = judged(0.9, 100, 2)
    found = choose(["linear", "bilstm", "cnn"], [same, same, same], "accuracy")
    assert found["why"] == "the best of all"
    zh = Words("zh")
    for why in ("the best of all", "cnn is no better on the same 100 rows"):
        assert zh.told(why) != why
    told = "the lead of cnn, 0.02, may be luck on 135 rows (paired test, p = 0.12); about 301 would show it"
    assert zh.told(told) == "cnn 领先 0.02，但只有 135 行，可能是运气（成对检验 p = 0.12）；大约 301 行才能看出来"
