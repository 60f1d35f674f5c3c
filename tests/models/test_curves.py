"""The curves of a spline-linear model add up to its scores."""

import numpy as np
import pytest
import torch
from training_lab import arrays_for, facts_for, train

from lingqu.models.linear import PixelLinear, curves
from lingqu.train.fit import rebuild


def test_the_curves_are_the_model(tmp_path):
    front = {
        "name": "table",
        "numbers": [{"name": name, "mean": 5.0, "std": 2.0} for name in ("a", "b", "c")],
        "categories": [{"name": "d", "values": ["x", "y", "z"]}, {"name": "e", "values": ["u", "v"]}],
        "cardinalities": [4, 3],
    }
    trained = train("logistic", tmp_path, threads=1, size="small")
    network = rebuild("logistic", trained.settings, facts_for("table", 96), trained.weights)
    found = curves(network, front, points=601)
    arrays = arrays_for("table", 20, seed=5)
    arrays["numbers"] = np.clip(np.nan_to_num(arrays["numbers"]), -2.99, 2.99)
    scores = network(**{name: torch.from_numpy(array) for name, array in arrays.items()}).detach().numpy()
    for row in range(20):
        total = network.bias.detach().numpy().copy()
        for place, name in enumerate(("a", "b", "c")):
            values, added = found[name]
            wanted = arrays["numbers"][row, place] * 2.0 + 5.0
            total += [np.interp(wanted, values, added[:, k]) for k in range(2)]
        for place, name in enumerate(("d", "e")):
            total += found[name][1][arrays["codes"][row, place]]
        assert np.abs(total - scores[row]).max() < 0.01


def test_pictures_have_no_curves():
    with pytest.raises(ValueError, match=r"^a network of one curve a column is a TableLinear, not a PixelLinear$"):
        curves(PixelLinear((1, 2, 2), [0.5], [0.2], 2), {"numbers": [], "categories": []})
