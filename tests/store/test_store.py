from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from lingqu.errors import RequestError, StoreError
from lingqu.store import Store, digest_of, write_bytes
from lingqu.store.folders import listing_of
from lingqu.store.source import code_version
from lingqu.store.tables import ALIASES


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_only_its_owner_reads_a_store(store):
    digest = store.put_bytes(b"x")
    with store.database.writing(), store.lock("run"):
        modes = {path.name: mode(path) for path in [store.folder, *store.folder.rglob("*")]}
    assert modes.pop(digest) == 0o400
    private = {".gitignore", "lingqu.db", "lingqu.db-wal", "lingqu.db-shm", "database.lock", "run.lock"}
    assert {name: modes.pop(name) for name in private} == dict.fromkeys(private, 0o600)
    assert set(modes.values()) == {0o700}
    assert (store.folder / ".gitignore").read_text() == "*\n"


def test_where_the_store_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LINGQU_HOME", raising=False)
    assert Store.open().folder == tmp_path / ".lingqu"
    monkeypatch.setenv("LINGQU_HOME", str(tmp_path / "home"))
    assert Store.open().folder == tmp_path / "home"
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as error:
        Store.open(tmp_path / "file")
    assert str(error.value) == (
        f"Expected a folder at {tmp_path}/file, found a file. Choose another place: --home, or LINGQU_HOME."
    )


def test_a_folder_that_was_there_is_left_as_it_is(tmp_path):
    tmp_path.chmod(0o755)
    Store.open(tmp_path)
    assert mode(tmp_path) == 0o755 and list(tmp_path.iterdir()) == []


def test_the_database_url_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("LINGQU_DATABASE_URL", f"sqlite:///{tmp_path}/other.db")
    store = Store.open(tmp_path / "store")
    assert store.engine.url.database == str(tmp_path / "other.db")


def test_blobs(store):
    digest = store.put_bytes(b"channel")
    assert digest == digest_of(b"channel") == store.put_bytes(b"channel")
    assert store.get_bytes(digest) == b"channel" and store.holds(digest)
    assert store.get_bytes(store.put_bytes(b"")) == b""
    one, other = store.put_json({"b": [1.5, None], "a": "渠"}), store.put_json({"a": "渠", "b": [1.5, None]})
    assert one == other and store.get_json(one) == {"a": "渠", "b": [1.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.put_json({"x": float("nan")})


def test_a_damaged_blob_is_refused_and_can_be_put_right(store):
    digest = store.put_bytes(b"channel")
    path = store.path(digest)
    path.chmod(0o600)
    path.write_bytes(b"chanmel")
    with pytest.raises(StoreError) as error:
        store.get_bytes(digest)
    assert str(error.value) == (
        f"Expected the blob {path} as it was written, found other bytes (SHA-256 {digest_of(b'chanmel')[:12]}…). "
        f"Remove {path} and run the same command again to make it anew, or restore it from a backup."
    )
    store.put_bytes(b"channel")
    assert store.get_bytes(digest) == b"channel"


def test_a_missing_blob_is_told(store):
    with pytest.raises(StoreError) as error:
        store.get_bytes("0" * 64)
    assert str(error.value) == (
        f"Expected the blob {store.folder}/blobs/00/{'0' * 64}, found no such file. "
        "Run the same command again to make it anew, or restore it from a backup."
    )


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "..", "a" * 64 + "/x"])
def test_a_digest_is_never_a_path(store, digest):
    for ask in (store.get_bytes, store.path, store.folder_path, store.holds):
        with pytest.raises(StoreError, match="Expected a digest of 64 hexadecimal digits"):
            ask(digest)


def make_bundle(folder: Path) -> Path:
    write_bytes(folder / "model.onnx", b"weights")
    write_bytes(folder / "词表" / "tokens.json", b"{}")
    return folder


def test_folders(store, tmp_path):
    bundle = make_bundle(tmp_path / "bundle")
    digest = store.put_folder(bundle)
    kept = store.folder_path(digest)
    assert (kept / "model.onnx").read_bytes() == b"weights"
    assert [name for name, _, _ in listing_of(kept)] == ["model.onnx", "词表/tokens.json"]
    assert store.get_json(digest) == [list(entry) for entry in listing_of(kept)]
    assert {mode(path) for path in kept.rglob("*") if path.is_file()} == {0o400}
    assert (bundle / "model.onnx").exists() and store.put_folder(bundle) == digest
    assert store.holds(digest) and store.fsck() == []
    assert not list((store.folder / "blobs").glob(".lingqu-*"))


def test_a_folder_s_digest_knows_names_and_bytes_only(store, tmp_path):
    one = store.put_folder(make_bundle(tmp_path / "one"))
    other = make_bundle(tmp_path / "other")
    os.utime(other / "model.onnx", (0, 0))
    (other / "empty").mkdir()
    assert store.put_folder(other) == one
    (other / "model.onnx").rename(other / "model2.onnx")
    assert store.put_folder(other) != one


def test_damage_of_a_folder_is_told_file_by_file(store, tmp_path):
    digest = store.put_folder(make_bundle(tmp_path / "bundle"))
    kept = store.folder_path(digest)
    (kept / "词表" / "tokens.json").unlink()
    (kept / "model.onnx").chmod(0o600)
    (kept / "model.onnx").write_bytes(b"weighty")
    (kept / "extra").touch()
    with pytest.raises(StoreError) as error:
        store.folder_path(digest)
    repair = f"Remove {kept} and run the same command again to make it anew, or restore it from a backup."
    assert str(error.value) == (
        f"1. Expected no file {kept}/extra, found one that was not put there. Remove it.\n"
        f"2. Expected the file {kept}/model.onnx as it was written, found other bytes (7, SHA-256 "
        f"{digest_of(b'weighty')[:12]}…). {repair}\n"
        f"3. Expected the file {kept}/词表/tokens.json, found no such file. {repair}"
    )
    assert store.folder_path(digest, verify=False) == kept
    assert store.put_folder(tmp_path / "bundle") == digest
    assert store.folder_path(digest) == kept and store.fsck() == []


def test_a_missing_folder_is_told(store, tmp_path):
    with pytest.raises(StoreError, match=f"Expected the folder .*{'0' * 64}.d, found no such folder"):
        store.folder_path("0" * 64)
    with pytest.raises(StoreError) as error:
        store.put_folder(tmp_path / "nowhere")
    assert str(error.value) == f"Expected to read the folder {tmp_path}/nowhere, found no such folder."


def test_links_and_sockets_do_not_get_in(store, tmp_path):
    bundle = make_bundle(tmp_path / "b")
    (bundle / "link").symlink_to("/etc/passwd")
    (bundle / "folder-link").symlink_to("/etc")
    with socket.socket(socket.AF_UNIX) as pipe:
        pipe.bind(str(bundle / "s"))
        with pytest.raises(StoreError) as error:
            store.put_folder(bundle)
    found = [problem.found for problem in error.value.problems]
    assert sorted(found) == [
        f"a device, a pipe or a socket, {bundle}/s",
        f"a link, {bundle}/folder-link",
        f"a link, {bundle}/link",
    ]


def test_a_name_that_is_no_utf_8_does_not_get_in(store, tmp_path):
    (tmp_path / "b").mkdir()
    os.close(os.open(os.fsencode(tmp_path / "b") + b"/\xff", os.O_CREAT))
    with pytest.raises(StoreError) as error:
        store.put_folder(tmp_path / "b")
    assert str(error.value) == f"Expected file names in UTF-8 in {tmp_path}/b, found '\\udcff'. Rename it."


def test_a_link_put_into_a_kept_folder_is_found(store, tmp_path):
    digest = store.put_folder(make_bundle(tmp_path / "b"))
    kept = store.folder_path(digest)
    (kept / "model.onnx").unlink()
    (kept / "model.onnx").symlink_to(tmp_path / "b" / "model.onnx")
    with pytest.raises(StoreError, match="found a link"):
        store.folder_path(digest)


def test_stages(store):
    key = store.stage("data", {"source": "a.csv", "seed": 0})
    assert key == store.stage("data", {"seed": 0, "source": "a.csv"})
    others = [("data", {"source": "a.csv", "seed": 1}), ("gate", {"source": "a.csv", "seed": 0}), ("data", {})]
    assert len({key.key, *(store.stage(name, inputs).key for name, inputs in others)}) == 4
    store.finish_stage(key, {"rows": 3}, 1.5)
    assert Store.open(store.folder).stage_result(key) == {"rows": 3}
    assert store.records.stage(key).seconds == 1.5


def test_a_stage_whose_blob_is_lost_is_done_again(store):
    key, blob = store.stage("train", {}), store.put_bytes(b"weights")
    store.finish_stage(key, {"weights": blob}, 1.0, blobs=[blob])
    assert store.stage_result(key) == {"weights": blob}
    store.path(blob).unlink()
    assert store.stage_result(key) is None
    assert [problem.found for problem in store.fsck()] == ["no such blob"]


def test_work_survives_until_it_is_cleared(store):
    key = store.stage("train", {})
    folder = store.work(key)
    write_bytes(folder / "checkpoint", b"1")
    assert store.work(key.key) == folder and (folder / "checkpoint").exists()
    store.clear_work(key)
    store.clear_work(key)
    assert not folder.exists()
    for name in ("..", "a/b", "", ".hidden", "x\n"):
        with pytest.raises(ValueError, match="a file name of letters"):
            store.work(name)


def test_the_version_of_the_code_is_that_of_its_source():
    assert code_version("store", "contract") == code_version("contract", "store", "store")
    assert code_version("contract") != code_version("store") != code_version("errors")
    with pytest.raises(ValueError, match="lingqu has no source folder 'nothing'"):
        code_version("nothing")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://anna:secret@db/x", "found mysql://. Known: postgresql, sqlite."),
        ("postgresq://anna:secret@db/x", "found postgresq://. Did you mean 'postgresql'?"),
        ("sqlite://", "found sqlite:// without a file. Look at LINGQU_DATABASE_URL."),
        ("anna:secret", "found something else. Look at LINGQU_DATABASE_URL."),
    ],
)
def test_a_wrong_database_url_is_told_without_its_password(tmp_path, url, message):
    with pytest.raises(RequestError) as error:
        Store.open(tmp_path, url).engine  # noqa: B018
    told = str(error.value)
    assert told == f"Expected a database URL that begins with postgresql:// or sqlite:///, {message}"
    assert "secret" not in told


def test_an_unreachable_server_is_told_without_its_password(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError) as error:
        Store.open(tmp_path, f"postgresql://anna:secret@/x?host={tmp_path}").engine  # noqa: B018
    assert "secret" not in str(error.value)
    assert "Expected the database postgresql+psycopg://anna:***@/x" in str(error.value)


def test_a_database_of_a_newer_lingqu_is_refused(store):
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE schema_version SET version = 7")
    with pytest.raises(StoreError) as error:
        Store.open(store.folder).engine  # noqa: B018
    assert str(error.value) == (
        "Expected a database of version 2 or older, found version 7, made by a newer lingqu. "
        "Run: pip install --upgrade lingqu"
    )


def test_a_database_that_is_none_is_told(tmp_path):
    (tmp_path / "lingqu.db").write_bytes(b"x" * 5000)
    with pytest.raises(StoreError) as error:
        Store.open(tmp_path).engine  # noqa: B018
    assert str(error.value) == (
        f"Expected the database {tmp_path}/lingqu.db to work, found file is not a database. "
        "It is damaged: restore it from a backup."
    )


def test_a_database_that_lost_its_number_is_told(store):
    with store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM schema_version")
    with pytest.raises(StoreError) as error:
        Store.open(store.folder).engine  # noqa: B018
    assert str(error.value) == ("Expected a sound database, found no schema version in it. Restore it from a backup.")


def test_the_database_is_safe_against_a_power_cut(store):
    with store.database.reading() as connection:
        asked = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in _SAFE]
    assert asked == list(_SAFE.values())


_SAFE = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 60_000}


def test_no_error_of_the_database_prints_what_a_statement_holds(store):
    row = {"name": "m", "alias": "a letter of Anna", "version": 7, "epoch": 1}
    with pytest.raises(IntegrityError) as refused, store.database.writing() as connection:
        connection.execute(insert(ALIASES).values(**row))
    assert "FOREIGN KEY" in str(refused.value)
    assert "Anna" not in str(refused.value)


def test_importing_the_store_loads_no_database_and_no_numbers():
    script = "import sys, lingqu.store; print([m for m in ('sqlalchemy', 'numpy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_kill_left_of_an_unfinished_write_is_no_part_of_a_folder(tmp_path: Path) -> None:
    from lingqu.store.atomic import temporary_beside

    store, work = Store.open(tmp_path / ".lingqu"), tmp_path / "work"
    write_bytes(work / "model.onnx", b"weights")
    calm = store.put_folder(work)
    temporary_beside(work / "model.onnx").write_bytes(b"wei")
    assert store.put_folder(work) == calm
    assert [path.name for path in store.folder_path(calm).iterdir()] == ["model.onnx"]
