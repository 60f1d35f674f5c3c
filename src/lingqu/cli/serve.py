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
    from lingqu.serve.shared import Shared
    from lingqu.serve.supervisor import Child, Supervisor
    from lingqu.spec.running import ServeSettings

SPEC = Path("lingqu.yaml")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(arguments: argparse.Namespace) -> int:
    """Serve models until SIGTERM or Ctrl-C."""
    from lingqu.serve.supervisor import nursery

    with nursery(arguments.workers or 1) as (shared, waiting):
        return _supervisor(arguments, shared, waiting).run()


def _supervisor(arguments: argparse.Namespace, shared: Shared, waiting: list[Child]) -> Supervisor:
    """What was asked, checked, and the socket that listens; the first worker is loading its libraries meanwhile."""
    from lingqu.serve.plan import Plan, plain
    from lingqu.serve.port import listen
    from lingqu.serve.shared import orphans
    from lingqu.serve.supervisor import Supervisor

    spec = Path(arguments.spec or SPEC)
    name, settings = _spec(spec, must=arguments.spec is not None)
    settings = _chosen(settings, arguments)
    models = arguments.models or ([name] if name else [])
    if not models:
        advice = "Name one: lingqu serve MODEL. `lingqu versions` lists them."
        raise RequestError(Problem("a model to serve", "none, and no lingqu.yaml here", advice))
    home = Path(arguments.home or os.environ.get("LINGQU_HOME") or spec.parent / ".lingqu")
    # First the key, then the port: nothing listens on a network before it is known that somebody needs one.
    required = settings.host not in LOOPBACK and _guarded(settings.host, home)
    listener = listen(settings.host, settings.port, waits=orphans)
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
    return Supervisor(plan, listener, shared, waiting, lambda served: _ready(arguments, url, served), _tell)


def _chosen(settings: ServeSettings, arguments: argparse.Namespace) -> ServeSettings:
    """The settings with those of the command line in their place; RequestError for what a spec would not take either."""
    from pydantic import ValidationError

    chosen = {key: value for key in ("host", "port", "workers") if (value := getattr(arguments, key)) is not None}
    try:
        return type(settings).model_validate(settings.model_dump() | chosen)
    except ValidationError as error:
        from lingqu.spec.problems import told
        from lingqu.spec.words import PlainTitles

        schema = type(settings).model_json_schema(schema_generator=PlainTitles)
        raise RequestError(told(found, found["loc"], schema) for found in error.errors(include_url=False)) from None


def _guarded(host: str, home: Path) -> bool:
    """Whether who calls needs a key; RequestError when there is none. The keys' libraries are loaded for this alone."""
    from lingqu.serve.keys import guard
    from lingqu.store import Store

    return guard(host, Store.open(home))


def _spec(file: Path, *, must: bool) -> tuple[str | None, ServeSettings]:
    """The name and the settings of a spec; those of no spec where there may be none."""
    from lingqu.spec.running import ServeSettings

    if not must and not file.is_file():
        return None, ServeSettings()
    from lingqu.cli.specs import spec_in

    spec = spec_in(file)
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
