"""Hostile feedback: five principals flip the labels of one class. They are contained, and what gets through shows."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from lingqu.feedback.voice import ACCEPTED, voices
from lingqu.loop import improve, load, run
from lingqu.registry import Registry
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE, Principal
from lingqu.spec.running import ServeSettings
from lingqu.store import Store
from tests.feedback.test_circle import rows

SYBILS, HONEST = 5, 40
SPEC = (
    "name: router\ntask: text-classification\nmodel: ngram-linear\ndata:\n  source: tickets.csv\n"
    "  columns: {text: message, label: queue}\n"
    "improve: {after: 50 new labels, at_most: 1 per day, promote: auto, shadow: never}\n"
)


def principal(name: str) -> Principal:
    return Principal(name, name, ANYONE.scopes, name)


def poisoned(folder: Path, seed: int, *, flips: int = 85, honest: int = 200) -> tuple[dict[str, object], Store]:
    """A served model, honest and hostile feedback on its answers, and one turn of the circle that may promote."""
    folder.mkdir(parents=True)
    lines = ["message,queue", *(f"{row['message']},{row['queue']}" for row in rows(900, seed))]
    (folder / "tickets.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "lingqu.yaml").write_text(SPEC, encoding="utf-8")
    store = Store.open(folder / ".lingqu")
    run(folder / "lingqu.yaml", store=store)
    bundle, rng = load("router", store=store), random.Random(seed)
    asked = rows(flips * 3 + honest, 1000 + seed)
    answers = bundle.predict([{"message": row["message"]} for row in asked])
    inbox, ids = Inbox(store, ServeSettings()), [new_id() for _ in asked]
    said: list[tuple[str, str, Principal]] = []
    with Journal(store, ServeSettings().journal) as journal:
        for place, (id, row, answer) in enumerate(zip(ids, asked, answers, strict=True)):
            hostile = place >= honest
            if hostile and (row["queue"] != "money" or len(said) >= honest + flips):
                continue
            whose = principal(f"sybil{place % SYBILS}" if hostile else f"user{rng.randrange(HONEST)}")
            told = {"text": row["message"]}
            journal.record(Entry(id, "r", time.time(), "router", 1, "champion", whose, None, told, answer, 1.0))
            said.append((id, "bugs" if hostile else row["queue"], whose))
    for id, label, whose in said:
        inbox.receive({"prediction_id": id, "label": label}, whose)
    return improve(folder / "lingqu.yaml", store=store), store


@pytest.mark.parametrize(
    "seeds", [pytest.param(range(1), marks=pytest.mark.heavy), pytest.param(range(50), marks=pytest.mark.slow)]
)
def test_flipped_labels_of_five_sybils_promote_nothing(seeds, tmp_path):
    caught = told = 0
    for seed in seeds:
        result, store = poisoned(tmp_path / f"{seed}", seed)
        assert Registry(store).alias("router", "champion")[0] == 1, result
        hostile = [voice for voice in voices(store, "router") if voice.principal.startswith("sybil")]
        told += len(hostile)
        caught += sum(voice.status != ACCEPTED for voice in hostile)
    # The rest is held by caps and by the gate; that none of it was promoted is what counts.
    assert caught / told > 0.3, (caught, told)
