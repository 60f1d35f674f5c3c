"""Three products as numbers: what their users send, in the usual kind and in a new one, encoded once for all seeds.

The encoder is frozen before the product opens and has seen none of its labels: of texts, the hashed n-grams that
lingqu's own models read and their main directions on texts of both kinds; of pictures, the last layer before the head
of a small network that lingqu learned from 16,000 other pictures.
"""

from __future__ import annotations

import io
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.contract import Rows
from lingqu.store.atomic import open_output

Floats = NDArray[np.float32]
DIRECTIONS, SEEN = 192, 2000
"""How many main directions of the n-grams are kept, and from how many rows they are found."""
PICTURES = 16_000
CACHE = Path(__file__).resolve().parents[3] / "build" / "world"


@dataclass(frozen=True, eq=False)
class Product:
    """The rows of a product: features of both kinds, float32 (rows, F), and the true label, int (rows,)."""

    name: str
    title: str
    task: str
    labels: tuple[str, ...]
    usual: Floats
    new: Floats
    truth: NDArray[np.int64]
    mixes: tuple[NDArray[np.float64], NDArray[np.float64]]
    """The share of each label before the first shift and after it."""
    kind: str
    """What the new kind of input is, in words."""


def product(name: str, data: Path) -> Product:
    """One of `PRODUCTS`, encoded, or as it was encoded before."""
    title, task, read, mixes, kind = PRODUCTS[name]
    file = CACHE / f"{name}.npz"
    if not file.is_file():
        arrays = read(data)
        with open_output(file) as held:
            np.savez(held, **arrays)
    with np.load(file) as held:
        usual, new, truth, labels = (held[key] for key in ("usual", "new", "truth", "labels"))
    shares = tuple(np.array(mix) / sum(mix) for mix in mixes)
    return Product(name, title, task, tuple(labels.tolist()), usual, new, truth, (shares[0], shares[1]), kind)


def _table(data: Path, name: str, *parts: str) -> dict[str, list[Any]]:
    import pyarrow.parquet

    read = [pyarrow.parquet.read_table(data / name / f"{part}.parquet").to_pydict() for part in parts]
    return {column: [value for one in read for value in one[column]] for column in read[0] if column in read[-1]}


def _news(data: Path) -> dict[str, Any]:
    rows = _table(data, "ag_news", "train", "train_extra", "test")
    return _texts(rows["text"], np.array(rows["label"]), ["World", "Sports", "Business", "Sci/Tech"], _mistyped)


def _shopping(data: Path) -> dict[str, Any]:
    rows = _table(data, "online_shopping_zh", "train", "test")
    kept = np.random.default_rng(0).permutation(len(rows["text"]))[:45_000]
    place = {label: number for number, label in enumerate(TOPICS)}
    truth = np.array([place[rows["category"][one]] for one in kept])
    return _texts([rows["text"][one] or "" for one in kept], truth, list(TOPICS), _spaced)


def _mistyped(text: str, rng: random.Random) -> str:
    """The first 60 characters, every sixth of them another letter or gone."""
    made = []
    for letter in text[:60]:
        draw = rng.random()
        made.append(letter if draw > 1 / 6 or letter == " " else rng.choice("etaoinshrdlu") if draw > 1 / 12 else "")
    return "".join(made)


def _spaced(text: str, _: random.Random) -> str:
    """The first 20 characters with spaces between them, as those write who do not want to be found."""
    return " ".join(text[:20])


def _texts(
    texts: list[str], truth: NDArray[Any], labels: list[str], change: Callable[[str, random.Random], str]
) -> dict[str, Any]:
    from sklearn.decomposition import TruncatedSVD

    rng = random.Random(0)
    both = [*texts, *(change(text, rng) for text in texts)]
    weights = _ngrams(both)
    count = len(texts)
    seen = np.random.default_rng(1).permutation(count)[:SEEN]
    idf = 1 + np.log((1 + SEEN) / (1 + np.asarray((weights[seen] > 0).sum(0)).ravel()))
    weights = weights.multiply(idf).tocsr()
    length = np.sqrt(np.asarray(weights.multiply(weights).sum(1)).ravel())
    weights = weights.multiply(1 / np.maximum(length, 1e-9)[:, None]).tocsr()
    main = TruncatedSVD(DIRECTIONS, random_state=0, n_iter=3)
    main.fit(weights[np.concatenate([seen, seen + count])])
    found = np.concatenate([main.transform(weights[at : at + 5000]) for at in range(0, len(both), 5000)])
    kept = np.setdiff1d(np.arange(count), seen)
    return {
        "usual": found[kept].astype(np.float32),
        "new": found[kept + count].astype(np.float32),
        "truth": truth[kept],
        "labels": np.array(labels),
    }


def _ngrams(texts: list[str], buckets: int = 1 << 17) -> Any:
    """(1 + log count) of each hashed n-gram, as a sparse matrix."""
    from scipy import sparse

    from lingqu.data.text import encode_ngrams, learn_ngrams

    parts = []
    for at in range(0, len(texts), 2000):
        rows = Rows({"text": texts[at : at + 2000]})
        arrays = encode_ngrams(rows, learn_ngrams(rows, {"buckets": buckets, "chars": [4]}))
        held = arrays["counts"] > 0
        row, _ = np.nonzero(held)
        values = 1 + np.log(arrays["counts"][held])
        parts.append(sparse.csr_matrix((values, (row, arrays["ids"][held])), shape=(len(rows), buckets)))
    return sparse.vstack(parts).tocsr()


def _pictures(data: Path) -> dict[str, Any]:
    from PIL import Image

    rows = _table(data, "cifar10", "train")
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(one)).convert("RGB")) for one in rows["image"]])
    network = _network(Rows({name: values[:PICTURES] for name, values in rows.items()}))
    rest = pixels[PICTURES:]
    usual, new = (_last_layer(network, one) for one in (rest, _negative(rest)))
    middle, spread = usual[:SEEN].mean(0), usual[:SEEN].std(0) + 1e-6
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    return {
        "usual": ((usual - middle) / spread)[SEEN:],
        "new": ((new - middle) / spread)[SEEN:],
        "truth": np.array(rows["label"][PICTURES + SEEN :]),
        "labels": np.array(names),
    }


def _negative(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Negatives, and darker by a third."""
    return ((255 - pixels.astype(np.float32)) * 0.67).astype(np.uint8)


def _network(rows: Rows) -> Any:
    """A small convolutional network, learned by lingqu's own loop."""
    from lingqu.spec import TrainSettings
    from lingqu.store import Store
    from lingqu.tasks import find_task
    from lingqu.train.encoded import Encoded
    from lingqu.train.fit import rebuild
    from lingqu.train.options import TrainOptions

    rows = rows.with_columns({"label": [f"{label}" for label in rows["label"]]})
    parts = rows.take(range(len(rows) - 1000)), rows.take(range(len(rows) - 1000, len(rows)))
    kinds = {"image": "image", "label": "label"}
    encoded = Encoded.of(
        find_task("image-classification"), "cnn", *parts, parts[1], kinds=kinds, size="medium", over={"side": 32}
    )
    options = TrainOptions(**TrainSettings().model_dump(), seconds=400.0)
    with tempfile.TemporaryDirectory() as scratch:
        trained = encoded.learned(
            encoded.dialled("medium"), options, store=Store.open(Path(scratch) / "store"), work=Path(scratch) / "work"
        )
    return rebuild("cnn", trained.settings, encoded.facts, trained.weights)


def _last_layer(network: Any, pixels: NDArray[np.uint8]) -> Floats:
    import torch

    with torch.inference_mode():
        parts = [
            network.features(torch.from_numpy(pixels[at : at + 500].transpose(0, 3, 1, 2).copy())).numpy()
            for at in range(0, len(pixels), 500)
        ]
    return np.concatenate(parts)


TOPICS = ("平板", "酒店", "水果", "洗发水", "衣服", "计算机", "书籍", "手机", "蒙牛", "热水器")
PRODUCTS: dict[str, tuple[str, str, Callable[[Path], dict[str, Any]], tuple[list[float], list[float]], str]] = {
    "ag_news": (
        "AG News",
        "text-classification",
        _news,
        ([1, 4, 4, 1], [3.6, 1.4, 1.4, 3.6]),
        "at most 60 characters, one in six mistyped",
    ),
    "online_shopping_zh": (
        "online_shopping_zh (10 kinds of product)",
        "text-classification",
        _shopping,
        ([1, 6, 6, 1, 6, 3, 0.5, 2, 0.5, 0.2], [6, 1, 1, 6, 2, 1, 3, 1, 1.5, 0.2]),
        "at most 20 characters, with spaces between them",
    ),
    "cifar10": (
        "CIFAR-10",
        "image-classification",
        _pictures,
        ([6, 6, 6, 1, 1, 1, 1, 6, 1, 6], [1, 1, 1, 6, 6, 6, 6, 1, 6, 1]),
        "negatives, a third darker",
    ),
}
