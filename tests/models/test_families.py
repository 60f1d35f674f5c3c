"""What every family promises: it learns, it guesses on noise, a row's answer is its own, it leaves torch."""

import io
import subprocess
import sys
import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from training_lab import EVERY, EVERY_NETWORK, FRONTS, arrays_for, facts_for, sooner, train

from lingqu.errors import UnknownNameError
from lingqu.models import FAMILIES, family_names, find_family
from lingqu.models.family import SIZES
from lingqu.train.fit import rebuild


def _tensors(front, rows, seed=0):
    return {name: torch.from_numpy(array) for name, array in arrays_for(front, rows, seed).items()}


def _answers(name, trained, front, rows, *, regression=False, seed=0):
    network = rebuild(name, trained.settings, facts_for(front, 96, regression=regression), trained.weights)
    with torch.no_grad():
        return network(**_tensors(front, rows, seed)).numpy()


@pytest.mark.parametrize("name", sooner("mlp", "ngram-linear", "boosting", all_of=EVERY))
def test_it_learns_and_is_rebuilt(name, tmp_path):
    trained = train(name, tmp_path, threads=1)
    answers = _answers(name, trained, find_family(name).front, 200, seed=3)
    assert answers.shape == (200, 2)
    assert answers.dtype == np.float32
    assert (answers.argmax(1) == np.arange(200) % 2).mean() > 0.9


@pytest.mark.parametrize("name", ["linear", "boosting", "tree", "mlp", "by-hand", "ngram-linear"])
def test_it_learns_numbers(name, tmp_path):
    trained = train(name, tmp_path, regression=True, threads=1)
    answers = _answers(name, trained, find_family(name).front, 200, regression=True, seed=3)
    assert answers.shape == (200, 1)
    assert np.corrcoef(answers[:, 0], np.arange(200) % 2)[0, 1] > 0.8


@pytest.mark.heavy
@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_it_learns_one_batch_by_heart(name, tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, 16)
    settings = {"dropout": 0.0, "smoothing": 0.0, "shift": 0, "weight_decay": 0.0, "least_steps": 150}
    trained = train(name, tmp_path, rows=16, targets=labels, settings=settings, batch_size=16, patience=0, threads=1)
    assert trained.history[-1]["loss"] < 0.01


@pytest.mark.parametrize("name", sooner("logistic", all_of=EVERY))
def test_random_labels_teach_nothing(name, tmp_path):
    """Accuracy on new rows lies within three standard errors of a coin's."""
    labels = np.random.default_rng(7).integers(0, 2, 96)
    trained = train(name, tmp_path, targets=labels, epochs=3, threads=1)
    right = (_answers(name, trained, find_family(name).front, 1000, seed=9).argmax(1) == _coin(1000)).mean()
    assert abs(right - 0.5) < 3 * 0.5 / np.sqrt(1000)


def _coin(rows):
    return np.random.default_rng(11).integers(0, 2, rows)


@pytest.mark.parametrize("name", sooner("cnn", "bilstm", "ngram-linear", all_of=EVERY))
def test_a_batch_equals_its_rows_one_by_one(name, tmp_path):
    front = find_family(name).front
    trained = train(name, tmp_path, epochs=2, threads=1)
    network = rebuild(name, trained.settings, facts_for(front, 96), trained.weights)
    arrays = _tensors(front, 12, seed=4)
    with torch.no_grad():
        together = network(**arrays)
        alone = []
        for row in range(12):
            one = {key: value[row : row + 1] for key, value in arrays.items()}
            if front in ("tokens", "ngrams"):  # alone, a row has no padding at all
                real = int((one["tokens" if front == "tokens" else "ids"] != 0).sum())
                one = {key: value[:, :real] if value.ndim == 2 else value for key, value in one.items()}
            alone.append(network(**one))
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


@pytest.mark.parametrize(
    "name", sooner("logistic", all_of=[name for name in EVERY if name not in {"boosting", "blend"}])
)
def test_it_leaves_torch(name, tmp_path):
    """The exported graph answers as torch does, for other numbers of rows and other lengths than it was traced with."""
    front = find_family(name).front
    trained = train(name, tmp_path, epochs=2, threads=1)
    network = rebuild(name, trained.settings, facts_for(front, 96), trained.weights)
    example = _tensors(front, 3)
    names = list(example)
    ragged = {"tokens": ["tokens"], "ngrams": ["ids", "counts"]}.get(front, [])
    axes = {key: {0: "rows", **({1: "length"} if key in ragged else {})} for key in names}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            kwargs=example,
            f=buffer,
            dynamo=False,
            input_names=names,
            output_names=["logits"],
            dynamic_axes=axes,
            opset_version=18,
        )
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    for rows in (1, 40):
        arrays = arrays_for(front, rows, seed=rows)
        (answers,) = session.run(["logits"], arrays)
        with torch.no_grad():
            expected = network(**{key: torch.from_numpy(value) for key, value in arrays.items()}).numpy()
        assert np.abs(np.asarray(answers) - expected).max() < 1e-4


def test_pictures_can_be_logistic_too():
    family = find_family("logistic")
    assert family.front_for(["pixels"]) == "pixels"
    assert family.front_for(["tokens"]) is None


def test_tables_may_lack_numbers_or_categories(tmp_path):
    for name in ("logistic", "mlp", "boosting"):
        facts = facts_for("table", 96)
        bare = {**FRONTS["table"], "numbers": [], "cardinalities": [4, 3]}
        full = {**FRONTS["table"], "cardinalities": []}
        arrays = _tensors("table", 5)
        family = find_family(name)
        if family.build is None or name == "boosting":
            continue
        network = family.build(_with(facts, bare), family.settings("small")).eval()
        assert network(numbers=arrays["numbers"][:, :0], codes=arrays["codes"]).shape == (5, 2)
        network = family.build(_with(facts, full), family.settings("small")).eval()
        assert network(numbers=arrays["numbers"], codes=arrays["codes"][:, :0]).shape == (5, 2)


def _with(facts, front):
    return type(facts)(facts.outputs, facts.kind, front, facts.rows, facts.class_counts)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_settings(name, size):
    family = find_family(name)
    assert family.name == name
    assert family.settings(size)
    assert isinstance(family.front_settings(size), dict)


def test_unknown_family():
    with pytest.raises(UnknownNameError) as caught:
        find_family("bi-lstm")
    assert str(caught.value) == "Expected a model family that lingqu knows, found 'bi-lstm'. Did you mean 'bilstm'?"


def test_names_cost_no_torch():
    code = "import sys, lingqu.models, lingqu.models.family, lingqu.losses, lingqu.train.options; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
    assert set(FAMILIES) <= set(family_names())
