"""Amounts in words: what is understood, and that nothing else is."""

import re

import pytest

from lingqu.spec.amounts import BYTES, MILLISECONDS, Limit, labels, pause, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10 min", 600),
        ("90s", 90),
        ("2 h", 7200),
        ("1.5 hours", 5400),
        ("10 分钟", 600),
        ("2小时", 7200),
        ("1 天", 86400),
    ],
)
def test_lengths_of_time(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["10", "min", "-5 min", "0 s", "1e9 s", "ten min", "5 min 3 s", "٣ min", "nan s"])
def test_no_lengths_of_time(text):
    with pytest.raises(ValueError, match=re.escape(text)):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "units", "sense", "value", "written"),
    [
        (">=0.85", None, ">=", 0.85, ">= 0.85"),
        ("≥ 85 %", None, ">=", 0.85, ">= 85 %"),
        ("<= -1.5", None, "<=", -1.5, "<= -1.5"),
        ("<= 1e-3", None, "<=", 0.001, "<= 1e-3"),
        ("<= 20 ms", MILLISECONDS, "<=", 20, "<= 20 ms"),
        ("<= 0.02s", MILLISECONDS, "<=", 20, "<= 0.02 s"),
        ("<= 50 MB", BYTES, "<=", 50e6, "<= 50 MB"),
        ("<= 1 GiB", BYTES, "<=", 2**30, "<= 1 GiB"),
    ],
)
def test_limits(text, units, sense, value, written):
    limit = Limit.parse("m", text, units) if units else Limit.parse("m", text)
    assert (limit.sense, limit.text) == (sense, written)
    assert limit.value == pytest.approx(value)
    assert Limit.parse("m", limit.text, units or {"": 1.0, "%": 0.01}) == limit


@pytest.mark.parametrize("text", ["0.85", "> 0.85", ">= x", ">= 0.8 ms", "== 1", ">= inf", ">= 1e400"])
def test_no_limits(text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Limit.parse("m", text)


def test_a_limit_holds_on_its_own_value():
    assert Limit.parse("f1", ">= 0.85").holds(0.85)
    assert not Limit.parse("f1", ">= 0.85").holds(0.8499)
    assert not Limit.parse("f1", "<= 0.85").holds(float("nan"))


@pytest.mark.parametrize(("text", "expected"), [("200 new labels", 200), ("1 label", 1), ("50条新标注", 50)])
def test_label_counts(text, expected):
    assert labels(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("1 per day", 86400), ("2/week", 302400), ("3 per hour", 1200), ("1次/天", 86400)]
)
def test_rates(text, expected):
    assert pause(text) == expected


@pytest.mark.parametrize("text", ["0 per day", "per day", "1 per fortnight", "1 day"])
def test_no_rates(text):
    with pytest.raises(ValueError, match=re.escape(text)):
        pause(text)
