"""TensorBoard and MLflow, read back with the real libraries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from lingqu.errors import MissingPackageError, RequestError, SpecError
from lingqu.evaluate.sinks import mlflow as mlflow_sink
from lingqu.evaluate.sinks import tensorboard as tensorboard_sink
from lingqu.loop import check, run
from lingqu.store import Store
from tests.evaluate.test_page import whole


@pytest.fixture
def report(reports: dict[str, dict[str, Any]], tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "page.html").write_text("<p>报告</p>", encoding="utf-8")
    made = whole(reports["text-classification"])
    made["name"] = "router"
    for rung in made["ladder"]:
        rung.setdefault("history", [])
    return made


@pytest.mark.heavy
def test_tensorboard_reads_the_curves_and_the_metrics_back(report: dict[str, Any], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):  # The second time changes nothing.
        tensorboard_sink.write(report, tmp_path / "page.html", tmp_path / "runs")
    rung = EventAccumulator(str(tmp_path / "runs" / "router-3" / "bilstm")).Reload()
    curve = rung.Scalars("loss/validation")
    assert [(one.step, round(one.value, 4)) for one in curve] == [(1, 0.9), (2, 0.6), (3, 0.5), (4, 0.7), (5, 0.8)]
    final = EventAccumulator(str(tmp_path / "runs" / "router-3"), size_guidance={"tensors": 0}).Reload()
    for name in ("test/f1", "test/f1_low", "test/f1_high"):
        key = name.removeprefix("test/f1").removeprefix("_") or "value"
        assert [one.value for one in final.Scalars(name)] == [pytest.approx(report["metrics"]["f1"][key])]
    assert "anna" not in final.Tensors("settings")[0].tensor_proto.string_val[0].decode()
    assert (tmp_path / "runs" / "router-3" / "report.html").read_text(encoding="utf-8") == "<p>报告</p>"


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")  # MLflow itself warns of what SQLAlchemy will take away.
def test_mlflow_has_parameters_metrics_curves_and_the_report(report: dict[str, Any], tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    for _ in range(2):  # The second time finds the run and adds nothing.
        mlflow_sink.send(report, "ab" * 32, tmp_path / "page.html", "sqlite:///books.db", tmp_path)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/books.db")
    experiment = client.get_experiment_by_name("router")
    assert experiment is not None
    [found] = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "router@3"
    assert found.info.status == "FINISHED"
    assert found.data.params["data.source"] == "tickets.csv"
    assert found.data.metrics["test/f1"] == pytest.approx(report["metrics"]["f1"]["value"])
    assert {"test/f1_low", "test/f1_high", "bilstm/validation/f1"} <= found.data.metrics.keys()
    curve = client.get_metric_history(found.info.run_id, "bilstm/loss/training")
    assert [one.step for one in curve] == [1, 2, 3, 4, 5]
    assert {one.path for one in client.list_artifacts(found.info.run_id)} == {"report.html", "report.json"}
    assert next(iter(tmp_path.glob("mlartifacts/**/report.html"))).read_text(encoding="utf-8") == "<p>报告</p>"


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_a_place_that_mlflow_refuses_is_told_and_loses_nothing(report: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RequestError) as refused:
        mlflow_sink.send(report, "ab" * 32, tmp_path / "page.html", f"file://{tmp_path}/mlruns", tmp_path)
    assert str(refused.value).startswith("Expected an MLflow server or database at track.mlflow, found ")
    assert str(refused.value).endswith("The version is registered; mend track.mlflow and run again to send it.")


@pytest.mark.parametrize(
    ("package", "sink", "line"),
    [
        ("tensorboard", tensorboard_sink, "Expected the package tensorboard for track.tensorboard"),
        ("mlflow", mlflow_sink, "Expected the package mlflow-skinny for track.mlflow"),
    ],
)
@pytest.mark.heavy
def test_a_package_that_is_missing_is_an_install_line(
    package: str, sink: Any, line: str, report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError) as missing:
        if package == "tensorboard":
            sink.write(report, tmp_path / "page.html", tmp_path)
        else:
            sink.send(report, "ab" * 32, tmp_path / "page.html", "sqlite:///books.db", tmp_path)
    assert str(missing.value) == f"{line}, found it not installed. Run: pip install 'lingqu[track]'"


def test_a_password_has_no_place_in_a_spec(project: Path) -> None:
    with (project / "lingqu.yaml").open("a") as file:
        file.write("track: {mlflow: 'https://anna:secret@host/x'}\n")
    with pytest.raises(SpecError) as refused:
        check(project / "lingqu.yaml")
    assert str(refused.value).endswith(
        "Expected an address without name and password for track.mlflow, found one that holds them. "
        "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead."
    )


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")
def test_a_run_writes_into_both(finished: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    text = (finished / "lingqu.yaml").read_text() + "track: {tensorboard: boards, mlflow: 'sqlite:///books.db'}\n"
    (finished / "lingqu.yaml").write_text(text)
    result = run(check(finished / "lingqu.yaml"), store=Store.open(finished / ".lingqu"))
    assert "gate" in result["cached"]
    assert EventAccumulator(str(finished / "boards" / "kinds-1")).Reload().Scalars("test/f1")
    assert (finished / "books.db").is_file()
