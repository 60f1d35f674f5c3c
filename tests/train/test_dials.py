"""The dials of the loop: each optimiser learns, averages are kept and judged, parts make a whole, mixes mix."""

import numpy as np
import pytest
import torch
from training_lab import arrays_for, digest, train

from lingqu.errors import UnknownNameError
from lingqu.models.family import Examples
from lingqu.train.averaging import Average
from lingqu.train.batches import sample
from lingqu.train.muon import Muon, orthogonal
from lingqu.train.sgd import SGD

RUN = {"epochs": 3, "batch_size": 16, "threads": 1}


def accuracy(trained, name="mlp", seed=3):
    from training_lab import facts_for

    from lingqu.models import find_family
    from lingqu.train.fit import rebuild

    front = find_family(name).front
    network = rebuild(name, trained.settings, facts_for(front, 96), trained.weights)
    with torch.no_grad():
        answers = network(**{key: torch.from_numpy(value) for key, value in arrays_for(front, 200, seed).items()})
    return (answers.argmax(1).numpy() == np.arange(200) % 2).mean()


@pytest.mark.heavy
@pytest.mark.parametrize(("optimiser", "rate"), [("sgd", 0.05), ("muon", 0.01)])
def test_each_optimiser_learns_and_repeats_itself(optimiser, rate, tmp_path):
    options = {**RUN, "epochs": 6, "optimiser": optimiser, "learning_rate": rate}
    first, second = (train("mlp", tmp_path / str(i), **options) for i in range(2))
    assert digest(first) == digest(second)
    assert accuracy(first) > 0.9
    assert first.settings["optimiser"] == optimiser


def test_an_unknown_optimiser(tmp_path):
    with pytest.raises(UnknownNameError) as caught:
        train("mlp", tmp_path, settings={"optimiser": "adam"}, **RUN)
    assert str(caught.value) == "Expected an optimiser that lingqu knows, found 'adam'. Did you mean 'adamw'?"


@pytest.mark.parametrize("made", [lambda held: SGD(held, decay=0.1), lambda held: Muon(held, decay=0.1)])
def test_what_an_optimiser_remembers_is_all_of_it(made):
    """Restored into a new one, the next stride is the same."""
    torch.manual_seed(0)
    networks = [torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Linear(6, 2)) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    inputs = torch.randn(8, 4)
    first, second = (made(dict(network.named_parameters())) for network in networks)

    def stride(network, optimiser):
        network.zero_grad()
        network(inputs).square().mean().backward()
        optimiser.step(0.1)

    stride(networks[0], first)
    networks[1].load_state_dict(networks[0].state_dict())
    second.restore(first.tensors())
    stride(networks[0], first)
    stride(networks[1], second)
    assert all(torch.equal(a, b) for a, b in zip(*(n.parameters() for n in networks), strict=True))


@pytest.mark.slow  # torch.optim imports torch's compiler, which takes seconds
def test_our_nesterov_is_torchs():
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Linear(5, 3) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    mine = SGD(dict(ours.named_parameters()), decay=0.0)
    reference = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for _ in range(20):
        inputs = torch.randn(8, 5)
        for network in (ours, theirs):
            network.zero_grad()
            network(inputs).square().mean().backward()
        mine.step(0.05)
        reference.step()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_newton_schulz_keeps_directions_and_evens_lengths(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape) @ torch.diag(torch.logspace(0, 1, shape[1]))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    seen = u.T @ orthogonal(matrix) @ v.T  # diagonal where the directions are the same
    assert (seen - seen.diag().diag()).abs().max() < 1e-4
    assert seen.diag().min() > 0.5
    assert seen.diag().max() < 1.3


def test_muon_leaves_heads_embeddings_and_biases_to_adamw():
    shapes = {"embedding.weight": (9, 4), "body.weight": (4, 4), "body.bias": (4,), "head.weight": (2, 4)}
    optimiser = Muon({name: torch.nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}, decay=0.0)
    assert set(optimiser.matrices) == {"body.weight"}
    assert set(optimiser.rest.parameters) == set(shapes) - {"body.weight"}


@pytest.mark.heavy
def test_parts_make_the_whole_batch(tmp_path):
    """Four parts of 4 rows give the strides of one batch of 16, to rounding; no dropout, no norm over the batch."""
    still = {"dropout": 0.0}
    whole = train("mlp", tmp_path / "a", settings=still, **RUN)
    parts = train("mlp", tmp_path / "b", settings=still, **{**RUN, "batch_size": 4}, accumulate=4)
    assert len(whole.history) == len(parts.history) == 3
    for a, b in zip(whole.history, parts.history, strict=True):
        assert a["step"] == b["step"]
        assert abs(a["loss"] - b["loss"]) < 1e-4


def test_no_part_is_a_single_row(tmp_path):
    """Ten rows in batches of four times eight: norms over one row would stop the run."""
    trained = train("resnet", tmp_path, rows=10, epochs=1, batch_size=4, accumulate=8, threads=1)
    assert trained.history[-1]["step"] >= 1


@pytest.mark.heavy
def test_an_average_is_judged_and_kept_in_place_of_the_network(tmp_path):
    plain, mean = (train("mlp", tmp_path / str(ema), ema=ema, **RUN) for ema in (0.0, 0.9))
    assert [line["loss"] for line in plain.history] == [line["loss"] for line in mean.history]
    assert [line["validation"] for line in plain.history] != [line["validation"] for line in mean.history]
    assert any((plain.weights[name] != mean.weights[name]).any() for name in plain.weights)


def test_a_long_average_forgets_the_start():
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    mean = Average(network, 0.5)
    torch.nn.init.ones_(network.weight)
    for step in range(20):
        mean.update(step)
    assert abs(mean.values["weight"].item() - 1) < 1e-5


@pytest.mark.heavy
def test_smoothing_and_schedule_are_the_users(tmp_path):
    usual = train("mlp", tmp_path / "usual", **RUN)
    smoothed = train("mlp", tmp_path / "smoothed", label_smoothing=0.3, **RUN)
    constant = train("mlp", tmp_path / "constant", schedule="constant", **RUN)
    assert smoothed.settings["smoothing"] == 0.3
    assert constant.settings["schedule"] == "constant"
    assert len({digest(trained) for trained in (usual, smoothed, constant)}) == 3


@pytest.mark.heavy
@pytest.mark.parametrize("names", ["none", ["shift"], ["mixup", "cutout"]])
def test_pictures_are_augmented_as_asked(names, tmp_path):
    trained = train("cnn", tmp_path, augment=names, **RUN)
    assert sorted(trained.settings["augment"]) == sorted([] if names == "none" else names)


@pytest.mark.heavy
def test_words_are_augmented_as_asked(tmp_path):
    usual, dropped = (train("bilstm", tmp_path / str(i), augment=a, **RUN) for i, a in enumerate(("auto", ["drop"])))
    assert usual.settings["augment"] == []
    assert digest(usual) != digest(dropped)


def test_many_validation_rows_are_sampled():
    examples = Examples({"numbers": np.arange(100.0)[:, None]}, np.arange(100))
    few, again = (sample(examples, 30, seed=2) for _ in range(2))
    assert few.targets.tolist() == again.targets.tolist() == few.arrays["numbers"][:, 0].tolist()
    assert len(set(few.targets.tolist())) == 30
    assert sample(examples, 100, seed=2) is examples
