"""Versions of models, the aliases that point to them, and the record of every decision.

>>> from lingqu.store import Store, write_bytes
>>> folder = getfixture("tmp_path")
>>> write_bytes(folder / "bundle" / "model.onnx", b"weights")
>>> store = Store.open(folder / ".lingqu")
>>> registry = Registry(store)
>>> version = registry.register("ticket-router", bundle=store.put_folder(folder / "bundle"), data_version="d1",
...     run="r1", task="text-classification", metrics={}, decision={}, lineage={}, spec={})
>>> registry.promote("ticket-router", 1, who="anna", why="better than its baseline").reference
'ticket-router@1'
>>> registry.get("ticket-router@champion") == version
True
>>> registry.verify_history()
[]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert, select, update

from lingqu.errors import ConflictError, GateError, Problem, RequestError
from lingqu.registry.alpha import AlphaRound
from lingqu.registry.events import Event
from lingqu.registry.lookups import alias_of, find, last_change, newest, point, rollback_target, rounds
from lingqu.registry.lookups import expect_epoch as check_epoch
from lingqu.registry.names import check_alias, check_name, check_words
from lingqu.registry.rollouts import CHALLENGER, Rollout, crown, give_way
from lingqu.registry.rollouts import expect_free as check_rollout
from lingqu.registry.versions import JSON_FIELDS, LATEST, Reference, Version
from lingqu.store import Store, canonical_json
from lingqu.store.audit import verify
from lingqu.store.history import CHAMPION, PREVIOUS, append, now, row_hash, standing
from lingqu.store.tables import ALIASES, ALPHA_LEDGER, HISTORY, VERSIONS

LONGEST_WHO, LONGEST_WHY = 200, 2000
_NUMBERS = ("decision", "p", "alpha", "rows")
"""What a promotion keeps of the gate of its version."""


class Registry:
    """The versions of one store. Each change is one transaction that also writes its row of the history."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # Versions

    def register(
        self,
        name: str,
        *,
        bundle: str,
        data_version: str,
        run: str,
        task: str,
        metrics: Mapping[str, Any],
        decision: Mapping[str, Any],
        lineage: Mapping[str, Any],
        spec: Mapping[str, Any],
        who: str = "lingqu",
    ) -> Version:
        """Give a bundle of the store the next number under a name.

        The same bundle from the same data is the same version: it is given again, not numbered anew.
        """
        check_name(name)
        check_words("who it was", who, longest=LONGEST_WHO)
        self.store.folder_path(bundle, verify=False)
        same = (VERSIONS.c.name == name, VERSIONS.c.bundle == bundle, VERSIONS.c.data_version == data_version)
        told = {"metrics": metrics, "decision": decision, "lineage": lineage, "spec": spec}
        row: dict[str, Any] = {
            "name": name,
            "bundle": bundle,
            "data_version": data_version,
            "run": run,
            "task": task,
            "at": now(),
            **{key: canonical_json(dict(value)).decode() for key, value in told.items()},
        }
        with self.store.database.writing() as connection:
            known = connection.execute(select(VERSIONS).where(*same)).mappings().one_or_none()
            if known is not None:
                return Version.of_row(known)
            row["number"] = newest(connection, name) + 1
            connection.execute(insert(VERSIONS).values(**row))
            evidence = {"bundle": bundle, "data_version": data_version, "run": run, "row": row_hash(row)}
            append(connection, name=name, who=who, action="register", version=row["number"], evidence=evidence)
        return Version.of_row(row)

    def restate(self, version: Version, *, who: str, why: str, without: Iterable[str] = ()) -> None:
        """Put a version in the place of the one with its number, after something in it was forgotten.

        The history keeps that it was done and the hash of the new row, so that any other change is still found; and the ids of
        the feedback that its data is now `without`.
        """
        check_name(version.name)
        self.store.folder_path(version.bundle, verify=False)
        row: dict[str, Any] = version.to_json()
        row |= {key: canonical_json(row[key]).decode() for key in JSON_FIELDS}
        at = (VERSIONS.c.name == version.name, VERSIONS.c.number == version.number)
        with self.store.database.erasing() as connection:
            find(connection, Reference(version.name, None, version.number))
            connection.execute(update(VERSIONS).where(*at).values(**row))
            evidence: dict[str, Any] = {"bundle": version.bundle, "data_version": version.data_version}
            evidence["row"] = row_hash(row)
            if out := sorted(without):
                evidence["without"] = out
            append(
                connection,
                name=version.name,
                who=who,
                action="forget",
                version=version.number,
                why=why,
                evidence=evidence,
            )

    def versions(self, name: str | None = None) -> list[Version]:
        """Every version, or those of one name, from the first."""
        query = select(VERSIONS).order_by(VERSIONS.c.name, VERSIONS.c.number)
        if name is not None:
            query = query.where(VERSIONS.c.name == name)
        with self.store.database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Version.of_row(row) for row in rows]

    def names(self) -> list[str]:
        """The names of all models, sorted."""
        with self.store.database.reading() as connection:
            return sorted(connection.execute(select(VERSIONS.c.name).distinct()).scalars())

    def get(self, reference: str) -> Version:
        """The version that `name` (its champion), `name@alias`, `name@3` or `name@latest` means."""
        wanted = Reference.read(reference)
        with self.store.database.reading() as connection:
            return find(connection, wanted)

    # Aliases

    def alias(self, name: str, alias: str) -> tuple[int, int] | None:
        """The version that an alias means and the alias's epoch, or None when it means none."""
        with self.store.database.reading() as connection:
            version, epoch = alias_of(connection, name, alias)
        return None if version is None else (version, epoch)

    def aliases(self, name: str) -> dict[str, int]:
        """The aliases of a name and the versions that they mean."""
        query = select(ALIASES).where(ALIASES.c.name == name, ALIASES.c.version.is_not(None)).order_by(ALIASES.c.alias)
        with self.store.database.reading() as connection:
            return {row["alias"]: row["version"] for row in connection.execute(query).mappings()}

    def set_alias(
        self,
        name: str,
        alias: str,
        version: int,
        *,
        expect_epoch: int,
        who: str,
        why: str = "",
        evidence: Mapping[str, Any] | None = None,
    ) -> int:
        """Point an alias to a version if its epoch is still the expected one (0: there is none yet); the new epoch.

        ConflictError when somebody moved it first. `champion` and `previous` move by promote and rollback alone; a rollout
        of another version ends when `challenger` moves.
        """
        check_alias(alias)
        if alias in (CHAMPION, PREVIOUS):
            advice = "Use promote or rollback."
            raise RequestError(Problem(f"an alias other than {CHAMPION} and {PREVIOUS}", repr(alias), advice))
        _check_decision(who, why)
        with self.store.database.writing() as connection:
            find(connection, Reference(name, None, version))
            check_epoch(connection, name, alias, expect_epoch)
            before, epoch = alias_of(connection, name, alias)
            if before == version:
                return epoch
            if alias == CHALLENGER:
                give_way(connection, name, version, challenger=True)
            append(
                connection,
                name=name,
                who=who,
                action="alias",
                version=version,
                alias=alias,
                why=why,
                evidence=evidence,
            )
            point(connection, name, alias, version)
            return alias_of(connection, name, alias)[1]

    def promote(
        self,
        name: str,
        version: int,
        *,
        who: str,
        why: str = "",
        evidence: Mapping[str, Any] | None = None,
        expect_epoch: int | None = None,
        expect_rollout: Rollout | None = None,
    ) -> Version:
        """Make a version the champion; the champion before it becomes `previous`. Nothing when it is champion already.

        GateError when neither a reason nor evidence is given; ConflictError when the champion's epoch is not the
        expected one, that is, when the evidence was gathered against another champion, or the rollout has moved or is frozen.
        """
        _check_decision(who, why)
        if not why and not evidence:
            advice = "Run the gate, or say why it is promoted without one."
            raise GateError(Problem(f"evidence or a reason to promote version {version} of {name}", "neither", advice))
        with self.store.database.writing() as connection:
            found = find(connection, Reference(name, None, version))
            if expect_epoch is not None:
                check_epoch(connection, name, CHAMPION, expect_epoch)
            if expect_rollout is not None:
                check_rollout(connection, expect_rollout)
            champion, _ = alias_of(connection, name, CHAMPION)
            if champion != version:
                # The numbers of its own gate stand where the caller gave none: no promotion without them.
                gate = {name: found.decision[name] for name in _NUMBERS if name in found.decision}
                append(
                    connection,
                    name=name,
                    who=who,
                    action="promote",
                    version=version,
                    alias=CHAMPION,
                    why=why or "its evidence speaks for it",
                    evidence={**gate, **(evidence or {})},
                )
                point(connection, name, CHAMPION, version)
                point(connection, name, PREVIOUS, champion)
                crown(connection, name, version, who)
        return found

    def rollback(
        self,
        name: str,
        *,
        to: int | None = None,
        who: str,
        why: str = "",
        evidence: Mapping[str, Any] | None = None,
        expect_epoch: int | None = None,
    ) -> Version:
        """Make the champion before this one champion again, or the one with this number; needs no proof.

        Going back twice goes back two champions. RequestError when there is none to go back to, or when `to` has
        never been champion; ConflictError when the champion's epoch is not the expected one, that is, when another leads
        than the one that failed.
        """
        _check_decision(who, why)
        with self.store.database.writing() as connection:
            find(connection, Reference(name, LATEST if to is None else None, to))
            if expect_epoch is not None:
                check_epoch(connection, name, CHAMPION, expect_epoch)
            past = standing(connection, name)
            target = rollback_target(name, past, to)
            found = find(connection, Reference(name, None, target))
            champions = past.back_to(target)
            append(
                connection,
                name=name,
                who=who,
                action="rollback",
                version=target,
                alias=CHAMPION,
                why=why,
                evidence={**(evidence or {}), "from": past.champions[-1]},
            )
            point(connection, name, CHAMPION, target)
            point(connection, name, PREVIOUS, champions[-2] if len(champions) > 1 else None)
        return found

    def last_change(self, name: str) -> str | None:
        """When another version last became champion in place of one that was; None when the first still is."""
        with self.store.database.reading() as connection:
            return last_change(connection, name)

    # History

    def history(self, name: str | None = None) -> list[Event]:
        """Every decision, or those about one name, from the first."""
        query = select(HISTORY).order_by(HISTORY.c.seq)
        if name is not None:
            query = query.where(HISTORY.c.name == name)
        with self.store.database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Event.of_row(row) for row in rows]

    def verify_history(self) -> list[Problem]:
        """What in history, versions, aliases and the alpha ledger is not as it was written."""
        with self.store.database.reading() as connection:
            return verify(connection)

    # The error budget

    def next_alpha(self, name: str, gate_set: str, alpha: float = 0.05) -> AlphaRound:
        """The next round on a gate set and what it may spend; `exhausted` when a fresh gate set is due instead."""
        with self.store.database.reading() as connection:
            return AlphaRound.of(rounds(connection, name, gate_set) + 1, alpha)

    def spend(  # noqa: PLR0917
        self,
        name: str,
        gate_set: str,
        round: int,
        alpha: float,
        p: float | None,
        decision: str,
        *,
        who: str = "lingqu",
    ) -> None:
        """Keep that a round has spent its part, whatever it decided; ConflictError when it is not the next round."""
        if not 0 < alpha < 1 or (p is not None and not (math.isfinite(p) and 0 <= p <= 1)):
            raise ValueError(f"probabilities expected, found alpha={alpha!r} and p={p!r}")
        check_name(name)
        check_words("who it was", who, longest=LONGEST_WHO)
        check_words("a gate set", gate_set, longest=LONGEST_WHO)
        check_words("a decision", decision, longest=64)
        spent = {"gate_set": gate_set, "round": round, "alpha": float(alpha), "p": p, "decision": decision}
        with self.store.database.writing() as connection:
            due = rounds(connection, name, gate_set) + 1
            if round != due:
                advice = "Another run has looked at the same gate set; run the same command again."
                raise ConflictError(Problem(f"round {due} on gate set {gate_set} of {name}", f"round {round}", advice))
            seq = append(connection, name=name, who=who, action="gate", evidence=spent)
            at = connection.execute(select(HISTORY.c.at).where(HISTORY.c.seq == seq)).scalar_one()
            connection.execute(insert(ALPHA_LEDGER).values(name=name, **spent, at=at, event=seq))

    def round(self, name: str, gate_set: str, round: int) -> dict[str, Any] | None:
        """What a round was spent on: {"p", "decision", "alpha"}; None when it was not spent yet."""
        at = (ALPHA_LEDGER.c.name == name, ALPHA_LEDGER.c.gate_set == gate_set, ALPHA_LEDGER.c.round == round)
        query = select(ALPHA_LEDGER.c.p, ALPHA_LEDGER.c.decision, ALPHA_LEDGER.c.alpha).where(*at)
        with self.store.database.reading() as connection:
            found = connection.execute(query).mappings().one_or_none()
        return None if found is None else dict(found)

    def spent(self, name: str, gate_set: str) -> float:
        """How much of its error budget a gate set has spent."""
        query = select(ALPHA_LEDGER.c.alpha).where(ALPHA_LEDGER.c.name == name, ALPHA_LEDGER.c.gate_set == gate_set)
        with self.store.database.reading() as connection:
            return math.fsum(connection.execute(query).scalars())


def _check_decision(who: str, why: str) -> None:
    check_words("who it was", who, longest=LONGEST_WHO)
    if why:
        check_words("a reason", why, longest=LONGEST_WHY)
