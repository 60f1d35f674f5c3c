"""`lingqu keys`: who may call the service, and what each was answered."""

from __future__ import annotations

import argparse
import re
from datetime import datetime
from typing import Any

from rich.text import Text

from lingqu.cli.present import emit, next_step, read_store, store_folder, table
from lingqu.errors import Problem, RequestError
from lingqu.privacy.encrypt import KEY_VARIABLE, new_master_key, spelled
from lingqu.serve import keys as kept
from lingqu.serve.usage import Line, report
from lingqu.store import Store

_MOMENT = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2})?)?)?")
_NOTHING = "–"


def keys(arguments: argparse.Namespace) -> int:
    """Make, list or revoke keys, tell what they have used, or make a secret for encryption."""
    action = {"new": _new, "list": _list, "revoke": _revoke, "usage": _usage, "secret": _secret}[arguments.action]
    action(arguments)
    return 0


def _new(arguments: argparse.Namespace) -> None:
    name = _named(arguments)
    days = None if arguments.days == 0 else arguments.days
    key, token = kept.new_key(
        Store.open(store_folder(arguments)),
        name,
        scopes=[word for word in arguments.scopes.replace(",", " ").split() if word],
        days=days,
        tenant=arguments.tenant or "",
        rate=arguments.rate,
        quota=arguments.quota,
        price=arguments.price,
    )
    until = f"until {key.expires[:10]}" if key.expires else "for ever"
    emit(
        arguments,
        {"key": token, **_told(key)},
        Text.assemble("Key of ", (key.name, "bold"), f" ({key.id}), good {until} for: {', '.join(key.scopes)}"),
        Text(token, style="bold"),
        Text("It is shown this once; only its SHA-256 is kept. Send it as 'Authorization: Bearer …'.", style="dim"),
    )


def _list(arguments: argparse.Namespace) -> None:
    with read_store(arguments) as store:
        found = kept.all_keys(store)
    rows = [
        (
            key.id,
            key.name,
            key.state(),
            ", ".join(key.scopes),
            key.rate or _NOTHING,
            key.quota or _NOTHING,
            key.price or _NOTHING,
            (key.expires or "never")[:10],
        )
        for key in found
    ]
    shown = table("", ["id", "name", "state", "may", "at most", "quota", "price", "expires"], rows)
    told = {"keys": [_told(key) for key in found]}
    emit(arguments, told, shown if found else next_step("lingqu keys new NAME", "no keys yet"))


def _revoke(arguments: argparse.Namespace) -> None:
    which = _named(arguments)
    with read_store(arguments) as store:
        key = kept.revoke(store, which)
    emit(arguments, _told(key), f"The key {key.id} of {key.name} is refused from now on.")


def _usage(arguments: argparse.Namespace) -> None:
    since, until = (_moment(name, getattr(arguments, name)) for name in ("since", "until"))
    by = [word for word in (arguments.by or "").replace(",", " ").split() if word]
    if wrong := sorted(set(by) - {"model", "day"}):
        raise RequestError(Problem("model or day after --by", f"'{wrong[0]}'", "Type: --by model,day"))
    with read_store(arguments) as store:
        named = [key.id for key in kept.keys_named(store, arguments.name)] if arguments.name else None
        lines = report(store, keys=named, since=since or "", until=until or "9999", by=by)
    columns = ["key", "name", *by, "requests", "rows", "compute s", "cost"]
    rows = [
        (
            line.key,
            line.key_name,
            *(getattr(line, word) for word in by),
            f"{line.requests:,}",
            f"{line.rows:,}",
            f"{line.compute_seconds:,.2f}",
            f"{line.cost:f} {line.currency}" if line.currency else _NOTHING,
        )
        for line in lines
    ]
    empty = "Nothing was answered in this time."
    emit(arguments, {"usage": [_line(line) for line in lines]}, table("", columns, rows) if lines else empty)


def _secret(arguments: argparse.Namespace) -> None:
    text = spelled(new_master_key())
    emit(
        arguments,
        {KEY_VARIABLE: text},
        f"{KEY_VARIABLE}={text}",
        Text("Whoever has it reads what is encrypted, and without it nobody does: keep it apart.", style="dim"),
    )


def _named(arguments: argparse.Namespace) -> str:
    if not arguments.name:
        raise RequestError(Problem("the name of a key", "none", f"Type: lingqu keys {arguments.action} NAME"))
    return arguments.name


def _moment(option: str, text: str | None) -> str | None:
    if text is not None and not _is_day(text):
        advice = f"Type: --{option} 2026-11"
        raise RequestError(Problem(f"a month or a day such as 2026-11-22 (UTC) after --{option}", f"'{text}'", advice))
    return text


def _is_day(text: str) -> bool:
    """Whether this is a year, a month, a day or an hour that there is.

    >>> [_is_day(text) for text in ("2026", "2026-11", "2028-02-29", "2026-11-22T23", "2026-02-30", "2026-13", "２０２６")]
    [True, True, True, True, False, False, False]
    """
    if _MOMENT.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text + "0000-01-01T00"[len(text) :])
    except ValueError:
        return False
    return True


def _told(key: kept.Key) -> dict[str, Any]:
    fields = {name: getattr(key, name) for name in kept.Key.__dataclass_fields__}
    return {**fields, "scopes": list(key.scopes), "state": key.state()}


def _line(line: Line) -> dict[str, Any]:
    # Money as text: a float would round it.
    return {**{name: getattr(line, name) for name in Line.__dataclass_fields__}, "cost": f"{line.cost:f}"}
