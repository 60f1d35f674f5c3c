"""Checkpoints: whole, two of them, and no damage goes unseen."""

import random

import pytest
import torch
from training_lab import digest, train

from lingqu.train.checkpoint import Checkpoint, Checkpoints

RUN = {"epochs": 4, "batch_size": 16, "checkpoint_steps": 5, "threads": 1}


def _two(folder):
    kept = Checkpoints(folder)
    for step in (1, 2, 3):
        kept.save(Checkpoint(step, {"w": torch.full((50,), float(step))}, {"best": step / 3}))
    return kept


def test_the_two_newest_are_kept(tmp_path):
    kept = _two(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    found, complaints = kept.newest()
    assert found is not None and (found.step, found.state, complaints) == (3, {"best": 1.0}, [])
    assert found.tensors["w"].tolist() == [3.0] * 50


@pytest.mark.parametrize("flips", [60, pytest.param(500, marks=pytest.mark.heavy)])
def test_every_flipped_bit_and_every_cut_is_seen(flips, tmp_path):
    draw = random.Random(0)
    kept = _two(tmp_path)
    newest = sorted(tmp_path.iterdir())[-1]
    whole = newest.read_bytes()
    for number in range(flips + flips // 5):
        spoiled = bytearray(whole)
        if number < flips:
            spoiled[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        else:
            del spoiled[draw.randrange(len(whole)) :]
        newest.write_bytes(spoiled)
        found, complaints = kept.newest()
        assert found is not None and found.step == 2
        assert complaints == [f"The checkpoint {newest.name} is damaged; training goes on from the one before it."]


def test_training_goes_on_from_the_one_before_a_damaged_one(tmp_path):
    expected = digest(train("mlp", tmp_path / "whole", **RUN))
    # The last checkpoints are still there when a run has ended: what is left to do is done again, from the older one.
    newest = sorted((tmp_path / "whole").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    told = []
    assert (
        digest(train("mlp", tmp_path / "whole", progress=lambda _, sentence: told.append(sentence), **RUN)) == expected
    )
    assert told[0] == f"The checkpoint {newest.name} is damaged; training goes on from the one before it."


def test_when_all_are_damaged_training_starts_again(tmp_path):
    expected = digest(train("mlp", tmp_path / "whole", **RUN))
    for path in (tmp_path / "whole").iterdir():
        path.write_bytes(b"")
    assert digest(train("mlp", tmp_path / "whole", **RUN)) == expected


def test_half_written_files_are_not_looked_at(tmp_path):
    kept = _two(tmp_path)
    (tmp_path / ".lingqu-abc.tmp").write_bytes(b"half")
    (tmp_path / "checkpoint-000000009-abc.safetensors").write_bytes(b"half")
    found, complaints = kept.newest()
    assert found is not None and found.step == 3 and complaints == []
