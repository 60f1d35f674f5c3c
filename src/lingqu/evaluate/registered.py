"""A decided trial as a version: its number, the alias that its gate earned, and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lingqu.contract import Task
from lingqu.contract.language import language_of
from lingqu.data.version import DataVersion
from lingqu.registry import Registry, Version
from lingqu.spec import Spec
from lingqu.store import Store, canonical_json, write_bytes
from lingqu.store.canonical import digest_of


def register(decided: dict[str, Any], spec: Spec, task: Task, data: DataVersion, store: Store) -> dict[str, Any]:
    """Give the bundle its number, point the alias that its decision earned, and tell the whole run.

    `decided` is what `Trial.decide` gave; asked again about the same bundle, the answer stands.
    """
    registry = Registry(store)
    full = store.get_json(decided["report"])
    name, gate = spec.name, decided["decision"]
    version = registry.register(
        name,
        bundle=decided["bundle"],
        data_version=data.id,
        run=decided["report"],
        task=task.name,
        metrics=full["metrics"],
        decision=gate,
        lineage={**full["lineage"], "report": decided["report"]},
        spec=full["spec"],
    )
    if gate["decision"] == "promote":
        point(registry, version, gate, lead=spec.improve.promote == "auto")
    return {
        "name": name,
        "version": version.number,
        "task": task.name,
        "rows": data.counts,
        "ladder": full["ladder"],
        "chosen": full["chosen"],
        "metrics": full["metrics"],
        "baseline": full["baselines"],
        "gate": gate,
        "champion": (registry.alias(name, "champion") or (None, 0))[0],
        "bundle": str(store.folder_path(decided["bundle"], verify=False)),
        "report": str(keep_page({**full, "version": version.number}, decided["report"], spec, store)),
    }


def point(registry: Registry, version: Version, gate: dict[str, Any], *, lead: bool) -> None:
    """The alias that a passed gate earns, once: the first version leads, a later one asks, or leads where it may."""
    moved = any(event.version == version.number and event.alias for event in registry.history(version.name))
    if moved:
        return
    champion, epoch = registry.alias(version.name, "champion") or (None, 0)
    # The evidence is about one champion: when another leads by now, the version asks and does not lead.
    if epoch == gate["champion_epoch"] and (champion is None or lead):
        registry.promote(
            version.name,
            version.number,
            who="lingqu",
            why="its gate was passed",
            evidence=gate,
            expect_epoch=epoch,
        )
        return
    _, epoch = registry.alias(version.name, "challenger") or (None, 0)
    registry.set_alias(
        version.name,
        "challenger",
        version.number,
        expect_epoch=epoch,
        who="lingqu",
        why="its gate was passed; promotion is asked for",
        evidence=gate,
    )


def keep_page(full: dict[str, Any], record: str, spec: Spec, store: Store) -> Path:
    """The report as a page in the language that the spec asks for, made anew where the record or its making changed.

    `record` is the digest of the report. The last line of the page says what it was made of, so that a run with nothing to
    do need not make it again to see that it is the same.
    """
    page = store.folder / "reports" / f"{spec.name}-{full['version']}.html"
    language = language_of(spec.report.language)
    made_of = digest_of(canonical_json([record, full["version"], language, store.code_version("evaluate", "contract")]))
    mark = f"<!-- {made_of} -->\n".encode()
    if page.is_file() and page.read_bytes().endswith(mark):
        return page
    from lingqu.evaluate.page import write_page

    write_bytes(page, write_page(full, language).encode() + mark)
    return page
