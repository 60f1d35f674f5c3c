"""The registry against a model of it in a few dictionaries, over random sequences of all it can do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lingqu.errors import ConflictError, LingquError, RequestError, UnknownNameError
from lingqu.registry import Registry
from lingqu.store import Store, write_bytes

NAMES = st.sampled_from(["router", "prices"])
NUMBERS = st.integers(1, 4)


class Machine(RuleBasedStateMachine):
    """Two models, four bundles, every verb; the database is closed and opened again in between."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.reopen()
        self.bundles = []
        for content in range(4):
            write_bytes(self.folder / "bundle" / "model.onnx", bytes([content]))
            self.bundles.append(self.registry.store.put_folder(self.folder / "bundle"))
        self.versions: dict[str, list[str]] = {"router": [], "prices": []}
        self.champions: dict[str, list[int]] = {"router": [], "prices": []}
        self.ever: dict[str, set[int]] = {"router": set(), "prices": set()}
        self.aliases: dict[tuple[str, str], tuple[int, int]] = {}
        self.rounds: dict[str, int] = {}
        self.events = 0

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def attempt(self, action: Callable[[], Any], refused: type[LingquError] | None) -> Any:
        """Do it, and see that it is refused exactly when the model says so."""
        if refused is None:
            return action()
        with pytest.raises(refused):
            action()
        return None

    @rule()
    def reopen(self) -> None:
        self.registry = Registry(Store.open(self.folder / "store"))

    @rule(name=NAMES, bundle=st.integers(0, 3))
    def register(self, name: str, bundle: int) -> None:
        digest, known = self.bundles[bundle], self.versions[name]
        facts = {"run": "r", "task": "t", "metrics": {}, "decision": {}, "lineage": {}, "spec": {}}
        number = self.registry.register(name, bundle=digest, data_version="d", **facts).number
        if digest not in known:
            known.append(digest)
            self.events += 1
        assert number == known.index(digest) + 1

    @rule(name=NAMES, number=NUMBERS)
    def promote(self, name: str, number: int) -> None:
        refused = None if number <= len(self.versions[name]) else UnknownNameError
        self.attempt(lambda: self.registry.promote(name, number, who="anna", why="better"), refused)
        if refused is None and self.champions[name][-1:] != [number]:
            self.crown(name, [*self.champions[name], number])

    @rule(name=NAMES, number=NUMBERS, epoch=st.integers(0, 2))
    def promote_from_an_epoch(self, name: str, number: int, epoch: int) -> None:
        now = self.aliases.get((name, "champion"), (0, 0))[1]
        refused = UnknownNameError if number > len(self.versions[name]) else ConflictError if epoch != now else None
        act = {"who": "anna", "why": "better", "expect_epoch": epoch}
        self.attempt(lambda: self.registry.promote(name, number, **act), refused)
        if refused is None and self.champions[name][-1:] != [number]:
            self.crown(name, [*self.champions[name], number])

    @rule(name=NAMES)
    def roll_back(self, name: str) -> None:
        champions = self.champions[name]
        refused = None if len(champions) > 1 else RequestError
        self.attempt(lambda: self.registry.rollback(name, who="anna", why="errors"), refused)
        if refused is None:
            # The last reign of the champion before: what came after it is forgotten.
            before = champions[-2]
            self.crown(name, champions[: len(champions) - champions[::-1].index(before)])

    @rule(name=NAMES, number=NUMBERS)
    def roll_back_to(self, name: str, number: int) -> None:
        champions = self.champions[name]
        refused = None if number in self.ever[name] and champions[-1] != number else RequestError
        self.attempt(lambda: self.registry.rollback(name, to=number, who="anna", why="errors"), refused)
        if refused is None and number in champions:
            self.crown(name, champions[: len(champions) - champions[::-1].index(number)])
        elif refused is None:
            self.crown(name, [*champions, number])

    @rule(name=NAMES, number=NUMBERS, seen=st.booleans())
    def point(self, name: str, number: int, seen: bool) -> None:
        version, epoch = self.aliases.get((name, "challenger"), (None, 0))
        refused = UnknownNameError if number > len(self.versions[name]) else None if seen else ConflictError
        expected = epoch if seen else epoch + 1
        act = {"expect_epoch": expected, "who": "anna"}
        self.attempt(lambda: self.registry.set_alias(name, "challenger", number, **act), refused)
        if refused is None and version != number:
            self.aliases[name, "challenger"] = (number, epoch + 1)
            self.events += 1

    @rule(name=NAMES, skip=st.integers(0, 1))
    def spend(self, name: str, skip: int) -> None:
        due = self.registry.next_alpha(name, "g0")
        assert due.round == self.rounds.get(name, 0) + 1
        refused = ConflictError if skip else None
        self.attempt(lambda: self.registry.spend(name, "g0", due.round + skip, due.alpha, 0.5, "keep"), refused)
        if refused is None:
            self.rounds[name] = due.round
            self.events += 1

    def crown(self, name: str, champions: list[int]) -> None:
        self.champions[name] = champions
        self.ever[name].add(champions[-1])
        self.events += 1
        previous = champions[-2] if len(champions) > 1 else None
        for alias, version in (("champion", champions[-1]), ("previous", previous)):
            before, epoch = self.aliases.get((name, alias), (None, 0))
            if before != version:
                self.aliases[name, alias] = (version, epoch + 1)  # type: ignore[assignment]

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "events"):
            return
        for name, digests in self.versions.items():
            found = self.registry.versions(name)
            assert [(v.number, v.bundle) for v in found] == list(enumerate(digests, 1))
            for alias in ("champion", "previous", "challenger"):
                wanted = self.aliases.get((name, alias))
                assert self.registry.alias(name, alias) == (wanted if wanted and wanted[0] else None)
        assert len(self.registry.history()) == self.events
        assert self.registry.verify_history() == []


@pytest.mark.parametrize(
    ("runs", "steps"),
    [
        pytest.param(2, 12, marks=pytest.mark.heavy),
        pytest.param(5, 15, marks=pytest.mark.heavy),
        pytest.param(200, 50, marks=pytest.mark.slow),
    ],
)
def test_the_registry_does_what_its_model_does(runs: int, steps: int) -> None:
    many = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=many)
