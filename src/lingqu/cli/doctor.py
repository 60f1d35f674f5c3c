"""`lingqu doctor`: what this machine can do, what is missing, and the line that mends it."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from lingqu.cli.present import emit, read_store, store_folder, table
from lingqu.errors import LingquError

LEAST_DISK = 2 << 30


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: `state` is ok, missing (an optional part) or wrong."""

    what: str
    state: str
    found: str
    next: str = ""


def doctor(arguments: argparse.Namespace) -> int:
    """Look at Python, packages, processor, disk and store; exit status 1 when something is wrong."""
    checks = [check for look in LOOKS for check in look(arguments)]
    marks = {"ok": "ok", "missing": "–", "wrong": "WRONG"}
    rows = [(marks[check.state], check.what, check.found, check.next) for check in checks]
    emit(arguments, {"checks": [asdict(check) for check in checks]}, table("", ["", "what", "found", "next"], rows))
    return 1 if any(check.state == "wrong" for check in checks) else 0


def _machine(_: argparse.Namespace) -> Iterator[Check]:
    cores = os.cpu_count() or 1
    yield Check(
        "Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}, {cores} cores"
    )
    free = shutil.disk_usage(Path.cwd()).free
    state = "ok" if free > LEAST_DISK else "wrong"
    yield Check("disk", state, f"{free / 1e9:.0f} GB free", "" if state == "ok" else "Make room: 2 GB at least.")


def _packages(_: argparse.Namespace) -> Iterator[Check]:
    """Every requirement of lingqu, as its metadata states it."""
    for line in requires("lingqu") or []:
        wanted = Requirement(line)
        extra = next(
            (name for name in ("train", "pg") if wanted.marker and wanted.marker.evaluate({"extra": name})), ""
        )
        if wanted.marker and not extra:
            continue
        place = f"lingqu[{extra}]" if extra else "lingqu"
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            state = "missing" if extra else "wrong"
            yield Check(wanted.name, state, f"not installed (needed by {place})", f"pip install '{place}'")
            continue
        if wanted.specifier.contains(found, prereleases=True):
            yield Check(wanted.name, "ok", found)
        else:
            yield Check(wanted.name, "wrong", f"{found}, but {wanted.specifier} is needed", f"pip install -U '{place}'")


def _torch(_: argparse.Namespace) -> Iterator[Check]:
    """A torchvision built for another torch breaks many libraries just by being there."""
    if find_spec("torch") is None:
        return
    import torch

    kind = "CUDA" if torch.cuda.is_available() else "CPU"
    bf16 = "bfloat16 in hardware" if torch.cpu._is_avx512_bf16_supported() else "no bfloat16 in hardware"
    yield Check("torch computes on", "ok", f"{kind}, {bf16}, {torch.get_num_threads()} threads")
    if find_spec("torchvision") is None:
        return
    try:
        import torchvision  # type: ignore[import-not-found]

        yield Check("torchvision", "ok", torchvision.__version__)
    except (ImportError, RuntimeError, OSError) as error:
        yield Check("torchvision", "wrong", str(error).splitlines()[0][:80], "pip uninstall torchvision")


def _store(arguments: argparse.Namespace) -> Iterator[Check]:
    place = store_folder(arguments)
    try:
        with read_store(arguments) as store, store.engine.connect():
            pass
        yield Check("store", "ok", f"{place}" if place.exists() else f"none yet in {place.parent.absolute()}")
    except LingquError as error:
        yield Check("store", "wrong", str(error.problems[0].found), error.problems[0].next)


LOOKS: tuple[Callable[[argparse.Namespace], Iterator[Check]], ...] = (_machine, _packages, _torch, _store)
