"""One worker process: `python -m lingqu.serve.worker STATUS`, started by the supervisor alone.

It hears on standard input, a Unix socket, what to serve and on which socket, loads the models while a thread loads the
libraries of HTTP, serves, and tells its parent on the status pipe when it is ready and, each second, that its event
loop turns. SIGTERM begins a graceful stop: /readyz says 503 at once, requests are still taken for `drain` seconds,
those in flight are finished, and then it ends. When its parent dies, standard input ends, and the same happens.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.errors import LingquError
from lingqu.serve.plan import BACKLOG, Plan, checked, threads_given

if TYPE_CHECKING:
    import asyncio

    from lingqu.serve.service import Service
    from lingqu.store import Store

HEARTBEAT = 1.0
EXIT_STUCK = 75
SWITCH_SECONDS = 0.0005
KEEP_ALIVE = 75
"""Seconds that an idle connection is kept: longer than the minute after which usual load balancers let go of one."""


class Status:
    """The pipe to the parent; when nobody listens any more there is nobody to tell."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, what: Mapping[str, Any]) -> None:
        """One line of JSON."""
        try:
            os.write(self._descriptor, json.dumps(what).encode() + b"\n")
        except OSError:
            return


def main(status: int) -> int:
    """Serve until told to stop; the exit status."""
    parent = Status(status)
    # Nearly all that is made until it serves stays: to look for garbage among it a dozen times would only take time.
    gc.disable()
    import lingqu.serve.reference  # noqa: F401  # what models need, while the parent still checks what was asked

    # Whoever loads models, and later the event loop, gets the interpreter back from a busy thread in half a
    # millisecond, not in five.
    sys.setswitchinterval(SWITCH_SECONDS)
    # Proving a model and building its session leave the interpreter to others; so the rest is loaded at the same time.
    threading.Thread(target=_load_http, name="libraries").start()
    plan, listener = _told()
    if plan is None or listener is None:
        return 0
    os.environ["OMP_NUM_THREADS"] = threads_given(plan.workers)
    try:
        return serve(_service(plan), listener, parent)
    except LingquError as error:
        problems = [asdict(problem) for problem in error.problems]
        parent.say({"error": {"status": error.exit_status, "problems": problems}})
        return error.exit_status


def _load_http() -> None:
    """What every service needs beside its models; `serve` imports it again, and tells what is wrong with it.

    A RuntimeError is what an import meets when the worker ends meanwhile, because what was asked cannot be served.
    """
    with suppress(ImportError, RuntimeError):
        import uvloop  # noqa: F401

        import lingqu.serve.app
        import lingqu.serve.listener
        import lingqu.serve.service  # noqa: F401


def _told() -> tuple[Plan | None, socket.socket | None]:
    """The plan and the listening socket; nothing when the parent went away without a word."""
    with socket.socket(fileno=os.dup(0)) as line:
        told, descriptors, _, _ = socket.recv_fds(line, 1 << 16, 1)
        while told and not told.endswith(b"\n"):
            more = line.recv(1 << 16)
            told = told + more if more else b""
    if not told or not descriptors:
        return None, None
    return Plan.read(told.decode()), socket.socket(fileno=descriptors[0])


def _service(plan: Plan) -> Service:
    from lingqu.serve import log
    from lingqu.serve.reference import open_reference

    settings = checked(plan.settings)
    log.begin(access=settings.log)
    store = _store(plan.home)
    shared = Path(plan.shared) if plan.shared else None
    opened = [open_reference(one, store, shared) for one in plan.models]

    from lingqu.serve.service import Service

    return Service.of(opened, settings=settings, store=store, shared=shared, keys_required=plan.keys_required)


def _store(home: str | None) -> Store | None:
    if home is None:
        return None
    from lingqu.store import Store

    return Store.open(Path(home))


def serve(service: Service, listener: socket.socket, parent: Status) -> int:
    """Run the event loop until the service has stopped; the exit status."""
    import uvloop

    from lingqu.serve.app import application
    from lingqu.serve.listener import HttpServer

    # What is loaded stays: to go through it again and again for cycles would cost each request a little.
    gc.freeze()
    gc.enable()
    most = service.settings.connections
    server = HttpServer(application(service), backlog=BACKLOG, keep_alive=KEEP_ALIVE, connections=most)
    stuck = uvloop.run(_life(service, server, listener, parent))
    if stuck:
        # A thread that hangs would keep the interpreter from ending.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_STUCK)
    return 0


async def _life(service: Service, server: Any, listener: socket.socket, parent: Status) -> bool:
    """From ready to stopped; True when a model hangs in a thread."""
    import asyncio

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    threading.Thread(target=_until_orphaned, args=(loop, stop), name="parent", daemon=True).start()
    await service.start()
    await server.start(listener)
    parent.say({"ready": [engine.current.reference for engine in service.engines.values()]})
    while not stop.is_set() and not service.stuck:
        parent.say({})
        try:
            await asyncio.wait_for(stop.wait(), HEARTBEAT)
        except TimeoutError:
            continue
    if service.stuck:
        parent.say({"stuck": "a model does not come back from a batch."})
    service.state = "draining"
    await server.stop(service.settings.drain_seconds, service.settings.deadline_seconds, tell=lambda: parent.say({}))
    await service.close()
    return service.stuck


def _until_orphaned(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Wait for the end of standard input, which is the parent's; then stop, in any case within 20 seconds."""
    while os.read(0, 4096):
        continue
    try:
        loop.call_soon_threadsafe(stop.set)
    except RuntimeError:
        return
    time.sleep(20.0)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
