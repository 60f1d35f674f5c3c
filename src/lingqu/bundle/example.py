"""One row that a bundle accepts, for documentation, warm-up and forms; nothing in it comes from a training row's text.

Numbers and categories are drawn from the limits that the bundle learned; texts, pictures, names and times are those of
the task's own toy rows, for a bundle keeps none of the user's. Where names are Chinese, so is a text.

>>> from lingqu.tasks import find_task
>>> limits = [
...     {"name": "rooms", "source": "rooms", "kind": "number", "missing": False, "low": 1.0, "high": 9.0},
...     {"name": "town", "source": "town", "kind": "category", "missing": True, "values": ["Guilin", "Xing'an"]},
... ]
>>> example({"columns": limits}, find_task("tabular-regression"))
{'rooms': 5.0, 'town': 'Guilin'}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lingqu.contract import Rows, Task

TOY_ROWS = 8
"""So many, for a toy may need a row of each label to be one."""

WITHOUT_TOY = {"text": "Hello 你好", "id": "a1", "time": "2024-01-31", "number": 0.0, "category": "a"}
"""What stands in a column of which neither the limits nor the task's toy rows know a value."""

IN_CHINESE = "东西收到了，很满意，谢谢！"
_HAN, _KANA = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"[\u3040-\u30ff]")


def example(manifest: Mapping[str, Any], task: Task, labels: Sequence[str] = ()) -> dict[str, Any]:
    """A row {the user's own name of a column: value} that the bundle of this manifest answers; pictures are PNG bytes.

    >>> from lingqu.tasks import find_task
    >>> text = {"name": "text", "source": "message", "kind": "text", "missing": False}
    >>> example({"columns": [text]}, find_task("text-classification"))
    {'message': 'this rice is sweet with bread 265'}
    >>> example({"columns": [text]}, find_task("text-classification"), ["表扬", "投诉"])
    {'message': '东西收到了，很满意，谢谢！'}
    """
    # A table's columns are the user's own: what a toy has under the same name is something else.
    toy = Rows({}) if task.takes_features else task.toy(TOY_ROWS)
    chinese = _chinese([limit["source"] for limit in manifest["columns"]]) or _chinese(labels)
    return {limit["source"]: _value(limit, toy, chinese) for limit in manifest["columns"]}


def _chinese(names: Sequence[str]) -> bool:
    """Whether most of some names are Chinese, and none is Japanese."""
    return 2 * sum(map(bool, map(_HAN.search, names))) > len(names) and not any(map(_KANA.search, names))


def _value(limit: Mapping[str, Any], toy: Rows, chinese: bool) -> Any:
    if "low" in limit:
        return middle(limit["low"], limit["high"])
    if limit.get("values"):
        return limit["values"][0]
    if chinese and limit["kind"] == "text":
        return IN_CHINESE
    seen = [value for value in toy[limit["name"]] if value is not None] if limit["name"] in toy else []
    return seen[0] if seen else _made_up(limit["kind"])


def _made_up(kind: str) -> Any:
    if kind != "image":
        return WITHOUT_TOY[kind]
    import numpy as np

    from lingqu.data.pictures import encode_png

    return encode_png(np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8)


def middle(low: float, high: float) -> float:
    """A number between these two, of as few digits as lie there.

    >>> middle(0.123456, 0.98765), middle(20.0, 61.0), middle(7.0, 7.0), middle(-1e308, 1e308)
    (0.6, 40.0, 7.0, 0.0)
    """
    between = low / 2 + high / 2
    for digits in range(1, 17):
        rounded = float(f"{between:.{digits}g}")
        if low <= rounded <= high:
            return rounded
    return low
