"""The review queue: which answers a person should look at next, those that teach most first.

Four in five places go to answers that a user contradicts, about which users contradict each other, that a challenger
would have given otherwise, or that the model was unsure of, and of numbers to those that users say lie farthest off. Rows
that are nearly the same wait until every other kind of row was asked once, so that a hundred copies of one question do
not fill the queue, and a kind of row that has become frequent comes first. One in five is drawn at random, because a
queue of doubts alone never shows what the model is confidently wrong about. An audit queue holds nothing but drawn rows,
and never shows the answer: who has seen it is no witness any more.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeGuard

from lingqu.feedback.diverse import kinds_of
from lingqu.feedback.voice import ACCEPTED, LABEL, QUARANTINED, Voice, labels_of, voices
from lingqu.monitor.audit import DISPUTED, SOURCE
from lingqu.monitor.audit import asked as asked_for
from lingqu.monitor.observed import first_id
from lingqu.monitor.quality import right
from lingqu.registry.rollouts import Rollout, rollout
from lingqu.serve.journal import Recorded, recorded, spell
from lingqu.serve.shadow import SHADOW, shadow_id
from lingqu.store import Store

RANDOM_EVERY = 5
NEWEST = 5000
"""So many of the newest answers are looked through."""
POOL, POOL_PER_PLACE = 200, 10
"""So many of those that teach most are told apart by kind."""
NO_WIDTH = 1e-200
COMPARED = 1000
"""So many of the newest answers tell, by their later and their earlier half, which kinds have become frequent."""


@dataclass(frozen=True, slots=True)
class Item:
    """One answer to look at: the row, what was answered, what users said, and why it is asked."""

    prediction_id: str
    row: dict[str, Any]
    prediction: Any
    confidence: float | None
    said: tuple[str, ...]
    feedback: tuple[str, ...]
    why: str
    disputed: bool = False
    """Whether a challenger answered otherwise."""
    apart: float | None = None
    """Where the answer is a number: how far the farthest of what users said lies from it, in half ranges of the answer."""

    def to_json(self) -> dict[str, Any]:
        """The item as plain values."""
        return asdict(self)


def review_queue(store: Store, name: str, most: int = 20) -> list[Item]:
    """The answers to look at next, at most so many."""
    given = voices(store, name, kind=LABEL)
    waiting: dict[str, list[Voice]] = {}
    for voice in given:
        if voice.status == QUARANTINED:
            waiting.setdefault(voice.prediction_id, []).append(voice)
    done = {voice.prediction_id for voice in given} - waiting.keys()
    kept = recorded(store, name, newest=NEWEST)
    unseen = {one.id: one for one in kept if one.role == SHADOW}
    answers = [one for one in kept if one.role != SHADOW and one.id not in done]
    numbers = {one.number for one in unseen.values()}
    items = [
        _item(answer, waiting.pop(answer.id, []), [unseen.get(shadow_id(answer.id, number)) for number in numbers])
        for answer in answers
        if answer.input is not None
    ]
    # What was said of answers that the journal has let go can still be decided on.
    items += [_said(whose) for whose in waiting.values() if whose[0].input is not None]
    secret = store.secret(SOURCE, passing=True)
    ranked = _once(sorted(items, key=_rank))
    seen = [answer.input for answer in answers if answer.input is not None][-COMPARED:]
    drawn = sorted(items, key=lambda item: (not asked_for(item.prediction_id, 0.1, secret), item.prediction_id))
    return _mixed(_spread(ranked, seen, most), _once(drawn), most)


def audit_queue(store: Store, name: str, share: float, most: int = 20) -> list[Item]:
    """Drawn answers without a trusted label yet, the oldest first, without what was answered; no rows that were refused.

    Equal rows that were asked since a challenger is on its way are asked for once, for they count once.
    """
    secret, standing = store.secret(SOURCE), rollout(store, name)
    labels = [voice for voice in voices(store, name) if voice.source == SOURCE]
    labelled = {voice.prediction_id for voice in labels}
    answers = [
        one
        for one in recorded(store, name, newest=NEWEST)
        if one.role != SHADOW and one.input is not None and one.answer.get("kind") != "refusal"
        and asked_for(one.id, share, secret)
    ]  # fmt: skip
    blind = "drawn at random; say what is right without looking up the answer"
    items = [Item(one.id, one.input or {}, None, None, (), (), blind) for one in answers if one.id not in labelled]
    if standing is not None:
        items = _once(items, compared_rows(labels, standing), since=first_id(standing.began))
    return items[:most]


def disputed_queue(store: Store, name: str, most: int = 20) -> list[Item]:
    """Answers that the challenger on its way would have given otherwise, in random order, without what either said.

    Equal rows are asked once. Which of the two is right on these decides between them; other rows cannot.
    """
    standing = rollout(store, name)
    if standing is None:
        return []
    labels = [voice for voice in voices(store, name) if voice.source in (SOURCE, DISPUTED)]
    labelled, known = {voice.prediction_id for voice in labels}, compared_rows(labels, standing)
    kept = recorded(store, name, since=standing.began, newest=NEWEST)
    unseen = {one.id: one for one in kept if one.role == SHADOW}
    blind = "two models differ; say what is right without looking up the answer"
    found = [
        Item(one.id, one.input, None, None, (), (), blind)
        for one in kept
        if one.role != SHADOW and one.input is not None and one.id not in labelled
        and differ(one.answer, unseen.get(shadow_id(one.id, standing.version)))
    ]  # fmt: skip
    secret = store.secret(SOURCE, passing=True)
    drawn = sorted(found, key=lambda item: hmac.digest(secret, item.prediction_id.encode(), "sha256"))
    return _once(drawn, known)[:most]


def compared_rows(labels: Iterable[Voice], standing: Rollout) -> dict[str, str]:
    """The rows by which a challenger on its way is compared already, as `plain` spells them, and whose answers they are.

    Which of the two is right on a row is known by one label: who asks it again and again must not decide between them.
    """
    judging = [v for v in labels if v.status == ACCEPTED and v.prediction_id[:12] > first_id(standing.began)]
    return {plain(voice.input): voice.prediction_id for voice in judging if whole(voice.input)}


def whole(row: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    """Whether all of a row was kept, so that it can be told from others."""
    return row is not None and not any(isinstance(value, dict) and "$omitted" in value for value in row.values())


def differ(answer: Mapping[str, Any], unseen: Recorded | None) -> bool:
    """Whether a challenger's answer to the same row is another one."""
    return unseen is not None and unseen.answer.get("prediction") != answer.get("prediction")


def _item(answer: Recorded, whose: Sequence[Voice], unseen: Sequence[Recorded | None]) -> Item:
    prediction = answer.answer.get("prediction")
    others = [one.answer.get("prediction") for one in unseen if one is not None]
    other = next((one for one in others if not right(answer.answer, one)), None)
    said = tuple(dict.fromkeys(voice.label for voice in whose))
    against = [voice for voice in whose if not right(answer.answer, voice.value)]
    # As the rules see it, to whom numbers are one where they lie no farther apart than the answer's range is wide.
    if len(said) > 1 and len({voice.label for voice in labels_of(whose)}) > 1:
        why = "users contradict each other"
    elif against:
        why = against[0].reason or "a user says otherwise"
    elif other is not None:
        why = f"a challenger answers {other}"
    elif answer.confidence is not None:
        why = f"the model was {100 * answer.confidence:.0f} % sure"
    elif said:
        why = "what a user says lies within its range"
    else:
        why = "drawn at random"
    ids, apart = tuple(voice.id for voice in whose), _apart(answer.answer, whose)
    about = (answer.id, answer.input or {}, prediction, answer.confidence)
    return Item(*about, said, ids, why, disputed=other is not None, apart=apart)


def _said(whose: Sequence[Voice]) -> Item:
    first = whose[0]
    said = tuple(dict.fromkeys(voice.label for voice in whose))
    about = (first.prediction_id, first.input or {}, first.answer.get("prediction"), first.answer.get("confidence"))
    ids = tuple(voice.id for voice in whose)
    return Item(*about, said, ids, first.reason, apart=_apart(first.answer, whose))


def _apart(answer: Mapping[str, Any], whose: Sequence[Voice]) -> float | None:
    with suppress(KeyError, TypeError, ValueError):
        if answer["kind"] == "number-value":
            off = [abs(float(voice.value) - float(answer["prediction"])) for voice in whose]
            # A range may be of no width.
            return max(off, default=0.0) / max((float(answer["high"]) - float(answer["low"])) / 2, NO_WIDTH)
    return None


def _rank(item: Item) -> tuple[float, bool, float, str]:
    """What users said counts most, of numbers how far off it is; then that two models differ, then that one was unsure."""
    heard = len(item.feedback) if item.apart is None else item.apart
    sure = 1.0 if item.confidence is None else item.confidence
    return (-heard, not item.disputed, sure, item.prediction_id)


def _once(items: Sequence[Item], known: Collection[str] = (), *, since: str = "") -> list[Item]:
    """The first of those whose rows are equal, without rows that are known; each by itself that is no younger than `since`."""
    seen: dict[str, Item] = {}
    for item in items:
        told = whole(item.row) and item.prediction_id[:12] > since
        seen.setdefault(plain(item.row) if told else item.prediction_id, item)
    return [item for row, item in seen.items() if row not in known]


def _spread(ranked: Sequence[Item], seen: Sequence[Mapping[str, Any]], most: int) -> list[Item]:
    """The first of each kind of row before the second of any; first those of which more came lately than before.

    `seen` are rows that were asked, from the first; what stands far behind in the queue keeps its place.
    """
    first = [*ranked[: max(POOL, POOL_PER_PLACE * most)]]
    half = len(seen) // 2
    kinds = kinds_of([item.row for item in first], seen[half:], seen[:half])
    order = sorted(range(len(first)), key=lambda place: (kinds[place].turn, not kinds[place].grown, place))
    told = [
        replace(first[place], why=f"{first[place].why}; {kinds[place].grown}") if kinds[place].grown else first[place]
        for place in order
    ]
    return [*told, *ranked[len(first) :]]


def plain(row: Mapping[str, Any]) -> str:
    """A row as one text, equal for rows that are equal but for their letters' case and their blanks."""
    return " ".join(spell(dict(row)).casefold().split())


def _mixed(ranked: Sequence[Item], drawn: Sequence[Item], most: int) -> list[Item]:
    """Every fifth from those that were drawn, the others by rank, none twice.

    >>> ask = lambda name: Item(name, {}, None, None, (), (), "")
    >>> ranked = [ask(name) for name in "abcdef"]
    >>> "".join(item.prediction_id for item in _mixed(ranked, ranked[::-1], 5))
    'abcdf'
    """
    chosen: list[Item] = []
    taken: set[str] = set()
    lanes = (iter(ranked), iter(drawn))
    while len(chosen) < most:
        lane = lanes[(len(chosen) + 1) % RANDOM_EVERY == 0]
        item = next((item for item in lane if item.prediction_id not in taken), None)
        if item is None:
            rest = [item for item in ranked if item.prediction_id not in taken]
            return [*chosen, *rest[: most - len(chosen)]]
        chosen.append(item)
        taken.add(item.prediction_id)
    return chosen
