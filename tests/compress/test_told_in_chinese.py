"""Every reason that a step gives is recognised by the report's Chinese."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import lingqu.compress
from lingqu.compress.head import NO_HEAD
from lingqu.compress.quantise import NOTHING
from lingqu.evaluate.translation import Words

ZH = Words("zh")
GAIN = "1.9 times smaller and no cost that the test can see (p = 0.25)"


def refusals() -> set[str]:
    """What is said, in plain words, where a step is not kept."""
    found = {NO_HEAD, NOTHING}
    for file in Path(lingqu.compress.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Comparison"
            if called and len(node.args) > 2 and isinstance(node.args[2], ast.Constant):
                found.add(str(node.args[2].value))
    return found


def test_why_a_step_is_not_tried_is_known() -> None:
    assert len(refusals()) >= 5
    assert [sentence for sentence in refusals() if ZH.told(sentence) == sentence] == []


@pytest.mark.parametrize(
    "sentence",
    [
        GAIN,
        GAIN.replace("smaller", "faster"),
        f"{GAIN}; 32 of 64 hidden units in 1 layers left out",
        f"{GAIN}; 4 of 8 heads of attention in 2 layers left out",
        "no layer of this model has heads of attention to spare",
        "no layer of this model has hidden units to spare",
        "it is not faster; 42% of the rows go on to bilstm, the rest stay with ngram-linear",
        f"{GAIN}; ngram-linear learned from 1,000 rows without labels",
        f"{GAIN}; ngram-linear learned from 1,000 rows without labels (loss 0.12, from the labels alone 0.13)",
        "training texts need 96% of the vocabulary",
        "training texts get other logits (by 0.5)",
        "log loss on validation rows 0.4998 before, 0.4996 after",
        "mean error on validation rows 0.4998 before, 0.4996 after",
    ],
)
def test_what_a_step_says_is_told_in_chinese(sentence: str) -> None:
    left = set(re.findall(r"[A-Za-z]{2,}", ZH.told(sentence)))
    assert left <= {"bilstm", "ngram", "linear"}, left
