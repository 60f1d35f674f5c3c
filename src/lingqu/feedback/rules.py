"""Which voices may train without a person having looked: the rules, and what speaks against.

A label is accepted when its principal may decide (a key with the scope `train`), when its principal's labels have
agreed with trusted ones often enough, when two principals who do not know each other's answer gave the same label to the
same row, or when the model that answered does not speak strongly against it. Two principals who disagree are a conflict,
and a conflict waits for a person, as does a label against which the model was as sure as it usually is of its answer:
that is where reviews teach most, and where the poison is. (The threshold of a class in confident learning: Northcutt,
Jiang and Chuang 2021, JAIR 70.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingqu.feedback.trust import Trust
from lingqu.feedback.voice import ACCEPTED, QUARANTINED, REJECTED, Voice

TRUSTED_FROM = 0.8
"""The agreement that a principal must exceed with probability 0.95 to be believed."""
INDEPENDENT = 2


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule says of one voice."""

    id: str
    status: str
    reason: str


def judge(
    given: Sequence[Voice],
    *,
    labels: Collection[str] | None,
    deciders: Collection[str] = (),
    trust: Mapping[str, Trust] | None = None,
    sure: Mapping[str, float] | None = None,
) -> list[Ruling]:
    """A ruling for each voice: accepted, rejected, or still quarantined, with the reason.

    `labels` are those that the model knows, None where the answer is a number; `deciders` the principals who may decide;
    `sure` how sure the model usually is when it gives an answer (`usual_confidence`).
    """
    known, usual = trust or {}, sure or {}
    by_row: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for voice in given:
        by_row[voice.asked][voice.label].add(voice.principal)
    return [
        _judge(voice, by_row[voice.asked], labels=labels, deciders=deciders, trust=known, sure=usual) for voice in given
    ]


def _judge(
    voice: Voice,
    said: Mapping[str, set[str]],
    *,
    labels: Collection[str] | None,
    deciders: Collection[str],
    trust: Mapping[str, Trust],
    sure: Mapping[str, float],
) -> Ruling:
    if labels is not None and voice.label not in labels:
        return Ruling(voice.id, REJECTED, f"{voice.label[:80]!r} is no label of this model")
    if voice.origin != "person":
        return Ruling(voice.id, REJECTED, "a model's own answer is no evidence")
    if voice.principal in deciders:
        return Ruling(voice.id, ACCEPTED, "its key may decide")
    others = {principal for label, whose in said.items() if label != voice.label for principal in whose}
    if others - {voice.principal}:
        return Ruling(voice.id, QUARANTINED, "another principal gave the same row another label")
    if len(said[voice.label]) >= INDEPENDENT:
        return Ruling(voice.id, ACCEPTED, f"{len(said[voice.label])} principals agree")
    if trust.get(voice.principal, Trust()).low >= TRUSTED_FROM:
        return Ruling(voice.id, ACCEPTED, "its principal has agreed with trusted labels")
    if strongly_against(voice, sure):
        return Ruling(voice.id, QUARANTINED, "the model was sure of another answer")
    return Ruling(voice.id, ACCEPTED, "nothing speaks strongly against it")


def strongly_against(voice: Voice, sure: Mapping[str, float]) -> bool:
    """Whether the model that answered was as sure of another answer as it usually is of that answer."""
    prediction, confidence = str(voice.answer.get("prediction")), voice.answer.get("confidence")
    if not isinstance(confidence, int | float) or prediction == voice.label:
        return False
    return confidence >= sure.get(prediction, 1.0)


def usual_confidence(answers: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The mean confidence of the answers that gave each label.

    >>> usual_confidence([{"prediction": "ham", "confidence": 0.9}, {"prediction": "ham", "confidence": 0.7}])
    {'ham': 0.8}
    """
    held: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        if isinstance(answer.get("confidence"), int | float):
            held[str(answer.get("prediction"))].append(float(answer["confidence"]))
    return {label: sum(values) / len(values) for label, values in held.items()}
