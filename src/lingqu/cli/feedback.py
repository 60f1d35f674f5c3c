"""`lingqu feedback`: what users said; see it, add to it, look through what waits, decide."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.prompt import Prompt
from rich.text import Text

from lingqu.cli.present import emit, next_step, out, read_store, store_folder, table
from lingqu.cli.records import who
from lingqu.contract import Label
from lingqu.data.readers import stream
from lingqu.errors import Problem, RequestError, UnknownNameError, near
from lingqu.feedback.add import add_labels
from lingqu.feedback.queue import Item, audit_queue, disputed_queue, review_queue
from lingqu.feedback.round import OWNER
from lingqu.feedback.voice import ACCEPTED, REJECTED, Voice, settle, voices
from lingqu.registry import Registry, Version
from lingqu.serve.inbox import KINDS, Inbox
from lingqu.serve.journal import spell
from lingqu.serve.keys import SCOPES, Principal
from lingqu.spec.running import MonitorSettings, ServeSettings
from lingqu.stages.opening import load
from lingqu.store import Store, write_bytes
from lingqu.store.atomic import open_output
from lingqu.tasks import find_task

SHOWN = 5
ME = Principal(OWNER, OWNER, frozenset(SCOPES))
"""Who has the store in hands may speak of every prediction in it."""


def feedback(arguments: argparse.Namespace) -> int:
    """What users said, and what is to be done about it."""
    actions = {
        "list": _list,
        "add": _add,
        "queue": _queue,
        "review": _review,
        "accept": _decide,
        "reject": _decide,
        "export": _export,
    }
    actions[arguments.action](arguments)
    return 0


def model_of(store: Store, name: str | None) -> str:
    """The model that is meant: the one named, or the only one there is."""
    names = Registry(store).names()
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        found = ", ".join(names) or "none"
        raise RequestError(Problem("the name of a model", found, "Add: --model NAME"))
    if name not in names:
        raise UnknownNameError(Problem("a model of the registry", f"'{name}'", near(name, names)))
    return name


def _list(arguments: argparse.Namespace) -> None:
    with read_store(arguments) as store:
        names = [model_of(store, arguments.model)] if arguments.model else Registry(store).names()
        found = [voice for name in names for voice in voices(store, name, status=arguments.status)]
    rows = [
        (
            vote.id[:12],
            vote.at[:16],
            vote.name,
            vote.kind,
            vote.value,
            vote.answer.get("prediction", ""),
            vote.source,
            vote.status,
            vote.reason,
        )
        for vote in found
    ]
    names = ["id", "at", "model", "kind", "value", "answer was", "source", "status", "why"]
    # A picture among the inputs is spelled as the journal spells it.
    told = {"feedback": [json.loads(spell(asdict(vote))) for vote in found]}
    emit(arguments, told, table("", names, rows) if found else next_step("lingqu serve MODEL", "no feedback yet"))


def _add(arguments: argparse.Namespace) -> None:
    if len(arguments.thing) != 1:
        advice = "Type: lingqu feedback add PREDICTION --label LABEL, or lingqu feedback add FILE"
        raise RequestError(Problem("the id of a prediction, or a file of labels", f"{len(arguments.thing)}", advice))
    thing = arguments.thing[0]
    if not Path(thing).is_file() and (Path(thing).suffix or Path(thing).exists()):
        found = "a folder" if Path(thing).is_dir() else "no such file"
        raise RequestError(Problem(f"a file of labels at '{thing}'", found, "Check the path."))
    store = Store.open(store_folder(arguments))
    if not Path(thing).is_file():
        said = {name: getattr(arguments, name) for name in (*KINDS, "comment")}
        given = {"prediction_id": thing, "source": "cli", **{k: v for k, v in said.items() if v is not None}}
        receipt = Inbox(store, ServeSettings(votes=1_000_000)).receive(given, ME)
        emit(arguments, asdict(receipt), f"Feedback {receipt.feedback_id} is {receipt.status}.")
        return
    name = model_of(store, arguments.model)
    version = Registry(store).versions(name)[-1]
    role = find_task(version.task).target.name
    target = version.spec.get("data", {}).get("columns", {}).get(role, role)
    rows = [row for batch in stream(thing) for row in batch.rows]
    column = next((one for one in (target, role) if rows and one in rows[0]), target)
    share = _audit_share(version.spec) if arguments.audit else None
    kind: dict[str, Any] = {"audit_share": share, "disputed": arguments.disputed}
    added = add_labels(store, name, rows, who=who(arguments), target=column, **kind)
    shown = f"{added.taken:,} labels of {name} taken, {added.known:,} were there before."
    strange = _strange(store, version, rows, column)
    told = {"name": name, **asdict(added), "unknown_labels": strange}
    emit(arguments, told, shown, *_doubt(name, strange), next_step("lingqu improve", "learn from them"))


def _strange(store: Store, version: Version, rows: Sequence[Mapping[str, Any]], column: str) -> list[str]:
    """Labels that no version has answered with: new ones, or those of another model's file."""
    if not isinstance(find_task(version.task).target, Label):
        return []
    known = {str(label) for label in load(version.reference, store=store).memory.get("labels", ())}
    return sorted({str(row[column]) for row in rows} - known) if known else []


def _doubt(name: str, strange: Sequence[str]) -> list[Text]:
    """What is said of such labels: a new one is welcome, the wrong file is not.

    >>> print(*_doubt("router", ["food", "sport"]))
    Note: router has no label 'food', 'sport' yet. Wrong file? See: lingqu feedback
    """
    if not strange:
        return []
    listed = ", ".join(map(repr, strange[:SHOWN])) + (" …" if len(strange) > SHOWN else "")
    return [Text.assemble(("Note:", "dim"), f" {name} has no label {listed} yet. Wrong file? See: lingqu feedback")]


def _audit_share(spec: Mapping[str, Any]) -> float:
    return MonitorSettings.model_validate(spec.get("monitor", {})).audit


def _queue(arguments: argparse.Namespace) -> None:
    with read_store(arguments) as store:
        name = model_of(store, arguments.model)
        items = _items(store, name, arguments)
    if arguments.out and items:
        _write(Path(arguments.out), [_flat(item) for item in items])
        shown = f"{len(items):,} rows are in {arguments.out}. Fill in 'label', then:"
        audit = " --disputed" if arguments.disputed else " --audit" if arguments.audit else ""
        emit(arguments, {"rows": len(items)}, shown, next_step(f"lingqu feedback add {arguments.out}{audit}"))
        return
    rows = [(item.prediction_id, _short(item.row), item.prediction, ", ".join(item.said), item.why) for item in items]
    shown = table("", ["prediction", "row", "answer", "users said", "why"], rows)
    told = {"queue": [json.loads(spell(item.to_json())) for item in items]}
    emit(arguments, told, shown if items else "Nothing waits for a look.")


def _items(store: Store, name: str, arguments: argparse.Namespace) -> list[Item]:
    if arguments.disputed:
        return disputed_queue(store, name, arguments.most)
    if not arguments.audit:
        return review_queue(store, name, arguments.most)
    version = Registry(store).versions(name)[-1]
    return audit_queue(store, name, _audit_share(version.spec), arguments.most)


def _review(arguments: argparse.Namespace) -> None:
    """One row after the other: Enter says that the answer is right, a label what would have been; s skips, q ends."""
    store = Store.open(store_folder(arguments))
    name = model_of(store, arguments.model)
    done = 0
    for item in _items(store, name, arguments):
        out.print(Text.assemble("\n", (_short(item.row, 2000), "bold")))
        if item.prediction is not None:
            said = f"; users said {', '.join(item.said)}" if item.said else ""
            out.print(f"answered {item.prediction}{said} ({item.why})")
        told = Prompt.ask("right label (s skips, q ends)", default=None if item.prediction is None else item.prediction)
        if told in ("q", None):
            break
        if told != "s":
            done += _label(store, name, item, str(told), arguments)
    emit(arguments, {"reviewed": done}, f"{done:,} rows reviewed.")


def _label(store: Store, name: str, item: Item, label: str, arguments: argparse.Namespace) -> int:
    """The reviewer's label, and with it the standing of what users had said of the row."""
    reviewer = who(arguments)
    version = Registry(store).versions(name)[-1]
    share = _audit_share(version.spec) if arguments.audit else None
    row = {"prediction_id": item.prediction_id, "label": label}
    add_labels(store, name, [row], who=reviewer, target="label", audit_share=share, disputed=arguments.disputed)
    given = {voice.id: voice for voice in voices(store, name) if voice.id in item.feedback}
    rulings = {id: _ruling(voice, label, reviewer) for id, voice in given.items()}
    settle(store, name, rulings, who=reviewer)
    return 1


def _ruling(voice: Voice, label: str, reviewer: str) -> tuple[str, str]:
    return (ACCEPTED if voice.label == label else REJECTED, f"reviewed by {reviewer}")


def _decide(arguments: argparse.Namespace) -> None:
    status = ACCEPTED if arguments.action == "accept" else REJECTED
    if not arguments.thing:
        advice = f"Type: lingqu feedback {arguments.action} ID …"
        raise RequestError(Problem("the id of feedback", "none", advice))
    store = Store.open(store_folder(arguments))
    name = model_of(store, arguments.model)
    ids = _whole_ids(arguments.thing, voices(store, name), name)
    reason = arguments.why or f"decided by {who(arguments)}"
    changed = settle(store, name, dict.fromkeys(ids, (status, reason)), who=who(arguments), why=arguments.why or "")
    emit(arguments, {"changed": changed}, f"{changed:,} of {len(ids):,} are {status} now.")


def _whole_ids(given: Sequence[str], known: Sequence[Voice], name: str) -> list[str]:
    """Ids may be cut short as far as they stay unique."""
    found: list[str] = []
    for start in given:
        same = [voice.id for voice in known if voice.id.startswith(start)]
        if len(same) != 1:
            what = "none" if not same else f"{len(same)} that begin so"
            raise UnknownNameError(Problem(f"the id of feedback on {name}, as '{start}'", what, "See: lingqu feedback"))
        found += same
    return found


def _export(arguments: argparse.Namespace) -> None:
    with read_store(arguments) as store:
        name = model_of(store, arguments.model)
        found = [voice for voice in voices(store, name, status=arguments.status) if voice.input is not None]
    target = Path(arguments.out or f"{name}-feedback.jsonl")
    rows = [{**(voice.input or {}), "label": voice.label, "id": voice.id, "status": voice.status} for voice in found]
    _write(target, rows)
    emit(arguments, {"rows": len(rows), "file": str(target)}, f"{len(rows):,} rows are in {target}.")


def _flat(item: Item) -> dict[str, Any]:
    answered = {} if item.prediction is None else {"answered": item.prediction, "users_said": ", ".join(item.said)}
    return {"prediction_id": item.prediction_id, **item.row, **answered, "label": ""}


def _write(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a table or JSON lines; RequestError for another kind of file."""
    if file.suffix.lower() == ".csv":
        write_table(file, rows)
    elif file.suffix.lower() == ".jsonl":
        write_bytes(file, "".join(spell(dict(row)) + "\n" for row in rows).encode())
    else:
        raise RequestError(
            Problem("a file that ends in .csv or .jsonl", f"'{file.name}'", "Choose another name with -o.")
        )


def write_table(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as CSV; pictures are left out, and no cell begins with what a spreadsheet would run."""
    names = [*dict.fromkeys(name for row in rows for name in row)]
    with open_output(file, "w") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(row.get(name)) for name in names] for row in rows)


def _cell(value: Any) -> Any:
    """A cell as it may be opened.

    >>> _cell("=1+1"), _cell(-3.5), _cell(b"png"), _cell("fine")
    ("'=1+1", -3.5, '', 'fine')
    """
    if isinstance(value, bytes):
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _short(row: Mapping[str, Any], most: int = 80) -> str:
    """A row in one line."""
    cells: Iterable[Any] = (f"{len(v):,} bytes" if isinstance(v, bytes) else v for v in row.values() if v is not None)
    text = " | ".join(str(cell) for cell in cells)
    return text if len(text) <= most else f"{text[: most - 1]}…"
