"""With many rows a recipe is tried on a part of them first, and climbed only when that foretells a gain."""

import pytest

from lingqu.loop import check, run
from lingqu.stages import Stages
from lingqu.store import Store
from lingqu.tasks import find_task
from lingqu.train.ladder import forecast, pays
from tests.conftest import write_csv


@pytest.mark.heavy
def test_a_recipe_that_should_not_pay_is_not_climbed_and_says_why(tmp_path):
    write_csv(tmp_path / "rows.csv", find_task("tabular-classification").toy(7000))
    spec = {
        "name": "kinds",
        "task": "tabular-classification",
        "data": {"source": str(tmp_path / "rows.csv"), "columns": {"label": "label"}},
        "size": "tiny",
        "compress": {"quantise": "none"},
    }
    store = Store.open(tmp_path / ".lingqu")
    result = run(spec, store=store)
    climbed = [rung["recipe"] for rung in result["ladder"]]
    assert [told["recipe"] for told in result["pilots"]] == climbed
    assert set(climbed) | {told["recipe"] for told in result["skipped"]} == {"logistic", "boosting", "blend", "mlp"}
    assert climbed[0] == "logistic"
    for told in [*result["pilots"], *result["skipped"]]:
        small, large = told["points"]
        assert large["rows"] == pytest.approx(2 * small["rows"], abs=1)
        assert told["error"] <= large["error"]
    assert all("a pilot foretells" in told["why"] for told in result["skipped"])
    # What a pilot took is of the budget too, also when its result was already there.
    stages = Stages(check(spec), find_task("tabular-classification"), store)
    stages.worth("logistic", stages.data(), 60.0)
    assert stages.piloting == sum(point["seconds"] for point in result["pilots"][0]["points"]) > 0
    again = run(spec, store=store)
    assert (again["version"], again["skipped"]) == (result["version"], result["skipped"])


def test_two_points_are_not_believed_to_fall_without_end():
    points = [{"rows": 100, "error": 0.4, "seconds": 1.0}, {"rows": 200, "error": 0.1, "seconds": 2.0}]
    assert forecast(points, 2000)["slope"] == 0.35
    rising = [{"rows": 100, "error": 0.1, "seconds": 1.0}, {"rows": 200, "error": 0.2, "seconds": 2.0}]
    assert forecast(rising, 2000)["error"] == 0.2


def test_why_a_recipe_does_not_pay():
    told = {"error": 0.1, "seconds": 90.0}
    assert pays(told, [], left=1.0) == ""
    assert pays(told, [{"error": 0.2}], left=100.0) == ""
    assert pays(told, [{"error": 0.2}], left=60.4) == "a pilot foretells 90 s, and 60 s of the budget are left"
    assert pays(told, [{"error": 0.05}], left=100.0) == (
        "a pilot foretells an error of 0.1 on all rows, and 0.05 was foretold of a cheaper one"
    )


@pytest.mark.heavy
def test_a_label_that_a_pilot_lacks_stops_nobody(tmp_path):
    """Forty rows of a third label in seven thousand: a twentieth of the rows hardly has one to learn from."""
    rows = find_task("tabular-classification").toy(7000)
    labels = ["rare" if place % 175 == 5 else label for place, label in enumerate(rows["label"])]
    write_csv(tmp_path / "rows.csv", rows.with_columns({"label": labels}))
    spec = {
        "name": "kinds",
        "task": "tabular-classification",
        "data": {"source": str(tmp_path / "rows.csv"), "columns": {"label": "label"}},
        "size": "tiny",
        "compress": {"quantise": "none"},
    }
    result = run(spec, store=Store.open(tmp_path / ".lingqu"))
    assert result["chosen"]["recipe"] in {rung["recipe"] for rung in result["ladder"]}
