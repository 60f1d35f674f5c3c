"""The verb `check`: the spec, its data, and what is odd about them, before any work."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingqu.cli.present import emit, findings, next_step, progress, table
from lingqu.contract import Task
from lingqu.evaluate.translation import Words, language_of
from lingqu.loop import check as check_spec
from lingqu.spec import Spec, show
from lingqu.store import write_bytes
from lingqu.tasks import find_task

SHOWN_ROWS = 3
SHOWN_LABELS = 12


def check(arguments: argparse.Namespace) -> int:
    """Look at the spec and its data before any work."""
    from lingqu.data.findings import PARTS
    from lingqu.data.look import look_closely

    spec = check_spec(arguments.spec)
    if arguments.show:
        emit(arguments, {"spec": spec.model_dump(mode="json")}, show(spec))
        return 0
    task = find_task(spec.task)
    found = look_closely(spec.located_data(), task, arguments.spec)
    seen, profile = found.preview, found.profile
    if arguments.labels:
        profile = with_label_noise(task, found, profile)
    language = language_of(arguments.language)
    if arguments.html:
        _write_page(Path(arguments.html), spec, profile, language)
    say = Words(language)
    told = {
        "quarantined": seen.quarantined,
        "findings": [{part: one[part] for part in PARTS} for one in profile["findings"]],
    }
    emit(
        arguments,
        {"name": spec.name, "task": spec.task, "rows": seen.rows, "kinds": seen.kinds, "roles": seen.roles}
        | {**told, "profile": profile},
        _right(arguments.spec, spec.task, f"{seen.rows:,}", profile, say),
        _columns(profile, seen.examples, say),
        *_labels(profile, say),
        *findings(told, say),
        *_examples(profile, say),
        *([say("The profile is in {place}.", place=shlex.quote(arguments.html))] if arguments.html else []),
        next_step(f"lingqu run {shlex.quote(arguments.spec)}", say=say),
    )
    return 0


def with_label_noise(task: Task, found: Any, profile: Mapping[str, Any]) -> dict[str, Any]:
    """The profile with the rows whose label is probably wrong, found by training the cheapest model of the task."""
    from lingqu.train.label_noise import label_noise

    with progress() as tell:
        one = label_noise(
            task,
            *(next(iter(found.splits.values())), found.preview.kinds, next(iter(found.keys.values()))),
            tell=lambda done, sentence: tell("labels", done, sentence),
        )
    return {**profile, "findings": [*profile["findings"], *([one] if one else [])]}


def _write_page(path: Path, spec: Spec, profile: Mapping[str, Any], language: str) -> None:
    from lingqu.evaluate.profile_page import write_profile

    write_bytes(path, write_profile(spec.name, profile, language).encode())


def _right(file: str, task: str, rows: str, profile: Mapping[str, Any], say: Words) -> str:
    splits = ", ".join(
        say("{count} {split}", count=f"{count:,}", split=say(split)) for split, count in profile["rows"].items()
    )
    return say("{spec} is right: {task} on {rows} rows ({splits}).", spec=file, task=task, rows=rows, splits=splits)


def _columns(profile: Mapping[str, Any], examples: Mapping[str, str], say: Words) -> Any:
    lines = [
        (
            one["name"],
            say(one["kind"]),
            f"{one['missing']:.1%}" if one["missing"] else "",
            "" if one["different"] is None else f"{one['different']:,}",
            examples.get(one["name"], ""),
        )
        for one in profile["columns"]
    ]
    names = (say("column"), say("kind"), say("missing"), say("different"), say("for example"))
    return table("", names, lines)


def _labels(profile: Mapping[str, Any], say: Words) -> list[Any]:
    if not profile["labels"]:
        return []
    splits = list(profile["rows"])
    lines = [(one["label"], *(f"{one[split]:,}" for split in splits)) for one in profile["labels"][:SHOWN_LABELS]]
    rest = len(profile["labels"]) - len(lines)
    more = say("and {rest} more labels", rest=f"{rest:,}")
    return [table("", [say("label"), *map(say, splits)], lines), *([more] if rest else [])]


def _examples(profile: Mapping[str, Any], say: Words) -> list[Any]:
    """A few rows under each warning that rows can show."""
    from lingqu.evaluate.page.profile import BADGES

    shown: list[Any] = []
    for one in profile["findings"]:
        if one["rows"] and one["level"] == "warning":
            names = list(dict.fromkeys(name for row in one["rows"] for name in row))
            lines = [[str(row.get(name, ""))[:100] for name in names] for row in one["rows"][:SHOWN_ROWS]]
            shown.append(table(say(BADGES.get(one["code"]) or one["code"]), names, lines))
    return shown
