"""One question to a model, the same way for every protocol: spent, answered, numbered, journalled."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lingqu.contract import Refusal, Rows
from lingqu.errors import DataError, Problem
from lingqu.serve.call import Call, GoneError
from lingqu.serve.entry import Entry, new_id
from lingqu.serve.shadow import SHADOW, shadow_id
from lingqu.spec import amounts
from lingqu.store.aliases import CHAMPION

if TYPE_CHECKING:
    from lingqu.serve.keys import Keys
    from lingqu.serve.principal import Principal
    from lingqu.serve.reply import Reply

WATCH_AFTER_SECONDS = 0.02
"""Quicker answers are given without looking whether the client is still there."""


_seconds = lru_cache(maxsize=16)(amounts.seconds)


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply and the id of each of its answers."""

    reply: Reply
    ids: list[str]

    def headers(self) -> dict[str, str]:
        """The version that answered, and the id of the first answer."""
        served = self.reply.version
        return {"x-model-name": served.name, "x-model-version": served.version, "x-prediction-id": self.ids[0]}


async def ask(
    call: Call,
    name: str,
    rows: Rows,
    *,
    version: str | None = None,
    seconds: float | None = None,
    kept: bool = True,
    needed: int = 0,
) -> Asked:
    """The answers to these rows, in order, within `seconds` and the service's own deadline.

    Each is numbered and journalled, unless it is not `kept`: then it is the answer to a question of our own. Who
    `needed` so many of the first rows gives nobody an answer where one of them is refused, so that the request costs nothing.

    Raises what the engine does, QuotaError, and GoneError when the client left: then the work is taken back.
    """
    if not len(rows):
        raise DataError(Problem("at least one row", "none", "Send one row or more."))
    service, principal = call.service, call.principal
    engine = service.engine(name)
    call.told.update(model=name, rows=len(rows))
    loop = asyncio.get_running_loop()
    most = _seconds(service.settings.deadline)
    deadline = loop.time() + (most if seconds is None else min(most, seconds))
    if service.keys is not None:
        service.keys.spend(principal, len(rows))
    began = time.time()
    service.metrics.in_progress(name, 1)
    try:
        answering = engine.answer(rows, deadline=deadline, version=version, user=call.user)
        reply = await until_gone(call, answering)
    except BaseException:
        if service.keys is not None:
            service.keys.give_back(principal, len(rows))
        raise
    finally:
        service.metrics.in_progress(name, -1)
    call.told.update(version=reply.version.version, role=reply.role)
    if service.keys is not None:
        _charge(service.keys, principal, name, reply, needed)
    if not kept:
        return Asked(reply, [])
    ids = [new_id() for _ in reply.answers]
    _journal(call, rows, reply, ids, began)
    if reply.role == CHAMPION:
        engine.shadow(rows, lambda shadow: _journal(call, rows, shadow, ids, began))
    return Asked(reply, ids)


def _charge(keys: Keys, principal: Principal, name: str, reply: Reply, needed: int) -> None:
    """Count what was answered; a row that was refused is no answer: it costs nothing, and the quota has it back."""
    answers = reply.answers
    answered = sum(not isinstance(answer, Refusal) for answer in answers)
    if answered < len(answers):
        if any(isinstance(answer, Refusal) for answer in answers[:needed]):
            answered = 0
        keys.give_back(principal, len(answers) - answered)
    if answered:
        keys.meter(principal, name, rows=answered, compute_seconds=reply.own_seconds)


async def until_gone(call: Call, answering: Any) -> Any:
    """What the coroutine gives; cancelled, and GoneError, when the client leaves before that."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    watchers: list[asyncio.Task[None]] = []
    timer = loop.call_later(WATCH_AFTER_SECONDS, _watch, loop, call, task, watchers)
    try:
        return await answering
    except asyncio.CancelledError:
        if call.gone:
            task.uncancel()
            raise GoneError from None
        raise
    finally:
        timer.cancel()
        for watcher in watchers:
            watcher.cancel()


def _watch(
    loop: asyncio.AbstractEventLoop, call: Call, task: asyncio.Task[Any], watchers: list[asyncio.Task[None]]
) -> None:
    watchers.append(loop.create_task(call.unless_gone(task)))


def _journal(call: Call, rows: Rows, reply: Reply, ids: list[str], began: float) -> None:
    """Record every answer under its id, where there is a journal; a shadow's under ids that follow from those it shadows.

    The row itself is kept once, with the answer that was given.
    """
    journal, served = call.service.journal, reply.version
    if journal is None:
        return
    unseen = reply.role == SHADOW
    latency = (reply.queue_seconds + reply.compute_seconds) * 1000
    request, name, number, role, who, user = call.id, served.name, served.number, reply.role, call.principal, call.user
    for place, (identity, answer) in enumerate(zip(ids, reply.answers, strict=True)):
        own = shadow_id(identity, number) if unseen else identity
        row = None if unseen else rows.row(place)
        journal.record(Entry(own, request, began, name, number, role, who, user, row, answer, latency))
