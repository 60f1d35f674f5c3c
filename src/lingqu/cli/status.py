"""The verb `status`: how served models are doing, and how far a challenger is; exit status 1 when an alarm stands."""

from __future__ import annotations

import argparse

from rich.console import RenderableType
from rich.text import Text

from lingqu.cli.present import emit, next_step, read_store, table
from lingqu.cli.specs import spec_of
from lingqu.contract.language import language_of
from lingqu.evaluate.translation import Words
from lingqu.feedback.progress import Progress, progress
from lingqu.monitor import Cohort, Status
from lingqu.monitor import status as look
from lingqu.monitor.chinese import spoken, told
from lingqu.monitor.status import champions
from lingqu.registry.brake import frozen

SHOWN = 8


def status(arguments: argparse.Namespace) -> int:
    """Drift, quality, risk and budgets of one model or of every champion."""
    with read_store(arguments) as store:
        names = [arguments.name] if arguments.name else champions(store)
        specs = [spec_of(name.partition("@")[0], arguments.spec) for name in names]
        both = [*zip(names, specs, strict=True)]
        found = [
            look(name, store=store, settings=spec and spec.monitor, journal=spec and spec.serve.journal)
            for name, spec in both
        ]
        ways = [progress(store, one.name, spec) for one, spec in zip(found, specs, strict=True)]
        brakes = [frozen(store, one.name) for one in found]
    say = spoken(language_of(arguments.language))
    whole = [*zip(found, ways, brakes, strict=True)]
    shown = [part for one, way, brake in whole for part in [*_shown(one, say), *_loop(way, brake, say)]]
    nothing = next_step("lingqu run", say("no model is champion yet"), say)
    models = [{**one.to_json(), "rollout": way and way.to_json(), "frozen": brake} for one, way, brake in whole]
    emit(arguments, {"models": models}, *(shown or [nothing]))
    return 1 if any(one.alarmed for one in found) else 0


def _shown(one: Status, say: Words) -> list[RenderableType]:
    mark = Text(say("alarm"), style="bold red") if one.alarmed else Text(say("quiet"), style="green")
    shown: list[RenderableType] = [
        Text.assemble((f"{one.name}@{one.version}", "bold"), " ", mark, f"  {told(say, one.sentence())}")
    ]
    shown += [Text.assemble((f"{say(alarm.level)}: ", "red"), told(say, alarm.sentence())) for alarm in one.alarms]
    if one.windows:
        lines = [
            (
                window.number,
                f"{window.began[:10]} {window.began[11:16]}",
                f"{window.rows:,}",
                ", ".join(map(say.told, window.signals)) or "-",
                *map(say.told, _quality(cohort)),
            )
            for window, cohort in list(zip(one.windows[::-1], _matching(one), strict=False))[:SHOWN]
        ]
        heads = (
            say("window"),
            say("from"),
            say("answers"),
            say("moved or broken"),
            say("accuracy"),
            say("how it is known"),
        )
        shown.append(table("", heads, lines))
    if one.cohorts and one.waiting:
        shown.append(say("Newest: {cohort}", cohort=told(say, one.cohorts[-1].sentence())))
    if one.risk is not None:
        shown.append(told(say, one.risk.sentence()))
    shown += [Text(told(say, note), style="dim") for note in one.notes]
    return shown


def _loop(way: Progress | None, brake: str, say: Words) -> list[RenderableType]:
    """The challenger that is on its way, and the hand brake."""
    shown: list[RenderableType] = [] if way is None else [told(say, way.sentence())]
    if brake:
        shown.append(Text(say("frozen: {why}", why=brake), style="bold red"))
    return shown


def _matching(one: Status) -> list[Cohort]:
    """The cohorts of whole windows, the newest first."""
    whole = one.cohorts[:-1] if one.waiting else one.cohorts
    return whole[::-1]


def _quality(cohort: Cohort) -> tuple[str, str]:
    """An accuracy with its interval, and whether it is counted or estimated."""
    if cohort.ripe and cohort.audited is not None:
        share = cohort.audited
        return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})", f"{share.labels:,} audit labels"
    if cohort.estimate is not None:
        low, high = cohort.estimate.interval
        came = 0 if cohort.audited is None else cohort.audited.labels
        return (
            f"{cohort.estimate.value:.3f} ({low:.3f} to {high:.3f})",
            f"estimate; {came:,} of {cohort.asked:,} labels",
        )
    return "-", "nothing yet"
