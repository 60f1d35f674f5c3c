"""What is wanted, in one YAML file: settings with defaults, all problems at once, each with its line.

>>> from lingqu.spec import Spec
>>> Spec(name="router", task="text-classification", data={"source": "tickets.csv"}).budget_seconds
600.0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lingqu.spec.amounts import Limit
    from lingqu.spec.read import load_spec
    from lingqu.spec.running import ImproveSettings, ServeSettings
    from lingqu.spec.schema import json_schema, settings_table, show
    from lingqu.spec.settings import (
        CompressSettings,
        DataSettings,
        DistilSettings,
        GateSettings,
        GivenSplits,
        Spec,
        SplitSettings,
        TrainSettings,
    )

# Resolved on first use: the command line needs the synonyms for its help, and must not wait for pydantic.
_HOMES = {
    "CompressSettings": "settings",
    "DataSettings": "settings",
    "DistilSettings": "settings",
    "GateSettings": "settings",
    "GivenSplits": "settings",
    "ImproveSettings": "running",
    "Limit": "amounts",
    "ServeSettings": "running",
    "Spec": "settings",
    "SplitSettings": "settings",
    "TrainSettings": "settings",
    "json_schema": "schema",
    "load_spec": "read",
    "settings_table": "schema",
    "show": "schema",
}

__all__ = [
    "CompressSettings",
    "DataSettings",
    "DistilSettings",
    "GateSettings",
    "GivenSplits",
    "ImproveSettings",
    "Limit",
    "ServeSettings",
    "Spec",
    "SplitSettings",
    "TrainSettings",
    "json_schema",
    "load_spec",
    "settings_table",
    "show",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
