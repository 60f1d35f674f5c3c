"""However a value is written: what is forgotten of the data goes from the file of the user and from every report too."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from lingqu.bundle.example import _made_up
from lingqu.contract import Rows
from lingqu.data.forgotten import Rule, Rules
from lingqu.data.overview import shown_row
from lingqu.data.version import DataVersion
from lingqu.evaluate.doubts import pictures
from lingqu.feedback.forget import forget
from lingqu.feedback.forget.rows import Touched
from lingqu.feedback.forget.sweep import files_with
from lingqu.feedback.forget.versions import _without_rows
from lingqu.feedback.forget.wanted import Wanted
from lingqu.store import Store, canonical_json, write_bytes
from tests.feedback.test_forget import places_of

SECRET = bytes(32)


def made(folder: Path, cells: list[str], *, columns: str = "label: outcome", more: str = "") -> tuple[Path, Store]:
    """A table whose first column holds these cells, learned and registered."""
    from lingqu.loop import run

    rng, rows = random.Random(3), ["user,size,kind,outcome"]
    for cell in cells:
        size = rng.random() * 10
        rows.append(f'"{cell}",{size:.4f},{rng.choice("xyz")},{"late" if size + rng.random() * 4 > 6 else "paid"}')
    write_bytes(folder / "rows.csv", "\n".join(rows).encode())
    spec = f"name: loans\ntask: tabular-classification\ndata: {{source: rows.csv, columns: {{{columns}}}{more}}}\n"
    write_bytes(folder / "lingqu.yaml", f"{spec}model: logistic\nsize: tiny\n".encode())
    store = Store.open(folder / ".lingqu")
    run(folder / "lingqu.yaml", store=store)
    return folder / "lingqu.yaml", store


@pytest.mark.heavy
@pytest.mark.parametrize("said", ["17", "17.0"])
def test_a_value_of_a_number_column_stays_out_however_it_is_written(tmp_path: Path, said: str) -> None:
    from lingqu.loop import run

    spec, store = made(tmp_path, [f"{i % 40}.0" for i in range(320)])
    found = forget(said, column="user", store=store)
    assert (found.rows, found.origins[0].count, found.left) == (8, 8, [])
    assert sum(run(spec, store=store)["rows"].values()) == 312


@pytest.mark.heavy
def test_a_column_may_be_called_as_it_is_inside(tmp_path: Path) -> None:
    from lingqu.loop import run

    spec, store = made(tmp_path, ["aa", "bb", "cc", "dd"] * 80, columns="label: user")
    found = forget("bb", column="label", store=store)
    assert (found.rows, found.origins[0].count) == (80, 80)
    assert sum(run(spec, store=store)["rows"].values()) == 240


@pytest.mark.heavy
def test_a_short_value_leaves_the_report_and_its_page(tmp_path: Path) -> None:
    _, store = made(tmp_path, ["acme", "nort", "zqxj", "blue"] * 400)
    assert places_of(store.folder, "zqxj")
    found = forget("zqxj", column="user", store=store)
    assert (found.rows, found.left, places_of(store.folder, "zqxj")) == (400, [], [])


def test_a_cell_is_compared_as_it_stands_and_as_it_is_kept() -> None:
    old = Rules([Rule.of("17.0", SECRET, column="n"), Rule.of("2024/1/31", SECRET, column="n")], SECRET)
    assert old.places(Rows({"n": ["17.0", "17", "2024/1/31"]})) == {0, 2}, "rules that were kept before still match"
    wanted = Wanted(("1,234", "2024/1/31"), "n", SECRET)
    cells = ["1234", "1,234", "1234.0", "1.234e3", 1234.0, "2024-01-31", "2024.1.31", "12345", "01234", "x1234"]
    assert wanted.rules.places(Rows({"n": cells})) == {0, 1, 2, 3, 4, 5, 6}
    assert wanted.in_cells({"n": 1234}) and not wanted.in_cells({"m": 1234})
    assert [wanted.rules.in_broken(line) for line in ("1234.00,a,b", "2024.1.31,a,b", "12340,a,b")] == [
        True,
        True,
        False,
    ]
    code = Wanted(("0017",), "n", SECRET)
    assert code.rules.places(Rows({"n": ["0017", "17", 17.0]})) == {0}
    role = Wanted(("hello",), "text", SECRET, [{"text": "message"}])
    assert role.rules.places(Rows({"message": ["hello", "bye"]})) == {0}
    assert Wanted(("hello",), "message", SECRET, [{"text": "message"}]).in_cells({"text": "Hello"})


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("Anna Lindqvist", b'{"t":"x\\nAnna Lindqvist"}'),
        ("Anna Lindqvist", b'["{\\"t\\":\\"x\\\\tAnna Lindqvist\\"}"]'),
        ("Smith & Sons", b'"Smith \\u0026 Sons"'),
        ("anna@example.org", "ａｎｎａ@example.org".encode()),
        ("żaneta", b'"\\u017baneta"'),
        ("O'Brien", b"O&#39;Brien"),
        ("O'Brien", b"<p>O&#x27;Brien</p>"),
        ("𠮷野家", b'"\\ud842\\udfb7\\u91ce\\u5bb6"'),
    ],
)
def test_the_last_search_reads_what_json_and_pages_spell_otherwise(text: str, raw: bytes) -> None:
    assert Wanted((text,), None, SECRET).in_bytes(raw)


def test_the_last_search_finds_a_name_at_the_beginning_of_a_line(tmp_path: Path) -> None:
    store, wanted = Store.open(tmp_path / ".lingqu"), Wanted(("Anna Lindqvist",), None, SECRET)
    digest = store.put_bytes(canonical_json({"t": "x\nAnna Lindqvist"}))
    store.put_bytes(canonical_json({"t": "x\nJoanna Lindqvist"}))
    assert files_with(store, wanted) == [store.path(digest)]
    assert not Wanted(("anna@example.org",), None, SECRET).in_bytes(b'"joanna@example.org"')


def test_a_short_value_is_cleared_where_its_column_is_named() -> None:
    wanted = Wanted(("zqxj",), "customer", SECRET)
    record = {
        "effects": [{"column": "customer", "values": ["acme", "zqxj"], "scores": [1, 2]}],
        "slices": [{"column": "customer", "slice": "zqxj", "rows": 50}, {"column": "kind", "slice": "zqxj"}],
        "checks": [{"name": "customer = zqxj", "sentence": "worse on 50 rows where customer = zqxj (p = 0.01)."}],
        "limit": "f1 where customer is zqxj (50 rows); zqxj",
    }
    assert wanted.in_bytes(canonical_json(record["effects"])) and wanted.in_bytes(canonical_json(record["slices"]))
    cleared = wanted.cleared(record)
    assert cleared == {
        "effects": [{"column": "customer", "values": ["acme", "[forgotten]"], "scores": [1, 2]}],
        "slices": [{"column": "customer", "slice": "[forgotten]", "rows": 50}, {"column": "kind", "slice": "zqxj"}],
        "checks": [
            {"name": "customer = [forgotten]", "sentence": "worse on 50 rows where customer = [forgotten] (p = 0.01)."}
        ],
        "limit": "f1 where customer is [forgotten] (50 rows); zqxj",
    }
    assert not wanted.in_record(cleared) and not wanted.in_bytes(canonical_json(cleared))


def test_a_round_number_and_two_names_of_one_mapping_are_cleared() -> None:
    wanted = Wanted(("1200", "1100", "0.5"), None, SECRET)
    learned = {"columns": [{"name": "account", "kind": "number", "low": 1200, "high": 1200.0, "median": 0.5}]}
    cleared = wanted.cleared(learned)
    assert cleared["columns"][0] == {"name": "account", "kind": "number", "low": 1000, "high": 1300.0, "median": 0.51}
    assert not wanted.in_record(cleared)
    people = Wanted(("anna@x.org", "ben@x.org"), None, SECRET)
    told = people.cleared({"by": {"anna@x.org": 1, "cid@x.org": 3, "ben@x.org": 2}})
    assert told == {"by": {"[forgotten]": 1, "cid@x.org": 3, "[forgotten 2]": 2}}


def test_a_picture_that_was_doubted_leaves_the_report(tmp_path: Path) -> None:
    store, task = Store.open(tmp_path / ".lingqu"), "image-classification"
    picture: Any = _made_up("image")
    rows = Rows({"image": [picture, picture], "user": ["anna", "ben"], "label": ["a", "b"]})
    from lingqu.data.parquet import to_parquet

    kinds = {"image": "image", "user": "id", "label": "label"}
    work = store.work("rows")
    for split in ("train", "validation", "test"):
        write_bytes(work / f"{split}.parquet", to_parquet(rows, kinds))
    data = DataVersion("v", task, "label", {}, kinds, {"test": 2}, store.put_folder(work))
    doubted = [{**shown_row(rows, i, probably="b"), **pictures(rows.row(i))} for i in (0, 1)]
    report = _without_rows(store, {"doubts": {"rows": doubted}}, Touched(data, {"test": {0}}), data)
    assert [row["user"] for row in report["doubts"]["rows"]] == ["ben"]
