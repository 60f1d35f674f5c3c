"""Where a project keeps its store, and how a bundle in it is opened by its reference."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lingqu.store import Store

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle


def home(folder: Path) -> Path:
    """Where the store of a project is: LINGQU_HOME, or `.lingqu` in its folder."""
    return Path(os.environ.get("LINGQU_HOME") or folder / ".lingqu")


@contextmanager
def reading(folder: Path) -> Iterator[Store]:
    """The store in this folder; where there is none, an empty one elsewhere, since looking should leave no trace."""
    if folder.expanduser().exists() or os.environ.get("LINGQU_DATABASE_URL"):
        yield Store.open(folder)
        return
    with TemporaryDirectory(prefix="lingqu-") as empty:
        yield Store.open(Path(empty))


def load(reference: str | Path, *, store: Store | None = None) -> Bundle:
    """A bundle that predicts, without torch: a bundle folder, or `name`, `name@champion`, `name@3` of the store here.

    `lingqu.load("digits@champion").predict(rows)` takes rows as mappings and gives one answer each.
    """
    from lingqu.bundle.read import Bundle
    from lingqu.bundle.trust import MANIFEST
    from lingqu.registry import Registry

    if (Path(reference) / MANIFEST).is_file():
        return Bundle.open(reference)
    with nullcontext(store) if store else reading(home(Path.cwd())) as here:
        version = Registry(here).get(str(reference))
        return Bundle.open(here.folder_path(version.bundle, verify=False))
