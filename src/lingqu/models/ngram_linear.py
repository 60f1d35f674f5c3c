"""Hashed n-grams and one linear layer: the strongest model per second for topic and sentiment.

Each n-gram t of a text weighs w_t = (1 + log count_t) · idf_t, and a text is its weights divided by their length:

    logits = Σ_t w_t W[id_t] / |w| + b,        idf_t = 1 + log((1 + texts) / (1 + texts with t))

W is fitted as it stands ("plain"), or behind what naive Bayes thinks of each n-gram ("ratio"): class k sees its weight
times the logarithm of how much oftener it occurs in texts of that class than in others, so n-grams that tell the
classes apart are cheap to use and the many that do not are dear:

    r_kt = log((1 + texts of k with t) / Σ_t (…)) - log((1 + other texts with t) / Σ_t (…)),     W_tk = r_kt V_tk

The two differ in how they are learned, not in what they are afterwards; validation rows choose. Held-out accuracy on
training rows, plain and ratio: SST-2 sentences 0.814 and 0.811, AG News 0.908 and 0.923, IMDB 0.912 and 0.925, THUCNews
titles 0.872 and 0.867, ChnSentiCorp 0.905 and 0.900. Four characters inside a word tell that "boring" and "boredom" are
kin: without them ratio has 0.799, 0.915 and 0.918 on the three English sets.

Sources: Joachims 1998, "Text Categorization with Support Vector Machines" (TF-IDF and a linear classifier);
Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning" (the hashing trick);
Wang and Manning 2012, "Baselines and Bigrams" (word pairs carry sentiment, margins read them best, log-count ratios).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from lingqu.data.ragged import Ragged, pack
from lingqu.models.closed_form import Line, fit_each_margin, fit_margins, fit_ridge
from lingqu.models.dials import OneOf
from lingqu.models.family import Examples, Facts, Family, Fitted, Settings, Tell

if TYPE_CHECKING:
    from lingqu.contract.task import Array


class NgramLinear(nn.Module):
    """logits = tf-idf(ids, counts) · table + bias.

    >>> network = NgramLinear(buckets=8, outputs=2)
    >>> network(ids=torch.tensor([[3, 0]]), counts=torch.tensor([[1.0, 0.0]])).shape
    torch.Size([1, 2])
    """

    def __init__(self, buckets: int, outputs: int) -> None:
        super().__init__()
        self.idf = nn.Parameter(torch.ones(buckets))  # (V,)
        self.table = nn.Parameter(torch.zeros(buckets, outputs))  # (V, K)
        self.bias = nn.Parameter(torch.zeros(outputs))  # (K,)

    def forward(self, ids: Tensor, counts: Tensor) -> Tensor:
        """`ids` int (B, T) with 0 for padding, `counts` float32 (B, T) with 0 for padding; logits (B, K)."""
        ids = ids.long()
        # A padding's count is 0 and its logarithm is not a number: it is taken of 1 instead, then set to 0.
        tf = (1 + counts.clamp(min=1).log()) * (counts > 0)  # (B, T)
        weights = tf * self.idf[ids]  # (B, T)
        length = weights.square().sum(1, keepdim=True).sqrt().clamp(min=1e-12)  # (B, 1)
        summed = torch.matmul((weights / length).unsqueeze(1), self.table[ids])  # (B, 1, T) · (B, T, K)
        return summed.squeeze(1) + self.bias  # (B, K)


def build(facts: Facts, settings: Settings) -> NgramLinear:
    """The network with nothing learned yet."""
    return NgramLinear(facts.front["buckets"], facts.outputs)


def fit(
    train: Examples, valid: Examples, facts: Facts, settings: Settings, *, seed: int, threads: int, tell: Tell
) -> Fitted:
    """Margins (or ridge regression) on TF-IDF; buckets that fewer than `rare` texts touch are left out."""
    network = build(facts, settings)
    counts = _matrix(train, facts.front["buckets"])
    texts = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero(texts >= min(settings["rare"], max(1, len(train) // 20)))
    idf = 1 + np.log((1 + len(train)) / (1 + texts[kept]))
    inputs = _tf_idf(counts, kept, idf)
    valid_inputs = _tf_idf(_matrix(valid, facts.front["buckets"]), kept, idf)
    told: dict[str, Any] = {"strengths": settings["strengths"], "threads": threads, "tell": tell}
    given = (inputs, train.targets, valid_inputs, valid.targets)
    line, weightings = _line(given, facts, settings, seed=seed, told=told)
    with torch.no_grad():
        network.idf.zero_()
        network.idf[torch.from_numpy(kept)] = torch.from_numpy(idf.astype(np.float32))
        network.table[torch.from_numpy(kept)] = torch.from_numpy(line.weights.astype(np.float32))
        network.bias.copy_(torch.from_numpy(line.bias.astype(np.float32)))
    return Fitted(network, {**settings, "strengths": [line.strength], "weightings": weightings})


def _line(
    given: tuple[Any, Array, Any, Array], facts: Facts, settings: Settings, *, seed: int, told: dict[str, Any]
) -> tuple[Line, Any]:
    """The best line for this kind of target, and the weightings that validation rows chose for classes.

    `given` are the inputs and targets of training rows, then of validation rows.
    """
    inputs, targets, *_ = given
    balanced = settings.get("class_weights") == "balanced"
    if facts.kind == "regression":
        return fit_ridge(*given, **told), settings["weightings"]
    if facts.kind == "multilabel":
        return fit_each_margin(*given, balanced=balanced, seed=seed, **told), settings["weightings"]
    tried = {}
    for name in settings["weightings"]:
        scales = _ratios(inputs, targets, facts.outputs) if name == "ratio" else None
        tried[name] = fit_margins(*given, outputs=facts.outputs, balanced=balanced, scales=scales, seed=seed, **told)
    best = min(tried, key=lambda name: tried[name].loss)
    return tried[best], [best]


def _ratios(inputs: Any, targets: Array, outputs: int) -> Callable[[int], Array]:
    """What gives r_kt of all columns for one class k, (F,), so long that rows keep a length of 1 on average.

    `targets` are classes (rows,), or how likely each is (rows, K): a text then counts as so much of a text.

    >>> rows = sparse.csr_array(np.array([[1.0, 1.0], [1.0, 0.0]]))
    >>> _ratios(rows, np.array([0, 1]), 2)(0).round(3).tolist()  # the second column speaks for class 0
    [-0.708, 0.998]
    """
    there = inputs.copy()
    there.data = np.ones_like(there.data)
    if targets.ndim > 1:
        one_hot = sparse.csr_array(targets.T)
    else:
        one_hot = sparse.csr_array((np.ones(len(targets)), (targets, np.arange(len(targets)))), (outputs, len(targets)))
    texts: Any = one_hot @ there  # (K, F), sparse: texts of each class with each n-gram
    all_texts = np.asarray(there.sum(0)).ravel()  # (F,)
    columns = np.asarray(inputs.multiply(inputs).sum(0)).ravel()  # (F,)

    def ratio(k: int) -> Array:
        # One text more of each kind, so that an n-gram that one kind never had is no certainty.
        own = 1 + texts[[k]].toarray()[0]
        other = 2 + all_texts - own
        found = np.log(own / own.sum()) - np.log(other / other.sum())
        return found / np.sqrt(max((found**2 * columns).sum() / inputs.shape[0], 1e-12))

    return ratio


def _matrix(part: Examples, buckets: int) -> Any:
    """The counts as a sparse matrix (rows, buckets): Ragged already has the layout of CSR."""
    arrays = part.arrays
    if not isinstance(arrays["ids"], Ragged):
        arrays = pack([cast("dict[str, Array]", dict(arrays))], ("ids", "counts"))
    ids, counts = cast(Ragged, arrays["ids"]), cast(Ragged, arrays["counts"])
    return sparse.csr_array((counts.values, ids.values, ids.offsets), shape=(len(part), buckets))


def _tf_idf(counts: Any, kept: Array, idf: Array) -> Any:
    """Rows of unit length over the kept buckets, float32."""
    column = np.full(counts.shape[1], -1, np.int32)
    column[kept] = np.arange(len(kept), dtype=np.int32)
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    chosen = column[counts.indices] >= 0
    row, place = row[chosen], column[counts.indices[chosen]]
    weights = (1 + np.log(counts.data[chosen])) * idf[place]
    length = np.sqrt(np.bincount(row, weights**2, minlength=counts.shape[0]))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=counts.shape[0]))])
    return sparse.csr_array(
        ((weights / length[row]).astype(np.float32), place, offsets.astype(np.int32)),
        shape=(counts.shape[0], len(kept)),
    )


# Sparse inputs of unit length like little penalty; measured on parts of the training rows of five public sets.
_STRENGTHS = [0.1, 0.3, 1.0, 3.0]

FAMILY = Family(
    name="ngram-linear",
    about="Hashed word and character n-grams with a linear layer; any language, seconds to train.",
    fronts={
        "ngrams": {
            "tiny": {"buckets": 1 << 16, "words": [1, 2], "short": [], "chars": []},
            "small": {"buckets": 1 << 19, "words": [1, 2], "short": [3], "chars": [4]},
            "medium": {"buckets": 1 << 20, "words": [1, 2, 3], "short": [], "chars": [4]},
            "large": {"buckets": 1 << 22, "words": [1, 2, 3], "short": [4], "chars": [3, 4, 5]},
        }
    },
    sizes={"small": {"strengths": _STRENGTHS, "rare": 2, "weightings": ["plain", "ratio"]}},
    build=build,
    fit=fit,
    soft=True,
    dials={
        "rare": OneOf((1, 2, 3, 5)),
        "words": OneOf(([1], [1, 2], [1, 2, 3])),
        "short": OneOf(([], [3], [3, 4])),
        "chars": OneOf(([], [4], [3, 4, 5], [2, 3, 4])),
    },
)
