"""Tables without unused rows: smaller, the same answers, and unknown words still read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lingqu.bundle.read import Bundle
from lingqu.compress.graph import Graph
from lingqu.compress.quantise import rewritten
from lingqu.compress.steps import again, compress, whole
from lingqu.compress.vocabulary import compacted, has_vocabulary, prune_vocabulary
from lingqu.contract import Rows
from lingqu.errors import BundleError
from lingqu.spec import CompressSettings
from lingqu.tasks import find_task
from tests.compress.conftest import Learned, Pair


@pytest.fixture
def ngrams(learned: Learned) -> Pair:
    return learned("text-classification", "ngram-linear")


def test_zero_rows_go_and_every_answer_stays(ngrams: Pair, tmp_path: Path) -> None:
    found = prune_vocabulary(ngrams.bundle, tmp_path / "short", train=ngrams.rows, valid=ngrams.rows)
    assert (found.kept, found.p, found.loss_after) == (True, 1.0, found.loss_before)
    assert found.bytes_after < found.bytes_before / 10
    short = Bundle.open(tmp_path / "short")
    assert not has_vocabulary(short)
    # Texts of no known word, of none at all, and of both sorts: exact on all, not only on what training saw.
    strange = Rows({"text": ["", "zzz qqq", "灵渠 " + ngrams.rows["text"][0], "a" * 3000]})
    for rows in (ngrams.rows, strange):
        before, after = (one.outputs(rows)["logits"] for one in (ngrams.bundle, short))
        assert np.abs(before - after).max() < 1e-5


@pytest.mark.heavy
def test_tokens_that_no_training_text_has_become_unknown(learned: Learned, tmp_path: Path) -> None:
    bundle, rows = learned("text-classification", "bilstm")
    few = rows.take(range(4))
    short = compacted(bundle, tmp_path / "short", train=few)
    assert isinstance(short, Bundle)
    np.testing.assert_allclose(short.outputs(few)["logits"], bundle.outputs(few)["logits"], atol=1e-6)
    tokens = bundle.task.encode(rows, bundle.memory)["tokens"]
    shortened = short.task.encode(rows, short.memory)["tokens"]
    assert ((shortened == 0) == (tokens == 0)).all()
    seen = np.isin(tokens, bundle.task.encode(few, bundle.memory)["tokens"])
    assert (shortened[~seen & (tokens > 1)] == 1).all()
    assert (~seen).any()


def test_a_vocabulary_that_is_needed_stays(ngrams: Pair, tmp_path: Path) -> None:
    graph = Graph.of(ngrams.bundle)
    graph.put("network.idf", np.ones(1 << 16, np.float32))
    full = rewritten(ngrams.bundle, tmp_path / "full", graph.bytes(), valid=None)
    found = prune_vocabulary(full, tmp_path / "short", train=ngrams.rows, valid=ngrams.rows)
    assert (found.kept, found.why) == (False, "training texts need 100% of the vocabulary")
    assert not (tmp_path / "short").exists()


def test_a_table_of_columns_has_no_vocabulary(learned: Learned) -> None:
    assert not has_vocabulary(learned("tabular-regression", "linear").bundle)


def test_what_was_kept_is_done_again_without_calibration(ngrams: Pair, tmp_path: Path) -> None:
    memory = {**ngrams.bundle.memory, "temperature": 3.25}
    once = Bundle(
        ngrams.bundle.path,
        ngrams.bundle.manifest,
        memory,
        ngrams.bundle.task,
        (ngrams.bundle.path / "model.onnx").read_bytes(),
    )
    done = again(once, ["vocabulary", "int8"], tmp_path, train=ngrams.rows)
    assert done.memory["temperature"] == 3.25
    assert (done.manifest["precision"], has_vocabulary(done)) == ("int8", False)
    assert whole(done.memory)["front"] == ngrams.bundle.memory["front"]
    assert again(once, [], tmp_path, train=ngrams.rows) is once


@pytest.mark.parametrize("kept", ["", "!!", 7, "AAAA", None])
def test_a_hostile_list_of_entries_is_refused(ngrams: Pair, tmp_path: Path, kept: object) -> None:
    from tests.bundle.test_hostile import remember

    short = compacted(ngrams.bundle, tmp_path / "short", train=ngrams.rows)
    assert isinstance(short, Bundle)
    memory = {**short.memory, "front": {**short.memory["front"], "kept": kept}}
    remember(short.path, json.dumps(memory).encode())
    with pytest.raises(BundleError, match=r"^Expected what text-classification remembers in short/encoding\.json"):
        Bundle.open(short.path).predict(find_task("text-classification").toy(4))


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_an_encoder_keeps_the_pieces_that_training_texts_have(kind: str, tmp_path: Path) -> None:
    """Its pieces are numbered from 1, its table from 0, and its padding has a number of its own."""
    import torch

    from lingqu.bundle.write import write_candidate
    from lingqu.contract import Front
    from lingqu.data.accept import learn_limits
    from lingqu.models.pretrained import TextEncoder
    from tests.models.tiny_encoders import BERT, tokenizer

    config = {**BERT, "model_type": kind, "pad_token_id": 1 if kind == "roberta" else 0}
    task, rows = find_task("text-classification"), Rows({"text": ["the soup", "team won"], "label": ["a", "b"]})
    memory = task.learn(rows, Front("pieces", {"tokenizer": tokenizer(), "max_pieces": 16}))
    torch.manual_seed(0)
    network = TextEncoder(config, 2, taps=[2, 4], cut=0)
    limits = learn_limits(rows, {"text": "text"})
    bundle = write_candidate(
        tmp_path / "all", task=task, family=kind, network=network, memory=memory, columns=limits, rows=rows
    )
    assert has_vocabulary(bundle)
    assert not has_vocabulary(bundle, pretrained=False), "it knows words that these texts do not have"
    kept, _ = compress(bundle, CompressSettings(quantise="none"), tmp_path / "steps", train=rows, valid=rows)
    assert kept.path == bundle.path
    short = compacted(bundle, tmp_path / "short", train=rows)
    assert isinstance(short, Bundle), short
    seen = Rows({"text": ["team soup won", "the the"]})
    np.testing.assert_allclose(short.outputs(seen)["logits"], bundle.outputs(seen)["logits"], atol=1e-5)
    unseen = Rows({"text": ["the salty rice"]})
    assert short.task.encode(unseen, short.memory)["pieces"].tolist() == (
        short.task.encode(Rows({"text": ["the zzz zzz"]}), short.memory)["pieces"].tolist()
    )
    assert bundle.outputs(unseen)["logits"].tolist() != short.outputs(unseen)["logits"].tolist()
