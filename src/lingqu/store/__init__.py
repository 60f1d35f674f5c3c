"""The store: content-addressed blobs and the database; atomic writes; every path is made here."""

from lingqu.store.atomic import open_output, replace_folder, write_bytes, write_json
from lingqu.store.canonical import canonical_json, digest_of
from lingqu.store.stages import StageKey
from lingqu.store.store import Store

__all__ = [
    "StageKey",
    "Store",
    "canonical_json",
    "digest_of",
    "open_output",
    "replace_folder",
    "write_bytes",
    "write_json",
]
