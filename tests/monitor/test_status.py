"""From a trained model and a real journal to `lingqu status`: quiet while all is as it was, and exit status 1 when not."""

from __future__ import annotations

import csv
import json
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest

import lingqu
from lingqu.contract import Rows
from lingqu.errors import UnknownNameError
from lingqu.feedback.freeze import freeze
from lingqu.monitor import asked as is_asked
from lingqu.registry import Registry
from lingqu.registry.rollouts import begin
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.spec.running import JournalSettings, MonitorSettings
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.conftest import Lingqu, as_json
from tests.monitor.stream import Service
from tests.serve.process import running

pytestmark = pytest.mark.heavy


def people(rows: int, seed: int, shift: float = 0.0) -> Rows:
    rng = np.random.default_rng(seed)
    age, income = rng.normal(40 + 10 * shift, 10, rows), rng.normal(3000, 500, rows)
    job = rng.choice(["cook", "clerk", "smith"], rows, p=[0.5, 0.3, 0.2])
    sure = (age - 40) / 10 + (income - 3000) / 500 + (job == "cook") + rng.normal(0, 0.7, rows)
    return Rows(
        {
            "age": age.round(2).tolist(),
            "income": income.round(1).tolist(),
            "job": job.tolist(),
            "label": np.where(sure > 0.5, "yes", "no").tolist(),
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which credit@1 was trained on 1,500 people."""
    folder = tmp_path_factory.mktemp("credit")
    rows = people(1500, 0)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows.names)
        writer.writeheader()
        writer.writerows(rows)
    spec = {
        "name": "credit",
        "task": "tabular-classification",
        "data": {"source": str(folder / "rows.csv"), "near_duplicates": False},
        "size": "tiny",
        "model": "logistic",
        "compress": {"quantise": "none"},
        "monitor": {"audit": 0.5},
    }
    assert lingqu.run(spec, store=Store.open(folder / ".lingqu"))["champion"] == 1
    return folder


@pytest.fixture
def credit(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Store.open(tmp_path / ".lingqu")


def answer(store: Store, name: str, rows: Rows, journal: JournalSettings | None = None) -> list[str]:
    """Let the champion answer, as the service does, and journal it."""
    version = Registry(store).get(name)
    bundle = lingqu.load(name, store=store)
    ids = []
    with Journal(store, journal or JournalSettings()) as writing:
        for row, said in zip(rows, bundle.answer(rows), strict=True):
            ids.append(new_id())
            writing.record(
                Entry(ids[-1], "r", time.time(), name, version.number, "champion", ANYONE, None, row, said, 3.0)
            )
    assert writing.lost == 0
    return sorted(ids)


def asked(rows: Rows) -> Rows:
    return rows.select([name for name in rows.names if name != "label"])


def on_its_way(store: Store) -> None:
    """A second version, whose bundle is that of the first, begins to answer unseen."""
    registry = Registry(store)
    first = registry.get("credit@1")
    kept = ("bundle", "run", "task", "metrics", "decision", "lineage", "spec")
    second = registry.register("credit", data_version="another", **{name: getattr(first, name) for name in kept})
    begin(store, second, against=1, epoch=1, why="its gate was passed", evidence={})


def test_quiet_then_moved(credit: Store, lingqu: Lingqu) -> None:
    answer(credit, "credit", asked(people(700, 1)))
    done = lingqu("status")
    assert done.returncode == 0, done.stdout
    assert "credit@1 quiet  credit@1: 700 answers in 2 windows, no alarm." in done.stdout
    assert "100 answers wait for 200 more; drift is judged by whole windows of 300." in done.stdout
    answer(credit, "credit", asked(people(500, 2, shift=0.8)))
    done = lingqu("status", "credit", "--json")
    assert done.returncode == 1
    (told,) = as_json(done)["models"]
    assert [window["rows"] for window in told["windows"]] == [300] * 4
    # A hundred of the third window came before the shift.
    assert "age" in [one["signal"] for one in told["windows"][3]["drifted"]]
    (alarm,) = told["alarms"]
    assert (alarm["kind"], alarm["level"]) == ("drift", "warn")
    assert "age" in alarm["evidence"]["signals"]
    assert "income" not in alarm["evidence"]["signals"]
    assert "audit labels would show whether answers got 5 points worse." in alarm["sentence"]
    assert told["sentence"] == "credit@1: 1,200 answers, 1 alarm (drift)."
    again = as_json(lingqu("status", "credit", "--json"))["models"][0]
    assert again["alarms"] == [alarm]
    chinese = lingqu("status", "credit", "--language", "zh").stdout
    assert "credit@1 告警  credit@1：1,200 次回答，1 项告警（漂移）。" in chinese
    assert "age 有变动：KS 距离" in chinese
    assert "version 1 of credit raised an alarm (lingqu)" in lingqu("history", "credit").stdout
    on_its_way(credit)
    freeze(credit, "credit", who="anna", why="a strange week")
    told = as_json(lingqu("status", "credit", "--json"))["models"][0]
    assert (told["rollout"]["step"], told["rollout"]["labels"]) == ("shadow", 0)
    assert (told["rollout"]["wanted"], told["frozen"]) == (20.0, "a strange week (anna)")
    shown = " ".join(lingqu("status", "credit").stdout.split())
    assert "credit@2 answers unseen beside credit@1 since" in shown
    assert shown.endswith("frozen: a strange week (anna)")
    assert "已冻结：a strange week (anna)" in lingqu("status", "credit", "--language", "zh").stdout
    assert credit.fsck() == []


def test_estimates_meet_what_was_right_and_broken_answers_act(credit: Store, tmp_path: Path) -> None:
    rows = people(330, 3)
    ids = answer(credit, "credit", asked(rows))
    said = lingqu_load(credit).predict(asked(rows))
    good = [one.label == truth for one, truth in zip(said, rows["label"], strict=True)]
    before = lingqu.status("credit", store=credit)
    assert before.risk is not None
    assert before.risk.sentence().startswith("No audit label has come yet;")
    estimate = before.cohorts[0].estimate
    assert estimate is not None
    assert estimate.interval.low <= np.mean(good[:300]) <= estimate.interval.high
    service = Service(credit, Registry(credit).get("credit"))
    service.labels(ids, good)
    after = lingqu.status("credit", store=credit)
    cohort, newest = after.cohorts
    assert cohort.audited is not None
    assert newest.audited is not None
    assert cohort.ripe
    assert (cohort.audited.right, cohort.audited.labels) == (sum(good[:300]), 300)
    assert (newest.rows, newest.audited.labels) == (30, 30)
    assert not after.alarmed
    worse = answer(credit, "credit", asked(people(60, 4)))
    service.labels(worse, [place % 4 == 0 for place in range(60)])
    broken = lingqu.status("credit", store=credit)
    assert [(alarm.kind, alarm.level) for alarm in broken.alarms] == [("risk", "act")]


def lingqu_load(store: Store) -> Any:
    return lingqu.load("credit", store=store)


def test_half_of_the_labels_missing_and_the_rest_a_month_late(credit: Store) -> None:
    """Nothing is decided by what is not there, and every look says what it waits for."""
    rows = people(300, 11)
    ids = answer(credit, "credit", asked(rows))
    said = lingqu_load(credit).predict(asked(rows))
    good = [one.label == truth for one, truth in zip(said, rows["label"], strict=True)]
    service = Service(credit, Registry(credit).get("credit"))
    due = [place for place, one in enumerate(ids) if is_asked(one, 0.5, credit.secret("audit"))]
    came = due[::2]
    for first, last in ((0, 0), (0, 3), (3, 20), (20, len(came))):
        part = came[first:last]
        if part:
            service.labels([ids[i] for i in part], [good[i] for i in part])
        found = lingqu.status("credit", store=credit)
        assert found.risk is not None
        (cohort,) = found.cohorts
        assert not found.alarmed
        assert not cohort.ripe
        assert f"300 answers, {last} of {len(due)} audit labels have come. Estimated accuracy" in cohort.sentence()
        if last < 5:
            assert found.risk.level == "quiet"
            assert "has come yet" in found.risk.sentence() or "that any decision needs" in found.risk.sentence()
        if cohort.audited is not None:
            assert cohort.audited.enough == (last >= 30)
    volunteers = [place for place in range(300) if place not in due][:60]
    service.labels([ids[i] for i in volunteers], [False] * 60, source="page")
    found = lingqu.status("credit", store=credit)
    # Sixty complaints say nothing of how good all answers are.
    assert not found.alarmed
    assert not found.cohorts[0].ripe


def test_a_running_service_is_watched(credit: Store) -> None:
    """What users send over HTTP is what a look sees: no drift that only the way of it makes."""
    with running(credit.folder, "credit") as service:
        for some in asked(people(320, 6)).batches(40):
            body = json.dumps({"rows": list(some)}).encode()
            request = Request(f"{service.url}/v1/models/credit/predict", body, {"content-type": "application/json"})
            with urlopen(request, timeout=30) as said:
                assert len(json.load(said)["predictions"]) == 40
        assert service.stop() == 0
    found = lingqu.status("credit", store=credit)
    assert (found.answers, found.waiting, found.alarmed) == (320, 20, False)
    (window,) = found.windows
    assert (window.inputs, window.drifted) == (300, [])
    # Age, income, job, each missing or not, unseen jobs; the answer, its confidence, refusals.
    assert window.tested == 10


def test_settings_of_a_file_and_names_that_are_not_there(credit: Store, lingqu: Lingqu, tmp_path: Path) -> None:
    answer(credit, "credit", asked(people(250, 5)))
    (tmp_path / "watch.yaml").write_text(
        "name: credit\ntask: tabular-classification\ndata: {source: rows.csv}\nmonitor: {window: 120, audit: 0}\n"
    )
    told = as_json(lingqu("status", "credit", "--spec", "watch.yaml", "--json"))["models"][0]
    assert (told["window"], len(told["windows"]), told["waiting"]) == (120, 2, 10)
    assert (
        told["notes"][-1]
        == "The audit asks for no labels (monitor.audit is 0), so nothing proves how good answers are."
    )
    done = lingqu("status", "credti")
    assert done.returncode == 2
    assert done.stderr == "Expected a model of the registry, found 'credti'. Did you mean 'credit'?\n"


def test_the_audit_share_of_the_file_counts_at_once_for_all_who_ask(
    credit: Store, lingqu: Lingqu, tmp_path: Path
) -> None:
    ids = answer(credit, "credit", asked(people(60, 6)))
    file = tmp_path / "lingqu.yaml"
    told = "name: {}\ntask: tabular-classification\ndata: {{source: not_here.csv}}\nmonitor: {{audit: {}}}\n"

    def seen(*spec: str) -> tuple[int, int]:
        queue = as_json(lingqu("feedback", "queue", "--audit", "--most", "100", "--json", *spec))["queue"]
        return len(queue), as_json(lingqu("status", "--json", *spec))["models"][0]["cohorts"][-1]["asked"]

    half = sum(is_asked(one, 0.5, credit.secret("audit")) for one in ids)
    file.write_text(told.format("another", 1.0))
    assert seen() == (half, half)
    file.write_text(told.format("credit", 1.0))
    assert seen() == (60, 60)
    file.rename(tmp_path / "other.yaml")
    assert seen("--spec", "other.yaml") == (60, 60)
    missed = next(one for one in ids if not is_asked(one, 0.5, credit.secret("audit")))
    (tmp_path / "one.csv").write_text(f"prediction_id,label\n{missed},yes\n")
    assert lingqu("feedback", "add", "one.csv", "--audit").returncode == 2
    assert lingqu("feedback", "add", "one.csv", "--audit", "--spec", "other.yaml").returncode == 0


def test_a_webhook_that_may_not_be_called_keeps_nobody_from_looking(
    credit: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINGQU_WEBHOOK", "https://hooks.example.com/token")
    found = lingqu.status("credit", store=credit)
    assert found.notes[-1] == (
        "Alarms are not sent: Expected a webhook whose host is under monitor.webhook_hosts, found 'hooks.example.com'. "
        "Add the host to the spec."
    )


def test_looking_where_there_is_nothing_leaves_nothing(
    tmp_path: Path, lingqu: Lingqu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LINGQU_HOME", raising=False)
    done = lingqu("status")
    assert (done.returncode, done.stdout) == (0, "Next: lingqu run  no model is champion yet\n")
    import lingqu as package

    with pytest.raises(UnknownNameError, match=r"^Expected a model of the registry, found 'x'\. Known: none yet\.$"):
        package.status("x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "journal", [JournalSettings(), JournalSettings(inputs="plain"), JournalSettings(inputs="none")]
)
def test_texts_are_watched_as_the_journal_keeps_them(finished: Path, journal: JournalSettings) -> None:
    """The held-out rows of this toy are too few to judge drift by, and that is said."""
    store = Store.open(finished / ".lingqu")
    rows = find_task("text-classification").toy(110, seed=5)
    answer(store, "kinds", rows.select(["text"]), journal)
    found = lingqu.status("kinds", store=store, settings=MonitorSettings(window=100))
    assert found.windows[0].inputs == (0 if journal.inputs == "none" else 100)
    assert found.windows[0].tested == 0
    assert found.notes[0].startswith("Drift cannot be judged: there are ")
    assert ("No input can be read" in " ".join(found.notes)) == (journal.inputs == "none")
    assert not found.alarmed
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["name"] == "kinds"
