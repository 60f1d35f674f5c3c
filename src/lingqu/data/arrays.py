"""NumPy archives (.npz): images or tables of numbers with their labels, with or without splits."""

from __future__ import annotations

import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.contract import Rows
from lingqu.data.archives import check_archive
from lingqu.data.pictures import encode_png
from lingqu.data.quarantine import Batch
from lingqu.data.text_files import open_bytes
from lingqu.errors import DataError, Problem

Array = np.ndarray[Any, np.dtype[Any]]

_DAMAGE = (
    *(ValueError, OSError, EOFError, OverflowError, MemoryError, NotImplementedError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, tokenize.TokenError),
)
"""What zipfile and NumPy raise on archives that are damaged, encrypted, or packed in ways they do not know."""

_SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "": "",
}
_INPUTS, _TARGETS = ("x", "images", "data", "features"), ("y", "labels", "label", "target", "targets")
_KEY = re.compile(
    rf"(?:(?P<one>{'|'.join(_INPUTS + _TARGETS)})(?:_(?P<after>train|val|valid|validation|test))?)|"
    rf"(?:(?P<before>train|val|valid|validation|test)_(?P<two>{'|'.join(_INPUTS + _TARGETS)}))"
)


def read_npz(path: Path, batch: int = 1000) -> Generator[Batch, None, None]:
    """The rows of an archive whose keys are x and y, x_train and y_train, train_images and train_labels, or the like."""
    parts, names = _load(path)
    limits = _limits([pair["x"] for pair in parts.values()])
    for split, pair in parts.items():
        inputs, targets = pair["x"], pair.get("y")
        if targets is not None and len(targets) != len(inputs):
            found = f"{len(inputs)} and {len(targets)}"
            raise DataError(Problem(f"as many labels as rows in {path.name}", found, "Write the archive again."))
        for start in range(0, len(inputs), batch):
            stop = start + batch
            columns = array_columns(inputs[start:stop], names, limits)
            if targets is not None:
                columns["label"] = targets[start:stop].tolist()
            yield Batch(Rows(columns), start + 1, split=split)


def _load(path: Path) -> tuple[dict[str, dict[str, Array]], list[str] | None]:
    parts: dict[str, dict[str, Array]] = {}
    names: list[str] | None = None
    with open_bytes(path) as raw:
        try:
            check_archive(raw, path)
            # Object arrays would be pickles, and pickles are programs: allow_pickle stays off.
            with np.load(raw, allow_pickle=False) as archive:
                for key in archive.files:
                    if key == "feature_names":
                        names = [str(name) for name in archive[key].tolist()]
                        continue
                    role = _role(key)
                    if role:
                        array = archive[key]
                        if not isinstance(array, np.ndarray):
                            raise ValueError(f"{key!r}, which is no array")
                        parts.setdefault(role[0], {})[role[1]] = _flat(array) if role[1] == "y" else array
                keys = list(archive.files)
        except _DAMAGE as error:
            found = str(error).splitlines()[0][:120] if str(error) else "a damaged one"
            raise DataError(Problem(f"a NumPy archive of plain arrays {path.name}", found, "Write it again.")) from None
    parts = {split: pair for split, pair in parts.items() if "x" in pair}
    if not parts:
        found = ", ".join(sorted(keys)) or "nothing"
        raise DataError(Problem(f"arrays x and y (or x_train, y_train …) in {path.name}", found, "Rename its arrays."))
    return parts, names


def _role(key: str) -> tuple[str, str] | None:
    """The split and the part that an array's name tells: x_train -> (train, x), val_labels -> (validation, y)."""
    found = _KEY.fullmatch(key.lower())
    if not found:
        return None
    kind = found["one"] or found["two"]
    return _SPLITS[found["after"] or found["before"] or ""], "x" if kind in _INPUTS else "y"


def _flat(labels: Array) -> Array:
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _limits(arrays: list[Array]) -> tuple[float, float]:
    """The lowest and the highest value that pixels are scaled from: what the numbers' type says, or what is there."""
    if all(array.dtype == np.uint8 for array in arrays) or arrays[0].ndim == 2:
        return 0.0, 255.0
    low = min(float(array.min()) for array in arrays if array.size)
    high = max(float(array.max()) for array in arrays if array.size)
    for bound in (1.0, 255.0):
        if low >= 0 and high <= bound:
            return 0.0, bound
    return (low, high) if high > low else (low, low + 1)


def array_columns(inputs: Array, names: list[str] | None, limits: tuple[float, float]) -> dict[str, list[Any]]:
    """A 2-D array as one column per feature; images, (rows, height, width[, colours]), as PNG bytes.

    >>> array_columns(np.array([[1.5, 2.0]]), ["a", "b"], (0.0, 1.0))
    {'a': [1.5], 'b': [2.0]}
    """
    if inputs.ndim == 2:
        known = names if names and len(names) == inputs.shape[1] else [f"x{i}" for i in range(inputs.shape[1])]
        return {name: inputs[:, i].tolist() for i, name in enumerate(known)}
    if inputs.ndim == 4 and inputs.shape[1] in (1, 3) and inputs.shape[3] not in (1, 3, 4):
        inputs = inputs.transpose(0, 2, 3, 1)  # colours first, as torch has them
    if inputs.ndim not in (3, 4) or (inputs.ndim == 4 and inputs.shape[3] not in (1, 3, 4)):
        found = f"an array of shape {inputs.shape}"
        raise DataError(
            Problem("images (rows, height, width, colours) or a table (rows, columns)", found, "Reshape it.")
        )
    low, high = limits
    if inputs.dtype != np.uint8:
        inputs = np.clip(np.rint((inputs.astype(np.float64) - low) * (255 / (high - low))), 0, 255).astype(np.uint8)
    return {"image": [encode_png(np.ascontiguousarray(pixels)) for pixels in inputs]}
