"""Sentences with personal data of every form that is masked, and sentences that only look like it; seeded.

Written from the standards (GB 11643, ISO/IEC 7812, E.164, GA 36, RFC 4291), without a look at the rules that are tried.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from datetime import date, timedelta

Item = tuple[str, str, int, int]
"""A sentence, the kind of what is hidden in it ("" for nothing), and where that begins and ends."""

CHINESE = (
    "请联系{}", "我的信息是{}，谢谢。", "{}是我的", "客户留下了：{}", "登记（{}）已完成", "资料{}请核对", "您好，{}，麻烦尽快处理！",
    "备注:{};加急", "上面写着“{}”", "收到{}的投诉",
)  # fmt: skip
ENGLISH = (
    "Please use {} for this.", "Mine is {}", "{} is on file.", "The customer left: {}; call back.", "Contact ({}) was updated",
    "It says \"{}\" here", "see {}, thanks", "Data: {}.", "We got {} from the form!", "old={} new=none",
)  # fmt: skip


def luhn(body: str) -> str:
    total = sum(int(c) if i % 2 else sum(divmod(2 * int(c), 10)) for i, c in enumerate(reversed(body)))
    return body + str(-total % 10)


def identity(draw: random.Random) -> str:
    region = draw.choice(
        ("110105", "310115", "440305", "510107", "330106", "420111", "610113", "230103", "650102", "820000")
    )
    born = date(1930, 1, 1) + timedelta(days=draw.randrange(34_000))
    body = f"{region}{born:%Y%m%d}{draw.randrange(1000):03d}"
    # GB 11643: weights are powers of two modulo 11.
    check = (12 - sum(int(c) * pow(2, 17 - i, 11) for i, c in enumerate(body))) % 11
    number = body + "0123456789X"[check]
    return draw.choice((number, number, number.lower(), f"{number[:6]} {number[6:14]} {number[14:]}", wide(number)))


def security(draw: random.Random) -> str:
    return f"{draw.randrange(1, 666):03d}-{draw.randrange(1, 100):02d}-{draw.randrange(1, 10_000):04d}"


def card(draw: random.Random) -> str:
    prefix, length = draw.choice(
        (("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("37", 15), ("622848", 19), ("621700", 19), ("625", 16),
         ("3530", 16), ("6011", 16), ("622202", 19), ("436742", 16))
    )  # fmt: skip
    number = luhn(prefix + "".join(str(draw.randrange(10)) for _ in range(length - 1 - len(prefix))))
    if length == 15:
        return draw.choice((number, f"{number[:4]} {number[4:10]} {number[10:]}"))
    gap = draw.choice(("", "", " ", "-"))
    return gap.join(number[i : i + 4] for i in range(0, length, 4))


def mobile(draw: random.Random) -> str:
    number = f"1{draw.choice('3456789')}{draw.randrange(10**9):09d}"
    a, b, c = number[:3], number[3:7], number[7:]
    forms = (number, number, number, f"{a}-{b}-{c}", f"{a} {b} {c}", f"+86 {number}", f"+86{number}", f"0086-{number}",
             f"+86 {a} {b} {c}", f"(+86){number}", f"86-{number}", wide(number))  # fmt: skip
    return draw.choice(forms)


def fixed(draw: random.Random) -> str:
    area = draw.choice(("010", "021", "022", "0571", "0755", "0731", "0898"))
    number = f"{draw.randrange(2, 9)}{draw.randrange(10**7):07d}"
    forms = (f"{area}-{number}", f"({area}){number}", f"{area} {number}", f"({area}) {number}", f"{area}-{number[:4]}-{number[4:]}",
             f"{area}-{number}转{draw.randrange(100, 9999)}", f"+86 {area[1:]} {number[:4]} {number[4:]}",
             f"400-{draw.randrange(1000):03d}-{draw.randrange(10_000):04d}")  # fmt: skip
    return draw.choice(forms)


def american(draw: random.Random) -> str:
    area, exchange, line = (
        f"{draw.randrange(2, 10)}{draw.randrange(100):02d}",
        draw.randrange(200, 1000),
        draw.randrange(10_000),
    )
    forms = (f"({area}) {exchange}-{line:04d}", f"{area}-{exchange}-{line:04d}", f"{area}.{exchange}.{line:04d}",
             f"+1 {area} {exchange} {line:04d}", f"+1-{area}-{exchange}-{line:04d}", f"1-{area}-{exchange}-{line:04d}",
             f"+1{area}{exchange}{line:04d}", f"+1 ({area}) {exchange}-{line:04d}")  # fmt: skip
    return draw.choice(forms)


def abroad(draw: random.Random) -> str:
    def n(digits: int) -> str:
        return (
            f"{draw.randrange(1, 10)}{draw.randrange(10 ** (digits - 1)):0{digits - 1}d}"
            if digits > 1
            else str(draw.randrange(1, 10))
        )

    forms = (f"+44 20 {n(4)} {n(4)}", f"07700 {n(6)}", f"07{n(9)}", f"020 {n(4)} {n(4)}", f"+44 7{n(3)} {n(6)}", f"+33 {n(1)} {n(2)} {n(2)} {n(2)} {n(2)}",
             f"+49 30 {n(6)}", f"+81 3-{n(4)}-{n(4)}", f"+91 {n(5)} {n(5)}", f"+852 {n(4)} {n(4)}", f"+65{n(8)}", f"+61 4{n(2)} {n(3)} {n(3)}",
             f"01632 {n(6)}", f"+44 (0)20 {n(4)} {n(4)}", f"+886-9{n(2)}-{n(3)}-{n(3)}")  # fmt: skip
    return draw.choice(forms)


def email(draw: random.Random) -> str:
    name = draw.choice(
        ("anna", "li.wei", "zhang_san", "j.doe+news", "wang-88", "x", "Support.Team", "o'neil", "1380013", "a.b.c.d")
    )
    host = draw.choice(
        (
            "qq.com",
            "163.com",
            "example.org",
            "mail.example.co.uk",
            "uni-bonn.de",
            "a.io",
            "sub.dept.gov.cn",
            "EXAMPLE.COM",
        )
    )
    return f"{name}{draw.choice(('', str(draw.randrange(1000))))}@{host}"


def address(draw: random.Random) -> str:
    if draw.random() < 0.6:
        return str(ipaddress.IPv4Address(draw.randrange(1 << 24, 224 << 24)))
    number = ipaddress.IPv6Address(
        draw.choice((0x2001_0DB8 << 96, 0xFE80 << 112, 0x2400_3200 << 96)) + draw.randrange(1 << 60)
    )
    return draw.choice(
        (
            str(number),
            number.exploded,
            str(number).upper(),
            f"::ffff:{ipaddress.IPv4Address(draw.randrange(1 << 24, 224 << 24))}",
        )
    )


def plate(draw: random.Random) -> str:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    head = draw.choice("京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼") + draw.choice("ABCDEFGHJ")
    body = [str(draw.randrange(10)) for _ in range(5)]
    for place in draw.sample(range(5), draw.choice((0, 0, 1, 2))):
        body[place] = draw.choice(letters)
    green = draw.choice(
        (f"{draw.choice('DF')}{draw.randrange(10**5):05d}", f"{draw.randrange(10**5):05d}{draw.choice('DF')}")
    )
    number = draw.choice(("".join(body), "".join(body), green))
    return head + draw.choice(("", "", "·", " ")) + number


def british(draw: random.Random) -> str:
    area = draw.choice(("AB", "LK", "WX", "SN", "BD", "KP"))
    year = draw.choice((draw.randrange(2, 27), draw.randrange(51, 77)))
    return (
        f"{area}{year:02d}{draw.choice((' ', ''))}{''.join(draw.choice('ABCDEFGHJKLMNPRSTUVWXYZ') for _ in range(3))}"
    )


def wide(text: str) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) for sign in text)


POSITIVE: tuple[tuple[str, Callable[[random.Random], str], tuple[str, ...]], ...] = (
    ("PHONE", mobile, CHINESE), ("PHONE", fixed, CHINESE), ("PHONE", american, ENGLISH), ("PHONE", abroad, ENGLISH),
    ("PHONE", mobile, ENGLISH), ("ID", identity, CHINESE), ("ID", identity, ENGLISH), ("ID", security, ENGLISH),
    ("CARD", card, CHINESE), ("CARD", card, ENGLISH), ("EMAIL", email, CHINESE), ("EMAIL", email, ENGLISH),
    ("IP", address, CHINESE), ("IP", address, ENGLISH), ("PLATE", plate, CHINESE), ("PLATE", plate, ENGLISH),
    ("PLATE", british, ENGLISH),
)  # fmt: skip


def harmless(draw: random.Random) -> str:
    def n(digits: int) -> str:
        return f"{draw.randrange(10**digits):0{digits}d}"

    moment = f"2026-{draw.randrange(1, 13):02d}-{draw.randrange(1, 29):02d}"
    forms = (
        f"{moment} {n(2)}:{n(2)}:{n(2)}", f"订单号{moment.replace('-', '')}{n(12)}", f"order {moment.replace('-', '')}{n(8)}", f"¥{n(5)}.{n(2)}",
        f"${draw.randrange(1, 999)},{n(3)}.{n(2)}", f"version {draw.randrange(20)}.{draw.randrange(20)}.{draw.randrange(20)}.{draw.randrange(20)}",
        f"v{draw.randrange(9)}.{n(2)}.{n(1)}.{n(1)}", f"build 10.0.19045.{n(4)}", f"版本{draw.randrange(9)}.{n(1)}.{n(1)}.{n(1)}", f"{n(8)}", f"{n(9)}",
        f"SF{n(13)}", f"1Z999AA1{n(10)}", f"978-7-{n(3)}-{n(5)}-{n(1)}", "".join(draw.choice("0123456789abcdef") for _ in range(40)),
        f"{n(8)}-{n(4)}-4{n(3)}-a{n(3)}-{n(12)}", ":".join(n(2) for _ in range(6)), ":".join(f"{draw.randrange(256):02X}" for _ in range(6)),
        f"{draw.randrange(90)}.{n(6)}, {draw.randrange(180)}.{n(6)}", "拨打10086", "dial 110 or 911", f"{n(2)}%", f"3.1{n(10)}", f"QQ {n(9)}",
        f"{draw.randrange(1990, 2026)}-{draw.randrange(1990, 2027)}", "std::vector<int>", "@anna on the forum", f"icon@{draw.randrange(1, 4)}x.png",
        f"chapter {draw.randrange(9)}.{n(1)}.{n(1)}", f"第{draw.randrange(9)}.{n(1)}.{n(1)}.{n(1)}节", f"RTX{n(4)}", f"{n(4)}x{n(4)} px", f"ISO {n(4)}-{n(1)}:20{n(2)}",
        f"17{n(8)}", f"1732{n(9)}", f"身高1{n(2)}厘米体重{n(2)}公斤", f"{n(5)}-{n(4)}", f"室号{n(4)}", f"新款A{n(2)}手机", f"京东方A{n(1)}", f"Flight CA{n(4)} seat {n(2)}A",
        f"IMEI 35{n(13)}", f"批号{n(6)}{n(6)}", f"{n(3)}/{n(3)} passed", f"port {n(5)}", f"69{n(11)}", f"编号NO.{n(10)}", f"1{n(1)} 3{n(1)} 5{n(2)} 7{n(2)} 9{n(3)}",
        f"0.{n(16)}", f"1.{n(15)}e-{n(1)}", f"比分{n(1)}-{n(1)}", f"{n(2)}:{n(2)}", f"{n(17)}", f"00{n(16)}",
    )  # fmt: skip
    return draw.choice(forms)


def items(count: int, seed: int) -> list[Item]:
    """So many sentences that hide something, and as many that do not."""
    draw = random.Random(seed)
    made: list[Item] = []
    for index in range(count):
        kind, maker, sentences = POSITIVE[index % len(POSITIVE)]
        hidden, sentence = maker(draw), draw.choice(sentences)
        begin = sentence.index("{}")
        made.append((sentence.replace("{}", hidden), kind, begin, begin + len(hidden)))
        sentence = draw.choice((*CHINESE, *ENGLISH))
        made.append((sentence.replace("{}", harmless(draw)), "", 0, 0))
    return made
