"""One check that keeps every challenger out is told, once there are three rounds of it, until a round ends otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lingqu.feedback.round import ROUND
from lingqu.monitor.blocked import ROUND as TOLD_UNDER
from lingqu.monitor.blocked import blocked
from lingqu.monitor.status import status
from lingqu.registry import Registry, Version
from lingqu.spec.running import JournalSettings, MonitorSettings
from lingqu.store import Store, write_bytes
from lingqu.store.history import append
from tests.monitor.stream import reference_of, registered

SAID = (
    "The last 3 rounds all kept the champion for the same check: language = zh. Label more rows of it (lingqu feedback "
    "queue), or change what gates ask of it; see: lingqu history credit"
)


def went_round(
    store: Store, folder: Path, decision: str, *failed: str, against: int = 1, learned: bool = True
) -> int | None:
    """A round of the loop as it is kept, with the challenger that it made."""
    number = None
    if learned:
        write_bytes(folder / "bundle" / "model.onnx", f"{len(Registry(store).versions())}".encode())
        checks = [{"name": name, "passed": name not in failed, "sentence": ""} for name in ("better", "language = zh")]
        told: dict[str, Any] = {"decision": decision, "against": against, "checks": checks}
        facts: dict[str, Any] = {"run": "r", "task": "tabular-classification", "metrics": {}, "lineage": {}, "spec": {}}
        digest = store.put_folder(folder / "bundle")
        number = Registry(store).register("credit", bundle=digest, data_version="d1", decision=told, **facts).number
    with store.database.writing() as connection:
        about = {"name": "credit", "who": "lingqu", "action": ROUND, "version": number}
        append(connection, **about, evidence={"decision": decision if learned else "wait", "version": number})
    return number


def compared_with(store: Store, version: Version) -> None:
    """Keep the reference of a version as the first look at it does, for its bundle answers nothing."""
    masked, most = JournalSettings().inputs == "masked", MonitorSettings().reference
    made = {"bundle": version.bundle, "data": version.data_version, "rows": most, "masked": masked}
    key = store.stage("monitor reference", {**made, "code": store.code_version("monitor")})
    blob = store.put_bytes(reference_of().to_bytes())
    store.finish_stage(key, {"reference": blob}, 0.0, blobs=[blob])


def test_three_rounds_of_one_failed_check_are_told(tmp_path: Path) -> None:
    assert TOLD_UNDER == ROUND
    store, version = registered(tmp_path)
    compared_with(store, version)
    Registry(store).promote("credit", 1, who="anna", why="first")
    went_round(store, tmp_path, "promote", against=0)
    went_round(store, tmp_path, "keep", "language = zh", against=9)
    went_round(store, tmp_path, "keep", "language = zh")
    went_round(store, tmp_path, "keep", "language = zh", "better")
    assert blocked(store, version) is None
    assert status("credit", store=store).alarms == []
    # Nothing was learned in this one, so it says nothing.
    went_round(store, tmp_path, "keep", learned=False)
    went_round(store, tmp_path, "keep", "language = zh")
    [alarm] = status("credit", store=store).alarms
    assert (alarm.kind, alarm.level, alarm.text) == ("blocked", "warn", SAID)
    # It is written down once, however often somebody looks, and is no matter of another version.
    assert [alarm.kind for alarm in status("credit", store=store).alarms] == ["blocked"]
    assert [event.why for event in Registry(store).history("credit") if event.action == "alarm"] == [SAID]
    compared_with(store, Registry(store).get("credit@2"))
    assert status("credit@2", store=store).alarms == []
    went_round(store, tmp_path, "keep", "better")
    assert blocked(store, version) is None
