r"""Regular expressions of the published schema, which say exactly what the service does.

Each dialect has a `\s` of its own: ECMA 262 counts U+FEFF in and U+001C out, Python the other way round. So what is blank
is listed here, character by character, and no pattern has an escape but `\u`: JavaScript (with and without its flags u
and v), Python and Rust read them alike, but for `$`: it is the end in ECMA 262, as JSON Schema asks, where Python lets a last
line feed follow.

>>> import re
>>> bool(re.search(SIGN, " a ")), bool(re.search(SIGN, "\x1c\u3000")), bool(re.search(NO_VALUE, "\u3000N/A\n"))
(True, False, True)
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lingqu.data.values import MISSING

BLANK = r"[\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""What str.isspace says yes to."""

SIGN = BLANK.replace("[", "[^", 1)
"""Found in a text that has something to read."""


def any_case(words: Iterable[str]) -> str:
    """One of these words, in letters of any case; JSON Schema has no flag for it.

    >>> any_case(["na", "?"])
    '(?:[?]|[nN][aA])'
    """
    return "(?:" + "|".join("".join(map(_either, word)) for word in sorted(words)) + ")"


def _either(char: str) -> str:
    if char.isalpha():
        return f"[{char.lower()}{char.upper()}]"
    return f"[{char}]" if re.escape(char) != char and char not in "#-" else char


NO_VALUE = f"^{BLANK}*(?:{any_case(MISSING - {''})}{BLANK}*)?$"
"""Spellings of "no value" in a column of names; nothing but blanks is one.

Two runs of blanks with perhaps nothing between them could be parted anywhere, and a validator that goes back would try each
place: the time of a long text would grow with its square.
"""
