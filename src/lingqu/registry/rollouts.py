"""The way of a challenger to all users: unseen beside the champion, then for some of them, then for all.

Each step is a row of the history, and the last row says where it stands: whoever is killed goes on from there, and who
moves a rollout that has moved meanwhile gets a ConflictError. The evidence is about one champion; when another leads, the
rollout is over.

>>> from lingqu.store import Store
>>> rollout(Store.open(getfixture("tmp_path")), "ticket-router") is None
True
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select

from lingqu.errors import ConflictError, Problem
from lingqu.registry.brake import pulled
from lingqu.registry.lookups import expect_epoch, point
from lingqu.registry.versions import Version
from lingqu.store import Store
from lingqu.store.history import CHAMPION, append
from lingqu.store.tables import HISTORY, PREDICTIONS

ROLLOUT = "rollout"
CHALLENGER = "challenger"
SHADOW, CANARY, READY, DROP, DONE = "shadow", "canary", "ready", "drop", "done"
FRESH = "audit-"
"""How the names of gates begin that are rows of the audit."""
DEMOTED = "demoted"
"""The step, and the alias, of a version that was rolled back and answers unseen, to see whether it was at fault."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where a challenger stands."""

    name: str
    version: int
    against: int
    """The champion that it has to prove itself against."""
    epoch: int
    """The epoch of that champion's alias."""
    step: str
    share: float
    """The share of users whom it answers."""
    began: str
    since: str
    """When this step began."""
    seq: int
    """The row of the history that says so."""
    alpha: float | None = None
    """What its proof may cost where no gate has proved that it is better; None where one has."""

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


def rollout(store: Store, name: str) -> Rollout | None:
    """The rollout of a model that stands, or None."""
    with store.database.reading() as connection:
        return standing_rollout(connection, name)


def standing_rollout(connection: Connection, name: str) -> Rollout | None:
    """The same inside a transaction."""
    query = select(HISTORY).where(HISTORY.c.name == name, HISTORY.c.action == ROLLOUT)
    row = connection.execute(query.order_by(HISTORY.c.seq.desc()).limit(1)).mappings().one_or_none()
    if row is None or row["version"] is None:
        return None
    told = json.loads(row["evidence"])
    began = told.get("began") or row["at"]
    place = {"step": told["step"], "share": told["share"], "began": began, "since": row["at"], "seq": row["seq"]}
    place |= {"alpha": told.get("alpha")}
    return Rollout(name, row["version"], told["against"], told["champion_epoch"], **place)


def begin(
    store: Store,
    version: Version,
    *,
    against: int,
    epoch: int,
    why: str,
    evidence: Mapping[str, Any],
    step: str = SHADOW,
) -> None:
    """Let a version answer unseen beside the champion; one that was on its way before is dropped.

    `step` is SHADOW for a challenger, DEMOTED for one that was rolled back. ConflictError when the champion's epoch is not
    the expected one.
    """
    name = version.name
    with store.database.writing() as connection:
        expect_epoch(connection, name, CHAMPION, epoch)
        give_way(connection, name, version.number)
        told = {**evidence, "step": step, "share": 0.0, "against": against, "champion_epoch": epoch}
        alias = _alias(step)
        _tell(connection, name, version.number, who="lingqu", why=why, told=told, alias=alias)
        point(connection, name, alias, version.number)


def move(store: Store, now: Rollout, step: str, share: float, *, why: str, evidence: Mapping[str, Any]) -> Rollout:
    """Let a rollout take its next step; ConflictError when it, or the champion, has moved meanwhile, or it was frozen."""
    with store.database.writing() as connection:
        expect_free(connection, now)
        expect_epoch(connection, now.name, CHAMPION, now.epoch)
        told = {**evidence, "step": step, "share": share, "against": now.against}
        told |= {"champion_epoch": now.epoch, "began": now.began}
        told |= {} if now.alpha is None else {"alpha": now.alpha}
        _tell(connection, now.name, now.version, who="lingqu", why=why, told=told)
        moved = standing_rollout(connection, now.name)
    assert moved is not None
    return moved


def drop(store: Store, now: Rollout, *, who: str, why: str, evidence: Mapping[str, Any] | None = None) -> None:
    """End a rollout: the champion answers everybody. ConflictError when it has moved meanwhile."""
    with store.database.writing() as connection:
        expect_rollout(connection, now)
        end(connection, now, DROP, who=who, why=why, evidence=evidence)


def give_way(connection: Connection, name: str, version: int, *, challenger: bool = False) -> None:
    """End the rollout that stands, or only that of a challenger, in the transaction that puts another version there."""
    before = standing_rollout(connection, name)
    if before is not None and not (challenger and before.step == DEMOTED):
        end(connection, before, DROP, who="lingqu", why=f"version {version} takes its place")


def crown(connection: Connection, name: str, version: int, who: str) -> None:
    """End the rollout of a version that has just become champion, in the transaction that made it so.

    One that was rolled back is watched no longer than its successor leads.
    """
    now = standing_rollout(connection, name)
    if now is not None and (now.version == version or now.step == DEMOTED):
        end(connection, now, DONE, who=who)


def in_use(store: Store, name: str, since: str) -> bool:
    """Whether a service has answered by this model since a moment (ISO 8601, UTC)."""
    column = PREDICTIONS.c
    query = select(column.id).where(column.name == name, column.at >= since, column.role != "shadow").limit(1)
    with store.database.reading() as connection:
        return connection.execute(query).one_or_none() is not None


def proved(store: Store, version: Version) -> bool:
    """Whether a version has proved itself on rows of today: by a fresh gate, or unseen beside the champion."""
    gate = version.decision
    if gate.get("decision") == "promote" and str(gate.get("gate_set", "")).startswith(FRESH):
        return True
    steps = HISTORY.c.action.in_((ROLLOUT, "promote"))
    query = select(HISTORY.c.version, HISTORY.c.alias, HISTORY.c.evidence).where(HISTORY.c.name == version.name, steps)
    found = False
    with store.database.reading() as connection:
        for number, alias, evidence in connection.execute(query.order_by(HISTORY.c.seq)):
            told = json.loads(evidence)
            if told.get("step") == DROP:
                # What a challenger had won does not outlive what it was dropped for.
                found = found and not (alias == CHALLENGER and told.get("ended") == version.number)
            elif number == version.number:
                # What the sign test has taken on holds its wins.
                found = found or "wins" in told
    return found


def expect_rollout(connection: Connection, now: Rollout) -> None:
    """ConflictError when a rollout does not stand where it stood any more."""
    found = standing_rollout(connection, now.name)
    if found is None or found.seq != now.seq:
        stands = "none" if found is None else f"one of version {found.version} at {found.step}"
        expected = f"the rollout of version {now.version} of {now.name} at {now.step}"
        raise ConflictError(Problem(expected, stands, "Somebody moved it first; look at it and decide again."))


def expect_free(connection: Connection, now: Rollout) -> None:
    """The same, and ConflictError when somebody has pulled the hand brake: then nothing moves on by itself."""
    expect_rollout(connection, now)
    if why := pulled(connection, now.name):
        raise ConflictError(
            Problem(f"{now.name} without the hand brake", f"it frozen: {why}", f"lingqu thaw {now.name}")
        )


def end(
    connection: Connection,
    now: Rollout,
    step: str,
    *,
    who: str,
    why: str = "",
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """End a rollout inside a transaction."""
    told = {**(evidence or {}), "step": step, "share": 0.0, "against": now.against, "ended": now.version}
    alias = _alias(now.step)
    _tell(connection, now.name, None, who=who, why=why, told=told, alias=alias)
    point(connection, now.name, alias, None)


def _alias(step: str) -> str:
    """What points to a version at this step: who promotes the challenger shall not mean one that was rolled back."""
    return DEMOTED if step == DEMOTED else CHALLENGER


def _tell(
    connection: Connection,
    name: str,
    version: int | None,
    *,
    who: str,
    why: str,
    told: Mapping[str, Any],
    alias: str = CHALLENGER,
) -> None:
    about = {"name": name, "version": version, "alias": alias, "who": who, "why": why[:2000]}
    append(connection, **about, action=ROLLOUT, evidence=told)
