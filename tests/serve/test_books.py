"""What the running service writes down: journal, feedback, usage; and what it never writes anywhere."""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.contract import Rows
from lingqu.data.accept import accept
from lingqu.registry import Registry
from lingqu.serve.inbox import received
from lingqu.serve.journal import new_id, recorded
from lingqu.serve.keys import new_key, revoke
from lingqu.serve.usage import report
from lingqu.spec.running import JournalSettings, ServeSettings
from lingqu.store import Store
from lingqu.tasks import find_task

pytestmark = pytest.mark.heavy

SPEC = "name: topics\ntask: text-classification\ndata: {{source: x.csv}}\nserve: {{journal: {{inputs: {inputs}}}}}\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def topics(store: Store, bundles: dict[str, Path]) -> str:
    """A text classifier in the registry of the store."""
    digest = store.put_folder(bundles["topics"])
    registry = Registry(store)
    registry.register(
        "topics", bundle=digest, data_version="d", run="r", task="text-classification", metrics={}, decision={}, lineage={}, spec={},
    )  # fmt: skip
    registry.promote("topics", 1, who="test", why="the first")
    return "topics"


@contextmanager
def running(
    store: Store, *arguments: str, inputs: str = "masked", limit: Callable[[], None] | None = None, **environment: str
) -> Iterator[tuple[Any, list[str]]]:
    """`lingqu serve` as a process of its own: an HTTP client of it, and all that it has said once it has ended."""
    import httpx

    (store.folder.parent / "lingqu.yaml").write_text(SPEC.format(inputs=inputs))
    (store.folder.parent / "x.csv").write_text("text,label\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "lingqu", "serve", *arguments, "--port", "0", "--json", "--home", str(store.folder)],
        cwd=store.folder.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,  # noqa: PLW1509  # only where a test needs it, and it starts no thread before
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        line = process.stdout.readline()
        said.append(line)
        assert "url" in line, line + process.communicate()[1]
        with httpx.Client(base_url=json.loads(line)["url"], verify=False, timeout=30) as client:
            yield client, said
    finally:
        process.send_signal(signal.SIGTERM)
        said.extend(process.communicate(timeout=30))


def test_many_may_say_at_once_what_they_were_answered_a_moment_ago(store: Store, topics: str) -> None:
    from lingqu.serve.service import Service
    from tests.serve.live import call, serving

    statuses: list[int] = []

    def user() -> None:
        for _ in range(3):
            told = call(port, "POST", f"/v1/models/{topics}/predict", {"row": {"text": "salty soup"}})[1]
            given = {"prediction_id": told["predictions"][0]["id"], "label": "sport"}
            # A machine that is slow enough may need more than a second to write.
            while (status := call(port, "POST", "/v1/feedback", given)[0]) == 503:
                continue
            statuses.append(status)

    with serving(lambda: Service.load([topics], settings=ServeSettings(), store=store)) as (_, port):
        users = [threading.Thread(target=user) for _ in range(8)]
        for one in users:
            one.start()
        for one in users:
            one.join()
    assert statuses == [202] * 24
    assert len(received(store)) == 24


def test_inputs_replayed_through_training_are_the_same(bundles: dict[str, Path], tmp_path: Path) -> None:
    """S18: 1,000 rows of five tasks, over HTTP into the journal, give the arrays that training made of them."""
    import httpx

    from lingqu.bundle.read import Bundle
    from lingqu.serve.service import Service
    from tests.serve.live import serving

    store = Store.open(tmp_path / "store")
    settings = ServeSettings(journal=JournalSettings(inputs="plain"), deadline="1 min")
    sent: dict[str, Rows] = {}
    with (
        serving(lambda: Service.load(bundles.values(), settings=settings, store=store)) as (_, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=False, timeout=60) as client,
    ):
        for name, folder in bundles.items():
            bundle = Bundle.open(folder)
            columns = [column["name"] for column in bundle.manifest["columns"]]
            rows = sent[name] = find_task(bundle.manifest["task"]).toy(200).select(columns)
            body = {"rows": [{key: _json(value) for key, value in row.items()} for row in rows]}
            answer = client.post(f"/v1/models/{name}/predict", json=body)
            assert answer.status_code == 200, answer.text
    same = 0
    for name, folder in bundles.items():
        bundle = Bundle.open(folder)
        task, memory, limits = find_task(bundle.manifest["task"]), bundle.memory, bundle.manifest["columns"]
        kept = recorded(store, name)
        assert len(kept) == 200
        replayed, errors = accept(Rows.from_dicts([one.input for one in kept if one.input is not None]), limits)
        trained = task.encode(sent[name], memory)
        again = task.encode(replayed, memory)
        answers = [answer.cells() for answer in bundle.predict(replayed)]
        for place in range(200):
            assert errors[place] is None
            assert all(np.array_equal(trained[array][place], again[array][place]) for array in trained)
            told = {key: kept[place].answer[key] for key in answers[place]}
            assert told == pytest.approx(answers[place], abs=1e-5)
            same += 1
    assert same == 1000


def _json(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def test_a_full_disk_costs_records_and_no_answer(store: Store, topics: str) -> None:
    """S16: no file of the service may grow beyond 2 MB; every prediction is answered, and what is lost is counted."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))

    with running(store, topics, inputs="plain", limit=limit) as (client, said):
        statuses = []
        for i in range(40):
            # 100 rows of 1,000 characters in each: 4 MB together.
            rows = [{"text": f"{i} {j} " + "x" * 1000} for j in range(100)]
            statuses.append(client.post("/v1/models/topics/predict", json={"rows": rows}).status_code)
        deadline = time.monotonic() + 30
        while (lost := _lost(client)) == 0 and time.monotonic() < deadline:
            statuses.append(client.post("/v1/models/topics/predict", json={"row": {"text": "x"}}).status_code)
            time.sleep(0.2)
        one = client.post("/v1/models/topics/predict", json={"row": {"text": "x"}}).json()["predictions"][0]["id"]
        given = client.post("/v1/feedback", json={"prediction_id": one, "label": "a"})
        assert client.get("/readyz").status_code == 200
    assert set(statuses) == {200}
    assert lost > 0
    # Nobody is thanked for feedback that is not kept, and nobody is told where.
    assert given.status_code in (404, 503), given.text
    assert str(store.folder) not in given.text
    assert "answers were not recorded" in "".join(said)


def _lost(client: Any) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("lingqu_journal_total")]
    return sum(float(line.split()[-1]) for line in lines if 'result="lost"' in line)


def test_a_key_from_its_first_request_to_its_end(store: Store, topics: str) -> None:
    """Two workers, one truth: what a key may, what it has used, and when it may no more."""
    key, token = new_key(store, "anna", quota="50 rows per day", price="0.01 CNY per row")
    _, other = new_key(store, "ben", tenant="elsewhere")
    with running(store, topics, "--host", "0.0.0.0", "--workers", "2") as (client, _):
        ask = {"json": {"rows": [{"text": "tea"}] * 5}}
        assert client.post("/v1/models/topics/predict", **ask).status_code == 401
        header = {"authorization": f"Bearer {token}"}
        answers = [client.post("/v1/models/topics/predict", **ask, headers=header) for _ in range(10)]
        assert {answer.status_code for answer in answers} == {200}
        over = client.post("/v1/models/topics/predict", **ask, headers=header)
        assert over.status_code == 429
        assert 0 < int(over.headers["retry-after"]) <= 86_400
        one = answers[0].json()["predictions"][0]["id"]
        vote = {"json": {"prediction_id": one, "label": "a"}}
        # Another tenant is told no more of it than of an id that nobody was ever given.
        for identity in (one, new_id()):
            strange = {"json": {**vote["json"], "prediction_id": identity}}
            assert client.post("/v1/feedback", **strange, headers={"x-api-key": other}).status_code == 503
        again = [client.post("/v1/feedback", **vote, headers={**header, "idempotency-key": "k"}) for _ in range(3)]
        assert [answer.status_code for answer in again] == [202] * 3
        assert len({answer.json()["feedback_id"] for answer in again}) == 1
        revoke(store, key.id)
        time.sleep(1)
        refused = [client.get("/v1/models", headers=header).status_code for _ in range(6)]
        assert set(refused) == {401}
    (line,) = report(store)
    assert (line.key_name, line.requests, line.rows, str(line.cost)) == ("anna", 10, 50, "0.5")
    assert len(recorded(store)) == 50
    assert [vote.principal for vote in received(store)] == [key.id]


def test_another_host_needs_a_key(store: Store, topics: str) -> None:
    """X17: exit status 2, one plain sentence, and nothing that listens."""
    done = subprocess.run(
        [sys.executable, "-m", "lingqu", "serve", topics, "--host", "0.0.0.0", "--port", "0", "--home", str(store.folder)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Expected a key before the service listens on 0.0.0.0, found none that is active. "
        "Make one: lingqu keys new NAME; or listen on 127.0.0.1.\n"
    )


def canaries() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"canary{number:02d}{os.urandom(6).hex()}"


def test_secrets_are_nowhere(store: Store, topics: str) -> None:
    """X22: 25 secrets, given at every door, stand in no log, no file of the store, no number and no error."""
    make = canaries()
    shown: list[str] = []
    names = ("SECRET_TOKEN", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "HF_TOKEN")
    environment = {name: next(make) for name in names}
    master = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
    _, token = new_key(store, "anna")
    secrets = [*environment.values(), master, token, token.split("_", 2)[2][:43]]

    def secret() -> str:
        secrets.append(next(make))
        return secrets[-1]

    key = {"authorization": f"Bearer {token}"}
    path = "/v1/models/topics/predict"
    with running(store, topics, "--host", "0.0.0.0", inputs="none", LINGQU_ENCRYPTION_KEY=master, **environment) as (
        client,
        said,
    ):

        def post(where: str = path, **more: Any) -> Any:
            answer = client.post(where, **more)
            shown.append(answer.text + str(answer.headers))
            return answer

        good = post(json={"row": {"text": secret()}}, headers={**key, "x-user-id": secret()})
        assert good.status_code == 200
        # Keys that are wrong, in every form.
        for headers in (
            {"authorization": f"Bearer {secret()}"}, {"authorization": f"Basic {secret()}"}, {"x-api-key": secret()},
            {"authorization": f"Bearer lq_{secret()}"}, {"cookie": f"session={secret()}"}, {"proxy-authorization": secret()},
        ):  # fmt: skip
            assert post(json={"row": {"text": "tea"}}, headers=headers).status_code in (400, 401)
        # Bodies that are refused: cut off, of a wrong kind, of unknown columns.
        assert post(content=b'{"row": {"text": "' + secret().encode(), headers=key).status_code == 400
        assert post(json={"row": {"text": {"a": secret()}}}, headers=key).status_code == 422
        assert post(json={"row": {"text": [secret(), secret()]}}, headers=key).status_code == 422
        assert post(json={"rows": secret()}, headers=key).status_code == 422
        assert post(content=secret().encode(), headers={**key, "content-type": "text/plain"}).status_code == 200
        # What stands in an address, and feedback that is not taken.
        post(f"{path}?token={secret()}", json={"row": {"text": "tea"}}, headers=key)
        one = good.json()["predictions"][0]["id"]
        assert (
            post("/v1/feedback", json={"prediction_id": one, "label": {"a": secret()}}, headers=key).status_code == 422
        )
        assert (
            post("/v1/feedback", json={"prediction_id": one, "comment": secret() * 200}, headers=key).status_code == 422
        )
        long = {**key, "idempotency-key": f"two words {secret()}"}
        assert post("/v1/feedback", json={"prediction_id": one, "label": "a"}, headers=long).status_code == 422
        shown.append(client.get("/metrics", headers=key).text)
    assert len(secrets) >= 25
    kept = b"".join(file.read_bytes() for file in store.folder.rglob("*") if file.is_file())
    places = {"logs": "".join(said), "the store": kept.decode("latin-1"), "answers": "".join(shown)}
    # An answer may repeat a wrong value to whoever sent it, and nothing else.
    found = {(place, one[:8]) for place, text in places.items() for one in secrets if one in text}
    assert {(place, one) for place, one in found if place != "answers"} == set()
    assert not [
        one for one in (*environment.values(), master, token, token.split("_", 2)[2][:43]) if one in places["answers"]
    ]
