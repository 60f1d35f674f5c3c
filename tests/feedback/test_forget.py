"""Forgetting: not a byte of a person stays, and the next model is the one that never saw them."""

from __future__ import annotations

import csv
import json
import random
import shutil
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from lingqu.cli import call
from lingqu.contract import Rows
from lingqu.contract.answers import LabelScores
from lingqu.data.forgotten import Rule, Rules
from lingqu.data.sources import raw_rows
from lingqu.errors import RequestError, StoreError, UnknownNameError
from lingqu.feedback.add import add_labels
from lingqu.feedback.forget import _alone, forget
from lingqu.feedback.forget.wanted import Wanted
from lingqu.feedback.voice import voices
from lingqu.registry import Registry
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import Entry, Journal, new_id, recorded
from lingqu.serve.keys import ANYONE, all_keys, new_key
from lingqu.serve.shadow import shadow_id
from lingqu.spec import DataSettings, ServeSettings
from lingqu.spec.running import JournalSettings
from lingqu.store import Store, write_bytes
from lingqu.store.atomic import TEMPORARY
from lingqu.store.history import append
from lingqu.store.tables import PREDICTIONS

PERSON = "anna.lindqvist@example.org"
NAME = "张晓灵渠"
PLAIN = JournalSettings(inputs="plain")

SPEC = """name: router
task: text-classification
model: ngram-linear
size: tiny
data:
  source: rows.csv
  columns: {text: message, label: queue}
  group: user
  max_bad: 0.1
"""


def entry(store: Store, words: str, *, name: str = "router", user: str | None = None) -> str:
    """An answer in the journal, with its input as it came."""
    identity = new_id()
    with Journal(store, PLAIN) as journal:
        scores = LabelScores.of({"sales": 0.9, "support": 0.1})
        journal.record(
            Entry(identity, "r1", time.time(), name, 1, "champion", ANYONE, user, {"message": words}, scores, 4.2)
        )
    return identity


def places_of(folder: Path, needle: str) -> list[str]:
    """Every file that holds the bytes in any case, in itself, in a Parquet file's columns or in an archive."""
    import pyarrow.parquet

    low = needle.casefold()
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        parts = [data]
        if data[:4] == b"PAR1":
            parts.append(repr(pyarrow.parquet.read_table(path).to_pydict()).encode())
        if data[:2] == b"PK":
            with zipfile.ZipFile(path) as archive:
                parts += [archive.read(one) for one in archive.namelist()]
        escaped = json.dumps(needle)[1:-1].casefold()
        told = [part.decode("utf-8", "replace").casefold() for part in parts]
        if any(low in part or escaped in part for part in told):
            found.append(str(path.relative_to(folder)))
    return found


def test_a_text_counts_where_it_stands_alone() -> None:
    secret = bytes(range(32))
    rules = Rules([Rule.of(PERSON, secret), Rule.of(NAME, secret), Rule.of("13800138000", secret)], secret)
    cells = [
        f"mail {PERSON.upper()}.",
        f"x{PERSON}",
        f"x.{PERSON}",
        f"{PERSON}.cn",
        f"我是{NAME}先生",
        "张晓灵",
        "电话13800138000谢谢",
        "113800138000",
        None,
        "ａｎｎａ.lindqvist@example.org",
    ]
    assert sorted(rules.places(Rows({"t": cells}))) == [0, 4, 6, 9]
    numbers = Rows({"n": [13800138000.0, 13800138001.0, None]})
    assert rules.places(numbers) == {0}
    kept = json.dumps([rule.to_json() for rule in rules.rules])
    assert all(word not in kept for word in (PERSON, NAME, "138"))
    other = Rules([Rule(**one) for one in json.loads(kept)], bytes(32))
    assert other.places(Rows({"t": cells})) == set(), "without the secret of the store nobody can try names"


def test_a_broken_row_of_a_forgotten_user_stays_out_too(tmp_path: Path) -> None:
    secret = bytes(range(32))
    far = f"{'word ' * 110}user-4711"
    lines = ["user,text", "user-4711,hello,a,comma,too,many", "user-17,hello,a,comma,too,many", "user-5,hello"]
    lines += ["5,hello,one,comma", f"u1,{far},more", "u2,15 a 5b,more"]
    write_bytes(tmp_path / "rows.csv", "\n".join(lines).encode())
    settings = DataSettings(source=str(tmp_path / "rows.csv"))
    rules = Rules([Rule.of("user-4711", secret, column="user"), Rule.of("5", secret, column="user")], secret)
    kept = [(len(raw.rows), [one.row for one in raw.quarantined]) for raw in raw_rows(settings, rules)]
    assert kept == [(1, [2, 6])]
    # What is kept of a row may end in the middle of a name, and then it is theirs all the same.
    wanted = Wanted((PERSON, NAME), None, secret)
    assert wanted.in_broken(f"text={'a ' * 40} {PERSON[:9]}…, user=u1")
    assert wanted.in_broken(f"{'a' * 490},{NAME[:2]}…")
    assert not wanted.in_broken(f"text={'a ' * 40} ann…, user=张")
    assert not wanted.in_broken(f"text={PERSON[:9]}, user=u1")


def test_a_name_that_became_a_piece_of_a_vocabulary_leaves_it() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    texts = [f"{NAME} 的订单", "lindqvist wants lindqvists order"] * 50
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=300, special_tokens=["[UNK]"]))
    before = tokenizer.to_str()
    assert {NAME, "lindqvist", "lindqvists"} <= tokenizer.get_vocab().keys()
    memory = {"front": {"name": "tokens", "tokenizer": before}, "labels": ["lindqvist"]}
    wanted = Wanted((NAME, "Lindqvist"), None, bytes(32)).keeping(["lindqvist"])
    cleared = wanted.cleared(memory)
    assert cleared["labels"] == ["lindqvist"], "a model's labels are its answers"
    spelled = cleared["front"]["tokenizer"]
    assert NAME not in spelled and '"lindqvist"' not in spelled
    after = Tokenizer.from_str(spelled)
    assert after.get_vocab_size() == tokenizer.get_vocab_size(), "every other piece keeps its number"
    assert after.encode("wants order").ids == tokenizer.encode("wants order").ids
    assert not {NAME, "lindqvist"} & {*after.encode(f"{NAME} lindqvist").tokens}
    untouched = Wanted(("nobody@example.org",), None, bytes(32)).cleared(memory)
    assert untouched == memory


def test_what_is_asked_for_badly_is_refused(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    for asked, said in (
        (
            lambda: forget(store=store),
            "Expected texts that name a person, or a source, found neither. See: lingqu forget --help",
        ),
        (
            lambda: forget("a", store=store),
            "Expected a text of at least 2 characters, found 'a'. A shorter one stands in every row.",
        ),
    ):
        with pytest.raises(RequestError) as error:
            asked()
        assert str(error.value) == said
    with pytest.raises(UnknownNameError) as unknown:
        forget(source="pages", store=store)
    assert str(unknown.value) == "Expected a source of feedback, found 'pages'. Known: none yet."
    with pytest.raises(RequestError, match="found a column without texts"):
        forget(source="pages", column="user", store=store)


def test_a_run_that_comes_meanwhile_waits_until_it_is_forgotten(tmp_path: Path) -> None:
    store, order, waits = Store.open(tmp_path / ".lingqu"), [], threading.Event()

    def come() -> None:
        with store.at_work("run-new", on_wait=lambda _: waits.set()):
            order.append("run")

    with _alone(store):
        thread = threading.Thread(target=come)
        thread.start()
        assert waits.wait(10)
        order.append("forgotten")
    thread.join(10)
    assert order == ["forgotten", "run"]


@pytest.mark.heavy
def test_journal_feedback_keys_and_history_are_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(tmp_path / ".lingqu")
    by_text = entry(store, f"my address is {PERSON}")
    by_user = entry(store, "no word of who it is", user=PERSON)
    other = entry(store, "somebody else")
    inbox = Inbox(store, ServeSettings(journal=PLAIN))
    for identity, comment in ((by_text, None), (other, f"{PERSON} says so too"), (by_user, None)):
        inbox.receive({"prediction_id": identity, "label": "sales", "comment": comment}, ANYONE)
    kept = entry(store, "another one")
    inbox.receive({"prediction_id": kept, "label": "sales", "origin": "model"}, ANYONE)
    new_key(store, PERSON)
    with store.database.writing() as connection:
        append(connection, name="router", who="ben", action="freeze", why=f"asked by {PERSON}", evidence={"of": PERSON})
    before = places_of(store.folder, PERSON)
    assert any(name.startswith("lingqu.db") for name in before)
    assert call(["forget", "nobody@example.org", "--home", str(store.folder)]) == 0
    assert capsys.readouterr().out == (
        "Nothing of it is in this store. "
        "With --yes a person is remembered all the same, so that rows that come later stay out.\n"
    )

    assert call(["forget", PERSON, "--home", str(store.folder), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "Would be forgotten: 2 answers of the journal, 3 feedbacks, 1 keys, 1 rows of the history, rewritten.\n"
    )
    assert len(recorded(store)) == 4
    assert call(["forget", PERSON, "--home", str(store.folder)]) == 2
    assert capsys.readouterr().err == (
        "Expected --yes, for nothing that is forgotten comes back, found nobody to ask. "
        "Look with --dry-run, then add --yes.\n"
    )
    assert call(["forget", PERSON, "--home", str(store.folder), "--yes", "--who", "ben", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["predictions"], told["feedback"], told["left"], told["compacted"]) == (
        True,
        2,
        3,
        [],
        True,
    )
    assert told["backups"] == [] and told["about_backups"].startswith("lingqu makes no backups")
    assert places_of(store.folder, PERSON) == []
    assert [one.id for one in recorded(store)] == [other, kept]
    # What was rejected at the door hangs on nobody else's word, and does not come back.
    assert [(voice.prediction_id, voice.status) for voice in voices(store, "router")] == [(kept, "rejected")]
    (key,) = all_keys(store)
    assert key.state() == "revoked" and PERSON not in key.name
    assert store.fsck() == []
    first, last = Registry(store).history()
    assert (first.why, first.evidence) == ("asked by [forgotten]", {"of": "[forgotten]"})
    assert last.sentence()[22:] == (
        "something was forgotten in this store (ben): a person: 0 rows, 2 answers, 3 feedbacks."
    )
    assert last.evidence["rewritten"] == [1]
    assert forget(PERSON, store=store, dry_run=True).nothing


def test_what_a_challenger_answered_unseen_goes_with_the_row(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    mine, other = entry(store, f"my address is {PERSON}"), entry(store, "somebody else")
    with Journal(store, PLAIN) as journal:
        for given in (mine, other):
            told = ("r", time.time(), "router", 2, "shadow", ANYONE, None, None)
            journal.record(Entry(shadow_id(given, 2), *told, LabelScores.of({"sales": 0.7, "support": 0.3}), 1.0))
    assert forget(PERSON, store=store).predictions == 2
    assert {one.id for one in recorded(store)} == {other, shadow_id(other, 2)}


def test_numbers_of_the_history_are_nobodys(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    entry(store, "my account is 1234")
    Registry(store).spend("router", "g0", 1, 0.025, 0.1234, "keep")
    found = forget("1234", store=store)
    assert (found.predictions, found.left) == (1, [])
    assert Registry(store).verify_history() == []
    assert Registry(store).history()[0].evidence["p"] == 0.1234
    # Of a model go the ends of ranges and cells, and neither what was measured nor a size of its network.
    wanted = Wanted(("1234", "0.75"), None, bytes(32))
    measured = {"f1": {"value": 0.75, "low": 0.75, "method": "bootstrap"}, "rows": 1234, "front": {"size": 1234}}
    learned = {
        "columns": [{"name": "account", "kind": "number", "low": 1234, "high": 9e3}],
        "cell": [{"column": "a", "kind": "number", "value": 1234.0}],
    }
    assert (wanted.cleared(measured), wanted.in_record(measured)) == (measured, False)
    assert wanted.cleared(learned) == {
        "columns": [{"name": "account", "kind": "number", "low": 1200, "high": 9e3}],
        "cell": [{"column": "a", "kind": "number", "value": 1200.0}],
    }
    assert wanted.in_record(learned)


def test_what_was_deleted_before_leaves_its_page_too(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    identity = entry(store, f"my address is {PERSON}")
    with store.database.writing() as connection:
        connection.exec_driver_sql("PRAGMA secure_delete = OFF")
        connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.id == identity))
    with store.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert places_of(store.folder, PERSON) == ["lingqu.db"]
    assert forget(PERSON, store=store).left == []
    assert places_of(store.folder, PERSON) == []


def test_what_cannot_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lingqu.privacy.encrypt import KEY_VARIABLE, new_master_key, spelled

    store = Store.open(tmp_path / ".lingqu")
    monkeypatch.setenv(KEY_VARIABLE, spelled(new_master_key()))
    entry(store, f"my address is {PERSON}")
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(StoreError, match="the key that inputs were encrypted with"):
        forget(PERSON, store=store)


def write_rows(path: Path, *, without: str = "") -> list[int]:
    """Tickets of 80 users; the rows that name the person, counted from 1."""
    rng = random.Random(5)
    words = {"sales": ["price", "offer", "order", "quote"], "support": ["broken", "error", "crash", "login"]}
    rows: list[tuple[str, ...]] = []
    for i in range(480):
        queue = rng.choice([*words])
        rows.append((" ".join([*rng.choices(words[queue], k=4), f"no{i}"]), queue, f"user{i % 80}"))
    mine = {
        31: f"please write {PERSON} about the broken login",
        222: f"{PERSON.title()} wants a quote",
        400: f"({PERSON})",
    }
    for place, words_of_it in mine.items():
        rows[place] = (words_of_it, rows[place][1], "user31")
    rows[90] = (f"price {NAME} order", "", "user9")
    # Two rows with a cell too many: of one not even the beginning of the name is kept.
    rows += [(f"{'word ' * at} {PERSON}", "sales", "user31", "more") for at in (120, 97)]
    kept = [row for row in rows if not (without and (without in row[0].casefold() or NAME in row[0]))]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["message", "queue", "user"])
        writer.writerows(kept)
    return [number for number, row in enumerate(rows, 1) if PERSON in row[0].casefold()]


def set_aside(store: Store) -> list[Any]:
    """The broken rows of the champion's data, as they are kept."""
    from lingqu.evaluate.unseen import data_of

    return data_of(Registry(store).get("router@1"), store).set_aside(store)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    from lingqu.loop import run

    folder = tmp_path_factory.mktemp("forget")
    numbers = write_rows(folder / "rows.csv")
    write_bytes(folder / "lingqu.yaml", SPEC.encode())
    store = Store.open(folder / ".lingqu")
    run(folder / "lingqu.yaml", store=store)
    Registry(store).promote("router", 1, who="anna", why="first", evidence={"override": True})
    return folder, numbers


@pytest.fixture
def project(trained: tuple[Path, list[int]], tmp_path: Path) -> tuple[Path, Store, list[int]]:
    folder = tmp_path / "project"
    shutil.copytree(trained[0], folder)
    return folder, Store.open(folder / ".lingqu"), trained[1]


@pytest.mark.heavy
def test_a_person_is_gone_from_all_and_the_next_model_never_saw_them(project: Any, tmp_path: Path) -> None:
    from lingqu.loop import load, run

    folder, store, numbers = project
    answered = entry(store, f"call {PERSON}, {NAME}")
    Inbox(store, ServeSettings(journal=PLAIN)).receive({"prediction_id": answered, "label": "sales"}, ANYONE)
    # What a broken run and a page leave behind.
    write_bytes(store.folder / "work" / "abc" / "part.json", json.dumps({"row": PERSON}).encode())
    write_bytes(store.folder / "rows" / "cache" / "x.npy", PERSON.encode())
    write_bytes(store.folder / "reports" / "old.html", f"<p>{PERSON}</p>".encode())
    store.put_json([f"an orphan of {NAME}"])
    write_bytes(store.folder / "blobs" / f"{TEMPORARY}half.tmp" / "train.csv", PERSON.encode())
    aside = {one["row"]: one["raw"] for one in set_aside(store)}
    assert sorted(aside) == [91, 481, 482]
    assert aside[482].endswith(f" {PERSON[:13]}…")
    held = {needle: places_of(store.folder, needle) for needle in (PERSON, NAME)}
    assert all(len(found) >= 3 for found in held.values()), held

    found = forget(PERSON, NAME, store=store, who="ben")
    assert found.done and found.left == [] and found.compacted
    assert [(one["name"], one["version"], one["aliases"], one["next"]) for one in found.models] == [
        ("router", 1, ["champion"], "lingqu run")
    ]
    (origin,) = found.origins
    assert [*origin.rows] == sorted({*numbers, 91})
    assert numbers[-2:] == [481, 482] and set_aside(store) == []
    assert {needle: places_of(store.folder, needle) for needle in (PERSON, NAME)} == {PERSON: [], NAME: []}
    assert store.fsck() == []
    # Until it is learned again, the model answers, and what is known of it can be asked.
    assert (
        load("router", store=store).predict([{"message": "the login is broken"}])[0].cells()["prediction"] == "support"
    )
    version = Registry(store).get("router@1")
    assert PERSON not in json.dumps(store.get_json(version.lineage["report"]))

    run(folder / "lingqu.yaml", store=store)
    again = Registry(store).versions("router")[-1]
    assert again.number == 2
    never = tmp_path / "never"
    never.mkdir()
    write_rows(never / "rows.csv", without=PERSON)
    write_bytes(never / "lingqu.yaml", SPEC.encode())
    clean = Store.open(never / ".lingqu")
    run(never / "lingqu.yaml", store=clean)
    (unseen,) = Registry(clean).versions("router")
    assert again.data_version == unseen.data_version
    assert again.lineage["candidate"] == unseen.lineage["candidate"]
    assert places_of(store.folder, PERSON) == [] and places_of(store.folder, NAME) == []


@pytest.mark.heavy
def test_a_source_is_cut_out_and_the_model_is_that_of_a_world_without_it(tmp_path: Path) -> None:
    from lingqu.loop import improve, run
    from tests.feedback.test_circle import rows

    def made(folder: Path) -> tuple[Path, Store]:
        lines = ["message,queue", *(f"{row['message']},{row['queue']}" for row in rows(600, 1))]
        write_bytes(folder / "rows.csv", "\n".join(lines).encode())
        write_bytes(folder / "lingqu.yaml", SPEC.replace("  group: user\n", "").encode())
        return folder / "lingqu.yaml", Store.open(folder / ".lingqu")

    spec, store = made(tmp_path / "told")
    run(spec, store=store)
    Registry(store).promote("router", 1, who="anna", why="first", evidence={"override": True})
    shutil.copytree(tmp_path / "told", tmp_path / "clean")
    spotless = Store.open(tmp_path / "clean" / ".lingqu")
    good = rows(60, 7, late=1.0)
    bad = [{**row, "queue": "bugs" if row["queue"] == "money" else "money"} for row in rows(40, 8, late=1.0)]
    for where in (store, spotless):
        add_labels(where, "router", good, who="anna", target="queue")
    add_labels(store, "router", bad, who="mallory", target="queue")
    poisoned = improve(spec, store=store)
    assert poisoned["joined"] == 100

    assert [one["version"] for one in forget(source="file:mallory", store=store, dry_run=True).models] == [2]
    found = forget(source="file:mallory", store=store, who="anna")
    assert (found.feedback, found.rows, found.left) == (40, 40, [])
    assert [(one["version"], one["learned_from_them"], one["next"]) for one in found.models] == [
        (2, True, "lingqu improve")
    ]
    assert {voice.decided_by for voice in voices(store, "router")} == {"anna"}
    assert store.fsck() == []
    for row in bad:
        assert places_of(store.folder, row["message"]) == []

    again, clean = improve(spec, store=store), improve(tmp_path / "clean" / "lingqu.yaml", store=spotless)
    assert again["joined"] == clean["joined"] == 60
    last, unseen = Registry(store).get(f"router@{again['version']}"), Registry(spotless).get("router@2")
    assert last.data_version == unseen.data_version
    assert last.lineage["candidate"] == unseen.lineage["candidate"]


@pytest.mark.heavy
def test_a_value_of_a_column_goes_from_a_table_and_from_its_model(tmp_path: Path) -> None:
    from lingqu.loop import load, run

    rng = random.Random(3)
    customers = ["acme-bikes", "north-wind", "lotus-tea", "blue-moon"]
    rows = []
    for i in range(320):
        customer = customers[i % 4]
        size = rng.random() * 10 + (90 if customer == "lotus-tea" and i == 2 else 0)
        rows.append((customer, f"{size:.4f}", rng.choice("xyz"), "late" if size + rng.random() * 4 > 6 else "paid"))
    table = "\n".join(",".join(row) for row in [("customer", "size", "kind", "outcome"), *rows])
    write_bytes(tmp_path / "rows.csv", table.encode())
    spec = "name: loans\ntask: tabular-classification\ndata: {source: rows.csv, columns: {label: outcome}}\nmodel: logistic\n"
    write_bytes(tmp_path / "lingqu.yaml", f"{spec}size: tiny\n".encode())
    store = Store.open(tmp_path / ".lingqu")
    run(tmp_path / "lingqu.yaml", store=store)
    Registry(store).promote("loans", 1, who="anna", why="first", evidence={"override": True})
    assert len(places_of(store.folder, "lotus-tea")) > 3
    with pytest.raises(UnknownNameError) as unknown:
        forget("lotus-tea", column="custmer", store=store)
    assert "'customer'" in str(unknown.value)

    found = forget("lotus-tea", column="customer", store=store)
    assert (found.rows, found.left, found.origins[0].count) == (80, [], 80)
    assert places_of(store.folder, "lotus-tea") == []
    assert store.fsck() == []
    row = {"customer": "acme-bikes", "size": 1.0, "kind": "x"}
    assert load("loans", store=store).predict([row])[0].cells()["prediction"] == "paid"
    again = run(tmp_path / "lingqu.yaml", store=store)
    assert sum(again["rows"].values()) == 240
    assert places_of(store.folder, "lotus-tea") == []
