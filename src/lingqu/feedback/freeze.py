"""The hand brake: while a model is frozen, nothing happens to it by itself. A row of the history, so it outlives all."""

from __future__ import annotations

from lingqu.registry.brake import FREEZE, THAW, frozen
from lingqu.store import Store
from lingqu.store.history import append

__all__ = ["freeze", "frozen", "thaw"]


def freeze(store: Store, name: str, *, who: str, why: str = "") -> bool:
    """Stop all automation of a model; whether it was not frozen before."""
    return _put(store, name, FREEZE, who, why)


def thaw(store: Store, name: str, *, who: str, why: str = "") -> bool:
    """Let automation go on; whether the model was frozen."""
    return _put(store, name, THAW, who, why)


def _put(store: Store, name: str, action: str, who: str, why: str) -> bool:
    if bool(frozen(store, name)) == (action == FREEZE):
        return False
    with store.database.writing() as connection:
        append(connection, name=name, who=who, action=action, why=why)
    return True
