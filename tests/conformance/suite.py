"""What every task must do, ours or a team's, with every family of its ladder.

A task is found by name; nothing here knows any task. `learn` takes its toy rows through training to a bundle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from lingqu.bundle.read import Bundle
from lingqu.bundle.write import write_candidate
from lingqu.contract import NumberValue, Refusal, Rows, Task
from lingqu.data.accept import columns_of, learn_limits
from lingqu.data.types import infer
from lingqu.errors import DataError
from lingqu.spec import TrainSettings
from lingqu.store import Store
from lingqu.train.rung import climb, restore

EIGHT = 8
OTHERS = 40
RUNG = "rung.json"
Elsewhere = Callable[[str, str, Path], None]


def kinds_of(task: Task, rows: Rows) -> dict[str, str]:
    """The kinds of the toy's columns, as ingestion finds them."""
    given = {column.name: column.kind for column in (*task.columns, task.target) if column.kind != "features"}
    return infer(rows, given)


def learn(task: Task, family: str, rows: Rows, folder: Path) -> Bundle:
    """Train on these rows, validate on the same, and write the bundle."""
    store = Store.open(folder / "store")
    kinds = kinds_of(task, rows)
    rung = climb(
        task, family, train=rows, valid=rows, kinds=kinds, size="tiny", settings=TrainSettings(), seconds=60.0,
        store=store, work=store.work("rung"), tell=lambda _done, _sentence: None,
    )  # fmt: skip
    (folder / RUNG).write_text(json.dumps(rung))
    network, memory = restore(rung, store)
    limits = learn_limits(rows, columns_of(task, kinds))
    return write_candidate(
        folder / "bundle", task=task, family=family, network=network, memory=memory, columns=limits, rows=rows
    )


def learns_eight_rows_by_heart(task: Task, bundle: Bundle, rows: Rows) -> None:
    answers = bundle.predict(request(task, rows))
    truth = rows[task.target.name]
    if task.answer is NumberValue:
        spread = float(np.std(truth))
        errors = [abs(answer.value - right) for answer, right in zip(answers, truth, strict=True)]
        assert max(errors) < 0.5 * spread, errors
    else:
        assert [answer.label for answer in answers] == truth


def loads_to_the_same_answers(task: Task, bundle: Bundle, rows: Rows) -> None:
    again = Bundle.open(bundle.path)
    assert again.predict(request(task, rows)) == bundle.predict(request(task, rows))


def answers_a_batch_as_it_answers_each_row(task: Task, bundle: Bundle, rows: Rows) -> None:
    asked = request(task, rows)
    together = [list(answer.cells(scores=True).values()) for answer in bundle.predict(asked)]
    alone = [list(bundle.predict(asked.take([i]))[0].cells(scores=True).values()) for i in range(len(asked))]
    for one, other in zip(together, alone, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a == b if isinstance(a, str) else a == pytest.approx(b, rel=1e-5, abs=2e-6)


def agrees_with_its_network(task: Task, bundle: Bundle, rows: Rows) -> None:
    """On rows that neither has met, the bundle gives what the network gives that its store remembers."""
    assert bundle.manifest["parity"]["rows"] == len(rows)
    folder = bundle.path.parent
    network, memory = restore(json.loads((folder / RUNG).read_text()), Store.open(folder / "store"))
    others = task.toy(OTHERS, seed=99)
    with torch.inference_mode():
        arrays = {name: torch.from_numpy(array) for name, array in task.encode(others, memory).items()}
        expected = network.eval()(**arrays).numpy()
    found = bundle.outputs(others)["logits"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    if expected.shape[1] > 1:
        # The seed is such that no two scores are equal but for rounding.
        assert (found.argmax(1) == expected.argmax(1)).all()


def refuses_a_missing_column_politely(task: Task, bundle: Bundle, rows: Rows) -> None:
    column = bundle.manifest["columns"][0]["source"]
    with pytest.raises(DataError) as refused:
        bundle.predict(request(task, rows).rename({column: "somewhere else"}))
    assert str(refused.value).startswith(f"Expected a column '{column}', found columns ")


def refuses_a_bad_row_and_answers_the_rest(task: Task, bundle: Bundle, rows: Rows) -> None:
    asked = request(task, rows)
    column = next(limit["name"] for limit in bundle.manifest["columns"] if limit["kind"] != "category")
    spoiled = asked.with_columns({column: [b"\xff\xfe not this", *asked[column][1:]]})
    answers = bundle.predict(spoiled)
    assert isinstance(answers[0], Refusal)
    assert column in answers[0].error
    assert answers[1:] == bundle.predict(asked.take(range(1, len(asked))))


AGAIN = """
import json, sys
from pathlib import Path
from lingqu.tasks import find_task
from tests.conformance import suite

for line in sys.stdin:
    name, family, folder = json.loads(line)
    task = find_task(name)
    suite.learn(task, family, task.toy(suite.EIGHT), Path(folder))
    print("learned", flush=True)
"""


def serves_its_own_example_over_http(task: Task, bundle: Bundle, rows: Rows) -> None:
    from lingqu.serve.service import Service
    from lingqu.spec.running import ServeSettings
    from tests.serve.live import call, serving

    with serving(lambda: Service.load([bundle.path], settings=ServeSettings())) as (_, port):
        path = f"/v1/models/{bundle.path.name}"
        _, told = call(port, "GET", path)
        status, answer = call(port, "POST", f"{path}/predict", {"row": told["example"]})
        assert status == 200, answer
        assert answer["predictions"][0]["prediction"] is not None
        assert told["task"] == task.name
        assert call(port, "POST", f"{path}/explain", {"row": told["example"]})[0] == 200
        assert call(port, "GET", "/openapi.json")[0] == 200


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """A process that shares nothing with this one and learns what it is told to: (task, family, folder)."""
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, "-c", AGAIN], env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        given, told = process.stdin, process.stdout
        assert given is not None
        assert told is not None

        def learn_there(task: str, family: str, folder: Path) -> None:
            given.write(json.dumps([task, family, str(folder)]) + "\n")
            given.flush()
            assert told.readline() == "learned\n", "the other process ended; what it said stands on standard error"

        yield learn_there
        given.close()


def is_learned_again_to_the_bit(task: Task, bundle: Bundle, rows: Rows, folder: Path, there: Elsewhere) -> None:
    """Another process, given the same rows, ends with the same files."""
    assert rows == task.toy(EIGHT)
    there(task.name, bundle.manifest["family"], folder)
    again = Bundle.open(folder / "bundle")
    assert (again.path / "model.onnx").read_bytes() == (bundle.path / "model.onnx").read_bytes()
    assert again.manifest["files"] == bundle.manifest["files"]


def request(task: Task, rows: Rows) -> Rows:
    """The rows as a caller sends them: without the target."""
    return rows.select(name for name in rows.names if name != task.target.name)


CHECKS = (
    learns_eight_rows_by_heart,
    loads_to_the_same_answers,
    answers_a_batch_as_it_answers_each_row,
    agrees_with_its_network,
    refuses_a_missing_column_politely,
    refuses_a_bad_row_and_answers_the_rest,
)
