"""The network by hand: forward, backward and update in NumPy, nothing hidden. Read this file first.

A network of L layers turns rows x (B, inputs) into scores (B, K):

    forward     a_0 = x,     z_l = a_{l-1} W_l + b_l,     a_l = f(z_l),     scores = z_L
    loss        E = how far scores are from what they should be, one number
    backward    δ_L = ∂E/∂z_L                                how E changes with each score
                ∂E/∂W_l = a_{l-1}ᵀ δ_l,  ∂E/∂b_l = Σ_rows δ_l  what each weight had to do with it
                δ_{l-1} = (δ_l W_lᵀ) ∘ f'(z_{l-1})            handed down through the layer below
    update      W ← W - rate · (some function of ∂E/∂W so far)

Backward is the chain rule, applied from the last layer to the first, so that each layer's δ is computed once. A test
compares it with torch's automatic differentiation to 1e-6, for every activation, loss and optimiser below.

Sources: Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating errors" (also momentum);
He et al. 2015, arXiv 1502.01852 (how weights start); Xu et al. 2015, arXiv 1505.00853 (randomised leaky ReLU);
Kingma and Ba 2015, arXiv 1412.6980 (Adam).

Exclusive or, which no single layer can learn:

>>> x, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])
>>> network = Network.start([2, 8, 2], "tanh", np.random.default_rng(0))
>>> optimiser = Adam(rate=0.05)
>>> for _ in range(100):
...     tape = network.forward(x)
...     loss, slope = cross_entropy(tape.scores, y)
...     optimiser.update(network.weights, network.backward(tape, slope))
>>> network.forward(x).scores.argmax(1).tolist(), round(loss, 2)
([0, 1, 1, 0], 0.0)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional

from lingqu.data.labels import fit_temperature
from lingqu.errors import Problem, UnknownNameError, near
from lingqu.models.closed_form import log_loss
from lingqu.models.dials import Between, OneOf
from lingqu.models.family import Examples, Facts, Family, Fitted, Settings, Tell

if TYPE_CHECKING:
    from lingqu.contract.task import Array

# --- activations: z to f(z) and f'(z), entry by entry ---------------------------------------------------------------

Draw = np.random.Generator
LEAST, MOST = 1 / 8, 1 / 3
"""Between these the randomised leaky ReLU draws its slopes."""


def sigmoid(z: Array, draw: Draw | None = None) -> tuple[Array, Array]:
    """The logistic curve: f = 1 / (1 + e^-z), f' = f (1 - f); far from 0 it is flat and learns little.

    >>> sigmoid(np.array([0.0]))
    (array([0.5]), array([0.25]))
    """
    f = 0.5 * (1 + np.tanh(z / 2))  # the same function, without e^700
    return f, f * (1 - f)


def tanh(z: Array, draw: Draw | None = None) -> tuple[Array, Array]:
    """The hyperbolic tangent: f = tanh z, f' = 1 - f²; centred, so no layer need undo a shift.

    >>> tanh(np.array([0.0]))
    (array([0.]), array([1.]))
    """
    f = np.tanh(z)
    return f, 1 - f**2


def relu(z: Array, draw: Draw | None = None) -> tuple[Array, Array]:
    """The rectifier: f = max(0, z), f' = 1 where z > 0, else 0: never flat above 0; below 0 a unit learns nothing.

    >>> relu(np.array([-2.0, 3.0]))
    (array([0., 3.]), array([0., 1.]))
    """
    slope = (z > 0).astype(z.dtype)
    return np.maximum(z, 0), slope


def rrelu(z: Array, draw: Draw | None = None) -> tuple[Array, Array]:
    """The randomised leaky rectifier: f = z where z > 0, else s z; s is drawn for every entry and step, its mean in use.

    Below 0 there is always some slope to learn by, and its chance keeps units from relying on each other.

    >>> rrelu(np.array([-24.0, 3.0]))
    (array([-5.5,  3. ]), array([0.22916667, 1.        ]))
    """
    leak = np.full_like(z, (LEAST + MOST) / 2) if draw is None else draw.uniform(LEAST, MOST, z.shape)
    slope = np.where(z > 0, 1.0, leak)
    return z * slope, slope


ACTIVATIONS: dict[str, Callable[[Array, Draw | None], tuple[Array, Array]]] = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": relu,
    "rrelu": rrelu,
}

# --- losses: scores and targets to E and ∂E/∂scores -----------------------------------------------------------------


def cross_entropy(scores: Array, targets: Array, weights: Array | None = None) -> tuple[float, Array]:
    """E = Σ_i w_i (-log p_i[y_i]) / Σ w with p = softmax(scores); ∂E/∂scores_i = w_i (p_i - onehot(y_i)) / Σ w.

    Scores (B, K), class indices (B,), row weights (B,). That softmax and logarithm together have the slope p - y is
    why the two belong together: a sure and wrong answer is corrected at full strength, which `squared` would not do.

    >>> loss, slope = cross_entropy(np.zeros((1, 2)), np.array([0]))
    >>> round(loss, 4), slope.tolist()
    (0.6931, [[-0.5, 0.5]])
    """
    w = _shares(len(scores), weights)  # (B,)
    shifted = scores - scores.max(axis=1, keepdims=True)  # softmax does not change, and e^x cannot overflow
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)  # (B, K)
    rows = np.arange(len(scores))
    loss = -(w * (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))[rows, targets]).sum()
    slope = p.copy()
    slope[rows, targets] -= 1
    return float(loss), slope * w[:, None]


def squared(scores: Array, targets: Array, weights: Array | None = None) -> tuple[float, Array]:
    """E = Σ_i w_i |scores_i - y_i|² / (K Σ w); ∂E/∂scores_i = 2 w_i (scores_i - y_i) / (K Σ w).

    Targets are numbers (B,), or class indices (B,) that stand for a 1 at their place and 0 elsewhere.

    >>> squared(np.array([[3.0]]), np.array([1.0]))
    (4.0, array([[4.]]))
    """
    wanted = targets[:, None] if targets.dtype.kind == "f" else np.eye(scores.shape[1])[targets]  # (B, K)
    w = _shares(len(scores), weights)[:, None] / scores.shape[1]
    return float((w * (scores - wanted) ** 2).sum()), 2 * w * (scores - wanted)


def _shares(rows: int, weights: Array | None) -> Array:
    """How much of the mean each row is; they sum to 1."""
    return np.full(rows, 1 / rows) if weights is None else weights / weights.sum()


LOSSES: dict[str, Callable[[Array, Array, Array | None], tuple[float, Array]]] = {
    "cross_entropy": cross_entropy,
    "squared": squared,
}

# --- the network ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tape:
    """What forward leaves for backward: the input of each layer, f' at each hidden z, and the scores."""

    inputs: list[Array]
    slopes: list[Array]
    scores: Array


class Network:
    """Layers of weights; `weights` holds W_1, b_1, W_2, b_2, … with W_l (inputs, outputs) and b_l (outputs,).

    >>> network = Network.start([3, 5, 2], "relu", np.random.default_rng(0))
    >>> [w.shape for w in network.weights], network.forward(np.zeros((4, 3))).scores.shape
    ([(3, 5), (5,), (5, 2), (2,)], (4, 2))
    """

    def __init__(self, weights: Sequence[Array], activation: str) -> None:
        self.weights, self.activation = list(weights), activation

    @classmethod
    def start(cls, widths: Sequence[int], activation: str, draw: Draw) -> Network:
        """Random weights of deviation √(g / inputs), so that a row neither grows nor fades on its way up.

        g is 2 where half of what passes is cut off (He et al. 2015), and 1 else.
        """
        gain = 2.0 if activation in ("relu", "rrelu") else 1.0
        weights = []
        for below, above in pairwise(widths):
            weights += [draw.normal(0, np.sqrt(gain / max(below, 1)), (below, above)), np.zeros(above)]
        return cls(weights, activation)

    def forward(self, x: Array, draw: Draw | None = None) -> Tape:
        """From rows (B, inputs) to scores (B, K); with `draw` as in training, where activations may draw."""
        a, inputs, slopes = x, [], []
        last = len(self.weights) // 2 - 1
        for layer in range(last + 1):
            inputs.append(a)
            z = a @ self.weights[2 * layer] + self.weights[2 * layer + 1]  # z_l = a_{l-1} W_l + b_l
            if layer == last:
                return Tape(inputs, slopes, z)
            a, slope = ACTIVATIONS[self.activation](z, draw)  # a_l = f(z_l)
            slopes.append(slope)  # f'(z_l)
        raise ValueError("a network has at least one layer")

    def backward(self, tape: Tape, delta: Array) -> list[Array]:
        """From ∂E/∂scores (B, K) to ∂E/∂W_1, ∂E/∂b_1, …, in the order of `weights`."""
        gradients: list[Array] = []
        for layer in reversed(range(len(tape.inputs))):
            # Found from the last layer down, so put in front: ∂E/∂W_l = a_{l-1}ᵀ δ_l, ∂E/∂b_l = Σ_rows δ_l.
            gradients = [tape.inputs[layer].T @ delta, delta.sum(axis=0), *gradients]
            if layer > 0:
                delta = (delta @ self.weights[2 * layer].T) * tape.slopes[layer - 1]  # (δ_l W_lᵀ) ∘ f'(z_{l-1})
        return gradients


# --- optimisers: what to do with ∂E/∂W ------------------------------------------------------------------------------


class Optimiser(ABC):
    """Changes weights in place; `rate` is the length of a stride and may be changed between updates."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    @abstractmethod
    def update(self, weights: list[Array], gradients: list[Array]) -> None:
        """One stride."""


class GradientDescent(Optimiser):
    """w ← w - rate · g: straight downhill.

    >>> weights = [np.array([1.0])]
    >>> GradientDescent(rate=0.1).update(weights, [np.array([2.0])]); weights
    [array([0.8])]
    """

    def update(self, weights: list[Array], gradients: list[Array]) -> None:
        for w, g in zip(weights, gradients, strict=True):
            w -= self.rate * g


class Momentum(Optimiser):
    """v ← μ v + g,  w ← w - rate · v: strides that agree add up, those that go back and forth cancel.

    >>> weights, optimiser = [np.array([1.0])], Momentum(rate=0.1)
    >>> for _ in range(2): optimiser.update(weights, [np.array([1.0])])
    >>> weights[0].round(6).tolist()  # 1 - 0.1 · 1 - 0.1 · (0.9 + 1)
    [0.71]
    """

    def __init__(self, rate: float, mu: float = 0.9) -> None:
        super().__init__(rate)
        self.mu, self.speed = mu, list[Any]()

    def update(self, weights: list[Array], gradients: list[Array]) -> None:
        self.speed = self.speed or [np.zeros_like(w) for w in weights]
        for w, g, v in zip(weights, gradients, self.speed, strict=True):
            v *= self.mu
            v += g
            w -= self.rate * v


class Adam(Optimiser):
    """m ← β1 m + (1 - β1) g,  v ← β2 v + (1 - β2) g²,  w ← w - rate · m̂ / (√v̂ + ε): each weight its own stride.

    m̂ = m / (1 - β1^t) and v̂ = v / (1 - β2^t) make up for both having started at 0.

    >>> weights = [np.array([1.0])]
    >>> Adam(rate=0.1).update(weights, [np.array([1e-3])]); weights[0].round(4).tolist()  # however small g is
    [0.9]
    """

    def __init__(self, rate: float, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8) -> None:
        super().__init__(rate)
        self.betas, self.epsilon, self.t = betas, epsilon, 0
        self.first, self.second = list[Any](), list[Any]()

    def update(self, weights: list[Array], gradients: list[Array]) -> None:
        self.first = self.first or [np.zeros_like(w) for w in weights]
        self.second = self.second or [np.zeros_like(w) for w in weights]
        self.t += 1
        slow, slower = (1 - beta**self.t for beta in self.betas)
        for w, g, m, v in zip(weights, gradients, self.first, self.second, strict=True):
            m += (1 - self.betas[0]) * (g - m)
            v += (1 - self.betas[1]) * (g**2 - v)
            w -= self.rate * (m / slow) / (np.sqrt(v / slower) + self.epsilon)


OPTIMISERS: dict[str, type[Optimiser]] = {
    "gradient-descent": GradientDescent,
    "momentum": Momentum,
    "adam": Adam,
    # What the training loop calls them; weights that nothing needs shrink beside the stride, which makes Adam AdamW.
    "sgd": Momentum,
    "adamw": Adam,
}

# --- as a family of lingqu: the same weights as a torch network, which knows the way out ----------------------------

FAR = 8.0
"""Numbers are cut at this many deviations: one wild cell must not throw the whole row off."""

_TORCH: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": functional.relu,
    "rrelu": lambda z: functional.leaky_relu(z, (LEAST + MOST) / 2),
}


class ByHand(nn.Module):
    """The trained layers in torch, behind what turns a front's arrays into rows of numbers.

    A table's row is its numbers (0 where missing), marks of what is missing, and a 0 or 1 for every category; a
    picture's is all its pixels, standardised.

    >>> front = {"name": "table", "numbers": [{}], "cardinalities": [3]}
    >>> network = ByHand(Facts(2, "classification", front), hidden=[4], activation="relu")
    >>> network.rows(numbers=torch.tensor([[float("nan")]]), codes=torch.tensor([[2]])).tolist()
    [[0.0, 1.0, 0.0, 0.0, 1.0]]
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, facts: Facts, *, hidden: Sequence[int], activation: str) -> None:
        super().__init__()
        front = facts.front
        self.activation, self.cardinalities = activation, list(front.get("cardinalities", []))
        if front["name"] == "pixels":
            inputs = front["channels"] * front["height"] * front["width"]
        else:
            inputs = 2 * len(front["numbers"]) + sum(self.cardinalities)
        mean, std = torch.tensor(front.get("mean", [0.0])), torch.tensor(front.get("std", [1.0]))
        self.register_buffer("mean", 255 * mean.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / (255 * std.view(1, -1, 1, 1)), persistent=False)
        widths = [inputs, *hidden, facts.outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def rows(self, numbers: Tensor | None = None, codes: Tensor | None = None, pixels: Tensor | None = None) -> Tensor:
        """The front's arrays as rows of numbers, (B, inputs)."""
        if numbers is None or codes is None:
            if pixels is None:
                raise ValueError("by-hand reads numbers and codes, or pixels")
            return ((pixels.float() - self.mean) * self.scale).flatten(1)
        absent = torch.isnan(numbers)
        filled = torch.where(absent, torch.zeros_like(numbers), numbers).clamp(-FAR, FAR)
        marks = [codes[:, j : j + 1] == torch.arange(size) for j, size in enumerate(self.cardinalities)]
        return torch.cat([filled, *(mark.to(filled.dtype) for mark in (absent, *marks))], dim=1)

    def features(
        self, numbers: Tensor | None = None, codes: Tensor | None = None, pixels: Tensor | None = None
    ) -> Tensor:
        """What the last layer sees, (B, width of the last hidden layer)."""
        a = self.rows(numbers, codes, pixels)
        for layer in self.layers[:-1]:
            a = _TORCH[self.activation](layer(a))
        return a

    def forward(
        self, numbers: Tensor | None = None, codes: Tensor | None = None, pixels: Tensor | None = None
    ) -> Tensor:
        """`numbers` float32 (B, N) and `codes` int64 (B, M), or `pixels` uint8 (B, C, H, W); scores (B, K)."""
        return self.layers[-1](self.features(numbers, codes, pixels))

    def take(self, weights: Sequence[Array]) -> None:
        """W_1, b_1, … become this network's; torch keeps W the other way round."""
        with torch.no_grad():
            for layer, w, b in zip(self.layers, weights[0::2], weights[1::2], strict=True):
                layer.get_parameter("weight").copy_(torch.from_numpy(w.T))
                layer.get_parameter("bias").copy_(torch.from_numpy(b))


def build(facts: Facts, settings: Settings) -> ByHand:
    """The network with nothing learned yet."""
    return ByHand(facts, hidden=settings["hidden"], activation=settings["activation"])


def fit(
    train: Examples, valid: Examples, facts: Facts, settings: Settings, *, seed: int, threads: int, tell: Tell
) -> Fitted:
    """Learns in float64; `stop` is the epoch that validation rows liked best, and given it they are not asked."""
    shipped = build(facts, settings)
    x, valid_x = _rows(shipped, train), _rows(shipped, valid)
    network = Network.start(
        [x.shape[1], *settings["hidden"], facts.outputs], settings["activation"], np.random.default_rng(seed)
    )
    name = settings["optimiser"]
    if name not in OPTIMISERS:
        raise UnknownNameError(Problem("an optimiser that by-hand knows", f"'{name}'", near(name, OPTIMISERS)))
    optimiser = OPTIMISERS[name](settings["learning_rate"])
    weights = _row_weights(train, facts, settings)
    best, stop, kept = np.inf, settings.get("stop", 0), network.weights
    with threadpool_limits(threads):  # in another number of threads sums come in another order
        for epoch in range(1, (stop or settings["epochs"]) + 1):
            # The rate falls in a line to a tenth: long strides first, then the last corner.
            optimiser.rate = settings["learning_rate"] * (1 - 0.9 * (epoch - 1) / settings["epochs"])
            mean = _epoch(network, optimiser, x, train.targets, weights, facts, settings, [seed, epoch])
            if settings.get("stop"):
                kept = network.weights
                continue
            found = _judged(network.forward(valid_x).scores, valid.targets)
            tell(epoch / settings["epochs"], f"epoch {epoch}: loss {mean:.4f}, validation {found:.4f}")
            if found < best:
                best, stop, kept = found, epoch, [w.copy() for w in network.weights]
            if not np.isfinite(found) or epoch - stop >= settings["patience"]:
                break
    shipped.take(kept)
    return Fitted(shipped, {**settings, "stop": max(stop, 1)})


def _epoch(  # noqa: PLR0917
    network: Network,
    optimiser: Optimiser,
    x: Array,
    targets: Array,
    weights: Array | None,
    facts: Facts,
    settings: Settings,
    seed: list[int],
) -> float:
    """Every row once, in an order and with chances that follow from the seed; the mean loss."""
    draw = np.random.default_rng(seed)
    loss_of = LOSSES["cross_entropy" if facts.kind == "classification" else "squared"]
    order, size, total = draw.permutation(len(x)), settings["batch_size"], 0.0
    for start in range(0, len(x), size):
        rows = order[start : start + size]
        tape = network.forward(x[rows], draw)
        loss, slope = loss_of(tape.scores, targets[rows], None if weights is None else weights[rows])
        gradients = network.backward(tape, slope)
        for w in network.weights[0::2]:
            w *= 1 - optimiser.rate * settings["weight_decay"]  # weights that nothing needs shrink; biases do not
        optimiser.update(network.weights, gradients)
        total += loss * len(rows)
    return total / len(x)


def _rows(network: ByHand, part: Examples) -> Array:
    with torch.no_grad():
        arrays: dict[str, Any] = {name: torch.from_numpy(np.asarray(array)) for name, array in part.arrays.items()}
        return network.rows(**arrays).double().numpy()


def _judged(scores: Array, targets: Array) -> float:
    """Validation loss: of labels at the best temperature, which the bundle will have too."""
    if targets.dtype.kind == "f" or not np.isfinite(scores).all():
        return squared(scores, targets.astype(np.float64))[0]
    return log_loss(scores / fit_temperature(scores, targets), targets)


def _row_weights(part: Examples, facts: Facts, settings: Settings) -> Array | None:
    """Rows of rare classes count more, so that all classes count the same; None when nothing was asked."""
    if facts.kind != "classification" or settings.get("class_weights") != "balanced":
        return None
    return 1.0 / np.maximum(np.bincount(part.targets, minlength=facts.outputs), 1)[part.targets]


_SMALL = {
    "hidden": [64],
    "activation": "relu",
    "optimiser": "adam",
    "learning_rate": 0.003,
    "weight_decay": 0.02,
    "batch_size": 64,
    "epochs": 20,
    "patience": 4,
    "least_steps": 200,
}

FAMILY = Family(
    name="by-hand",
    about="A multi-layer perceptron written out in NumPy, forward, backward and update: to be read.",
    fronts={"table": {}, "pixels": {"tiny": {"side": 16}, "small": {"side": 28}}},
    sizes={
        "tiny": {**_SMALL, "hidden": [16], "epochs": 10},
        "small": _SMALL,
        "medium": {**_SMALL, "hidden": [128, 64], "epochs": 30},
        "large": {**_SMALL, "hidden": [256, 128], "epochs": 40},
    },
    build=build,
    fit=fit,
    kinds=("classification", "regression"),
    dials={
        "learning_rate": Between(0.0005, 0.02, log=True),
        "weight_decay": Between(0.001, 0.2, log=True),
        "hidden": OneOf(([16], [64], [128], [128, 64])),
        "activation": OneOf(("relu", "tanh")),
        "epochs": Between(10, 60, log=True, whole=True),
    },
)
