"""One alert as one POST to an address that the owner has allowed, signed so that the receiver can tell it is real.

The address comes from the environment, for it may hold a secret, and its host must be on the spec's list. Only https, or
http to this machine; a name that leads to a private network is not called; nothing is followed elsewhere. The body is JSON. As with MLflow's
webhooks, three headers prove it: the signature is `v1,` and the base64 of HMAC-SHA256 over "id.timestamp.body".
"""

from __future__ import annotations

import base64
import hmac
import http.client
import ipaddress
import os
import socket
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from lingqu.errors import Problem, RequestError
from lingqu.store import canonical_json

ADDRESS, SECRET = "LINGQU_WEBHOOK", "LINGQU_WEBHOOK_SECRET"
TIMEOUT = 5.0
_LARGEST = 65_536
_SAFE = "/?&=%:;,+@~!$'()*-._|[]"
"""What stays as it is written in a path and its query (RFC 3986), a percent sign too: it stands for itself already."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where alerts go, checked: scheme, host and port, path, and the key they are signed with."""

    secure: bool
    host: str
    port: int
    path: str
    secret: bytes

    @classmethod
    def given(cls, hosts: Collection[str], environment: Mapping[str, str] | None = None) -> Webhook | None:
        """The webhook of the environment, or None when there is none; RequestError for one that may not be called.

        >>> Webhook.given(["hooks.example.com"], {}) is None
        True
        >>> Webhook.given([], {ADDRESS: "https://evil.example/x", SECRET: "k" * 16})
        Traceback (most recent call last):
        lingqu.errors.RequestError: Expected a webhook whose host is under monitor.webhook_hosts, found 'evil.example'. Add the host to the spec.
        """
        found = os.environ if environment is None else environment
        address = found.get(ADDRESS, "")
        return None if not address else _checked(address, found.get(SECRET, ""), hosts)

    def send(self, delivery: str, timestamp: int, body: Mapping[str, Any]) -> int:
        """POST the body; the status of the answer. OSError or http.client.HTTPException when nobody answers."""
        payload = canonical_json(dict(body))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "lingqu",
            "X-Lingqu-Delivery-Id": delivery,
            "X-Lingqu-Timestamp": str(timestamp),
            "X-Lingqu-Signature": signature(self.secret, delivery, timestamp, payload),
        }
        connection = self._connection()
        try:
            # http.client follows no redirect: a 302 is an answer like any other, and no success.
            connection.request("POST", self.path, payload, headers)
            answer = connection.getresponse()
            answer.read(_LARGEST)
            return answer.status
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        """A connection to an address that was looked at: resolved once, and called by what it resolved to."""
        address = self._resolved()
        if not self.secure:
            return http.client.HTTPConnection(address, self.port, timeout=TIMEOUT)
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT, context=context)
        plain = socket.create_connection((address, self.port), timeout=TIMEOUT)
        try:
            # The certificate must be for the name, whichever address the name led to.
            connection.sock = context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
        return connection

    def _resolved(self) -> str:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)}
        for address in sorted(found):
            ip = ipaddress.ip_address(address.split("%")[0])
            if not (ip.is_global if self.secure else ip.is_loopback):
                raise ConnectionRefusedError(f"{self.host} leads to {address}, which is no public address")
        return sorted(found)[0]


def signature(secret: bytes, delivery: str, timestamp: int, payload: bytes) -> str:
    """What proves that a body is ours: compare it in constant time, and refuse old timestamps.

    >>> signature(b"key", "1", 2, b"{}")[:12]
    'v1,9iXOMau8M'
    """
    signed = f"{delivery}.{timestamp}.".encode() + payload
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def _checked(address: str, secret: str, hosts: Collection[str]) -> Webhook:
    # The address is never repeated whole: its path may be the receiver's secret.
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise RequestError(Problem(f"an address in {ADDRESS}", "none", "Write it as https://host/path.")) from None
    if parts.username or parts.password:
        raise RequestError(Problem(f"an address without a name and a password in {ADDRESS}", "one with them"))
    local = host in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        advice = "Write it as https://host/path."
        raise RequestError(Problem(f"https, or http to this machine, in {ADDRESS}", f"{parts.scheme}://{host}", advice))
    if host not in {name.lower() for name in hosts}:
        expected = "a webhook whose host is under monitor.webhook_hosts"
        raise RequestError(Problem(expected, f"'{host}'", "Add the host to the spec."))
    if len(secret) < 16:
        advice = f"Set {SECRET}, for example to: python -c 'import secrets; print(secrets.token_urlsafe())'"
        raise RequestError(Problem("a secret of at least 16 characters to sign alerts with", f"{len(secret)}", advice))
    # As a browser would send it: http.client takes nothing but ASCII.
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_SAFE)
    secure = parts.scheme == "https"
    return Webhook(secure, host, port or (443 if secure else 80), path, secret.encode())
