"""What names the result of a stage: the hash of all that it depends on, so that unchanged work is not done again.

>>> StageKey.of("data", {"source": "a.csv"}).key == StageKey.of("data", {"source": "a.csv"}).key
True
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lingqu.store.canonical import canonical_json, digest_of


@dataclass(frozen=True, slots=True)
class StageKey:
    """A stage and the hash of all that its result depends on."""

    name: str
    key: str
    inputs: str = field(default="{}", repr=False)

    @classmethod
    def of(cls, name: str, inputs: Mapping[str, Any]) -> StageKey:
        """The key of a stage with these inputs; their order does not matter.

        >>> StageKey.of("data", {"a": 1, "b": 2}) == StageKey.of("data", {"b": 2, "a": 1})
        True
        """
        spelled = canonical_json(dict(inputs))
        return cls(name, digest_of(canonical_json([name, spelled.decode()])), spelled.decode())

    def __str__(self) -> str:
        return self.key
