"""Rows that are somebody's by nothing that lingqu keeps of them: a column left out, or the name of a picture."""

from __future__ import annotations

import csv
import json
import random
import shutil
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.cli import call
from lingqu.data.findings import Finding
from lingqu.data.forgotten import Rule, Rules
from lingqu.data.groups import row_digests
from lingqu.data.ingest import ingest
from lingqu.data.pictures import encode_png
from lingqu.data.split import SPLITS
from lingqu.data.version import DataVersion
from lingqu.evaluate.unseen import data_of
from lingqu.feedback.add import add_labels
from lingqu.feedback.forget import forget
from lingqu.feedback.forget.again import Reading, _before_feedback
from lingqu.registry import Registry
from lingqu.spec import DataSettings
from lingqu.store import Store, canonical_json, write_bytes
from lingqu.store.canonical import digest_of
from lingqu.tasks import find_task
from tests.data.test_workbook import save
from tests.feedback.test_circle import rows as said

SECRET = bytes(32)
NONE = Rules([], SECRET)


def rules(*texts: str, column: str | None = "user") -> Rules:
    return Rules([Rule.of(text, SECRET, column=column) for text in texts], SECRET)


def table(path: Path, given: list[tuple[Any, ...]], header: str = "user,size,kind,outcome") -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *given])
    return str(path)


def drawn(rng: random.Random, count: int, users: int) -> list[tuple[Any, ...]]:
    """Rows of which many say the same as those of others."""
    rows = []
    for _ in range(count):
        size, kind = rng.randrange(6), rng.choice("xyz")
        rows.append((f"u{rng.randrange(users)}", size, kind, "late" if size + rng.random() > 3 else "paid"))
    return rows


def contents(data: DataVersion, store: Store, gone: dict[str, set[int]]) -> Counter[str]:
    """The rows of a version by their content, without those at these places."""
    kept: Counter[str] = Counter()
    for split in SPLITS:
        found = row_digests(data.rows(split, store))
        kept += Counter(digest for place, digest in enumerate(found) if place not in gone.get(split, ()))
    return kept


@pytest.mark.parametrize("seed", range(4))
def test_what_goes_is_what_a_reading_without_them_lacks(tmp_path: Path, seed: int) -> None:
    rng, task = random.Random(seed), find_task("tabular-classification")
    store = Store.open(tmp_path / "store")
    rows = drawn(rng, 150, 8)
    settings = DataSettings(
        source=table(tmp_path / "rows.csv", rows), columns={"label": "outcome"}, types={"user": "ignore"}
    )
    data = ingest(settings, task, store)
    clean = settings.model_copy(update={"source": table(tmp_path / "n.csv", [row for row in rows if row[0] != "u3"])})
    forced = settings.model_copy(update={"types": {"user": "ignore", "size": "number", "kind": "category"}})
    found = Reading(forced, task, rules("u3"), NONE).compared(data, store)
    assert sum(map(len, found.places.values())) == sum(row[0] == "u3" for row in rows) and found.strange == 0
    unseen = ingest(clean, task, store)
    assert contents(data, store, found.places) == contents(unseen, store, {})
    # What a request that was killed has cleared already loses nothing more, and what another request took is no riddle.
    assert Reading(forced, task, rules("u3"), NONE).compared(unseen, store).places == {}
    assert Reading(forced, task, rules("u4"), rules("u3")).compared(unseen, store).strange == 0
    assert Reading(forced, task, rules("u3"), rules("u4")).compared(data, store).strange == 0


def test_equal_rows_that_were_given_different_splits_are_told_apart(tmp_path: Path) -> None:
    store, task = Store.open(tmp_path / "store"), find_task("tabular-classification")
    rows, more = (
        drawn(random.Random(1), 60, 4),
        [("u9", 5, "x", "late"), ("u9", 2, "y", "paid"), ("u3", 1, "z", "late")],
    )
    source = {
        "train": table(tmp_path / "a.csv", [*rows, ("u9", 1, "z", "late")]),
        "test": table(tmp_path / "b.csv", [*more, *rows[:20]]),
    }
    settings = DataSettings(source=source, columns={"label": "outcome"}, types={"user": "ignore", "size": "number"})
    data = ingest(settings, task, store)
    found = Reading(settings, task, rules("u9"), NONE).compared(data, store)
    assert {split: len(places) for split, places in found.places.items() if split == "test"} == {"test": 2}
    assert sum(map(len, found.places.values())) == 3 and found.strange == 0
    kept = data.rows("test", store).take(set(range(data.counts["test"])) - found.places["test"])
    assert Counter(kept["size"])[5.0] == sum(row[1] == 5 for row in rows[:20])


def test_a_picture_goes_by_its_name_and_by_a_column_left_out(tmp_path: Path) -> None:
    store, task, rng = Store.open(tmp_path / "store"), find_task("image-classification"), np.random.default_rng(1)
    rows = [(f"u{i % 5}", f"{'anna' if i == 7 else 'p'}-{i}.png", "ab"[i % 2]) for i in range(60)]
    for _, name, _ in rows:
        write_bytes(tmp_path / "photos" / name, encode_png(rng.integers(0, 255, (12, 12), dtype=np.uint8)))
    settings = DataSettings(
        source=table(tmp_path / "rows.csv", rows, "user,image,label"),
        root=str(tmp_path / "photos"),
        types={"user": "ignore"},
    )
    data = ingest(settings, task, store)
    by_user = Reading(settings, task, rules("u3"), NONE).compared(data, store)
    by_name = Reading(settings, task, rules("anna", column=None), NONE).compared(data, store)
    assert [sum(map(len, found.places.values())) for found in (by_user, by_name)] == [12, 1]
    assert by_user.strange == by_name.strange == 0


def test_feedback_that_lost_rows_begins_where_the_order_of_digests_does_anew() -> None:
    rng = random.Random(4)
    base, more = ([bytes(rng.randrange(256) for _ in range(32)) for _ in range(count)] for count in (200, 30))
    told = Finding("note", "feedback", "1,030 of the training rows came as feedback and were accepted.")
    whole = digest_of(canonical_json(sorted(one.hex() for one in more)))
    grown = DataVersion("v", "t", "label", {}, {}, {}, "", sources={"feedback": whole}, findings=(told,))
    exact = replace(grown, findings=(replace(told, message=told.message.replace("1,030", "30")),))

    def before(data: DataVersion, *parts: list[bytes]) -> int:
        rows = b"".join(digest for part in parts for digest in sorted(part))
        return _before_feedback(data, np.frombuffer(rows, np.uint8).reshape(-1, 32))

    assert before(exact, base, more) == before(grown, base, more) == before(grown, base, more[:9]) == 200
    assert before(exact, base) == before(replace(grown, sources={}), base) == 200
    # Rows in the order of their times do not hide where feedback begins, as long as all of it is there.
    assert before(exact, base[:100], base[100:], more) == 200


def registered(store: Store, name: str, task: str, **settings: Any) -> DataVersion:
    """A version of these rows as far as its data and its spec say."""
    data = ingest(DataSettings(**settings).at(store.folder.parent), find_task(task), store)
    bundle = store.work(f"bundle-{name}")
    write_bytes(bundle / "name", name.encode())
    report = store.put_json({"data": data.as_dict()})
    told = {"metrics": {}, "decision": {}, "lineage": {"report": report}, "spec": {"data": settings}}
    Registry(store).register(name, bundle=store.put_folder(bundle), data_version=data.id, run=report, task=task, **told)
    return data


def test_files_of_one_name_are_each_looked_into(tmp_path: Path) -> None:
    store, rng = Store.open(tmp_path / ".lingqu"), random.Random(2)
    given = [drawn(rng, count, 9) for count in (120, 90)]
    for name, rows in zip(("first", "second"), given, strict=True):
        (tmp_path / name).mkdir()
        table(tmp_path / name / "rows.csv", rows)
        settings = {"columns": {"label": "outcome"}, "types": {"user": "ignore"}}
        registered(store, name, "tabular-classification", source=f"{name}/rows.csv", **settings)
    found = forget("u3", column="user", store=store, dry_run=True)
    counts = [sum(row[0] == "u3" for row in rows) for rows in given]
    assert sorted(one.count for one in found.origins) == sorted(one["rows"] for one in found.data) == sorted(counts)
    assert {one["name"]: one["rows"] for one in found.models} == dict(zip(("first", "second"), counts, strict=True))
    # A file that was given another name is found by what it holds.
    (tmp_path / "first" / "rows.csv").replace(tmp_path / "second" / "rows.csv")
    again = forget("u3", column="user", store=store, dry_run=True)
    assert [one["rows"] for one in again.data if one["id"] == found.models[0]["data"]] == [counts[0]]
    assert [one.models for one in again.unsure] == [("second@1",)]


def test_a_sheet_of_a_workbook_is_looked_into(tmp_path: Path) -> None:
    store, rows = Store.open(tmp_path / ".lingqu"), drawn(random.Random(3), 90, 9)
    save(tmp_path / "book.xlsx", [["a"], [1]], **{"票 2": [["user", "size", "kind", "outcome"], *map(list, rows)]})
    settings = {"columns": {"label": "outcome"}, "types": {"user": "ignore"}}
    registered(store, "book", "tabular-classification", source="book.xlsx#票 2", **settings)
    found = forget("u3", column="user", store=store, dry_run=True)
    assert found.rows == found.origins[0].count == sum(row[0] == "u3" for row in rows)


# From here on with models, and feedback that one of them has learned from.

SPEC = """name: router
task: text-classification
model: ngram-linear
size: tiny
data:
  source: rows.csv
  columns: {text: message, label: queue}
  types: {user: ignore}
"""
MINE, ROWS = 10, 600


def tickets() -> list[tuple[str, str, str]]:
    """Tickets of 60 users, of whom u18 once says what u17 says."""
    told = [(row["message"], row["queue"], f"u{i % 60}") for i, row in enumerate(said(ROWS, 1))]
    told[138] = (*told[77][:2], "u18")
    return told


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions: of the tickets, and of the tickets and feedback, of which one says what u17 says too."""
    from lingqu.loop import improve, run

    folder = tmp_path_factory.mktemp("left-out")
    table(folder / "rows.csv", tickets(), "message,queue,user")
    write_bytes(folder / "lingqu.yaml", SPEC.encode())
    store = Store.open(folder / ".lingqu")
    run(folder / "lingqu.yaml", store=store)
    Registry(store).promote("router", 1, who="anna", why="first", evidence={"override": True})
    train = data_of(Registry(store).get("router@1"), store).rows("train", store)["text"]
    same = next(row for row in tickets() if row[2] == "u17" and row[0] in train)
    good = [*said(60, 7, late=1.0), {"message": same[0], "queue": same[1]}]
    add_labels(store, "router", good, who="anna", target="queue")
    assert improve(folder / "lingqu.yaml", store=store)["joined"] == len(good)
    return folder


@pytest.fixture
def project(grown: Path, tmp_path: Path) -> tuple[Path, Store]:
    shutil.copytree(grown, tmp_path / "project")
    return tmp_path / "project", Store.open(tmp_path / "project" / ".lingqu")


def texts(store: Store, number: int) -> list[Counter[str]]:
    """How often each text stands in a version's data: in all of it, and among the training rows behind the base."""
    data = data_of(Registry(store).get(f"router@{number}"), store)
    split = {name: data.rows(name, store)["text"] for name in SPLITS}
    return [Counter(text for found in split.values() for text in found), Counter(split["train"][-61:])]


@pytest.mark.heavy
@pytest.mark.parametrize("column", [None, "user"])
def test_rows_known_by_a_column_left_out_go_from_all_versions(project: Any, tmp_path: Path, column: str | None) -> None:
    from lingqu.loop import run

    folder, store = project
    before, behind = texts(store, 2)
    first = forget("u17", column=column, store=store, dry_run=True)
    found = forget("u17", column=column, store=store)
    for told in (first, found):
        assert [one["rows"] for one in told.data] == [MINE, MINE]
        assert [(one["version"], one["rows"], one["learned_from_them"]) for one in told.models] == [
            (1, MINE, True),
            (2, MINE, True),
        ]
        assert (told.rows, told.origins[0].count, told.unsure) == (2 * MINE, MINE, [])
    assert found.left == [] and store.fsck() == []
    after, still = texts(store, 2)
    assert before - after == Counter(row[0] for row in tickets() if row[2] == "u17"), "what others said as well stays"
    assert still == behind and after[tickets()[138][0]] == before[tickets()[138][0]] - 1
    assert texts(store, 1)[0].total() == ROWS - MINE
    assert forget("u17", column=column, store=store).rows == 0

    run(folder / "lingqu.yaml", store=store)
    never = tmp_path / "never"
    never.mkdir()
    table(never / "rows.csv", [row for row in tickets() if row[2] != "u17"], "message,queue,user")
    write_bytes(never / "lingqu.yaml", SPEC.encode())
    clean = Store.open(never / ".lingqu")
    run(never / "lingqu.yaml", store=clean)
    again, unseen = Registry(store).versions("router")[-1], Registry(clean).get("router@1")
    assert again.number == 3 and again.data_version == unseen.data_version
    assert again.lineage["candidate"] == unseen.lineage["candidate"]


@pytest.mark.heavy
def test_a_file_that_has_changed_says_what_nobody_can_tell(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder, store = project
    rows, path = tickets(), folder / "rows.csv"
    as_it_was = path.read_bytes()
    asked = ["forget", "u17", "--home", str(store.folder)]

    # Rows that came later hide none.
    table(path, [("a new one", "bugs", "u17"), *rows, ("another", "bugs", "u3")], "message,queue,user")
    found = forget("u17", store=store, dry_run=True)
    assert (found.rows, found.unsure, found.origins[0].count) == (2 * MINE, [], MINE + 1)

    table(path, [*rows[:17], ("it is otherwise now", *rows[17][1:]), *rows[18:-2]], "message,queue,user")
    found = forget("u17", store=store, dry_run=True)
    assert found.rows == 2 * (MINE - 1)
    assert [(one.models, one.rows, one.why) for one in found.unsure] == [
        (("router@1",), 3, "rows.csv: not there any more"),
        (("router@2",), 3, "rows.csv: not there any more"),
    ]

    path.unlink()
    found = forget("nobody", column="user", store=store, dry_run=True)
    assert not found.nothing and [one.rows for one in found.unsure] == [ROWS, ROWS + 61]
    assert call([*asked, "--yes"]) == 1
    data = data_of(Registry(store).get("router@1"), store)
    said = (
        f"Nobody can tell whose {ROWS} rows of data version {data.id[:12]} (router@1) are (rows.csv: not found). "
        "Put it back as it was read, and run the same command again.\n"
    )
    assert said in capsys.readouterr().out.replace("\n", " ").replace("again. ", "again.\n")

    write_bytes(path, as_it_was)
    assert call([*asked, "--yes"]) == 0
    assert texts(store, 1)[0].total() == ROWS - MINE
    path.unlink()
    assert forget("u17", column="message", store=store).unsure == [], "what the versions hold says it all"


@pytest.mark.heavy
def test_of_another_request_before_it_nothing_is_a_riddle(project: Any) -> None:
    _, store = project
    assert forget("u18", store=store).rows == 2 * MINE
    found = forget("u17", column="user", store=store)
    assert (found.rows, found.unsure) == (2 * MINE, [])
    twice = tickets()[138][0]
    assert [texts(store, number)[0][twice] for number in (1, 2)] == [0, texts(store, 2)[1][twice]]


def let_go(folder: Path, kill_at: int = 0) -> None:
    """Forget u17; killed before this durable step, counted from 1. Writes how many there were, and what it came to."""
    from tests.feedback.kill_lab import Steps

    store = Store.open(folder / ".lingqu")
    steps = Steps(kill_at, "replace", "rename", "unlink", "rmdir")
    found = forget("u17", column="user", store=store)
    assert found.done and found.left == [] and found.unsure == []
    told = [[one["version"], one["rows"], one["learned_from_them"]] for one in found.models]
    (folder / "steps").write_text(str(steps.count))
    held = [sorted(counted.items()) for number in (1, 2) for counted in texts(store, number)]
    (folder / "came-to").write_text(json.dumps([told, held]))


@pytest.mark.heavy
@pytest.mark.parametrize("kills", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_a_request_that_was_killed_anywhere_is_finished_by_the_next(grown: Path, tmp_path: Path, kills: int) -> None:
    from tests.feedback.kill_lab import child

    calm, killed = tmp_path / "calm", tmp_path / "killed"
    shutil.copytree(grown, calm)
    assert child(let_go, calm) == 0
    steps = int((calm / "steps").read_text())
    assert steps > 20
    for place in sorted(random.Random(21).sample(range(1, steps + 1), min(kills, steps))):
        shutil.rmtree(killed, ignore_errors=True)
        shutil.copytree(grown, killed)
        assert child(let_go, killed, place) == -signal.SIGKILL
        assert child(let_go, killed) == 0
        assert (killed / "came-to").read_text() == (calm / "came-to").read_text(), place
        assert Store.open(killed / ".lingqu").fsck() == [], place
