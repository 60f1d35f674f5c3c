"""Two versions side by side: the paired test, every metric of both, what changed, on page, terminal and as JSON."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.errors import GateError, RequestError
from lingqu.evaluate.side_by_side import side_by_side
from lingqu.evaluate.unseen import data_of
from lingqu.loop import check, run
from lingqu.metrics import METRICS
from lingqu.registry import Registry
from lingqu.store import Store
from tests.conftest import Lingqu, as_json, write_csv
from tests.evaluate.test_page import read

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def _twice(tmp_path_factory: pytest.TempPathFactory, _ran_once: Path) -> Path:
    """Two versions of one model, the second with more n-grams."""
    folder = tmp_path_factory.mktemp("twice")
    shutil.copytree(_ran_once, folder, dirs_exist_ok=True)
    spec = check(folder / "lingqu.yaml")
    run(spec.model_copy(update={"size": "small"}), store=Store.open(folder / ".lingqu"))
    return folder


@pytest.fixture
def twice(tmp_path: Path, _twice: Path) -> Path:
    shutil.copytree(_twice, tmp_path, dirs_exist_ok=True)
    return tmp_path


def compared(folder: Path, new: int = 2, old: int = 1) -> dict[str, Any]:
    store = Store.open(folder / ".lingqu")
    registry = Registry(store)
    return side_by_side(registry.get(f"kinds@{new}"), registry.get(f"kinds@{old}"), store)


def test_what_one_leads_the_other_lags(twice: Path) -> None:
    there, back = compared(twice), compared(twice, 1, 2)
    assert there["rows"] == back["rows"] > 30
    assert there["test"]["p"] == pytest.approx(back["test"]["p"])
    assert (there["mended"]["rows"], there["broken"]["rows"]) == (back["broken"]["rows"], back["mended"]["rows"])
    assert there["mended"]["rows"] + there["broken"]["rows"] + there["same"] == there["rows"]
    for name, one in there["metrics"].items():
        assert (one["lead"]["value"] or 0) == pytest.approx(-(back["metrics"][name]["lead"]["value"] or 0))
        sign = 1 if one["higher_is_better"] else -1
        assert one["lead"]["value"] == pytest.approx(sign * (one["new"]["value"] - one["old"]["value"]))
    for one in there["metrics"]["ece"].values():
        assert not isinstance(one, dict) or (one["low"], one["why"]) == (None, METRICS["ece"].no_interval)


def test_a_version_does_not_differ_from_itself(twice: Path) -> None:
    same = compared(twice, 1, 1)
    assert same["test"]["p"] == 1.0
    assert same["same"] == same["rows"]
    assert {one["lead"]["value"] for one in same["metrics"].values()} == {0.0}
    assert np.allclose([one["p"] for one in same["slices"]], 1.0)


def test_the_command_line_shows_both(twice: Path, lingqu: Lingqu) -> None:
    told = lingqu("show", "kinds@2", "--against", "kinds@1")
    assert told.returncode == 0, told.stderr
    assert "kinds@2" in told.stdout
    assert re.search("apart: the lead in F1|apart in F1|in F1 on", told.stdout)
    found = as_json(lingqu("show", "kinds@2", "--against", "kinds@1", "--json"))
    assert set(found["test"]) - {"why"} == {"metric", "test", "p", "value", "low", "high"}
    assert lingqu("show", "kinds@2", "--against", "kinds@1", "--language", "zh", "-o", "both.html").returncode == 0
    text = read((twice / "both.html").read_text()).text
    assert "kinds@2" in text
    assert "质量" in text
    assert "Quality" not in text


def test_one_version_as_a_page(twice: Path, lingqu: Lingqu) -> None:
    assert lingqu("show", "kinds@1", "-o", "one.html", "--language", "en").stdout == "The report is in one.html.\n"
    assert "Quality" in read((twice / "one.html").read_text()).text


def test_versions_of_two_tasks_are_not_compared(twice: Path) -> None:
    store = Store.open(twice / ".lingqu")
    one, two = (Registry(store).get(f"kinds@{number}") for number in (1, 2))
    with pytest.raises(RequestError) as refused:
        side_by_side(one, replace(two, task="image-classification"), store)
    assert str(refused.value) == (
        "Expected two versions of one task, found text-classification and image-classification. "
        "Compare versions of the same name."
    )


def test_rows_that_the_old_one_trained_on_judge_nobody(twice: Path) -> None:
    store = Store.open(twice / ".lingqu")
    old = Registry(store).get("kinds@1")
    seen = data_of(old, store).rows("train", store).take(range(60))
    write_csv(twice / "seen.csv", seen.select(["text", "label"]))
    data = {
        "source": {"train": str(twice / "rows.csv"), "test": str(twice / "seen.csv")},
        "columns": {"text": "text", "label": "label"},
        "near_duplicates": False,
    }
    spec = check(twice / "lingqu.yaml").model_dump(mode="json", exclude_none=True)
    run({**spec, "name": "other", "data": data}, store=store)
    with pytest.raises(GateError) as refused:
        side_by_side(Registry(store).get("other@1"), old, store)
    assert str(refused.value) == (
        "Expected test rows that kinds@1 was not trained on, found none. "
        "Keep data.seed and data.split as they were, or bring fresh test rows."
    )
