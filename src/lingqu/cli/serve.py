"""The verb `serve`: models over HTTP until Ctrl-C.

What the other verbs share is not imported here: it would double the time until the service answers.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lingqu.errors import Problem, RequestError

if TYPE_CHECKING:
    from lingqu.serve.supervisor import Child, Supervisor
    from lingqu.spec.running import ServeSettings

SPEC = Path("lingqu.yaml")
ANY_SOURCE = "sklearn:iris"
"""Stands in the place of the data, which serving does not need."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(arguments: argparse.Namespace) -> int:
    """Serve models until SIGTERM or Ctrl-C."""
    from lingqu.serve.supervisor import nursery

    with nursery(arguments.workers or 1) as (folder, waiting):
        return _supervisor(arguments, folder, waiting).run()


def _supervisor(arguments: argparse.Namespace, folder: Path, waiting: list[Child]) -> Supervisor:
    """What was asked, checked, and the socket that listens; the first worker is loading its libraries meanwhile."""
    from lingqu.serve.plan import Plan, plain
    from lingqu.serve.supervisor import Supervisor, listen

    name, settings = _spec()
    chosen = {key: value for key in ("host", "port", "workers") if (value := getattr(arguments, key)) is not None}
    settings = type(settings).model_validate(settings.model_dump() | chosen)
    models = arguments.models or ([name] if name else [])
    if not models:
        advice = "Name one: lingqu serve MODEL. `lingqu versions` lists them."
        raise RequestError(Problem("a model to serve", "none, and no lingqu.yaml here", advice))
    home = Path(arguments.home or os.environ.get("LINGQU_HOME") or ".lingqu")
    # First the key, then the port: nothing listens on a network before it is known that somebody needs one.
    required = settings.host not in LOOPBACK and _guarded(settings.host, home)
    listener = listen(settings.host, settings.port)
    url = _url(settings.host, listener.getsockname()[1])
    there = home.exists() or "LINGQU_DATABASE_URL" in os.environ
    plan = Plan(
        models,
        home=str(home) if there or required else None,
        settings=plain(settings),
        workers=settings.workers,
        keys_required=required,
        patience=max(18.0, settings.drain_seconds + settings.deadline_seconds + 5.0),
    )
    return Supervisor(plan, listener, folder, waiting, lambda served: _ready(arguments, url, served), _tell)


def _guarded(host: str, home: Path) -> bool:
    """Whether who calls needs a key; RequestError when there is none. The keys' libraries are loaded for this alone."""
    from lingqu.serve.keys import guard
    from lingqu.store import Store

    return guard(host, Store.open(home))


def _spec() -> tuple[str | None, ServeSettings]:
    """The name and the settings of the spec in this folder, if there is one; its data need not be on this machine."""
    from lingqu.spec.running import ServeSettings

    if not SPEC.is_file():
        return None, ServeSettings()
    from lingqu.spec import load_spec
    from lingqu.spec.parse import parse

    parsed = parse(SPEC.read_text("utf-8"))
    if parsed.problems or not isinstance(parsed.value, dict):
        spec = load_spec(SPEC)
    else:
        spec = load_spec({**parsed.value, "data": {"source": ANY_SOURCE}})
    return spec.name, spec.serve


def _url(host: str, port: int) -> str:
    """Where a browser finds the service.

    >>> _url("0.0.0.0", 8000), _url("::1", 80)
    ('http://127.0.0.1:8000', 'http://[::1]:80')
    """
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _ready(arguments: argparse.Namespace, url: str, served: Sequence[str]) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps({"url": url, "models": list(served)}) + "\n")
        sys.stdout.flush()
        return
    name = served[0].partition("@")[0]
    line = f"{', '.join(served)} at {url}  Ctrl-C stops it. Try: curl {shlex.quote(f'{url}/v1/models/{name}')}"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _tell(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
