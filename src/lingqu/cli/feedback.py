"""`lingqu feedback`: what users said; see it, add to it, look through what waits, decide."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.prompt import Confirm, Prompt
from rich.text import Text

from lingqu.cli.pictures import beside, lacking, opened, said
from lingqu.cli.present import emit, next_step, out, read_store, store_folder, table
from lingqu.cli.records import who
from lingqu.cli.specs import spec_of
from lingqu.data.readers import JSON, stream
from lingqu.data.spreadsheet import TableWriter, plain_row
from lingqu.data.values import CellFault
from lingqu.errors import DataError, Problem, RequestError, UnknownNameError, near
from lingqu.feedback.add import add_labels, model_that_answered, principal_of
from lingqu.feedback.exported import free, marks_of, rows_of
from lingqu.feedback.labels import MOST_TOLD, Wanted, cell_of, label_for, right_answer, strange_of, wanted
from lingqu.feedback.queue import Item, audit_queue, disputed_queue, review_queue
from lingqu.feedback.round import OWNER
from lingqu.feedback.voice import ACCEPTED, LABEL, REJECTED, Voice, settle, voices
from lingqu.monitor.status import settings_of
from lingqu.registry import Registry, Version
from lingqu.serve.inbox import KINDS, Inbox
from lingqu.serve.journal import spell
from lingqu.serve.keys import SCOPES, Principal
from lingqu.spec.running import ServeSettings
from lingqu.store import Store, write_bytes
from lingqu.store.atomic import open_output

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
            cell_of(vote.value),
            _shown(vote.answer.get("prediction")),
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
    if arguments.audit and arguments.disputed:
        raise RequestError(
            Problem("one of --audit and --disputed", "both", "Bring the labels of each queue by themselves.")
        )
    store = Store.open(store_folder(arguments))
    given = {word: getattr(arguments, word) for word in (*KINDS, "comment") if getattr(arguments, word) is not None}
    if not Path(thing).is_file():
        _add_one(store, thing, given, arguments)
        return
    if given:
        found, advice = " and ".join(f"--{word}" for word in given), "Name one answer by its id to say something of it."
        raise RequestError(Problem("what is said of answers in the file alone", found, advice))
    name = model_of(store, arguments.model)
    rows, asked = _whole_rows(thing), wanted(store, name)
    if Path(thing).suffix.lower() not in JSON and marks_of(rows, asked):
        rows = [plain_row(row) for row in rows]
    names = rows[0] if rows else ()
    column = asked.column([*names], by_answer="prediction_id" in names)
    _bring(store, name, rows, column, arguments, root=Path(thing).parent)


def _add_one(store: Store, thing: str, given: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    """What is said of one answer: a label counts as one of a file, and anything else as a user's word."""
    if set(given) in ({"label"}, {"label", "comment"}):
        name = arguments.model or model_that_answered(store, thing)
        row = {"prediction_id": thing, "label": given["label"]}
        _bring(store, name, [row], "label", arguments, comment=given.get("comment"))
        return
    if arguments.audit or arguments.disputed:
        word = "--audit" if arguments.audit else "--disputed"
        raise RequestError(Problem(f"--label alone beside {word}", ", ".join(given) or "none", "Type: --label LABEL"))
    told = {"prediction_id": thing, "source": "cli", **given}
    whose = Principal(principal_of(f"cli:{arguments.who}"), arguments.who, ME.scopes) if arguments.who else ME
    receipt = Inbox(store, ServeSettings(votes=1_000_000)).receive(told, whose)
    emit(arguments, asdict(receipt), f"Feedback {receipt.feedback_id} is {receipt.status}.")


def _bring(
    store: Store,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    column: str,
    arguments: argparse.Namespace,
    *,
    comment: str | None = None,
    root: Path | None = None,
) -> None:
    """Labels of a file, or of one answer, with what is to be known of them."""
    share = _audit_share(Registry(store).versions(name)[-1], arguments) if arguments.audit else None
    kind: dict[str, Any] = {"audit_share": share, "disputed": arguments.disputed, "comment": comment, "root": root}
    added = add_labels(store, name, rows, who=who(arguments), target=column, **kind)
    shown = f"{added.taken:,} labels of {name} taken, {added.known:,} were there before."
    if added.corrected:
        shown += f" {added.corrected:,} of them replace what {who(arguments)} had said."
    if added.equal:
        shown += f" {added.equal:,} are of rows that have a label already."
    if added.unaccepted:
        shown += f" {added.unaccepted:,} are not accepted where they were exported."
    if added.unfilled:
        shown += f" {added.unfilled:,} are not filled in yet."
    if added.contested:
        shown += f" {added.contested:,} answers have labels that differ, and judge nothing until one is corrected or rejected."
    told = {"name": name, **asdict(added)}
    emit(arguments, told, shown, *_doubt(name, added.unknown_labels), next_step("lingqu improve", "learn from them"))


def _whole_rows(file: str) -> list[dict[str, Any]]:
    """Every row of a file of labels; DataError when some are broken, whose cells may stand in the wrong columns."""
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for batch in stream(file):
        rows += batch.rows
        problems += [
            Problem("a whole row", one.reason, "Repair it, or leave it out.", f"row {one.row}")
            for one in batch.quarantined(file)
        ]
    if problems:
        raise DataError(problems[:MOST_TOLD])
    return rows


def _doubt(name: str, strange: Sequence[str], then: str = "Wrong file? See: lingqu feedback") -> list[Text]:
    """What is said of such labels: a new one is welcome, the wrong file is not.

    >>> print(*_doubt("router", ["food", "sport"]))
    Note: router has no label 'food', 'sport' yet. Wrong file? See: lingqu feedback
    """
    if not strange:
        return []
    listed = ", ".join(map(repr, strange[:SHOWN])) + (" …" if len(strange) > SHOWN else "")
    return [Text.assemble(("Note:", "dim"), f" {name} has no label {listed} yet. {then}")]


def _audit_share(version: Version, arguments: argparse.Namespace) -> float:
    """The share of answers that the audit asks for: as `lingqu up`, `improve --watch` and `status` read it."""
    spec = spec_of(version.name, arguments.spec)
    return (spec.monitor if spec else settings_of(version)).audit


def _queue(arguments: argparse.Namespace) -> None:
    with read_store(arguments) as store:
        name = model_of(store, arguments.model)
        items, asked = _items(store, name, arguments), wanted(store, name)
    if arguments.out and items:
        _write(Path(arguments.out), [_flat(item, asked) for item in items])
        shown = f"{len(items):,} rows are in {arguments.out}. Fill in 'label', then:"
        audit = " --disputed" if arguments.disputed else " --audit" if arguments.audit else ""
        then = next_step(f"lingqu feedback add {arguments.out}{audit}")
        emit(arguments, {"rows": len(items)}, shown, *lacking(item.row for item in items), then)
        return
    rows = [(item.prediction_id, _short(item.row), _shown(item.prediction), _said(item), item.why) for item in items]
    shown = table("", ["prediction", "row", "answer", "users said", "why"], rows)
    told = {"queue": [json.loads(spell(item.to_json())) for item in items]}
    seen = [shown, *lacking(item.row for item in items)]
    emit(arguments, told, *(seen if items else ["Nothing waits for a look."]))


def _items(store: Store, name: str, arguments: argparse.Namespace) -> list[Item]:
    if arguments.disputed:
        return disputed_queue(store, name, arguments.most)
    if not arguments.audit:
        return review_queue(store, name, arguments.most)
    version = Registry(store).versions(name)[-1]
    return audit_queue(store, name, _audit_share(version, arguments), arguments.most)


def _review(arguments: argparse.Namespace) -> None:
    """One row after the other: Enter says that the answer is right, a label what would have been; s skips, q ends."""
    store = Store.open(store_folder(arguments))
    name = model_of(store, arguments.model)
    done, asked = 0, wanted(store, name)
    with TemporaryDirectory(prefix="lingqu-") as folder:
        for item in _items(store, name, arguments):
            row = opened(Path(folder), item.row)
            out.print(Text.assemble("\n", (_short(row, 2000), "bold")))
            answer = cell_of(item.prediction)
            if answer is not None:
                users = f"; users said {_said(item)}" if item.said else ""
                out.print(f"answered {answer}{users} ({item.why})")
            try:
                told = _told(name, asked, answer)
            except EOFError:
                out.print()
                break
            if told in ("q", None):
                break
            if told == "s":
                continue
            try:
                done += _label(store, name, item, str(told), arguments)
            except DataError as error:
                # One word that is no label ends nobody's hour of reviews; the row stays in the queue.
                out.print(Text(str(error)))
    emit(arguments, {"reviewed": done}, f"{done:,} rows reviewed.")


def _told(name: str, asked: Wanted, answer: Any) -> Any:
    """What the reviewer types; a label that the model does not have may be a slip, so it is asked whether it is meant."""
    while True:
        told = Prompt.ask("right label (s skips, q ends)", default=answer, console=out)
        strange: tuple[str, ...] = ()
        # What is no label at all is told when it is brought.
        with suppress(CellFault):
            strange = strange_of(asked, [right_answer(asked.kind, told, asked.known)])
        if told in ("q", "s", None) or not strange:
            return told
        out.print(*_doubt(name, strange, f"It has: {', '.join(sorted(asked.known))}."))
        if Confirm.ask("take it all the same?", default=False, console=out):
            return told


def _label(store: Store, name: str, item: Item, label: str, arguments: argparse.Namespace) -> int:
    """The reviewer's label, and with it the standing of what users had said of the row."""
    reviewer = who(arguments)
    version = Registry(store).versions(name)[-1]
    share = _audit_share(version, arguments) if arguments.audit else None
    row = {"prediction_id": item.prediction_id, "label": label}
    add_labels(store, name, [row], who=reviewer, target="label", audit_share=share, disputed=arguments.disputed)
    given = {voice.id: voice for voice in voices(store, name) if voice.id in item.feedback}
    asked = wanted(store, name)
    rulings = {id: _ruling(voice, label, reviewer, asked) for id, voice in given.items()}
    settle(store, name, rulings, who=reviewer)
    return 1


def _ruling(voice: Voice, label: str, reviewer: str, asked: Wanted) -> tuple[str, str]:
    right = str(label_for(voice.answer, label, asked))
    return (ACCEPTED if voice.label == right else REJECTED, f"reviewed by {reviewer}")


def _decide(arguments: argparse.Namespace) -> None:
    status = ACCEPTED if arguments.action == "accept" else REJECTED
    if not arguments.thing:
        advice = f"Type: lingqu feedback {arguments.action} ID …"
        raise RequestError(Problem("the id of feedback", "none", advice))
    store = Store.open(store_folder(arguments))
    name = model_of(store, arguments.model)
    known = {voice.id: voice for voice in voices(store, name)}
    ids = _whole_ids(arguments.thing, known, name)
    reason = arguments.why or f"decided by {who(arguments)}"
    changed = settle(store, name, dict.fromkeys(ids, (status, reason)), who=who(arguments), why=arguments.why or "")
    labels = [known[id].value for id in ids if known[id].kind == LABEL] if status == ACCEPTED else []
    strange, before = strange_of(wanted(store, name), labels), len(ids) - changed
    shown = f"{len(ids):,} of {len(ids):,} are {status} now" + (f", {before:,} of them as before." if before else ".")
    doubt = _doubt(name, strange, "A slip? Type: lingqu feedback reject ID")
    emit(arguments, {"changed": changed, "unknown_labels": strange}, shown, *doubt)


def _whole_ids(given: Sequence[str], known: Iterable[str], name: str) -> list[str]:
    """Ids may be cut short as far as they stay unique."""
    found: list[str] = []
    for start in given:
        same = [id for id in known if id.startswith(start)]
        if len(same) != 1:
            what = "none" if not same else f"{len(same)} that begin so"
            raise UnknownNameError(Problem(f"the id of feedback on {name}, as '{start}'", what, "See: lingqu feedback"))
        found += same
    return [*dict.fromkeys(found)]


def _export(arguments: argparse.Namespace) -> None:
    with read_store(arguments) as store:
        name = model_of(store, arguments.model)
        asked = wanted(store, name)
        found = [voice for voice in voices(store, name, status=arguments.status) if voice.input is not None]
    target = Path(arguments.out or f"{name}-feedback.jsonl")
    # In the column of right answers five stars would be learned as the number 5.
    rows = rows_of([voice for voice in found if voice.kind == LABEL], asked)
    _write(target, rows)
    shown, left = f"{len(rows):,} rows are in {target}.", len(found) - len(rows)
    if left:
        shown += f" Ratings and rewards say no right answer: {left:,} left out."
    emit(arguments, {"rows": len(rows), "left_out": left, "file": str(target)}, shown)


def _shown(prediction: Any) -> Any:
    """An answer in a table: nothing of a refused row, and of one whose answer is hidden from whoever labels it."""
    return "" if prediction is None else cell_of(prediction)


def _said(item: Item) -> str:
    return ", ".join(map(cell_of, item.said))


def _flat(item: Item, asked: Wanted) -> dict[str, Any]:
    """An answer to label as one row of a file; a column of its request gives way to those of the queue."""
    own = {"prediction_id", "answered", "users_said", *asked.columns}
    row = {free(name, own, "row_"): value for name, value in item.row.items()}
    answered = {} if item.prediction is None else {"answered": cell_of(item.prediction), "users_said": _said(item)}
    return {"prediction_id": item.prediction_id, **row, **answered, "label": ""}


def _write(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a table or JSON lines, their pictures as files beside it; RequestError for another kind of file."""
    if file.suffix.lower() not in (".csv", ".jsonl"):
        raise RequestError(
            Problem("a file that ends in .csv or .jsonl", f"'{file.name}'", "Choose another name with -o.")
        )
    named = beside(file, rows)
    if file.suffix.lower() == ".csv":
        write_table(file, named)
    else:
        write_bytes(file, "".join(spell(row) + "\n" for row in named).encode())


def write_table(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as CSV; pictures are left out, and no cell begins with what a spreadsheet would run."""
    names = [*dict.fromkeys(name for row in rows for name in row)]
    with open_output(file, "w") as text:
        cells = ({name: "" if isinstance(cell, bytes) else cell for name, cell in row.items()} for row in rows)
        TableWriter(text, names).write(cells)


def _short(row: Mapping[str, Any], most: int = 80) -> str:
    """A row in one line."""
    cells: Iterable[str] = (said(cell) for cell in row.values() if cell is not None)
    text = " | ".join(cells)
    return text if len(text) <= most else f"{text[: most - 1]}…"
