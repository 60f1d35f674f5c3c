"""What the service answered and what people said of it, as the journal and the feedback table hold them.

Answers are taken in the order of their ids, which is that of their time. A process that writes its journal late by more
than it takes to look may bring an answer too late for its window; it is left out of windows and still has its labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from lingqu.contract import Rows
from lingqu.data.accept import accept, by_source
from lingqu.data.values import left_out
from lingqu.errors import DataError, StoreError
from lingqu.monitor.audit import SOURCE, asked
from lingqu.monitor.quality import Share, right
from lingqu.monitor.signals import Signal, of_answers, of_columns
from lingqu.privacy.encrypt import MasterKeys
from lingqu.registry import Version
from lingqu.serve.journal import Sealed, iso, unspell
from lingqu.store import Store
from lingqu.store.tables import FEEDBACK, PREDICTIONS

WEEKS = 8
"""So many weeks back answers of the same weekdays are looked for; the journal keeps fewer unless `keep` says more."""
_WEEK, _DAY, _ENDS = timedelta(weeks=1), timedelta(days=1), 4096


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer of the journal; `input` None where none was kept, or none can be read."""

    id: str
    at: str
    answer: dict[str, Any]
    confidence: float | None
    latency_ms: float
    policy: str
    input: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Labelled:
    """One accepted label, and what the model had answered."""

    prediction: str
    at: str
    right: bool
    audit: bool
    input: dict[str, Any] | None = None
    """The row, where it was asked for and can be read."""


def waiting(store: Store, version: Version, after: str) -> int:
    """How many answers of a version the journal holds after this id."""
    query = _of(select(func.count()).select_from(PREDICTIONS), version, after)
    with store.database.reading() as connection:
        return int(connection.execute(query).scalar_one())


def answered(store: Store, version: Version, after: str, most: int, *, skip: int = 0) -> list[Answered]:
    """The next answers of a version after this id, at most so many, the first `skip` left out."""
    query = _of(select(PREDICTIONS), version, after).order_by(PREDICTIONS.c.id).offset(skip).limit(most)
    with store.database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return _read(rows)


def _read(rows: Sequence[Any]) -> list[Answered]:
    seal = Sealed(MasterKeys.given())
    return [
        Answered(
            row["id"],
            row["at"],
            unspell(row["answer"]),
            row["confidence"],
            row["latency_ms"],
            row["policy"],
            _input(seal, row["id"], row["input"]),
        )
        for row in rows
    ]


def weeks_before(store: Store, version: Version, rows: Sequence[Answered], most: int) -> list[Answered]:
    """Answers of the same days and hours of the week as these, one week before, two weeks before and so on.

    About so many at most. Where that is fewer than these rows, answers of the whole of those weekdays (UTC) are taken.
    Nothing where these rows come from a week or more, for then they hold every weekday themselves.
    """
    first, last = (datetime.fromisoformat(one.at) for one in (rows[0], rows[-1]))
    begin, end = (one.replace(hour=0, minute=0, second=0, microsecond=0) for one in (first, last))
    days = begin, end + _DAY
    if days[1] - days[0] >= _WEEK:
        return []
    found = _sample(store, version, (first, last), most)
    return found if len(found) >= min(len(rows), most) else _sample(store, version, days, most)


def _sample(store: Store, version: Version, span: tuple[datetime, datetime], most: int) -> list[Answered]:
    """Answers of a span of time in earlier weeks, about so many at most."""
    at, (begin, end) = PREDICTIONS.c.at, span
    weeks = [week * _WEEK for week in range(1, WEEKS + 1)]
    spans = [and_(at >= iso((begin - week).timestamp()), at <= iso((end - week).timestamp())) for week in weeks]
    with store.database.reading() as connection:
        count = int(connection.execute(_of(select(func.count()), version, "").where(or_(*spans))).scalar_one())
        query = _of(select(PREDICTIONS), version, "").where(or_(*spans)).order_by(PREDICTIONS.c.id)
        if count > most:
            # The end of an id has nothing to do with the answer: it draws a sample without a look at all rows.
            bound = f"{max(1, round(_ENDS * most / count)):03x}"
            query = query.where(func.substr(PREDICTIONS.c.id, 30, 3) < bound)
        return _read(connection.execute(query).mappings().all())


def since_trial(
    store: Store, version: Version, before: str, *, least: int, most: int
) -> tuple[list[Answered], list[Answered]]:
    """What came since a version was registered and before this id, at most so many, from the oldest on.

    First what anybody was answered, whose inputs are those of that time (where they are too few, the last `least` before);
    then what this version answered, unseen too.
    """
    column = PREDICTIONS.c
    here = (column.name == version.name, column.id < before)
    everybody = select(PREDICTIONS).where(*here, column.role != "shadow")
    since = column.id >= first_id(version.at)
    queries = [everybody.where(since), select(PREDICTIONS).where(*here, since, column.number == version.number)]
    with store.database.reading() as connection:
        asked, own = (connection.execute(query.order_by(column.id).limit(most)).mappings().all() for query in queries)
        if len(asked) < least:
            asked = connection.execute(everybody.order_by(column.id.desc()).limit(least)).mappings().all()
    return _read(asked), _read(own)


def first_id(moment: str) -> str:
    """The beginning of the ids of a moment (ISO 8601): ids of later answers are greater.

    >>> first_id("2026-11-23T00:00:00Z")
    '01a205b3d000'
    """
    return f"{int(datetime.fromisoformat(moment).timestamp() * 1000):012x}"


def kept_as(store: Store, version: Version) -> str | None:
    """How the journal keeps inputs, by the newest answer that has one: masked or plain; None when none has."""
    query = _of(select(PREDICTIONS.c.policy), version, "").where(PREDICTIONS.c.input.is_not(None))
    with store.database.reading() as connection:
        return connection.execute(query.order_by(PREDICTIONS.c.id.desc()).limit(1)).scalar_one_or_none()


def labelled(store: Store, version: Version, since: str = "", *, inputs: bool = False) -> list[Labelled]:
    """The accepted labels of a version's answers, from the answer with this id on, in the order in which they counted.

    Of several labels of one answer the audit's stands, and else the first, also after who gave it has corrected it. With
    `inputs`, each has the row that was asked.
    """
    column, seal = FEEDBACK.c, Sealed(MasterKeys.given())
    told = [column.at, column.decided_at, column.value, column.answer, column.source]
    query = select(column.id, column.prediction_id, *told, *([column.input] if inputs else [])).where(
        column.name == version.name,
        column.number == version.number,
        column.kind == "label",
        column.status == "accepted",
        column.origin == "person",
        column.prediction_id >= since,
    )
    with store.database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    found: dict[str, Labelled] = {}
    for row in sorted(rows, key=lambda row: (row["source"] != SOURCE, row["at"], row["id"])):
        try:
            said = unspell(seal.open(row["value"], f"value:{row['id']}"))
        except StoreError:
            # Encrypted, and this process has not the key: as with inputs.
            continue
        given = row["decided_at"] or row["at"]
        was_right, audit = right(unspell(row["answer"]), said), row["source"] == SOURCE
        whole = _input(seal, row["prediction_id"], row.get("input"))
        one = Labelled(row["prediction_id"], given, was_right, audit, whole)
        found.setdefault(one.prediction, one)
    return sorted(found.values(), key=lambda one: (one.at, one.prediction))


def shares(labels: Sequence[Labelled], first: str, last: str) -> tuple[Share | None, Share | None]:
    """How many answers from one id to another were right: by the labels of the audit, and by those of volunteers."""
    found = []
    for audit in (True, False):
        within = [one for one in labels if one.audit is audit and first <= one.prediction <= last]
        found.append(Share.of(sum(one.right for one in within), len(within)))
    return found[0], found[1]


def drawn(rows: Sequence[Answered], share: float, store: Store) -> int:
    """How many of these answers the audit asks a label for; what was refused has none that could be right."""
    if share <= 0 or not (store.has_secret(SOURCE) or store.writable):
        return 0
    secret = store.secret(SOURCE)
    return sum(asked(one.id, share, secret) for one in rows if one.answer["kind"] != "refusal")


def signals_of(
    rows: Sequence[Answered], limits: list[dict[str, Any]], known: Mapping[str, Sequence[str]]
) -> list[Signal]:
    """The signals of these answers and of what was kept of their inputs; answers alone where no input was kept."""
    return of_answers([one.answer for one in rows]) + signals_of_inputs(rows, limits, known)


def signals_of_inputs(
    rows: Sequence[Answered], limits: list[dict[str, Any]], known: Mapping[str, Sequence[str]]
) -> list[Signal]:
    """The signals of what was kept of the inputs of these answers; none where no input was kept."""
    inputs = [one.input for one in rows if one.input is not None]
    if not inputs:
        return []
    # What the journal leaves out (pictures, where personal data is masked) is not missing, it is not watched.
    aside = set(unwatched(rows, limits))
    watched = [limit for limit in limits if limit["source"] not in aside]
    given = Rows.from_dicts(by_source(row, limits) for row in inputs)
    try:
        # A refused row has cells that fit no kind; they count as missing.
        typed, _ = accept(given, watched)
    except DataError:
        # None of these rows has a column that the model asks for, so none of them was answered.
        return []
    return of_columns(typed, {limit["name"]: limit["kind"] for limit in watched}, known)


def unwatched(rows: Sequence[Answered], limits: list[dict[str, Any]]) -> list[str]:
    """The columns, by the user's names, that the journal left out of one of these inputs or more."""
    names = {name for one in rows for name, value in (one.input or {}).items() if left_out(value)}
    return [limit["source"] for limit in limits if names & {limit["name"], limit["source"]}]


def readable(rows: Sequence[Answered], limits: list[dict[str, Any]]) -> int:
    """How many of these answers came with an input of which anything is watched."""
    aside = len(unwatched(rows, limits))
    return 0 if aside and aside == len(limits) else sum(one.input is not None for one in rows)


def _of(query: Select[Any], version: Version, after: str) -> Select[Any]:
    column = PREDICTIONS.c
    # What a challenger answered unseen was no answer to anybody.
    mine = (column.name == version.name, column.number == version.number, column.role != "shadow")
    return query.where(*mine, column.id > after)


def _input(seal: Sealed, identity: str, kept: str | None) -> dict[str, Any] | None:
    try:
        return seal.row(identity, kept)
    except StoreError:
        # Encrypted, and this process has not the key: answers are watched, inputs are not.
        return None
