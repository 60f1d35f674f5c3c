"""P7: feedback that holds copies of the rows that judge changes nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from lingqu.contract import Rows
from lingqu.data.version import DataVersion
from lingqu.feedback.add import add_labels
from lingqu.feedback.grow import grow
from lingqu.feedback.voice import voices
from lingqu.loop import improve, run
from lingqu.registry import Registry
from lingqu.store import Store, write_bytes
from lingqu.tasks import find_task
from tools.loop.draw import bars
from tools.loop.news import answers, rows_of
from tools.loop.record import Proof, Row, of, percent

ROWS, COPIES = 3000, 250


def prove(data: Path) -> Proof:
    """Train on AG News, offer the gate's own rows as feedback, and see what trains and what is reported."""
    import json

    taken = rows_of(data, "train").take(np.random.default_rng(0).permutation(14_000)[:ROWS].tolist())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = folder / "news.jsonl"
        write_bytes(source, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in taken).encode())
        spec = {
            "name": "news",
            "task": "text-classification",
            "model": "ngram-linear",
            "data": {"source": str(source), "columns": {"text": "text", "label": "label"}},
            "improve": {"promote": "auto"},
        }
        store = Store.open(folder / "store")
        run(spec, store=store)
        task, registry = find_task("text-classification"), Registry(store)
        held = DataVersion.from_dict(store.get_json(registry.get("news@1").lineage["report"])["data"])
        gate, train = held.rows("test", store), held.rows("train", store)
        offered = _disguised([*gate][:COPIES])
        add_labels(store, "news", offered, who="mallory", target="label")
        given = voices(store, "news")
        grown = grow(held, given, task, store)
        shorter = _shorter([*gate][COPIES:])
        other = Store.open(folder / "other")
        add_labels(other, "news", shorter, who="mallory", target="label")
        through = len(grow(held, voices(other, "news"), task, store).joined)
        turn = improve(spec, store=store)
        champion = registry.alias("news", "champion")
        stop = held.rows("validation", store).select(train.names)
        before, leaked = (
            _accuracy(answers(rows.followed_by(stop), gate, stop=len(stop)), gate)
            for rows in (train, train.followed_by(_as_rows(offered, train)))
        )
        # The same rows give the same model: only others have to be learned from.
        same = grown.data.id == held.id
        trained = grown.data.rows("train", store).followed_by(stop)
        after = before if same else _accuracy(answers(trained, gate, stop=len(stop)), gate)
    kinds = len(given)
    rows = [
        Row(
            "copies of gate rows that train, half of them in capitals with a sign behind",
            of(len(grown.joined), kinds),
            "every label trains",
            of(kinds, kinds),
            "0",
            not grown.joined,
        ),
        Row(
            "gate rows with one word taken out that train",
            of(through, len(shorter)),
            "every label trains",
            of(len(shorter), len(shorter)),
        ),
        Row(
            "the data version after the copies",
            "the same" if same else "another",
            goal="the same",
            met=same,
        ),
        Row(
            "`improve` on such feedback alone",
            f"{turn['decision']}: {turn['why']}",
            goal="no challenger",
            met=turn["decision"] == "wait" and champion is not None and champion[0] == 1,
        ),
        Row(
            "accuracy on the gate that such feedback buys",
            f"{100 * (after - before):+.1f} points",
            "every label trains",
            f"{100 * (leaked - before):+.1f} points ({percent(before)} to {percent(leaked)})",
        ),
    ]
    return Proof(
        "P7. Gate rows come back as feedback",
        rows,
        [
            (f"A model of {ROWS:,} AG News rows is trained by `lingqu run` into a store; {COPIES} of its test rows come back "
            "as labels by the owner's own hand, whose word needs no second opinion: half as they are, half in capitals with "
            "a sign behind. Rows that are nearly the same share four fifths of their character sequences or more; the other "
            "gate rows are offered with their sixth word taken out, by which a very short text may pass. What may train is decided by "
            "`lingqu.feedback.grow`; the turn is `lingqu.loop.improve`, whole. Beside it the same recipe learned from the "
            "training rows and all that was offered."),
        ],
        {"loop-leak": bars(
            "Accuracy on gate rows after their copies were offered", ["before", "after"],
            [("lingqu", [before, after]), ("every label trains", [before, leaked])], up="accuracy",
        )},
        "Accuracy on the gate before and after its rows were offered as feedback: unchanged with lingqu, inflated where every label trains.",
        {"joined": len(grown.joined), "offered": kinds, "before": before, "leaked": leaked, "left": _reasons(grown.left)},
    )  # fmt: skip


def _disguised(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Half of the rows as they are, half shouted."""
    shouted = [str(row["text"]).upper() + " !" for row in rows]
    return [
        {"text": shouted[place] if place % 2 else row["text"], "label": row["label"]} for place, row in enumerate(rows)
    ]


def _shorter(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Each row without its sixth word."""
    words = [str(row["text"]).split() for row in rows]
    return [{"text": " ".join(one[:5] + one[6:]), "label": row["label"]} for one, row in zip(words, rows, strict=True)]


def _as_rows(offered: list[dict[str, object]], like: Rows) -> Rows:
    return Rows.from_dicts([{name: row.get(name) for name in like.names} for row in offered])


def _accuracy(given: list, rows: Rows) -> float:
    return float(np.mean([one.label == true for one, true in zip(given, rows["label"], strict=True)]))


def _reasons(left: dict[str, str]) -> dict[str, int]:
    from lingqu.feedback.circle import reasons

    return reasons(left)
