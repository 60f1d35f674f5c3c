"""P6: five hostile principals flip the labels of one class, on a whole store, seed by seed."""

from __future__ import annotations

import json
import tempfile
import time
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.contract import Rows
from lingqu.data.version import DataVersion
from lingqu.feedback.voice import ACCEPTED, Voice, voices
from lingqu.registry import Registry
from lingqu.spec import TrainSettings
from lingqu.store import Store, write_bytes
from lingqu.tasks import find_task
from lingqu.train.folds import learned_answers
from tests.feedback.test_circle import rows as tickets
from tests.feedback.test_poison import poisoned
from tools.loop.draw import bars
from tools.loop.record import Proof, Row, of, percent
from tools.loop.world.products import CACHE

SEEDS, LINES = 50, CACHE / "poison.jsonl"


def prove(_: Path, seconds: float = inf) -> Proof:
    """Poison one store a seed, for so many seconds; what was done before is kept."""
    known = [json.loads(line) for line in LINES.read_text("utf-8").splitlines()] if LINES.is_file() else []
    until = time.monotonic() + seconds
    for seed in range(len(known), SEEDS):
        if time.monotonic() > until:
            break
        known.append(_round(seed))
        write_bytes(LINES, "".join(json.dumps(one) + "\n" for one in known).encode())
    count = len(known)
    promoted, fooled = (sum(one[who] for one in known) for who in ("promoted", "naive promoted"))
    caught, hostile, held = (sum(one[what] for one in known) for what in ("caught", "hostile", "held"))
    drops = {who: float(np.mean([one["clean"] - one[who] for one in known])) for who in ("learned", "naive")}
    rule = "every label trains, better on the test rows promotes"
    rows = [
        Row("rounds that promoted", of(promoted, count), rule, of(fooled, count), "0", promoted == 0),
        Row("hostile labels that did not train (recall of the quarantine)", of(caught, hostile), rule, "0 %"),
        Row("share of hostile labels in what did not train (precision)", percent(caught / max(1, held)), rule, "-"),
        Row(
            "accuracy that the poison costs on 400 clean rows, if what trained were served",
            f"{100 * drops['learned']:.1f} points",
            rule,
            f"{100 * drops['naive']:.1f} points",
        ),
    ]
    return Proof(
        "P6. Poisoned feedback",
        rows,
        [
            (f"{count} of {SEEDS} seeds were run. Each is a whole store: `lingqu run` on 900 tickets of two queues, 285 labels "
            "on journalled answers through the service's inbox, of which 85 (30 %) come from five principals who call every "
            "ticket about money a bug, and one `lingqu improve` that may promote. Beside it the same recipe learned from all "
            "that was said. Clean is the same recipe learned from the base rows and the honest labels. That a source is cut "
            "out again, and the next model is that of a world without it, is `tests/feedback/test_forget.py`. The quarantine "
            "does not catch all: caps and the gate hold what it lets through."),
        ],
        {"loop-poison": bars(
            "Accuracy on clean rows that the poison costs", ["points"],
            [("lingqu (not promoted)", [100 * max(0.0, drops["learned"])]), ("every label trains", [100 * max(0.0, drops["naive"])])],
            up="points",
        )},
        "Accuracy lost on clean rows: with what lingqu let train, and where every label trains.",
        {"seeds": count, "rounds": known},
    )  # fmt: skip


def _round(seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        result, store = poisoned(Path(scratch) / "project", seed)
        held = DataVersion.from_dict(store.get_json(Registry(store).get("router@1").lineage["report"])["data"])
        given = voices(store, "router")
        hostile = [voice for voice in given if voice.principal.startswith("sybil")]
        trains = {voice.id for voice in given if voice.status == ACCEPTED}
        honest = [voice for voice in given if voice not in hostile]
        fresh = tickets(400, 5000 + seed)
        asked = Rows({"text": [row["message"] for row in fresh], "label": [row["queue"] for row in fresh]})
        test = held.rows("test", store)
        parts = {
            "clean": honest,
            "learned": [voice for voice in given if voice.id in trains],
            "naive": given,
            "champion": [],
        }
        found = {
            name: _scores(part, held, store, asked=asked, test=test, scratch=scratch) for name, part in parts.items()
        }
    return {
        "seed": seed,
        "promoted": int((registry_champion(result) or 1) != 1),
        "naive promoted": int(found["naive"][1] > found["champion"][1]),
        "hostile": len(hostile),
        "caught": sum(voice.id not in trains for voice in hostile),
        "held": sum(voice.id not in trains for voice in given),
        **{name: round(scores[0], 4) for name, scores in found.items()},
    }


def registry_champion(result: dict[str, object]) -> int | None:
    """The champion's number after a turn."""
    found = result.get("champion")
    return found if isinstance(found, int) else None


def _scores(
    part: list[Voice], held: DataVersion, store: Store, *, asked: Rows, test: Rows, scratch: str
) -> tuple[float, float]:
    """Accuracy on clean rows and on the test rows of a model from the base and these voices."""
    train, stop = (held.rows(split, store).select(["text", "label"]) for split in ("train", "validation"))
    added = Rows({"text": [(v.input or {}).get("text", "") for v in part], "label": [v.label for v in part]})
    both = asked.followed_by(test.select(["text", "label"]))
    with tempfile.TemporaryDirectory(dir=scratch) as work:
        given = learned_answers(
            find_task("text-classification"),
            "ngram-linear",
            train.followed_by(added) if part else train,
            stop,
            both,
            kinds={"text": "text", "label": "label"},
            size="small",
            settings=TrainSettings(),
            seconds=60.0,
            store=store,
            work=Path(work),
            part="poison",
        )
    labels = [str(one.cells()["prediction"]) for one in given]
    right = np.array([one == true for one, true in zip(labels, both["label"], strict=True)])
    return float(right[: len(asked)].mean()), float(right[len(asked) :].mean())
