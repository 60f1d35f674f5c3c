"""The rows that the journey leaves: stages, runs and data versions.

>>> from lingqu.store.database import Database
>>> records = Records(Database(None, getfixture("tmp_path")))
>>> records.finish_stage(StageKey.of("data", {}), {"rows": 3}, 0.5, blobs=[])
>>> records.stage(StageKey.of("data", {})).result
{'rows': 3}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from lingqu.store.canonical import canonical_json
from lingqu.store.database import Database
from lingqu.store.history import now, row_hash
from lingqu.store.stages import StageKey
from lingqu.store.tables import DATA_VERSIONS, HISTORY, RUNS, STAGES


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a finished stage, the blobs that it refers to, and how long it took."""

    result: dict[str, Any]
    blobs: tuple[str, ...]
    seconds: float
    at: str


class Records:
    """Stages, runs and data versions in the database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def stage(self, key: StageKey) -> Finished | None:
        """The result of this stage, or None when it has not been finished."""
        with self.database.reading() as connection:
            row = connection.execute(select(STAGES).where(STAGES.c.key == key.key)).mappings().one_or_none()
        # A result that somebody changed is not believed: the stage is done again. `fsck` tells of it meanwhile.
        if row is None or row["hash"] != row_hash(row):
            return None
        return Finished(json.loads(row["result"]), tuple(json.loads(row["blobs"])), row["seconds"], row["at"])

    def finish_stage(
        self, key: StageKey, result: Mapping[str, Any], seconds: float, *, blobs: Iterable[str] = ()
    ) -> None:
        """Keep the result of a stage; a result that is there already is replaced."""
        row: dict[str, Any] = {
            "key": key.key,
            "name": key.name,
            "inputs": key.inputs,
            "result": canonical_json(dict(result)).decode(),
            "blobs": canonical_json(sorted(set(blobs))).decode(),
            "seconds": float(seconds),
            "at": now(),
        }
        with self.database.writing() as connection:
            connection.execute(delete(STAGES).where(STAGES.c.key == key.key))
            connection.execute(insert(STAGES).values(**row, hash=row_hash(row)))

    def stages(self) -> list[dict[str, Any]]:
        """Every finished stage: its key, name, inputs and result, and the blobs that it refers to."""
        columns = (STAGES.c.key, STAGES.c.name, STAGES.c.inputs, STAGES.c.result, STAGES.c.blobs)
        with self.database.reading() as connection:
            rows = connection.execute(select(*columns).order_by(STAGES.c.at)).mappings().all()
        read = ("inputs", "result", "blobs")
        return [{name: json.loads(value) if name in read else value for name, value in row.items()} for row in rows]

    def forget_stages(self, keys: Iterable[str]) -> None:
        """Let go of results, so that their stages are done again."""
        listed = list(keys)
        with self.database.writing() as connection:
            for start in range(0, len(listed), 500):
                connection.execute(delete(STAGES).where(STAGES.c.key.in_(listed[start : start + 500])))

    def evidence(self, action: str) -> list[dict[str, Any]]:
        """The evidence of every row of the history with this action, from the first."""
        query = select(HISTORY.c.evidence).where(HISTORY.c.action == action).order_by(HISTORY.c.seq)
        with self.database.reading() as connection:
            return [json.loads(text) for text in connection.execute(query).scalars()]

    def add_data_version(self, identity: str, *, folder: str, about: Mapping[str, Any]) -> None:
        """Keep a data version; nothing when it is there."""
        row = {"id": identity, "folder": folder, "about": canonical_json(dict(about)).decode(), "at": now()}
        known = select(DATA_VERSIONS.c.id).where(DATA_VERSIONS.c.id == identity)
        with self.database.writing() as connection:
            if connection.execute(known).one_or_none() is None:
                connection.execute(insert(DATA_VERSIONS).values(**row, hash=row_hash(row)))

    def data_version(self, identity: str) -> dict[str, Any] | None:
        """What was kept of a data version: its folder blob, what is known of it, and when; None when unknown."""
        with self.database.reading() as connection:
            query = select(DATA_VERSIONS).where(DATA_VERSIONS.c.id == identity)
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else {**row, "about": json.loads(row["about"])}

    def start_run(self, identity: str, *, name: str, spec: Mapping[str, Any]) -> None:
        """Keep that a run has begun."""
        row = {"id": identity, "name": name, "spec": canonical_json(dict(spec)).decode(), "started": now()}
        with self.database.writing() as connection:
            connection.execute(insert(RUNS).values(**row))

    def finish_run(self, identity: str, result: Mapping[str, Any]) -> None:
        """Keep how a run has ended."""
        ended = {"finished": now(), "result": canonical_json(dict(result)).decode()}
        with self.database.writing() as connection:
            connection.execute(update(RUNS).where(RUNS.c.id == identity).values(**ended))

    def runs(self, name: str | None = None) -> list[dict[str, Any]]:
        """Every run, or those of one name, from the first."""
        query = select(RUNS).order_by(RUNS.c.started)
        if name is not None:
            query = query.where(RUNS.c.name == name)
        with self.database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [{**row, "spec": json.loads(row["spec"]), "result": json.loads(row["result"] or "null")} for row in rows]
