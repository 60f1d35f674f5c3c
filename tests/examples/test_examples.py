"""Each example is whole: a spec that is right, rows made by us, a page in two languages. What it says is run with the pages."""

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.conftest import Lingqu, as_json
from tests.docs.page import ROOT

EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
NAMES = ["chest-xray", "credit-scoring", "handwritten-digits", "house-prices", "news-topics", "review-sentiment"]


def test_they_are_all_there() -> None:
    assert [example.name for example in EXAMPLES] == NAMES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_its_spec_is_right_and_its_pages_are_there(example: Path, lingqu: Lingqu) -> None:
    told = as_json(lingqu("check", "--json", cwd=example))
    assert told["name"] == example.name
    assert told["rows"] >= 90
    assert told["quarantined"] == 0
    assert not [one for one in told["findings"] if one["level"] == "warning"]
    for page in ("README.md", "README.zh-CN.md"):
        assert (example / page).is_file()
    assert sum(file.stat().st_size for file in example.iterdir() if file.is_file()) < 150_000


def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{file.parent.name.replace('-', '_')}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("example", "file"), [("handwritten-digits", "digits.npz"), ("chest-xray", "lungs.npz")])
def test_pictures_are_those_that_the_script_draws(example: str, file: str) -> None:
    folder = ROOT / "examples" / example
    drawn = _module(folder / "draw.py").draw()
    with np.load(folder / file) as kept:
        assert np.array_equal(kept["y"], drawn["y"])
        # Another Pillow may round a pixel differently.
        assert np.abs(kept["x"].astype(int) - drawn["x"]).max() <= 2


@pytest.mark.parametrize(("example", "file"), [("credit-scoring", "loans.csv"), ("house-prices", "houses.csv")])
def test_tables_are_those_that_the_script_makes(example: str, file: str) -> None:
    folder = ROOT / "examples" / example
    made = _module(folder / "make.py").make()
    with (folder / file).open(encoding="utf-8", newline="") as kept:
        assert list(csv.DictReader(kept)) == [{name: str(cell) for name, cell in row.items()} for row in made]
