"""The acts that do harm: a few accounts of one hand lie in pairs, and somebody overrules the gate."""

from __future__ import annotations

import time

from lingqu.cli.demo.crowd import Person
from lingqu.cli.demo.stage import (
    AFTERWARDS,
    ANGLE,
    BUSY,
    CALM,
    LOOK_SECONDS,
    PATIENCE_SECONDS,
    Live,
    Stage,
    percent,
    telling,
    unseen,
)
from lingqu.cli.demo.told import share_of
from lingqu.feedback import freeze as brake
from lingqu.feedback.guard import guard
from lingqu.feedback.voice import STANDINGS, voices
from lingqu.loop import improve, run
from lingqu.registry import Registry

OWNER = "owner"
SYBILS, VOTES, TARGET, LIE = 5, 40, "3", "8"
THAW = "after a rollback all automation waits; `lingqu thaw {model}` lets it go on"
REASON = "a network must be better than this"
_LIES = "{sybils} accounts of one hand say {votes} times that {target} is {lie}: {quarantined} are quarantined"
STOPPED = f"{_LIES}, {{left}} left out by caps, none learned; nothing is promoted"
KEPT_OUT = f"{_LIES}, {{left}} left out by caps, {{learned}} learned by a challenger that the gate refuses"
LET_IN = f"{_LIES}, {{left}} left out by caps, {{learned}} learned by a challenger that is promoted"


def poison(stage: Stage) -> None:
    """A few accounts of one hand say that a digit is another one, in pairs that agree."""
    live = stage.teller.begin("poison")
    stage.scene_is(stage.world.asking, ANGLE, CALM)
    sybils = stage.people[-SYBILS:]
    given = _lie(stage, sybils, live)
    before = Registry(stage.store).alias(stage.name, "champion")
    stage.label_audit()
    result = improve(stage.spec_file, store=stage.store, tell=telling(live))
    after = Registry(stage.store).alias(stage.name, "champion")
    found = {voice.id: voice for voice in voices(stage.store, stage.name) if voice.id in given}
    joined = stage.joined() if "version" in result else set()
    count = {standing: sum(voice.status == standing for voice in found.values()) for standing in STANDINGS}
    learned, promoted = len(joined & found.keys()), before != after
    stage.happened(
        "poison",
        LET_IN if promoted else KEPT_OUT if learned else STOPPED,
        {**count, "votes": len(given), "learned": learned, "decision": result["decision"], "promoted": promoted},
        sybils=SYBILS,
        target=TARGET,
        lie=LIE,
        votes=len(given),
        quarantined=count["quarantined"],
        left=len(given) - count["quarantined"] - learned,
        learned=learned,
    )


def _lie(stage: Stage, sybils: list[Person], live: Live) -> set[str]:
    """Votes for a lie, each picture sent by two accounts; the ids of the votes."""
    assert stage.line is not None
    asked: list[tuple[str, Person]] = []
    for vote in range(SYBILS * VOTES // 2):
        shown = stage.world.asking.photograph(ANGLE)
        while shown.truth != TARGET:
            shown = stage.world.asking.photograph(ANGLE)
        for who in (sybils[vote % SYBILS], sybils[(vote + 1) % SYBILS]):
            identity = stage.crowd.ask(stage.line, shown, who)
            asked += [(identity, who)] if identity is not None else []
        live(vote / (SYBILS * VOTES), "")
    given: set[str] = set()
    for place, (identity, who) in enumerate(asked):
        status_code, told = stage.line.tell(identity, LIE, who)
        if stage.crowd.count(status_code, 202):
            given.add(told["feedback_id"])
        live(0.5 + place / len(asked) / 2, "")
    return given


def overrule(stage: Stage) -> None:
    """Somebody with the right to do so promotes a model that did not pass, and live risk takes it back."""
    live = stage.teller.begin("overrule")
    registry, first = Registry(stage.store), Registry(stage.store).get(f"{stage.name}@1")
    ladder = stage.store.get_json(first.lineage["report"])["ladder"]
    chosen = stage.store.get_json(first.lineage["report"])["chosen"]["recipe"]
    other = next(rung["recipe"] for rung in ladder if rung["recipe"] != chosen)
    wanted = stage.spec.model_copy(update={"model": other})
    result = run(wanted, store=stage.store, tell=telling(live))
    good = registry.get(f"{stage.name}@champion")
    registry.promote(
        stage.name, result["version"], who=OWNER, why=REASON, evidence={**result["gate"], "override": True}
    )
    begin = stage.scene_is(stage.world.asking, ANGLE, BUSY / 2)
    stage.until(lambda: stage.by(result["version"], begin) > 0, live, begin, 1)
    stage.happened(
        "overrule",
        "somebody promotes {model} ({recipe}, learned without the labels), which had not passed",
        {"version": result["version"], "decision": result["gate"]["decision"]},
        model=f"{stage.name}@{result['version']}",
        recipe=other,
        said=result["gate"]["decision"],
    )
    _taken_back(stage, result["version"], good.number, begin)


def _taken_back(stage: Stage, bad: int, good: int, begin: int) -> None:
    live, before = stage.teller.begin("rollback"), time.monotonic()
    deadline = before + PATIENCE_SECONDS
    while True:
        stage.label_audit()
        seen = guard(stage.store, stage.spec)
        if seen.restored is not None or time.monotonic() > deadline:
            break
        live(0.5, stage.pulse())
        time.sleep(LOOK_SECONDS)
    if seen.restored is None or seen.status is None or seen.status.risk is None:
        raise unseen("a rollback of the version that errs")
    stage.until(lambda: stage.crowd.answered[-1].version == good, live, begin, 1)
    risk, answers = seen.status.risk.found, stage.by(bad, begin)
    share = share_of([one for one in stage.crowd.answered[begin:] if one.version == bad])
    assert share is not None
    stage.happened(
        "rollback",
        "after {seconds} s and {answers} answers ({right} right): {wrong} of {labels} audit labels say that it errs, so "
        "{model} is back by itself",
        {"restored": seen.restored, "labels": risk.labels, "wrong": int(risk.losses), "answers": answers},
        seconds=f"{time.monotonic() - before:.1f}",
        answers=answers,
        right=percent(share.value),
        wrong=int(risk.losses),
        labels=risk.labels,
        model=f"{stage.name}@{seen.restored}",
    )
    live, begin = stage.teller.begin("thaw"), len(stage.crowd.answered)
    stage.until(lambda: stage.answered(begin) >= AFTERWARDS // 2, live, begin, AFTERWARDS)
    brake.thaw(stage.store, stage.name, who=OWNER, why="the network was a mistake")
    stage.happened("thaw", THAW, model=stage.name)
    stage.until(lambda: stage.answered(begin) >= AFTERWARDS, live, begin, AFTERWARDS)
