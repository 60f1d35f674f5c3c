"""Every task that is installed, with every family of its ladder, meets the whole suite; the first family at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lingqu.bundle.read import Bundle
from lingqu.contract import Rows, Task
from lingqu.tasks import find_task, task_names
from tests.conformance import suite

PAIRS = [
    pytest.param((name, family), id=f"{name}-{family}", marks=[pytest.mark.heavy] * bool(place))
    for name in task_names()
    for place, family in enumerate(find_task(name).ladder)
]


@pytest.fixture(scope="module", params=PAIRS)
def learned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Task, Bundle, Rows]:
    name, family = request.param
    task = find_task(name)
    rows = task.toy(suite.EIGHT)
    return task, suite.learn(task, family, rows, tmp_path_factory.mktemp("task")), rows


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
def test_a_task_keeps_its_promise(check, learned: tuple[Task, Bundle, Rows]) -> None:
    check(*learned)


@pytest.mark.heavy
def test_a_task_serves_its_own_example(learned: tuple[Task, Bundle, Rows]) -> None:
    suite.serves_its_own_example_over_http(*learned)


@pytest.fixture(scope="module")
def there() -> Iterator[suite.Elsewhere]:
    with suite.elsewhere() as learn_there:
        yield learn_there


@pytest.mark.heavy
def test_the_same_rows_give_the_same_bundle(
    learned: tuple[Task, Bundle, Rows], tmp_path: Path, there: suite.Elsewhere
) -> None:
    task, bundle, rows = learned
    suite.is_learned_again_to_the_bit(task, bundle, rows, tmp_path, there)
