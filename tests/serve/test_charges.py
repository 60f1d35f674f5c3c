"""What a request is charged, and what it leaves of a quota: only what was answered."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lingqu.serve.keys import Keys, new_key
from lingqu.serve.service import Service
from lingqu.serve.usage import report
from lingqu.spec.running import ServeSettings
from lingqu.store import Store
from tests.serve.bundles import echo
from tests.serve.live import serving
from tests.serve.models import make

pytestmark = pytest.mark.heavy

QUOTA = 100
FAR = 1e300
"""A number that is refused, and as JSON it is as good as any."""


class Caller:
    """Who calls with a key of a hundred rows, and what that was charged."""

    def __init__(self, keys: Keys, token: str, port: int) -> None:
        self.keys, self.token, self.port = keys, token, port

    def send(self, path: str, body: dict[str, Any]) -> tuple[int, int, int, int]:
        """The status, and what the request was charged: requests, rows, and rows of the quota."""
        before = self._charged()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"content-type": "application/json", "x-api-key": self.token}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        requests, rows, quota = (now - then for now, then in zip(self._charged(), before, strict=True))
        return answer.status, requests, rows, quota

    def _charged(self) -> tuple[int, int, int]:
        self.keys.usage.flush()
        who = self.keys.principal(self.token)
        assert who.quota is not None
        assert self.keys._limits is not None
        taken = self.keys._limits.rows(who.id, quota=who.quota, now=time.time())
        lines = report(self.keys.store)
        return sum(line.requests for line in lines), sum(line.rows for line in lines), taken


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    folder = tmp_path_factory.mktemp("charges")
    echo(folder / "echo", 1)
    store = Store.open(folder / "store")
    _, token = new_key(store, "anna", quota=f"{QUOTA} rows per month")
    models = [folder / "echo", make("text-classification", folder / "topics", "topics").path]
    with serving(lambda: Service.load(models, settings=ServeSettings(), store=store)) as (service, port):
        assert service.keys is not None
        yield Caller(service.keys, token, port)


def tensor(*values: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP64", "shape": [len(values)], "data": list(values)}]}


PREDICT, V1, V2, MLFLOW = (
    "/v1/models/echo/predict",
    "/v1/models/echo:predict",
    "/v2/models/echo/infer",
    "/invocations?model=echo",
)
WHY, TOPICS, V1_WHY = "/v1/models/echo/explain", "/v1/models/topics/explain", "/v1/models/topics:explain"


@pytest.mark.parametrize(
    ("path", "body", "charged"),
    [
        (PREDICT, {"row": {"x": 1}}, (200, 1, 1, 1)),
        (PREDICT, {"row": {"x": FAR}}, (422, 0, 0, 0)),
        (PREDICT, {"rows": [{"x": 1}, {"x": FAR}, {"x": 3}]}, (200, 1, 2, 2)),
        (PREDICT, {"rows": [{"x": FAR}, {"x": FAR}]}, (200, 0, 0, 0)),
        (PREDICT, {"rows": [{"x": 1}] * (QUOTA + 1)}, (429, 0, 0, 0)),
        (V1, {"instances": [1, 2]}, (200, 1, 2, 2)),
        (V1, {"instances": [1, FAR]}, (400, 0, 0, 0)),
        (V1, {"inputs": {"x": [1, FAR]}}, (400, 0, 0, 0)),
        (MLFLOW, {"dataframe_records": [{"x": 1}, {"x": 2}]}, (200, 1, 2, 2)),
        (MLFLOW, {"dataframe_records": [{"x": 1}, {"x": FAR}]}, (400, 0, 0, 0)),
        (V2, tensor(1, 2), (200, 1, 2, 2)),
        (V2, tensor(1, FAR), (400, 0, 0, 0)),
        # The row itself, what it is compared with, and that without its only column.
        (WHY, {"row": {"x": 1}}, (200, 1, 3, 3)),
        (WHY, {"row": {"x": FAR}}, (422, 0, 0, 0)),
        (TOPICS, {"row": {"text": "tea"}, "label": "fod"}, (422, 0, 0, 0)),
        (V1_WHY, {"instances": ["tea", " "]}, (400, 0, 0, 0)),
        # One request; of each row itself and what it is compared with. Without its only word it is refused.
        (V1_WHY, {"instances": ["tea", "soup"]}, (200, 1, 4, 4)),
        # There is quota for the first of them alone.
        (V1_WHY, {"instances": ["tea " * 60] * 2}, (429, 0, 0, 0)),
    ],
)  # fmt: skip
def test_what_was_answered_is_charged_and_nothing_else(
    caller: Caller, path: str, body: dict[str, Any], charged: tuple[int, int, int, int]
) -> None:
    assert caller.send(path, body) == charged
