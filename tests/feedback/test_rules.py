"""What trains without a person's look, what waits, what never trains; and how little any one source may move."""

from __future__ import annotations

from typing import Any

import pytest

from lingqu.contract import LabelScores
from lingqu.feedback.influence import Offer, within_caps
from lingqu.feedback.round import spoken, window
from lingqu.feedback.rules import judge
from lingqu.feedback.suspects import suspected
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


def test_pictures_that_were_not_kept_are_no_equal_rows_however_large():
    photo = {"photo": {"$omitted": 190}}
    given = [voice("1", "anna", "spam", input=photo), voice("2", "ben", "ham", input=photo)]
    assert given[0].asked != given[1].asked
    assert "another label" not in " ".join(why for _, why in ruled(given).values())
    same = [voice(id, whose, "spam", input=photo, prediction_id="p") for id, whose in (("1", "anna"), ("2", "ben"))]
    assert same[0].asked == same[1].asked, "they speak of one answer"


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


def test_what_the_champion_learned_is_no_news_and_the_newest_come_first():
    settled = [Offer(f"old{n}", "mallory", n, "spam" if n % 2 else "ham", False, settled=True) for n in range(60)]
    new = [Offer(f"new{n}", f"user{n % 40}", 100 + n, "spam" if n % 2 else "ham", False) for n in range(400)]
    taken, left = within_caps([*settled, *new], {"spam": 500, "ham": 500})
    assert [offer.id for offer in taken[:60]] == [offer.id for offer in settled]
    # A fifth of the whole: a quarter of the 1,000 base rows and the 60 that are no news.
    assert [offer.id for offer in taken[60:]] == [f"new{n}" for n in range(399, 399 - 265, -1)]
    assert left["new0"] == "cap: 265 rows of feedback beside 1,060 training rows"


def test_a_gate_is_of_today_and_worn_out_when_it_has_spoken():
    assert [window(count, worn) for count, worn in ((150, 0), (260, 0), (260, 100), (260, 260))] == [0, 60, 100, 260]
    verdicts = [("promote", False), ("keep", False), ("not-enough-rows", False), ("not-enough-rows", True)]
    assert [spoken({"decision": one, "exhausted": spent}) for one, spent in verdicts] == [True, True, False, True]


def test_suspects_are_judged_by_a_model_with_and_without_their_block():
    truth, asked = ["ham", "spam"] * 40, [voice(f"{n}", "mallory", "ham") for n in range(12)]
    good, bad = ([LabelScores.of({one: 0.9, "none": 0.1}) for one in said] for said in (truth, ["ham"] * 80))
    found = suspected(asked, truth, lambda given: bad if given else good)
    assert set(found) == {one.id for one in asked}
    assert suspected(asked, truth, lambda given: good) == {}
    assert suspected(asked[:5], truth, lambda given: bad if given else good) == {}
