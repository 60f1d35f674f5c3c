"""The loop: the same seed gives the same bits, not-a-number is caught, time and patience end it."""

import numpy as np
import pytest
import torch
from training_lab import EVERY, EVERY_NETWORK, arrays_for, digest, facts_for, sooner, train

from lingqu.errors import RequestError, TrainingError, UnknownNameError
from lingqu.models import find_family
from lingqu.train.adamw import AdamW
from lingqu.train.batches import Batches
from lingqu.train.failpoints import Failpoints
from lingqu.train.fit import rebuild
from lingqu.train.schedules import stride

RUN = {"epochs": 3, "batch_size": 16, "threads": 1}


@pytest.mark.parametrize("name", sooner("mlp", "boosting", all_of=EVERY))
def test_the_same_seed_gives_the_same_bits(name, tmp_path):
    first, second = (train(name, tmp_path / str(i), **RUN) for i in range(2))
    assert digest(first) == digest(second)


@pytest.mark.parametrize("name", sooner("mlp", all_of=EVERY_NETWORK))
def test_another_seed_gives_another_network(name, tmp_path):
    assert digest(train(name, tmp_path / "a", **RUN)) != digest(train(name, tmp_path / "b", seed=1, **RUN))


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_threads_hardly_change_the_quality(name, tmp_path):
    scores = []
    for threads in (1, 2):
        trained = train(name, tmp_path / str(threads), rows=600, epochs=3, threads=threads)
        front = find_family(name).front
        network = rebuild(name, trained.settings, facts_for(front, 600), trained.weights)
        arrays = {key: torch.from_numpy(array) for key, array in arrays_for(front, 2000, seed=5).items()}
        with torch.no_grad():
            scores.append((network(**arrays).argmax(1).numpy() == np.arange(2000) % 2).mean())
    assert abs(scores[0] - scores[1]) <= 1e-3


def test_training_leaves_threads_and_random_state_as_they_were(tmp_path):
    before, state = torch.get_num_threads(), torch.random.get_rng_state()
    train("mlp", tmp_path, epochs=1, threads=1)
    assert torch.get_num_threads() == before
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("place", ["loss", "gradient"])
@pytest.mark.parametrize("step", [1, 9, 14])
def test_not_a_number_is_undone_once(place, step, tmp_path, monkeypatch):
    monkeypatch.setenv("LQ_FAILPOINT", f"train.{place}@{step}:nan")
    trained = train("mlp", tmp_path, checkpoint_steps=6, **RUN)
    assert all(np.isfinite(array).all() for array in trained.weights.values())
    assert [epoch["epoch"] for epoch in trained.history] == [1, 2, 3]


@pytest.mark.parametrize("place", ["loss", "gradient"])
def test_not_a_number_twice_ends_it(place, tmp_path, monkeypatch):
    monkeypatch.setenv("LQ_FAILPOINT", f"train.{place}@8:nan,train.{place}@11:nan")
    with pytest.raises(TrainingError) as caught:
        train("mlp", tmp_path, checkpoint_steps=6, **RUN)
    assert str(caught.value) == (
        "Expected finite numbers in training, found not-a-number at step 9, also with half the learning rate. "
        "Lower train.learning_rate (it was 0.002), or look for extreme values in the data."
    )


def test_the_roll_back_survives_a_second_start(tmp_path, monkeypatch):
    monkeypatch.setenv("LQ_FAILPOINT", "train.loss@8:nan")
    expected = digest(train("mlp", tmp_path, checkpoint_steps=6, **RUN))
    monkeypatch.delenv("LQ_FAILPOINT")
    assert digest(train("mlp", tmp_path, checkpoint_steps=6, **RUN)) == expected


def test_patience_ends_training_early(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2, 96)
    trained = train("mlp", tmp_path, targets=noise, epochs=40, patience=2, threads=1)
    assert trained.epochs < 40


@pytest.mark.heavy
def test_seconds_bound_the_steps(tmp_path):
    trained = train("mlp", tmp_path, epochs=100_000, patience=0, seconds=0.5, threads=1)
    assert 1 <= trained.epochs < 5000


def test_two_classes_of_problem_are_told_at_once(tmp_path):
    with pytest.raises(RequestError) as caught:
        train("logistic", tmp_path, rows=1, regression=True)
    assert str(caught.value) == (
        "1. Expected a model family for regression, found logistic. Choose another under model, or model: auto.\n"
        "2. Expected at least two training rows, found 1. Add rows, or change data.split."
    )


def test_balanced_weights_help_the_rare_class(tmp_path):
    rare = (np.arange(96) % 16 == 1).astype(np.int64)
    plain = train("mlp", tmp_path / "a", targets=rare, **RUN)
    balanced = train("mlp", tmp_path / "b", targets=rare, class_weights="balanced", **RUN)
    assert digest(plain) != digest(balanced)
    assert balanced.settings["class_weights"] == "balanced"


def test_bfloat16_trains_too(tmp_path):
    trained = train("cnn", tmp_path, precision="bfloat16", **RUN)
    assert all(array.dtype != np.float16 and np.isfinite(array).all() for array in trained.weights.values())


def test_unknown_schedule():
    with pytest.raises(UnknownNameError) as caught:
        stride("cosin", 0.5)
    assert str(caught.value) == ("Expected a schedule that lingqu knows, found 'cosin'. Did you mean 'cosine'?")


@pytest.mark.parametrize(("rows", "size"), [(10, 3), (9, 4), (2, 8), (1, 8), (64, 64)])
def test_an_epoch_sees_every_row_once_but_for_a_single_left_over(rows, size):
    lengths = np.random.default_rng(0).integers(1, 9, rows)
    for held in (None, lengths):
        batches = Batches(rows, size=size, seed=0, lengths=held)
        seen = np.concatenate(batches.of(1)).tolist()
        assert len(seen) == len(set(seen)) >= rows - 1
        assert len(batches.of(1)) == len(batches)
        assert all(len(batch) > 1 for batch in batches.of(1)) or rows == 1


def test_failpoints_know_four_actions():
    with pytest.raises(ValueError, match="an action of"):
        Failpoints("train.step:explode")


@pytest.mark.slow  # torch.optim imports torch's compiler, which takes seconds
def test_our_adamw_is_torchs():
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Linear(5, 3) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    mine = AdamW(dict(ours.named_parameters()), decay=0.1)
    reference = torch.optim.AdamW(
        [{"params": [theirs.weight], "weight_decay": 0.1}, {"params": [theirs.bias], "weight_decay": 0.0}], lr=0.02
    )
    for _ in range(20):
        inputs = torch.randn(8, 5)
        for network in (ours, theirs):
            network.zero_grad()
            network(inputs).square().mean().backward()
        mine.step(0.02)
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
