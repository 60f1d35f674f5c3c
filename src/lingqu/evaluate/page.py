"""The report as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lingqu.evaluate.markup import el
from lingqu.evaluate.wording import called


def write_page(report: Mapping[str, Any]) -> str:
    """The whole page."""
    return "<!doctype html>\n" + el(
        "html", el("head", el("title", called(report))), el("body", el("h1", called(report)))
    )
