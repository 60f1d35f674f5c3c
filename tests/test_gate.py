"""What keeps the gate honest around the tests themselves: whom a proof is against, and which rows have been looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lingqu.errors import GateError, RequestError
from lingqu.loop import check, run
from lingqu.registry import Registry
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.conftest import Lingqu, write_csv


@pytest.fixture
def registry(finished: Path) -> Registry:
    return Registry(Store.open(finished / ".lingqu"))


def challenger(registry: Registry, data: str) -> int:
    """One more version that passed its gate against version 1, registered as a run would."""
    first = registry.get("kinds@1")
    _, epoch = registry.alias("kinds", "champion") or (None, 0)
    decision = {**first.decision, "against": 1, "champion_epoch": epoch}
    return registry.register(
        "kinds", bundle=first.bundle, data_version=data, run="r", task=first.task, metrics=first.metrics,
        decision=decision, lineage=first.lineage, spec=first.spec,
    ).number  # fmt: skip


@pytest.mark.heavy
def test_a_champion_whose_columns_are_gone_is_told_before_training(tmp_path: Path) -> None:
    """The first champion reads three columns; the next rows have two of them, and one would pass for missing."""
    rows = find_task("tabular-regression").toy(200)
    rows = rows.with_columns({"age": [float(i % 7) for i in range(200)]})
    write_csv(tmp_path / "rows.csv", rows)
    store = Store.open(tmp_path / "store")
    spec = {
        "name": "prices", "task": "tabular-regression", "size": "tiny", "model": "linear",
        "data": {"source": str(tmp_path / "rows.csv"), "near_duplicates": False},
    }  # fmt: skip
    assert run(spec, store=store)["champion"] == 1
    write_csv(tmp_path / "rows.csv", rows.select(["rooms", "town", "target"]))
    told: list[str] = []
    with pytest.raises(RequestError) as refused:
        run(spec, store=store, tell=lambda stage, _done, _sentence: told.append(stage))
    assert str(refused.value) == (
        "Expected the column 'age' that the champion prices@1 reads, found no such column. "
        "Bring it back, or give the spec another name: a model of its own needs no comparison."
    )
    assert set(told) == {"data"}


@pytest.mark.heavy
def test_a_proof_against_an_old_champion_promotes_nobody(registry: Registry, lingqu: Lingqu) -> None:
    second, third = challenger(registry, "d2"), challenger(registry, "d3")
    assert lingqu("promote", f"kinds@{third}").returncode == 0
    refused = lingqu("promote", f"kinds@{second}")
    assert refused.returncode == GateError.exit_status
    assert refused.stderr == (
        "Expected a gate that kinds@2 passed against today's champion, found one against kinds@1, and the champion "
        "changed since. Run again with fresh rows, or overrule it: --override --why REASON\n"
    )
    assert lingqu("promote", f"kinds@{second}", "--override", "--why", "measured by hand").returncode == 0


def changed(project: Path, **changes: Any) -> dict[str, Any]:
    """The project's spec with other settings of its data section, as a mapping."""
    spec = check(project / "lingqu.yaml").model_dump(mode="json", exclude_none=True)
    spec["data"] |= {"source": str(project / "rows.csv"), **changes}
    return spec


@pytest.mark.heavy
def test_a_new_seed_brings_no_fresh_budget(finished: Path, registry: Registry) -> None:
    first = registry.get("kinds").decision
    again = run(changed(finished, seed=5), store=registry.store)["gate"]
    assert again["gate_set"] == first["gate_set"]
    assert (first["round"], again["round"]) == (1, 2)
    # The champion trained on most of the rows that this seed would test on; only the others may judge.
    assert again["rows"] < 60


@pytest.mark.heavy
def test_a_column_beside_the_text_brings_no_fresh_budget(finished: Path, registry: Registry) -> None:
    rows = find_task("text-classification").toy(300)
    write_csv(finished / "rows.csv", rows.with_columns({"page": [str(i) for i in range(300)]}))
    again = run(changed(finished), store=registry.store)["gate"]
    assert again["gate_set"] == registry.get("kinds@1").decision["gate_set"]
    assert again["round"] == 2


@pytest.mark.heavy
def test_rows_that_nobody_looked_at_bring_a_fresh_budget(finished: Path, registry: Registry) -> None:
    write_csv(finished / "rows.csv", find_task("text-classification").toy(300, seed=9))
    again = run(changed(finished), store=registry.store)["gate"]
    assert again["gate_set"] != registry.get("kinds@1").decision["gate_set"]
    assert again["round"] == 1


@pytest.mark.heavy
def test_a_champion_that_saw_every_test_row_cannot_be_compared(tmp_path: Path) -> None:
    rows = find_task("text-classification").toy(240)
    write_csv(tmp_path / "a.csv", rows.take(range(120)))
    write_csv(tmp_path / "b.csv", rows.take(range(120, 240)))
    store = Store.open(tmp_path / "store")

    def spec(train: str, test: str) -> dict[str, Any]:
        source = {"train": str(tmp_path / train), "test": str(tmp_path / test)}
        data = {"source": source, "near_duplicates": False}
        return {"name": "k", "task": "text-classification", "size": "tiny", "model": "ngram-linear", "data": data}

    assert run(spec("a.csv", "b.csv"), store=store)["champion"] == 1
    with pytest.raises(GateError) as refused:
        run(spec("b.csv", "a.csv"), store=store)
    assert str(refused.value) == (
        "Expected test rows that k@1 was not trained on, found none. "
        "Keep data.seed and data.split as they were for the champion, or bring fresh test rows."
    )


@pytest.mark.heavy
def test_a_renamed_column_reaches_the_bundle(finished: Path, registry: Registry) -> None:
    rows = find_task("text-classification").toy(300)
    write_csv(finished / "rows.csv", rows.rename({"text": "body"}))
    result = run(changed(finished, columns={"text": "body", "label": "label"}), store=registry.store)
    assert "train ngram-linear" in result["cached"]
    assert "bundle ngram-linear" not in result["cached"]
    from lingqu.bundle.read import Bundle

    assert Bundle.open(result["bundle"]).predict([{"body": "the soup is sweet"}])[0].cells()["prediction"] == "food"
