"""Who may do what: every role at every route by every method; foreign hosts and pages; paths that lead elsewhere."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lingqu.serve.routes import ROUTES
from tests.serve.live import exchange, serving

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
ROLES: dict[str, tuple[str, ...] | None] = {
    "nobody": None,
    "a caller": ("predict",),
    "a voter": ("feedback",),
    "a reader": ("read",),
    "a promoter": ("promote", "train"),
}
OPEN = {
    "/docs.css", "/livez", "/readyz", "/healthz", "/health", "/ping", "/v2/health/live", "/v2/health/ready",
}  # fmt: skip


def test_only_probes_and_a_style_are_open() -> None:
    assert {route.path for route in ROUTES if route.scopes is None} == OPEN
    assert len({route.path for route in ROUTES}) == len(ROUTES)
    for route in ROUTES:
        assert route.scopes is None or set(route.scopes) <= {"predict", "feedback", "read", "train", "promote", "admin"}


@pytest.fixture(scope="module")
def guarded(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, dict[str, str]]]:
    """The port of a service that wants keys, and a key for each role."""
    from lingqu.serve.keys import Keys, new_key
    from lingqu.serve.service import Service
    from lingqu.spec.running import ServeSettings
    from lingqu.store import Store

    store = Store.open(tmp_path_factory.mktemp("keys") / ".lingqu")
    tokens = {role: new_key(store, role, scopes=scopes)[1] for role, scopes in ROLES.items() if scopes}
    with Keys(store, required=True) as keys:

        def make() -> Service:
            service = Service.load([bundles["houses"]], settings=ServeSettings(), store=store)
            service.keys = keys
            return service

        with serving(make) as (_, port):
            yield port, tokens


def ask(connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.heavy
@pytest.mark.parametrize("role", ROLES)
def test_every_route_by_every_method(guarded: tuple[int, dict[str, str]], role: str) -> None:
    port, tokens = guarded
    headers = {"authorization": f"Bearer {tokens[role]}"} if role in tokens else {}
    scopes = ROLES[role] or ()
    wrong: list[Any] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for route in ROUTES:
        path = route.path.replace("{name}", "houses").replace("{version}", "1")
        for method in METHODS:
            if method == "CONNECT":
                # Its address is a host, so the parser refuses a path.
                head = f"CONNECT {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                status = int(exchange(port, head.encode(), end=True).split()[1])
                expected = (400, 405)
            else:
                status, body = ask(connection, method, path, headers)
                if method not in route.methods:
                    expected = (405,)
                    assert body == b""
                elif route.scopes is None:
                    expected = (200,)
                elif role not in tokens:
                    expected = (401,)
                elif not set(scopes) & set(route.scopes):
                    expected = (403,)
                else:
                    expected = (200, 400, 404, 415, 422) if method == "POST" else (200, 404)
            if status not in expected:
                wrong.append((route.path, method, status, expected))
    connection.close()
    assert wrong == []


@pytest.mark.heavy
def test_keys_are_brought_in_either_header_and_wrong_ones_are_told(guarded: tuple[int, dict[str, str]]) -> None:
    port, tokens = guarded
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    token = tokens["a caller"]
    for headers in ({"authorization": f"bearer {token}"}, {"x-api-key": token}):
        assert ask(connection, "GET", "/v1/models", headers)[0] == 200
    connection.request("GET", "/v1/models")
    refused = connection.getresponse()
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert b"Expected a key, found none. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'." in refused.read()
    flipped = token[:-1] + ("0" if token[-1] != "0" else "1")
    forged = [flipped, token + "0", token.upper(), f"{token} ", "lq_", "", "null", "eyJhbGciOiJub25lIn0.e30."]
    for wrong in forged:
        if wrong.strip() != token:
            assert ask(connection, "GET", "/v1/models", {"authorization": f"Bearer {wrong}"})[0] == 401, wrong
    assert ask(connection, "GET", f"/v1/models?api_key={token}", {})[0] == 401
    assert ask(connection, "GET", "/v1/models", {"cookie": f"key={token}"})[0] == 401
    assert ask(connection, "GET", "/v1/models", {"authorization": f"Basic {token}"})[0] == 401
    connection.close()


@pytest.mark.heavy
def test_a_browser_sends_a_key_by_its_own_window_to_pages_alone(guarded: tuple[int, dict[str, str]]) -> None:
    port, tokens = guarded
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)

    def status(path: str, pair: str) -> int:
        coded = base64.b64encode(pair.encode()).decode()
        return ask(connection, "GET", path, {"authorization": f"Basic {coded}"})[0]

    token = tokens["a reader"]
    for path in ("/docs", "/openapi.json"):
        connection.request("GET", path)
        refused = connection.getresponse()
        refused.read()
        challenges = refused.headers.get_all("www-authenticate")
        assert (refused.status, [one.split()[0] for one in challenges or []]) == (401, ["Bearer", "Basic"])
        assert [status(path, pair) for pair in (f"anna:{token}", f":{token}", f"{token}:", f"anna:{token}0", ":", "")] == [
            200, 200, 200, 401, 401, 401,
        ]  # fmt: skip
        assert status(path, f"anna:{tokens['a voter']}") == 403
        for broken in ("Basic", "Basic ", "Basic é", "Basic /w==", "Basic !!!"):
            assert ask(connection, "GET", path, {"authorization": broken})[0] == 401
    # Whatever a browser sends along on its own opens nothing else.
    for path in ("/v1/models", "/metrics", "/v2/models", "/v1/models/houses"):
        assert status(path, f"anna:{token}") == 401
    connection.close()


HOSTS = (
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1.nip.io",
    "user@localhost", "localhost/evil", "local host", "", ":8000", "[::1", "localhost:99999999", "localhost:80a",
    "localhost,evil.example", "evil.example#localhost", "xn--localhost", "localhоst", "0x7f.1", "127.1",
    "%6c%6f%63%61%6c%68%6f%73%74",
)  # fmt: skip
ORIGINS = (
    "null", "https://evil.example", "http://evil.example:8000", "http://localhost.evil.example", "http://localhost:1",
    "http://127.0.0.1", "http://localhost:8000.evil.example", "file://", "chrome-extension://abc", "http://localhost@evil",
    "javascript:alert(1)", "http://LOCALHOST.evil.example:8000", "//localhost:8000", "localhost:8000",
    "http://[::1]:8000", "http://localhost:8000/path", "http://localhost:8000 http://evil.example", "", "ws://localhost:8000",
)  # fmt: skip
FORWARDED = ("X-Forwarded-Host", "X-Forwarded-Server", "X-Original-Host", "X-Host", "Forwarded")


def status_for(port: int, *headers: str) -> int:
    head = "GET /livez HTTP/1.1\r\n" + "".join(f"{header}\r\n" for header in headers) + "Connection: close\r\n\r\n"
    return int(exchange(port, head.encode()).split(b" ", 2)[1])


@pytest.mark.heavy
def test_foreign_hosts_and_pages_are_refused(live: int) -> None:
    refused = [status_for(live, f"Host: {host}") for host in HOSTS]
    assert set(refused) == {403}, dict(zip(HOSTS, refused, strict=True))
    refused = [status_for(live, "Host: localhost:8000", f"Origin: {origin}") for origin in ORIGINS]
    assert set(refused) == {403}, dict(zip(ORIGINS, refused, strict=True))
    assert status_for(live) == 403
    assert status_for(live, "Host: localhost", "Host: evil.example") == 403
    assert status_for(live, "Host: localhost", "Origin: http://localhost", "Origin: http://evil.example") == 403


@pytest.mark.heavy
def test_what_a_proxy_would_say_is_never_believed(live: int) -> None:
    for name in FORWARDED:
        assert status_for(live, "Host: evil.example", f"{name}: localhost") == 403
        assert status_for(live, "Host: localhost", f"{name}: evil.example") == 200
    for host in ("localhost", "LOCALHOST:8000", "localhost.", "127.0.0.1:8000", "[::1]:8000", "192.168.1.7"):
        assert status_for(live, f"Host: {host}") == 200
    assert status_for(live, "Host: localhost:8000", "Origin: http://localhost:8000") == 200
    assert status_for(live, "Host: 10.0.0.5", "Origin: https://10.0.0.5") == 200


def traversals() -> list[str]:
    ups = (
        "../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%252f", "%252e%252e%252f", "..\\", "..%5c", "%2e%2e%5c", "..%255c",
        "....//", "..;/", ".%00./", "..%00/", "..%c0%af", "%c0%ae%c0%ae/", "..%e2%88%95", "％2e％2e/", "/..//../", "./../",
    )  # fmt: skip
    targets = ("etc/passwd", "app.py", "lingqu.db", "keys.py%00.css", "__init__.py")
    bases = ("/page/", "/", "/docs.css/", "/v1/models/", "/v2/models/houses/versions/")
    return [f"{base}{up * depth}{target}" for base in bases for up in ups for target in targets for depth in (4,)]


@pytest.mark.heavy
def test_five_hundred_paths_lead_nowhere(live: int) -> None:
    paths = traversals()
    assert len(paths) == 500
    for path in paths:
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = exchange(live, head.encode())
        assert answer.split(b" ", 2)[1] in (b"404", b"400"), (path, answer[:200])
        body = answer.partition(b"\r\n\r\n")[2]
        assert b"root:" not in body
        assert b"import" not in body


@pytest.mark.heavy
def test_the_names_of_a_service_are_told_in_its_settings(bundles: dict[str, Path]) -> None:
    from lingqu.serve.app import host_names
    from lingqu.serve.service import Service
    from lingqu.spec.running import ServeSettings

    service = Service.load([bundles["houses"]], settings=ServeSettings(hosts=["Model.Example"]))
    assert host_names(service) >= {"localhost", "model.example"}
