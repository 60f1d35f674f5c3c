"""What drops a canary: users who mind it, and no one of them or of their keys alone."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from lingqu.contract import Answer, Refusal
from lingqu.feedback import guardrails
from lingqu.feedback.rollout import advance
from lingqu.feedback.voice import settle, voices
from lingqu.registry.rollouts import move
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE, Principal
from lingqu.spec.running import ServeSettings
from lingqu.store import Store
from tests.feedback.test_rollout import PLAIN, answered, audited, made, said, spec_of, standing, store  # noqa: F401

# ruff: noqa: F811 - a fixture that is imported is named again by each test that takes it


def by_users(
    store: Store, users: Iterable[str | None], answer: Answer, who: Principal = ANYONE, role: str = "canary"
) -> list[str]:
    """What the canary, or the champion, answers to these users of a key."""
    ids = []
    with Journal(store, PLAIN) as journal:
        for user in users:
            ids.append(id := new_id())
            number = 2 if role == "canary" else 1
            told = ("r", time.time(), "echo", number, role, who, user, {"x": 1}, answer, 1.0)
            journal.record(Entry(id, *told))
    return ids


@pytest.mark.parametrize("what", ["complaints", "slow"])
def test_a_canary_that_users_mind_is_dropped(store: Store, what: str) -> None:
    move(store, standing(store), "canary", 0.25, why="better", evidence={})
    ids = answered(store, [1, 1, 1, 2] * 10)
    if what == "complaints":
        inbox = Inbox(store, ServeSettings())
        for place in range(3, 40, 4):
            whose = Principal(f"p{place}", f"p{place}", ANYONE.scopes, "")
            inbox.receive({"prediction_id": ids[place], "rating": 1}, whose)
        # Whoever else asks, for users of its own or for none in particular, takes no voice from the users.
        by_users(
            store, [f"seen {n}" for n in range(8)], said(1), Principal("probe", "probe", ANYONE.scopes, ""), "champion"
        )
        by_users(store, [None] * 42, said(1), Principal("job", "job", ANYONE.scopes, ""), "champion")
        # Who looks through them takes nothing from what they say.
        settle(store, "echo", {voice.id: ("accepted", "so it is") for voice in voices(store, "echo")}, who="anna")
        expected = "10 of 90 answers were the challenger's; 10 of 10 complaints are about it, where 25 % should be"
    else:
        answered(store, [2] * 10, took=90.0)
        expected = "20 of 50 answers were the challenger's; 10 of 20 of its answers took longer than 12 ms"
    told = advance(store, spec_of())
    assert told is not None
    assert (told["decision"], told["why"]) == ("drop", expected)


def test_one_user_is_no_crowd_and_a_reviewer_none_at_all(store: Store) -> None:
    spec, inbox = spec_of(canary=1000), Inbox(store, ServeSettings())
    move(store, standing(store), "canary", 0.25, why="better", evidence={})
    answered(store, [1] * 80)
    by_users(store, ["a clumsy one"] * 9, refusal := Refusal("Expected a number, found none."))
    for place, id in enumerate(by_users(store, ["an angry one"] * 9, said(1))):
        inbox.receive({"prediction_id": id, "rating": 1}, Principal(f"p{place}", f"p{place}", ANYONE.scopes, ""))
    audited(store, answered(store, [2] * 6), right=99)
    told = advance(store, spec)
    assert told is not None
    assert (told["decision"], told["moved"]) == ("canary", False)
    by_users(store, [f"user {place}" for place in range(8)], refusal)
    told = advance(store, spec)
    assert told is not None
    assert told["decision"] == "drop"
    assert (
        told["why"] == "32 of 112 answers were the challenger's; 9 of 9 refusals are about it, where 28.6 % should be"
    )


def test_one_key_that_makes_users_up_drops_nothing(store: Store) -> None:
    inbox, mallory = Inbox(store, ServeSettings()), Principal("mallory", "mallory", ANYONE.scopes, "")
    move(store, standing(store), "canary", 0.25, why="better", evidence={})
    answered(store, [1] * 60)
    by_users(store, [f"broken {n}" for n in range(9)], Refusal("Expected a number, found none."), mallory)
    ids = by_users(store, [f"made up {n}" for n in range(18)], said(1), mallory)
    for id in ids:
        inbox.receive({"prediction_id": id, "rating": 1}, mallory)
    told = advance(store, spec_of(canary=1000))
    assert told is not None
    assert told["decision"] == "canary"
    # Whoever brings them, these complaints are of other users.
    for id in by_users(store, [f"real {n}" for n in range(9)], said(1)):
        inbox.receive({"prediction_id": id, "rating": 1}, mallory)
    told = advance(store, spec_of(canary=1000))
    assert told is not None
    assert (told["decision"], told["why"].split("; ")[1:]) == (
        "drop",
        ["27 of 27 complaints are about it, where 37.5 % should be"],
    )


def test_where_all_answers_are_the_canarys_nothing_is_held_against_it() -> None:
    said = [guardrails.Said("all", True)] * 1000
    assert [*guardrails._blamed("complaints", said, 0.97, "all")] == []
    assert [*guardrails._blamed("complaints", said, 0.9, "all")]


def test_a_canary_gets_its_turn_however_many_answers_are_wanted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardrails, "MOST", 10)
    move(store, standing(store), "canary", 0.05, why="better", evidence={})
    answered(store, [1, 2] * 20)
    told = advance(store, spec_of())
    assert told is not None
    assert (told["moved"], told["rollout"]["share"]) == (True, 0.25)
