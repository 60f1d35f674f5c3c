"""Alarms: what stands, and who is told. Each is told once: to the log, to the history, and to the webhook if there is one.

An alarm that ends and comes back within a day is the same alarm. A webhook that does not answer is tried again at the
next look.
"""

from __future__ import annotations

import http.client
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lingqu.monitor.webhook import Webhook
from lingqu.registry import Version
from lingqu.store import Store
from lingqu.store.history import append, now

COOL_DOWN = timedelta(days=1)
_LOG = logging.getLogger("lingqu.monitor")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong now.

    >>> Alarm("latency", "warn", "Answers are slow.").key
    'latency'
    """

    kind: str
    level: str
    text: str
    evidence: dict[str, Any] = field(default_factory=dict)
    signal: str = ""
    since: str = ""

    @property
    def key(self) -> str:
        """What makes it the same alarm at the next look."""
        return f"{self.kind}:{self.signal}" if self.signal else self.kind

    def sentence(self) -> str:
        """The alarm in words."""
        return self.text

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self) | {"sentence": self.text}


def told(
    alarms: Sequence[Alarm], known: dict[str, dict[str, Any]], version: Version, store: Store, webhook: Webhook | None
) -> list[Alarm]:
    """Tell what is new, and give every alarm with the moment since which it stands; `known` is changed to what is known now."""
    moment = now()
    standing: list[Alarm] = []
    for alarm in alarms:
        before = known.get(alarm.key)
        # An alarm that grew worse is a new one.
        fresh = before is None or (alarm.level == "act" and before["level"] != "act")
        entry = {"since": moment, "sent": False} if before is None or fresh else before
        known[alarm.key] = entry | {"level": alarm.level, "seen": moment}
        named = Alarm(alarm.kind, alarm.level, alarm.text, alarm.evidence, alarm.signal, entry["since"])
        standing.append(named)
        if fresh:
            _LOG.warning("%s: %s", version.reference, alarm.text)
            _write_down(named, version, store)
        if webhook is not None and not known[alarm.key]["sent"]:
            known[alarm.key]["sent"] = _sent(webhook, named, version)
    for key in [key for key, entry in known.items() if _old(entry["seen"], moment)]:
        del known[key]
    return standing


def known(alarms: Sequence[Alarm], before: Mapping[str, Mapping[str, Any]]) -> list[Alarm]:
    """Every alarm with the moment since which it stands, as far as that was written down; nobody is told.

    >>> known([Alarm("latency", "warn", "Slow.")], {"latency": {"since": "2026-11-23T10:00:00Z"}})[0].since
    '2026-11-23T10:00:00Z'
    """
    return [replace(alarm, since=before.get(alarm.key, {}).get("since") or now()) for alarm in alarms]


def _old(seen: str, moment: str) -> bool:
    return datetime.fromisoformat(moment) - datetime.fromisoformat(seen) > COOL_DOWN


def _write_down(alarm: Alarm, version: Version, store: Store) -> None:
    evidence = {"kind": alarm.kind, "signal": alarm.signal, "level": alarm.level, **alarm.evidence}
    with store.database.writing() as connection:
        append(
            connection,
            name=version.name,
            who="lingqu",
            action="alarm",
            version=version.number,
            why=alarm.text,
            evidence=evidence,
        )


def _sent(webhook: Webhook, alarm: Alarm, version: Version) -> bool:
    body = {
        "event": "alarm",
        "name": version.name,
        "version": version.number,
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        **alarm.to_json(),
    }
    try:
        status = webhook.send(secrets.token_hex(16), int(time.time()), body)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        # What the network says may hold the address, whose path may be a secret: its kind is enough.
        _LOG.warning("the webhook at %s did not answer: %s", webhook.host, type(error).__name__)
        return False
    if not 200 <= status < 300:
        _LOG.warning("the webhook at %s answered %d", webhook.host, status)
        return False
    return True
