"""How the result of a run shows itself in a notebook."""

from __future__ import annotations

from typing import Any

from lingqu.bundle.notebook import card, verdict


class Result(dict[str, Any]):
    """The result of a run: a plain dictionary, and in a notebook its decision and its metrics.

    >>> metrics = {"f1": {"value": 0.9, "low": 0.85, "high": 0.94}}
    >>> shown = Result(name="<b>", version=1, task="t", gate={"decision": "promote"}, metrics=metrics, report="r.html")
    >>> [part in shown._repr_html_() for part in ("&lt;b&gt;@1", "0.850", "r.html")]
    [True, True, True]
    """

    def _repr_html_(self) -> str:
        facts = {"task": self["task"], "gate": verdict(self["gate"]), "report": self["report"]}
        return card(f"{self['name']}@{self['version']}", facts, self["metrics"])
