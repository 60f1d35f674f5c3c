"""The store: blobs and the database of one folder, and the only maker of paths in it.

>>> store = Store.open(getfixture("tmp_path") / ".lingqu")
>>> store.get_json(store.put_json({"rows": 3}))
{'rows': 3}
>>> key = store.stage("data", {"source": "a.csv", "code": store.code_version("contract")})
>>> store.stage_result(key) is None
True
>>> store.finish_stage(key, {"rows": 3}, seconds=0.1)
>>> store.stage_result(key)
{'rows': 3}
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.errors import Problem, StoreError
from lingqu.store.atomic import make_folder, remove_folder, write_bytes
from lingqu.store.blobs import Blobs
from lingqu.store.canonical import canonical_json
from lingqu.store.folders import Folders
from lingqu.store.locks import hold
from lingqu.store.source import code_version
from lingqu.store.stages import StageKey

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from lingqu.store.database import Database
    from lingqu.store.records import Records
    from lingqu.store.rows import RowCache

FORGETTING = "forget"
"""The lock of whoever lets rows go: no run and no look begins while it is held."""
_FILE_NAME = re.compile(r"[\w\-][\w\-.:]{0,199}")


class Store:
    """Content-addressed blobs, the results of stages, and the database, in one folder that only its owner reads."""

    def __init__(self, folder: Path, database_url: str | None) -> None:
        self.folder = folder
        self.blobs = Blobs(folder / "blobs")
        self.folders = Folders(self.blobs)
        self._database_url = database_url

    @classmethod
    def open(cls, folder: Path | None = None, database_url: str | None = None) -> Store:
        """The store in a folder, made when it is not there.

        The folder is LINGQU_HOME or `.lingqu` here unless given; the database is LINGQU_DATABASE_URL or a file in the
        folder. The database is opened on first use only.

        >>> Store.open(getfixture("tmp_path")).folder.is_dir()
        True
        """
        chosen = Path(folder or os.environ.get("LINGQU_HOME") or ".lingqu").expanduser().absolute()
        if not chosen.exists():
            make_folder(chosen)
            # A store never belongs in the version control of the folder around it.
            write_bytes(chosen / ".gitignore", b"*\n", permissions=0o600)
        elif not chosen.is_dir():
            raise StoreError(
                Problem(f"a folder at {chosen}", "a file", "Choose another place: --home, or LINGQU_HOME.")
            )
        return cls(chosen, database_url or os.environ.get("LINGQU_DATABASE_URL"))

    # Blobs

    def put_bytes(self, data: bytes) -> str:
        """Keep bytes and give their SHA-256."""
        return self.blobs.put(data)

    def put_json(self, value: Any) -> str:
        """Keep a JSON value in its canonical spelling and give the SHA-256 of that."""
        return self.blobs.put(canonical_json(value))

    def get_bytes(self, digest: str) -> bytes:
        """The bytes of this digest, checked; StoreError when they are missing or damaged."""
        return self.blobs.get(digest)

    def get_json(self, digest: str) -> Any:
        """The JSON value of this digest, checked."""
        return json.loads(self.blobs.get(digest))

    def path(self, digest: str) -> Path:
        """Where the blob of this digest is, unchecked."""
        return self.blobs.path(digest)

    def put_folder(self, source: Path) -> str:
        """Copy a folder of plain files in, read-only, and give the SHA-256 of its listing."""
        return self.folders.put(Path(source))

    def folder_path(self, digest: str, verify: bool = True) -> Path:
        """The folder of this digest, each file checked unless `verify` is false."""
        return self.folders.path(digest, verify=verify)

    def holds(self, digest: str) -> bool:
        """Whether there is a blob or a folder of this digest; its bytes are not looked at."""
        return self.blobs.path(digest).is_file() or self.folders.final(digest).is_dir()

    def rows(self, what: Mapping[str, Any]) -> RowCache:
        """What is kept, row by row, of the computation that these plain values name."""
        from lingqu.store.rows import RowCache

        return RowCache(self.folder / "rows", what)

    # Stages

    def stage(self, name: str, inputs: Mapping[str, Any]) -> StageKey:
        """The key of a stage with these inputs: JSON values that say all that its result depends on."""
        return StageKey.of(name, inputs)

    def stage_result(self, key: StageKey) -> dict[str, Any] | None:
        """The result of a stage that was finished, or None; None too when a blob that it names is no longer there."""
        finished = self.records.stage(key)
        if finished is None or not all(self.holds(digest) for digest in finished.blobs):
            return None
        return finished.result

    def finish_stage(
        self, key: StageKey, result: Mapping[str, Any], seconds: float, *, blobs: Iterable[str] = ()
    ) -> None:
        """Keep the result of a stage. Name the blobs and folders it refers to, and losing one makes it anew."""
        self.records.finish_stage(key, result, seconds, blobs=blobs)

    def work(self, key: StageKey | str) -> Path:
        """A private scratch folder for a running stage, which is still there after a kill."""
        path = self.folder / "work" / _file_name(str(key))
        make_folder(path)
        return path

    def clear_work(self, key: StageKey | str) -> None:
        """Remove the scratch folder of a stage that is finished."""
        remove_folder(self.folder / "work" / _file_name(str(key)))

    @staticmethod
    def code_version(*folders: str) -> str:
        """One digest over the source of these folders or modules of lingqu."""
        return code_version(*folders)

    def lock(
        self, name: str, *, on_wait: Callable[[str], None] | None = None, wait: bool = True
    ) -> AbstractContextManager[None]:
        """Hold a lock that no other process holds; `on_wait` hears one sentence when that takes waiting."""
        return hold(self.folder / "locks" / f"{_file_name(name)}.lock", on_wait=on_wait, wait=wait)

    @contextmanager
    def at_work(self, name: str, *, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the lock of a run or a look, begun while nobody forgets: what goes must not be read again meanwhile."""
        with self.lock(name, on_wait=on_wait):
            with self.lock(FORGETTING, on_wait=on_wait):
                pass
            yield

    def secret(self, name: str, *, passing: bool = False) -> bytes:
        """32 random bytes of this store, made on first use; for hashes that nobody outside can repeat.

        With `passing` a store that may not be written gives bytes that are good for this once, where it has none.

        >>> store = Store.open(getfixture("tmp_path"))
        >>> store.secret("users") == store.secret("users"), store.secret("users") == store.secret("groups")
        (True, False)
        """
        path = self._secret(name)
        if not path.exists() and passing and not self.writable:
            return os.urandom(32)
        if not path.exists():
            with self.lock(f"secret-{name}"):
                if not path.exists():
                    make_folder(path.parent)
                    write_bytes(path, os.urandom(32), permissions=0o600)
        return path.read_bytes()

    def has_secret(self, name: str) -> bool:
        """Whether this secret was made."""
        return self._secret(name).exists()

    def _secret(self, name: str) -> Path:
        return self.folder / "secrets" / _file_name(name)

    @property
    def writable(self) -> bool:
        """Whether this process may write in the folder, and in the database if that is a file."""
        return os.access(self.folder, os.W_OK) and self.database.writable

    # The database. SQLAlchemy takes a fifth of a second to import, so its users are imported on first use.

    @cached_property
    def database(self) -> Database:
        """The database, not yet opened."""
        from lingqu.store.database import Database

        return Database(self._database_url, self.folder)

    @cached_property
    def records(self) -> Records:
        """Stages, runs and data versions."""
        from lingqu.store.records import Records

        return Records(self.database)

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, opened and brought up to date."""
        return self.database.engine

    def fsck(self) -> list[Problem]:
        """Everything that is not as it was written: blobs, folders, tables, references, history, and leftovers."""
        from lingqu.store.fsck import fsck

        return fsck(self.folder, self.folders, self.database)


def _file_name(name: str) -> str:
    if _FILE_NAME.fullmatch(name) is None:
        raise ValueError(f"a file name of letters, digits, '-', '_', '.' and ':' expected, found {name!r}")
    return name
