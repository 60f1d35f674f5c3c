"""A run in MLflow for every version: parameters, metrics with intervals, learning curves, and the report as an artifact.

The experiment has the model's name. Names and passwords of a server are MLflow's own environment variables
(MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD), never part of the spec.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.errors import Problem, RequestError, missing_package
from lingqu.evaluate.sinks import CURVES, numbers, told_settings

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

LOCAL = "sqlite:///"
LONGEST = 500
"""Older servers refuse longer parameters."""
BUNDLE, FINISHED = "lingqu.bundle", "FINISHED"


def send(report: Mapping[str, Any], bundle: str, page: Path, uri: str, folder: Path) -> None:
    """Send a version to the server or database at `uri`, unless a finished run there has its bundle already.

    RequestError when MLflow cannot be reached: the version stays registered, and the next run sends it.
    """
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError as error:
        raise missing_package("mlflow-skinny", "track", "track.mlflow") from error
    local = uri.startswith(LOCAL)
    database = (folder / uri.removeprefix(LOCAL)).absolute()
    try:
        client = MlflowClient(tracking_uri=f"{LOCAL}{database}" if local else uri)
        found = client.get_experiment_by_name(report["name"])
        # Without a server there is nobody to say where files go: beside the database.
        artifacts = (database.parent / "mlartifacts").as_uri() if local else None
        experiment = (
            found.experiment_id if found else client.create_experiment(report["name"], artifact_location=artifacts)
        )
        same = f"tags.`{BUNDLE}` = '{bundle}' and attributes.status = '{FINISHED}'"
        if not client.search_runs([experiment], same, max_results=1):
            _send(client, experiment, report, bundle, page)
    except MlflowException as error:
        told = str(error).splitlines()[0][:200].rstrip(".")
        advice = "The version is registered; mend track.mlflow and run again to send it."
        raise RequestError(Problem("an MLflow server or database at track.mlflow", told, advice)) from error


def _send(client: MlflowClient, experiment: str, report: Mapping[str, Any], bundle: str, page: Path) -> None:
    name = f"{report['name']}@{report['version']}"
    tags = {BUNDLE: bundle, "lingqu.version": str(report["version"]), "lingqu.task": report["task"]}
    tags["lingqu.decision"] = str((report.get("gate") or {}).get("decision", ""))
    run = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    for key, value in told_settings(report).items():
        client.log_param(run, key, value[:LONGEST])
    for rung in report.get("ladder") or []:
        for one in rung.get("history") or []:
            for key, curve in CURVES.items():
                if one.get(key) is not None:
                    client.log_metric(run, f"{rung['recipe']}/{curve}", float(one[key]), step=int(one.get("epoch", 0)))
        if rung.get("value") is not None:
            client.log_metric(run, f"{rung['recipe']}/validation/{rung['metric']}", float(rung["value"]))
    for key, value in numbers(report).items():
        client.log_metric(run, f"test/{key}", value)
    client.log_text(run, page.read_text(encoding="utf-8"), "report.html")
    client.log_text(run, json.dumps(report, ensure_ascii=False), "report.json")
    client.set_terminated(run, FINISHED)
