"""Which voices may train without a person having looked: the rules, and what speaks against.

A label is accepted when its principal may decide (a key with the scope `train`), when its principal's labels have
agreed with trusted ones often enough, when two principals who do not know each other's answer gave the same label to the
same row, or when the model that answered does not speak strongly against it. Two principals who disagree are a conflict,
and a conflict waits for a person, as does a label that the model is nearly sure is wrong: that is where reviews teach
most, and where the poison is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lingqu.feedback.trust import Trust
from lingqu.feedback.voice import ACCEPTED, QUARANTINED, REJECTED, Voice

TRUSTED_FROM = 0.8
"""The agreement that a principal must exceed with probability 0.95 to be believed."""
AGAINST = 0.05
"""A model that gives the label less than this, and its own more than `SURE`, speaks strongly against it."""
SURE = 0.9
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
) -> list[Ruling]:
    """A ruling for each voice: accepted, rejected, or still quarantined, with the reason.

    `labels` are those that the model knows, None where the answer is a number; `deciders` the principals who may decide.
    """
    known = trust or {}
    by_row: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for voice in given:
        by_row[voice.asked][voice.label].add(voice.principal)
    return [_judge(voice, by_row[voice.asked], labels, deciders, known) for voice in given]


def _judge(
    voice: Voice,
    said: Mapping[str, set[str]],
    labels: Collection[str] | None,
    deciders: Collection[str],
    trust: Mapping[str, Trust],
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
    if strongly_against(voice):
        return Ruling(voice.id, QUARANTINED, "the model is nearly sure of another answer")
    return Ruling(voice.id, ACCEPTED, "nothing speaks strongly against it")


def strongly_against(voice: Voice) -> bool:
    """Whether the model that answered is nearly sure that the given label is wrong.

    An answer whose scores were not kept speaks by its confidence alone.
    """
    scores, confidence = voice.answer.get("scores"), voice.answer.get("confidence")
    if not isinstance(confidence, int | float) or confidence < SURE:
        return False
    if str(voice.answer.get("prediction")) == voice.label:
        return False
    chance = scores.get(voice.label, 0.0) if isinstance(scores, Mapping) else 1 - confidence
    return chance < AGAINST
