"""Which names models and aliases may have.

>>> check_name("ticket-router"), check_alias("challenger")
('ticket-router', 'challenger')
"""

from __future__ import annotations

import re

from lingqu.errors import Problem, RequestError

LONGEST = 255
_NAME = re.compile(r"[A-Za-z0-9][\w\-.]*")
_ALIAS = re.compile(r"[\w\-]+")
# MLflow's rule, and bare numbers too: `name@3` is version 3, so no alias may be spelled like a version.
_RESERVED = re.compile(r"latest|[vV]?\d+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def check_name(name: str) -> str:
    """The name of a model, or RequestError when it may not be one.

    >>> check_name("../x")
    Traceback (most recent call last):
    lingqu.errors.RequestError: Expected a model name of letters, digits, '-', '_' and '.' that begins with an ASCII letter or digit, found '../x'. Choose another name.
    """
    if _NAME.fullmatch(name) is None or len(name) > LONGEST:
        rule = "a model name of letters, digits, '-', '_' and '.' that begins with an ASCII letter or digit"
        raise RequestError(Problem(rule, _shown(name), "Choose another name."))
    return name


def check_alias(alias: str) -> str:
    """An alias, or RequestError when it may not be one.

    >>> check_alias("v3")
    Traceback (most recent call last):
    lingqu.errors.RequestError: Expected an alias that is not reserved, found 'v3'. Versions are reached as name@3 and name@latest.
    """
    if _ALIAS.fullmatch(alias) is None or len(alias) > LONGEST:
        raise RequestError(Problem("an alias of letters, digits, '-' and '_'", _shown(alias), "Choose another alias."))
    if _RESERVED.fullmatch(alias):
        advice = "Versions are reached as name@3 and name@latest."
        raise RequestError(Problem("an alias that is not reserved", repr(alias), advice))
    return alias


def check_words(what: str, words: str, *, longest: int) -> str:
    """One line that a person wrote, without what could forge a line of a terminal or break a database.

    >>> check_words("a reason", "better on the gate", longest=100)
    'better on the gate'
    >>> check_words("who it was", " ", longest=100)
    Traceback (most recent call last):
    lingqu.errors.RequestError: Expected who it was, in words, found nothing. Write a few.
    """
    if not words.strip():
        raise RequestError(Problem(f"{what}, in words", "nothing", "Write a few."))
    if _CONTROL.search(words) or "\n" in words or len(words) > longest:
        rule = f"{what} in one line of at most {longest:,} characters, without control characters"
        raise RequestError(Problem(rule, _shown(words), "Shorten it, or write it in one line."))
    return words


def _shown(text: str) -> str:
    shown = ascii(text) if _CONTROL.search(text) else repr(text)
    return shown if len(shown) <= 80 else f"{shown[:60]}… ({len(text):,} characters)"
