"""Verbs of the loop: improve, freeze, thaw."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from rich.text import Text

from lingqu.cli.journey import tell_result
from lingqu.cli.present import emit, err, next_step, out, progress, store_folder
from lingqu.cli.records import who
from lingqu.errors import Problem, RequestError, UnknownNameError, near
from lingqu.feedback import freeze as brake
from lingqu.feedback.guard import guard
from lingqu.loop import check, home
from lingqu.loop import improve as turn
from lingqu.registry import Registry
from lingqu.registry.rollouts import drop, rollout
from lingqu.spec.amounts import seconds
from lingqu.store import Store

WELL = ("promote", "unseen", "wait", "shadow", "canary", "ready")
SAID = {
    "shadow": "answers unseen",
    "canary": "answers some users",
    "ready": "waits for a person",
    "promote": "is champion",
    "drop": "was dropped",
}


def improve(arguments: argparse.Namespace) -> int:
    """One turn of the circle, or one whenever it is time; exit status 1 when the gate did not say yes."""
    spec = check(arguments.spec)
    store = Store.open(Path(arguments.home) if arguments.home else home(spec.folder))
    if arguments.drop:
        return _drop(arguments, store, spec.name)
    if arguments.watch:
        return _watch(arguments, store, seconds(arguments.every))
    with progress() as tell:
        told = turn(arguments.spec, store=store, tell=tell)
    _tell(arguments, told)
    return 0 if told["decision"] in WELL else 1


def _drop(arguments: argparse.Namespace, store: Store, name: str) -> int:
    """End the way of a challenger: the champion answers everybody."""
    standing = rollout(store, name)
    if standing is None:
        raise RequestError(
            Problem(f"a challenger of {name} on its way to users", "none", f"See: lingqu history {name}")
        )
    drop(store, standing, who=who(arguments), why=arguments.why or "asked for")
    told = {"name": name, "decision": "drop", "challenger": standing.version, "champion": standing.against}
    emit(arguments, told, f"{name}@{standing.version} was dropped; {name}@{standing.against} answers everybody.")
    return 0


def _watch(arguments: argparse.Namespace, store: Store, pause: float) -> int:
    """Look again and again, until stopped; says something only when something has happened."""
    before: object = None
    moved = ""
    while True:
        spec = check(arguments.spec)
        seen = guard(store, spec)
        if seen.restored is not None:
            told = {"name": spec.name, "decision": "rollback", "champion": seen.restored, "why": seen.why}
            emit(arguments, told, f"Rolled back to {spec.name}@{seen.restored}: {seen.why}.")
        elif seen.why != moved:
            moved = seen.why
            if moved:
                err.print(f"{moved}.")
        told = turn(arguments.spec, store=store, asked=False, alarm=seen.alarm)
        # A challenger on its way is news when it moves, not at every label that comes.
        news = (told["decision"], told["rollout"]) if told.get("rollout") else told["why"]
        if news != before:
            before = news
            _tell(arguments, told)
        time.sleep(pause)


def _tell(arguments: argparse.Namespace, told: dict[str, Any]) -> None:
    if arguments.json:
        emit(arguments, told)
        return
    for why, count in told["left_out"].items():
        out.print(f"Left out: {count:,} ({why}).")
    if "challenger" in told and told["decision"] in SAID:
        out.print(f"{told['name']}@{told['challenger']} {SAID[told['decision']]}: {told['why'].rstrip('.')}.")
        return
    if "version" not in told:
        out.print(Text.assemble("Waiting: ", f"{told['why']}."))
        thaws = next_step(f"lingqu thaw {told['name']}", "let automation go on")
        looks = next_step("lingqu feedback queue", "what to look at next")
        out.print(thaws if told["why"].startswith("frozen: ") else looks)
        return
    out.print(f"Learned from {told['joined']:,} accepted labels besides the training rows, from the base.")
    tell_result(arguments, told)
    if told["decision"] == "wait":
        out.print(Text(f"{told['name']}@{told['version']} answers nobody: {told['why']}."))
    if told.get("rollout"):
        out.print(
            f"{told['name']}@{told['version']} answers unseen beside the champion; each look moves it on or drops it."
        )


def freeze(arguments: argparse.Namespace) -> int:
    """The hand brake."""
    return _brake(arguments, brake.freeze, "is frozen: nothing happens to it by itself until `lingqu thaw`")


def thaw(arguments: argparse.Namespace) -> int:
    """Automation goes on."""
    return _brake(arguments, brake.thaw, "is thawed: automation goes on")


def _brake(arguments: argparse.Namespace, act: Any, said: str) -> int:
    store = Store.open(store_folder(arguments))
    names = Registry(store).names()
    if arguments.name not in names:
        raise UnknownNameError(Problem("a model of the registry", f"'{arguments.name}'", near(arguments.name, names)))
    changed = act(store, arguments.name, who=who(arguments), why=arguments.why or "")
    emit(arguments, {"name": arguments.name, "changed": changed}, f"{arguments.name} {said}.")
    if not changed:
        err.print("It was so before.")
    return 0
