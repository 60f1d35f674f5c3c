"""The labels of a registered version, as its bundle remembers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lingqu.store import Store


def labels_of(store: Store, name: str, number: int) -> frozenset[str]:
    """The labels of this version, none where it has none; LingquError or OSError where it cannot be read."""
    # Loaded where a label is in doubt, and not by each command that reads feedback.
    from lingqu.bundle.trust import ENCODING, json_object, proved, read_manifest
    from lingqu.registry import Registry

    folder = store.folder_path(Registry(store).get(f"{name}@{number}").bundle, verify=False)
    memory = json_object(proved(folder, ENCODING, read_manifest(folder)["files"][ENCODING]), folder, ENCODING)
    labels = memory.get("labels", [])
    return frozenset(label for label in labels if isinstance(label, str)) if isinstance(labels, list) else frozenset()
