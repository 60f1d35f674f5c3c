"""What differs by weekday is no drift where a window is compared with the same weekdays of the weeks before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from lingqu.monitor.observed import answered, weeks_before
from lingqu.monitor.windows import Record, Watch, Window
from lingqu.spec.running import MonitorSettings
from lingqu.store.tables import PREDICTIONS
from tests.monitor.stream import START, Service, reference_of, registered

PART = 240
"""Answers between two looks at the calendar: four hours at one a minute."""


def weekend(count: int) -> bool:
    return datetime.fromtimestamp(START + 60.0 * count, UTC).weekday() >= 5


def serve(service: Service, days: float, *, moved: float = 0.0) -> None:
    """A service whose users are a deviation older at weekends."""
    for _ in range(round(days * 1440 / PART)):
        service.answers(PART, shift=moved + 1.0 * weekend(service.count))


def looked(service: Service, **settings) -> Record:
    record = Record()
    held_out = reference_of()
    Watch(service.version, service.store, MonitorSettings(window=480, **settings), held_out).look(record)
    return record


@pytest.mark.heavy
def test_a_weekend_is_drift_until_it_is_compared_with_weekends(tmp_path: Path) -> None:
    service = Service(*registered(tmp_path))
    serve(service, 16)
    plain, season = looked(service), looked(service, season="week")
    assert [one for one in plain.windows if "age" in one.signals], "held-out rows hold no weekend"
    before, after = season.windows[:21], season.windows[24:]
    assert all(one.season == 0 for one in before), "in the first week there is nothing to compare with"
    assert all(one.season >= 480 for one in after)
    assert [one.number for one in after if one.signals] == []
    seen = len(season.windows)
    serve(service, 2, moved=0.5)
    moved = looked(service, season="week").windows[seen:]
    assert [one for one in moved if "age" in one.signals], "what moves beyond the week is still seen"


def test_weeks_are_whole_days_and_a_sample_is_drawn(tmp_path: Path) -> None:
    service = Service(*registered(tmp_path))
    service.count = 214
    ids = service.answers(1440)
    service.count += 1440 * 6
    later = service.answers(100)
    rows = [one for one in answered(service.store, service.version, "", 5000) if one.id in set(later)]
    found = weeks_before(service.store, service.version, rows, 5000)
    assert [one.id for one in found] == ids[:100], "the same hours of the Friday a week before"
    wide = weeks_before(service.store, service.version, [rows[0]] * 200, 5000)
    assert [one.id for one in wide] == ids, "the whole of that Friday where its hours are too few"
    assert 5 <= len(weeks_before(service.store, service.version, rows, 20)) <= 60
    with service.store.database.writing() as connection:
        connection.execute(update(PREDICTIONS).where(PREDICTIONS.c.id.in_(ids[:40])).values(role="shadow", input=None))
    found = weeks_before(service.store, service.version, [rows[0]] * 200, 5000)
    assert [one.id for one in found] == ids[40:], "what it answered unseen before it led tells of no weekday"
    everything = answered(service.store, service.version, "", 5000)
    assert weeks_before(service.store, service.version, everything, 100) == [], "they hold every weekday themselves"


def test_a_window_that_was_kept_before_there_were_seasons_is_read() -> None:
    kept = Window(1, "", "", "2026-11-22T13:00", "", 300, 300, 0, 0.01, [], None, [], 0).to_json()
    del kept["season"]
    assert Window.from_json(kept).season == 0
