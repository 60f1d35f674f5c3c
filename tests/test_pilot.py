"""With many rows a recipe is tried on a part of them first, and climbed only when that foretells a gain."""

from typing import Any

import pytest

from lingqu.loop import check, run
from lingqu.stages import Stages
from lingqu.store import Store
from lingqu.tasks import find_task
from lingqu.train.forecast import forecast
from lingqu.train.ladder import pays
from tests.conftest import write_csv


@pytest.mark.heavy
def test_a_recipe_that_should_not_pay_is_not_climbed_and_says_why(tmp_path):
    write_csv(tmp_path / "rows.csv", find_task("tabular-classification").toy(7000))
    spec = {
        "name": "kinds",
        "task": "tabular-classification",
        "data": {"source": str(tmp_path / "rows.csv"), "columns": {"label": "label"}, "split": {"validation": 0.2}},
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
    # What was foretold stands beside what came.
    for rung in result["ladder"]:
        told = next(told for told in result["pilots"] if told["recipe"] == rung["recipe"])
        assert rung["forecast"] == {
            "by": "pilot",
            **{name: told[name] for name in ("error", "seconds", "memory_mib", "disk_bytes")},
        }
        assert 0.2 < rung["memory_mib"] / told["memory_mib"] < 5 and rung["disk_bytes"] > 0
    assert stages.piloting == sum(point["seconds"] for point in result["pilots"][0]["points"]) > 0
    again = run(spec, store=store)
    assert (again["version"], again["skipped"]) == (result["version"], result["skipped"])


def point(rows: int, error: float, **more: float) -> dict[str, Any]:
    return {
        "rows": rows,
        "error": error,
        "learning": rows / 100,
        "peak_mib": 300.0,
        "array_bytes": rows << 10,
        "disk_bytes": 5000,
        **more,
    }


def test_two_points_are_not_believed_to_fall_without_end():
    assert forecast([point(100, 0.4), point(200, 0.1)], 2000)["slope"] == 0.25
    # Nor to rise: two thirds of the slope are what is usual.
    assert forecast([point(100, 0.1), point(200, 0.2)], 2000)["slope"] == 0.1333
    assert forecast([point(100, 0.1), point(200, 0.2)], 2000)["error"] == pytest.approx(0.2 * 10**-0.13333, abs=1e-4)


def test_few_judges_tell_a_rough_error():
    assert forecast([point(100, 0.2), point(200, 0.08, judged=400)], 2000)["noise"] == 0.25
    assert forecast([point(100, 0.2), point(200, 0.0, judged=400)], 2000)["noise"] == 1.4142


def test_what_does_not_grow_with_the_rows_is_not_multiplied():
    """Two seconds in any case and one for a hundred rows."""
    points = [point(300, 0.2, learning=5.0), point(600, 0.2, learning=8.0)]
    assert forecast(points, 6000)["seconds"] == 62.0
    # But two points that took the same time are not believed to cost nothing more.
    assert forecast([point(300, 0.2, learning=8.0), point(600, 0.2, learning=8.0)], 6000)["seconds"] == 44.0


def test_memory_grows_with_the_rows_and_disk_only_if_it_did():
    told = forecast([point(500, 0.2), point(1000, 0.2)], 11 * 1024)
    # 10,264 rows of a kibibyte more, held three times.
    assert told["memory_mib"] == pytest.approx(300 + 3 * 10_264 / 1024, abs=0.1)
    assert told["disk_bytes"] == 5000
    # A loop goes on as it was seen to grow: 20 MiB for each 500 rows more.
    looped = [point(500, 0.2, looped=True), point(1000, 0.2, looped=True, peak_mib=320.0)]
    assert forecast(looped, 4000)["memory_mib"] == 440.0
    grown = [point(500, 0.2), point(1000, 0.2, disk_bytes=10_000)]
    assert forecast(grown, 4000)["disk_bytes"] == 40_000
    assert forecast([grown[0], {**grown[1], "room": 1.5}], 4000)["disk_bytes"] == 15_000


def test_why_a_recipe_does_not_pay():
    told = {"error": 0.1, "seconds": 90.0}
    assert pays(told, [], left=1.0) == ""
    assert pays(told, [{"error": 0.2}], left=100.0) == ""
    assert pays(told, [{"error": 0.2}], left=60.4) == "a pilot foretells 90 s, and 60 s of the budget are left"
    # Two such errors differ by so much of chance alone.
    assert pays({**told, "noise": 0.25}, [{"error": 0.085}], left=100.0) == ""
    assert "was foretold of a cheaper one" in pays({**told, "noise": 0.25}, [{"error": 0.075}], left=100.0)
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
        "data": {"source": str(tmp_path / "rows.csv"), "columns": {"label": "label"}, "split": {"validation": 0.2}},
        "size": "tiny",
        "compress": {"quantise": "none"},
    }
    result = run(spec, store=Store.open(tmp_path / ".lingqu"))
    assert result["chosen"]["recipe"] in {rung["recipe"] for rung in result["ladder"]}
