"""What the service is told to serve, brought to where it may answer: a bundle folder, or a version of the store.

Nothing of HTTP is imported here, so that a worker loads its models while its other libraries are still on their way.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lingqu.errors import Problem, UnknownNameError
from lingqu.serve.opening import Source, is_bundle, open_folder

if TYPE_CHECKING:
    from lingqu.serve.loaded import Loaded
    from lingqu.store import Store


def open_reference(reference: str | Path, store: Store | None, shared: Path | None) -> tuple[Source, Loaded]:
    """What a reference means now, loaded and warm; UnknownNameError for a name where there is no store.

    BundleError when it must not be served. The registry's libraries are loaded for a version alone, not for a folder.
    """
    if is_bundle(reference):
        return open_folder(reference)
    if store is None:
        advice = "There is no store here: name a folder, or go to where the store is."
        raise UnknownNameError(Problem("a bundle folder", repr(str(reference)), advice))
    from lingqu.serve.swap import open_first

    return open_first(reference, store, shared)
