"""A version, its reference and a journal that the tests of this folder fill, without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from lingqu.contract import Rows
from lingqu.monitor.reference import Reference
from lingqu.monitor.signals import of_answers, of_columns
from lingqu.registry import Registry, Version
from lingqu.serve.journal import iso, spell
from lingqu.store import Store, write_bytes
from lingqu.store.tables import FEEDBACK, PREDICTIONS

LIMITS = [
    {"name": "age", "source": "age", "kind": "number", "missing": True, "low": -9.0, "high": 9.0},
    {"name": "job", "source": "job", "kind": "category", "missing": False, "values": ["cook", "smith"]},
]
START, HOUR = 1_780_000_000.0, 3600.0


def drawn(rows: int, seed: int, shift: float = 0.0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Inputs and answers of a service whose ages may have moved by so many standard deviations."""
    rng = np.random.default_rng(seed)
    ages, cooks, sure = rng.normal(shift, 1, rows), rng.random(rows) < 0.6, rng.uniform(0.6, 1, rows)
    inputs = [{"age": float(age), "job": "cook" if cook else "smith"} for age, cook in zip(ages, cooks, strict=True)]
    answers = [
        {"kind": "label-scores", "prediction": "yes" if cook else "no", "confidence": float(one)}
        for cook, one in zip(cooks, sure, strict=True)
    ]
    return inputs, answers


def reference_of(rows: int = 1000, seed: int = 99) -> Reference:
    """The held-out rows of that service, nine of ten answered as their confidence says."""
    inputs, answers = drawn(rows, seed)
    known = {"job": ["cook", "smith"]}
    signals = of_columns(Rows.from_dicts(inputs), {"age": "number", "job": "category"}, known)
    sure = np.array([answer["confidence"] for answer in answers])
    right = np.random.default_rng(seed).random(rows) < sure
    return Reference(rows, [*of_answers(answers), *signals], LIMITS, known, sure, right)


def registered(folder: Path, monitor: dict[str, Any] | None = None, url: str | None = None) -> tuple[Store, Version]:
    """A store with version 1 of `credit`."""
    store = Store.open(folder / "store", url)
    write_bytes(folder / "bundle" / "model.onnx", b"not needed here")
    version = Registry(store).register(
        "credit",
        bundle=store.put_folder(folder / "bundle"),
        data_version="d1",
        run="r1",
        task="tabular-classification",
        metrics={},
        decision={"decision": "promote"},
        lineage={},
        spec={"monitor": monitor or {}},
    )
    return store, version


class Service:
    """What answers and is journalled: one answer a minute."""

    def __init__(self, store: Store, version: Version) -> None:
        self.store, self.version, self.count = store, version, 0

    def answers(
        self,
        rows: int,
        *,
        shift: float = 0.0,
        latency: float = 5.0,
        inputs: bool = True,
        encrypted: bool = False,
        refused: int = 0,
        seed: int | None = None,
    ) -> list[str]:
        """So many answers more, the first `refused` of them refusals; their ids."""
        asked, given = drawn(rows, self.count if seed is None else seed, shift)
        made = []
        for place, (row, answer) in enumerate(zip(asked, given, strict=True)):
            moment = START + 60.0 * self.count
            # As the service makes them: time, count, and an end that says nothing.
            identity = f"{int(moment * 1000):012x}{self.count:05x}{self.count * 0x9E3779B97F4A7C15 % 2**60:015x}"
            is_refused = place < refused
            made.append(
                {
                    "id": identity,
                    "request_id": "r",
                    "at": iso(moment),
                    "name": self.version.name,
                    "number": self.version.number,
                    "role": "champion",
                    "principal": "",
                    "tenant": "",
                    "user": None,
                    "input": "enc:nobody has the key" if encrypted else spell(row) if inputs else None,
                    "policy": "plain" if inputs else "none",
                    "answer": spell({"kind": "refusal"} if is_refused else answer),
                    "confidence": None if is_refused else answer["confidence"],
                    "latency_ms": latency,
                }
            )
            self.count += 1
        with self.store.database.writing() as connection:
            connection.execute(insert(PREDICTIONS), made)
        return [one["id"] for one in made]

    def labels(
        self, ids: Sequence[str], right: Sequence[bool], *, source: str = "audit", status: str = "accepted"
    ) -> None:
        """What somebody says of these answers, each of which was 'yes'."""
        made = [
            {
                "id": f"{source[:4]}{identity[4:]}",
                "prediction_id": identity,
                "name": self.version.name,
                "number": self.version.number,
                "principal": source,
                "tenant": "",
                "source": source,
                "origin": "person",
                "kind": "label",
                "value": spell("yes" if good else "no"),
                "answer": spell({"kind": "label-scores", "prediction": "yes", "confidence": 0.9}),
                "given": "",
                "at": iso(START + place),
                "status": status,
                "reason": "",
            }
            for place, (identity, good) in enumerate(zip(ids, right, strict=True))
        ]
        with self.store.database.writing() as connection:
            connection.execute(insert(FEEDBACK), made)
