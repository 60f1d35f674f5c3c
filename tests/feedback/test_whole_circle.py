"""The whole circle beside a running service: labels, a challenger, unseen, canary, champion; and no request fails."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from lingqu.feedback.add import add_labels
from lingqu.registry import Registry
from lingqu.registry.rollouts import SHADOW
from lingqu.serve.journal import recorded
from lingqu.store import Store
from tests.feedback.test_circle import rows
from tests.serve.process import running

USERS = 400


class Users(threading.Thread):
    """Ask again and again, each row as another user; `waiting` holds the labels of rows that were answered."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.ended = f"{url}/v1/models/router/predict", False
        self.waiting: list[dict[str, str]] = []
        self.faults: list[str] = []
        self.by_version: Counter[str] = Counter()

    def run(self) -> None:
        for place, row in enumerate(rows(100_000, 5, late=1.0)):
            if self.ended:
                return
            headers = {"content-type": "application/json", "x-user-id": f"user-{place % USERS}"}
            body = json.dumps({"row": {"message": row["message"]}}).encode()
            try:
                with urlopen(Request(self.url, body, headers), timeout=20) as answer:
                    told = json.load(answer)
            except OSError as error:
                self.faults.append(str(error))
                continue
            self.by_version[told["version"]] += 1
            self.waiting.append({"prediction_id": told["predictions"][0]["id"], "queue": row["queue"]})


@pytest.mark.slow
def test_a_moved_world_is_learned_and_reaches_all_users_without_a_failed_request(tmp_path: Path) -> None:
    from tests.feedback import kill_lab

    assert kill_lab.child(kill_lab.make, tmp_path) == 0
    path = tmp_path / "lingqu.yaml"
    path.write_text(path.read_text() + "serve: {shadow: 1.0}\nmonitor: {audit: 1.0}\n")
    store, began, steps = Store.open(tmp_path / ".lingqu"), time.monotonic(), []
    with running(tmp_path / ".lingqu", "router") as service:
        users = Users(service.url)
        users.start()
        while Registry(store).aliases("router")["champion"] == 1:
            told = kill_lab.improve(path, store=store, asked=False)
            steps.append(told["decision"] if "moved" not in told or told["moved"] else "")
            now = told.get("rollout")
            labels = users.waiting[:-20]
            if now is not None and now["step"] == SHADOW and labels:
                time.sleep(0.5)
                add_labels(store, "router", labels[-60:], who="auditor", target="queue", audit_share=1.0)
            assert time.monotonic() - began < 120
            time.sleep(0.2)
        before = users.by_version["2"]
        while users.by_version["2"] < before + 50:
            time.sleep(0.05)
        users.ended = True
        users.join(30)
        assert users.faults == []
    roles = {(one.role, one.number) for one in recorded(store, "router")}
    assert roles == {("champion", 1), ("shadow", 2), ("canary", 2), ("champion", 2)}
    assert [one for one in steps if one] == ["promote", "canary", "canary", "promote"]
    assert Registry(store).verify_history() == []
    print(f"{sum(users.by_version.values()):,} requests, none failed, in {time.monotonic() - began:.0f} s", end=" ")
    print("from labels to a champion that had been unseen beside the other and a canary")
