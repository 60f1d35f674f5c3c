"""A store on SQLite, and the same on a PostgreSQL server that lives as long as the test session."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from lingqu.registry import Registry, Version
from lingqu.store import Store, write_bytes

_schemas = count(1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """A function that makes an empty schema and gives its URL."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = programs[-1] if programs else Path(shutil.which("initdb") or "/nowhere").parent
    if not (found / "initdb").exists():
        pytest.skip("no PostgreSQL server is installed")
    psycopg = pytest.importorskip("psycopg")
    # The server refuses to run as root.
    user = pwd.getpwnam("nobody").pw_name if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="lq"))
    if user:
        shutil.chown(home, user)
    data = home / "data"
    start = [found / "initdb", "-D", data, "-U", "anna", "-A", "trust", "--no-sync", "--no-locale", "-E", "UTF8"]
    subprocess.run(start, user=user, check=True, stdout=subprocess.DEVNULL, cwd=home)
    options = ["-k", str(home), "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=50"]
    server = subprocess.Popen(
        [found / "postgres", "-D", data, *options], user=user, stderr=subprocess.DEVNULL, cwd=home
    )
    try:
        address = f"host={home} user=anna dbname=postgres"
        _wait_for(lambda: psycopg.connect(address).close(), psycopg.OperationalError)

        def fresh() -> str:
            # A schema is a database to whoever sees no other, and takes a hundredth of the time to make.
            name = f"t{next(_schemas)}"
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(f"CREATE SCHEMA {name}")
            return f"postgresql://anna@/postgres?host={home}&options=-csearch_path%3D{name}"

        yield fresh
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(20)
        shutil.rmtree(home)


def _wait_for(attempt: Callable[[], None], refusal: type[Exception]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            return attempt()
        except refusal:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.heavy)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return Store.open(tmp_path / "store")
    return Store.open(tmp_path / "store", request.getfixturevalue("postgresql")())


@pytest.fixture
def local(tmp_path: Path) -> Registry:
    """A registry on SQLite alone, for what does not depend on the database."""
    return Registry(Store.open(tmp_path / "local"))


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store)


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[[Registry, str], str]:
    """A function that puts a small bundle in a registry's store and gives its digest."""

    def put(registry: Registry, content: str) -> str:
        folder = tmp_path / "bundles" / content
        write_bytes(folder / "model.onnx", content.encode())
        return registry.store.put_folder(folder)

    return put


@pytest.fixture
def register(bundle: Callable[[Registry, str], str]) -> Callable[..., Version]:
    """A function that registers a version of `router` with this content."""

    def one(registry: Registry, content: str, name: str = "router", data: str = "d1") -> Version:
        return registry.register(
            name,
            bundle=bundle(registry, content),
            data_version=data,
            run="r1",
            task="text-classification",
            metrics={"accuracy": {"value": 0.9, "low": 0.88, "high": 0.92}},
            decision={"decision": "promote", "p": 0.004, "alpha": 0.025},
            lineage={"data": data},
            spec={"名": "票务"},
        )

    return one
