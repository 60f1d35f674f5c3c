"""One worker process: `python -m lingqu.serve.worker SOCKET STATUS`, started by the supervisor alone.

It reads its plan from standard input, loads the models, serves on the inherited socket, and tells its parent on the status
pipe when it is ready and, each second, that its event loop turns. SIGTERM begins a graceful stop: /readyz says 503 at once,
requests are still taken for `drain` seconds, those in flight are finished, and then it ends. When its parent dies,
standard input ends, and the same happens.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.errors import LingquError
from lingqu.serve import log
from lingqu.serve.plan import Plan
from lingqu.serve.supervisor import BACKLOG, EXIT_STUCK

if TYPE_CHECKING:
    from lingqu.serve.service import Service

HEARTBEAT = 1.0
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


def main(listener: int, status: int) -> int:
    """Serve until told to stop; the exit status."""
    parent = Status(status)
    plan = Plan.read(sys.stdin.readline())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The event loop gets the interpreter back from a computing thread in half a millisecond, not in five.
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        service = _service(plan)
    except LingquError as error:
        problems = [asdict(problem) for problem in error.problems]
        parent.say({"error": {"status": error.exit_status, "problems": problems}})
        return error.exit_status
    return serve(service, socket.socket(fileno=listener), parent)


def _service(plan: Plan) -> Service:
    from lingqu.serve.service import Service
    from lingqu.spec.running import ServeSettings
    from lingqu.store import Store

    settings = ServeSettings.model_validate(plan.settings)
    log.begin(access=settings.log)
    store = Store.open(Path(plan.home)) if plan.home is not None else None
    return Service.load(
        plan.models,
        settings=settings,
        store=store,
        shared=Path(plan.shared) if plan.shared else None,
        keys_required=plan.keys_required,
    )


def serve(service: Service, listener: socket.socket, parent: Status) -> int:
    """Run the event loop until the service has stopped; the exit status."""
    import uvloop

    from lingqu.serve.app import application
    from lingqu.serve.listener import HttpServer

    server = HttpServer(application(service), backlog=BACKLOG, keep_alive=KEEP_ALIVE)
    stuck = uvloop.run(_life(service, server, listener, parent))
    if stuck:
        # A thread that hangs would keep the interpreter from ending.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_STUCK)
    return 0


async def _life(service: Service, server: Any, listener: socket.socket, parent: Status) -> bool:
    """From ready to stopped; True when a model hangs in a thread."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    _stop_on_signals(loop, stop)
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


def _stop_on_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


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
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
