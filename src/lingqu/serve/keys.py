"""Keys: who may call the service, for what, how often and at what price.

A key is `lq_<id>_<secret>_<check>`: 256 random bits, of which the store keeps the SHA-256 alone, and a checksum that
tells a mistyped key from a wrong one. A fast hash is enough: nobody guesses 256 random bits, and a slow one, as for
passwords, would cost each request a tenth of a second.

>>> from lingqu.store import Store
>>> store = Store.open(getfixture("tmp_path") / ".lingqu")
>>> key, token = new_key(store, "anna", scopes=["predict"])
>>> with Keys(store, required=True) as keys:
...     keys.principal(token).name
'anna'
>>> token.encode() in store.database.path.read_bytes()
False
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import logging
import os
import re
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from sqlalchemy import insert, select, update

from lingqu.errors import (
    AccessError,
    LingquError,
    Problem,
    RequestError,
    StoreError,
    UnknownNameError,
    near,
)
from lingqu.serve.principal import ANYONE, DEFAULT_SCOPES, SCOPES, Principal
from lingqu.serve.quota import Limits
from lingqu.serve.sealed import iso
from lingqu.serve.usage import Usage, rows_since, tidy
from lingqu.spec.tariff import Allowance, Pace, Price
from lingqu.store import Store
from lingqu.store.history import now
from lingqu.store.tables import KEYS

EXPIRES_DAYS = 90
REFRESH_SECONDS = 0.4
"""How often a worker looks which keys there are, so that a revoked one is refused within a second."""

TRUST_SECONDS = 60.0
"""How long keys are believed that the database could not be asked about."""

CLOSE_SECONDS = 4.0
"""How long a stop waits for a database that does not answer."""

_TOKEN = re.compile(r"lq_([0-9a-f]{12})_([A-Za-z0-9_\-]{43})_([0-9a-f]{8})")
_NAME = re.compile(r"[\w][\w .@+\-]{0,99}")
_LOG = logging.getLogger("lingqu.serve")


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; the key itself is known to its owner alone."""

    id: str
    name: str
    scopes: tuple[str, ...]
    tenant: str
    rate: str | None
    quota: str | None
    price: str | None
    created: str
    expires: str | None
    revoked: str | None

    def state(self, at: str | None = None) -> str:
        """Whether it is active, expired or revoked at a moment (default: now)."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= (at or now()) else "active"

    def principal(self) -> Principal:
        """Who calls with this key."""
        return Principal(
            self.id,
            self.name,
            frozenset(self.scopes),
            self.tenant,
            Pace.parse(self.rate) if self.rate else None,
            Allowance.parse(self.quota) if self.quota else None,
            Price.parse(self.price) if self.price else None,
        )


def new_key(
    store: Store,
    name: str,
    *,
    scopes: Iterable[str] = DEFAULT_SCOPES,
    days: float | None = EXPIRES_DAYS,
    tenant: str = "",
    rate: str | None = None,
    quota: str | None = None,
    price: str | None = None,
) -> tuple[Key, str]:
    """Make a key and give what is known of it and the key itself, which is nowhere kept.

    `days` None never expires. `tenant` names the customer whose predictions it sees (default: the key's own).
    RequestError tells every argument that is wrong.
    """
    chosen = tuple(dict.fromkeys(scopes))
    _check(name, chosen, days, tenant, {"rate": rate, "quota": quota, "price": price})
    identity = os.urandom(6).hex()
    body = f"lq_{identity}_{base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip('=')}"
    token = f"{body}_{zlib.crc32(body.encode()):08x}"
    expires = None if days is None else f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%S.%fZ}"
    key = Key(identity, name, chosen, tenant or identity, rate, quota, price, now(), expires, None)
    row = {field: getattr(key, field) for field in Key.__dataclass_fields__}
    with store.database.writing() as connection:
        connection.execute(insert(KEYS).values(**{**row, "scopes": json.dumps(chosen)}, hash=_hash(token)))
    return key, token


def all_keys(store: Store) -> list[Key]:
    """Every key that was ever made, from the first."""
    return [key for key, _ in _read(store)]


def keys_named(store: Store, which: str) -> list[Key]:
    """The key of this id, or every key of this name, rotated and expired ones too; UnknownNameError when there is none."""
    known = all_keys(store)
    named = [key for key in known if which == key.id] or [key for key in known if which == key.name]
    if not named:
        advice = near(which, {key.name for key in known} | {key.id for key in known})
        raise UnknownNameError(Problem("the id or the name of a key", f"'{which}'", advice))
    return named


def find_key(store: Store, which: str) -> Key:
    """The key of this id, or the only active one of this name; UnknownNameError when there is none, or several."""
    named = keys_named(store, which)
    if which == named[0].id:
        return named[0]
    active = [key for key in named if key.state() == "active"]
    if len(active) > 1:
        found = f"{len(active)} keys of that name: " + ", ".join(key.id for key in active)
        raise UnknownNameError(Problem("the id or the name of a key", found, "Give the id."))
    if not active:
        states = " or ".join(sorted({key.state() for key in named}))
        advice = "It is refused already. See them: lingqu keys"
        raise UnknownNameError(Problem("the id or the name of an active key", f"'{which}', which is {states}", advice))
    return active[0]


def revoke(store: Store, which: str) -> Key:
    """Refuse a key from now on, in every worker within a second; nothing when it was revoked before."""
    key = find_key(store, which)
    with store.database.writing() as connection:
        at_once = update(KEYS).where(KEYS.c.id == key.id, KEYS.c.revoked.is_(None)).values(revoked=now())
        connection.execute(at_once)
    return find_key(store, key.id)


def guard(host: str, store: Store) -> bool:
    """Whether who calls a service on this host needs a key: everywhere but on this machine itself.

    RequestError for another host when there is no key that could be used, so that nothing is ever open to a network
    without one.
    """
    if is_loopback(host):
        return False
    if not any(key.state() == "active" for key in all_keys(store)):
        advice = "Make one: lingqu keys new NAME; or listen on 127.0.0.1."
        raise RequestError(Problem(f"a key before the service listens on {host}", "none that is active", advice))
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach this address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "", "db.example")]
    [True, True, True, False, False, False]
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Keys:
    """The keys as one worker sees them: who calls, what that may cost, and what it did.

    With `required` false who brings no key is ANYONE; a key that is brought is checked all the same. `price` is for keys
    that have none of their own. Two threads run between `start` and `close`, and the database is asked by them alone.
    """

    def __init__(self, store: Store, required: bool, *, price: Price | None = None) -> None:
        self.store = store
        self.required = required
        self.price = price
        self.usage = Usage(store)
        self.failed_writes = 0
        self._known: Mapping[str, tuple[str, Key, Principal]] = {}
        self._limits: Limits | None = None
        self._seen = 0.0
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Read the keys and begin to follow them."""
        # Another name than that of versions before, whose records had another form; rows are known from the database.
        self._limits = Limits(self.store.folder / "serve" / "windows")
        self.refresh()
        self._limits.remove(key.id for _, key, _ in self._known.values() if key.state() != "active")
        self._share_quotas()
        for name, work, every in (("keys", self.refresh, REFRESH_SECONDS), ("usage", self._account, 1.0)):
            thread = threading.Thread(target=self._repeat, args=(work, every), name=f"lingqu-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stop following, and write the last counts, for a few seconds at most."""
        self._stop.set()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)
        self._threads.clear()
        limits, self._limits = self._limits, None
        if limits is not None:
            limits.close()

    def principal(self, token: str | None, scope: str | None = None) -> Principal:
        """Who calls with this key; AccessError when nobody may (401), ScopeError when that one may not (403)."""
        if not token:
            if self.required:
                advice = "Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."
                raise AccessError(Problem("a key", "none", advice))
            found = ANYONE
        else:
            found = self._of_token(token)
        if scope is not None:
            found.need(scope)
        return found

    def spend(self, principal: Principal, rows: int, now: float | None = None) -> None:
        """Take a request of these rows from what a key may ask; QuotaError with `retry_after` when that is too much."""
        if self._limits is not None and (principal.rate is not None or principal.quota is not None):
            moment = time.time() if now is None else now
            self._limits.spend(
                principal.id, principal.name, rows, pace=principal.rate, quota=principal.quota, now=moment
            )

    def check(self, principal: Principal, rows: int) -> None:
        """QuotaError where a key has fewer rows than these left of its quota: before work is done that nobody will pay."""
        if self._limits is not None:
            self._limits.check(principal.id, principal.name, rows, quota=principal.quota, now=time.time())

    def give_back(self, principal: Principal, rows: int, now: float | None = None) -> None:
        """Undo the rows of a request that was spent and not answered."""
        if self._limits is not None:
            moment = time.time() if now is None else now
            self._limits.give_back(principal.id, rows, quota=principal.quota, now=moment)

    def meter(self, principal: Principal, name: str, *, rows: int, compute_seconds: float, requests: int = 1) -> None:
        """Count what a key was answered by a model, at the price of now."""
        price = principal.price or self.price
        self.usage.add(principal.id, name, requests=requests, rows=rows, compute_seconds=compute_seconds, price=price)

    def refresh(self) -> None:
        """Read which keys there are."""
        before = self._known
        known = {}
        for key, digest in _read(self.store):
            old = before.get(key.id)
            try:
                known[key.id] = old if old and old[1] == key else (digest, key, key.principal())
            except ValueError:
                # A key whose limits cannot be read is refused, and takes no other with it; `lingqu fsck` tells of it.
                continue
        self._known = known
        self._seen = time.monotonic()

    def _of_token(self, token: str) -> Principal:
        match = _TOKEN.fullmatch(token)
        advice = "Send it as it was shown by: lingqu keys new"
        if match is None or int(match[3], 16) != zlib.crc32(token.rpartition("_")[0].encode()):
            raise AccessError(Problem("a key such as lq_…", "one that is mistyped or cut off", advice))
        if time.monotonic() - self._seen > TRUST_SECONDS:
            again = "Try again; the log of the service says what is wrong."
            raise StoreError(Problem("to look up the key", "the database not answering", again))
        digest, key, principal = self._known.get(match[1], (_NOBODY, None, None))
        # Compared in constant time, and for an unknown id as well.
        same = hmac.compare_digest(digest, _hash(token))
        if key is None or principal is None or not same:
            raise AccessError(Problem("a key of this service", "one that it does not know", advice))
        state = key.state(iso(time.time()))
        if state != "active":
            raise AccessError(Problem("an active key", f"one that is {state}", "Ask for a new one."))
        return principal

    def _account(self) -> None:
        self.usage.flush()
        self._share_quotas()

    def _share_quotas(self) -> None:
        """Tell the limits what the database knows: the rows of other machines, or those from before a power cut."""
        moment = time.time()
        quotas = {key.id: who.quota for _, key, who in self._known.values() if who.quota and key.revoked is None}
        began = {quota.begins(moment) for quota in quotas.values()}
        if not began or self._limits is None:
            return
        with self.store.database.reading() as connection:
            rows = {begin: rows_since(connection, begin) for begin in began}
        for identity, quota in quotas.items():
            self._limits.at_least(identity, rows[quota.begins(moment)].get(identity, 0), quota=quota, now=moment)

    def _repeat(self, work: Any, every: float) -> None:
        tidied = time.monotonic()
        while not self._stop.wait(every):
            self._try(work)
            if work == self._account and time.monotonic() - tidied > 3600:
                tidied = time.monotonic()
                self._try(lambda: tidy(self.store))
        if work == self._account:
            self._try(self.usage.flush)

    def _try(self, work: Any) -> None:
        # Whatever the database does, the service goes on answering; what could not be written is tried again.
        try:
            work()
        except LingquError as error:
            self.failed_writes += 1
            if self.failed_writes & (self.failed_writes - 1) == 0:
                _LOG.warning("keys and usage: %s", error)


_NOBODY = "0" * 64


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _read(store: Store) -> list[tuple[Key, str]]:
    with store.database.reading() as connection:
        rows = connection.execute(select(KEYS).order_by(KEYS.c.created, KEYS.c.id)).mappings().all()
    return [
        (
            Key(**{**{f: row[f] for f in Key.__dataclass_fields__}, "scopes": _scopes(row["scopes"])}),
            row["hash"],
        )
        for row in rows
    ]


def _scopes(kept: str) -> tuple[str, ...]:
    try:
        found = json.loads(kept)
    except ValueError:
        found = None
    return tuple(scope for scope in found if scope in SCOPES) if isinstance(found, list) else ()


def _check(
    name: str, scopes: tuple[str, ...], days: float | None, tenant: str, written: Mapping[str, str | None]
) -> None:
    problems = []
    for what, text in (("a name", name), ("a tenant", tenant)):
        if (text or what == "a name") and _NAME.fullmatch(text) is None:
            expected = f"{what} of at most 100 letters, digits, spaces and . - _ @ +"
            problems.append(Problem(expected, repr(text)[:120], "Choose another name."))
    if not scopes:
        problems.append(Problem("at least one scope", "none", f"Known: {', '.join(SCOPES)}."))
    problems += [Problem("a scope", f"'{scope}'", near(scope, SCOPES)) for scope in scopes if scope not in SCOPES]
    if days is not None and not 0 < days <= 3660:
        problems.append(Problem("an expiry within 3,660 days", f"{days:g} days", "Or let it never expire."))
    for what, text in written.items():
        example, parse = WRITTEN[what]
        try:
            _ = None if text is None else parse(text)
        except ValueError:
            problems.append(
                Problem(f"a {what} such as '{example}'", repr(text)[:120], "Write it like that, in quotes.")
            )
    if problems:
        raise RequestError(problems)


WRITTEN = {
    "rate": ("100 per minute", Pace.parse),
    "quota": ("10000 rows per month", Allowance.parse),
    "price": ("0.01 CNY per row", Price.parse),
}
"""How the limits and the price of a key are written: an example of each, and who understands it."""
