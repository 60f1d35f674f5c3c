"""Measure the service beside its peers and write docs/results/serving.md.

    python -m tools.serving [PART …] [--rounds 5] [--seconds 5] [--work FOLDER]

Parts: noop (what a request costs), encoder (MiniLM beside FastAPI, torch and transformers and beside LitServe: requests
a second, cold start, memory), ngrams (the cheap route), swap (versions changed under load, and taken back). Services of
a part take turns within each round, so that whatever else the machine does meets all of them; medians are shown. The
client runs on the same machine and its cost is told. A part that was run replaces its own rows of the page at once, and
what each round found stays in serving.json beside it; a part that fails is told, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from lingqu.store import write_bytes
from tools.circumstances import ROOT, circumstances
from tools.connections import Reply, Request
from tools.lqbench import Oracle, Report, expects, fixed, load, poisson
from tools.servers import Kind, Running, serving
from tools.serving_models import ENCODER, NGRAMS, classifier, noop, registered, second_version, texts, write_head
from tools.serving_page import Row, met, page, row, shown

KEPT = ROOT / "docs" / "results" / "serving.json"
PAGE = ROOT / "docs" / "results" / "serving.md"
LIMIT = 0.1
"""Seconds within which 99 of 100 answers must come."""
PROBES = 5
SURE = 0.75
STEADY_RATE = 200.0
"""Requests a second at which latencies with and without the journal are compared."""
SWAP_REQUESTS, SWAPS, SWAP_RATE = 10_000, 20, 500.0
Numbers = dict[str, float]
Measured = tuple[list[Row], dict[str, list[Numbers]]]
"""The rows of a part, and what each round found of each service."""


def ours(model: str, reference: str, *options: str, name: str = "lingqu") -> Kind:
    """`lingqu serve`, as it comes."""
    command = ["-m", "lingqu", "serve", reference, "--port", "PORT", *options]
    return Kind(name, command, f"/v1/models/{model}/predict")


def peer(module: str, *options: str) -> Kind:
    """A peer of tools/peers."""
    return Kind(module, ["-m", f"tools.peers.{module}", "PORT", *options], "/predict")


def ask_texts(kind: Kind, count: int = 400) -> list[Request]:
    """Texts of Zipf lengths, none of which was trained on."""
    return [Request(kind.path, json.dumps({"row": {"text": text}}).encode()) for text, _ in texts(count, seed=99)]


def own_answers(running: Running, requests: Sequence[Request]) -> list[tuple[str, float]]:
    """What the service says of each request when it is asked alone."""
    report = load(running.url, requests, arrivals=fixed(1e6, len(requests) / 1e6), connections=1)
    if report.faults:
        raise RuntimeError(f"{running.path}: {report.faults}")
    found = [json.loads(reply.body)["predictions"][0] for reply in report.replies]
    return [(one["prediction"], one["confidence"]) for one in found]


def same_as(alone: Sequence[tuple[str, float]]) -> Oracle:
    """An answer under load must be the one given alone, wherever that one was sure."""

    def oracle(reply: Reply) -> str:
        label, confidence = alone[reply.number % len(alone)]
        found = json.loads(reply.body)["predictions"][0]["prediction"]
        return "" if found == label or confidence < SURE else f"{found!r} under load, {label!r} alone"

    return oracle


def capacity(
    running: Running, requests: Sequence[Request], oracle: Oracle, seconds: float
) -> tuple[float, Report, float]:
    """The most requests a second, in an open loop of many independent users, with every answer right and p99 within LIMIT.

    What a closed loop of eight reaches bounds the search, which halves what is left PROBES times. Given are that rate,
    its report, and the milliseconds of processor time that a request took the service then.
    """
    low, high = 0.0, 1.1 * load(running.url, requests, connections=8, seconds=min(2.0, seconds)).rate
    best: tuple[Report, float] | None = None
    found: Report | None = None
    for probe in range(PROBES):
        rate = (low + high) / 2
        before = running.cpu()
        found = load(running.url, requests, arrivals=poisson(rate, seconds, probe), oracle=oracle)
        if not found.faults and found.latency(0.99) <= LIMIT:
            low, best = rate, (found, cpu_ms(running, before, found))
        else:
            high = rate
    if best is None:
        raise RuntimeError(f"no rate at which {running.path} answers within {LIMIT} s: {found and found.summary()}")
    return low, *best


def in_turns(kinds: Sequence[Kind], rounds: int, measure: Callable[[Kind], Numbers]) -> dict[str, list[Numbers]]:
    """What `measure` finds of each service, round by round, all of them in each round.

    A round that fails is told and left out for that service; RuntimeError when none of a service's succeeded.
    """
    found: dict[str, list[Numbers]] = {kind.name: [] for kind in kinds}
    for number in range(rounds):
        for kind in kinds:
            try:
                found[kind.name].append(measure(kind))
            except (RuntimeError, OSError, ValueError, LookupError) as error:
                sys.stderr.write(f"round {number + 1} of {kind.name} failed: {error}\n")
            else:
                sys.stderr.write(f"round {number + 1} of {kind.name}: {found[kind.name][-1]}\n")
            sys.stderr.flush()
    for name, numbers in found.items():
        if not numbers:
            raise RuntimeError(f"every round of {name} failed")
    return found


def middle(numbers: Sequence[Numbers], what: str) -> float:
    """The median over rounds of one number."""
    return median(one[what] for one in numbers)


def cpu_ms(running: Running, before: float, report: Report) -> float:
    """Milliseconds of processor time that the service's processes took for each request of a load."""
    return 1000 * (running.cpu() - before) / max(1, len(report.replies))


def measure_noop(work: Path, rounds: int, seconds: float) -> Measured:
    """What a request costs beside the model: a network that does nothing, and FastAPI that has none."""
    folder = noop(work / "noop")
    bare = ours("noop", str(folder), name="from a folder")
    full = ours("noop", "noop", "--home", str(registered(work / "noop-store", folder)), name="with keys and journal")
    theirs = peer("fastapi_noop")

    def measure(kind: Kind) -> Numbers:
        asked = [Request(kind.path, b'{"row": {"x": 17.0}}')]
        with serving(kind, asked[0]) as running:
            load(running.url, asked, connections=4, seconds=1)
            before = running.cpu()
            most = load(running.url, asked, connections=16, seconds=seconds)
            cpu = cpu_ms(running, before, most)
            alone = load(running.url, asked, connections=1, seconds=seconds / 2)
            steady = load(running.url, asked, arrivals=poisson(STEADY_RATE, seconds, 0))
            if most.faults or alone.faults or steady.faults:
                raise RuntimeError(f"faults: {most.faults or alone.faults or steady.faults}")
            p50, p99 = (1000 * steady.latency(q) for q in (0.5, 0.99))
            return {"rate": most.rate, "alone": 1000 * alone.latency(0.5), "cpu": cpu, "p50": p50, "p99": p99}

    found = in_turns([bare, full, theirs], rounds, measure)
    usual = {what: middle(found[theirs.name], what) for what in ("rate", "alone", "cpu")}
    peers, rows = "FastAPI without a model", []
    for kind in (bare, full):
        rate, alone, cpu = (middle(found[kind.name], what) for what in ("rate", "alone", "cpu"))
        what = f"a model that does nothing, {kind.name}"
        rows += [
            row(
                f"{what}: requests/s", rate, peer=peers, theirs=usual["rate"], ratio=rate / usual["rate"], goal=">= 0.8"
            ),
            row(
                f"{what}: alone, median ms",
                alone,
                peer=peers,
                theirs=usual["alone"],
                ratio=alone - usual["alone"],
                goal="<= 1 ms more",
            ),
            row(f"{what}: CPU ms a request", cpu, peer=peers, theirs=usual["cpu"], ratio=usual["cpu"] / cpu),
        ]
    for what, q in (("median", "p50"), ("p99", "p99")):
        mine, less = middle(found[full.name], q), middle(found[bare.name], q)
        text = f"{STEADY_RATE:.0f} requests/s with keys and journal: {what}, ms"
        rows.append(row(text, mine, peer="the same without", theirs=less, ratio=mine - less))
    return rows, found


def measure_encoder(work: Path, rounds: int, seconds: float) -> Measured:
    """MiniLM in int8 beside the same network in torch: requests a second, cold start, memory, agreement."""
    model = classifier(work / "encoder", "encoder", ENCODER)
    head = str(write_head(model))
    mine, torch, _ = kinds = [
        ours("encoder", str(model.bundle)),
        peer("fastapi_transformer", head),
        peer("litserve_transformer", head),
    ]
    answers: dict[str, list[tuple[str, float]]] = {}
    found = in_turns(kinds, rounds, lambda kind: under_load(kind, seconds, answers))
    both = list(zip(answers[mine.name], answers[torch.name], strict=True))
    agreed = sum(a[0] == b[0] for a, b in both) / len(both)
    mid = {
        kind.name: {what: middle(found[kind.name], what) for what in ("rate", "ready", "memory", "cpu", "client")}
        for kind in kinds
    }
    ours_, fast, lit = (mid[kind.name] for kind in kinds)
    what, cost = "MiniLM, 4 to 128 tokens, requests/s at p99 <= 100 ms", "MiniLM, CPU ms a request at that rate"
    peers = "FastAPI + torch + transformers"
    both_peers = ((peers, fast, ">= 4 (6 is the aim)"), ("LitServe, batches of 16", lit, ">= 1.5 (2.5 is the aim)"))
    rates = [
        row(what, ours_["rate"], peer=name, theirs=one["rate"], ratio=ours_["rate"] / one["rate"], goal=goal)
        for name, one, goal in both_peers
    ]
    costs = [
        row(cost, ours_["cpu"], peer=name, theirs=one["cpu"], ratio=one["cpu"] / ours_["cpu"])
        for name, one, _ in both_peers
    ]
    return [
        *rates,
        *costs,
        row(
            "cold start to the first answer, s",
            ours_["ready"],
            peer=peers,
            theirs=fast["ready"],
            ratio=fast["ready"] / ours_["ready"],
            goal=">= 10",
        ),
        row("memory with MiniLM after the load, MB", ours_["memory"], peer=peers, theirs=fast["memory"], goal="<= 250"),
        row("labels as the network in float32 gives them", agreed, peer=peers, theirs=1.0, goal=">= 0.995"),
        row("the client's share of one core at that rate", ours_["client"]),
    ], found


def under_load(kind: Kind, seconds: float, answers: dict[str, list[tuple[str, float]]]) -> Numbers:
    """One service from its start to the most that it bears; what it says of each text goes into `answers`."""
    requests = ask_texts(kind)
    with serving(kind, requests[0]) as running:
        answers[kind.name] = alone = own_answers(running, requests)
        rate, report, cpu = capacity(running, requests, same_as(alone), seconds)
        client = report.client_cpu / report.seconds
        return {"rate": rate, "ready": running.ready, "memory": running.memory(), "cpu": cpu, "client": client}


def measure_ngrams(work: Path, rounds: int, seconds: float) -> Measured:
    """The cheap route beside the transformer that a team would otherwise serve."""
    head = str(write_head(classifier(work / "encoder", "encoder", ENCODER)))
    model = classifier(work / "ngrams", "ngrams", NGRAMS)
    kinds = [ours("ngrams", str(model.bundle)), peer("fastapi_transformer", head)]
    found = in_turns(kinds, rounds, lambda kind: under_load(kind, seconds, {}))
    (mine, cpu), (theirs, usual) = (
        (middle(found[kind.name], "rate"), middle(found[kind.name], "cpu")) for kind in kinds
    )
    what, peers = "n-grams, the same texts, requests/s at p99 <= 100 ms", "FastAPI + torch + transformers"
    return [
        row(what, mine, peer=peers, theirs=theirs, ratio=mine / theirs, goal=">= 40"),
        row("n-grams, CPU ms a request at that rate", cpu, peer=peers, theirs=usual, ratio=usual / cpu),
    ], found


def measure_swap(work: Path, rounds: int, seconds: float) -> Measured:
    """10,000 requests while the champion changes 20 times, and how soon a rollback is everywhere."""
    from lingqu.bundle.read import Bundle
    from lingqu.registry import Registry
    from lingqu.store import Store

    model = second_version(classifier(work / "swap", "swap", NGRAMS))
    store = Store.open(model.folder / ".lingqu")
    registry = Registry(store)
    kind = ours("swap", "swap", "--home", str(model.folder / ".lingqu"))
    requests = ask_texts(kind)
    given = [json.loads(request.body)["row"] for request in requests]
    says = {
        str(number): [answer.cells()["prediction"] for answer in Bundle.open(folder).predict(given)]
        for number in (1, 2)
        for folder in [store.folder_path(registry.get(f"swap@{number}").bundle)]
    }
    total, changes = SWAP_REQUESTS, SWAPS
    registry.promote("swap", 1, who="serving", why="a measurement")
    with serving(kind, requests[0]) as running:
        # Well below what the service bears, so that a failure is the swap's and not the load's.
        rate = min(SWAP_RATE, load(running.url, requests, connections=4, seconds=2).rate / 4)

        def change(at: float, work: Callable[[], Any]) -> threading.Timer:
            timer = threading.Timer(at, work)
            timer.start()
            return timer

        timers = [
            change(
                (1 + swap) * total / rate / (changes + 1),
                lambda number=2 - swap % 2: registry.promote("swap", number, who="serving", why="a measurement"),
            )
            for swap in range(changes)
        ]
        found = load(running.url, requests, arrivals=fixed(rate, total / rate), oracle=expects(says))
        for timer in timers:
            timer.join()
        backs = [rollback_seconds(running, registry, requests) for _ in range(rounds)]
    switches = sum(
        one.header("x-model-version") != other.header("x-model-version") for one, other in pairwise(found.good)
    )
    failed = len(found.replies) - len(found.good)
    return [
        row(f"failed of {total:,} requests while the champion changed {changes} times", failed, goal="0"),
        row("changes of version that the client saw", switches, goal=f">= {changes}"),
        row("their number a second", rate),
        row("their median, ms", 1000 * found.latency(0.5)),
        row("their p99, ms", 1000 * found.latency(0.99)),
        row("rollback until the last answer of the old version, s", median(backs), goal="< 1"),
    ], {"rollback": [{"seconds": one} for one in backs]}


def rollback_seconds(running: Running, registry: Any, requests: Sequence[Request]) -> float:
    """How long after `rollback` began an answer of the version that was taken back was still asked for and given."""
    before = str(registry.get("swap@champion").number)
    moment: list[float] = []
    start = time.perf_counter()

    def back() -> None:
        moment.append(time.perf_counter() - start)
        registry.rollback("swap", who="serving", why="a measurement")

    timer = threading.Timer(0.5, back)
    timer.start()
    found = load(running.url, requests, arrivals=fixed(100, 2.5))
    timer.join()
    late = [reply.sent for reply in found.replies if reply.header("x-model-version") == before]
    if found.faults or len(late) == len(found.replies):
        raise RuntimeError(f"the rollback did not arrive: {found.summary()}")
    return max(late) - moment[0]


PARTS = {"noop": measure_noop, "encoder": measure_encoder, "ngrams": measure_ngrams, "swap": measure_swap}


def main(given: Sequence[str]) -> int:
    """Run parts and bring the page up to date."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.serving", description="Measure the service beside its peers."
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all when none is named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each probe")
    parser.add_argument("--work", type=Path, help="keep trained models here for the next time")
    parser.add_argument("--dry", action="store_true", help="print the rows and leave the page as it is")
    asked = parser.parse_args(given)
    # A measurement that is told to stop takes its servers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        work = (asked.work or Path(scratch)).resolve()
        for part in asked.parts or PARTS:
            try:
                found = measured(part, work, asked.rounds, asked.seconds)
            except Exception:  # hours of the other parts are not lost with this one
                failed.append(part)
                traceback.print_exc()
                continue
            for one in found["rows"]:
                cells = f"{shown(one['lingqu'])} | {one['peer']} {shown(one['theirs'])} | {shown(one['ratio'])}"
                sys.stdout.write(f"{one['what']}: {cells} | {met(one)}\n")
            sys.stdout.flush()
            if not asked.dry:
                parts = json.loads(KEPT.read_text()) if KEPT.exists() else {}
                parts[part] = found
                write_bytes(KEPT, json.dumps(parts, indent=1).encode())
                write_bytes(PAGE, page(parts, list(PARTS)).encode())
    if failed:
        sys.stderr.write(f"Failed: {', '.join(failed)}.\n")
    return 1 if failed else 0


def measured(part: str, work: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """A part of the page: its rows, what each round found, and under which circumstances."""
    around = circumstances()
    rows, each = PARTS[part](work, rounds, seconds)
    return {"rows": rows, "rounds": rounds, "seconds": seconds, "around": around, "each": each}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
