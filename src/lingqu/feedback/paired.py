"""Champion and challenger on the same labels of trusted people: which of the two was right, in the order in which they came.

Labels of the audit count, and those of rows on which the two differ: where they agree a label cannot tell them apart,
so the second kind proves as much with a tenth of the work (the test looks at such rows alone; McNemar 1947). Only
labels of answers that were given after the challenger was put beside the champion count, so that neither training nor
the gate has seen them. Both answers come from the journal where it holds both; else both bundles answer the row that
the label has kept, so that no label is lost because nobody had a moment to spare when it was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from lingqu.bundle.read import Bundle
from lingqu.feedback.voice import ACCEPTED, LABEL, Voice, voices
from lingqu.monitor.audit import DISPUTED, SOURCE
from lingqu.monitor.observed import first_id
from lingqu.monitor.quality import right
from lingqu.registry import Registry
from lingqu.registry.rollouts import Rollout
from lingqu.serve.journal import answer_cells, unspell
from lingqu.serve.shadow import shadow_id
from lingqu.statistics import SignTest
from lingqu.store import Store
from lingqu.store.tables import PREDICTIONS

Cells = Mapping[str, Any]
BETTER, WORSE = "better", "worse"


@dataclass(frozen=True, slots=True)
class Compared:
    """What the labels of a rollout say so far.

    >>> found = Compared(("a", "b", "c"), ("2026-01-01", "2026-01-02", "2026-01-03"), (1, 0, -1), 4).test()
    >>> found.wins, found.losses
    (1, 1)
    """

    ids: tuple[str, ...]
    at: tuple[str, ...]
    leads: tuple[int, ...]
    """For each label 1 where only the challenger was right, -1 where only the champion was, else 0."""
    unscored: int
    """Labels on which the two cannot be compared, because no input was kept."""

    def test(self, since: str = "", *, alpha: float = 0.0, reverse: bool = False) -> SignTest:
        """The sequential sign test over the labels since then, up to where it decides; `reverse` asks whether it is worse."""
        found = SignTest()
        for at, lead in zip(self.at, self.leads, strict=True):
            if not lead or at <= since:
                continue
            found = found.after((lead > 0) is not reverse)
            if alpha and found.decides(alpha):
                break
        return found

    def first(self, alpha: float, limit: float) -> tuple[str, SignTest]:
        """Which of two tests decides first, `better` at alpha or `worse` at its limit, and that test.

        Where neither does, an empty text and how the first stands. The second is turned round: its wins are the champion's.

        >>> found = Compared(("a",) * 9, tuple("123456789"), (1,) * 9, 0)
        >>> decided, test = found.first(0.05, 0.05)
        >>> decided, test.wins
        ('better', 7)
        """
        better, worse = self.test(alpha=alpha), self.test(alpha=limit, reverse=True)
        # Each test stops at the label at which it decides, so the one that needed fewer labels was first.
        if better.decides(alpha) and not (worse.decides(limit) and worse.rows < better.rows):
            return BETTER, better
        return (WORSE, worse) if worse.decides(limit) else ("", better)


def compared(store: Store, now: Rollout) -> Compared:
    """Both models on every audit label of this rollout; what was found of a label is remembered."""
    given, known = _remembered(store, now, "rollout", lead)
    counted = [voice for voice in given if voice.id in known]
    return Compared(
        tuple(voice.id for voice in counted),
        tuple(_came(voice)[0] for voice in counted),
        tuple(known[voice.id] for voice in counted),
        len(given) - len(counted),
    )


@dataclass(frozen=True, slots=True)
class Both:
    """One label on both models: whether it is of the audit, and whether each of the two was right."""

    audit: bool
    champion: bool
    challenger: bool


def both(store: Store, now: Rollout) -> list[Both]:
    """Whether each of the two was right, on every label of this rollout that says it of both, in their order."""
    given, known = _remembered(store, now, "rollout: both", _each)
    return [Both(voice.source == SOURCE, *map(bool, known[voice.id])) for voice in given if voice.id in known]


def _remembered(
    store: Store, now: Rollout, what: str, say: Callable[[Cells, Cells, Any], Any]
) -> tuple[list[Voice], dict[str, Any]]:
    """The labels of a rollout in their order, and what `say` says of each on which the two can be compared."""
    begun = first_id(now.began)
    given: dict[str, Voice] = {}
    for voice in sorted(voices(store, now.name, status=ACCEPTED, kind=LABEL), key=_came):
        if voice.source in (SOURCE, DISPUTED) and voice.origin == "person" and voice.prediction_id[:12] > begun:
            given.setdefault(voice.prediction_id, voice)
    registry = Registry(store)
    bundles = {number: registry.get(f"{now.name}@{number}").bundle for number in (now.against, now.version)}
    key = store.stage(what, {"name": now.name, "began": now.began, "bundles": list(bundles.values())})
    known: dict[str, Any] = (store.stage_result(key) or {}).get("leads", {})
    new = [voice for voice in given.values() if voice.id not in known]
    if new:
        pairs = _answered(store, now, new, bundles)
        known = {**known, **{voice.id: say(*pairs[voice.id], voice.value) for voice in new if voice.id in pairs}}
        store.finish_stage(key, {"leads": known}, 0.0)
    return [*given.values()], known


def _each(champion: Cells, challenger: Cells, label: Any) -> list[int]:
    return [int(right(one, label)) for one in (champion, challenger)]


def lead(champion: Cells, challenger: Cells, label: Any) -> int:
    """1 where the challenger was right and the champion was not, -1 the other way round, else 0.

    Of two numbers the nearer one is right: a range that holds the label would reward the wider one.

    >>> near, far = ({"kind": "number-value", "prediction": value, "low": 0, "high": 9} for value in (4.0, 7.0))
    >>> lead(far, near, "4.5"), lead(near, near, 4.5), lead({"prediction": "ham"}, {"prediction": "spam"}, "ham")
    (1, 0, -1)
    """
    if champion.get("kind") == challenger.get("kind") == "number-value":
        try:
            off = [abs(float(one["prediction"]) - float(label)) for one in (champion, challenger)]
        except (TypeError, ValueError):
            return 0
        return (off[1] < off[0]) - (off[0] < off[1])
    return right(challenger, label) - right(champion, label)


def _came(voice: Voice) -> tuple[str, str]:
    return (voice.decided_at or voice.at, voice.id)


def _answered(
    store: Store, now: Rollout, given: list[Voice], bundles: Mapping[int, str]
) -> dict[str, tuple[Cells, Cells]]:
    """What champion and challenger answered to the row of each label; labels whose row nobody kept are left out."""
    shadows = _shadows(store, {shadow_id(voice.prediction_id, now.version) for voice in given})
    found: dict[str, tuple[Cells, Cells]] = {}
    rest: list[Voice] = []
    for voice in given:
        unseen = shadows.get(shadow_id(voice.prediction_id, now.version))
        if voice.number == now.against and unseen is not None:
            found[voice.id] = (voice.answer, unseen)
        elif voice.input is not None and not any(map(_omitted, voice.input.values())):
            rest.append(voice)
    if rest:
        answers = {number: _answers(store, digest, rest) for number, digest in bundles.items()}
        pairs = zip(rest, answers[now.against], answers[now.version], strict=True)
        found |= {voice.id: (old, new) for voice, old, new in pairs}
    return found


def _answers(store: Store, digest: str, given: Iterable[Voice]) -> list[Cells]:
    """What a bundle answers to the rows that labels have kept, as the journal would keep it."""
    bundle = Bundle.open(store.folder_path(digest, verify=False))
    told = [answer_cells(answer, "masked")[0] for answer in bundle.answer([voice.input or {} for voice in given])]
    return [*told]


def _shadows(store: Store, ids: set[str]) -> dict[str, Cells]:
    query = select(PREDICTIONS.c.id, PREDICTIONS.c.answer)
    found: dict[str, Cells] = {}
    with store.database.reading() as connection:
        listed = sorted(ids)
        for start in range(0, len(listed), 500):
            some = query.where(PREDICTIONS.c.id.in_(listed[start : start + 500]))
            found.update({row.id: unspell(row.answer) for row in connection.execute(some)})
    return found


def _omitted(value: Any) -> bool:
    return isinstance(value, dict) and "$omitted" in value
