"""HARDENING X1: pickle-type files through every entry point run nothing.

The corpus is made here; each payload only touches a canary file. Everything happens in one child process whose audit hook
writes down any process, any socket and any exec.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lingqu.bundle.read import Bundle
from lingqu.contract import Rows
from lingqu.data.accept import accept
from lingqu.data.readers import read
from lingqu.errors import BundleError, LingquError
from tests.bundle.conftest import Make

SUFFIXES = [
    "pkl", "pt", "pth", "bin", "joblib", "npz", "npy", "onnx", "json", "csv", "tsv", "jsonl", "parquet", "safetensors",
    "yaml", "txt",
]  # fmt: skip


class Touch:
    """A payload: whoever unpickles it touches the canary."""

    def __init__(self, canary: Path, how: str) -> None:
        self.canary, self.how = canary, how

    def __reduce__(self) -> tuple:
        if self.how == "open":
            return open, (str(self.canary), "w")
        if self.how == "exec":
            return exec, (f"open({str(self.canary)!r}, 'w')",)
        return os.system, (f"touch {self.canary}",)


def payloads(canary: Path) -> list[tuple[bytes, str]]:
    """Each payload with the suffix that it has in the wild: pickles of several protocols and calls, plain, in a zip as torch saves them, and as NumPy object arrays."""
    made = []
    for how in ("system", "exec", "open"):
        for protocol in (0, 2, 5):
            made.append((pickle.dumps(Touch(canary, how), protocol), "pkl"))
        for name in ("archive/data.pkl", "data.pkl"):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                archive.writestr(name, pickle.dumps(Touch(canary, how)))
                archive.writestr("archive/version", "3")
            made.append((buffer.getvalue(), "pt"))
        for write, suffix in ((np.save, "npy"), (np.savez, "npz")):
            buffer = io.BytesIO()
            write(buffer, np.array([Touch(canary, how)], dtype=object), allow_pickle=True)
            made.append((buffer.getvalue(), suffix))
    return made


CHILD = """
import hashlib, json, shutil, sys
from pathlib import Path

folder, good, bad = Path(sys.argv[1]), Path(sys.argv[2]), []
from lingqu.bundle.read import Bundle
from lingqu.contract import Rows
from lingqu.data.accept import accept
from lingqu.data.readers import read
from lingqu.errors import BundleError, LingquError
from lingqu.loop import check, load
from lingqu.bundle.files import predict_file
from lingqu.store import Store
from lingqu.train.checkpoint import Checkpoints
import lingqu.data.arrays, lingqu.data.parquet, onnxruntime, tokenizers, pyarrow.parquet, PIL.Image, safetensors.numpy
EVENTS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect", "pickle.find_class")
sys.addaudithook(lambda event, args: bad.append((event, str(args)[:80])) if event in EVENTS else None)
tried = 0

def attempt(door):
    global tried
    tried += 1
    try:
        door()
    except LingquError:
        pass

assert Bundle.open(good).predict([{"x": 1.0}])[0].value == 0.0
limits = [{"name": "image", "source": "image", "kind": "image", "missing": False}]
for path in sorted((folder / "evil").iterdir()):
    data = path.read_bytes()
    attempt(lambda: read(path))
    attempt(lambda: check(path))
    attempt(lambda: load(path))
    attempt(lambda: accept(Rows({"image": [data, path.name]}), limits, root=path.parent))
for number, path in enumerate(sorted((folder / "evil").iterdir())[::11]):
    data = path.read_bytes()
    for place in ("model.onnx", "encoding.json"):
        # All else is a bundle that answers, so the payload reaches what reads this very file.
        bundle = shutil.copytree(good, folder / f"bundle-{number}-{place[:5]}")
        (bundle / place).write_bytes(data)
        manifest = json.loads((bundle / "manifest.json").read_text())
        manifest["files"][place] = hashlib.sha256(data).hexdigest()
        (bundle / "manifest.json").write_text(json.dumps(manifest))
        tried += 1
        try:
            Bundle.open(bundle)
        except BundleError as error:
            what = {"model.onnx": "an ONNX model", "encoding.json": "a JSON object"}[place]
            if not str(error).startswith(f"Expected {what} in {bundle.name}/{place}, found "):
                bad.append((place, str(error)))
        else:
            bad.append((place, "opened"))
    work = folder / f"work-{number}"
    work.mkdir()
    for name in ("checkpoint-00000001.safetensors", "checkpoint-1.safetensors", "00000001.safetensors"):
        (work / name).write_bytes(data)
    attempt(lambda: Checkpoints(work).newest())
print(tried)
sys.exit(repr(bad[:5]) if bad else 0)
"""


def test_nothing_in_three_files_is_run(tmp_path: Path, make: Make) -> None:
    """One of each kind, in this process: through the readers, as a picture, and in the place of a bundle's files."""
    canary, good = tmp_path / "canary", make().path
    chosen = {suffix: data for data, suffix in payloads(canary) if suffix in ("pkl", "pt", "npz")}
    limits = [{"name": "image", "source": "image", "kind": "image", "missing": False}]
    for suffix, data in chosen.items():
        path = tmp_path / f"evil.{suffix}"
        path.write_bytes(data)
        with pytest.raises(LingquError):
            read(path)
        assert accept(Rows({"image": [data]}), limits)[1][0] is not None
        for place in ("model.onnx", "encoding.json"):
            bundle = shutil.copytree(good, tmp_path / f"{suffix}-{place}")
            (bundle / place).write_bytes(data)
            manifest = json.loads((bundle / "manifest.json").read_text())
            manifest["files"][place] = hashlib.sha256(data).hexdigest()
            (bundle / "manifest.json").write_text(json.dumps(manifest))
            with pytest.raises(BundleError):
                Bundle.open(bundle)
    assert len(chosen) == 3
    assert not canary.exists()


@pytest.mark.heavy
def test_nothing_in_sixty_files_is_run(tmp_path: Path, make: Make) -> None:
    canary, evil = tmp_path / "canary", tmp_path / "evil"
    evil.mkdir()
    made = payloads(canary)
    for number, (data, own) in enumerate(made):
        # Each payload under its own name and four more, so that every suffix is met by payloads of many kinds.
        for suffix in {own, *SUFFIXES[number % 4 :: 4]}:
            (evil / f"{number:02}.{suffix}").write_bytes(data)
    assert len(list(evil.iterdir())) >= 60
    assert sum(path.read_bytes().startswith(b"\x93NUMPY") for path in evil.glob("*.npy")) == 3
    good = make().path
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(good)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 300
    assert not canary.exists()


@pytest.mark.heavy
def test_the_corpus_bites(tmp_path: Path) -> None:
    """A corpus that no loader would fall for proves nothing: unpickled, each payload touches the canary."""
    canary = tmp_path / "canary"
    for data, _ in payloads(canary):
        if data[:2] in (b"PK", b"\x93N"):
            continue
        code = f"import pickle; pickle.loads({data!r})"
        subprocess.run([sys.executable, "-c", code], check=False)
        assert canary.exists()
        canary.unlink()
