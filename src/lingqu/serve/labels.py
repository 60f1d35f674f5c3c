"""The labels of a registered version, as its bundle remembers them; read once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from lingqu.errors import LingquError

if TYPE_CHECKING:
    from lingqu.store import Store

MOST_VERSIONS = 16


class Labels:
    """The labels of versions of a store; of many versions the latest used are kept in memory.

    >>> from lingqu.store import Store
    >>> Labels(Store.open(getfixture("tmp_path") / ".lingqu")).of("router", 3)
    frozenset()
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, int], frozenset[str]] = OrderedDict()

    def of(self, name: str, number: int | None) -> frozenset[str]:
        """The labels of this version; none where the store does not have it, or it has none."""
        if number is None:
            return frozenset()
        key = (name, number)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        try:
            found = self._read(name, number)
        except (LingquError, OSError):
            # Feedback is taken whatever has become of the version that it is about.
            return frozenset()
        with self._lock:
            self._known[key] = found
            while len(self._known) > MOST_VERSIONS:
                self._known.popitem(last=False)
        return found

    def _read(self, name: str, number: int) -> frozenset[str]:
        # Loaded where a label is in doubt, and not by each command that reads feedback.
        from lingqu.bundle.trust import ENCODING, json_object, proved, read_manifest
        from lingqu.registry import Registry

        folder = self.store.folder_path(Registry(self.store).get(f"{name}@{number}").bundle, verify=False)
        memory = json_object(proved(folder, ENCODING, read_manifest(folder)["files"][ENCODING]), folder, ENCODING)
        labels = memory.get("labels", [])
        return (
            frozenset(label for label in labels if isinstance(label, str)) if isinstance(labels, list) else frozenset()
        )
