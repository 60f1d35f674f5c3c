"""An alarm is told once, to the log, the history and the webhook, which is signed and goes only where it may."""

from __future__ import annotations

import hmac
import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from lingqu.errors import RequestError
from lingqu.monitor.alarms import Alarm, told
from lingqu.monitor.webhook import ADDRESS, SECRET, Webhook
from lingqu.registry import Registry
from tests.monitor.stream import registered

KEY = "a secret of some length"
DRIFT = Alarm("drift", "warn", "One signal moved.", {"signals": ["age"]})


class Receiver(HTTPServer):
    """A receiver on loopback that keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/x?token=1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.got.append((self.path, dict(self.headers), body))
        self.send_response(receiver.status)
        if receiver.status == 302:
            self.send_header("Location", receiver.address)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def given(address: str, hosts: tuple[str, ...] = ("127.0.0.1",), secret: str = KEY) -> Webhook:
    found = Webhook.given(hosts, {ADDRESS: address, SECRET: secret})
    assert found is not None
    return found


def test_an_alarm_is_told_once(tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    store, version = registered(tmp_path)
    known: dict[str, dict[str, Any]] = {}
    webhook = given(receiver.address)
    with caplog.at_level(logging.WARNING, "lingqu.monitor"):
        first = told([DRIFT], known, version, store, webhook)
        again = told([DRIFT], known, version, store, webhook)
    assert first == again
    assert first[0].since
    assert [record.getMessage() for record in caplog.records] == ["credit@1: One signal moved."]
    events = [event for event in Registry(store).history("credit") if event.action == "alarm"]
    assert len(events) == 1
    assert events[0].sentence().endswith("version 1 of credit raised an alarm (lingqu): One signal moved.")
    assert Registry(store).verify_history() == []
    ((path, headers, body),) = receiver.got
    assert path == "/hooks/x?token=1"
    sent = json.loads(body)
    assert (sent["event"], sent["name"], sent["kind"], sent["sentence"]) == ("alarm", "credit", "drift", DRIFT.text)
    signed = f"{headers['X-Lingqu-Delivery-Id']}.{headers['X-Lingqu-Timestamp']}.".encode() + body
    assert headers["X-Lingqu-Signature"] == "v1," + b64encode(hmac.digest(KEY.encode(), signed, "sha256")).decode()


def test_an_alarm_that_grows_worse_is_told_again_and_one_that_came_back_is_not(tmp_path: Path) -> None:
    store, version = registered(tmp_path)
    known: dict[str, dict[str, Any]] = {}
    warned, acted = Alarm("risk", "warn", "It may err."), Alarm("risk", "act", "It errs.")
    for alarms in ([warned], [acted], [acted], [], [acted], [warned]):
        told(alarms, known, version, store, None)
    texts = [event.why for event in Registry(store).history("credit") if event.action == "alarm"]
    assert texts == ["It may err.", "It errs."]
    known["risk"]["seen"] = "2020-01-01T00:00:00.000000Z"
    told([], known, version, store, None)
    assert known == {}


def test_a_receiver_that_fails_is_asked_again_and_never_followed(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    store, version = registered(tmp_path)
    known: dict[str, dict[str, Any]] = {}
    receiver.status = 302
    told([DRIFT], known, version, store, given(receiver.address))
    assert len(receiver.got) == 1
    assert "the webhook at 127.0.0.1 answered 302" in caplog.text
    assert "token" not in caplog.text
    receiver.status = 204
    told([DRIFT], known, version, store, given(receiver.address))
    told([DRIFT], known, version, store, given(receiver.address))
    assert len(receiver.got) == 2
    told([Alarm("risk", "act", "It errs.")], known, version, store, given("http://127.0.0.1:9/x"))
    assert "did not answer: ConnectionRefusedError" in caplog.text


def test_an_address_beyond_ascii_is_called_and_one_that_is_no_name_costs_no_look(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    store, version = registered(tmp_path)
    told([DRIFT], {}, version, store, given(f"http://127.0.0.1:{receiver.server_port}/渠 道/%2F?a=é&b=c"))
    assert [path for path, *_ in receiver.got] == ["/%E6%B8%A0%20%E9%81%93/%2F?a=%C3%A9&b=c"]
    told([DRIFT], {}, version, store, given("https://hooks..example.com/x", hosts=("hooks..example.com",)))
    assert "the webhook at hooks..example.com did not answer: UnicodeError" in caplog.text


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://hooks.example.com/x", "Expected https, or http to this machine, in LINGQU_WEBHOOK, found http://hooks.example.com."),
        ("file:///etc/passwd", "Expected https, or http to this machine, in LINGQU_WEBHOOK, found file://."),
        ("https://evil.example/secret", "Expected a webhook whose host is under monitor.webhook_hosts, found 'evil.example'."),
        ("https://hooks.example.com@evil.example/", "Expected an address without a name and a password in LINGQU_WEBHOOK"),
        ("https://hooks.example.com.evil.example/", "found 'hooks.example.com.evil.example'."),
        ("https://[::1", "Expected an address in LINGQU_WEBHOOK, found none."),
    ],
)  # fmt: skip
def test_addresses_that_may_not_be_called(address: str, problem: str) -> None:
    with pytest.raises(RequestError) as told_of:
        given(address, hosts=("hooks.example.com",))
    assert problem in str(told_of.value)
    assert "secret" not in str(told_of.value)


def test_a_webhook_needs_a_key() -> None:
    with pytest.raises(
        RequestError, match=r"^Expected a secret of at least 16 characters to sign alerts with, found 5\."
    ):
        given("https://hooks.example.com/x", ("hooks.example.com",), "short")


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "127.0.0.1", "192.168.1.1", "0.0.0.0"])
def test_a_name_that_leads_to_a_private_network_is_not_called(address: str) -> None:
    hidden = Webhook(True, address, 443, "/", KEY.encode())
    with pytest.raises(ConnectionRefusedError, match=f"^{address} leads to {address}, which is no public address$"):
        hidden.send("1", 1, {})
