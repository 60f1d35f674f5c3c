"""Where a finished version is written down besides: TensorBoard and MLflow, each switched on in the spec.

Each gets the settings, the learning curves of every rung, the final metrics with their intervals, and the report. A
version is written once: a run that changes nothing adds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lingqu.spec import Spec
    from lingqu.store import Store

CURVES = {"loss": "loss/training", "validation": "loss/validation"}
"""What the history of a rung calls a curve, and what sinks call it."""


def track(spec: Spec, result: Mapping[str, Any], store: Store) -> None:
    """Write the version of this run into the sinks that the spec names; nothing happens when it names none."""
    settings = spec.track
    if settings.tensorboard is None and settings.mlflow is None:
        return
    from lingqu.registry import Registry

    version = Registry(store).get(f"{result['name']}@{result['version']}")
    report = {**store.get_json(version.lineage["report"]), "version": version.number}
    page = Path(result["report"])
    if settings.tensorboard is not None:
        from lingqu.evaluate.sinks.tensorboard import write

        write(report, page, spec.folder / settings.tensorboard)
    if settings.mlflow is not None:
        from lingqu.evaluate.sinks.mlflow import send

        send(report, version.bundle, page, settings.mlflow, spec.folder)


def plain(settings: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Nested settings as one flat mapping of texts.

    >>> plain({"size": "small", "train": {"epochs": 3, "augment": ["flip"]}})
    {'size': 'small', 'train.epochs': '3', 'train.augment': 'flip'}
    """
    found: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping):
            found |= plain(value, name)
        else:
            found[name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return found


def told_settings(report: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a report's run without the folders of the machine that made it, and the recipe that was chosen."""
    from lingqu.evaluate.wording import source_name

    spec = report.get("spec") or {}
    shown = {**spec, "data": {**spec.get("data", {}), "source": source_name(report)}}
    shown.pop("track", None)
    return {**plain(shown), "chosen": str((report.get("chosen") or {}).get("recipe", ""))}


def numbers(report: Mapping[str, Any]) -> dict[str, float]:
    """The final metrics, each with the ends of its interval where it has one, and what an answer costs.

    >>> numbers({"metrics": {"f1": {"value": 0.9, "low": 0.8, "high": 1.0}, "mcc": {"value": None}}})
    {'f1': 0.9, 'f1_low': 0.8, 'f1_high': 1.0}
    """
    found: dict[str, float] = {}
    for name, one in report["metrics"].items():
        ends = {"": one.get("value"), "_low": one.get("low"), "_high": one.get("high")}
        found |= {f"{name}{end}": float(value) for end, value in ends.items() if value is not None}
    costs = {
        "ms_per_row": (report.get("latency") or {}).get("p50_ms"),
        "bytes": (report.get("size") or {}).get("bytes"),
    }
    return found | {name: float(value) for name, value in costs.items() if value is not None}
