"""A reader with a folder, a screen and an environment of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lingqu.cli import present
from tests.docs import page
from tests.registry.conftest import postgresql

__all__ = ["postgresql"]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> page.Reader:
    # As wide as for a pipe, whatever COLUMNS says where the tests run.
    monkeypatch.setattr(present.out, "width", 200)
    site = tmp_path / "site-packages"
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    folder = tmp_path / "here"
    folder.mkdir()
    return page.Reader(
        folder=folder,
        captured=capsys.readouterr,
        chdir=monkeypatch.chdir,
        setenv=monkeypatch.setenv,
        install=lambda package: page.install(package, site),
    )
