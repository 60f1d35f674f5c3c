"""Measure what `lingqu run` reaches on real data sets, beside scikit-learn on the same rows.

    python -m tools.quality [--data ../shared/data] [NAME …]

Each set is one spec with the default settings and a budget of ten minutes unless another is given, run in a store of its own. Results are kept
as JSON lines in docs/results/quality.jsonl, and docs/results/quality.md is written from all of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.loop import run
from lingqu.store import Store, write_bytes
from lingqu.store.atomic import open_output
from tools.circumstances import circumstances

ROOT = Path(__file__).resolve().parent.parent
LINES = ROOT / "docs" / "results" / "quality.jsonl"
PAGE = ROOT / "docs" / "results" / "quality.md"


@dataclass(frozen=True)
class Set:
    """One data set: its spec's data section, the metric and the value to reach, and the peer."""

    title: str
    task: str
    data: dict[str, Any]
    metric: str
    goal: float
    peer: str = ""
    """words, characters or trees."""
    more: dict[str, Any] = field(default_factory=dict)
    """What the spec says besides."""


def parts(name: str) -> dict[str, str]:
    """The given train and test files of a set."""
    return {"train": f"{name}/train.parquet", "test": f"{name}/test.parquet"}


def text(name: str, title: str, goal: float, peer: str) -> Set:
    """A text classification set with columns text and label."""
    data = {"source": parts(name), "columns": {"text": "text", "label": "label"}}
    return Set(title, "text-classification", data, "accuracy", goal, peer)


SETS = {
    "ag_news": text("ag_news", "AG News", 0.90, "words"),
    "imdb": text("imdb", "IMDB", 0.91, "words"),
    "sst2": Set(
        "SST-2",
        "text-classification",
        {
            "source": {"train": "sst2/train_sentences.parquet", "test": "sst2/test.parquet"},
            "columns": {"text": "text", "label": "label"},
        },
        "accuracy",
        0.87,
        "words",
        {"model": ["ngram-linear", "encoder-full"]},
    ),
    "chnsenticorp_htl": text("chnsenticorp_htl", "ChnSentiCorp", 0.90, "characters"),
    "thucnews_titles": text("thucnews_titles", "THUCNews titles", 0.87, "characters"),
    "online_shopping_zh": text("online_shopping_zh", "online_shopping_zh", 0.93, "characters"),
    "mnist": Set("MNIST", "image-classification", {"source": "mnist/mnist.npz"}, "accuracy", 0.995),
    "cifar10": Set(
        "CIFAR-10",
        "image-classification",
        {"source": parts("cifar10"), "columns": {"image": "image", "label": "label"}},
        "accuracy",
        0.85,
        more={"model": "resnet"},
    ),
    "pneumoniamnist": Set(
        "PneumoniaMNIST", "image-classification", {"source": "pneumoniamnist/pneumoniamnist.npz"}, "accuracy", 0.86
    ),
    "adult": Set(
        "Adult",
        "tabular-classification",
        {"source": parts("adult"), "columns": {"label": "income"}},
        "roc_auc",
        0.926,
        "trees",
    ),
    "german_credit": Set(
        "German credit",
        "tabular-classification",
        {"source": parts("german_credit"), "columns": {"label": "class"}},
        "roc_auc",
        0.78,
        "trees",
    ),
    "credit_default_tw": Set(
        "Credit default",
        "tabular-classification",
        {"source": parts("credit_default_tw"), "columns": {"label": "default"}},
        "roc_auc",
        0.78,
        "trees",
    ),
    "houses_multimodal": Set(
        "Houses (log price)",
        "tabular-regression",
        {"source": parts("houses_multimodal"), "columns": {"target": "log_price"}},
        "r2",
        0.83,
        "trees",
    ),
}


def prepared(name: str, data: Path, scratch: Path) -> dict[str, Any]:
    """The data section with absolute paths; houses get their log price first, and lose what is no table column."""
    section = json.loads(json.dumps(SETS[name].data))
    if name == "houses_multimodal":
        import pyarrow as pa
        import pyarrow.parquet as pq

        for split, path in section["source"].items():
            table = pq.read_table(data / path)
            kept = [c for c in table.column_names if c != "price" and table.schema.field(c).type != pa.binary()]
            price = pa.array(np.log(table["price"].to_numpy()))
            (scratch / split).mkdir()
            with open_output(scratch / split / "rows.parquet") as file:
                pq.write_table(table.select(kept).append_column("log_price", price), file)
            section["source"][split] = str(scratch / split / "rows.parquet")
        return section
    source = section["source"]
    section["source"] = str(data / source) if isinstance(source, str) else {s: str(data / p) for s, p in source.items()}
    return section


def measure(name: str, data: Path, budget: str) -> dict[str, Any]:
    """One set: ours, then the peer on the very same rows."""
    wanted = SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        section = prepared(name, data, Path(folder))
        spec = {"name": name.replace("_", "-"), "task": wanted.task, "data": section, "budget": budget, **wanted.more}
        store = Store.open(Path(folder) / "store")
        started, worked = time.perf_counter(), time.process_time()
        result = run(spec, store=store, tell=_tell)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - worked
        peer = against(wanted, section) if wanted.peer else {}
    found = result["metrics"][wanted.metric]
    return {
        "name": name,
        "title": wanted.title,
        "metric": wanted.metric,
        "goal": wanted.goal,
        "value": found["value"],
        "low": found["low"],
        "high": found["high"],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "budget": budget,
        "chosen": result["chosen"]["recipe"],
        "ladder": [
            {key: rung[key] for key in ("recipe", "value", "seconds", "bytes", "ms_per_row")}
            for rung in result["ladder"]
        ],
        "rows": result["rows"],
        "gate": result["gate"]["decision"],
        **peer,
        **circumstances(),
    }


def against(wanted: Set, section: dict[str, Any]) -> dict[str, Any]:
    """scikit-learn on the same rows: TF-IDF and logistic regression, or histogram gradient boosting."""
    import pyarrow.parquet as pq

    train, test = (pq.read_table(section["source"][split]) for split in ("train", "test"))
    started = time.perf_counter()
    value = _words(wanted, train, test) if wanted.peer != "trees" else _trees(wanted, train, test)
    return {"peer": wanted.peer, "peer_value": value, "peer_seconds": round(time.perf_counter() - started, 1)}


def _words(wanted: Set, train: Any, test: Any) -> float:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    if wanted.peer == "characters":
        features: Any = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2)
    else:
        features = make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=3),
        )
    model = make_pipeline(features, LogisticRegression(C=10, max_iter=1000))
    model.fit(train["text"].to_pylist(), train["label"].to_pylist())
    return float(model.score(test["text"].to_pylist(), test["label"].to_pylist()))


def _trees(wanted: Set, train: Any, test: Any) -> float:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.metrics import r2_score, roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    target = next(iter(wanted.data["columns"].values()))
    names = [name for name in train.column_names if name != target]
    kinds = {name: "category" if "string" in str(train.schema.field(name).type) else "number" for name in names}

    def table(part: Any) -> Any:
        return np.array([part[name].to_pylist() for name in names], dtype=object).T

    words = [place for place, name in enumerate(names) if kinds[name] == "category"]
    numbers = [place for place, name in enumerate(names) if kinds[name] == "number"]
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((encode, words), ("passthrough", numbers))
    regression = wanted.metric == "r2"
    kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    model = make_pipeline(columns, _Floats(), kind(random_state=0))
    model.fit(table(train), train[target].to_pylist())
    if regression:
        return float(r2_score(test[target].to_pylist(), model.predict(table(test))))
    return float(roc_auc_score(test[target].to_pylist(), model.predict_proba(table(test))[:, 1]))


class _Floats:
    """A pipeline step: whatever the columns became, as float64."""

    def fit(self, *_: Any) -> _Floats:
        return self

    def fit_transform(self, table: Any, *_: Any) -> Any:
        return self.transform(table)

    def transform(self, table: Any) -> Any:
        return np.asarray(table, dtype=np.float64)


def write_page(lines: list[dict[str, Any]]) -> None:
    """The table of all sets, from the newest result of each."""
    newest = {line["name"]: line for line in lines}
    out = ["# What a default run reaches", ""]
    out += ["Written by `make quality`; every number is from the shipped bundle on the given test split.", ""]
    out += [
        "| set | metric | goal | lingqu (95 % interval) | seconds | scikit-learn | seconds | models tried: validation score, seconds |"
    ]
    out += ["|---|---|---|---|---|---|---|---|"]
    for name in SETS:
        if name in newest:
            out.append(_row(newest[name]))
    out += [
        "",
        "| set | rows: train, validation, test | budget | CPU seconds | machine | load | commit | date |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in (newest[name] for name in SETS if name in newest):
        rows = ", ".join(f"{line['rows'][split]:,}" for split in ("train", "validation", "test"))
        out.append(
            f"| {line['title']} | {rows} | {line['budget']} | {line.get('cpu_seconds', '-')} | {line['machine']} | {line['load']} | {line['commit']} | {line['date']} |"
        )
    out += [
        "",
        "scikit-learn: TF-IDF of words and characters with logistic regression, or histogram gradient boosting.",
    ]
    out += [
        "Models tried are scored by what decides: F1 for text and images, ROC AUC for tables, RMSE for numbers (less is"
    ]
    out += ["better); the bold one was chosen. A + at a commit: src held changes that were not committed yet."]
    out += ["Seconds are of the whole run (reading to registered version), on a machine that may have been shared; CPU"]
    out += [
        "seconds count the cores' work, whoever else was there. CIFAR-10 was asked for the resnet alone.",
        "",
    ]
    write_bytes(PAGE, "\n".join(out).encode())


def _row(line: dict[str, Any]) -> str:
    goal = SETS[line["name"]].goal  # today's, which may be higher than when the line was measured
    met = "" if line["value"] >= goal else " (missed)"
    peer = f"{line['peer_value']:.4f} | {line['peer_seconds']}" if "peer_value" in line else "- | -"
    tried = "; ".join(
        f"{'**' if rung['recipe'] == line['chosen'] else ''}{rung['recipe']}{'**' if rung['recipe'] == line['chosen'] else ''} "
        f"{rung['value']:.4f}, {rung['seconds']:.0f} s"
        for rung in line["ladder"]
    )
    return (
        f"| {line['title']} | {line['metric']} | {goal}{met} "
        f"| {line['value']:.4f} ({line['low']:.4f} to {line['high']:.4f}) | {line['seconds']} | {peer} | {tried} |"
    )


def _tell(stage: str, done: float, sentence: str) -> None:
    if done >= 1:
        print(f"  {stage}: {sentence}", flush=True)  # noqa: T201


def main() -> None:
    """Measure the named sets, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SETS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--budget", default="10 min", help="how long the ladder may be climbed (default: 10 min)")
    arguments = parser.parse_args()
    warnings.simplefilter("default")
    lines = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    for name in arguments.names or SETS:
        print(name, flush=True)  # noqa: T201
        lines.append(measure(name, arguments.data.absolute(), arguments.budget))
        print(json.dumps(lines[-1]), flush=True)  # noqa: T201
        newest = {line["name"]: line for line in lines}
        write_bytes(LINES, "".join(json.dumps(newest[n]) + "\n" for n in SETS if n in newest).encode())
        write_page(lines)


if __name__ == "__main__":
    main()
