"""One cell: raw value in, typed value out, None where it is missing, CellFault where it is neither.

The same functions read training files, files for `predict` and requests, so a number is a number everywhere.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Container
from datetime import UTC, datetime
from typing import Any

MISSING = frozenset({"", "na", "n/a", "#n/a", "null", "none", "nan", "<na>", "-", "?"})
"""Words for "no value", in lower case, in columns of numbers, categories and times."""

_NO_LABEL = frozenset({"", "nan", "<na>"})
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
# In "0,125" the comma is a decimal one; as one of thousands it would make a thousandfold of it.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
_CODE = re.compile(r"[+-]?0\d+", re.ASCII)
_WHOLE = re.compile(r"([+-]?\d+)\.0+", re.ASCII)
_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ](.+))?", re.ASCII)
_WIDE = str.maketrans("０１２３４５６７８９．，－＋−\u00a0", "0123456789.,-+- ")


class CellFault(ValueError):  # noqa: N818 - a fault of the data, told as data
    """Why a cell is not what its column holds, in a few words."""


def shown(value: Any) -> str:
    """A value as it stands in messages: quoted, and cut when it is long.

    >>> shown("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…'"
    """
    text = f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)
    return repr(text[:40] + "…" if len(text) > 40 else text)


def left_out(value: Any) -> bool:
    """Whether the journal left this cell out and kept its size alone, as it does with pictures that might show a person.

    >>> left_out({"$omitted": 190}), left_out(b"...")
    (True, False)
    """
    return isinstance(value, dict) and "$omitted" in value


def to_number(value: Any) -> float | None:
    """A finite number; "1,234.5", " 12 " and "1e3" are numbers, "5%", "007x" and "0,125" are not.

    >>> to_number("1,234.5"), to_number(" 12 "), to_number("1e3"), to_number("N/A"), to_number("１２")
    (1234.5, 12.0, 1000.0, None, 12.0)
    """
    if isinstance(value, str):
        text = value.strip()
        if not text.isascii():
            text = text.translate(_WIDE).strip()
        if _NUMBER.fullmatch(text):
            number = float(text)
        elif text.lower() in MISSING:
            return None
        elif _THOUSANDS.fullmatch(text):
            number = float(text.replace(",", ""))
        else:
            raise CellFault(f"{shown(value)} is no number")
    elif value is None:
        return None
    elif isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            raise CellFault(f"{shown(value)} is too large a number") from None
        if math.isnan(number):
            return None
    else:
        raise CellFault(f"{shown(value)} is no number")
    if math.isinf(number):
        raise CellFault(f"{shown(value)} is too large a number")
    return number + 0.0  # never -0.0, which would make two of one number


def to_label(value: Any) -> str | None:
    """The name of a class: "1" for 1, 1.0 and "1.0", "true" for a boolean; words such as "None" are names too.

    >>> to_label(1), to_label("1.0"), to_label(True), to_label(" spam "), to_label("None"), to_label("")
    ('1', '1', 'true', 'spam', 'None', None)
    """
    return _name(value, _NO_LABEL)


def to_category(value: Any) -> str | None:
    """The name of a category, spelled as a label is; missing words are None.

    >>> to_category("red "), to_category("?"), to_category(2.0)
    ('red', None, '2')
    """
    return _name(value, MISSING)


def _name(value: Any, missing: frozenset[str]) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, bytes):
        raise CellFault(f"{shown(value)} are no name")
    text = str(value).strip()
    lower = text.lower()
    if lower in missing:
        return None
    if lower in ("true", "false"):
        return lower
    whole = _WHOLE.fullmatch(text) if ".0" in text else None
    return whole[1] if whole else text


def to_text(value: Any) -> str | None:
    r"""The text exactly as it stands; one without any character to read is missing.

    >>> to_text(" a\r\nb "), to_text("  "), to_text(7)
    (' a\r\nb ', None, '7')
    """
    if isinstance(value, str):
        return None if not value or value.isspace() else value
    if isinstance(value, bytes):
        raise CellFault(f"{shown(value)} are no text")
    return None if _is_nan(value) else str(value)


def _is_nan(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def to_time(value: Any) -> str | None:
    """A date or moment in one ISO 8601 spelling (moments with a zone in UTC), or a plain number of a clock as it is.

    >>> to_time("2024/1/31"), to_time("2024-01-31 08:00"), to_time("2024-01-31T08:00+08:00"), to_time(874965758)
    ('2024-01-31', '2024-01-31T08:00:00', '2024-01-31T00:00:00+00:00', '874965758')
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return None
    if isinstance(value, int | float):
        return None if _is_nan(value) else _clock(float(value))
    text = str(value).strip()
    found = _DATE.fullmatch(text)
    try:
        if not found:
            return _clock(float(text))
        year, month, day, clock = found.groups()
        moment = datetime.fromisoformat(f"{year}-{int(month):02}-{int(day):02}" + (f"T{clock}" if clock else ""))
        if not clock:
            return moment.date().isoformat()
        return (moment.astimezone(UTC) if moment.tzinfo else moment).isoformat()
    except (ValueError, OverflowError):
        raise CellFault(f"{shown(value)} is no ISO date or time") from None


def _clock(number: float) -> str:
    if not math.isfinite(number):
        raise ValueError
    return str(int(number)) if number.is_integer() else repr(number)


def time_key(value: str) -> float:
    """Where a time of `to_time` stands among others, in seconds; dates without a zone count as UTC.

    >>> time_key("1970-01-02"), time_key("12")
    (86400.0, 12.0)
    """
    if not _DATE.match(value):
        return float(value)
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def to_image(value: Any) -> bytes | str | None:
    """The bytes of a picture, or the name of its file, not yet looked at.

    >>> to_image("a.png"), to_image("")
    ('a.png', None)
    """
    if isinstance(value, bytes):
        return value
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        return value
    raise CellFault(f"{shown(value)} is no picture")


def looks_like_code(value: Any) -> bool:
    """Whether digits are a name rather than a number: with leading zeros, or more of them than a number can keep.

    >>> looks_like_code("007"), looks_like_code("0.5"), looks_like_code("12345678901234567890")
    (True, False, True)
    """
    if isinstance(value, str):
        text = value.strip()
        return bool(_CODE.fullmatch(text)) or (text.isascii() and text.lstrip("+-").isdigit() and len(text) > 15)
    return isinstance(value, int) and abs(value) > 1 << 53


_MARKS = re.compile("[|;；,，、]")


def to_labels(value: Any, delimiter: str = "auto") -> str | None:
    """The names of several classes as one cell: sorted, each once, with | between them; "" for a row that has none.

    A list (as JSON text, which is how readers give it), or names with a delimiter between them: one of | ; , or their
    Chinese forms unless it is given.

    >>> to_labels('["b", "a"]'), to_labels("政治; 体育"), to_labels("a, b/c", "/"), to_labels(""), to_labels(None)
    ('a|b', '体育|政治', 'a, b|c', '', None)
    """
    if value is None:
        return None
    parts: list[Any] = [value]
    if isinstance(value, str):
        parts = _listed(value)
        if not parts:
            parts = [*_MARKS.split(value)] if delimiter == "auto" else value.split(delimiter)
    names = sorted({name for name in map(to_label, parts) if name is not None})
    if any("|" in name for name in names):
        raise CellFault(f"{shown(value)} has a label with a | in its name")
    return "|".join(names)


def to_known_labels(value: Any, known: Container[str]) -> str | None:
    """The same, where a name that is known may hold what else parts names, and only what is empty means that there is none.

    >>> to_known_labels("c|a, b", {"a, b", "c"}), to_known_labels(["c", "a"], {"a", "c"}), to_known_labels("c; a", {})
    ('a, b|c', 'a|c', 'a|c')
    """
    if not isinstance(value, str | list):
        return to_labels(value)
    parts = value if isinstance(value, list) else value.split("|")
    named = [str(part) if str(part) in known else to_label(part) for part in parts]
    names = sorted({name for name in named if name is not None})
    if isinstance(value, list) or (names and all(name in known for name in names)):
        if any("|" in name for name in names):
            raise CellFault(f"{shown(value)} has a label with a | in its name")
        found = "|".join(names)
    else:
        found = to_labels(value)
    if value and not found and not (isinstance(value, str) and _listed(value)):
        raise CellFault(f"{shown(value)} is no label")
    return found


def _listed(text: str) -> list[Any]:
    """The parts of a JSON list; none for other text."""
    if not text.lstrip().startswith("["):
        return []
    try:
        parts = json.loads(text)
    except ValueError:
        return []
    if not isinstance(parts, list) or any(isinstance(part, dict | list) for part in parts):
        raise CellFault(f"{shown(text)} is no list of names")
    return parts or [None]


CONVERT: dict[str, Callable[[Any], Any]] = {
    "number": to_number,
    "category": to_category,
    "label": to_label,
    "labels": to_labels,
    "text": to_text,
    "time": to_time,
    "id": to_category,
    "image": to_image,
}
"""How a cell of each kind is read."""
