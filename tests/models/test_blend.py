"""The blend of a line and a forest: written as one graph that answers as torch does, for labels and for numbers."""

import numpy as np
import onnxruntime
import pytest
import torch
from training_lab import arrays_for, facts_for, train

from lingqu.bundle.export import to_onnx
from lingqu.train.fit import rebuild


@pytest.mark.parametrize("regression", [False, pytest.param(True, marks=pytest.mark.heavy)])
def test_its_graph_answers_as_torch_does(regression, tmp_path):
    trained = train("blend", tmp_path, regression=regression, threads=1)
    network = rebuild("blend", trained.settings, facts_for("table", 96, regression=regression), trained.weights)
    graph = to_onnx(network, arrays_for("table", 3), "table")
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for rows in (1, 40):
        arrays = arrays_for("table", rows, seed=rows)
        (found,) = session.run(["logits"], arrays)
        with torch.no_grad():
            expected = network(**{name: torch.from_numpy(array) for name, array in arrays.items()}).numpy()
        assert np.abs(np.asarray(found) - expected).max() < 1e-4
        # Neither part is left out.
        assert not np.allclose(expected, network.line(**_tensors(arrays)).detach().numpy(), atol=1e-3)


def _tensors(arrays):
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def test_a_name_never_seen_has_its_neighbours():
    from lingqu.contract import Rows
    from lingqu.data.table import encode_table, learn_table

    rows = Rows({"postcode": ["100", "102", "300", None]})
    memory = learn_table(rows, {"kinds": {"postcode": "category"}, "ordered": True})
    arrays = encode_table(Rows({"postcode": ["101", "100", "N/A"]}), memory)
    assert arrays["codes"][:, 0].tolist() == [0, 1, 0]
    numbers = arrays["numbers"][:, 0]
    assert numbers[1] < numbers[0] < 0
    assert np.isnan(numbers[2])
