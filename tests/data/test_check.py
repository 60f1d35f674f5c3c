"""HARDENING D1: 14 seeded faults are told apart, and clean samples stay quiet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.contract import Rows
from lingqu.data.check import compare
from lingqu.data.groups import row_digests
from lingqu.data.ingest import ingest
from lingqu.data.profile import profile
from lingqu.spec import DataSettings
from lingqu.store import Store
from lingqu.tasks import find_task

KINDS = {
    "guest": "id",
    "age": "number",
    "price": "number",
    "nights": "number",
    "town": "category",
    "day": "time",
    "note": "text",
    "label": "label",
}
WORDS = ["chambre", "dîner", "calme", "très", "bien", "bruit", "vue", "mer", "déçu", "sale", "propre", "accueil"]


def sample(count: int, seed: int) -> Rows:
    """Bookings: who comes again depends on age, price and town, as in life not quite."""
    draw = np.random.default_rng(seed)
    age, price = draw.normal(45, 12, count).clip(18, 95).round(), draw.lognormal(4.5, 0.4, count).round(2)
    town = draw.choice(["Lyon", "Nice", "Metz", "Brest", "Albi"], count, p=[0.4, 0.3, 0.2, 0.08, 0.02])
    chance = 1 / (1 + np.exp(-(age - 45) / 4 - (town == "Nice") * 2 + (price - 90) / 30))
    return Rows(
        {
            "guest": [f"g{seed}-{n}" for n in range(count)],
            "age": [None if draw.random() < 0.03 else float(value) for value in age],
            "price": price.tolist(),
            "nights": draw.integers(1, 15, count).astype(float).tolist(),
            "town": town.tolist(),
            "day": [f"2024-{month:02}-{day:02}" for month, day in draw.integers([1, 1], [13, 29], (count, 2)).tolist()],
            "note": [" ".join(draw.choice(WORDS, 8)) for _ in range(count)],
            "label": np.where(draw.random(count) < chance, "again", "never").tolist(),
        }
    )


REFERENCE = sample(2000, 0)
PROFILE = profile(REFERENCE, KINDS, "label")
DRAW = np.random.default_rng(1)


def some(rows: Rows, name: str, share: float, change: Callable[[Any], Any]) -> Rows:
    return rows.with_columns({name: [change(v) if DRAW.random() < share else v for v in rows[name]]})


def swap(day: str) -> str:
    year, month, number = day.split("-")
    return f"{year}-{number}-{month}" if int(number) <= 12 else f"{year}-{month}-01"


def shuffled(rows: Rows) -> Rows:
    order = DRAW.permutation(len(rows)).tolist()
    return rows.with_columns({"guest": [rows["guest"][i] for i in order], "label": [rows["label"][i] for i in order]})


def imbalanced(rows: Rows) -> Rows:
    kept = [i for i, label in enumerate(rows["label"]) if label == "never" or DRAW.random() < 0.3]
    return rows.take(kept)


FAULTS: dict[str, tuple[Callable[[Rows], Rows], str, str]] = {
    "missing column": (lambda rows: rows.select([n for n in rows.names if n != "price"]), "missing-column", "price"),
    "type": (lambda rows: some(rows, "age", 0.5, lambda _: "adult"), "type", "age"),
    "unit x1000": (lambda rows: some(rows, "price", 1, lambda price: price * 1000), "unit", "price"),
    "null burst": (lambda rows: some(rows, "nights", 0.15, lambda _: None), "missing-values", "nights"),
    "new category": (lambda rows: some(rows, "town", 0.05, lambda _: "Paris"), "new-category", "town"),
    "date swap": (lambda rows: some(rows, "day", 1, swap), "dates", "day"),
    "leak column": (lambda rows: rows.with_columns({"code": [v[:1] for v in rows["label"]]}), "leak", "code"),
    "dup rows": (lambda rows: rows.take([*range(len(rows)), *range(100)]), "repeated-rows", ""),
    "constant": (lambda rows: some(rows, "nights", 1, lambda _: 3.0), "constant", "nights"),
    "id shuffle": (shuffled, "shuffled", "label"),
    "range": (lambda rows: some(rows, "age", 0.03, lambda _: 999.0), "range", "age"),
    "encoding": (lambda rows: some(rows, "note", 0.1, lambda t: t.encode().decode("cp1252")), "encoding", "note"),
    "imbalance": (imbalanced, "imbalance", "label"),
    "train/test overlap": (
        lambda rows: Rows({n: rows[n] + REFERENCE[n][:40] for n in rows.names}),
        "overlap",
        "",
    ),
}


def look(rows: Rows) -> set[tuple[str, str]]:
    known = set(row_digests(REFERENCE))
    return {(one.code, one.column) for one in compare(PROFILE, rows, known) if one.level == "warning"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_caught(fault: str) -> None:
    change, code, column = FAULTS[fault]
    found = look(change(sample(1000, 7)))
    assert (code, column) in found
    # The fault is told as what it is, not buried among others.
    assert len(found) <= 2, found


def test_there_are_fourteen_faults() -> None:
    assert len(FAULTS) == 14


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(20, marks=pytest.mark.heavy),
        pytest.param(60, marks=pytest.mark.heavy),
        pytest.param(300, marks=pytest.mark.heavy),
        *(pytest.param(n, marks=pytest.mark.slow) for n in (100, 1000, 4000)),
    ],
)
def test_clean_samples_stay_quiet(count: int) -> None:
    alarms = [seed for seed in range(100) if look(sample(count, 1000 + seed))]
    assert len(alarms) <= 5, alarms


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing column", "Column 'price' is missing."),
        ("constant", "Column 'nights' has one value in every row."),
        ("leak column", "Column 'code' alone tells label nearly always: does it know the answer?"),
        ("train/test overlap", "40 of 1,040 rows are among those that trained."),
        ("id shuffle", "The columns tell almost nothing about label any more: were rows or ids shuffled?"),
    ],
)
def test_a_fault_is_told_in_one_sentence(fault: str, message: str) -> None:
    change, code, _ = FAULTS[fault]
    known = set(row_digests(REFERENCE))
    assert message in [str(one) for one in compare(PROFILE, change(sample(1000, 7)), known) if one.code == code]


def test_a_chinese_column_read_wrongly_is_told() -> None:
    texts = [f"房间{'很' * (n % 3 + 1)}干净，服务也不错，早餐{n}" for n in range(400)]
    about = profile(Rows({"text": texts[:200]}), {"text": "text"})
    broken = [text.encode().decode("gb18030", "replace") for text in texts[200:]]
    assert [one.code for one in compare(about, Rows({"text": texts[200:]}))] == []
    assert [one.code for one in compare(about, Rows({"text": broken}))] == ["encoding"]


def test_a_new_version_is_looked_at(tmp_path: Path) -> None:
    rows = sample(400, 3)
    lines = ["age,town,sure,same,label"]
    for row in rows:
        lines.append(f"{row['age'] or ''},{row['town']},{row['label'] == 'again'},1,{row['label']}")
    (tmp_path / "a.csv").write_text("\n".join(lines * 1 + lines[1:40]), encoding="utf-8")
    settings = DataSettings(source=str(tmp_path / "a.csv"))
    version = ingest(settings, find_task("tabular-classification"), Store.open(tmp_path / "store"))
    told = {one.code: str(one) for one in version.findings}
    assert told["constant"] == "Column 'same' has one value in every row."
    assert told["leak"] == "Column 'sure' alone tells label nearly always: does it know the answer beforehand?"
    assert told["repeated-rows"].endswith("% of the rows repeat others exactly.")
