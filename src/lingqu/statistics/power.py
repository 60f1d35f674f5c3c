"""What a number of rows can show, and how many rows a difference needs (normal approximation, one-sided).

rows = ((z_alpha + z_power) s / effect)², where s is the spread of one row's difference: for two classifiers that
disagree in being right on a share d of rows, s = sqrt(d - effect²).
Source: Connor 1987, Biometrics 43(1); the table in tests/statistics holds it against the exact test.
"""

from __future__ import annotations

from math import ceil, floor, sqrt
from statistics import NormalDist

_NORMAL = NormalDist()


def spread(discordance: float, effect: float = 0.0) -> float:
    """The spread of one row's difference when a share of rows is decided by exactly one model.

    >>> round(spread(0.08, 0.02), 4)
    0.2821
    """
    return sqrt(max(0.0, discordance - effect**2))


def rows_needed(effect: float, row_spread: float, *, alpha: float = 0.05, chance: float = 0.8) -> int:
    """How many rows find a difference of `effect` with this chance.

    >>> rows_needed(0.02, spread(0.08, 0.02))
    1231
    """
    return ceil(((_NORMAL.inv_cdf(1 - alpha) + _NORMAL.inv_cdf(chance)) * row_spread / effect) ** 2)


def smallest_effect(rows: int, row_spread: float, *, alpha: float = 0.05, chance: float = 0.8) -> float:
    """The smallest difference that so many rows find with this chance.

    >>> round(smallest_effect(500, spread(0.08)), 3)
    0.031
    """
    return (_NORMAL.inv_cdf(1 - alpha) + _NORMAL.inv_cdf(chance)) * row_spread / sqrt(rows)


def power(rows: int, effect: float, row_spread: float, *, alpha: float = 0.05) -> float:
    """The chance that so many rows find a difference of `effect`.

    >>> round(power(2000, 0.02, spread(0.08, 0.02)), 2)
    0.94
    """
    return _NORMAL.cdf(effect * sqrt(rows) / row_spread - _NORMAL.inv_cdf(1 - alpha))


def in_words(rows: int, row_spread: float, *, alpha: float = 0.05, chance: float = 0.8, wanted: float = 0.02) -> str:
    """What so many rows can show, and how many a smaller difference asks for, before anything is run.

    Differences are told in points, hundredths of a share; `wanted` is the one that one would like to see.

    >>> in_words(500, spread(0.08))
    'With your 500 rows you can see a difference of 3.2 points or more (8 times in 10); 2 points need 1,237 rows.'
    >>> in_words(2000, spread(0.08))
    'With your 2,000 rows you can see a difference of 1.6 points or more (8 times in 10).'
    """
    # Rounded up: what is promised must be seen.
    seen = ceil(smallest_effect(rows, row_spread, alpha=alpha, chance=chance) * 1000 - 1e-9) / 10
    told = f"With your {rows:,} rows you can see a difference of {seen:g} points or more ({floor(chance * 10 + 1e-9)} times in 10)"
    if seen <= wanted * 100:
        return f"{told}."
    return f"{told}; {wanted * 100:g} points need {rows_needed(wanted, row_spread, alpha=alpha, chance=chance):,} rows."
