"""What a model family is: which front feeds it, how large it is at each size, and how it is built or fitted.

Nothing here imports torch, so that a spec can be checked and the ladder planned without it.

>>> facts = Facts(outputs=2, kind="classification", front={"name": "table", "numbers": [], "cardinalities": [4]})
>>> facts.front["cardinalities"]
[4]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lingqu.data.ragged import Ragged, take
from lingqu.models.dials import Dial

if TYPE_CHECKING:
    from torch import nn

    from lingqu.contract.task import Array
    from lingqu.store.rows import RowCache

Settings = Mapping[str, Any]
"""Named plain values (numbers, strings, lists): what `size` decides and a spec may override."""

SIZES: tuple[str, ...] = ("tiny", "small", "medium", "large")

Tell = Callable[[float, str], None]
"""Progress: how much is done (0 to 1) and one sentence."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model must know of its data before it is built.

    `outputs` is K, the width of the answer; `front` is the memory that the front learned; `rows` and `class_counts`
    describe the training rows.

    >>> Facts(outputs=1, kind="regression", front={}).to_json()["kind"]
    'regression'
    """

    outputs: int
    kind: Literal["classification", "multilabel", "regression"]
    front: Mapping[str, Any]
    rows: int = 0
    class_counts: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """These facts as plain JSON values, for the bundle and the stage key."""
        return {
            "outputs": self.outputs,
            "kind": self.kind,
            "front": dict(self.front),
            "rows": self.rows,
            "class_counts": list(self.class_counts),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Facts:
        """The facts that `to_json` wrote.

        >>> facts = Facts(outputs=2, kind="classification", front={}, rows=4, class_counts=(3, 1))
        >>> Facts.from_json(facts.to_json()) == facts
        True
        """
        return cls(
            value["outputs"], value["kind"], value["front"], value.get("rows", 0), tuple(value.get("class_counts", ()))
        )


@dataclass(frozen=True, slots=True)
class Examples:
    """Encoded rows with their targets; arrays of rows of different length are held as Ragged.

    >>> import numpy as np
    >>> part = Examples({"numbers": np.eye(3)}, np.array([0, 1, 1]))
    >>> len(part), part.batch(np.array([2]))["numbers"].tolist()
    (3, [[0.0, 0.0, 1.0]])
    """

    arrays: Mapping[str, Array | Ragged]
    targets: Array

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, rows: Array) -> dict[str, Array]:
        """The arrays of these rows, ragged ones padded to the longest of them."""
        return take(self.arrays, rows)


class Build(Protocol):
    """Makes the untrained network for these facts and settings."""

    def __call__(self, facts: Facts, settings: Settings) -> nn.Module: ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """A network that was learned without the loop, and its settings with everything that validation rows decided.

    Given these settings, the same fit asks validation rows for nothing: so it can be done once more with their help.
    """

    network: nn.Module
    settings: dict[str, Any]


class Prepare(Protocol):
    """Computes in place what a new network takes straight from the training rows, before the first step."""

    def __call__(self, network: nn.Module, train: Examples) -> None: ...


class Fit(Protocol):
    """Learns without the training loop: closed form, coordinate descent, boosting."""

    def __call__(
        self,
        train: Examples,
        valid: Examples,
        facts: Facts,
        settings: Settings,
        *,
        seed: int,
        threads: int,
        tell: Tell,
    ) -> Fitted: ...


class Transfer(Protocol):
    """What a family that begins with what another network learned does around training."""

    def start(self, network: nn.Module, settings: Settings) -> None:
        """Puts what was learned elsewhere into the untrained network."""
        ...

    def prepare(
        self,
        part: Examples,
        facts: Facts,
        settings: Settings,
        *,
        rows: Callable[[Mapping[str, Any]], RowCache],
        tell: Tell,
    ) -> Examples:
        """The rows as training reads them; `rows` opens what was kept of an earlier computation of the same kind."""
        ...

    def finish(self, network: nn.Module) -> None:
        """Brings the trained network into the shape that `build` gives, so that its weights can be put back."""
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of model, as an entry of the closed table.

    `fronts` are the names of the fronts that can feed it, the first being the usual one, each with the settings for
    that front per size. `sizes` holds per size every number of the network and of its training. A family without
    `fit` is trained by the loop. `kinds` says which targets it can learn. A family that needs a pretrained encoder has
    `bind`, which gives the family of one encoder by its name; that one has a `transfer`. `dials` says which settings,
    of the network or of its front, a search may turn; a family of the loop has the usual ones besides. With `soft` its
    `fit` learns from probabilities as well as from classes, as the loop always does.

    >>> family = Family("demo", "An example.", {"table": {}}, {"small": {"width": 8}}, build=None)
    >>> family.front, family.settings("tiny")
    ('table', {'width': 8})
    """

    name: str
    about: str
    fronts: Mapping[str, Mapping[str, Settings]]
    sizes: Mapping[str, Settings]
    build: Build | None
    fit: Fit | None = None
    kinds: tuple[str, ...] = ("classification", "multilabel", "regression")
    prepare: Prepare | None = None
    bind: Callable[[Family, str], Family] | None = None
    transfer: Transfer | None = None
    dials: Mapping[str, Dial] = field(default_factory=dict)
    soft: bool = False

    @property
    def front(self) -> str:
        """The front that usually feeds this family."""
        return next(iter(self.fronts))

    def front_for(self, available: Iterable[str]) -> str | None:
        """The first of these fronts that can feed this family, None when none can."""
        return next((name for name in available if name in self.fronts), None)

    def front_settings(self, size: str, front: str | None = None) -> dict[str, Any]:
        """What the front gets for this size."""
        return dict(_at(self.fronts[front or self.front], size))

    def settings(self, size: str) -> dict[str, Any]:
        """Every number that this size decides."""
        return dict(_at(self.sizes, size))


def _at(sizes: Mapping[str, Settings], size: str) -> Settings:
    """The entry of this size, or of the nearest one that is there: families need not tell all four apart."""
    if not sizes:
        return {}
    wanted = SIZES.index(size)
    return sizes[min(sizes, key=lambda name: (abs(SIZES.index(name) - wanted), SIZES.index(name)))]
