"""The reference pages are what the settings say, and every setting says something."""

import subprocess
import sys
from pathlib import Path

import pytest

from lingqu.spec import Spec, json_schema, settings_table, show
from lingqu.spec.schema import reference_page, reference_schema
from lingqu.spec.words import words

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
MAKE = "Write it anew: python -c 'from lingqu.spec.schema import *; print({0}(), end=\"\")' > docs/reference/{1}"


@pytest.mark.parametrize(("name", "make"), [("settings.md", reference_page), ("spec.schema.json", reference_schema)])
def test_committed_pages_are_the_generated_ones(name, make):
    assert (REFERENCE / name).read_text(encoding="utf-8") == make(), MAKE.format(make.__name__, name)


def test_every_setting_has_one_sentence():
    for row in settings_table():
        assert row.about.endswith("."), row
        assert len(row.about) <= 100, row
        assert row.takes, row


def test_every_setting_is_shown_with_its_sentence():
    text = show(Spec(name="a", task="t", data={"source": "a.csv"}))  # type: ignore[arg-type]
    for row in settings_table():
        if row.name != "gates.METRIC":
            assert f"{row.name.rsplit('.', 1)[-1]}: " in text
            assert row.about in text
    assert max(len(line) for line in text.splitlines()) <= 140


def test_the_schema_is_closed_but_for_names():
    schema = json_schema()
    closed = {name: group.get("additionalProperties") for name, group in schema["$defs"].items()}
    assert {name for name, extra in closed.items() if extra is not False} == {"GateSettings"}
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name", "task", "data"]


def test_words_for_ranges():
    assert words({"type": "integer"}) == "a whole number"
    assert words({"type": "number", "minimum": 0, "exclusiveMaximum": 1}) == "a number at least 0 and below 1"
    assert (
        words({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
        == "text or a list of them"
    )
    assert words({"type": "array", "items": {"type": "string"}}) == "a list"
    assert words({}) == "anything"


def test_importing_the_spec_loads_nothing_heavy():
    code = (
        "import sys, lingqu.spec, lingqu.spec.synonyms;"
        "assert 'pydantic' not in sys.modules;"
        "lingqu.spec.load_spec; heavy = {'torch', 'numpy', 'sklearn', 'pyarrow'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_public_name():
    import lingqu.spec

    with pytest.raises(AttributeError, match="no attribute 'Spek'"):
        lingqu.spec.Spek  # noqa: B018
    assert all(getattr(lingqu.spec, name) for name in lingqu.spec.__all__)
