"""What installed packages add to lingqu: tasks and model families, found by their entry points.

>>> [point.name for point in installed("lingqu.nothing")]
[]
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints


def installed(group: str) -> EntryPoints:
    """The entry points of this group; packages that come or go while a process lives are noticed.

    Looking through all installed packages takes longer than anything else in a run that has nothing to do, and a run
    asks several times: it is looked once, until a folder of sys.path has changed.
    """
    return _looked(group, tuple((folder, _changed(folder)) for folder in sys.path))


@lru_cache(maxsize=4)
def _looked(group: str, folders: tuple[tuple[str, int], ...]) -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=group)


def _changed(folder: str) -> int:
    try:
        return Path(folder or ".").stat().st_mtime_ns
    except OSError:
        # Not there, as the zip file of the standard library mostly is not.
        return 0
