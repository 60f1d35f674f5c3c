"""The verb explain: why rows were answered as they were."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from lingqu.cli.present import emit, next_step, read_store, table
from lingqu.contract import Rows
from lingqu.data.accept import accept
from lingqu.data.readers import stream
from lingqu.errors import Problem, RequestError, missing_package
from lingqu.loop import load
from lingqu.registry import Registry, Version
from lingqu.store import Store

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.evaluate.explain import Explanation

SHOWN = 8


def explain(arguments: argparse.Namespace) -> int:
    """Explain the first rows of a file, as a table here, a page or JSON lines; exit status 1 when some were refused."""
    from lingqu.bundle.trust import MANIFEST
    from lingqu.contract import Refusal
    from lingqu.evaluate.explain import explain as explain_rows
    from lingqu.evaluate.explain import explain_labels
    from lingqu.evaluate.explain.summary import shown_rows
    from lingqu.evaluate.unseen import data_of

    gradients = arguments.method == "gradients"
    with read_store(arguments) as store:
        bundle = load(arguments.model, store=store)
        background, network = None, None
        if not (Path(arguments.model) / MANIFEST).is_file():
            version = Registry(store).get(arguments.model)
            background = data_of(version, store).rows("train", store)
            network = _network(version, store) if gradients else None
    source = Path(arguments.input)
    root = Path(arguments.root) if arguments.root else source.parent if source.is_file() else None
    batch = next(iter(stream(arguments.input, max(1, arguments.most))), None)
    rows = batch.good().rows if batch is not None else None
    if rows is None or not len(rows):
        emit(arguments, {"rows": []}, "There are no rows in it.")
        return 0
    if gradients:
        found = [*enumerate(_by_gradients(bundle, network, rows, arguments.label, root))]
    elif arguments.label is not None:
        found = [*enumerate(explain_rows(bundle, rows, label=arguments.label, background=background, root=root))]
    else:
        found = explain_labels(bundle, rows, background=background, root=root)
    told = [{"row": i, **one.to_json()} for i, one in found]
    if arguments.out:
        _write(arguments, told, shown_rows(bundle, rows, root))
        place = shlex.quote(arguments.out)
        emit(arguments, {"rows": told, "out": arguments.out}, f"{len(told):,} explanations are in {place}.")
    else:
        emit(
            arguments,
            {"rows": told},
            *(part for one in told for part in _table(one)),
            next_step("-o why.html", "a page"),
        )
    return 1 if any(isinstance(one.answer, Refusal) for _, one in found) else 0


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
    from lingqu.evaluate.translation import language_of
    from lingqu.store import write_bytes

    out = Path(arguments.out)
    if out.suffix.lower() in (".html", ".htm"):
        cards = [{**one, "input": inputs[one["row"]]} for one in told]
        text = write_explained(cards, arguments.model, language_of(arguments.language))
    else:
        text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in told)
    write_bytes(out, text.encode())


def _table(one: dict[str, Any]) -> list[Any]:
    """A row's answer and its weightiest parts."""
    answer = one["answer"]
    if "error" in answer:
        return [Text(f"\nRow {one['row'] + 1}: {answer['error']}", style="yellow")]
    about = f" for {one['label']}" if one["label"] is not None and one["label"] != answer["prediction"] else ""
    said = str(answer["prediction"]) or "no label"
    heading = Text.assemble(f"\nRow {one['row'] + 1}: ", (said, "bold"), about)
    lines = [
        (
            part["column"],
            part["what"] if part["what"] is not None else "missing",
            f"{part['weight']:+.3g}",
            "" if part["without"] is None else f"{part['without']:.3g}",
        )
        for part in one["parts"][:SHOWN]
    ]
    return [heading, table("", ["column", "part", "weight", "without it"], lines)]
