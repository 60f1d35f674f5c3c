"""HARDENING T11: a changed setting does again exactly what depends on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lingqu.errors import DataError
from lingqu.loop import run
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.conftest import write_csv

ALL = ["data", "train ngram-linear", "bundle ngram-linear", "compress", "refit", "evaluate", "gate"]
BASE: dict[str, Any] = {
    "name": "kinds",
    "task": "text-classification",
    "data": {"source": "rows.csv", "columns": {"text": "text", "label": "label"}},
    "size": "tiny",
    "model": "ngram-linear",
}

# (what is changed, the first stage that must be done again; None: none at all)
FIELDS: list[tuple[dict[str, Any], str | None]] = [
    ({"data": {"seed": 1}}, "data"),
    ({"data": {"near_duplicates": False}}, "data"),
    ({"data": {"split": {"test": 0.3}}}, "data"),
    ({"data": {"split": {"validation": 0.2}}}, "data"),
    ({"data": {"max_bad": 0.5}}, "data"),
    ({"data": {"types": {"text": "text"}}}, "data"),
    ({"data": {"encoding": "utf-8"}}, "data"),
    ({"data": {"delimiter": ","}}, "data"),
    ({"data": {"group": "label"}}, "data"),
    ({"data": {"source": "other.csv"}}, "data"),
    ({"size": "small"}, "train ngram-linear"),
    ({"budget": "5 min"}, "train ngram-linear"),
    ({"train": {"epochs": 3}}, "train ngram-linear"),
    ({"train": {"batch_size": 8}}, "train ngram-linear"),
    ({"train": {"learning_rate": 0.1}}, "train ngram-linear"),
    ({"train": {"weight_decay": 0.1}}, "train ngram-linear"),
    ({"train": {"patience": 3}}, "train ngram-linear"),
    ({"train": {"clip": 0.5}}, "train ngram-linear"),
    ({"train": {"class_weights": "balanced"}}, "train ngram-linear"),
    ({"train": {"precision": "float32"}}, "train ngram-linear"),
    ({"train": {"seed": 7}}, "train ngram-linear"),
    ({"train": {"threads": 1}}, "train ngram-linear"),
    ({"tune": {"trials": 2}}, "compress"),
    ({"compress": {"quantise": "none"}}, "compress"),
    ({"compress": {"vocabulary": "none"}}, "compress"),
    ({"compress": {"refit_head": False}}, "compress"),
    ({"compress": {"cascade": True}}, "compress"),
    ({"compress": {"prune": 0.5}}, "compress"),
    ({"compress": {"quantise": "none", "vocabulary": "none"}}, "refit"),
    ({"gates": {"f1": ">= 0.5"}}, "gate"),
    ({"gates": {"margin": 0.05}}, "gate"),
    ({"gates": {"alpha": 0.01}}, "gate"),
    ({"gates": {"latency_p95": "<= 9 s"}}, "gate"),
    ({"gates": {"size": "<= 90 MB"}}, "gate"),
    ({"serve": {"port": 9000}}, None),
    ({"improve": {"after": "300 new labels"}}, None),
    ({"improve": {"at_most": "2 per day"}}, None),
]


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return {
        **base,
        **{
            key: merged(base.get(key, {}), value) if isinstance(value, dict) else value for key, value in change.items()
        },
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store]:
    folder = tmp_path_factory.mktemp("stages")
    rows = find_task("text-classification").toy(120)
    write_csv(folder / "rows.csv", rows)
    write_csv(folder / "other.csv", find_task("text-classification").toy(120, seed=1))
    store = Store.open(folder / ".lingqu")
    assert run(located(folder, BASE), store=store)["cached"] == []
    return folder, store


def located(folder: Path, spec: dict[str, Any]) -> dict[str, Any]:
    source = spec["data"]["source"]
    return {**spec, "data": {**spec["data"], "source": str(folder / source)}}


@pytest.mark.parametrize(("change", "first"), FIELDS, ids=str)
@pytest.mark.heavy
def test_exactly_what_depends_on_a_setting_is_done_again(
    change: dict[str, Any], first: str | None, done: tuple[Path, Store]
) -> None:
    folder, store = done
    keys = stage_keys(located(folder, merged(BASE, change)), store)
    assert keys == (ALL if first is None else ALL[: ALL.index(first)])


def test_a_sentence_as_long_as_a_digest_is_no_blob(tmp_path: Path) -> None:
    from lingqu.stages.context import blobs_of

    store = Store.open(tmp_path)
    digest = store.put_bytes(b"1")
    why = "the lead of mlp, 0.00664, is within its standard error of 0.0288"
    assert blobs_of({"why": why, "weights": digest, "other": "0" * 64}, store) == [digest]


def stage_keys(spec: dict[str, Any], store: Store) -> list[str]:
    """The stages whose results are found, up to the first that is not: what a run would not do again."""
    from lingqu.loop import check
    from lingqu.stages import Stages
    from lingqu.stages.context import Context
    from lingqu.tasks import find_task as find
    from lingqu.train import ladder

    class Undone(Exception):
        """The first stage that has work to do."""

    class Looking(Context):
        """Where a stage stops instead of working."""

        def work(self, *_: Any) -> Any:
            raise Undone

    checked = check(spec)
    stages = Stages(checked, find(checked.task), store)
    stages.context = Looking(checked, find(checked.task), store)
    try:
        data = stages.data()
        rungs = [
            stages.bundle(stages.train(name, data, 1.0), data) for name in ladder.families(stages.context.task, checked)
        ]
        chosen = stages.tune(stages.choose(rungs, data), rungs, data)
        shipped = stages.refit(stages.compress(chosen, data, rungs), rungs, data)
        stages.conclude(shipped, stages.evaluate(shipped, rungs, data), rungs, data)
    except Undone:
        pass
    skipped = [] if checked.compress.asks else ["compress"]
    return [name for name in ALL if name in [*stages.context.cached, *skipped]]


def test_a_file_that_is_written_to_while_it_is_read_makes_no_version(tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", find_task("text-classification").toy(40))

    def write(_stage: str, _done: float, _sentence: str) -> None:
        with (tmp_path / "rows.csv").open("a", encoding="utf-8") as file:
            file.write("one more,food\n")

    with pytest.raises(DataError) as error:
        run({**BASE, "data": {"source": str(tmp_path / "rows.csv")}}, store=Store.open(tmp_path / "store"), tell=write)
    assert str(error.value).endswith(
        "Expected sources that stay as they are while they are read, found rows.csv changed meanwhile. Run again when "
        "nobody writes there any more, or read a copy."
    )
