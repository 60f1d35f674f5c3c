"""The verb explain: why rows were answered as they were."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from lingqu.cli.present import emit, next_step, read_store, table
from lingqu.contract import Rows
from lingqu.data.accept import accept
from lingqu.data.readers import stream
from lingqu.errors import Problem, RequestError, missing_package
from lingqu.evaluate.translation import Words, language_of
from lingqu.evaluate.wording import written_out
from lingqu.loop import load
from lingqu.registry import Registry, Version
from lingqu.store import Store

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.data.quarantine import Batch
    from lingqu.evaluate.explain import Explanation

SHOWN = 8


def explain(arguments: argparse.Namespace) -> int:
    """Explain the first rows of a file, as a table here, a page or JSON lines; exit status 1 when some were refused."""
    from lingqu.bundle.trust import MANIFEST
    from lingqu.evaluate.unseen import data_of

    with read_store(arguments) as store:
        bundle = load(arguments.model, store=store)
        background, network = None, None
        if not (Path(arguments.model) / MANIFEST).is_file():
            version = Registry(store).get(arguments.model)
            background = data_of(version, store).rows("train", store)
            network = _network(version, store) if arguments.method == "gradients" else None
    say = Words(language_of(arguments.language))
    batch = next(iter(stream(arguments.input, max(1, arguments.most))), None)
    if batch is None or not len(batch.rows):
        emit(arguments, {"rows": []}, say("There are no rows in it."))
        return 0
    told = _told(arguments, bundle, network, batch, background)
    if arguments.out:
        _write(
            arguments, told, _shown(bundle, batch.rows, _root(arguments)) if len(batch.faults) < len(batch.rows) else []
        )
        place = shlex.quote(arguments.out)
        emit(
            arguments,
            {"rows": told, "out": arguments.out},
            say("{count} explanations are in {place}.", count=f"{len(told):,}", place=place),
        )
    else:
        parts = [part for one in told for part in _table(one, say)]
        emit(arguments, {"rows": told}, *parts, next_step("-o why.html", say("a page"), say))
    return 1 if any("error" in one["answer"] for one in told) else 0


def _root(arguments: argparse.Namespace) -> Path | None:
    """Where the pictures are that a table names."""
    source = Path(arguments.input)
    return Path(arguments.root) if arguments.root else source.parent if source.is_file() else None


def _told(
    arguments: argparse.Namespace, bundle: Bundle, network: Any, batch: Batch, background: Rows | None
) -> list[dict[str, Any]]:
    """Every explanation as JSON, with the place of its row in the file; of a row that could not be read, its fault."""
    from lingqu.contract import Refusal
    from lingqu.evaluate.explain import Explanation, explain_labels
    from lingqu.evaluate.explain import explain as explain_rows

    rows, label, root = batch.good().rows, arguments.label, _root(arguments)
    if not len(rows):
        found = []
    elif arguments.method == "gradients":
        found = [*enumerate(_by_gradients(bundle, network, rows, label, root))]
    elif label is not None:
        found = [*enumerate(explain_rows(bundle, rows, label=label, background=background, root=root))]
    else:
        found = explain_labels(bundle, rows, background=background, root=root)
    places = [place for place in range(len(batch.rows)) if place not in batch.faults]
    broken = [(place, Explanation(Refusal(fault), None, 0.0, 0.0, ())) for place, fault in batch.faults.items()]
    whole = sorted([*((places[i], one) for i, one in found), *broken], key=lambda one: one[0])
    names = _own_names(bundle)
    return [{"row": place, **renamed(one.to_json(), names)} for place, one in whole]


def _own_names(bundle: Bundle) -> dict[str, str]:
    """The user's name of each column: explanations are of roles, and who asks knows their own columns."""
    return {column["name"]: column["source"] for column in bundle.manifest["columns"]}


def _shown(bundle: Bundle, rows: Rows, root: Path | None) -> list[list[dict[str, Any]]]:
    """The cells of each row, as a page shows them."""
    from lingqu.evaluate.explain.summary import shown_rows

    names = _own_names(bundle)
    return [[{**cell, "column": names[cell["column"]]} for cell in row] for row in shown_rows(bundle, rows, root)]


def renamed(told: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """An explanation as it is told, its columns by the names that the user gave them.

    >>> renamed({"label": "food", "parts": [{"column": "text", "what": "soup"}]}, {"text": "message"})["parts"]
    [{'column': 'message', 'what': 'soup'}]
    """
    return {**told, "parts": [{**part, "column": names[part["column"]]} for part in told["parts"]]}


def _network(version: Version, store: Store) -> Any:
    """The network that a version was exported from, and its memory; None where the version is older than its record."""
    try:
        from lingqu.train.rung import restore
    except ModuleNotFoundError as error:
        raise missing_package(error.name or "torch", "train", "explaining by gradients") from error
    kept = store.get_json(version.lineage["report"]).get("network")
    return restore(kept, store) if kept else None


def _by_gradients(bundle: Bundle, network: Any, rows: Rows, label: str | None, root: Path | None) -> list[Explanation]:
    from lingqu.evaluate.explain.gradients import OCCLUSION, explain_by_gradients

    if network is None:
        raise RequestError(Problem("a version whose network is in the store", "a bundle alone", OCCLUSION))
    accepted, errors = accept(rows, bundle.manifest["columns"], root=root)
    if refused := [error for error in errors if error is not None]:
        raise RequestError(Problem("rows that the model can read", str(refused[0]), OCCLUSION))
    own, memory = network
    return explain_by_gradients(own, memory, bundle, accepted, label=label)


def _write(arguments: argparse.Namespace, told: list[dict[str, Any]], inputs: list[list[dict[str, Any]]]) -> None:
    from lingqu.evaluate.page.explanations import write_explained
    from lingqu.store import write_bytes

    out = Path(arguments.out)
    if out.suffix.lower() in (".html", ".htm"):
        cards = [{**one, "input": inputs[one["row"]] if one["row"] < len(inputs) else []} for one in told]
        text = write_explained(cards, arguments.model, language_of(arguments.language))
    else:
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told)
    write_bytes(out, text.encode())


def _table(one: dict[str, Any], say: Words) -> list[Any]:
    """A row's answer and its weightiest parts."""
    answer, number = one["answer"], say("Row {number}: ", number=one["row"] + 1)
    if "error" in answer:
        return [Text(f"\n{number}{answer['error']}", style="yellow")]
    asked = one["label"] is not None and one["label"] != answer["prediction"]
    about = f" ({say('what speaks for {label}', label=one['label'])})" if asked else ""
    said = str(answer["prediction"]) or say("no label")
    heading = Text.assemble(f"\n{number}", (said, "bold"), about)
    lines = [
        (
            part["column"],
            part["what"] if part["what"] is not None else say("missing"),
            written_out(f"{part['weight']:+.3g}", part["weight"]),
            "" if part["without"] is None else written_out(f"{part['without']:.3g}", part["without"]),
        )
        for part in one["parts"][:SHOWN]
    ]
    return [heading, table("", [say("column"), say("part"), say("weight"), say("without it")], lines)]
