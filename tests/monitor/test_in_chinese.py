"""A status in Chinese says all that one in English says: no sentence of ours is left as it was."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from lingqu.monitor.alarms import Alarm
from lingqu.monitor.blocked import Blocked
from lingqu.monitor.budgets import latency, refusals
from lingqu.monitor.chinese import OURS, RECORDED, spoken, told
from lingqu.monitor.drift import TESTS, Moved
from lingqu.monitor.quality import Cohort, Share
from lingqu.monitor.risk import Risk, risk
from lingqu.monitor.status import Status, _drift, _notes
from lingqu.monitor.windows import Record, Watch
from lingqu.spec.running import MonitorSettings
from lingqu.statistics import Estimate, Interval
from tests.monitor.stream import Service, reference_of, registered

OF_OURS = {
    "e",
    "KS",
    "AUC",
    "Kolmogorov-Smirnov",
    "p",
    "E",
    "V",
    "Cramér",
    "age",
    "job",
    "credit",
    "serve",
    "journal",
    "inputs",
    "sample",
    "plain",
    "photo",
    "KiB",
    "lingqu",
    "thaw",
    "improve",
    "promote",
    "feedback",
    "queue",
    "gates",
    "history",
    "language",
    "zh",
    "calibration",
}
ZH = spoken("zh")


def left_in_english(text: str) -> list[str]:
    """The words that are neither a name nor a sign."""
    return [
        word
        for word in re.findall(r"[A-Za-zé][\w\-é]*", text)
        if word not in OF_OURS and word not in ("monitor", "audit")
    ]


def moved(count: int) -> list[Moved]:
    names = ["age", "job: unseen", "refused", "confidence", "width of the range", "job: wording", "age: missing"]
    return [
        Moved(names[place % len(names)], "age", kind, 0.231, 1e-9, p, True)
        for place, (kind, p) in enumerate([(kind, p) for kind in TESTS for p in (2e-8, 0.004)][:count])
    ]


def risks() -> list[Risk]:
    given = ([], [True] * 10, [True] * 60, [True] * 20 + [False] * 20, [True] * 30 + [False] * 12)
    found = [risk(list(one), held_out_right=900, held_out=1000, tolerance=0.02) for one in given]
    return [one for one in found if one is not None]


def cohorts() -> list[Cohort]:
    guess = Estimate(0.9, Interval(0.87, 0.93), 300)
    return [
        Cohort("a", "b", 300, 10, Share.of(7, 8), None, guess),
        Cohort("a", "b", 300, 40, Share.of(35, 40), None, guess),
        Cohort("a", "b", 1300, 10, Share.of(1, 2), None, guess),
        Cohort("a", "b", 300, 0, None, None, guess),
        Cohort("a", "b", 300, 10, None, None, None),
    ]


def test_every_sentence_of_a_status_is_said_in_chinese(tmp_path: Path) -> None:
    store, version = registered(tmp_path)
    service = Service(store, version)
    watch = Watch(version, store, MonitorSettings(audit=0, window=100, season="week"), replace(reference_of(), rows=20))
    record = Record(skipped=1200)
    service.answers(150, inputs=False)
    rest = watch.look(record)
    record.windows[-1] = replace(record.windows[-1], trial=600)
    quiet = Status("credit", 1, 150, 50, 100, record.windows, [], None, [], _notes(watch, record, rest))
    slow, refused = latency([10.0] * 80 + [200.0] * 20, limit=50.0), refusals(20, 100, 0.05)
    alarms = [Alarm("risk", "act", one.sentence(), {}) for one in risks()]
    alarms += [_drift(moved(count), record.windows[-1], one) for count in (1, 2, 8) for one in (None, risks()[2])]
    alarms += [Alarm(one.name, "warn", f"Two windows in a row: {one.sentence()}", {}) for one in (slow, refused)]
    kept = [("language = zh",), ("calibration",), ("calibration", "language = zh"), ("calibration", "calibration")]
    alarms += [Alarm("blocked", "warn", Blocked("credit", 3, checks).sentence()) for checks in kept]
    english = [
        quiet.sentence(),
        replace(quiet, windows=record.windows * 2).sentence(),
        replace(quiet, windows=[]).sentence(),
        *(replace(quiet, alarms=alarms[:count]).sentence() for count in (1, len(alarms))),
        *(alarm.sentence() for alarm in alarms),
        *(one.sentence() for one in cohorts()),
        *quiet.notes,
        *_notes(replace(watch, sample=0.001), Record(), []),
        *_notes(watch, Record(windows=[replace(record.windows[-1], unwatched=["photo"])]), []),
    ]
    assert len(quiet.notes) >= 5
    for sentence in english:
        said = told(ZH, sentence)
        assert left_in_english(said) == [], f"{sentence!r} is {said!r}"
        assert told(spoken("en"), sentence) == sentence
        numbers = sorted(re.findall(r"\d[\d,.]*\d|\d", sentence))
        assert [one for one in sorted(re.findall(r"\d[\d,.]*\d|\d", said)) if one not in numbers] == []


def test_no_template_loses_a_value() -> None:
    names = re.compile(r"\{(\w+)\}")
    for english, chinese in {**OURS, **RECORDED}.items():
        assert set(names.findall(english)) == set(names.findall(chinese)), english
        assert not left_in_english(names.sub("", chinese)) or "monitor" in chinese or "serve" in chinese, chinese
