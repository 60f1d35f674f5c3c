"""The service as an ASGI application: one table of routes, and around each the same guard.

In order: does the request belong here (Host, Origin), is there such a route, who asks and may they, has the model's line
room, and then the handler. Whatever is raised on the way becomes an answer; whatever is answered gets its headers and one
line in the log. Who may is decided from the line of the table that matched, never from the address as it was written.
"""

from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING

import orjson

from lingqu.errors import Problem, ProtocolError, ScopeError
from lingqu.serve import pages
from lingqu.serve.call import Call, GoneError, empty
from lingqu.serve.origin import foreign
from lingqu.serve.page import CSP
from lingqu.serve.refusals import refusal, status_of
from lingqu.serve.routes import ASK, NoRouteError, Route, match

if TYPE_CHECKING:
    from lingqu.serve.response import Application, Receive, Scope, Send
    from lingqu.serve.service import Service

ACCESS = logging.getLogger("lingqu.access")
FAULTS = logging.getLogger("lingqu.serve")

SECURITY_HEADERS = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_CLIENT_CLOSED = 499
BASIC = b'Basic realm="lingqu: the key as the password", charset="UTF-8"'


def application(service: Service) -> Application:
    """The ASGI application that answers for this service."""
    names = host_names(service)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # No WebSocket is spoken, and the life of the service is its worker's matter.
            return
        await _answer(service, names, scope, receive, send)

    return app


def host_names(service: Service) -> frozenset[str]:
    """The names that a request may give as its Host; a numeric address always may."""
    given = {"localhost", service.settings.host, socket.gethostname(), *service.settings.hosts}
    return frozenset(name.lower() for name in given if name)


async def _answer(service: Service, names: frozenset[str], scope: Scope, receive: Receive, send: Send) -> None:
    began = time.perf_counter()
    call = Call(service, scope, receive)
    route: Route | None = None
    try:
        if stranger := foreign(scope["headers"], names):
            advice = "A name of the service is made known by serve.hosts."
            problem = Problem("a request to a name of this service, from a page of its own", stranger, advice)
            raise ProtocolError(problem, status=403)
        response = pages.static(scope["path"], scope["method"])
        if response is None:
            route, call.params = match(scope["path"], scope["method"])
            _admit(call, route)
            if route.scopes == ASK and (engine := service.engines.get(call.params.get("name", ""))):
                call.told["model"] = engine.name
                engine.turn_away()
            response = await route.handler(call)
    except NoRouteError as error:
        response = empty(error.status, **({"allow": ", ".join(error.allow)} if error.allow else {}))
    except GoneError:
        _tell(call, route, _CLIENT_CLOSED, began)
        return
    except Exception as error:
        if status_of(error) == 500:
            FAULTS.exception("request %s failed", call.id, extra={"request_id": call.id})
        response = refusal(error, call.id, route.family if route else "native")
    headers = response.raw_headers
    headers.append((b"x-request-id", call.id.encode()))
    if response.status_code == 401 and route is not None and route.browsed:
        headers.append((b"www-authenticate", BASIC))
    if route is None:
        # A file of the page has some of its own.
        present = {name for name, _ in headers}
        headers.extend(pair for pair in SECURITY_HEADERS if pair[0] not in present)
    else:
        headers.extend(SECURITY_HEADERS)
    await response(send)
    _tell(call, route, response.status_code, began)


def _admit(call: Call, route: Route) -> None:
    """AccessError when nobody with this key may, ScopeError when this one may not; an open route asks nobody."""
    keys = call.service.keys
    if route.scopes is None or keys is None:
        return
    # A browser sends a password to every address once it was given; it is looked at where people go alone.
    call.principal = who = keys.principal(call.token or (call.password if route.browsed else None))
    if who.scopes.isdisjoint(route.scopes):
        wanted = " or ".join(route.scopes)
        advice = f"Ask for a key with the scope {route.scopes[0]}."
        raise ScopeError(Problem(f"a key that may {wanted}", f"'{who.name}', which may not", advice))


def _tell(call: Call, route: Route | None, status: int, began: float) -> None:
    """Count the request and write its line; only what is named here is ever logged."""
    seconds = time.perf_counter() - began
    told = call.told
    model = told.get("model")
    if route is not None and route.scopes == ASK:
        # Every question counts, whatever became of it; a name that is not served here is no label.
        asked = model or call.params.get("name")
        label = asked if asked in call.service.engines else ""
        call.service.metrics.request(label, told.get("version", ""), told.get("role", ""), status, seconds)
    if not ACCESS.isEnabledFor(logging.INFO):
        return
    line = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "request": call.id,
        "method": call.method,
        "route": route.path if route else None,
        "status": status,
        "ms": round(seconds * 1000, 2),
        "key": call.principal.id,
        "model": model,
        "version": told.get("version"),
        "role": told.get("role"),
        "rows": told.get("rows"),
    }
    ACCESS.info("%s", orjson.dumps({name: value for name, value in line.items() if value is not None}).decode())
