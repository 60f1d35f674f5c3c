"""Naive Bayes ratios: another way to learn the same kind of table, taken where validation rows like it."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.svm import LinearSVC

from lingqu.models import Examples, Facts, find_family
from lingqu.models.closed_form import NEVER, fit_margins
from lingqu.models.ngram_linear import _ratios, _tf_idf

FAMILY = find_family("ngram-linear")


def _texts(rows, classes, seed, *, told=1):
    """Texts of 30 n-grams out of 400, of which a few belong to the class; ids rise and do not repeat."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, rows)
    ids = np.zeros((rows, 30), np.int32)
    for row, label in enumerate(labels):
        own = draw.choice(10, told, replace=False) + 1 + 10 * label
        ids[row] = np.sort([*own, *draw.choice(np.arange(100, 400), 30 - told, replace=False)])
    return {"ids": ids, "counts": np.ones((rows, 30), np.float32)}, labels


def _fit(weightings, classes=2, seed=0):
    (arrays, labels), (valid, wanted) = _texts(150, classes, seed), _texts(300, classes, seed + 1)
    facts = Facts(classes, "classification", {"name": "ngrams", "buckets": 512}, 150, (75, 75))
    settings = {**FAMILY.settings("small"), "weightings": weightings}
    fitted = FAMILY.fit(
        Examples(arrays, labels), Examples(valid, wanted), facts, settings, seed=0, threads=1, tell=lambda *_: None
    )
    with torch.no_grad():
        answers = fitted.network(**{name: torch.from_numpy(a) for name, a in valid.items()}).numpy()
    return fitted.settings["weightings"], (answers.argmax(1) == wanted).mean()


@pytest.mark.parametrize("classes", [2, 3])
def test_ratios_win_where_few_ngrams_tell(classes):
    _, plain = _fit(["plain"], classes)
    chosen, both = _fit(["plain", "ratio"], classes)
    assert chosen == ["ratio"]
    assert both > plain + 0.05


@pytest.mark.parametrize("classes", [2, 3])
def test_the_table_is_the_scaled_fit_as_it_stands(classes):
    """scores = (x ∘ r_k) V_k: computed here from the formula, with scikit-learn on the scaled columns."""
    arrays, labels = _texts(120, classes, seed=3)
    counts = sparse.csr_array((arrays["counts"].ravel(), arrays["ids"].ravel(), np.arange(0, 3601, 30)), (120, 512))
    inputs = _tf_idf(counts, np.arange(512), np.ones(512))
    ratio = _ratios(inputs, labels, classes + 1)
    line = fit_margins(
        inputs, labels, inputs, labels, outputs=classes + 1, strengths=[0.3], seed=0, threads=1, scales=ratio
    )
    scores = inputs @ line.weights + line.bias
    for k in range(1, classes):
        model = LinearSVC(tol=1e-3, random_state=0, C=0.3, dual=True).fit(inputs * ratio(k), labels == k)
        expected = (inputs * ratio(k)) @ model.coef_[0] + model.intercept_[0]
        assert np.allclose(scores[:, k] * (2 if classes == 2 else 1), expected, atol=1e-5)
    assert (line.bias[-1], np.abs(line.weights[:, -1]).max()) == (NEVER, 0)  # a class that no row has
