"""Bundles learned from toy rows, each once for all tests here; what compresses them writes elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from lingqu.bundle.read import Bundle
from lingqu.contract import Rows
from lingqu.tasks import find_task
from tests.conformance import suite

ROWS = 96


class Pair(NamedTuple):
    """A bundle and the rows that it has learned."""

    bundle: Bundle
    rows: Rows


Learned = Callable[[str, str], Pair]


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """The bundle of a task and a family, fitted to 96 toy rows."""
    known: dict[tuple[str, str], Pair] = {}

    def found(task_name: str, family: str) -> Pair:
        if (task_name, family) not in known:
            task = find_task(task_name)
            rows = task.toy(ROWS)
            known[task_name, family] = Pair(suite.learn(task, family, rows, tmp_path_factory.mktemp(family)), rows)
        return known[task_name, family]

    return found
