"""Real bundles for the tests of this folder: one linear layer per task, fitted in a second, exported as any other."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lingqu.bundle.read import Bundle
from lingqu.bundle.write import write_candidate
from lingqu.contract import Front, Rows
from lingqu.data.accept import columns_of, learn_limits
from lingqu.tasks import find_task

FRONTS = {
    "text-classification": Front("ngrams", {"buckets": 256, "words": [1], "chars": []}),
    "image-classification": Front("pixels", {"side": 16}),
    "tabular-classification": Front("table", {"kinds": {"income": "number", "job": "category"}}),
    "tabular-regression": Front("table", {"kinds": {"rooms": "number", "town": "category"}}),
}


class Linear(nn.Module):
    """A linear layer on whatever arrays a front gives."""

    def __init__(self, example: dict[str, Any], outputs: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(257, outputs))
        width = sum(a[0].size for name, a in example.items() if name not in ("ids", "counts"))
        self.layer = nn.Linear(max(1, width), outputs)

    def forward(self, **arrays: torch.Tensor) -> torch.Tensor:
        if "ids" in arrays:
            return (self.table[arrays["ids"].long()] * arrays["counts"][..., None]).sum(1) + self.layer.bias
        flat = [array.flatten(1).float() for array in arrays.values()]
        return self.layer(torch.nan_to_num(torch.cat(flat, 1)) / (255 if "pixels" in arrays else 1))


def noisy(task_name: str, rows: int, seed: int, wrong: float = 0.1) -> Rows:
    """Toy rows of a task, some with another row's target, and an extra column to slice by."""
    task, draw = find_task(task_name), random.Random(seed)
    toy = task.toy(rows, seed)
    name = task.target.name
    target = [draw.choice(toy[name]) if draw.random() < wrong else value for value in toy[name]]
    extra = {} if task.takes_features else {"source": [("web", "phone", "letter")[i % 3] for i in range(rows)]}
    return toy.with_columns({name: target, **extra})


def make_bundle(task_name: str, folder: Path, *, steps: int = 60) -> Bundle:
    """A bundle of that task, fitted on its toy rows."""
    torch.manual_seed(0)
    task, rows = find_task(task_name), noisy(task_name, 120, seed=1, wrong=0.05)
    memory = task.learn(rows, FRONTS[task_name])
    arrays, targets = task.encode(rows, memory), torch.from_numpy(task.targets(rows, memory))
    network = Linear(arrays, task.outputs(memory))
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    for _ in range(steps):
        optimiser.zero_grad()
        logits = network(**tensors)
        regression = targets.dtype.is_floating_point
        loss = ((logits[:, 0] - targets) ** 2).mean() if regression else nn.functional.cross_entropy(logits, targets)
        loss.backward()
        optimiser.step()
    kinds = FRONTS[task_name].settings.get("kinds", {column.name: column.kind for column in task.columns})
    limits = learn_limits(rows, columns_of(task, kinds))
    return write_candidate(
        folder, task=task, family="linear", network=network, memory=memory, columns=limits, rows=rows
    )
