"""HARDENING D6 and the promises of a data version: content decides, given splits stay, broken rows stop the run."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lingqu.contract import Rows
from lingqu.data.ingest import ingest, preview
from lingqu.data.version import DataVersion
from lingqu.errors import DataError
from lingqu.spec import DataSettings
from lingqu.store import Store
from lingqu.store.canonical import canonical_json
from lingqu.tasks import find_task

TEXT, TABLE, IMAGE = (
    find_task(name) for name in ("text-classification", "tabular-classification", "image-classification")
)
REGRESSION = find_task("tabular-regression")


def texts(count: int, seed: int = 0) -> list[dict[str, str]]:
    draw = random.Random(seed)
    words = ["room", "bed", "food", "noise", "view", "price", "staff", "bath", "door", "lamp", "road", "lake"]
    return [
        {
            "text": " ".join(draw.choices(words, k=12)) + f" {number}",
            "label": draw.choice(["good", "bad"]),
            "guest": f"guest {draw.randrange(count // 4)}",
            "day": f"2024-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}",
        }
        for number in range(count)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def make(tmp_path: Path, rows: list[dict[str, Any]], task: Any = TEXT, **settings: Any) -> tuple[DataVersion, Store]:
    store = Store.open(tmp_path / "store")
    source = settings.pop("source", None) or write(tmp_path / "rows.csv", rows)
    return ingest(DataSettings(source=source, **settings), task, store), store


@pytest.mark.heavy
def test_the_order_of_rows_and_files_does_not_matter(tmp_path: Path) -> None:
    """20 orders, formats and numbers of workers: one version, byte for byte."""
    rows = texts(300)
    draw = random.Random(1)
    found = set()
    for turn in range(20):
        draw.shuffle(rows)
        path = tmp_path / f"{turn}.parquet"
        if turn % 2:
            pq.write_table(pa.table({name: [row[name] for row in rows] for name in rows[0]}), path)
        else:
            write(path.with_suffix(".csv"), rows)
            path = path.with_suffix(".csv")
        pa.set_cpu_count(1 + turn % 2)
        version, _ = make(tmp_path, [], source=str(path))
        found.add((version.id, version.folder))
    assert len(found) == 1


@pytest.mark.heavy
def test_another_process_finds_the_same_version(tmp_path: Path) -> None:
    version, _ = make(tmp_path, texts(100))
    script = (
        "import sys; from lingqu.data.ingest import ingest; from lingqu.spec import DataSettings\n"
        "from lingqu.store import Store; from lingqu.tasks import find_task; from pathlib import Path\n"
        "settings = DataSettings(source=sys.argv[1])\n"
        "print(ingest(settings, find_task('text-classification'), Store.open(Path(sys.argv[2]))).id)\n"
    )
    for seed in ("1", "2"):
        arguments = [sys.executable, "-c", script, str(tmp_path / "rows.csv"), str(tmp_path / f"other{seed}")]
        environment: Mapping[str, str] = {"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
        assert done.stdout.strip() == version.id


def test_a_changed_cell_is_another_version(tmp_path: Path) -> None:
    rows = texts(100)
    before, _ = make(tmp_path, rows)
    rows[0]["text"] += "!"
    after, _ = make(tmp_path, rows)
    assert after.id != before.id


def test_rows_ids_and_groups_belong_together(tmp_path: Path) -> None:
    version, store = make(tmp_path, texts(200))
    for split, count in version.counts.items():
        rows, ids, groups = version.rows(split, store), version.row_ids(split, store), version.groups(split, store)
        assert len(rows) == len(ids) == len(groups) == count
        assert len(set(ids)) == count
        assert rows.names == ("text", "label", "guest", "day")
    found = DataVersion.from_dict(json.loads(canonical_json(version.as_dict())))
    assert found == version
    # Trees draw from the columns in their order: a run that goes on must find the same one.
    assert list(found.kinds) == ["text", "label", "guest", "day"]
    with pytest.raises(ValueError, match="one of train, validation, test expected, found 'valid'"):
        version.rows("valid", store)


def test_given_splits_keep_every_row(tmp_path: Path) -> None:
    train, test = texts(200), texts(80, seed=1)
    test[:5] = train[:5]
    source = {"train": write(tmp_path / "a.csv", train), "test": write(tmp_path / "b.csv", test)}
    version, store = make(tmp_path, [], source=source)
    assert version.counts["test"] == 80
    assert sorted(version.rows("test", store)["text"]) == sorted(row["text"] for row in test)
    assert version.counts["train"] + version.counts["validation"] == 200
    told = [str(one) for one in version.findings if one.code == "overlap"]
    assert len(told) == 1
    assert "of 80 test rows" in told[0]


def test_a_given_validation_split_stays_too(tmp_path: Path) -> None:
    names = {"train": 100, "validation": 30, "test": 40}
    source = {name: write(tmp_path / f"{name}.csv", texts(count, count)) for name, count in names.items()}
    version, _ = make(tmp_path, [], source=source)
    assert version.counts == names


def test_archives_with_splits_keep_them(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (130, 8, 8), dtype=np.uint8)
    np.savez(
        tmp_path / "a.npz",
        x_train=images[:100],
        y_train=np.arange(100) % 2,
        x_test=images[100:],
        y_test=np.arange(30) % 2,
    )
    version, _ = make(tmp_path, [], IMAGE, source=str(tmp_path / "a.npz"))
    assert version.counts["test"] == 30
    assert version.counts["validation"] > 0
    assert version.labels == {"0": 65, "1": 65}


def test_groups_stay_whole(tmp_path: Path) -> None:
    version, store = make(tmp_path, texts(400), group="guest")
    guests = {split: set(version.rows(split, store)["guest"]) for split in version.counts}
    assert not guests["train"] & guests["test"]
    assert not guests["train"] & guests["validation"]
    assert not guests["validation"] & guests["test"]


def test_the_latest_rows_test(tmp_path: Path) -> None:
    version, store = make(tmp_path, texts(400), time="day")
    days = {split: version.rows(split, store)["day"] for split in version.counts}
    assert max(days["train"]) < min(days["validation"]) <= max(days["validation"]) < min(days["test"])
    assert days["train"] == sorted(days["train"])
    assert 70 <= len(days["test"]) <= 95


def test_equal_rows_of_a_table_are_coincidences_when_they_are_many(tmp_path: Path) -> None:
    rows = [{"a": n % 3, "b": "xy"[n % 2], "label": "no" if n % 5 else "yes"} for n in range(600)]
    version, _ = make(tmp_path, rows, TABLE)
    assert "coincidences" in {one.code for one in version.findings}
    assert 90 < version.counts["test"] < 150
    assert version.features == {"a": "number", "b": "category"}


def test_roles_are_found_by_name_or_told(tmp_path: Path) -> None:
    rows = [{"Review": row["text"], "Stars": row["label"], "label": "old"} for row in texts(100)]
    version, store = make(tmp_path, rows, columns={"label": "Stars"})
    assert version.columns == {"text": "Review", "label": "Stars", "label (original)": "label"}
    assert version.rows("train", store).names == ("text", "label", "label (original)")


def test_all_wrong_columns_are_told_at_once(tmp_path: Path) -> None:
    rows = [{"words": row["text"], "queue": row["label"]} for row in texts(50)]
    with pytest.raises(DataError) as error:
        make(tmp_path, rows, columns={"label": "queues", "txet": "words"})
    assert str(error.value) == (
        "1. Expected a column that text-classification has, found 'txet'. Did you mean 'text'?\n"
        "2. Expected the column 'queues' for label, found the columns 'words', 'queue'. Did you mean 'queue'?\n"
        "3. Expected a column for text, found the columns 'words', 'queue'. Name it: data: {columns: {text: NAME}}."
    )


def test_named_columns_must_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        make(tmp_path, texts(50), group="gest", time="dya", types={"gues": "id"})
    assert str(error.value) == (
        "1. Expected the column 'gues' for data.types.gues, found the columns 'text', 'label', 'guest', 'day'. "
        "Did you mean 'guest'?\n"
        "2. Expected the column 'gest' for data.group, found the columns 'text', 'label', 'guest', 'day'. "
        "Did you mean 'guest'?\n"
        "3. Expected the column 'dya' for data.time, found the columns 'text', 'label', 'guest', 'day'. "
        "Did you mean 'day'?"
    )


def test_a_role_keeps_its_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        make(tmp_path, texts(50), types={"label": "number"})
    assert str(error.value) == (
        "Expected the kind 'label' for the column 'label', found 'number' under data.types. Leave it out there."
    )


def test_too_many_broken_rows_stop_the_run(tmp_path: Path) -> None:
    rows = texts(100)
    rows[3]["label"] = rows[7]["text"] = ""
    with pytest.raises(DataError) as error:
        make(tmp_path, rows)
    first, second, third = str(error.value).splitlines()
    where = first.removeprefix(
        "1. Expected at most 1% broken rows (data.max_bad), found 2 of 100 (2%). All of them, with reasons, are in "
    ).removesuffix(".")
    assert Path(where).read_bytes().startswith(b'[{"raw":"text=')
    assert second.startswith("2. rows.csv row 4: Expected a whole row, found no label. It reads: text=")
    assert third.startswith("3. rows.csv row 8: Expected a whole row, found no text. It reads: ")
    version, store = make(tmp_path, rows, max_bad=0.02)
    assert (version.quarantined, version.rows_in_all) == (2, 98)
    assert [one["row"] for one in version.set_aside(store)] == [4, 8]


def test_wrong_cells_of_a_table_are_told(tmp_path: Path) -> None:
    rows = [{"age": n % 60 + 20, "job": "chef", "label": "ab"[n % 2], "n": n} for n in range(200)]
    rows[9]["age"] = "old"
    version, store = make(tmp_path, rows, TABLE)
    assert [one["reason"] for one in version.set_aside(store)] == ["column 'age': 'old' is no number"]


def test_a_class_that_a_split_lacks_is_told(tmp_path: Path) -> None:
    rows = texts(200)
    rows[0]["label"] = "rare"
    with pytest.raises(DataError) as error:
        make(tmp_path, rows)
    assert str(error.value).splitlines()[0] == (
        "1. Expected rows of every class in validation, found none of 'rare' (1 row in all). "
        "Add rows of it, join it with another class, leave it out, or try another data.seed."
    )


def test_a_class_that_only_given_test_rows_have_is_told(tmp_path: Path) -> None:
    train, test = texts(200), texts(50, 1)
    test[0]["label"] = "new"
    source = {"train": write(tmp_path / "a.csv", train), "test": write(tmp_path / "b.csv", test)}
    with pytest.raises(DataError, match="Expected rows of every class in train, found none of 'new'"):
        make(tmp_path, [], source=source)


def test_a_table_whose_test_rows_lack_a_column_is_told(tmp_path: Path) -> None:
    rows = [{"a": n, "b": n * 2, "label": "xy"[n % 2]} for n in range(50)]
    shorter = [{"a": row["a"], "label": row["label"]} for row in rows]
    source = {"train": write(tmp_path / "a.csv", rows), "test": write(tmp_path / "b.csv", shorter)}
    with pytest.raises(DataError) as error:
        make(tmp_path, [], TABLE, source=source)
    assert str(error.value) == (
        "Expected the column 'b' for the rows of b.csv, found the columns 'a', 'label'. Known: a, label."
    )


def test_an_empty_split_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Expected rows in (test|validation), found none of 2\. Add rows, or set data"):
        make(tmp_path, [{**row, "label": label} for row, label in zip(texts(5), ["good", "bad"], strict=False)])
    # Rows that are alike stay together: more of them would not help, and the advice says so.
    same = (
        "found none of 40, which are 1 group of rows that ask nearly the same or belong together. Add rows that differ"
    )
    with pytest.raises(DataError, match=same):
        make(tmp_path, [{"text": "the same words again", "label": "ab"[n % 2]} for n in range(40)])
    with pytest.raises(DataError, match=r"^Expected rows, found none\. Check data\.source\.$"):
        (tmp_path / "none.csv").write_text("text,label\n")
        make(tmp_path, [], source=str(tmp_path / "none.csv"))


def test_a_table_without_features_is_told(tmp_path: Path) -> None:
    rows = [{"id": f"row-{n}", "label": "xy"[n % 2]} for n in range(50)]
    with pytest.raises(DataError) as error:
        make(tmp_path, rows, TABLE)
    assert str(error.value) == (
        "Expected at least one column of numbers or categories, found none. Say their kinds: data.types."
    )


def test_a_number_that_has_no_square_is_set_aside(tmp_path: Path) -> None:
    rows = [{"x": n, "price": 1e308 if n == 7 else n} for n in range(200)]
    rows[9]["x"] = -1e101
    version, store = make(tmp_path, rows, REGRESSION, columns={"target": "price"}, max_bad=0.05)
    assert [(one["row"], one["reason"]) for one in version.set_aside(store)] == [
        (8, "column 'target': 1e+308 is too large a number to learn from"),
        (10, "column 'x': -1e+101 is too large a number to learn from"),
    ]


def test_a_number_to_predict(tmp_path: Path) -> None:
    rows = [{"x": n, "price": f"{n * 1000:,}"} for n in range(200)]
    version, store = make(tmp_path, rows, REGRESSION, columns={"target": "price"})
    assert version.kinds["target"] == "number"
    assert max(version.rows("train", store)["target"]) > 100_000
    assert version.labels == {}


def test_a_number_taken_for_a_class_is_told_once(tmp_path: Path) -> None:
    rows = [{"x": n, "price": n * 1000 + 0.5} for n in range(200)]
    with pytest.raises(DataError) as error:
        make(tmp_path, rows, TABLE, columns={"label": "price"})
    assert str(error.value) == (
        "Expected classes for label, found 200 different numbers in 200 rows. To predict a number, say task: "
        "tabular-regression."
    )


def test_what_the_settings_leave_out_is_not_told(tmp_path: Path) -> None:
    rows = [{"x": n, "spare": n, "empty": "", "label": "ab"[n % 2]} for n in range(200)]
    version, _ = make(tmp_path, rows, TABLE, types={"spare": "ignore"})
    assert [one.message for one in version.findings if one.code == "not-a-feature-ignore"] == [
        "Column 'empty' has no value in any row. Say otherwise with data.types."
    ]


def customers(count: int) -> list[dict[str, Any]]:
    draw = random.Random(2)
    return [
        {"customer": f"c-{n // 2}", "age": 20 + draw.randrange(60), "zone": draw.randrange(5), "label": "ab"[n % 2]}
        for n in range(count)
    ]


def split_of(version: DataVersion, store: Store) -> dict[tuple[str, float], str]:
    rows = {split: version.rows(split, store) for split in version.counts}
    return {(row["customer"], row["age"]): split for split, held in rows.items() for row in held}


def test_columns_that_identify_a_row_alone_decide_its_split(tmp_path: Path) -> None:
    rows, identity = customers(300), ["customer", "age"]
    before = make(tmp_path, rows, TABLE, identity=identity)
    wider = [row | {"new": n % 7, "label": "ab"[n % 3 == 0]} for n, row in enumerate(rows)]
    after = make(tmp_path, wider, TABLE, identity=identity, types={"zone": "category"})
    assert before[0].id != after[0].id
    assert split_of(*before) == split_of(*after)
    # Without it all features are the identity, of which one more moves rows.
    assert split_of(*make(tmp_path, rows, TABLE)) != split_of(*make(tmp_path, wider, TABLE))


def test_rows_of_one_identity_stay_together(tmp_path: Path) -> None:
    version, store = make(tmp_path, customers(300), TABLE, identity=["customer"])
    held = [set(version.rows(split, store)["customer"]) for split in version.counts]
    assert sum(map(len, held)) == len(set.union(*held)) == 150


def test_an_identity_that_can_not_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        make(tmp_path, customers(60), TABLE, identity=["custmer", "label"])
    assert str(error.value) == (
        "1. Expected the column 'custmer' for data.identity.1, found the columns 'customer', 'age', 'zone', 'label'. "
        "Did you mean 'customer'?\n"
        "2. Expected columns under data.identity that stay as they are, found 'label', the target, which may be "
        "corrected. Leave it out there."
    )
    with pytest.raises(DataError) as error:
        make(tmp_path, customers(60), TABLE, identity=["age"], types={"age": "ignore"})
    assert str(error.value) == (
        "Expected columns under data.identity that tell rows apart, found 'age', which is left out. Leave it out there."
    )
    with pytest.raises(DataError) as error:
        make(tmp_path, texts(60), identity=["text"])
    assert str(error.value) == (
        "Expected data.identity for tables only, found it for text-classification, whose rows go by their text. "
        "Leave it out."
    )


def test_a_preview_reads_without_writing(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.csv", texts(50))
    found = preview(DataSettings(source=source), TEXT)
    assert (found.rows, found.roles) == (50, {"text": "text", "label": "label"})
    assert found.kinds == {"text": "text", "label": "label", "guest": "category", "day": "time"}
    assert not (tmp_path / ".lingqu").exists()


def test_typed_rows_are_stored_as_they_are(tmp_path: Path) -> None:
    rows = [
        {"a": "" if n % 14 == 0 else n / 7, "b": " red " if n % 2 == 0 else "?", "label": n % 2} for n in range(100)
    ]
    version, store = make(tmp_path, rows, TABLE)
    kept = [row for split in version.counts for row in version.rows(split, store)]
    a, b = [None if n % 14 == 0 else n / 7 for n in range(100)], [["red", None][n % 2] for n in range(100)]
    wanted = Rows({"a": a, "b": b})
    assert sorted((row["a"] or -1, row["b"] or "") for row in kept) == sorted(
        (row["a"] or -1, row["b"] or "") for row in wanted
    )
