"""What installed packages add: seen when they come and when they go, in a process that lives on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lingqu.contract.outside import installed


def test_a_package_that_comes_or_goes_while_a_process_lives_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert installed("lingqu.tasks").names == set()
    info = tmp_path / "tone-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tone\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lingqu.tasks]\ntone = tone:Tone\n")
    _later(tmp_path, 1)
    assert [(point.name, point.value) for point in installed("lingqu.tasks")] == [("tone", "tone:Tone")]
    shutil.rmtree(info)
    _later(tmp_path, 2)
    assert installed("lingqu.tasks").names == set()


def _later(folder: Path, seconds: int) -> None:
    """Some file systems count the time of a change in whole seconds."""
    stat = folder.stat()
    os.utime(folder, (stat.st_atime, stat.st_mtime + seconds))
