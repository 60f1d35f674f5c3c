"""Augmentation: the same seed gives the same batch, labels stay true, and what does not fit is refused."""

import hashlib

import numpy as np
import pytest

from lingqu.data.augment import PICTURES, TOKENS, Augmentation, chosen, mirror_keeps_labels
from lingqu.errors import RequestError

ROWS = np.arange(24)
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 3, 16, 16), dtype=np.uint8)
LENGTHS = np.random.default_rng(1).integers(1, 9, 24)
TOKEN_ROWS = np.where(np.arange(8) < LENGTHS[:, None], np.random.default_rng(2).integers(1, 50, (24, 8)), 0)


def batch(names, *, seed=0, epoch=0, step=0, pixels=PIXELS, **settings):
    arrays = {"tokens": TOKEN_ROWS, "lengths": LENGTHS} if set(names) <= set(TOKENS) else {"pixels": pixels}
    return Augmentation(names, rows=24, seed=seed, **settings).batch(arrays, ROWS, epoch=epoch, step=step)


def digest(names, **where):
    arrays, mix = batch(names, **where)
    spelled = hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays)))
    spelled.update(repr(mix and (mix.partners.tolist(), mix.share)).encode())
    return spelled.hexdigest()


@pytest.mark.parametrize("names", [pytest.param(PICTURES, marks=pytest.mark.heavy), TOKENS])
def test_the_same_seed_gives_the_same_batch(names):
    """100 batches made twice, by objects that have seen different batches before, are the same to the last bit."""
    first = [digest(names, seed=4, epoch=step // 10, step=step) for step in range(100)]
    again = [digest(names, seed=4, epoch=step // 10, step=step) for step in reversed(range(100))]
    assert first == again[::-1]
    assert len(set(first)) == 100
    assert set(first).isdisjoint(digest(names, seed=5, epoch=step // 10, step=step) for step in range(100))


@pytest.mark.parametrize("name", PICTURES)
def test_each_changes_pictures_and_keeps_their_form(name):
    arrays, mix = batch([name])
    assert arrays["pixels"].shape == PIXELS.shape
    assert arrays["pixels"].dtype == np.uint8
    assert (arrays["pixels"] != PIXELS).any()
    assert (mix is not None) == (name == "mixup")


def test_pictures_seen_elsewhere_stay_as_they_were():
    before = PIXELS.copy()
    batch(PICTURES)
    assert (before == PIXELS).all()


def test_a_flip_is_undone_in_the_next_epoch():
    """Every row is seen as it is and mirrored in turn, and about half of them begin mirrored."""
    first, second = (batch(["flip"], epoch=epoch)[0]["pixels"] for epoch in (0, 1))
    assert (first[..., ::-1] == second).all()
    mirrored = (first != PIXELS).any(axis=(1, 2, 3)).sum()
    assert 4 <= mirrored <= 20


def test_a_shift_moves_what_is_there():
    """The middle of a shifted picture is found in the original, at most two pixels away."""
    for one, was in zip(batch(["shift"])[0]["pixels"], PIXELS, strict=True):
        places = [
            (i, j) for i in range(5) for j in range(5) if (was[:, i : i + 12, j : j + 12] == one[:, 2:14, 2:14]).all()
        ]
        assert places


def test_colours_keep_their_order():
    arrays, _ = batch(["colour"])
    red, was = arrays["pixels"][:, 0].reshape(24, -1).astype(int), PIXELS[:, 0].reshape(24, -1)
    for now, before in zip(red, was, strict=True):
        assert (np.diff(now[np.argsort(before, kind="stable")]) >= 0).all()


def test_cutout_leaves_most_of_the_picture():
    changed = (batch(["cutout"])[0]["pixels"] != PIXELS).any(axis=1).mean(axis=(1, 2))
    assert changed.max() <= 0.15
    assert changed.mean() > 0.05


def test_mixup_is_what_its_share_says():
    arrays, mix = batch(["mixup"], step=3)
    assert mix is not None
    expected = mix.share * PIXELS.astype(float) + (1 - mix.share) * PIXELS[mix.partners]
    assert np.abs(arrays["pixels"] - expected).max() <= 0.51


def test_dropping_keeps_the_order_of_what_is_left():
    arrays, _ = batch(["drop"], step=1)
    assert (arrays["lengths"] >= 1).all()
    assert arrays["lengths"].sum() < LENGTHS.sum()
    for now, length, was in zip(arrays["tokens"], arrays["lengths"], TOKEN_ROWS, strict=True):
        assert (now[length:] == 0).all()
        left = iter(was)
        assert all(token in left for token in now[:length])  # a subsequence


def test_swapping_exchanges_two_neighbours():
    arrays, _ = batch(["swap"])
    assert (arrays["lengths"] == LENGTHS).all()
    for now, was in zip(arrays["tokens"], TOKEN_ROWS, strict=True):
        assert sorted(now) == sorted(was)
        assert len(np.flatnonzero(now != was)) in (0, 2)


def squares(rows, places):
    """Grey pictures with a bright square whose column tells the class."""
    draw = np.random.default_rng(3)
    pixels = draw.integers(0, 90, (rows, 1, 16, 16)).astype(np.uint8)
    labels = draw.integers(0, len(places), rows)
    for picture, label in zip(pixels, labels, strict=True):
        top, left = draw.integers(0, 12), places[label]
        picture[0, top : top + 4, left : left + 4] += 140
    return pixels, labels


@pytest.mark.parametrize(("places", "safe"), [((1, 11), False), ((0, 6), True), ((2, 6, 10), False)])
def test_flips_are_used_where_a_mirror_image_is_no_other_class(places, safe):
    """Left against right fails; in the middle against at a side stands the test when both sides occur."""
    pixels, labels = squares(600, places)
    if safe:
        pixels[::2] = pixels[::2, ..., ::-1].copy()
    assert mirror_keeps_labels(pixels, labels) is safe
    assert chosen("auto", ["flip", "shift"], {"pixels": pixels}, labels) == (["flip", "shift"] if safe else ["shift"])


def test_a_probe_that_knows_nothing_allows_no_flips():
    noise = np.random.default_rng(0).integers(0, 256, (300, 1, 8, 8)).astype(np.uint8)
    assert not mirror_keeps_labels(noise, np.arange(300) % 2)
    assert not mirror_keeps_labels(noise, np.linspace(0, 1, 300))


@pytest.mark.heavy
def test_digits_are_not_mirrored():
    from sklearn.datasets import load_digits

    digits = load_digits()
    assert not mirror_keeps_labels((digits.images[:, None] * 15).astype(np.uint8), digits.target.astype(np.int64))


def test_tables_are_not_augmented():
    numbers = {"numbers": np.zeros((4, 2), np.float32)}
    assert chosen("auto", ["flip"], numbers, np.arange(4) % 2) == []
    with pytest.raises(RequestError) as caught:
        chosen(["drop", "swap"], [], numbers, np.arange(4) % 2)
    assert str(caught.value) == (
        "Expected train.augment: auto or none for a model of neither pictures nor tokens, found drop, swap. "
        "Remove the line."
    )


def test_names_that_do_not_fit_are_refused_all_at_once():
    with pytest.raises(RequestError) as caught:
        chosen(["drop", "flip", "swap"], [], {"pixels": PIXELS}, ROWS % 2)
    assert str(caught.value) == (
        "1. Expected an augmentation of pictures (flip, shift, crop, colour, cutout or mixup), found 'drop'. "
        "Change train.augment, or leave it to auto.\n"
        "2. Expected an augmentation of pictures (flip, shift, crop, colour, cutout or mixup), found 'swap'. "
        "Change train.augment, or leave it to auto."
    )
