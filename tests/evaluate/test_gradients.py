"""Integrated gradients: they add up, they are exact for a linear network, and they explain no other network's bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lingqu.bundle.read import Bundle
from lingqu.bundle.write import write_candidate
from lingqu.contract import Front, Rows
from lingqu.data.accept import learn_limits
from lingqu.errors import BundleError, RequestError
from lingqu.evaluate.explain.gradients import explain_by_gradients, integrated_gradients
from lingqu.loop import check, run
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.conftest import Lingqu, as_json, write_csv

pytestmark = pytest.mark.heavy


class Reader(nn.Module):
    """The mean of embedded tokens, bent, and a linear layer."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, 6, padding_idx=0)
        self.layers = nn.Sequential(nn.Tanh(), nn.Linear(6, 2))

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.layers(self.embed(tokens).sum(1) / lengths[:, None])


class Seer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.layers(pixels.float() / 255)


def bundle_of(name: str, front: Front, network_of: type[nn.Module], folder: Path) -> tuple[nn.Module, Bundle, Rows]:
    task = find_task(name)
    rows = task.toy(40)
    memory = task.learn(rows, front)
    torch.manual_seed(1)
    network = network_of(memory["front"]["vocabulary"]) if name.startswith("text") else network_of()
    column = task.columns[0]
    limits = learn_limits(rows, {column.name: column.kind})
    bundle = write_candidate(
        folder / "bundle", task=task, family="own", network=network, memory=memory, columns=limits, rows=rows
    )
    return network, bundle, rows.select([column.name])


def test_weights_of_tokens_add_up_and_name_their_characters(tmp_path: Path) -> None:
    network, bundle, rows = bundle_of("text-classification", Front("tokens", {"vocabulary": 300}), Reader, tmp_path)
    told = integrated_gradients(network, bundle.memory, bundle, rows.take([0]), "food")
    assert told.gap < 0.01 * max(1, abs(told.score - told.baseline))
    assert told.score == pytest.approx(told.bundle_score, abs=1e-3)
    [one] = explain_by_gradients(network, bundle.memory, bundle, rows.take([0]), label="food")
    text = rows["text"][0]
    assert sum(part.weight for part in one.parts) == pytest.approx(told.weights.sum(), abs=1e-5)
    assert all(text[int(part.place[0]) : int(part.place[1])] == part.what for part in one.parts)


def test_of_a_linear_network_they_are_exact(tmp_path: Path) -> None:
    network, bundle, rows = bundle_of("image-classification", Front("pixels", {"side": 16}), Seer, tmp_path)
    told = integrated_gradients(network, bundle.memory, bundle, rows.take([3]), "down", steps=2)
    layer = network.layers[1]  # type: ignore[index]
    slope = (layer.weight[1] - layer.weight[0]).detach().numpy().reshape(1, 8, 8) / 255
    pixels = bundle.task.encode(rows.take([3]), bundle.memory)["pixels"][0].astype(float)
    expected = (pixels - pixels.mean()) * slope / bundle.memory.get("temperature", 1.0)
    assert np.allclose(told.weights, expected, atol=1e-4)
    [one] = explain_by_gradients(network, bundle.memory, bundle, rows.take([3]), label="down")
    assert len(one.parts) == 64


def test_another_network_explains_nothing(tmp_path: Path) -> None:
    network, bundle, rows = bundle_of("image-classification", Front("pixels", {"side": 16}), Seer, tmp_path)
    with torch.no_grad():
        network.layers[1].bias += torch.tensor([5.0, 0.0])  # type: ignore[index]
    with pytest.raises(BundleError) as refused:
        integrated_gradients(network, bundle.memory, bundle, rows.take([0]), "down")
    assert str(refused.value).startswith("Expected a network that scores as its bundle does, found ")
    assert str(refused.value).endswith("Explain it by occlusion, which is the default.")


def test_the_network_comes_from_the_store(tmp_path: Path, lingqu: Lingqu) -> None:
    rows = write_csv(tmp_path / "rows.csv", find_task("text-classification").toy(120))
    spec = {"name": "kinds", "task": "text-classification", "data": {"source": str(rows), "near_duplicates": False},
            "size": "tiny", "model": "textcnn", "train": {"epochs": 1}, "compress": {"quantise": "none"}}  # fmt: skip
    result = run(check(spec), store=Store.open(tmp_path / ".lingqu"))
    name = f"kinds@{result['version']}"
    (tmp_path / "new.csv").write_text("text\nthe soup tastes salty\n")
    found = as_json(lingqu("explain", name, "new.csv", "--method", "gradients", "--json"))
    parts = found["rows"][0]["parts"]
    assert [part["what"] for part in sorted(parts, key=lambda part: part["place"])] == [
        "the",
        "soup",
        "tastes",
        "salty",
    ]
    assert all(part["without"] is None for part in parts)
    assert lingqu("explain", result["bundle"], "new.csv", "--method", "gradients").returncode == 2


def test_what_reads_neither_pixels_nor_tokens_is_refused(bundles: dict[str, Bundle]) -> None:
    rows = find_task("tabular-regression").toy(1)
    with pytest.raises(RequestError) as refused:
        explain_by_gradients(nn.Linear(1, 1), {}, bundles["tabular-regression"], rows)
    assert "Expected a model that answers with labels, found one that answers with a number." in str(refused.value)
