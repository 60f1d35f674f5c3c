"""Linear models fitted to the end: logistic regression, margins and ridge regression along a path of strengths.

scikit-learn's solvers do the work; this is the one file that imports it. The strength of the penalty is chosen by the
rows of the validation part, each fit starting from the one before it.

>>> import numpy as np
>>> inputs, targets = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
>>> found = fit_logistic(inputs, targets, inputs, targets, outputs=2, strengths=[1.0, 10.0], threads=1)
>>> found.weights.shape, found.strength
((1, 2), 10.0)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from lingqu.data.label_sets import binary_log_loss, fit_binary_temperature
from lingqu.data.labels import fit_temperature
from lingqu.models.family import Tell

if TYPE_CHECKING:
    from lingqu.contract.task import Array

UNLIKELY = 0.01
"""A row that is of a class with less than this probability is not counted as of it: it would cost time and say nothing."""
NEVER = -30.0
"""The bias of a class that no training row has: e^-30 is as good as never."""


@dataclass(frozen=True, slots=True)
class Line:
    """scores = inputs @ weights + bias; `weights` (F, K), `bias` (K,)."""

    weights: Array
    bias: Array
    strength: float
    loss: float


def quiet(_done: float, _sentence: str) -> None:
    """Tells nobody."""


def fit_logistic(
    inputs: Any,
    targets: Array,
    valid_inputs: Any,
    valid_targets: Array,
    *,
    outputs: int,
    strengths: Sequence[float],
    threads: int,
    balanced: bool = False,
    steps: int = 200,
    tell: Tell = quiet,
) -> Line:
    """Multinomial logistic regression with an L2 penalty, by L-BFGS; dense or CSR inputs.

    Minimises C Σ -log p(y | x) + |W|²/2. `strengths` are the C to try from small (much penalty) to large; the one with
    the lowest log loss on validation rows wins, and the path ends at the first that is worse than the one before.
    """
    model = LogisticRegression(max_iter=steps, tol=1e-5, warm_start=True, class_weight="balanced" if balanced else None)

    def attempt(strength: float) -> tuple[Array, Array]:
        model.set_params(C=strength)
        with warnings.catch_warnings():
            # Stopping after `steps` iterations is a choice, not a fault: the validation rows judge the result.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inputs, targets)
        return _all_classes(model, outputs)

    def loss(weights: Array, bias: Array) -> float:
        return log_loss(np.asarray(valid_inputs @ weights) + bias, valid_targets)

    return _best(attempt, loss, strengths, threads, tell)


def fit_margins(
    inputs: Any,
    targets: Array,
    valid_inputs: Any,
    valid_targets: Array,
    *,
    outputs: int,
    strengths: Sequence[float],
    seed: int,
    threads: int,
    balanced: bool = False,
    scales: Callable[[int], Array] | None = None,
    tell: Tell = quiet,
) -> Line:
    """Each class against the rest by the squared hinge loss; for many sparse inputs, where it beats logistic regression.

    Minimises C Σ max(0, 1 - y f(x))² + |w|²/2 per class with y = ±1, by dual coordinate descent (Hsieh et al. 2008;
    Fan et al. 2008, "LIBLINEAR"): one pass touches each non-zero once, so it is ten times quicker than L-BFGS there. The
    scores become probabilities by the temperature that is fitted later; at its best one the strengths are compared here.

    With `scales` class k sees column f times scales(k)[f], for CSR inputs; the weights given are for inputs as
    they came. Targets are classes (rows,), or how likely each class is (rows, K): a row that is of a class with
    probability p counts p as of it and 1 - p as of another.

    >>> import numpy as np
    >>> inputs, targets = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    >>> line = fit_margins(inputs, targets, inputs, targets, outputs=2, strengths=[1.0], seed=0, threads=1)
    >>> (inputs @ line.weights + line.bias).argmax(1).tolist()
    [0, 0, 1, 1]
    """

    def attempt(strength: float) -> tuple[Array, Array]:
        if scales is None and targets.ndim == 1:
            return _all_classes(_margins(inputs, targets, strength, seed, balanced=balanced), outputs)
        return _class_by_class(inputs, targets, strength, seed, outputs=outputs, balanced=balanced, scales=scales)

    def loss(weights: Array, bias: Array) -> float:
        scores = np.asarray(valid_inputs @ weights) + bias
        return log_loss(scores / fit_temperature(scores, valid_targets), valid_targets)

    return _best(attempt, loss, strengths, threads, tell)


def _class_by_class(
    inputs: Any,
    targets: Array,
    strength: float,
    seed: int,
    *,
    outputs: int,
    balanced: bool,
    scales: Callable[[int], Array] | None,
) -> tuple[Array, Array]:
    """Weights (F, K) and biases (K,) of each class against the rest, on inputs of its own scale or for soft targets."""
    soft = targets.ndim > 1
    weights, bias = np.zeros((inputs.shape[1], outputs)), np.full(outputs, NEVER)
    present = np.unique(targets.argmax(axis=1) if soft else targets).tolist()
    # Of two classes the second is fitted alone, its scale serving both: the first is its mirror.
    for k in present if len(present) > 2 else present[1:]:
        scale = scales(k) if scales is not None else None
        seen = inputs if scale is None else _scaled(inputs, scale)
        wanted = targets[:, k] if soft else (targets == k).astype(np.int64)
        found, bias[k] = _yes_or_no(seen, wanted, strength, seed, balanced=balanced)
        weights[:, k] = found if scale is None else found * scale
    if len(present) == 2:
        weights[:, present[1]], bias[present[1]] = weights[:, present[1]] / 2, bias[present[1]] / 2
        weights[:, present[0]], bias[present[0]] = -weights[:, present[1]], -bias[present[1]]
    return weights, bias


def _margins(
    inputs: Any, labels: Array, strength: float, seed: int, *, balanced: bool, weights: Array | None = None
) -> LinearSVC:
    """Each class against the rest, fitted; `weights` (rows,) say how much a row counts."""
    model = LinearSVC(C=strength, tol=1e-3, random_state=seed, class_weight="balanced" if balanced else None)
    model.set_params(dual=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, labels, sample_weight=weights)
    return model


def _yes_or_no(inputs: Any, wanted: Array, strength: float, seed: int, *, balanced: bool) -> tuple[Array, float]:
    """Weights (F,) and bias of one question; `wanted` (rows,) is 0 or 1, or how likely yes is.

    >>> import numpy as np
    >>> inputs = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> _, unsure = _yes_or_no(inputs, np.array([0.4, 0.5, 0.5, 0.6]), 1.0, 0, balanced=False)
    >>> _, sure = _yes_or_no(inputs, np.array([0, 0, 1, 1]), 1.0, 0, balanced=False)
    >>> abs(unsure) < 0.3 < abs(sure)
    True
    """
    labels, weights = wanted.astype(np.int64), None
    if (labels != wanted).any():
        yes, no = (np.flatnonzero(part > UNLIKELY) for part in (wanted, 1 - wanted))
        both = [inputs[yes], inputs[no]]
        inputs = sparse.vstack(both, format="csr") if sparse.issparse(inputs) else np.concatenate(both)
        labels = np.repeat([1, 0], [len(yes), len(no)])
        weights = np.concatenate([wanted[yes], 1 - wanted[no]]).astype(np.float64)
    if labels.min() == labels.max():
        # Nothing to tell apart: always or never.
        return np.zeros(inputs.shape[1]), -NEVER if labels[0] else NEVER
    model = _margins(inputs, labels, strength, seed, balanced=balanced, weights=weights)
    return model.coef_[0], float(np.ravel(model.intercept_)[0])


def _scaled(inputs: Any, scale: Array) -> Any:
    """CSR inputs with each column times its scale."""
    found = inputs.copy()
    found.data = (found.data * scale[found.indices]).astype(found.data.dtype)
    return found


def fit_each_margin(
    inputs: Any,
    targets: Array,
    valid_inputs: Any,
    valid_targets: Array,
    *,
    strengths: Sequence[float],
    seed: int,
    threads: int,
    balanced: bool = False,
    tell: Tell = quiet,
) -> Line:
    """Each label, yes or no, by the squared hinge loss of `fit_margins`; targets 0 or 1 (rows, K), any number of ones,
    or how likely each label is.

    When `balanced`, the yes of a label counts in all as much as its no.
    The strengths are compared by the binary log loss at the best temperature of each; one strength for all labels.

    >>> import numpy as np
    >>> inputs, targets = np.eye(3), np.array([[1, 0], [1, 1], [0, 1]])
    >>> line = fit_each_margin(inputs, targets, inputs, targets, strengths=[1.0], seed=0, threads=1)
    >>> (inputs @ line.weights + line.bias > 0).astype(int).tolist()
    [[1, 0], [1, 1], [0, 1]]
    """

    def attempt(strength: float) -> tuple[Array, Array]:
        weights, bias = np.zeros((inputs.shape[1], targets.shape[1])), np.full(targets.shape[1], NEVER)
        for label in range(targets.shape[1]):
            weights[:, label], bias[label] = _yes_or_no(inputs, targets[:, label], strength, seed, balanced=balanced)
        return weights, bias

    def loss(weights: Array, bias: Array) -> float:
        scores = np.asarray(valid_inputs @ weights) + bias
        return binary_log_loss(scores / fit_binary_temperature(scores, valid_targets), valid_targets)

    return _best(attempt, loss, strengths, threads, tell)


def fit_ridge(
    inputs: Any,
    targets: Array,
    valid_inputs: Any,
    valid_targets: Array,
    *,
    strengths: Sequence[float],
    threads: int,
    tell: Tell = quiet,
) -> Line:
    """Ridge regression (Hoerl and Kennard 1970): minimises Σ (y - xW - b)² + |W|²/C; the best C on validation rows wins.

    >>> import numpy as np
    >>> inputs = np.array([[0.0], [1.0], [2.0]])
    >>> found = fit_ridge(inputs, np.array([1.0, 3.0, 5.0]), inputs, np.array([1.0, 3.0, 5.0]), strengths=[1e6], threads=1)
    >>> found.weights.round(3).tolist(), found.bias.round(3).tolist()
    ([[2.0]], [1.0])
    """

    def attempt(strength: float) -> tuple[Array, Array]:
        model = Ridge(alpha=1.0 / strength, tol=1e-6).fit(inputs, targets)
        return np.reshape(model.coef_, (-1, 1)), np.reshape(model.intercept_, (1,))

    def loss(weights: Array, bias: Array) -> float:
        return float(np.mean((np.asarray(valid_inputs @ weights)[:, 0] + bias[0] - valid_targets) ** 2))

    return _best(attempt, loss, strengths, threads, tell)


def by_folds(
    loss_of: Callable[[Any, Array, Any, Array, float], float],
    inputs: Any,
    targets: Array,
    strengths: Sequence[float],
    *,
    seed: int,
    folds: int = 5,
) -> float:
    """The strength with the lowest loss over left-out folds of the training rows (Stone 1974, cross-validation).

    For few rows: a handful of validation rows would choose by luck.

    >>> import numpy as np
    >>> by_folds(lambda a, b, c, d, strength: abs(strength - 3), np.zeros((9, 1)), np.zeros(9), [1.0, 3.0, 9.0], seed=0)
    3.0
    """
    fold = np.random.default_rng(seed).permutation(len(targets)) % folds
    parts = [(np.flatnonzero(fold != out), np.flatnonzero(fold == out)) for out in range(folds)]

    def loss(strength: float) -> float:
        return sum(
            len(out) * loss_of(inputs[kept], targets[kept], inputs[out], targets[out], strength) for kept, out in parts
        )

    return min(strengths, key=loss)


def _best(
    attempt: Callable[[float], tuple[Array, Array]],
    loss: Callable[[Array, Array], float],
    strengths: Sequence[float],
    threads: int,
    tell: Tell,
) -> Line:
    best: Line | None = None
    # BLAS sums in another order with another number of threads; pinned, the same rows give the same bits.
    with threadpool_limits(threads):
        for number, strength in enumerate(strengths, 1):
            weights, bias = attempt(strength)
            found = Line(weights, bias, strength, loss(weights, bias))
            tell(number / len(strengths), f"penalty 1/{strength:g}: validation loss {found.loss:.4f}")
            if best is not None and found.loss >= best.loss:
                break
            best = found
    if best is None:
        raise ValueError("at least one strength is needed")
    return best


def _all_classes(model: LogisticRegression | LinearSVC, outputs: int) -> tuple[Array, Array]:
    """Weights (F, K) and bias (K,) for all classes, also for those that the training rows lack."""
    found, bias = model.coef_, np.asarray(model.intercept_)
    if len(model.classes_) == 2:
        # scikit-learn keeps one score z for two classes; softmax([-z/2, z/2]) gives its sigmoid.
        found, bias = np.concatenate([-found, found]) / 2, np.concatenate([-bias, bias]) / 2
    weights = np.zeros((found.shape[1], outputs), found.dtype)
    all_bias = np.full(outputs, NEVER, found.dtype)
    weights[:, model.classes_] = found.T
    all_bias[model.classes_] = bias
    return weights, all_bias


def log_loss(logits: Array, targets: Array) -> float:
    """Mean of -log p(right label).

    >>> round(log_loss(np.zeros((1, 2)), np.array([0])), 4)
    0.6931
    """
    logits = logits.astype(np.float64)
    logits = logits - logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(targets)), targets]
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - chosen))
