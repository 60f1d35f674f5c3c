"""Masking: personal data that has a form of its own, found by checksums and rules, in Chinese and English text.

    [PHONE]   Chinese mobile and fixed lines, 400 and 800, North America, United Kingdom, and +country numbers
    [ID]      Chinese identity cards (18 signs: region, date, ISO 7064 check sign) and US social security numbers
    [CARD]    bank cards: the prefix of a scheme (UnionPay, Visa, Mastercard …) and the Luhn check digit
    [EMAIL]   e-mail addresses
    [IP]      IPv4 and IPv6 addresses
    [PLATE]   number plates of China (also new energy) and of Great Britain since 2001

Full-width digits are read too, and numbers with blanks at which no line breaks, or with hyphens and dashes of any kind.
Names, street addresses and everything else that has no such form are NOT found. Time is linear in the length of the text.

>>> mask("我的电话是13800138000，身份证11010519491231002X")
'我的电话是[PHONE]，身份证[ID]'
>>> mask("Mail anna@example.org from 10.0.0.7, version 1.2.3.4")
'Mail [EMAIL] from [IP], version 1.2.3.4'
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple


class Found(NamedTuple):
    """One piece of personal data in a text: where it begins and ends, and its kind (`PHONE` …)."""

    start: int
    end: int
    kind: str


Rows = list[tuple[int, int]]
"""Where each row of digits begins and ends."""

_SIGN = re.compile(r"[0-9０-９@＠:]")
_HINT = re.compile(r"[0-9０-９@＠]|::")
_DIGITS = re.compile(r"[0-9]+")
_DENSE = re.compile(r"[0-9](?:[^0-9]{0,3}[0-9]){4}")
"""Five digits with little between them, the fewest that a number of a person has."""

_WIDE = re.compile(r"[！-～　\u00a0\u2000-\u200a\u202f]")
# But for the colon, which stands before what it introduces: it would become a part of an address behind it. The blanks are
# those that editors and web pages put into numbers, so that no line parts them.
_NARROW = {0xFF01 + i: 0x21 + i for i in range(94) if i != 25}
_NARROW |= dict.fromkeys((0x3000, 0xA0, *range(0x2000, 0x200B), 0x202F), 0x20)
_DASHES = r"\u2010-\u2015\u2212"
"""Hyphens of editors, dashes, and the minus."""
# Elsewhere they part what does not belong together, as an address from the words behind it.
_DASH = re.compile(rf"(?<=[0-9)])[{_DASHES}](?=[0-9(])")
_WHOLE = re.compile(r"\s*([+＋-]?[0-9０-９]{9,20})[.．][0０]+\s*")

# No digit or letter may stand on either side, nor a decimal point with a digit behind it: 3.13800138000 is a number.
_BEFORE = r"(?<![0-9A-Za-z])(?<![0-9]\.)"
_AFTER = r"(?![0-9A-Za-z])(?!\.[0-9])"
# Or one of these words right before it, as in tel13800138000.
_LABELLED = "".join(
    rf"|(?<={word})" for word in ("tel", "phone", "mobile", "mob", "cell", "call", "fax", "wechat", "wx")
)
_AREA = r"0(?:10|2[0-9]|[3-9][0-9]{2})"
_CHINA = r"(?:[(]?(?:\+|00)?86[)]?[ -]?)?"

_MOBILE = r"1[3-9][0-9]{9}|1[3-9][0-9][ -][0-9]{4}[ -]?[0-9]{4}|1[3-9][0-9]{5}[ -][0-9]{4}|1[3-9][0-9]{2}[ -][0-9]{3}[ -][0-9]{4}"
_FIXED = (
    rf"(?:[(]{_AREA}[)][ -]?|{_AREA}[ -]|(?:\+|00)86[ -]?(?:10|2[0-9]|[3-9][0-9]{{2}})[ -])[2-9][0-9]{{2,3}}[ -]?[0-9]{{4}}"
    r"(?:[ -]?(?:转|ext\.?|x) ?[0-9]{1,5})?"
)
_HOTLINE = r"[48]00[ -](?:[0-9]{3}[ -][0-9]{4}|[0-9]{4}[ -][0-9]{3}|[0-9]{7})"
_AMERICA = r"(?<![0-9][ .-])(?:\+?1[ .-]?)?(?:[(][2-9][0-9]{2}[)][ -]?|[2-9][0-9]{2}([ .-]))[2-9][0-9]{2}[ .-][0-9]{4}"
_BRITAIN = r"07[0-9]{3} ?[0-9]{3} ?[0-9]{3}|01[0-9]{3} [0-9]{6}|02[0-9] [0-9]{4} [0-9]{4}"
# Each part begins with a sign of its own, so that a long row of digits can be read in one way only.
_COUNTRY = r"\+[1-9][0-9]{6,14}|\+[1-9][0-9]{0,2}(?:[ .-]?[(][0-9]{1,4}[)](?:[0-9]{1,8})?|[ .-][0-9]{1,8}){1,6}"
_PHONE = re.compile(
    rf"(?:{_BEFORE}{_LABELLED})(?:{_CHINA}(?:{_MOBILE})|{_FIXED}|{_HOTLINE}|{_AMERICA}|{_BRITAIN}|{_COUNTRY}){_AFTER}",
    re.IGNORECASE,
)
_LOCAL_PHONE = re.compile(
    rf"{_AREA}[2-9][0-9]{{6,7}}{_AFTER}|[48]00[0-9]{{7}}{_AFTER}|[2-9][0-9]{{2,3}}-?[0-9]{{4}}{_AFTER}"
)
_CALLED_PHONE = re.compile(
    r"(?:电话|座机|传真|热线|联系方式|(?<![a-z])(?:tel|phone|fax|telephone))(?:号码?|是|为| no| is| number)?[ :：.]{0,3}$",
    re.IGNORECASE,
)
_CARD = re.compile(
    _BEFORE
    + r"(?:[2-9][0-9]{12,18}|[2-9][0-9]{3}(?P<gap>[ -])[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{4}(?:(?P=gap)[0-9]{1,3})?"
    r"|3[0-9]{3}[ -][0-9]{6}[ -][0-9]{4,5}|6[0-9]{5}[ -][0-9]{13})" + _AFTER
)
_IDENTITY = re.compile(
    _BEFORE
    + r"([1-9][0-9]{5})[ -]?((?:18|19|20)[0-9]{2})[ -]?([01][0-9])[ -]?([0-3][0-9])[ -]?([0-9]{3}[0-9X])"
    + _AFTER,
    re.IGNORECASE,
)
_SECURITY = re.compile(r"(?<![0-9A-Za-z-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![0-9A-Za-z-])")
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![0-9A-Za-z.])(?:{_BYTE}\.){{3}}{_BYTE}{_AFTER}")
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z.])(?<![0-9A-Za-z:]:)(?:[0-9A-F]{1,4}:|:(?=:))(?:[0-9A-F]{0,4}:){1,7}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-F]{0,4})(?![0-9A-Za-z:])",
    re.IGNORECASE,
)
_CALLED_IP = re.compile(r"ip|address|host|地址|主机", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:version|ver|release|section|chapter|clause|版本号?|章节|第|§)[ .:：]{0,2}$", re.IGNORECASE)
_MAILBOX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{0,63}$")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}([A-Za-z]{2,24})(?![A-Za-z0-9-])")
_FILES = frozenset(("png", "jpg", "jpeg", "gif", "webp", "svg", "css", "js", "html"))
_PLATE = re.compile(
    rf"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·•. {_DASHES}-]?"
    r"(?:[A-HJ-NP-Z0-9]{5,6}|[A-HJ-NP-Z0-9]{4}[挂学警港澳试超领])(?![A-Z0-9])",
    re.IGNORECASE,
)
_PLATE_GAP = re.compile(rf"^[·•. {_DASHES}-]")
_NEW_ENERGY = re.compile(r"[A-HJK][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[A-HJK]", re.IGNORECASE)
_BRITISH = re.compile(r"(?<![0-9A-Za-z])[A-HJ-PR-Y][A-HJ-PR-Y][0-9]{2} ?[A-HJ-PR-Z]{3}(?![0-9A-Za-z])")

# The first two digits of an identity card are the province, or what was one.
_PROVINCES = frozenset(
    (11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
     64, 65, 71, 81, 82, 83)
)  # fmt: skip
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

# The numbers that cards of a scheme begin with, and how long they are (ISO/IEC 7812; lists of the schemes).
_SCHEMES: tuple[tuple[range, tuple[int, ...]], ...] = (
    (range(400_000, 500_000), (16, 19)),
    (range(510_000, 560_000), (16,)),
    (range(222_100, 272_100), (16,)),
    (range(340_000, 350_000), (15,)),
    (range(370_000, 380_000), (15,)),
    (range(300_000, 306_000), (14,)),
    (range(360_000, 370_000), (14,)),
    (range(380_000, 400_000), (14,)),
    (range(352_800, 359_000), (16, 19)),
    (range(601_100, 601_200), (16, 19)),
    (range(620_000, 630_000), (16, 17, 18, 19)),
    (range(644_000, 660_000), (16, 19)),
    (range(810_000, 820_000), (16, 17, 18, 19)),
    (range(955_800, 955_900), (16, 17, 18, 19)),
)


def mask(text: str) -> str:
    """The text with each piece of personal data replaced by its kind.

    >>> mask("no numbers here"), mask("13800138000.0")
    ('no numbers here', '[PHONE]')
    """
    if whole := _WHOLE.fullmatch(text):
        # A column of numbers with a gap is a column of floats to many a program.
        hidden = mask(whole[1])
        return text if hidden == whole[1] else hidden
    if not may_hold(text):
        return text
    parts, end = [], 0
    for found in find(text):
        parts += [text[end : found.start], f"[{found.kind}]"]
        end = found.end
    return "".join((*parts, text[end:])) if parts else text


def may_hold(text: str) -> bool:
    """Whether a text holds a sign that all personal data found here has; quick, and true far more often than there is any.

    >>> may_hold("no numbers: none"), may_hold("room 5")
    (False, True)
    """
    # One class of signs is looked for several times faster than two alternatives.
    return _SIGN.search(text) is not None and _HINT.search(text) is not None


def mask_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its texts masked, and whole numbers that are personal data by themselves, also those spelled with .0;
    names of columns stay.

    >>> mask_row({"text": "京A12345", "age": 31, "contact": 13800138000, "other": 13800138000.0, "tags": ["a@b.cn"]})
    {'text': '[PLATE]', 'age': 31, 'contact': '[PHONE]', 'other': '[PHONE]', 'tags': ['[EMAIL]']}
    """
    return {name: _masked(value) for name, value in row.items()}


def find(text: str) -> list[Found]:
    """Every piece of personal data in a text, from left to right; where two rules claim a place, the stricter one wins.

    >>> find("京A12345 10.0.0.1")
    [Found(start=0, end=7, kind='PLATE'), Found(start=8, end=16, kind='IP')]
    """
    # Each sign becomes one other, so that places stay the same.
    if _WIDE.search(text):
        text = text.translate(_NARROW)
    if not text.isascii():
        text = _DASH.sub("-", text)
    kept: list[Found] = []
    taken = bytearray(len(text))
    for found in _claims(text):
        if not any(taken[found.start : found.end]):
            taken[found.start : found.end] = b"\1" * (found.end - found.start)
            kept.append(found)
    return sorted(kept)


def _claims(text: str) -> Iterator[Found]:
    """What each rule finds, rules with a checksum first."""
    # Nearly all of them begin with a row of digits, so those are looked for once and for all.
    rows = [match.span() for match in _DIGITS.finditer(text)]
    yield from _emails(text)
    if _DENSE.search(text):
        yield from _identities(text, rows)
        yield from _cards(text, rows)
    yield from _ipv6(text)
    yield from _ipv4(text, rows)
    yield from _plates(text, rows)
    if _DENSE.search(text):
        yield from _phones(text, rows)


def _emails(text: str) -> Iterator[Found]:
    # From the @ outwards: to look for what may stand before it at every place of a long text would be slow.
    at, end = text.find("@"), 0
    while at >= 0:
        # Signs that may stand between two addresses may also stand in one, so none begins in the one before.
        mailbox = _MAILBOX.search(text, max(end, at - 64), at)
        domain = _DOMAIN.match(text, at + 1) if mailbox else None
        if mailbox and domain and domain[1].lower() not in _FILES:
            end = domain.end()
            yield Found(mailbox.start(), end, "EMAIL")
        at = text.find("@", at + 1)


def _identities(text: str, rows: Rows) -> Iterator[Found]:
    for start, end in rows:
        if end - start == 3 and (match := _SECURITY.match(text, start)):
            yield Found(*match.span(), "ID")
        if end - start not in (6, 17, 18) or (match := _IDENTITY.match(text, start)) is None:
            continue
        region, year, month, day, rest = match.groups()
        if int(region[:2]) in _PROVINCES and _is_date(year, month, day):
            signs = region + year + month + day + rest
            total = sum(int(sign) * weight for sign, weight in zip(signs, _WEIGHTS, strict=False))
            if "10X98765432"[total % 11] == rest[-1].upper():
                yield Found(*match.span(), "ID")


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        return date(int(year), int(month), int(day)) <= date.today()
    except ValueError:
        return False


def _cards(text: str, rows: Rows) -> Iterator[Found]:
    for start, end in rows:
        if end - start < 4 or (match := _CARD.match(text, start)) is None:
            continue
        if _is_card(match[0]):
            yield Found(*match.span(), "CARD")
        elif match["gap"] and _is_card(match[0][:19]):
            # Four groups of four, and behind them a number of its own, as the one on the back of the card.
            yield Found(start, start + 19, "CARD")


def _is_card(written: str) -> bool:
    digits = [int(sign) for sign in written if sign.isdigit()]
    prefix = int("".join(map(str, digits[:6])))
    if not any(prefix in prefixes and len(digits) in lengths for prefixes, lengths in _SCHEMES):
        return False
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def _ipv4(text: str, rows: Rows) -> Iterator[Found]:
    for start, end in rows if text.count(".") > 2 else ():
        if text[end : end + 1] != "." or (match := _IPV4.match(text, start)) is None:
            continue
        before = text[max(0, start - 12) : start]
        # Four single digits are a section, a version or a dental formula, unless somebody says otherwise.
        short = len(match[0]) == 7 and len(set(match[0])) > 2 and _CALLED_IP.search(before) is None
        if not short and _NUMBERED.search(before) is None:
            yield Found(*match.span(), "IP")


def _ipv6(text: str) -> Iterator[Found]:
    for match in _IPV6.finditer(text) if ":" in text else ():
        # A colon may stand before it that is none of its own.
        for start in (0, 1) if match[0].startswith(":") else (0,):
            if len(match[0]) > 3 and _is_ipv6(match[0][start:]):
                yield Found(match.start() + start, match.end(), "IP")
                break


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _plates(text: str, rows: Rows) -> Iterator[Found]:
    for match in _PLATE.finditer(text) if not text.isascii() else ():
        number = _PLATE_GAP.sub("", match[0][2:])
        enough = sum(sign.isdigit() for sign in number) >= 2
        if enough and (len(number) == 5 or _NEW_ENERGY.fullmatch(number)):
            yield Found(*match.span(), "PLATE")
    for start, end in rows:
        # Two digits tell the half year: 02 to 49 from March, 51 to 99 from September.
        dated = end - start == 2 and start > 1 and text[start:end] not in ("00", "01", "50")
        if dated and (match := _BRITISH.match(text, start - 2)):
            yield Found(*match.span(), "PLATE")


def _phones(text: str, rows: Rows) -> Iterator[Found]:
    for start, end in rows:
        # A plus or a parenthesis may stand before the first digit, or both.
        before = start
        while before and start - before < 2 and text[before - 1] in "+(":
            before -= 1
        for place in range(before, start + 1):
            if match := _PHONE.match(text, place):
                if 7 <= sum(sign.isdigit() for sign in match[0]) <= 20:
                    yield Found(*match.span(), "PHONE")
                break
        else:
            called = end - start >= 3 and _CALLED_PHONE.search(text[max(0, start - 20) : start])
            if called and (match := _LOCAL_PHONE.match(text, start)):
                yield Found(*match.span(), "PHONE")


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if _is_long(value):
        text = str(int(value))
        hidden = mask(text)
        return value if hidden == text else hidden
    if isinstance(value, Mapping):
        return mask_row(value)
    return [_masked(inner) for inner in value] if isinstance(value, list | tuple) else value


def _is_long(value: Any) -> bool:
    """Whether a number is whole and long enough to be somebody's; tensors and tables hold such numbers as floats."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) >= 10**9:
        return False
    return isinstance(value, int) or value.is_integer()
