"""A version that has learned a world that moved, and proved it on today's rows, is no longer alarmed by that move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lingqu.monitor.windows import Record, Watch
from lingqu.registry import Registry
from lingqu.registry.rollouts import begin, move, proved, rollout
from lingqu.serve.journal import iso
from lingqu.spec.running import MonitorSettings
from tests.monitor.stream import START, Service, reference_of, registered


def looked(service: Service, *, has_proved: bool) -> Record:
    record = Record()
    Watch(service.version, service.store, MonitorSettings(), reference_of(), proved=has_proved).look(record)
    return record


@pytest.mark.heavy
def test_what_a_version_has_proved_itself_on_is_what_its_windows_are_compared_with(tmp_path: Path) -> None:
    store, first = registered(tmp_path)
    old = Service(store, first)
    old.answers(300)
    old.answers(600, shift=0.8)
    # It began to prove itself when the world had moved, and leads from the 900th answer on.
    new = Service(store, replace(first, number=2, at=iso(START + 60.0 * 300)))
    new.count = old.count
    new.answers(600, shift=0.8)
    assert looked(new, has_proved=False).standing == ["age"]
    record = looked(new, has_proved=True)
    assert [window.signals for window in record.windows] == [[], []]
    assert [window.trial for window in record.windows] == [600, 900]
    new.answers(600, shift=1.6)
    assert looked(new, has_proved=True).standing == ["age"], "what moves beyond that is still seen"
    # Where next to nothing came while it proved itself, what came last before it led is of today as well.
    late = Service(store, replace(first, number=3, at=iso(START + 60.0 * new.count)))
    late.count = new.count
    late.answers(600, shift=1.6)
    record = looked(late, has_proved=True)
    assert ([window.signals for window in record.windows], record.windows[0].trial) == ([[], []], 300)


def test_a_window_larger_than_the_reference_is_compared_with_as_many_answers(tmp_path: Path) -> None:
    store, version = registered(tmp_path)
    service = Service(store, replace(version, at=iso(START)))
    service.answers(450)
    record, settings = Record(), MonitorSettings(window=150, reference=100)
    Watch(service.version, store, settings, reference_of(), proved=True).look(record)
    assert [window.trial for window in record.windows] == [0, 150, 300]


def test_only_a_proof_on_rows_of_today_counts(tmp_path: Path) -> None:
    store, first = registered(tmp_path)
    registry = Registry(store)
    registry.promote("credit", 1, who="anna", why="a hunch")
    assert not proved(store, first)
    about = {name: getattr(first, name) for name in ("bundle", "run", "task", "metrics", "lineage", "spec")}
    gate = {"decision": "promote", "gate_set": "audit-0123"}
    second = registry.register("credit", data_version="d2", decision=gate, **about)
    assert proved(store, second)
    assert not proved(store, replace(second, decision={**gate, "decision": "keep"}))
    third = registry.register("credit", data_version="d3", decision={"decision": "promote"}, **about)
    begin(store, third, against=1, epoch=1, why="its gate was passed", evidence={})
    assert not proved(store, third)
    standing = rollout(store, "credit")
    assert standing is not None
    move(store, standing, "canary", 0.05, why="better", evidence={"wins": 8, "losses": 0})
    assert proved(store, third)
