"""Windows are looked at once, when they are full; an alarm takes two in a row; nothing is decided by fewer rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lingqu.contract import Rows
from lingqu.data.accept import accept
from lingqu.monitor import asked
from lingqu.monitor.drift import LEVEL, Moved, compare, level, standing
from lingqu.monitor.observed import Answered, kept_as, labelled, signals_of_inputs
from lingqu.monitor.reference import Reference
from lingqu.monitor.signals import EVENTS, NAMES, NUMBERS, Signal
from lingqu.monitor.status import _notes
from lingqu.monitor.windows import Record, Watch, Window, too_few
from lingqu.serve.formatter import LARGEST_BYTES
from lingqu.serve.journal import iso
from lingqu.spec.running import MonitorSettings
from tests.monitor.stream import START, Service, reference_of, registered


def watching(folder: Path, **settings) -> tuple[Service, Watch]:
    store, version = registered(folder)
    return Service(store, version), Watch(version, store, MonitorSettings(**settings), reference_of())


def test_a_window_is_looked_at_once_when_it_is_full(tmp_path: Path) -> None:
    service, watch = watching(tmp_path, audit=0.2, window=100)
    record = Record()
    first = service.answers(70)
    assert [one.id for one in watch.look(record)] == first
    assert record.windows == []
    more = service.answers(160)
    rest = watch.look(record)
    assert [window.rows for window in record.windows] == [100, 100]
    assert (record.windows[0].first, record.windows[0].last) == (first[0], more[29])
    assert [one.id for one in rest] == more[130:]
    assert record.rows == 200
    again = Record.from_json(record.to_json())
    assert watch.look(again) == rest
    assert again.windows == record.windows
    window = record.windows[0]
    assert (window.tested, window.inputs, window.signals) == (8, 100, [])
    assert window.estimate is not None
    assert window.estimate.value == pytest.approx(0.8, abs=0.1)
    secret = watch.store.secret("audit")
    assert window.asked == sum(asked(one, 0.2, secret) for one in [*first, *more[:30]])
    assert window.sentence() == "Window 1 from 2026-05-28 20:26: 100 answers, none of 8 signals moved."


def test_what_moved_alarms_in_its_second_window_and_no_longer_when_it_came_back(tmp_path: Path) -> None:
    service, watch = watching(tmp_path, window=100)
    record = Record()
    service.answers(100)
    service.answers(100, shift=1.0)
    watch.look(record)
    assert record.windows[-1].signals == ["age"]
    assert record.standing == []
    service.answers(100, shift=1.0)
    watch.look(record)
    assert record.standing == ["age"]
    service.answers(100)
    watch.look(record)
    assert record.standing == []


def test_budgets_stand_with_the_drift(tmp_path: Path) -> None:
    service, watch = watching(tmp_path, window=100, latency_p95="<= 20 ms", refused="<= 2 %", audit=1.0)
    record = Record()
    service.answers(100)
    for _ in range(2):
        service.answers(100, latency=40.0, refused=20)
    watch.look(record)
    assert record.windows[0].budgets[0].sentence() == (
        "0.0% of 100 answers took longer than 20 ms, where 5.0% may (p = 1); 95 of 100 took at most 5 ms."
    )
    assert record.standing == ["latency", "refusals", "refused"]
    assert [window.asked for window in record.windows] == [100, 80, 80]
    assert not record.windows[0].signals


def test_answers_alone_are_watched_where_no_input_is_kept(tmp_path: Path) -> None:
    service, watch = watching(tmp_path, window=100)
    record = Record()
    service.answers(100, inputs=False)
    watch.look(record)
    assert (record.windows[0].inputs, record.windows[0].tested) == (0, 3)


def test_inputs_whose_key_is_not_here_are_not_watched(tmp_path: Path) -> None:
    service, watch = watching(tmp_path, window=100)
    record = Record()
    assert kept_as(watch.store, watch.version) is None
    service.answers(100, encrypted=True)
    watch.look(record)
    assert kept_as(watch.store, watch.version) == "plain"
    assert (record.windows[0].inputs, record.windows[0].tested) == (0, 3)


@pytest.mark.heavy
def test_windows_and_labels_are_the_same_on_postgresql(tmp_path: Path, postgresql: Callable[[], str]) -> None:
    found = []
    for url in (None, postgresql()):
        folder = tmp_path / ("here" if url is None else "there")
        store, version = registered(folder, url=url)
        service = Service(store, version)
        watch = Watch(version, store, MonitorSettings(window=100, audit=0), reference_of())
        record = Record()
        ids = service.answers(130) + service.answers(130, shift=1.0)
        service.labels(ids[:40], [True] * 30 + [False] * 10)
        rest = watch.look(record)
        found.append((record.to_json(), [one.id for one in rest], labelled(store, version)))
    assert found[0] == found[1]


@pytest.mark.heavy
def test_after_a_long_time_only_what_is_new_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lingqu.monitor.windows.KEPT", 2)
    service, watch = watching(tmp_path, window=100)
    record = Record()
    ids = service.answers(430)
    rest = watch.look(record)
    assert (record.skipped, record.rows, len(record.windows)) == (200, 400, 2)
    assert record.windows[0].first == ids[200]
    assert [one.id for one in rest] == ids[400:]


def test_a_sample_of_inputs_and_many_columns_make_larger_windows(tmp_path: Path) -> None:
    _, watch = watching(tmp_path)
    assert watch.size == 300
    sizes = [replace(watch, sample=share).size for share in (0.25, 0.05, 0.01, 0.001, 0.0)]
    # Five thousand hold 250 inputs of one in twenty, but 50 of one in a hundred, by which nothing could be judged.
    assert sizes == [1200, 5000, 15_000, 50_000, 300]
    assert replace(watch, settings=MonitorSettings(window=8000), sample=0.5).size == 8000
    many = [{"name": f"c{i}", "source": "", "kind": "number", "missing": False} for i in range(21)]
    wide = Reference(500, [], many, {}, np.empty(0), np.empty(0, bool))
    assert Watch(watch.version, watch.store, MonitorSettings(), wide).size == 1000
    assert Watch(watch.version, watch.store, MonitorSettings(window=150), wide).size == 150


def test_that_a_window_has_too_few_inputs_is_said(tmp_path: Path) -> None:
    service, watch = watching(tmp_path, window=100, audit=0)
    service.answers(60, inputs=False)
    service.answers(40)
    record = Record()
    watch.look(record)
    assert (record.windows[0].inputs, record.windows[0].tested) == (40, 3)
    few = "A window has {} inputs that were kept, and 100 are needed, so only answers are watched: see serve.journal.sample."
    assert few.format(40) in _notes(watch, record, [])
    assert few.format(50) in _notes(replace(watch, sample=0.001), Record(), [])
    assert not [note for note in _notes(replace(watch, sample=0.01), Record(), []) if "see serve.journal" in note]


def pictures(rows: int, **more: object) -> list[Answered]:
    """Answers about pictures that the journal left out, each of another size."""
    answer = {"kind": "label-scores", "prediction": "up", "confidence": 0.9}
    shown = [{"photo": {"$omitted": 190 + place}, **more} for place in range(rows)]
    return [Answered(f"{place:05}", iso(START), answer, 0.9, 5.0, "masked", row) for place, row in enumerate(shown)]


def test_a_column_that_the_journal_leaves_out_is_told_and_counts_as_no_input(tmp_path: Path) -> None:
    photo = {"name": "image", "source": "photo", "kind": "image", "missing": False}
    _, watch = watching(tmp_path, window=100)
    watch = replace(watch, held_out=replace(watch.held_out, limits=[photo]))
    record = Record(windows=[watch.see(pictures(100), 1, 0.01)])
    assert (record.windows[0].inputs, record.windows[0].unwatched) == (0, ["photo"])
    assert Record.from_json(record.to_json()).windows == record.windows
    told = (
        "Column 'photo' is not watched, and nothing is learned from feedback on it, for the journal leaves it out: "
        f"it keeps pictures under serve.journal.inputs: plain, up to {LARGEST_BYTES >> 10} KiB each."
    )
    notes = _notes(watch, record, [])
    assert (notes.count(told), any("No input can be read" in note for note in notes)) == (1, False)
    assert told in _notes(watch, Record(), pictures(3)), "at once, not when the first window is full"
    watch = replace(watch, held_out=replace(watch.held_out, limits=[photo, *reference_of().limits]))
    window = watch.see(pictures(100, age=1.0, job="cook"), 1, 0.01)
    assert (window.inputs, window.unwatched) == (100, ["photo"])
    # Windows that were kept before this was told have no word of it.
    older = {name: value for name, value in window.to_json().items() if name != "unwatched"}
    assert Window.from_json(older).unwatched == []


def test_a_column_is_watched_whether_it_goes_by_its_role_or_by_the_users_name() -> None:
    limits = [{"name": "age", "source": "years", "kind": "number", "missing": True}]
    shown = [{name: float(place)} for place, name in enumerate(["years", "age"] * 10)]
    answer = {"kind": "number-value", "prediction": 1.0, "low": 0.0, "high": 2.0}
    rows = [Answered(f"{place:05}", iso(START), answer, None, 5.0, "plain", row) for place, row in enumerate(shown)]
    watched = {signal.name: signal.values for signal in signals_of_inputs(rows, limits, {}) if signal.kind == NUMBERS}
    assert {name: [*values] for name, values in watched.items()} == {"age": [*map(float, range(20))]}


def test_rows_whose_picture_was_not_kept_are_refused_for_one_reason() -> None:
    limits = [{"name": "image", "source": "photo", "kind": "image", "missing": False}]
    _, why = accept(Rows({"photo": [{"$omitted": 190}, {"$omitted": 187}]}), limits)
    kept = f"It keeps pictures under serve.journal.inputs: plain, up to {LARGEST_BYTES >> 10} KiB each."
    assert why == [f"Expected a picture in 'photo', found one that the journal left out. {kept}"] * 2


@pytest.mark.heavy
def test_what_moved_is_seen_by_one_input_in_a_hundred(tmp_path: Path) -> None:
    service, watch = watching(tmp_path)
    watch, record = replace(watch, sample=0.01), Record()
    for _ in range(150):
        service.answers(99, inputs=False)
        service.answers(1, shift=2.0)
    assert watch.look(record) == []
    assert (record.windows[0].inputs, record.windows[0].signals) == (150, ["age"])


def test_nothing_is_decided_by_few_rows() -> None:
    rng = np.random.default_rng(0)

    def ages(rows: int, shift: float) -> list[Signal]:
        return [Signal("age", "age", NUMBERS, rng.normal(shift, 1, rows))]

    assert compare(ages(1000, 0), ages(99, 5)) == []
    assert compare(ages(99, 0), ages(1000, 5)) == []
    assert compare(ages(100, 0), ages(100, 5))[0].drifted
    assert compare(ages(1000, 0), [Signal("age", "age", NAMES, np.array(["a"] * 200))]) == []
    few = Reference(80, [], [], {}, np.empty(0), np.empty(0, bool))
    assert too_few(few) == "Drift cannot be judged: there are 80 held-out rows to compare with, and 100 are needed."
    assert too_few(reference_of(100)) == ""


def test_a_tiny_effect_is_no_drift_however_sure_it_is() -> None:
    rng = np.random.default_rng(1)
    before, now = (Signal("age", "age", NUMBERS, rng.normal(shift, 1, 20_000)) for shift in (0.0, 0.12))
    (found,) = compare([before], [now])
    assert found.adjusted < 1e-6
    assert not found.drifted
    rare = [Signal("x", "x", EVENTS, np.arange(20_000) < count) for count in (0, 200)]
    (found,) = compare([rare[0]], [rare[1]])
    assert (found.effect, found.drifted) == (0.01, False)
    assert (
        Moved("x", "x", EVENTS, 0.01, 0.2, 0.2, False).sentence()
        == "x stayed: rise 0.01, adjusted p = 0.2 (exact rate)."
    )


def test_the_level_follows_from_what_the_user_allows() -> None:
    day = 86_400.0
    assert level(1.0, 300, 30 * day, 300) == LEVEL
    # 10,000 answers a day are 12,175 windows a year of 300.
    assert level(1.0, 100_000, 10 * day, 300) == pytest.approx(1 / 12_175)
    assert level(12.0, 100_000, 10 * day, 300) == pytest.approx(12 / 12_175)
    assert level(1.0, 0, 0.0, 300) == LEVEL
    assert standing([["a", "b"], ["b", "c"]]) == ["b"]


def test_a_reference_is_read_as_it_was_written() -> None:
    made = reference_of(120)
    vectors = Signal("text: wording", "text", "vectors", np.eye(4, dtype=np.float32))
    made = Reference(made.rows, [*made.signals, vectors], made.limits, made.known, made.confidence, made.right)
    again = Reference.from_bytes(made.to_bytes())
    assert (again.rows, again.limits, again.known) == (made.rows, made.limits, made.known)
    for one, other in zip(made.signals, again.signals, strict=True):
        assert (one.name, one.column, one.kind) == (other.name, other.column, other.kind)
        assert np.array_equal(one.values, other.values)
    assert np.array_equal(again.right, made.right)
