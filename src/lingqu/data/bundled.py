"""The small real data sets that lie inside scikit-learn: the one file of data/ that imports it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from lingqu.contract import Rows
from lingqu.data.arrays import array_columns
from lingqu.data.quarantine import Batch
from lingqu.errors import DataError, Problem, missing_package, near

PREFIX = "sklearn:"
NAMES = ("digits", "iris", "wine", "breast_cancer", "diabetes")


def read_bundled(name: str, batch: int = 1000) -> Generator[Batch, None, None]:
    """The rows of a bundled set: digits are 8x8 images, the others tables of numbers.

    >>> batch = next(read_bundled("iris"))
    >>> len(batch.rows), batch.rows["label"][0]
    (150, 'setosa')
    """
    if name not in NAMES:
        found = repr(PREFIX + name)
        raise DataError(Problem("a set that scikit-learn bundles", found, near(name, NAMES)))
    rows = _columns(name)
    for start, part in enumerate(rows.batches(batch)):
        yield Batch(part, start * batch + 1)


def _columns(name: str) -> Rows:
    try:
        from sklearn import datasets
    except ImportError:
        raise missing_package("scikit-learn", "train", f"the bundled set {name}") from None
    loaded: Any = getattr(datasets, f"load_{name}")()
    if name == "digits":
        images = array_columns(loaded.images, None, (0.0, 16.0))
        return Rows({**images, "label": loaded.target.tolist()})
    columns = array_columns(loaded.data, [str(one) for one in loaded.feature_names], (0.0, 1.0))
    if name == "diabetes":
        return Rows({**columns, "target": loaded.target.tolist()})
    return Rows({**columns, "label": [str(loaded.target_names[i]) for i in loaded.target]})
