"""HARDENING F6: a twentieth, a tenth, a fifth of all users are trolls who agree on what they lie about.

The world has moved, so that honest labels teach something and a challenger can win: what the trolls bring could ride
along. They are a crowd, each below every cap, and two of them say the same of each ticket, which a rule takes for proof.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lingqu.feedback.add import add_labels
from lingqu.feedback.voice import ACCEPTED, voices
from lingqu.loop import improve, load, run
from lingqu.registry import Registry
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE, Principal
from lingqu.spec.running import ServeSettings
from lingqu.store import Store
from tests.feedback.test_circle import OLD, rows
from tests.feedback.test_poison import SPEC, principal

USERS, HONEST_EACH, TROLLS_EACH = 100, 3, 10
GOLDEN = 2000


def served(folder: Path, seed: int) -> None:
    """A champion that learned before the world moved."""
    folder.mkdir(parents=True)
    lines = ["message,queue", *(f"{row['message']},{row['queue']}" for row in rows(900, seed))]
    (folder / "tickets.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "lingqu.yaml").write_text(SPEC, encoding="utf-8")
    run(folder / "lingqu.yaml", store=Store.open(folder / ".lingqu"))


def true(count: int, seed: int, late: float) -> tuple[list[dict[str, str]], list[str]]:
    """Tickets of the world with labels that are true."""
    asked = [{"message": row["message"]} for row in rows(count, seed, late=late)]
    return asked, ["bugs" if set(OLD) & set(row["message"].split()) else "money" for row in asked]


def said_of(store: Store, asked: list[dict[str, str]], whose: list[Principal]) -> list[str]:
    """The ids of the champion's answers to these rows, each asked by one of these."""
    ids, answers = [new_id() for _ in asked], load("router@1", store=store).predict(asked)
    with Journal(store, ServeSettings().journal) as journal:
        for id, row, who, answer in zip(ids, asked, whose, answers, strict=True):
            given = {"text": row["message"]}
            journal.record(Entry(id, "r", time.time(), "router", 1, "champion", who, None, given, answer, 1.0))
    return ids


def audited(store: Store, seed: int) -> None:
    """What trusted labellers say of answers that were drawn: half of the tickets are of the new kind."""
    asked, truth = true(200, 3000 + seed, 0.5)
    ids = said_of(store, asked, [ANYONE] * len(asked))
    labels = [{"prediction_id": id, "queue": queue} for id, queue in zip(ids, truth, strict=True)]
    add_labels(store, "router", labels, who="auditor", target="queue", audit_share=1.0)


def told(store: Store, trolls: int, seed: int) -> None:
    """A week of feedback through the inbox: honest users tell what they see, pairs of trolls call tickets about money bugs."""
    honest, lies = (USERS - trolls) * HONEST_EACH, trolls * TROLLS_EACH // 2
    seen = rows(honest, 1000 + seed, late=0.5)
    aimed = [row for row in rows(lies * 3, 2000 + seed, late=0.5) if row["queue"] == "money"][:lies]
    said = [(row, row["queue"], f"user{place % (USERS - trolls)}") for place, row in enumerate(seen)]
    # Both of a pair ask about the same ticket, so that their labels are of two answers to one row.
    said += [(row, "bugs", f"troll{(2 * place + one) % trolls}") for place, row in enumerate(aimed) for one in (0, 1)]
    random.Random(seed).shuffle(said)
    whose = [principal(who) for *_, who in said]
    inbox, ids = Inbox(store, ServeSettings()), said_of(store, [{"message": row["message"]} for row, *_ in said], whose)
    for id, (_, label, _), who in zip(ids, said, whose, strict=True):
        inbox.receive({"prediction_id": id, "label": label}, who)


def right(store: Store, number: int, seed: int) -> list[float]:
    """How often a version is right on golden rows, of the old words and of the new ones."""
    shares, bundle = [], load(f"router@{number}", store=store)
    for late in (0.0, 1.0):
        asked, truth = true(GOLDEN // 2, 7000 + seed, late)
        found = zip(bundle.predict(asked), truth, strict=True)
        shares.append(float(np.mean([answer.cells()["prediction"] == label for answer, label in found])))
    return shares


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A served model of each seed, made when it is first asked for."""
    return tmp_path_factory.mktemp("worlds")


@pytest.mark.slow
@pytest.mark.parametrize("trolls", [5, 10, 20], ids=["a twentieth", "a tenth", "a fifth"])
def test_trolls_cost_no_point_or_are_blocked(
    trolls: int, worlds: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    bad, drops, gains, caught, lies = [], [], [], 0, 0
    for seed in range(20):
        folder, base = tmp_path / f"{seed}", worlds / f"{seed}"
        if not base.exists():
            served(base, seed)
        shutil.copytree(base, folder)
        store = Store.open(folder / ".lingqu")
        told(store, trolls, seed)
        audited(store, seed)
        improve(folder / "lingqu.yaml", store=store)
        hostile = [voice for voice in voices(store, "router") if voice.principal.startswith("troll")]
        lies += len(hostile)
        caught += sum(voice.status != ACCEPTED for voice in hostile)
        champion = Registry(store).aliases("router")["champion"]
        if champion == 1:
            continue
        before, after = right(store, 1, seed), right(store, champion, seed)
        drops.append(before[0] - after[0])
        gains.append(after[1] - before[1])
        # Neither on all golden rows nor on those that the champion knew.
        if sum(before) - sum(after) > 0.02 or drops[-1] > 0.01:
            bad.append((seed, before, after))
        shutil.rmtree(folder)
    told_of = f"{20 - len(drops)} of 20 blocked, {len(drops)} promoted"
    if drops:
        told_of += f", which cost {100 * max(0.0, *drops):.1f} points at most on golden rows of before and brought "
        told_of += f"{100 * float(np.mean(gains)):+.1f} on those of the new words"
    record_property("measured", f"{told_of}; {caught:,} of {lies:,} lies were held")
    assert bad == []
