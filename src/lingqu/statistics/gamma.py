"""The regularised incomplete gamma function, on which the chi-square distribution stands.

P(a, x) = x^a e^-x / Gamma(a + 1) * (1 + x/(a+1) + x²/((a+1)(a+2)) + ...) below a + 1, and above it the continued fraction
Q(a, x) = x^a e^-x / Gamma(a) * 1/(x+1-a- 1(1-a)/(x+3-a- ...)), summed by Lentz's method.
Source: Press et al., Numerical Recipes, 3rd edition, section 6.2; DLMF 8.7.1 and 8.9.2.
"""

from __future__ import annotations

from math import exp, lgamma, log, sqrt

_TINY = 1e-300


def upper_gamma(a: float, x: float) -> float:
    """The share of a Gamma(a, 1) distribution that lies above x, Q(a, x).

    >>> round(upper_gamma(1.0, 2.0), 6)
    0.135335
    """
    if x <= 0:
        return 1.0
    front = exp(a * log(x) - x - lgamma(a))
    return 1 - front * _series(a, x) if x < a + 1 else front * _fraction(a, x)


def _series(a: float, x: float) -> float:
    term = total = 1 / a
    for n in range(1, 200 + 20 * int(sqrt(a))):
        term *= x / (a + n)
        total += term
        if term < total * 1e-16:
            break
    return total


def _fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    value = d
    for i in range(1, 200 + 20 * int(sqrt(a))):
        an = -i * (i - a)
        b += 2
        d = an * d + b
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = b + an / c
        c = c if abs(c) > _TINY else _TINY
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def chi_square_above(value: float, freedom: float) -> float:
    """P(X >= value) for a chi-square variable with so many degrees of freedom.

    >>> round(chi_square_above(3.841458820694124, 1), 6)
    0.05
    """
    return upper_gamma(freedom / 2, value / 2)


def chi_square_quantile(probability: float, freedom: float) -> float:
    """The value below which a chi-square variable lies with this probability.

    >>> round(chi_square_quantile(0.95, 9), 3)
    16.919
    """
    low, high = 0.0, freedom + 10 * sqrt(2 * freedom) + 10.0
    while chi_square_above(high, freedom) > 1 - probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if chi_square_above(middle, freedom) > 1 - probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2
