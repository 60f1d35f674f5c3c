"""Who a request says it is for and where it comes from: the defence against rebound names and foreign pages.

A page of a stranger can make a browser send requests to this machine. It cannot choose their Host and Origin: a name
that was rebound to 127.0.0.1 stands in Host, the stranger's own address in Origin (OWASP, "CSRF Prevention"; DNS
rebinding: Jackson et al. 2007). X-Forwarded-* is never looked at.

>>> names = {"localhost"}
>>> foreign([(b"host", b"localhost:8000")], names), foreign([(b"host", b"evil.example")], names)
('', "the host 'evil.example'")
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from functools import lru_cache

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}))(?::(?P<port>[0-9]{1,5}))?")
_PORTS = {"http": "80", "https": "443"}


def foreign(headers: Iterable[tuple[bytes, bytes]], names: Collection[str]) -> str:
    """What is foreign about a request with these headers, in words; nothing when it may pass.

    `names` are the host names of this service; numeric addresses always pass, for no name can be rebound to one.

    >>> foreign([(b"host", b"127.0.0.1:8000"), (b"origin", b"https://evil.example")], ())
    "the origin 'https://evil.example'"
    """
    hosts: list[bytes] = []
    origins: list[bytes] = []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"origin":
            origins.append(value)
    return _foreign(b",".join(hosts), tuple(origins), frozenset(names))


@lru_cache(maxsize=256)
def _foreign(hosts: bytes, origins: tuple[bytes, ...], names: frozenset[str]) -> str:
    # One client sends the same ones with each request.
    host = hosts.decode("latin-1")
    found = _HOST.fullmatch(host)
    if found is None or not (_is_address(found["name"]) or found["name"].lower().rstrip(".") in names):
        return f"the host {host[:80]!r}"
    for origin in origins:
        if not _same(origin.decode("latin-1"), found):
            return f"the origin {origin.decode('latin-1')[:80]!r}"
    return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _same(origin: str, host: re.Match[str]) -> bool:
    """Whether an origin is the host itself; the scheme may differ, for a proxy may have taken TLS off."""
    scheme, separator, rest = origin.partition("://")
    found = _HOST.fullmatch(rest)
    if not separator or scheme not in _PORTS or found is None or found["name"].lower() != host["name"].lower():
        return False
    port = found["port"] or _PORTS[scheme]
    return port == host["port"] or (host["port"] is None and port in _PORTS.values())
