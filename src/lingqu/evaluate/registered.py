"""A decided trial as a version: its number, the alias that its gate earned, and its page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lingqu.contract import Task
from lingqu.contract.language import language_of
from lingqu.data.version import DataVersion
from lingqu.registry import Registry, Version
from lingqu.registry.brake import frozen
from lingqu.registry.rollouts import begin, in_use
from lingqu.spec import Spec
from lingqu.spec.running import ImproveSettings
from lingqu.store import Store, canonical_json, write_bytes
from lingqu.store.canonical import digest_of

PROMOTE, UNSEEN = "promote", "unseen"
IN_USE_SECONDS = 86_400
"""A model by which a service answered within this time is in use."""


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
    if gate["decision"] in (PROMOTE, UNSEEN):
        point(registry, version, gate, spec.improve)
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


def point(registry: Registry, version: Version, gate: dict[str, Any], settings: ImproveSettings) -> None:
    """What a passed gate earns, once: the first version leads, a later one answers unseen, leads, or asks.

    One that the gate left to today's traffic answers unseen or nothing, at what its proof may cost.
    """
    name, number = version.name, version.number
    if was_placed(registry, name, number):
        return
    champion, epoch = registry.alias(name, "champion") or (None, 0)
    # The evidence is about one champion: when another leads by now, the version asks and does not lead.
    current = epoch == gate["champion_epoch"]
    # Somebody may have pulled the hand brake while it was learned.
    stopped = bool(frozen(registry.store, name))
    if gate["decision"] == UNSEEN:
        if current and champion is not None and not stopped:
            why = f"it does no harm on the test rows, and today's traffic has to prove it, at alpha {gate['alpha']:.2g}"
            evidence = {"gate_set": gate["gate_set"], "alpha": gate["alpha"]}
            begin(registry.store, version, against=champion, epoch=epoch, why=why, evidence=evidence)
        return
    if current and champion is not None and not stopped and shadows(registry.store, name, settings):
        why = f"its gate was passed ({gate['why'].rstrip('.')})"
        evidence = {"gate_set": gate["gate_set"]}
        begin(registry.store, version, against=champion, epoch=epoch, why=why, evidence=evidence)
        return
    if current and (champion is None or (settings.promote == "auto" and not stopped)):
        why = "its gate was passed"
        registry.promote(name, number, who="lingqu", why=why, evidence=gate, expect_epoch=epoch)
        return
    _, epoch = registry.alias(name, "challenger") or (None, 0)
    why = "its gate was passed; promotion is asked for"
    registry.set_alias(name, "challenger", number, expect_epoch=epoch, who="lingqu", why=why, evidence=gate)


def was_placed(registry: Registry, name: str, number: int) -> bool:
    """Whether an alias has ever meant a version: what a gate earns is given once."""
    return any(event.version == number and event.alias for event in registry.history(name))


def shadows(store: Store, name: str, settings: ImproveSettings) -> bool:
    """Whether a challenger answers unseen first: as the spec says, or where a service answers anybody."""
    if settings.shadow != "auto":
        return settings.shadow == "always"
    since = datetime.now(UTC) - timedelta(seconds=IN_USE_SECONDS)
    return in_use(store, name, f"{since:%Y-%m-%dT%H:%M:%SZ}")


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
