"""Verbs about what is kept: versions, history, promote, rollback, export, fsck."""

from __future__ import annotations

import argparse
import getpass
import shlex
from pathlib import Path
from typing import Any

from rich.text import Text

from lingqu.cli.present import emit, next_step, read_store, table
from lingqu.errors import GateError, Problem, RequestError, UnknownNameError, near
from lingqu.evaluate.wording import written_out
from lingqu.registry import Registry, Version
from lingqu.registry.rollouts import proved


def _short(value: Any) -> str:
    return written_out(f"{value:.4g}", value) if isinstance(value, float) else str(value)


def _deciding(version: Version) -> str:
    metric = version.decision.get("metric")
    return f"{metric} {_short(version.metrics[metric]['value'])}" if metric in version.metrics else ""


def _aliases(registry: Registry, version: Version) -> list[str]:
    return [
        alias
        for alias in ("champion", "challenger", "previous")
        if (held := registry.alias(version.name, alias)) and held[0] == version.number
    ]


def _known(registry: Registry, name: str | None) -> None:
    """UnknownNameError for a name that has no version: an empty list would say that it has one."""
    names = registry.names()
    if name is not None and name not in names:
        raise UnknownNameError(Problem("a model of the registry", f"'{name}'", near(name, names)))


def versions(arguments: argparse.Namespace) -> int:
    """Every version with its task, the number that decides, what its gate said and its aliases."""
    with read_store(arguments) as store:
        return _versions(arguments, Registry(store))


def _versions(arguments: argparse.Namespace, registry: Registry) -> int:
    _known(registry, arguments.name)
    found = registry.versions(arguments.name)
    records = [
        {
            "name": version.name,
            "version": version.number,
            "aliases": _aliases(registry, version),
            "task": version.task,
            "decision": version.decision.get("decision"),
            "metrics": version.metrics,
            "data": version.data_version,
            "at": version.at,
        }
        for version in found
    ]
    rows = [
        (
            record["name"],
            record["version"],
            ", ".join(record["aliases"]),
            record["task"],
            record["decision"],
            _deciding(version),
            record["at"][:16],
        )
        for record, version in zip(records, found, strict=True)
    ]
    shown = table("", ["name", "version", "aliases", "task", "gate said", "metric", "at"], rows)
    emit(arguments, {"versions": records}, shown if rows else next_step("lingqu run", "no versions yet"))
    return 0


def history(arguments: argparse.Namespace) -> int:
    """Every decision as a sentence, the oldest first; a broken chain is an error."""
    with read_store(arguments) as store:
        return _history(arguments, Registry(store))


def _history(arguments: argparse.Namespace, registry: Registry) -> int:
    _known(registry, arguments.name)
    events = registry.history(arguments.name)
    damaged = registry.verify_history()
    sentences = [event.sentence() for event in events]
    emit(
        arguments,
        {"events": [event.to_json() for event in events], "problems": [str(problem) for problem in damaged]},
        *sentences,
        *[Text(str(problem), style="red") for problem in damaged],
        *([] if sentences else [next_step("lingqu run", "nothing was decided yet")]),
    )
    return 1 if damaged else 0


def promote(arguments: argparse.Namespace) -> int:
    """Make a version the champion; one that its gate did not pass needs --override and a reason."""
    with read_store(arguments) as store:
        return _promote(arguments, Registry(store))


def _promote(arguments: argparse.Namespace, registry: Registry) -> int:
    version = registry.get(arguments.model)
    held = registry.alias(version.name, "champion")
    if held is not None and held[0] == version.number:
        told = {"name": version.name, "champion": version.number}
        emit(arguments, told, f"{version.reference} is champion already.")
        return 0
    said = version.decision.get("decision")
    if said != "promote" and not (said == "unseen" and proved(registry.store, version)) and not arguments.override:
        asked = "Let trusted people label what is asked for (lingqu feedback queue --disputed)"
        advice = asked if said == "unseen" else "Run with more rows"
        raise GateError(
            Problem(
                f"a passed gate for {version.name}@{version.number}",
                f"the decision '{said}'",
                f"{advice}, or overrule it: --override --why REASON",
            )
        )
    if arguments.override and not arguments.why:
        raise RequestError(Problem("a reason with --override", "none", "Add --why REASON; it is kept in the history."))
    epoch = 0 if held is None else held[1]
    if epoch != version.decision.get("champion_epoch") and not arguments.override:
        against = version.decision.get("against")
        raise GateError(
            Problem(
                f"a gate that {version.reference} passed against today's champion",
                f"one against {f'{version.name}@{against}' if against else 'the baseline'}, and the champion changed since",
                "Run again with fresh rows, or overrule it: --override --why REASON",
            )
        )
    evidence = {**version.decision, "override": arguments.override}
    earned = "its gate was passed" if said == "promote" else "it has proved itself on today's traffic"
    why = arguments.why or earned
    registry.promote(version.name, version.number, who=who(arguments), why=why, evidence=evidence, expect_epoch=epoch)
    result = {"name": version.name, "champion": version.number}
    emit(
        arguments, result, f"{version.name}@{version.number} is champion.", next_step(f"lingqu rollback {version.name}")
    )
    return 0


def rollback(arguments: argparse.Namespace) -> int:
    """Bring the previous champion back."""
    with read_store(arguments) as store:
        why = arguments.why or "asked for"
        version = Registry(store).rollback(arguments.name, to=arguments.to, who=who(arguments), why=why)
    result = {"name": version.name, "champion": version.number}
    emit(
        arguments,
        result,
        f"{version.name}@{version.number} is champion again.",
        next_step(f"lingqu history {version.name}"),
    )
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Copy a version's bundle out of the store."""
    with read_store(arguments) as store:
        version = Registry(store).get(arguments.model)
    target = Path(arguments.folder)
    if target.exists():
        raise RequestError(Problem("a folder that does not exist yet", f"'{target}'", "Choose another name."))
    from lingqu.store.atomic import copy_folder

    copy_folder(store.folder_path(version.bundle), target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    result = {"name": version.name, "version": version.number, "bundle": str(target), "bytes": size}
    emit(
        arguments,
        result,
        f"{version.name}@{version.number} is in {target} ({size / 1e6:.1f} MB).",
        next_step(f"lingqu predict {shlex.quote(str(target))} INPUT -o OUT"),
    )
    return 0


def fsck(arguments: argparse.Namespace) -> int:
    """Prove every blob, folder, reference and the history."""
    with read_store(arguments) as store:
        problems = store.fsck()
    told = [f"{number}. {problem}" for number, problem in enumerate(problems, 1)]
    emit(
        arguments, {"problems": [str(problem) for problem in problems]}, *(told or ["Everything is as it was written."])
    )
    return 1 if problems else 0


def who(arguments: argparse.Namespace) -> str:
    """Who decides: as told, or who is logged in."""
    if arguments.who:
        return arguments.who
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container may run as a number without a name.
        return "unknown"
