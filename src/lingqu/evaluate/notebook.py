"""How the result of a run shows itself in a notebook."""

from __future__ import annotations

from typing import Any

from lingqu.evaluate.page.markup import el
from lingqu.evaluate.wording import VERDICTS, between, measured, title


class Result(dict[str, Any]):
    """The result of a run: a plain dictionary, and in a notebook its decision and its metrics.

    >>> metrics = {"f1": {"value": 0.9, "low": 0.85, "high": 0.94}}
    >>> shown = Result(name="<b>", version=1, gate={"decision": "promote"}, metrics=metrics, report="r.html")._repr_html_()
    >>> "&lt;b&gt;@1" in shown, "0.850 to 0.940" in shown
    (True, True)
    """

    def _repr_html_(self) -> str:
        heads = el("tr", *[el("th", text) for text in ("Metric", "Value", "95 % interval")])
        lines = [
            el("tr", el("td", title(name)), el("td", measured(one["value"])), el("td", between(one)))
            for name, one in self["metrics"].items()
        ]
        heading = el("p", el("b", f"{self['name']}@{self['version']}"), " ", VERDICTS[self["gate"]["decision"]])
        return el("div", heading, el("table", heads, *lines), el("p", "Report: ", el("code", self["report"])))
