"""The network by hand against torch's automatic differentiation, and as a learner."""

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from torch.nn import functional
from training_lab import FRONTS, arrays_for

from lingqu.bundle.export import to_onnx
from lingqu.errors import UnknownNameError
from lingqu.models import Examples, Facts
from lingqu.models.by_hand import ACTIVATIONS, FAMILY, LEAST, LOSSES, MOST, OPTIMISERS, Network
from lingqu.train.adamw import AdamW

ROWS = np.random.default_rng(1).normal(size=(12, 5))
LABELS = np.random.default_rng(2).integers(0, 3, 12)
WEIGHTS = np.random.default_rng(3).uniform(0.5, 2, 12)
RATE, STEPS = 0.05, 4


def _torch_forward(weights, activation, draw):
    a = torch.from_numpy(ROWS)
    for layer in range(0, len(weights), 2):
        z = a @ weights[layer] + weights[layer + 1]
        if layer == len(weights) - 2:
            return z
        if activation == "rrelu":
            leak = torch.from_numpy(draw.uniform(LEAST, MOST, tuple(z.shape)))
            a = torch.where(z > 0, z, leak * z)
        else:
            a = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}[activation](z)
    return None


def _torch_loss(loss, scores, weighted):
    if loss == "cross_entropy":
        each = functional.cross_entropy(scores, torch.from_numpy(LABELS), reduction="none")
    else:
        each = (scores - functional.one_hot(torch.from_numpy(LABELS), 3)).square().mean(1)
    return (each * torch.from_numpy(WEIGHTS)).sum() / WEIGHTS.sum() if weighted else each.mean()


def _torch_update(name, weights, memory):
    if name == "adam":
        memory.setdefault("adam", AdamW({str(i): w for i, w in enumerate(weights)}, decay=0.0)).step(RATE)
        return
    with torch.no_grad():
        for number, weight in enumerate(weights):
            stride = weight.grad if name == "gradient-descent" else weight.grad + 0.9 * memory.get(number, 0)
            memory[number] = stride.clone()
            weight -= RATE * stride


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("optimiser", ["gradient-descent", "momentum", "adam"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_step_is_that_of_automatic_differentiation(activation, loss, optimiser, weighted):
    """Losses, gradients and weights of four steps, in float64."""
    network = Network.start([5, 7, 6, 3], activation, np.random.default_rng(0))
    theirs = [torch.nn.Parameter(torch.from_numpy(w.copy())) for w in network.weights]
    ours, memory = OPTIMISERS[optimiser](RATE), {}
    for step in range(STEPS):
        tape = network.forward(ROWS, np.random.default_rng(step))
        value, slope = LOSSES[loss](tape.scores, LABELS, WEIGHTS if weighted else None)
        gradients = network.backward(tape, slope)
        expected = _torch_loss(loss, _torch_forward(theirs, activation, np.random.default_rng(step)), weighted)
        for weight in theirs:
            weight.grad = None
        expected.backward()
        assert abs(value - expected.item()) < 1e-6
        for ours_g, weight in zip(gradients, theirs, strict=True):
            assert np.abs(ours_g - weight.grad.numpy()).max() < 1e-6
        ours.update(network.weights, gradients)
        _torch_update(optimiser, theirs, memory)
        for w, weight in zip(network.weights, theirs, strict=True):
            assert np.abs(w - weight.detach().numpy()).max() < 1e-6


def test_numbers_as_targets():
    scores, wanted = np.array([[1.0], [3.0]]), np.array([2.0, 3.0])
    loss, slope = LOSSES["squared"](scores, wanted, None)
    assert (loss, slope.tolist()) == (0.5, [[-1.0], [0.0]])


def test_pictures_too_and_out_of_torch(tmp_path):
    front = FRONTS["pixels"]
    facts = Facts(2, "classification", front, 64, (48, 16))
    arrays, labels = arrays_for("pixels", 64), np.arange(64) % 2
    part = Examples(arrays, labels)
    settings = {**FAMILY.settings("tiny"), "activation": "rrelu", "class_weights": "balanced", "batch_size": 8}
    fitted = FAMILY.fit(part, part, facts, settings, seed=0, threads=1, tell=lambda *_: None)
    session = InferenceSession(to_onnx(fitted.network, {"pixels": arrays["pixels"][:2]}, "pixels"))
    (answers,) = session.run(["logits"], arrays)
    with torch.no_grad():
        expected = fitted.network(pixels=torch.from_numpy(arrays["pixels"])).numpy()
    assert np.abs(np.asarray(answers) - expected).max() < 1e-5
    assert (expected.argmax(1) == labels).all()


def test_an_optimiser_of_the_loop_that_it_has_not():
    part, facts = Examples(arrays_for("table", 8), np.arange(8) % 2), Facts(2, "classification", FRONTS["table"], 8)
    settings = {**FAMILY.settings("tiny"), "optimiser": "muon"}
    with pytest.raises(UnknownNameError) as caught:
        FAMILY.fit(part, part, facts, settings, seed=0, threads=1, tell=lambda *_: None)
    assert str(caught.value) == (
        "Expected an optimiser that by-hand knows, found 'muon'. Known: adam, adamw, gradient-descent, momentum, sgd."
    )
