"""The profile of data as a page of its own, beside the report: no script, no outside address, every word escaped.

>>> from lingqu.data.overview import look_over
>>> from lingqu.tasks import find_task
>>> task = find_task("text-classification")
>>> rows = task.toy(8)
>>> told = look_over({"train": rows, "test": rows}, {"text": "text", "label": "label"}, task)
>>> page = write_profile("router", told)
>>> "<h2>Columns</h2>" in page, "<script" in page
(True, False)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lingqu.evaluate.page import document
from lingqu.evaluate.page.markup import el
from lingqu.evaluate.page.profile import columns, findings, labels
from lingqu.evaluate.translation import Words


def write_profile(name: str, profile: Mapping[str, Any], language: str = "en") -> str:
    """The whole page as text."""
    say = Words(language)
    counts = " · ".join(f"{count:,} {say(split)}" for split, count in profile["rows"].items())
    top = el(
        "header",
        el("div", el("span", el("b", "灵渠 lingqu")), el("span", say("Data")), cls="mark"),
        el("h1", name),
        el("p", counts, cls="about"),
    )
    parts = [findings(profile, say), columns(profile, say), labels(profile, say)]
    foot = el("footer", say("Rows of your data are shown: share the page as you would share the data."))
    return document(say("{name}: data", name=name), say, top, el("main", *parts), foot)
