"""Forget a person or a source: out of data versions, models' records, caches, journal, feedback and history.

What is deleted is deleted with its bytes; what learned from it is told, for a model can only be learned again without it;
and what is remembered is a keyed hash, so that the next run from the same file leaves the same rows out and gives the
same data version and the same model as if it had never seen them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lingqu.data.forgotten import ACTION, secret_of
from lingqu.data.version import DataVersion
from lingqu.errors import Problem, RequestError, UnknownNameError, near
from lingqu.evaluate.page import write_page
from lingqu.evaluate.translation import language_of
from lingqu.feedback.forget import rows, sweep, tables
from lingqu.feedback.forget.earlier import Earlier
from lingqu.feedback.forget.left_out import Unsure, ignored, left_out
from lingqu.feedback.forget.origins import Origin, origins
from lingqu.feedback.forget.versions import aliases, clear_version, concerned
from lingqu.feedback.forget.wanted import Wanted
from lingqu.feedback.grow import typed
from lingqu.feedback.voice import voices
from lingqu.registry import Registry, Version
from lingqu.store import Store, write_bytes
from lingqu.store.history import EVERYTHING, append, redact
from lingqu.store.store import FORGETTING
from lingqu.tasks import find_task

SHORTEST = 2
BACKUPS = "lingqu makes no backups: copies of this store that you made, or that your database server keeps, are yours to clear."


@dataclass(frozen=True)
class Forgotten:
    """What was forgotten, or would be (`done` false): how much of it where, and what is left to do.

    `models` learned from the rows and have to be learned again; `origins` are the files of the user that hold it still;
    `left` names what in the store still holds it, which is nothing unless somebody else wrote there meanwhile.
    """

    done: bool
    data: list[dict[str, Any]]
    models: list[dict[str, Any]]
    predictions: int
    feedback: int
    keys: int
    history: int
    stages: int
    origins: list[Origin]
    left: list[str]
    compacted: bool = True
    backups: list[str] = field(default_factory=list)
    begun: bool = False
    """Whether the same was asked for before, and so perhaps not finished."""
    unsure: list[Unsure] = field(default_factory=list)
    """The data versions of which some rows may be theirs too, and nobody can tell any more."""

    @property
    def rows(self) -> int:
        """How many rows of data versions, each version counted."""
        return sum(one["rows"] for one in self.data)

    @property
    def nothing(self) -> bool:
        """Whether there is nothing of it in the store, as far as anybody can tell."""
        found = (self.data, self.models, self.predictions, self.feedback, self.keys, self.history, self.left)
        return not any((*found, self.unsure)) and not any(origin.rows for origin in self.origins)

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "done": self.done,
            "data": self.data,
            "models": self.models,
            "predictions": self.predictions,
            "feedback": self.feedback,
            "keys": self.keys,
            "history": self.history,
            "stages": self.stages,
            "sources": [origin.to_json() for origin in self.origins],
            "left": self.left,
            "unsure": [one.to_json() for one in self.unsure],
            "compacted": self.compacted,
            "backups": self.backups,
            "about_backups": BACKUPS,
        }


def forget(
    *texts: str,
    column: str | None = None,
    source: str | None = None,
    store: Store | None = None,
    dry_run: bool = False,
    who: str = "lingqu",
    why: str = "",
) -> Forgotten:
    """Forget a person, by texts that name them or by values of a column; or a source of feedback.

    Each text (an e-mail address, a telephone number, a user's id, a name) is looked for in every cell, standing alone and in
    any case; with `column`, rows go whose cell there is one of the texts. `source` is what feedback said of where it came from, or
    the name or id of a key. With `dry_run` nothing changes but that the store gets its secrets and a lock's file, where it may be
    written. RequestError when nothing or too short a text is asked for, UnknownNameError for a column or a source that is not
    known, ConflictError while a run goes on, StoreError when something cannot be read that has to be.
    """
    _check(texts, column, source)
    store = store or Store.open(Path(os.environ.get("LINGQU_HOME") or ".lingqu"))
    with nullcontext() if dry_run and not store.writable else _alone(store):
        work = _Forgetting(store, texts, column, source)
        return work.told(done=False) if dry_run else work.do(who, why)


def _check(texts: Sequence[str], column: str | None, source: str | None) -> None:
    if bool(texts) == bool(source) or (column and not texts):
        found = "both" if texts and source else "neither"
        found = "a column without texts" if column and not texts else found
        raise RequestError(Problem("texts that name a person, or a source", found, "See: lingqu forget --help"))
    short = [text for text in texts if len(text.strip()) < SHORTEST and column is None]
    short += [text for text in texts if not text.strip() and column is not None]
    if short:
        raise RequestError(
            Problem(f"a text of at least {SHORTEST} characters", repr(short[0]), "A shorter one stands in every row.")
        )


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """While no run and no look at drift goes on in this store; ConflictError when one does."""
    with ExitStack() as held:
        # Whoever begins from here on waits; whoever was there before is found by the file of its lock.
        held.enter_context(store.lock(FORGETTING, wait=False))
        for path in sorted((store.folder / "locks").glob("*.lock")):
            if path.name.startswith(("run-", "monitor-")):
                held.enter_context(store.lock(path.stem, wait=False))
        yield


class _Forgetting:
    """One request: what there is of it in the store, and its going."""

    def __init__(self, store: Store, texts: Sequence[str], column: str | None, source: str | None) -> None:
        self.store, self.registry, self.source = store, Registry(store), source
        secret, self.known = secret_of(store), rows.known_versions(store)
        columns = [data.columns for data in self.known]
        self.wanted = Wanted(tuple(texts), column, secret, columns) if texts else None
        self.marks = [rule.keyed for rule in self.wanted.rules.rules] if self.wanted else [tables.mark(source, secret)]
        self.earlier = Earlier(store, self.marks)
        self.origins = origins(store, self.wanted.rules) if self.wanted is not None else []
        if column is not None:
            self._check_column(column)
        if source is not None:
            self.held = tables.of_source(store, source)
            # Of a request that was killed nothing may be left but its row of the history, and it has to be finished.
            if not (self.held.feedback or self.earlier.begun or source in tables.sources(store)):
                raise UnknownNameError(
                    Problem("a source of feedback", repr(source), near(source, tables.sources(store)))
                )
        elif self.wanted is not None:
            self.held = tables.of_person(store, self.wanted)
        self.unsure: list[Unsure] = []
        self.learned = self._learned()
        self.touched = self._touched()

    def _check_column(self, column: str) -> None:
        known = {name for data in self.known for name in (*data.kinds, *data.columns.values())}
        known |= {name for origin in self.origins for name in origin.columns}
        known |= {name for names in ignored(self.store).values() for name in names}
        if known and column not in known:
            raise UnknownNameError(Problem("a column of the data", repr(column), near(column, known)))

    def _learned(self) -> dict[tuple[str, int], set[str]]:
        """The voices that each version learned from; not those whose rows an earlier request took out of its data.

        Rows are told by what is in them, so that the second time those of others would go, which are equal.
        """
        joined = tables.rounds(self.store, self.held.voices)
        left = {version: {*ids} - self.earlier.out.get(version, set()) for version, ids in joined.items()}
        return {version: ids for version, ids in left.items() if ids}

    def _touched(self) -> list[rows.Touched]:
        """The data versions that hold rows that go: those of the person, and those that the feedback brought."""
        found: list[rows.Touched] = []
        if self.wanted is not None:
            own: dict[str, frozenset[int]] = {}
            for origin in self.origins:
                own[origin.source] = own.get(origin.source, frozenset()) | origin.places
            found = rows.by_person(self.store, self.wanted, self.known, own)
            more, self.unsure = left_out(self.store, self.wanted, self.known, self.origins)
            found = rows.together(found, more)
        gone = {}
        for (name, number), joined in self.learned.items():
            version = self.registry.get(f"{name}@{number}")
            data = next((one for one in self.known if one.id == version.data_version), None)
            if data is not None:
                given = [voice for voice in voices(self.store, name) if voice.id in joined]
                gone[data.id] = typed(given, data, find_task(data.task), self.store).rows
        return rows.together(found, rows.by_rows(self.store, gone))

    def told(self, *, done: bool, left: Sequence[str] = (), stages: int = 0, compacted: bool = True) -> Forgotten:
        """What there is of it, or was."""
        if not done and self.wanted is not None:
            left = [str(path) for path in sweep.files_with(self.store, self.wanted)]
        return Forgotten(
            done,
            [{"id": one.data.id, "rows": one.rows, "set_aside": len(one.broken)} for one in self.touched],
            self.models,
            len(self.held.predictions),
            len(self.held.voices),
            len(self.held.keys),
            len(self.held.history),
            stages,
            self.origins,
            list(left),
            compacted,
            begun=self.earlier.begun,
            unsure=self.unsure,
        )

    @property
    def models(self) -> list[dict[str, Any]]:
        """The registered models that the rows had a part in, with what to do about each.

        So are those of which a request that was killed has already taken the rows.
        """
        by_id = {one.data.id: one for one in self.touched if one.rows}
        found = []
        for version in self._versions:
            if (one := by_id.get(version.data_version)) is not None:
                learned = any(one.places.get(split) for split in ("train", "validation"))
                found.append(concerned(self.registry, version, one.data, one.rows, learned=learned))
        before = {(one["name"], one["version"]): one for one in self.earlier.models}
        for one in found:
            before.pop((one["name"], one["version"]), None)
        found += [{**one, "aliases": aliases(self.registry, *version)} for version, one in before.items()]
        return sorted(found, key=lambda one: (one["name"], one["version"]))

    @property
    def _versions(self) -> list[Version]:
        if "_before" not in self.__dict__:
            self._before = self.registry.versions()
        return self._before

    def do(self, who: str, why: str) -> Forgotten:
        """Let it go. What was done stays done when this is killed: the same request goes on from there."""
        began = time.time()
        if self.wanted is not None or self.held.voices or self.touched:
            self._remember(who, why)
        new = {one.data.folder + one.data.id: rows.without(self.store, one, self.wanted) for one in self.touched}
        pages = self._clear_versions(new, who)
        stages = sweep.affected_stages(self.store, self._digests(), {data.id for data in self.known}, self.wanted)
        self.store.records.forget_stages(stages)
        # What tells which rows go leaves last, so that a request that was killed finds them again.
        with self.store.database.erasing() as connection:
            # A service may have written since: what is kept and what goes is decided while nobody else writes.
            self.held = tables.again(connection, self.store, self.held, self.wanted or self.source, since=began)
            tables.remove(connection, self.held, self.wanted)
        sweep.clear_caches(self.store, began)
        sweep.collect(self.store, began)
        self._pages(pages)
        compacted = self.store.database.compact()
        return self.told(done=True, left=self._left(compacted), stages=len(stages), compacted=compacted)

    def _remember(self, who: str, why: str) -> None:
        """The sentence of the history, without what was forgotten; and the history without it."""
        clear = (lambda text: text) if self.wanted is None else self.wanted.cleared
        told = (
            f"{self._what()}: {sum(one.rows for one in self.touched):,} rows, {len(self.held.predictions):,} answers, "
        )
        told += f"{len(self.held.voices):,} feedbacks"
        evidence: dict[str, Any] = {"gone": {"rows": sum(one.rows for one in self.touched)}}
        if models := self.models:
            evidence["models"] = [{name: told for name, told in one.items() if name != "aliases"} for one in models]
        with self.store.database.erasing() as connection:
            if self.wanted is not None:
                evidence["rules"] = [rule.to_json() for rule in self.wanted.rules.rules]
                if changed := redact(connection, self.wanted.cleared):
                    evidence["rewritten"] = changed
            else:
                evidence["sources"] = self.marks
            reason = f"{told}; {clear(why)}" if why else told
            append(connection, name=EVERYTHING, who=clear(who), action=ACTION, why=reason, evidence=evidence)

    def _what(self) -> str:
        if self.wanted is None:
            return f"the source {self.source}"
        return "a person" if self.wanted.column is None else f"a value of the column {self.wanted.column}"

    def _clear_versions(self, new: dict[str, DataVersion], who: str) -> list[Version]:
        """Registered versions with their data, bundle and report as they shall stand; those that changed."""
        by_id = {one.data.id: one for one in self.touched}
        clear_who = who if self.wanted is None else self.wanted.cleared(who)
        changed = []
        for version in self._versions:
            if not self.store.holds(version.lineage.get("report") or "0" * 64):
                continue
            one = by_id.get(version.data_version)
            data = new[one.data.folder + one.data.id] if one is not None else None
            cleared = clear_version(self.store, version, one, data, self.wanted)
            if cleared is not None:
                out = self.learned.get((version.name, version.number), ()) if one is not None else ()
                reason = "its data, bundle or report held some of it"
                self.registry.restate(cleared, who=clear_who, why=reason, without=out)
                changed.append(cleared)
        return changed

    def _digests(self) -> set[str]:
        """What every stage of the touched data versions names."""
        return {
            digest
            for one in self.touched
            for digest in (one.data.id, one.data.folder, one.data.quarantine, one.data.profile)
            if digest
        } | self.earlier.replaced

    def _pages(self, changed: Sequence[Version]) -> None:
        """The pages of the reports that changed, now or before a kill, written anew; other pages that hold it go."""
        folder = self.store.folder / "reports"
        before = [self.registry.get(f"{name}@{number}") for name, number in self.earlier.out]
        for version in {(one.name, one.number): one for one in (*before, *changed)}.values():
            page = folder / f"{version.name}-{version.number}.html"
            if page.is_file():
                full = {**self.store.get_json(version.lineage["report"]), "version": version.number}
                language = language_of((version.spec.get("report") or {}).get("language", "auto"))
                write_bytes(page, write_page(full, language).encode())
        if self.wanted is not None and folder.is_dir():
            for page in sweep.files_with(self.store, self.wanted):
                if page.parent == folder:
                    page.unlink(missing_ok=True)

    def _left(self, compacted: bool) -> list[str]:
        if self.wanted is None:
            return []
        rows = tables.still_in(self.store, self.wanted)
        files = sweep.files_with(self.store, self.wanted)
        if compacted and not rows and self.wanted.is_number:
            # All that the file of the tables holds are rows, and none has it but as something counted.
            files = [path for path in files if path != self.store.database.path]
        return [*rows, *map(str, files)]


__all__ = ["BACKUPS", "Forgotten", "forget"]
