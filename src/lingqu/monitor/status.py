"""How a served model is doing: one look that tells drift, quality, risk and budgets, and raises what alarms there are.

A look finds out what is new since the last one and remembers it, so it costs little however long a service runs. It
changes nothing about the model: drift and risk ask for labels, and only a gate promotes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingqu.errors import Problem, RequestError, UnknownNameError, near
from lingqu.monitor.alarms import Alarm, known, told
from lingqu.monitor.blocked import blocked
from lingqu.monitor.drift import IN_A_ROW, LEAST, Moved
from lingqu.monitor.observed import Answered, Labelled, drawn, kept_as, labelled, shares
from lingqu.monitor.quality import Cohort
from lingqu.monitor.reference import reference
from lingqu.monitor.risk import Risk, labels_wanted, risk
from lingqu.monitor.webhook import Webhook
from lingqu.monitor.windows import Record, Watch, Window, estimated, too_few
from lingqu.registry import Registry, Version
from lingqu.registry.brake import world_moved
from lingqu.registry.rollouts import proved
from lingqu.serve.formatter import LARGEST_BYTES
from lingqu.spec.running import JournalSettings, MonitorSettings
from lingqu.store import Store

COHORTS = 8
"""How many windows are told with their quality, the newest answers besides."""
SHOWN = 5
"""How many signals an alarm tells in words."""
UNSAID = "This store may not be written by you: what was seen is not remembered, and alarms are told here alone."


@dataclass(frozen=True, slots=True)
class Status:
    """How a version is doing."""

    name: str
    version: int
    answers: int
    waiting: int
    """How many answers wait for their window to be full."""
    size: int
    windows: list[Window]
    cohorts: list[Cohort]
    risk: Risk | None
    alarms: list[Alarm]
    notes: list[str]

    @property
    def alarmed(self) -> bool:
        """Whether any alarm stands."""
        return bool(self.alarms)

    def sentence(self) -> str:
        """The whole in one sentence."""
        about = f"{self.name}@{self.version}: {self.answers:,} answers"
        kinds = dict.fromkeys(alarm.kind for alarm in self.alarms)
        if self.alarms:
            return f"{about}, {len(self.alarms)} alarm{'s' if len(self.alarms) > 1 else ''} ({', '.join(kinds)})."
        if not self.windows:
            return f"{about}, too few to judge: a window needs {self.size:,}."
        seen = "window" if len(self.windows) == 1 else "windows"
        return f"{about} in {len(self.windows)} {seen}, no alarm."

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "answers": self.answers,
            "waiting": self.waiting,
            "window": self.size,
            "windows": [one.to_json() for one in self.windows],
            "cohorts": [one.to_json() for one in self.cohorts],
            "risk": self.risk and self.risk.to_json(),
            "alarms": [one.to_json() for one in self.alarms],
            "notes": self.notes,
            "sentence": self.sentence(),
        }


def status(
    name: str,
    *,
    store: Store | None = None,
    settings: MonitorSettings | None = None,
    journal: JournalSettings | None = None,
) -> Status:
    """How the champion of a name is doing, or the version that `name@3` says; UnknownNameError when there is none.

    `settings` and `journal` are those of the version's spec unless given. What is new is remembered in the store and told
    once: to the log, the history, and the webhook of the environment. A store that may not be written is looked at all the
    same, and nobody is told.
    """
    store = store or _here(name)
    version = Registry(store).get(name)
    settings = settings or settings_of(version)
    serve: Mapping[str, Any] = version.spec.get("serve") or {}
    journal = journal or JournalSettings(**(serve.get("journal") or {}))
    # A service may have been started with other settings than the version was made with: what was kept decides.
    masked = (kept_as(store, version) or journal.inputs) == "masked"
    held_out = reference(version, store, most=settings.reference, masked=masked)
    watch = Watch(version, store, settings, held_out, journal.sample, proved(store, version))
    record, rest, labels, live, alarms, unsaid = _look(watch, store)
    alarms += _retrain(store, version)
    return Status(
        version.name,
        version.number,
        record.rows + len(rest),
        len(rest),
        watch.size,
        record.windows,
        _cohorts(watch, record, rest, labels),
        live,
        alarms,
        [*_notes(watch, record, rest), *unsaid],
    )


def _look(
    watch: Watch, store: Store
) -> tuple[Record, list[Answered], list[Labelled], Risk | None, list[Alarm], list[str]]:
    """One look: what is known now, what waits for its window, the labels, the risk, the alarms, and who was not told."""
    version = watch.version
    # Where things stand is kept like the result of a stage, which a later look replaces.
    key = store.stage("monitor", {"name": version.name, "number": version.number, "bundle": version.bundle})
    webhook, unsaid = _webhook(watch.settings) if store.writable else (None, [UNSAID])
    with store.at_work(f"monitor-{version.name}") if store.writable else nullcontext():
        kept = store.stage_result(key)
        record = Record.from_json(kept) if kept else Record()
        rest = watch.look(record)
        labels = labelled(store, version)
        live = _risk(watch, labels)
        found = [*_alarms(record, live), *_blocked(store, version)]
        if store.writable:
            found = told(found, record.alarms, version, store, webhook)
            store.finish_stage(key, record.to_json(), 0.0)
        else:
            found = known(found, record.alarms)
    return record, rest, labels, live, found, unsaid


def statuses(store: Store, settings: MonitorSettings | None = None) -> list[Status]:
    """How every model that has a champion is doing."""
    return [status(name, store=store, settings=settings) for name in champions(store)]


def champions(store: Store) -> list[str]:
    """The names of the models that have a champion."""
    registry = Registry(store)
    return [name for name in registry.names() if registry.alias(name, "champion")]


def settings_of(version: Version) -> MonitorSettings:
    """The monitoring that a version's spec asks for."""
    return MonitorSettings(**(version.spec.get("monitor") or {}))


def _cohorts(watch: Watch, record: Record, rest: list[Answered], labels: list[Labelled]) -> list[Cohort]:
    """The last windows and the newest answers, each with what is known of its quality."""
    found = [
        Cohort(one.first, one.last, one.rows, one.asked, *shares(labels, one.first, one.last), one.estimate)
        for one in record.windows[-COHORTS:]
    ]
    if rest:
        first, last = rest[0].id, rest[-1].id
        asked = drawn(rest, watch.settings.audit, watch.store)
        of_rest = shares(labels, first, last)
        found.append(Cohort(first, last, len(rest), asked, *of_rest, estimated(rest, watch.held_out)))
    return found


def _risk(watch: Watch, labels: list[Labelled]) -> Risk | None:
    """The live risk by the labels of the audit."""
    good = watch.held_out.right
    return risk(
        [one.right for one in labels if one.audit],
        held_out_right=int(good.sum()),
        held_out=len(good),
        tolerance=watch.settings.tolerance,
    )


def _alarms(record: Record, live: Risk | None) -> list[Alarm]:
    """What is wrong now."""
    found: list[Alarm] = []
    standing = set(record.standing)
    if record.windows:
        last = record.windows[-1]
        if any(one.signal in standing for one in last.drifted):
            found.append(_drift([one for one in last.drifted if one.signal in standing], last, live))
        found += [
            Alarm(one.name, "warn", f"Two windows in a row: {one.sentence()}", {"p": one.p, "window": last.number})
            for one in last.budgets
            if one.broken and one.name in standing
        ]
    if live is not None and live.level != "quiet":
        evidence = {"labels": live.found.labels, "wrong": live.found.losses, "limit": live.limit}
        found.append(Alarm("risk", live.level, live.sentence(), evidence))
    return found


def _blocked(store: Store, version: Version) -> list[Alarm]:
    """That one check keeps every challenger of this champion out."""
    held = Registry(store).alias(version.name, "champion")
    found = blocked(store, version) if held and held[0] == version.number else None
    if found is None:
        return []
    return [Alarm("blocked", "warn", found.sentence(), {"rounds": found.rounds, "checks": [*found.checks]})]


def _retrain(store: Store, version: Version) -> list[Alarm]:
    """That the world has moved, which the loop has told already, until somebody thaws the model."""
    if (found := world_moved(store, version.name)) is None:
        return []
    return [Alarm("retrain", "act", found[1], {}, since=found[0])]


def _drift(moved: list[Moved], last: Window, live: Risk | None) -> Alarm:
    """The alarm that signals moved, and what it asks for: labels."""
    words = " ".join(one.sentence() for one in moved[:SHOWN])
    more = f" And {len(moved) - SHOWN} more." if len(moved) > SHOWN else ""
    many = f"{len(moved)} signals" if len(moved) > 1 else "One signal"
    wanted = f"{labels_wanted(live.limit):,} audit labels" if live else "Audit labels"
    ask = f" It may not matter: {wanted} would show whether answers got 5 points worse."
    evidence = {"signals": [one.signal for one in moved], "window": last.number, "q": last.q}
    return Alarm("drift", "warn", f"{many} moved in {IN_A_ROW} windows in a row: {words}{more}{ask}", evidence)


def _notes(watch: Watch, record: Record, rest: list[Answered]) -> list[str]:
    """What was not looked at, and why."""
    found = [too_few(watch.held_out)] if too_few(watch.held_out) else []
    size = watch.size
    if rest or not record.windows:
        short = f"{len(rest):,} answers wait for {size - len(rest):,} more"
        found.append(f"{short}; drift is judged by whole windows of {size:,}.")
    aside = watch.unwatched(record, rest)
    found += [
        f"Column '{name}' is not watched, and nothing is learned from feedback on it, for the journal leaves it out: it "
        f"keeps pictures under serve.journal.inputs: plain, up to {LARGEST_BYTES >> 10} KiB each."
        for name in aside
    ]
    if record.windows and not record.windows[-1].inputs and not aside:
        found.append(
            "No input can be read, so only answers are watched: serve.journal.inputs, or the key of the journal."
        )
    if 0 < watch.inputs(record) < LEAST:
        found.append(
            f"A window has {watch.inputs(record):,} inputs that were kept, and {LEAST} are needed, so only answers are "
            "watched: see serve.journal.sample."
        )
    if record.windows and watch.settings.season != "none" and not record.windows[-1].season:
        found.append(
            "Too few answers of the same weekdays are kept, so the last window was compared with held-out rows."
        )
    if record.windows and record.windows[-1].trial:
        found.append(
            f"The last window was compared with {record.windows[-1].trial:,} answers since version "
            f"{watch.version.number} began to prove itself, for held-out rows are older."
        )
    if record.skipped:
        found.append(f"{record.skipped:,} older answers were not looked at, for nobody had looked for long.")
    if not watch.settings.audit:
        found.append("The audit asks for no labels (monitor.audit is 0), so nothing proves how good answers are.")
    return found


def _webhook(settings: MonitorSettings) -> tuple[Webhook | None, list[str]]:
    """Where alarms go; one that may not be called is told, and keeps nobody from looking."""
    try:
        return Webhook.given(settings.webhook_hosts), []
    except RequestError as error:
        return None, [f"Alarms are not sent: {error}"]


def _here(name: str) -> Store:
    """The store of this folder; looking for a model where there is no store does not make one."""
    folder = Path(os.environ.get("LINGQU_HOME") or ".lingqu").expanduser()
    if not folder.exists() and not os.environ.get("LINGQU_DATABASE_URL"):
        raise UnknownNameError(Problem("a model of the registry", repr(name), near(name, [])))
    return Store.open(folder)
