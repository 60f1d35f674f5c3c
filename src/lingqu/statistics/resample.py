"""The bootstrap by counts: a resample is how often each row was drawn, so rows are never copied.

A score that takes a matrix of counts, shape (repeats, rows), gives all its replicates in a few array operations,
and two scores that are given the same counts are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Score = Callable[[Floats], Floats]
"""Counts (repeats, rows) in, one value per repeat out."""

# 250,000 doubles are 2 MB: they stay in the processor's cache, and a call still does enough work to be worth its cost.
_CELLS = 250_000


def counts(
    rows: int,
    repeats: int,
    *,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
    times: NDArray[np.int64] | None = None,
    mix: Floats | None = None,
) -> Iterator[Floats]:
    """How often each row is drawn in each repeat, in parts of shape (some, rows).

    With `groups` (an index per row) whole groups are drawn, as rows of one user or document must be. With `times` each
    row stands for that many equal ones: their counts together are multinomial, which is drawn directly; with `mix`, shape
    (kinds, rows), `times` counts kinds of groups, and a group of a kind holds each row as often as its line of `mix` says.
    Source: Efron 1979; Davison and Hinkley 1997, section 2.4 and, for groups, section 3.8.

    >>> [part.shape for part in counts(4, 3)], next(counts(4, 3)).sum(axis=1).tolist()
    ([(3, 4)], [4.0, 4.0, 4.0])
    >>> bool(np.all(next(counts(4, 9, groups=np.array([0, 0, 1, 1])))[:, 0::2] == next(
    ...     counts(4, 9, groups=np.array([0, 0, 1, 1])))[:, 1::2]))
    True
    """
    rng = np.random.default_rng(seed)
    drawn = rows if groups is None else int(groups.max()) + 1
    step = max(1, _CELLS // max(1, rows if times is None else len(times)))
    for start in range(0, repeats, step):
        if times is not None:
            total = int(times.sum())
            kinds = rng.multinomial(total, times / total, min(step, repeats - start)).astype(float)
            yield kinds if mix is None else kinds @ mix
            continue
        draws = rng.integers(0, drawn, (min(step, repeats - start), drawn), dtype=np.int32)
        part = np.empty(draws.shape)
        for i, draw in enumerate(draws):
            part[i] = np.bincount(draw, minlength=drawn)
        yield part if groups is None else part[:, groups]


def replicates(
    scores: Mapping[str, Score],
    rows: int,
    repeats: int,
    *,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
    times: NDArray[np.int64] | None = None,
    mix: Floats | None = None,
) -> dict[str, Floats]:
    """The bootstrap replicates of several scores on the same resamples.

    >>> x = np.array([1.0, 2.0, 3.0])
    >>> mean = lambda c: c @ x / c.sum(axis=1)
    >>> replicates({"mean": mean}, 3, 500)["mean"].shape
    (500,)
    """
    parts: dict[str, list[Floats]] = {name: [] for name in scores}
    for part in counts(rows, repeats, seed=seed, groups=groups, times=times, mix=mix):
        for name, score in scores.items():
            parts[name].append(score(part))
    return {name: np.concatenate(values) for name, values in parts.items()}
