"""Numbers as people read them; the page, the terminal and the card share these.

>>> measured(0.95138), measured(12345.6), seconds(72.4), size(3_972_000), milliseconds(0.1875)
('0.951', '12,346', '1 min 12 s', '4.0 MB', '0.19 ms')
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lingqu.evaluate.translation import ENGLISH, Words
from lingqu.spec.addresses import called as called_source

TITLES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "log_loss": "Log loss",
    "mcc": "Correlation (MCC)",
    "ece": "Calibration error (ECE)",
    "f1_micro": "F1 (micro)",
    "f1_macro": "F1 (macro)",
    "subset_accuracy": "Subset accuracy",
    "hamming_loss": "Hamming loss",
    "mean_average_precision": "Mean average precision",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}

VERDICTS = {
    "promote": "Passed its gate",
    "keep": "Did not pass its gate",
    "not-enough-rows": "Not enough rows to tell",
    "unseen": "Left to today's traffic",
}

_LARGE = re.compile(r"\d(?:\.\d+)?e\+(?:0\d|1[0-4])(?!\d)")


def title(metric: str, say: Words = ENGLISH) -> str:
    """The name of a metric for people.

    >>> title("roc_auc"), title("my_own")
    ('ROC AUC', 'my_own')
    """
    return say(TITLES[metric]) if metric in TITLES else metric


def measured(value: float | None) -> str:
    """A metric's value: three decimals near one, fewer the larger it is, a dash where it is undefined.

    >>> measured(0.0041), measured(1.5), measured(None), measured(-250.25), measured(-0.0004)
    ('0.004', '1.500', '–', '-250.2', '0.000')
    """
    if value is None:
        return "–"
    size = abs(value)
    digits = 3 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
    # No minus before a zero, neither of the value's own nor of rounding.
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def between(one: Mapping[str, Any], say: Words = ENGLISH) -> str:
    """The interval of a measured value, or why there is none.

    >>> between({"low": 0.5, "high": 0.75}), between({"low": None, "why": "one label only"})
    ('0.500 to 0.750', 'one label only')
    """
    if one.get("low") is None:
        return say.told(str(one.get("why", "")))
    return say("{low} to {high}", low=measured(one["low"]), high=measured(one["high"]))


def written_out(sentence: str, *numbers: Any) -> str:
    """A sentence with its large numbers as tables have them, to the last digit where they are among these numbers.

    >>> written_out("rmse 1.652e+04 against 1.546e+05, p = 2e-05", 16517.4)
    'rmse 16,517 against 154,600, p = 2e-05'
    """
    known = {f"{abs(number):.{digits}g}": abs(number) for digits in (4, 3) for number in numbers if number is not None}
    return _LARGE.sub(lambda found: f"{known.get(found[0], float(found[0])):,.0f}", sentence)


def percent(value: float, digits: int = 1) -> str:
    """A share in percent, with a space that does not break.

    >>> percent(0.1234).replace("\u00a0", " "), percent(0.9, 0).replace("\u00a0", " ")
    ('12.3 %', '90 %')
    """
    return f"{100 * value:.{digits}f}\u00a0%"


def seconds(value: float | None) -> str:
    """A duration.

    >>> seconds(0.04), seconds(8.25), seconds(3700)
    ('0.04 s', '8.2 s', '1 h 1 min')
    """
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def milliseconds(value: float | None) -> str:
    """A short duration.

    >>> milliseconds(12.34), milliseconds(2500)
    ('12.3 ms', '2.5 s')
    """
    if value is None:
        return "–"
    if value >= 1000:
        return seconds(value / 1000)
    return f"{value:.2f} ms" if value < 10 else f"{value:.1f} ms"


def size(value: float | None) -> str:
    """A number of bytes, in powers of ten as disks and networks are sold.

    >>> size(12), size(3972), size(1.5e9)
    ('12 B', '4.0 kB', '1.5 GB')
    """
    if value is None:
        return "–"
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value:.0f} B"


def headline(report: Mapping[str, Any]) -> dict[str, Any]:
    """The deciding metric of a report: value, low, high, and maybe why."""
    return report["metrics"][report["decide_by"]]


def called(report: Mapping[str, Any]) -> str:
    """What the report is about: name and version where they are known, else the task.

    >>> called({"name": "router", "version": 3, "task": "t"}), called({"task": "text-classification"})
    ('router 3', 'text-classification')
    """
    name = str(report.get("name") or report["task"])
    return f"{name} {report['version']}" if report.get("version") else name


def source_name(report: Mapping[str, Any]) -> str:
    """The name of the data without the folders that it lies in: reports travel, paths do not.

    >>> source_name({"spec": {"data": {"source": "/home/anna/tickets.csv"}}}), source_name({})
    ('tickets.csv', 'test rows')
    """
    source = ((report.get("spec") or {}).get("data") or {}).get("source", "")
    if isinstance(source, Mapping):
        source = source.get("train", "")
    return called_source(str(source)) or "test rows"


def in_order(metrics: Mapping[str, Any], first: str) -> dict[str, Any]:
    """Metrics in the order that people expect, the deciding one first; stored reports are in order of the alphabet.

    >>> list(in_order({"accuracy": 1, "f1": 2, "mine": 3, "recall": 4}, "f1"))
    ['f1', 'accuracy', 'recall', 'mine']
    """
    known = [first, *TITLES]
    return {name: metrics[name] for name in sorted(metrics, key=lambda n: known.index(n) if n in known else len(known))}
