"""The residual network: its first layer is computed and stays, it takes any picture, and mirrors answer alike."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from training_lab import train

from lingqu.models.family import Examples, Facts
from lingqu.models.resnet import FAMILY, ResNet, build, prepare

SETTINGS = {"widths": [8, 16, 16], "both_sides": True, "augment": ["flip"]}


def pictures(rows, channels, height, width):
    """Smooth pictures, as photographs are: neighbours are alike."""
    coarse = torch.rand(rows, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    fine = functional.interpolate(coarse, (height, width), mode="bilinear")
    noise = torch.rand(fine.shape, generator=torch.Generator().manual_seed(1))
    return (200 * fine + 55 * noise).to(torch.uint8)


def prepared(channels, height, width, rows=40):
    front = {"channels": channels, "height": height, "width": width, "mean": [0.5] * channels, "std": [0.2] * channels}
    network = build(Facts(3, "classification", front, 40, (14, 13, 13)), SETTINGS)
    pixels = pictures(rows, channels, height, width)
    prepare(network, Examples({"pixels": pixels.numpy()}, np.arange(rows) % 3))
    return network, pixels


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
def test_the_first_layer_whitens(shape):
    """Over training patches the filters' answers are uncorrelated, and of variance one where there is variance to have."""
    network, pixels = prepared(*shape)
    maps = (pixels.float() - network.mean) * network.scale
    answers = functional.conv2d(maps, network.patches, stride=network.side)
    flat = answers.transpose(0, 1).flatten(1).double()
    half = len(flat) // 2
    assert torch.allclose(flat[:half], -flat[half:])
    covariance = flat[:half] @ flat[:half].T / flat.shape[1]
    variances = covariance.diag()
    assert (covariance - variances.diag()).abs().max() < 1e-3
    assert variances.max() < 1.001
    assert variances[:3].min() > 0.8


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 8, 8), (3, 9, 40), (3, 64, 48), (3, 96, 96)])
def test_any_picture_fits(shape):
    network, pixels = prepared(*shape)
    assert network.train()(pixels=pixels[:4]).shape == (4, 3)
    assert torch.isfinite(network.eval()(pixels=pixels[:4])).all()
    assert network.step == max(1, min(shape[1:]) // 32)


def test_mirror_images_get_one_answer_where_flips_were_learned():
    network, pixels = prepared(3, 16, 16)
    network.eval()
    with torch.no_grad():
        assert torch.allclose(network(pixels=pixels[:8]), network(pixels=pixels[:8].flip(3)), atol=1e-5)
        network.both_sides = False
        assert not torch.allclose(network(pixels=pixels[:8]), network(pixels=pixels[:8].flip(3)), atol=1e-5)


def test_digits_are_not_answered_from_both_sides():
    front = {"channels": 1, "height": 8, "width": 8, "mean": [0.5], "std": [0.2]}
    assert not build(Facts(2, "classification", front, 4, (2, 2)), {**SETTINGS, "augment": ["shift"]}).both_sides


@pytest.mark.heavy
def test_training_leaves_the_computed_layer_alone(tmp_path):
    short, long = (train("resnet", tmp_path / str(e), epochs=e, batch_size=16, threads=1) for e in (1, 3))
    assert (short.weights["patches"] == long.weights["patches"]).all()
    assert (short.weights["stages.0.wide.weight"] != long.weights["stages.0.wide.weight"]).any()
    assert (short.weights["stages.0.norm.weight"] == 1).all()


def test_a_larger_size_is_a_larger_network():
    front = {"channels": 3, "height": 32, "width": 32, "mean": [0.5] * 3, "std": [0.2] * 3}
    facts = Facts(10, "classification", front, 40, (4,) * 10)
    count = [sum(p.numel() for p in build(facts, FAMILY.settings(size)).parameters()) for size in FAMILY.sizes]
    assert count == sorted(count)
    assert isinstance(build(facts, FAMILY.settings("tiny")), ResNet)
