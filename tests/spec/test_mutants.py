"""A hundred broken specs: each is refused with the line, before anything else happens."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lingqu.errors import SpecError
from lingqu.spec import load_spec, settings_table
from lingqu.spec.synonyms import ACCEPTED, TARGET_WORDS

GOOD = """\
name: ticket-router
task: text-classification
data:
  source: tickets.csv
  columns:
    text: message
    label: queue
  encoding: auto
  split:
    validation: 0.1
    test: 0.2
  max_bad: 0.01
  near_duplicates: true
size: small
budget: 10 min
model: [cnn, mlp]
train:
  epochs: 3
  learning_rate: 0.001
  class_weights: balanced
gates:
  f1: ">= 0.85"
  latency_p95: "<= 20 ms"
  margin: 0.01
serve:
  port: 8000
improve:
  after: 200 new labels
  promote: ask
"""
LINES = GOOD.splitlines()
KEYS = [i for i, line in enumerate(LINES) if ":" in line]
GROUPS = [i for i in KEYS if LINES[i].endswith(":")]
LEAVES = [i for i in KEYS if i not in GROUPS]
METRICS = ["accuracy", "f1"]
WORDS = {part for row in settings_table() for part in row.name.split(".")} | {"text", "label", *METRICS, *TARGET_WORDS}
WORDS |= {word for words in ACCEPTED.values() for word in words} | {"text_column", "image_column"}

LETTERS = "abcdefghijklmnopqrstuvwxyz_"
WRONG = ["[[1]]", "{odd: {a: 1}}", "-77", "99999999999", "~", "''", ".nan", "true\x7f"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mutants")
    (folder / "tickets.csv").write_text("message,queue\n")
    return folder


@st.composite
def mutants(draw) -> tuple[str, int]:
    """A broken spec and the line on which it was broken."""
    how = draw(st.sampled_from([typo, wrong_type, unknown, bad_path, cycle, twice, torn, tag]))
    lines, index = how(draw, list(LINES))
    return "\n".join(lines) + "\n", index + 1


def typo(draw, lines):
    index = draw(st.sampled_from(KEYS))
    key = lines[index].split(":")[0].strip()
    at = draw(st.integers(0, len(key) - 1))
    changed = draw(
        st.sampled_from([key[:at] + key[at + 1 :], key[:at] + key[at] * 2 + key[at + 1 :], key[:at] + "q" + key[at:]])
    )
    assume(changed and changed not in WORDS)
    lines[index] = lines[index].replace(f"{key}:", f"{changed}:", 1)
    return lines, index


def wrong_type(draw, lines):
    index = draw(st.sampled_from(LEAVES))
    key = lines[index].split(":")[0]
    wrong = draw(st.sampled_from(WRONG))
    # Nothing is what these have when they are left out.
    assume(wrong != "~" or key.strip() not in ("epochs", "learning_rate", "class_weights", "latency_p95"))
    lines[index] = f"{key}: {wrong}"
    return lines, index


def unknown(draw, lines):
    index = draw(st.sampled_from([i for i in GROUPS if "columns" not in lines[i]]))
    word = draw(st.text(LETTERS, min_size=3, max_size=12))
    assume(word not in WORDS)
    indent = " " * (len(lines[index]) - len(lines[index].lstrip()) + 2)
    lines.insert(index + 1, f"{indent}{word}: 1")
    return lines, index + 1


def bad_path(draw, lines):
    name = draw(st.text(LETTERS + "/.${}", min_size=1, max_size=20))
    assume(name.strip("./") and name.strip("/.") != "tickets.csv" and "//" not in name)
    lines[3] = f"  source: 'missing-{name}'"
    return lines, 3


def cycle(draw, lines):
    index = draw(st.sampled_from(LEAVES))
    key = lines[index].split(":")[0]
    lines[index] = f"{key}: " + draw(st.sampled_from(["&a [*a]", "&a {b: *a}", "*a", "&a 1"]))
    return lines, index


def twice(draw, lines):
    index = draw(st.sampled_from(LEAVES))
    lines.insert(index + 1, lines[index])
    return lines, index + 1


def torn(draw, lines):
    index = draw(st.sampled_from(LEAVES))
    key = lines[index].split(":")[0]
    lines[index] = f"{key}: " + draw(st.sampled_from(["]", "}", "@x", "`x", "%x", "a: b: c", "'a' b"]))
    return lines, index


def tag(draw, lines):
    index = draw(st.sampled_from(LEAVES))
    lines[index] = lines[index].replace(": ", ": " + draw(st.sampled_from(["!x ", "!!str ", "!!python/name:os "])), 1)
    return lines, index


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(mutant=mutants())
@pytest.mark.heavy
def test_each_is_refused_with_its_line(mutant, folder):
    text, line = mutant
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_spec(path, tasks={"text-classification": ["text", "label"]}, metrics=METRICS, models=["cnn", "mlp"])
    assert caught.value.exit_status == 2
    places = [problem.where for problem in caught.value.problems]
    assert all(re.fullmatch(rf"{re.escape(str(path))}:\d+", place) for place in places)
    assert f"{path}:{line}" in places, str(caught.value)


def test_the_unbroken_one_is_accepted(folder):
    (folder / "good.yaml").write_text(GOOD)
    assert load_spec(folder / "good.yaml", metrics=METRICS, models=["cnn", "mlp"]).budget_seconds == 600


MARKS = [*"[]{}:,&*!|>'\"%@`#-?~\n\t\0\x85\ufeff中😀\\", "---\n", "? ", "<<: ", "!!x ", "&a ", "*a ", "1e9999"]


@settings(max_examples=100, deadline=None)
@given(cuts=st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 30), st.sampled_from(MARKS)), max_size=4))
@pytest.mark.heavy
def test_no_text_causes_another_error(cuts, folder):
    text = GOOD
    for start, length, mark in cuts:
        text = text[:start] + mark + text[start + length :]
    try:
        load_spec(text + "\n", metrics=METRICS, models=["cnn", "mlp"], folder=folder)
    except SpecError as error:
        assert all(problem.where.startswith("spec:") for problem in error.problems)
