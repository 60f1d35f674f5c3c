"""The acts of the demo, each a chapter of the loop: the functions are those that the commands call, the requests are HTTP.

Nothing here decides: drift is what the monitor says, a challenger is what the circle makes and the gate lets through, and
the rollback is the guard's. The acts wait for these and tell what they found.
"""

from __future__ import annotations

import time
from typing import Any

from lingqu.cli.demo.crowd import Crowd, Line
from lingqu.cli.demo.harm import overrule, poison
from lingqu.cli.demo.stage import (
    AFTERWARDS,
    ANGLE,
    BUSY,
    CALM,
    LOOK_SECONDS,
    PATIENCE_SECONDS,
    Stage,
    percent,
    telling,
    unseen,
)
from lingqu.cli.demo.told import share_of
from lingqu.feedback.guard import guard
from lingqu.loop import improve, run
from lingqu.registry import Registry
from lingqu.registry.rollouts import Rollout, rollout

WINDOWS = 2
TELLING, ENOUGH_LABELS = 0.7, 200
QUIET = "{answers} answers, {right} right; two windows were looked at, {alarms} alarms"
CANARY = "{model} answered {share} of users, and its guardrails held"


def play(stage: Stage, crowd: Crowd) -> None:
    """All that happens once the service answers."""
    stage.found, stage.line = crowd, Line(crowd.url)
    try:
        for act in (quiet, drift, labels, challenger, poison, overrule):
            act(stage)
    finally:
        stage.line.close()


def learn(stage: Stage) -> dict[str, Any]:
    """From rows to a first champion."""
    live = stage.teller.begin("learn")
    result = run(stage.spec_file, store=stage.store, tell=telling(live))
    accuracy = result["metrics"]["accuracy"]
    stage.happened(
        "learn",
        "{model}, from {rows} pictures; of {test} that it has not seen {right} are right ({low} to {high})",
        {"version": result["version"], "accuracy": accuracy["value"], "models": len(result["ladder"])},
        model=f"{stage.name}@{result['version']}",
        rows=result["rows"]["train"],
        test=result["rows"]["test"],
        right=percent(accuracy["value"]),
        low=percent(accuracy["low"]),
        high=percent(accuracy["high"]),
    )
    return result


def quiet(stage: Stage) -> None:
    """A while without a change: the monitor has whole windows and nothing to say."""
    live, window = stage.teller.begin("quiet"), stage.spec.monitor.window or 1
    begin = stage.scene_is(stage.world.asking, 0.0, BUSY)
    stage.until(lambda: stage.answered(begin) >= WINDOWS * window, live, begin, WINDOWS * window)
    found = stage.until_seen(lambda seen: len(seen.windows) >= WINDOWS, live)
    share = share_of(stage.crowd.answered[begin:])
    assert share is not None
    alarms = len(found.alarms)
    numbers = {"answers": share.labels, "accuracy": share.value, "alarms": alarms}
    stage.happened("quiet", QUIET, numbers, answers=share.labels, right=percent(share.value), alarms=alarms)


def drift(stage: Stage) -> None:
    """The camera is knocked askew; lingqu is told by nobody."""
    begin = stage.scene_is(stage.world.teaching, ANGLE, BUSY, TELLING)
    stage.happened("shift", "by {angle}°; nobody tells lingqu", angle=f"{ANGLE:g}")
    live, before = stage.teller.begin("drift"), time.monotonic()
    found = stage.until_seen(lambda seen: any(one.kind == "drift" for one in seen.alarms), live, begin)
    alarm = next(one for one in found.alarms if one.kind == "drift")
    share, signals = share_of(stage.crowd.answered[begin:]), alarm.evidence["signals"]
    assert share is not None
    stage.happened(
        "drift",
        "{signals} moved in two windows of {window} answers; {right} are right now",
        {"signals": signals, "answers": share.labels, "seconds": round(time.monotonic() - before, 2)},
        signals=", ".join(signals[:3]) + (" …" if len(signals) > 3 else ""),
        window=found.size,
        right=percent(share.value),
    )


def labels(stage: Stage) -> None:
    """People say what would have been right, and a reviewer labels what the audit has drawn."""
    live = stage.teller.begin("labels")
    stage.until(lambda: stage.crowd.told >= ENOUGH_LABELS, live, 0, ENOUGH_LABELS, lambda: stage.crowd.told)
    # From now on pictures that nobody labels for learning: what is measured later was never learned.
    stage.scene_is(stage.world.asking, ANGLE, CALM)
    stage.until(lambda: not stage.crowd.waits(), live, 0, 1)
    audit = stage.label_audit()
    stage.happened(
        "labels",
        "{told} by users over HTTP, {mistaken} of them mistaken; {audit} by a reviewer, of answers drawn at random",
        {"volunteered": stage.crowd.told, "audit": audit},
        told=stage.crowd.told,
        mistaken=stage.crowd.mistaken,
        audit=audit,
    )


def challenger(stage: Stage) -> None:
    """A challenger is learned from the base, proved, tried and promoted, and the answers are right again."""
    live = stage.teller.begin("challenger")
    alarm, before = guard(stage.store, stage.spec).alarm, time.monotonic()
    result = improve(stage.spec_file, store=stage.store, asked=False, alarm=alarm, tell=telling(live))
    if result["decision"] != "promote":
        raise unseen("a challenger that passes its gate", result["why"])
    gate, seconds = result["gate"], time.monotonic() - before
    stage.happened(
        "challenger",
        "{model} learned anew with {joined} labels and proved in {seconds} s: {metric} {new} against {old} on {rows} audit "
        "rows, p = {p}; no worse on old ones",
        {
            **_numbers(gate),
            "version": result["version"],
            "joined": result["joined"],
            "left_out": result["left_out"],
            "alarm": alarm,
        },
        model=f"{stage.name}@{result['version']}",
        metric=gate["metric"],
        joined=result["joined"],
        seconds=f"{seconds:.1f}",
        rows=gate["rows"],
        new=f"{gate['challenger']:.2f}",
        old=f"{gate['champion']:.2f}",
        p=f"{gate['p']:.1g}",
    )
    begin = stage.scene_is(stage.world.asking, ANGLE, BUSY)
    _rolled_out(stage)
    _promoted(stage, result["version"], begin)
    _recovered(stage)


def _rolled_out(stage: Stage) -> None:
    """Unseen first, then for a few users: each look takes a step when its evidence allows."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    live = stage.teller.begin("shadow")
    while (standing := rollout(stage.store, stage.name)) is not None:
        if time.monotonic() > deadline:
            raise unseen("a challenger that proves itself to users")
        stage.label_audit()
        told = improve(stage.spec_file, store=stage.store)
        live(0.5, stage.pulse())
        if told.get("moved"):
            _stepped(stage, standing, told)
            live = stage.teller.begin("canary")
        time.sleep(LOOK_SECONDS)


def _stepped(stage: Stage, before: Rollout, told: dict[str, Any]) -> None:
    """Tell a step that was taken: out of the shadow, or from one share of users to the next."""
    if told["decision"] == "drop":
        raise unseen("a challenger that proves itself to users", told["why"])
    model, moved = f"{stage.name}@{before.version}", {"decision": told["decision"], "why": told["why"]}
    if before.step == "canary":
        share = percent(before.share)
        stage.happened("canary", CANARY, moved, model=model, share=share)
        return
    test = Registry(stage.store).history(stage.name)[-1].evidence
    stage.happened(
        "shadow",
        "{model} answered unseen beside the champion: it won {wins} and lost {losses} of the audit labels on which one of them "
        "is right",
        {**moved, "wins": test["wins"], "losses": test["losses"], "p": test["p_anytime"]},
        model=model,
        wins=test["wins"],
        losses=test["losses"],
    )


def _promoted(stage: Stage, version: int, begin: int) -> None:
    live = stage.teller.begin("promote")
    stage.until(lambda: stage.by(version, begin) > 0, live, begin, 1)
    stage.happened(
        "promote",
        "{model} answers; of {all} requests so far {failed} have failed",
        {"version": version, "sent": stage.crowd.sent, "failed": len(stage.crowd.failures)},
        model=f"{stage.name}@{version}",
        failed=len(stage.crowd.failures),
        all=stage.crowd.sent,
    )


def _recovered(stage: Stage) -> None:
    live, begin = stage.teller.begin("back"), len(stage.crowd.answered)
    stage.until(lambda: stage.answered(begin) >= AFTERWARDS, live, begin, AFTERWARDS)
    share = share_of(stage.crowd.answered[begin:])
    assert share is not None
    stage.happened(
        "back",
        "{right} of {answers} pictures that no model has learned from are right ({low} to {high})",
        {"answers": share.labels, "accuracy": share.value, "low": share.low, "high": share.high},
        right=percent(share.value),
        answers=share.labels,
        low=percent(share.low),
        high=percent(share.high),
    )


def _numbers(gate: dict[str, Any]) -> dict[str, Any]:
    return {name: gate[name] for name in ("decision", "p", "alpha", "rows", "champion", "challenger", "low", "high")}
