"""Heads of attention left out: without a trace where they repeat others, in every encoder, and never where heads differ."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import Bundle
from lingqu.compress.attention import find_heads
from lingqu.compress.graph import Graph
from lingqu.compress.prune import has_heads, prune_heads
from lingqu.compress.steps import compress
from lingqu.contract import Front, Rows
from lingqu.spec import CompressSettings
from lingqu.tasks import find_task
from tests.compress.conftest import Learned

pytestmark = pytest.mark.heavy

TEXT = find_task("text-classification")
WIDTH, HEADS, EACH = 32, 4, 8


def attention(folder: Path, *, distinct: int = HEADS) -> Bundle:
    """A Transformer of two layers and four heads, of which only some differ, with random weights."""
    import torch

    from lingqu.bundle.export import to_onnx
    from lingqu.models.transformer import Transformer

    memory = TEXT.learn(TEXT.toy(60), Front("tokens", {"vocabulary": 200, "max_tokens": 32}))
    memory |= {"temperature": 1.0}
    torch.manual_seed(0)
    network = Transformer(400, TEXT.outputs(memory), width=WIDTH, heads=HEADS, layers=2, dropout=0.0)
    same = (np.arange(HEADS) % distinct)[:, None] * EACH + np.arange(EACH)
    with torch.no_grad():
        blocks: list[Any] = [*network.blocks]
        for block in blocks:
            for layer in (block.attention.query, block.attention.key, block.attention.value):
                torch.nn.init.normal_(layer.weight, std=0.4)
                torch.nn.init.normal_(layer.bias, std=0.4)
                layer.weight.copy_(layer.weight[same.ravel()])
                layer.bias.copy_(layer.bias[same.ravel()])
    model = to_onnx(network, TEXT.encode(TEXT.toy(2), memory), "tokens")
    return write_folder(folder, manifest(), model, memory)


def manifest() -> dict[str, Any]:
    return {
        "format": 1,
        "task": TEXT.name,
        "family": "transformer",
        "columns": [{"name": "text", "source": "text", "kind": "text", "missing": False}],
        "target": {"name": "label", "kind": "label"},
        "answer": "label-scores",
    }


def test_heads_that_repeat_others_go_without_a_trace(tmp_path: Path) -> None:
    bundle, rows = attention(tmp_path / "all", distinct=2), TEXT.toy(120)
    found = [*find_heads(Graph.of(bundle), bundle, rows)]
    assert [(one.units, one.block, len(one.along)) for one in found] == [(HEADS, EACH, 6)] * 2
    told = prune_heads(bundle, tmp_path / "few", share=0.5, train=rows, valid=rows)
    assert told.kept, told.why
    assert told.method == "prune heads"
    assert told.why.endswith("; 4 of 8 heads of attention in 2 layers left out")
    few = Bundle.open(tmp_path / "few")
    assert [one.units for one in find_heads(Graph.of(few), few, rows)] == [2, 2]
    before, after = (one.outputs(rows)["logits"] for one in (bundle, few))
    assert np.abs(before - after).max() < 0.02 * before.std()
    # Rows of other lengths, and one alone, go through the shapes that were written anew.
    odd = Rows({"text": ["ball", "the soup was salty and cold " * 4]})
    gap = np.abs(few.outputs(odd)["logits"] - bundle.outputs(odd)["logits"]).max()
    assert gap < 0.05 * before.std()


def test_a_head_that_is_needed_is_seen(tmp_path: Path) -> None:
    bundle, rows = attention(tmp_path / "all"), TEXT.toy(120)
    said = [answer.label for answer in bundle.predict(rows.select(["text"]))]  # type: ignore[union-attr]
    assert len(set(said)) > 1
    rows = rows.with_columns({"label": said})
    kept = [
        prune_heads(bundle, tmp_path / f"{share}", share=share, train=rows, valid=rows).kept for share in (0.75, 0.1)
    ]
    # Three of four heads with nothing in common cannot be made good; a tenth of four is none.
    assert kept == [False, False]


def biased(bundle: Bundle, folder: Path, value: np.ndarray[Any, Any]) -> Bundle:
    """The same with something added to the scores of the first layer."""
    model = onnx.load(bundle.path / "model.onnx")
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), "position-bias"))
    place = [*model.graph.node].index(softmax)
    model.graph.node.insert(place, helper.make_node("Add", [softmax.input[0], "position-bias"], ["biased"]))
    softmax.input[0] = "biased"
    return write_folder(folder, manifest(), model.SerializeToString(), dict(bundle.memory))


def test_heads_with_a_bias_of_their_own_stay(tmp_path: Path) -> None:
    bundle, rows = attention(tmp_path / "all", distinct=2), TEXT.toy(20)
    own = biased(bundle, tmp_path / "own", np.linspace(-1, 1, HEADS).reshape(1, HEADS, 1, 1))
    assert len([*find_heads(Graph.of(own), own, rows)]) == 1
    shared = biased(bundle, tmp_path / "shared", np.ones((1, 1, 1, 1)))
    assert len([*find_heads(Graph.of(shared), shared, rows)]) == 2


def test_it_is_a_step_of_its_own(learned: Learned, tmp_path: Path) -> None:
    bundle, rows = learned("text-classification", "transformer")
    asked = CompressSettings(prune=0.5, quantise="none", vocabulary="none")
    _, steps = compress(bundle, asked, tmp_path, train=rows, valid=rows)
    names = [step.method for step in steps]
    assert names[0] == "prune heads"
    assert names[-1] == "prune"
    plain, rows = learned("tabular-regression", "mlp")
    assert not has_heads(plain)
    _, steps = compress(plain, asked, tmp_path, train=rows, valid=rows)
    assert {step.method for step in steps} == {"prune"}


@pytest.mark.parametrize("body", ["bert", "distilbert", "vit"])
def test_pretrained_encoders_have_heads_to_spare(body: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
    from tiny_encoders import BERT, save_encoder  # pyright: ignore[reportMissingImports]

    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    configs = {
        "bert": BERT,
        "vit": {"model_type": "vit", "image_size": 32, "patch_size": 8, **small},
        "distilbert": {"model_type": "distilbert", "vocab_size": 13, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    }  # fmt: skip
    from tests.conformance import suite

    task = find_task("image-classification" if body == "vit" else "text-classification")
    rows = task.toy(40)
    folder = save_encoder(tmp_path / "encoder", configs[body])
    bundle = suite.learn(task, f"encoder-frozen:{folder}", rows, tmp_path)
    found = [*find_heads(Graph.of(bundle), bundle, rows)]
    assert {(one.units, one.block) for one in found} == {(2, 8)}
    assert len(found) == sum(node.op_type == "Softmax" for node in Graph.of(bundle).nodes)
    told = prune_heads(bundle, tmp_path / "few", share=0.5, train=rows, valid=rows)
    assert told.bytes_after < told.bytes_before
    few = Bundle.open(tmp_path / "few")
    assert {one.units for one in find_heads(Graph.of(few), few, rows)} == {1}
