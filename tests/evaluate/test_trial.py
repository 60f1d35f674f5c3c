"""What a trial looks at, and what a look costs: rows that repeat count once, and a rollback brings no fresh budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lingqu.bundle.read import Bundle
from lingqu.contract import NumberValue, Rows
from lingqu.data.alike import COINCIDENCES, nearly_same
from lingqu.data.findings import Finding
from lingqu.data.parquet import to_parquet
from lingqu.data.version import GROUP, ROW, DataVersion
from lingqu.evaluate.comparison import group_index
from lingqu.evaluate.gate import Decision, decide
from lingqu.evaluate.translation import Words
from lingqu.evaluate.trial import Fresh, Trial, _told
from lingqu.registry import Registry
from lingqu.spec import Spec
from lingqu.spec.amounts import Limit
from lingqu.store import Store, write_bytes
from lingqu.tasks import find_task
from tests.serve.bundles import STEP, versions

TASK = find_task("tabular-regression")
KINDS = {"x": "number", TASK.target.name: "number"}
SPEC = Spec.model_validate(
    {"name": "echo", "task": TASK.name, "data": {"source": "rows.csv"}, "gates": {"margin": 0.5}}
)
DATA = DataVersion("d", TASK.name, TASK.target.name, {}, KINDS, {}, "")


def asked(different: int, times: int) -> Rows:
    """In five of eight rows version 2 is the nearer one, by as much as version 1 is in the others."""
    x = [float(i) for i in range(different)] * times
    return Rows({"x": x, TASK.target.name: [v + STEP * (1.8 if v % 8 < 5 else 1.2) for v in x]})


def test_large_numbers_of_a_decision_are_written_out_in_both_languages() -> None:
    prices = [200_000.0 + 3_000 * i for i in range(80)]
    rival, near = ([NumberValue(price + far, 0.0, 1e6) for price in prices] for far in (154_549.7, 16_517.2))
    limits = [Limit.parse("rmse", "<= 20000")]
    found = decide(TASK, prices, rival, near, alpha=0.025, first=True, thresholds=limits)
    told = _told(found)
    assert told["sentence"].startswith("Promote: rmse 16,517 against 154,550, a lead of 138,032 (")
    assert "rmse is 16,517 and should be" in told["checks"][-1]["sentence"]
    for sentence in (told["sentence"], *(check["sentence"] for check in told["checks"])):
        assert "e+" not in sentence
        assert "against" not in Words("zh").told(sentence)


@pytest.mark.heavy
def test_fresh_rows_that_are_asked_again_and_again_count_once(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    champion, challenger = versions(store, tmp_path / "bundles", 2)
    frozen = Decision(
        "keep", "rmse", "t", p=1.0, alpha=0.025, rows=9, difference=0, low=0, high=0, champion=1, challenger=1
    )
    trial = Trial(SPEC, TASK, DATA, store, {}, {}, [], fresh=Fresh(asked(40, 5), "audit-1"))
    found = trial._on_fresh_rows(champion, Bundle.open(store.folder_path(challenger.bundle)), 0.025, frozen)
    assert (found.decision, found.test) == ("keep", "paired bootstrap over 40 groups and swap test"), found.sentence()

    assert group_index(trial._alike(asked(200, 1))) is None
    # Where equal rows are coincidences in the test rows, they are so here.
    few = replace(DATA, findings=(Finding("note", COINCIDENCES, "few values"),))
    assert replace(trial, data=few)._alike(asked(40, 5)) is None


def kept(store: Store, folder: Path, rows: Rows, first: int = 0) -> DataVersion:
    """A data version with these test rows, numbered from the first."""
    names = [str(first + place) for place in range(len(rows))]
    file = to_parquet(rows.with_columns({ROW: names, GROUP: names}), {**KINDS, ROW: "text", GROUP: "text"})
    write_bytes(folder / "test.parquet", file)
    return replace(DATA, counts={"test": len(rows)}, folder=store.put_folder(folder))


def test_the_count_begins_again_where_nineteen_in_twenty_test_rows_are_new(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    report = store.put_json({"data": kept(store, tmp_path / "old", asked(40, 1)).as_dict()})
    Registry(store).register(
        "echo", bundle=store.put_folder(tmp_path / "old"), data_version="e", run="r", task=TASK.name, metrics={},
        decision={"gate_set": "test-old"}, lineage={"report": report}, spec={},
    )  # fmt: skip
    for new, gate_set in ((0, "test-old"), (37, "test-old"), (38, "test-d")):
        trial = Trial(SPEC, TASK, kept(store, tmp_path / "new", asked(40, 1), first=new), store, {}, {}, [])
        assert trial._gate_set(Registry(store)) == gate_set


@pytest.mark.heavy
def test_a_champion_that_is_back_has_no_fresh_budget_for_unseen_proofs(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "bundles", 2)
    registry, version = Registry(store), Registry(store).get("echo@2")
    data = kept(store, tmp_path / "data", asked(40, 1))
    trial = Trial(SPEC, TASK, data, store, {"bundle": version.bundle}, {}, [], unseen=True)

    def look(number: int) -> tuple[str, int]:
        report = {"latency": {"p95_ms": 1.0}, "size": {"bytes": 1}}
        gate = trial._look(registry, tmp_path / f"look-{number}", report)
        return gate["gate_set"], gate["round"]

    assert look(1) == ("unseen-v1", 1)
    registry.promote("echo", 2, who="anna", why="a hunch")
    registry.rollback("echo", who="anna", why="it was none")
    assert look(2) == ("unseen-v1", 2)
    # A store of before, whose champion was asked three times when it led for the first time.
    for number in (1, 2, 3):
        registry.spend("echo", "unseen-1", number, 0.01, None, "unseen")
    decision = {"against": 1, "gate_set": "unseen-1"}
    registry.register(
        "echo", bundle=version.bundle, data_version="e", run="r", task=TASK.name, metrics={}, decision=decision,
        lineage={}, spec={},
    )  # fmt: skip
    assert look(3) == ("unseen-1", 4)


def test_texts_that_are_nearly_the_same_count_once_unless_the_spec_keeps_them_apart() -> None:
    rows = Rows({"text": ["Where is my parcel?", "where is my  parcel", "It broke.", "It broke."]})
    task = find_task("text-classification")
    groups = [nearly_same(rows, {"text": "text"}, task, near=near) for near in (True, False)]
    assert groups == [[0, 0, 2, 2], [0, 1, 2, 2]]
