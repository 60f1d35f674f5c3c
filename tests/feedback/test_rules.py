"""What trains without a person's look, what waits, what never trains; and how little any one source may move."""

from __future__ import annotations

from typing import Any

import pytest

from lingqu.feedback.influence import Offer, within_caps
from lingqu.feedback.rules import judge
from lingqu.feedback.trust import Trust, trust_of
from lingqu.feedback.voice import Voice


def voice(id: str, principal: str, label: str, *, text: str = "", confidence: float = 0.6, **other: Any) -> Voice:
    answer = {"prediction": "ham", "confidence": confidence, "scores": {"ham": confidence, "spam": 1 - confidence}}
    told: dict[str, Any] = {
        "id": id,
        "prediction_id": f"p{id}",
        "name": "m",
        "number": 1,
        "principal": principal,
        "tenant": "",
        "user": None,
        "source": "api",
        "origin": "person",
        "kind": "label",
        "value": label,
        "comment": None,
        "input": {"text": text or id},
        "answer": answer,
        "at": f"2026-01-01T00:00:{int(id) % 60:02d}Z",
        "status": "quarantined",
        "reason": "",
        "decided_by": None,
        "decided_at": None,
    }
    return Voice(**{**told, **other})


def ruled(given: list[Voice], **known: Any) -> dict[str, tuple[str, str]]:
    return {
        one.id: (one.status, one.reason) for one in judge(given, labels=["ham", "spam"], sure={"ham": 0.9}, **known)
    }


def test_each_rule_has_its_reason():
    given = [
        voice("1", "anna", "eggs"),
        voice("2", "anna", "spam", origin="model"),
        voice("3", "boss", "spam", confidence=0.99),
        voice("4", "anna", "spam", text="same"),
        voice("5", "ben", "ham", text="same"),
        voice("6", "anna", "spam", text="both", confidence=0.99),
        voice("7", "ben", "spam", text="both", confidence=0.99),
        voice("8", "carl", "spam", confidence=0.99),
        voice("9", "anna", "spam", confidence=0.99),
        voice("10", "anna", "spam", confidence=0.7),
        voice("11", "anna", "ham", confidence=0.99),
    ]
    found = ruled(given, deciders={"boss"}, trust={"carl": Trust(30, 30), "anna": Trust(5, 10)})
    assert found == {
        "1": ("rejected", "'eggs' is no label of this model"),
        "2": ("rejected", "a model's own answer is no evidence"),
        "3": ("accepted", "its key may decide"),
        "4": ("quarantined", "another principal gave the same row another label"),
        "5": ("quarantined", "another principal gave the same row another label"),
        "6": ("accepted", "2 principals agree"),
        "7": ("accepted", "2 principals agree"),
        "8": ("accepted", "its principal has agreed with trusted labels"),
        "9": ("quarantined", "the model was sure of another answer"),
        "10": ("accepted", "nothing speaks strongly against it"),
        "11": ("accepted", "nothing speaks strongly against it"),
    }


def test_one_principal_agreeing_with_itself_is_one_voice():
    twice = [voice(id, "anna", "spam", text="same", confidence=0.99) for id in ("1", "2")]
    assert {status for status, _ in ruled(twice).values()} == {"quarantined"}


def test_trust_grows_with_agreement_and_a_stranger_is_not_believed():
    given = [("anna", f"p{n}", "spam") for n in range(40)] + [("new", "p0", "spam")]
    found = trust_of(given, {f"p{n}": "spam" for n in range(40)})
    assert found["anna"].low > 0.9
    assert found["new"].low < 0.3


@pytest.mark.parametrize(
    ("offers", "base", "most"),
    [
        ([("mallory", n, "spam", False) for n in range(500)], {"spam": 500, "ham": 500}, 20),
        ([(f"user{n}", 0, "spam", False) for n in range(100)], {"spam": 500, "ham": 500}, 5),
        ([(f"user{n}", n, "ham" if n % 2 else "spam", False) for n in range(900)], {"spam": 500, "ham": 500}, 250),
        ([("anna", n, "spam" if n % 2 else "ham", True) for n in range(200)], {"spam": 500, "ham": 500}, 200),
    ],
    ids=["one principal", "one text", "all together", "a reviewer"],
)
def test_nobody_moves_much(offers, base, most):
    taken, left = within_caps([Offer(f"{n}", *offer) for n, offer in enumerate(offers)], base)
    assert len(taken) == most
    assert len(taken) + len(left) == len(offers)


def test_no_label_grows_by_more_than_five_points():
    flood = [Offer(f"{n}", f"user{n}", n, "spam", False) for n in range(250)]
    taken, left = within_caps(flood, {"spam": 500, "ham": 500})
    share = (500 + len(taken)) / (1000 + len(taken))
    assert 0.549 < share <= 0.55
    assert set(left.values()) == {"cap: the share of 'spam' would move by more than 5 points"}
