"""HARDENING S11: what the probes say in every state, and that they look at no model, disk or database."""

from __future__ import annotations

import asyncio
import builtins
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lingqu.serve import probes
from lingqu.serve.app import application
from lingqu.serve.service import Service
from lingqu.spec.running import ServeSettings
from lingqu.store import Store
from tests.serve.bundles import versions

Break = Callable[[Service, Store], None]


def gone(_service: Service, store: Store) -> None:
    for path in sorted((store.folder / "blobs").rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()


def down(_service: Service, store: Store) -> None:
    (store.folder / "lingqu.db").write_bytes(b"nothing of the kind" * 1000)


def full(_service: Service, store: Store) -> None:
    # As far as writing goes, a read-only database is as good as a full disk.
    (store.folder / "lingqu.db").chmod(0o400)


def state(name: Any, *, stuck: bool = False) -> Break:
    def change(service: Service, _store: Store) -> None:
        service.state, service.stuck = name, stuck

    return change


TABLE: list[tuple[str, Break, int]] = [
    ("loading", state("loading"), 503),
    ("draining", state("draining"), 503),
    ("stuck", state("ready", stuck=True), 503),
    ("warm", state("ready"), 200),
    ("disk full", full, 200),
    ("database down", down, 200),
    ("model gone", gone, 200),
]


async def get(app: Any, path: str) -> int:
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"host", b"127.0.0.1")], "client": ("127.0.0.1", 1), "scheme": "http",
        "server": ("127.0.0.1", 80), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return said[0]["status"]


def test_the_probes_tell_the_state(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "bundles", 1)
    paths = ("/livez", "/readyz", "/healthz")

    async def go() -> dict[str, list[int]]:
        service = Service.load(["echo"], settings=ServeSettings(), store=store)
        app, found = application(service), {}
        await service.start()
        try:
            for name, change, _ in TABLE:
                change(service, store)
                found[name] = [await get(app, path) for path in paths]
            return found
        finally:
            await service.close()

    assert asyncio.run(go()) == {name: [200, ready, ready] for name, _, ready in TABLE}


def test_a_probe_opens_no_file_and_asks_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a probe looked at the disk or the database")

    for owner, name in ((builtins, "open"), (os, "open"), (os, "stat"), (sqlite3, "connect")):
        monkeypatch.setattr(owner, name, refuse)
    assert probes.live() == (200, {"status": "live"})
    assert probes.ready("ready") == (200, {"status": "ready"})
