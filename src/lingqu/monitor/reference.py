"""What windows are compared with: held-out rows of the version's own data, and the bundle's answers to them.

Made when it is first asked for, and kept as a blob of the store: of texts and pictures only what is watched is in it.
Where the journal masks personal data, the reference is masked alike, for a mask that only one side wears would be drift.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lingqu.bundle.read import Bundle
from lingqu.contract import Rows
from lingqu.data.accept import accept
from lingqu.evaluate.unseen import data_of
from lingqu.monitor.quality import right
from lingqu.monitor.signals import KINDS, VECTORS, Signal, of_answers, of_columns
from lingqu.privacy.mask import mask_row
from lingqu.registry import Version
from lingqu.serve.journal import answer_cells
from lingqu.store import Store

Array = np.ndarray[Any, np.dtype[Any]]

MOST_NAMES = 10_000
_META = "about"


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The signals of held-out rows, the names that training saw, and which confidences turned out right."""

    rows: int
    signals: list[Signal]
    limits: list[dict[str, Any]]
    """The learned contract of the columns, as the bundle holds it."""
    known: dict[str, list[str]]
    confidence: Array
    right: Array

    def to_bytes(self) -> bytes:
        """The reference as one NumPy archive without pickles."""
        about = {
            "rows": self.rows,
            "limits": self.limits,
            "known": self.known,
            "signals": [[signal.name, signal.column, signal.kind] for signal in self.signals],
        }
        arrays = {f"s{i}": _small(signal) for i, signal in enumerate(self.signals)}
        buffer = io.BytesIO()
        told = np.frombuffer(json.dumps(about).encode(), np.uint8)
        np.savez_compressed(buffer, **{_META: told, "confidence": self.confidence, "right": self.right}, **arrays)  # pyright: ignore[reportArgumentType]
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Reference:
        """The reference that `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            about = json.loads(held[_META].tobytes())
            signals = [
                Signal(name, column, kind, held[f"s{i}"].astype(np.float32) if kind == VECTORS else held[f"s{i}"])
                for i, (name, column, kind) in enumerate(about["signals"])
                if kind in KINDS
            ]
            confidence, good = held["confidence"], held["right"]
        return cls(about["rows"], signals, about["limits"], about["known"], confidence, good)


def reference(version: Version, store: Store, *, most: int, masked: bool) -> Reference:
    """The reference of a version, of at most so many rows; made on first use, found afterwards; kept where the store may be written.

    MissingPackageError when the rows have to be read and pyarrow is not there.
    """
    inputs = {
        "bundle": version.bundle,
        "data": version.data_version,
        "rows": most,
        "masked": masked,
        "code": store.code_version("monitor"),
    }
    key = store.stage("monitor reference", inputs)
    if not store.writable:
        found = store.stage_result(key)
        return _kept(found, store) if found else _make(version, store, most, masked)
    with store.lock(f"stage-{key}"):
        found = store.stage_result(key)
        if found is None:
            made = _make(version, store, most, masked)
            found = {"reference": store.put_bytes(made.to_bytes())}
            store.finish_stage(key, found, 0.0, blobs=[found["reference"]])
            return made
    return _kept(found, store)


def _kept(found: Mapping[str, Any], store: Store) -> Reference:
    return Reference.from_bytes(store.get_bytes(found["reference"]))


def _make(version: Version, store: Store, most: int, masked: bool) -> Reference:
    bundle = Bundle.open(store.folder_path(version.bundle))
    data = data_of(version, store)
    rows = data.rows("test", store)
    if len(rows) > most:
        rows = rows.take(np.sort(np.random.default_rng(0).choice(len(rows), most, replace=False)).tolist())
    answers = [answer_cells(answer, "plain")[0] for answer in bundle.answer(rows)]
    truth = rows[bundle.task.target.name]
    good = [right(answer, label) for answer, label in zip(answers, truth, strict=True)]
    sure = [answer.get("confidence") for answer in answers]
    limits = bundle.manifest["columns"]
    kinds = {limit["name"]: limit["kind"] for limit in limits}
    names = [name for name, kind in kinds.items() if kind == "category"]
    train = data.rows("train", store) if names else Rows({})
    known = {name: [value for value, _ in Counter(_present(train[name])).most_common(MOST_NAMES)] for name in names}
    watched = rows.select([name for name in kinds if name in rows])
    typed, _ = accept(_masked(watched) if masked else watched, limits)
    # Refused rows have no confidence; a number has none either, and is right within its range.
    with_confidence = [i for i, value in enumerate(sure) if value is not None]
    return Reference(
        len(rows),
        [*of_answers(answers), *of_columns(typed, kinds, known)],
        limits,
        known,
        np.array([sure[i] for i in with_confidence], dtype=float),
        np.array([good[i] for i in with_confidence] if with_confidence else good, dtype=bool),
    )


def _masked(rows: Rows) -> Rows:
    return Rows.from_dicts(mask_row(row) for row in rows) if len(rows) else rows


def _present(values: list[Any]) -> list[str]:
    return [str(value) for value in values if value is not None]


def _small(signal: Signal) -> Array:
    return signal.values.astype(np.float16) if signal.kind == VECTORS else signal.values
