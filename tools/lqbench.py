"""Load an HTTP service and tell how it bore it: an open loop, light in CPU, that checks every answer.

In an open loop requests leave when they are due, whether or not earlier ones were answered, and each latency counts from
the moment it was due: a service that stalls cannot hide the stall by slowing its client down (coordinated omission, Gil
Tene, "How NOT to Measure Latency"). A closed loop, which finds the most requests a second, is there too.

python -m tools.lqbench http://127.0.0.1:8000/v1/models/mine/predict --rows rows.jsonl --rate 200 --seconds 10
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.connections import Driver, Reply, Request

VERSION = "x-model-version"
TIMEOUT = 30.0


Oracle = Callable[[Reply], str]
"""What is wrong with an answer; an empty text when nothing is."""


def quantile(values: Sequence[float], q: float) -> float:
    """The nearest-rank quantile, nan of nothing.

    >>> quantile([4, 1, 3, 2], 0.5), quantile(range(1, 101), 0.99)
    (2, 99)
    """
    ordered = sorted(values)
    return ordered[max(0, ceil(q * len(ordered)) - 1)] if ordered else float("nan")


@dataclass(frozen=True, slots=True)
class Report:
    """Every reply, in the order of requests, and what the client itself cost."""

    replies: list[Reply]
    seconds: float
    client_cpu: float
    connections: int
    retried: int

    @property
    def good(self) -> list[Reply]:
        """The replies without a fault."""
        return [reply for reply in self.replies if not reply.fault]

    @property
    def faults(self) -> Counter[str]:
        """How often each fault was seen."""
        return Counter(reply.fault for reply in self.replies if reply.fault)

    @property
    def statuses(self) -> Counter[int]:
        """How often each status came; 0 where no answer came at all."""
        return Counter(reply.status for reply in self.replies)

    @property
    def versions(self) -> Counter[str]:
        """How often each model version answered, by the header X-Model-Version."""
        return Counter(version for reply in self.replies if (version := reply.header(VERSION)))

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.good) / self.seconds if self.seconds else 0.0

    def latency(self, q: float) -> float:
        """A quantile of the seconds that good answers took."""
        return quantile([reply.latency for reply in self.good], q)

    def lag(self, q: float = 0.99) -> float:
        """A quantile of the seconds by which the client itself sent too late; a part of every latency."""
        return quantile([reply.sent - reply.due for reply in self.replies], q)

    def summary(self) -> dict[str, Any]:
        """The numbers, as JSON values; times in milliseconds."""
        shown = {f"p{name}_ms": round(1000 * self.latency(q), 3) for name, q in _SHOWN.items()}
        return {
            "requests": len(self.replies),
            "failed": len(self.replies) - len(self.good),
            "requests_per_second": round(self.rate, 1),
            **(shown if self.good else {}),
            "seconds": round(self.seconds, 3),
            "client_cpu_seconds": round(self.client_cpu, 3),
            "client_lag_p99_ms": round(1000 * self.lag(), 3) if self.replies else 0.0,
            "connections": self.connections,
            "retried": self.retried,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "faults": dict(self.faults.most_common(10)),
            "versions": dict(sorted(self.versions.items())),
        }


_SHOWN = {"50": 0.5, "90": 0.9, "99": 0.99, "99.9": 0.999}


def fixed(rate: float, seconds: float) -> list[float]:
    """Arrivals at equal distances.

    >>> fixed(4, 1)
    [0.0, 0.25, 0.5, 0.75]
    """
    return [number / rate for number in range(round(rate * seconds))]


def poisson(rate: float, seconds: float, seed: int = 0) -> list[float]:
    """Arrivals of many independent users: exponential distances, exactly rate · seconds of them.

    >>> [round(moment, 2) for moment in poisson(4, 1)]
    [0.47, 0.82, 0.96, 1.03]
    """
    draw = random.Random(seed)
    return list(accumulate(draw.expovariate(rate) for _ in range(round(rate * seconds))))


def expects(answers: Mapping[str, Sequence[Any]]) -> Oracle:
    r"""An oracle by version: the `prediction` of the first row must be what this version says of that request.

    Requests are taken in turn, so request n asks for answers[version][n modulo their number].

    >>> oracle = expects({"1": ["spam"]})
    >>> head = b"HTTP/1.1 200 OK\r\nX-Model-Version: 1"
    >>> oracle(Reply(0, 0, 0, 0, 200, head, b'{"predictions": [{"prediction": "ham"}]}'))
    "version 1 answered 'ham', expected 'spam'"
    """

    def oracle(reply: Reply) -> str:
        version = reply.header(VERSION)
        if version not in answers:
            return f"the unknown version {version!r}"
        try:
            found = json.loads(reply.body)["predictions"][0]["prediction"]
        except (ValueError, LookupError, TypeError):
            return "no prediction in the answer"
        wanted = answers[version][reply.number % len(answers[version])]
        return "" if found == wanted else f"version {version} answered {found!r}, expected {wanted!r}"

    return oracle


def load(
    url: str,
    requests: Sequence[Request],
    *,
    arrivals: Sequence[float] | None = None,
    connections: int | None = None,
    seconds: float = 0.0,
    oracle: Oracle | None = None,
    fine: Sequence[int] = (200,),
    timeout: float = TIMEOUT,
    retries: int = 0,
) -> Report:
    """Load the service at `url` (scheme, host, port) with these requests in turn, and judge each answer.

    Open loop with `arrivals` (seconds), over at most `connections` (1,000) connections; closed loop of `connections`
    requests in flight for `seconds` without. A status outside `fine`, a broken or late answer and whatever the
    oracle says are faults. Answers are judged after the load, so that judging does not slow it. `retries`: how often a
    request is sent again when the service had closed the resting connection under it. For a plain (not async) caller.
    """
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or 80
    wires = [request.wire(f"{host}:{port}") for request in requests]
    most = connections or 1000
    driver = Driver(host, port, wires, most=most, timeout=timeout, retries=retries)
    cpu = time.process_time()
    _run(driver.closed_loop(most, seconds) if arrivals is None else driver.open_loop(arrivals))
    cpu = time.process_time() - cpu
    replies = [driver.replies[number] for number in sorted(driver.replies)]
    took = max((reply.done for reply in replies), default=0.0)
    judged = [_judged(reply, oracle, fine) for reply in replies]
    return Report(judged, took, cpu, driver.opened, driver.retried)


def _run(work: Any) -> None:
    try:
        import uvloop
    except ModuleNotFoundError:
        asyncio.run(work)
    else:
        uvloop.run(work)


def _judged(reply: Reply, oracle: Oracle | None, fine: Sequence[int]) -> Reply:
    fault = reply.fault or ("" if reply.status in fine else f"status {reply.status}")
    if not fault and oracle is not None and reply.status == 200:
        fault = oracle(reply)
    if not fault:
        return reply
    return replace(reply, fault=fault)


def main(given: Sequence[str]) -> int:
    """The command line; exit status 1 when a request failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.lqbench", description="Load a service with requests.")
    parser.add_argument("url", help="where each row is sent, http://host:port/path")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines, one row each, sent in turn")
    parser.add_argument("--rate", type=float, help="requests a second, in an open loop")
    parser.add_argument("--arrivals", choices=("poisson", "fixed"), default="poisson", help="when they are due")
    parser.add_argument("--connections", type=int, help="without --rate: requests in flight, in a closed loop")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=TIMEOUT)
    parser.add_argument("--key", help="sent as a bearer token")
    parser.add_argument("--answers", type=Path, help="JSON: {version: [prediction of each row]}, checked")
    asked = parser.parse_args(given)
    if (asked.rate is None) == (asked.connections is None):
        parser.error("give one of --rate (open loop) and --connections (closed loop)")
    headers = {"Authorization": f"Bearer {asked.key}"} if asked.key else {}
    path = urlsplit(asked.url).path or "/"
    rows = [json.loads(line) for line in asked.rows.read_text("utf-8").splitlines() if line.strip()]
    requests = [Request(path, json.dumps({"row": row}).encode(), headers) for row in rows]
    arrivals = None
    if asked.rate is not None:
        arrivals = (
            fixed(asked.rate, asked.seconds)
            if asked.arrivals == "fixed"
            else poisson(asked.rate, asked.seconds, asked.seed)
        )
    oracle = expects(json.loads(asked.answers.read_text("utf-8"))) if asked.answers else None
    limits = {"connections": asked.connections, "seconds": asked.seconds, "timeout": asked.timeout}
    report = load(asked.url, requests, arrivals=arrivals, oracle=oracle, **limits)
    sys.stdout.write(json.dumps(report.summary(), indent=2) + "\n")
    return 1 if len(report.good) < len(report.replies) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
