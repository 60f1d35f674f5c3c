"""The models that `tools.serving` serves: real runs on made-up texts, a bundle that does nothing, and a peer's head.

Texts are made of words that are one piece each in the encoder's vocabulary, so that a text of n words has n + 2 tokens;
lengths follow Zipf's law, as those of people's messages do: most are short, a few are long.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingqu.loop import run
from lingqu.models.hub import MINILM, find_encoder
from lingqu.registry import Registry
from lingqu.store import Store, write_bytes

TOPICS = {
    "food": [
        "bread",
        "soup",
        "rice",
        "dinner",
        "cheese",
        "salad",
        "fruit",
        "kitchen",
        "cook",
        "sugar",
        "salt",
        "breakfast",
        "lunch",
        "wine",
        "meat",
        "fish",
    ],
    "sport": [
        "match",
        "team",
        "goal",
        "score",
        "player",
        "coach",
        "league",
        "season",
        "tennis",
        "football",
        "race",
        "stadium",
        "win",
        "champion",
        "ball",
        "club",
    ],
}
FEWEST, MOST = 4, 128
SPECIAL = 2
WORDS = 1500


@dataclass(frozen=True)
class Model:
    """A registered model: its project's folder, its name and its newest bundle's folder."""

    folder: Path
    name: str
    bundle: Path


def zipf_lengths(count: int, seed: int) -> list[int]:
    """Numbers of tokens from 4 to 128, the k-th shortest in proportion to 1/k.

    >>> lengths = zipf_lengths(10_000, 0)
    >>> min(lengths), max(lengths), 24 < sum(lengths) / 10_000 < 28
    (4, 128, True)
    """
    sizes = range(FEWEST, MOST + 1)
    return random.Random(seed).choices(sizes, [1 / (size - FEWEST + 1) for size in sizes], k=count)


def texts(count: int, seed: int) -> list[tuple[str, str]]:
    """Texts of Zipf lengths and their labels: three words in ten are of the topic, the rest are any."""
    draw, words = random.Random(seed), _words()
    made = []
    for number, tokens in enumerate(zipf_lengths(count, seed)):
        label = ("food", "sport")[number % 2]
        size = tokens - SPECIAL
        own = max(1, round(0.3 * size))
        chosen = draw.choices(TOPICS[label], k=own) + draw.choices(words, k=size - own)
        draw.shuffle(chosen)
        made.append((" ".join(chosen), label))
    return made


def _words() -> list[str]:
    """Common words of one piece each, by the encoder's own order."""
    pieces = json.loads(find_encoder(MINILM).tokenizer())["model"]["vocab"]
    ordered = sorted(pieces, key=pieces.__getitem__)
    return [piece for piece in ordered if re.fullmatch(r"[a-z]{3,9}", piece)][:WORDS]


def classifier(folder: Path, name: str, lines: str, *, seed: int = 0, rows: int = 600) -> Model:
    """The model of a real run on made-up texts; `lines` of its spec say which. A folder that holds it already is used."""
    if not (folder / "lingqu.yaml").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / "rows.csv", _csv(texts(rows, seed)))
        data = "data: {source: rows.csv, columns: {text: text, label: label}, near_duplicates: false}"
        write_bytes(folder / "lingqu.yaml", f"name: {name}\ntask: text-classification\n{data}\n{lines}\n".encode())
    if not (folder / "bundle.json").exists():
        found = run(folder / "lingqu.yaml")
        write_bytes(folder / "bundle.json", json.dumps({"bundle": found["bundle"]}).encode())
    return Model(folder, name, Path(json.loads((folder / "bundle.json").read_text())["bundle"]))


def second_version(model: Model) -> Model:
    """The same project after a second run on other texts, so that its two versions answer differently."""
    if not (model.folder / "second.json").exists():
        write_bytes(model.folder / "rows.csv", _csv(texts(600, seed=7)))
        found = run(model.folder / "lingqu.yaml")
        write_bytes(model.folder / "second.json", json.dumps({"version": found["version"]}).encode())
    return model


def _csv(rows: list[tuple[str, str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows([("text", "label"), *rows])
    return written.getvalue().encode()


ENCODER = f"model: {MINILM}\ntrain: {{method: head}}\ncompress: {{quantise: int8}}"
NGRAMS = "model: ngram-linear"


def noop(folder: Path) -> Path:
    """A bundle whose network is the identity of one number: all that it costs is the service."""
    from onnx import TensorProto, helper

    from lingqu.bundle.folder import write_folder

    if folder.exists():
        return folder
    graph = helper.make_graph(
        [helper.make_node("Identity", ["numbers"], ["logits"])],
        "noop",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 1])],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    numbers = [{"name": "x", "mean": 0.0, "std": 1.0}]
    memory = {"front": {"name": "table", "numbers": numbers, "categories": []}, "mean": 0.0, "std": 1.0}
    column = {"name": "x", "source": "x", "kind": "number", "missing": False, "low": 0.0, "high": 100.0}
    manifest: dict[str, Any] = {"format": 1, "name": "noop", "task": "tabular-regression", "columns": [column]}
    folder.mkdir(parents=True)
    write_folder(folder, {**manifest, "answer": "number-value"}, network.SerializeToString(), memory)
    return folder


def registered(home: Path, folder: Path) -> Path:
    """A store whose champion is the bundle of this folder, under the folder's name."""
    if not home.exists():
        store = Store.open(home)
        registry, bundle = Registry(store), store.put_folder(folder)
        none: dict[str, Any] = {"metrics": {}, "decision": {}, "lineage": {}, "spec": {}}
        registry.register(folder.name, bundle=bundle, data_version="", run="", task="tabular-regression", **none)
        registry.promote(folder.name, 1, who="serving", why="a measurement")
    return home


def write_head(model: Model) -> Path:
    """The head of the network that the model was exported from, for a peer to put on the same encoder; its folder."""
    from safetensors.torch import save

    from lingqu.train.rung import restore

    folder = model.folder / "head"
    if folder.exists():
        return folder
    store = Store.open(model.folder / ".lingqu")
    version = Registry(store).get(model.name)
    network: Any
    network, memory = restore(store.get_json(version.lineage["report"])["network"], store)
    kept = {"labels": memory["labels"], "taps": network.taps, "max_pieces": memory["front"]["max_pieces"]}
    folder.mkdir()
    write_bytes(folder / "head.safetensors", save(dict(network.head.state_dict())))
    write_bytes(folder / "head.json", json.dumps(kept).encode())
    return folder
