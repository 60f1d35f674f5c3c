"""Measure the service beside its peers and write docs/results/serving.md.

    python -m tools.serving [PART …] [--rounds 5] [--seconds 5] [--work FOLDER]

Parts: noop (what a request costs), encoder (MiniLM beside FastAPI, torch and transformers and beside LitServe: requests
a second, cold start, memory), ngrams (the cheap route), swap (versions changed under load, and taken back). Services of
a part take turns within each round, so that whatever else the machine does meets all of them; medians are shown. The
client runs on the same machine and its cost is told. A part that is run replaces its own rows of the page.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
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
from tools.serving_models import ENCODER, NGRAMS, classifier, noop, second_version, texts, write_head

KEPT = ROOT / "docs" / "results" / "serving.json"
PAGE = ROOT / "docs" / "results" / "serving.md"
LIMIT = 0.1
"""Seconds within which 99 of 100 answers must come."""
PROBES = 5
WARM = 200
SURE = 0.75
SWAP_REQUESTS, SWAPS, SWAP_RATE = 10_000, 20, 500.0
Row = dict[str, Any]


def ours(name: str, model: str, *options: str) -> Kind:
    """`lingqu serve`, as it comes."""
    command = ["-m", "lingqu", "serve", model, "--port", "PORT", *options]
    return Kind("lingqu", command, f"/v1/models/{name}/predict")


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


def capacity(running: Running, requests: Sequence[Request], oracle: Oracle, seconds: float) -> tuple[float, Report]:
    """The most requests a second, in an open loop of many independent users, with every answer right and p99 within LIMIT.

    What a closed loop of eight reaches bounds the search, which halves what is left PROBES times.
    """
    low, high = 0.0, 1.1 * load(running.url, requests, connections=8, seconds=min(2.0, seconds)).rate
    best: Report | None = None
    found: Report | None = None
    for probe in range(PROBES):
        rate = (low + high) / 2
        found = load(running.url, requests, arrivals=poisson(rate, seconds, probe), oracle=oracle)
        if not found.faults and found.latency(0.99) <= LIMIT:
            low, best = rate, found
        else:
            high = rate
    if best is None:
        raise RuntimeError(f"no rate at which {running.path} answers within {LIMIT} s: {found and found.summary()}")
    return low, best


def measure_noop(work: Path, rounds: int, seconds: float) -> list[Row]:
    """What a request costs beside the model: a network that does nothing, and FastAPI that has none."""
    kinds = [ours("noop", str(noop(work / "noop"))), peer("fastapi_noop")]
    rates: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    alone: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            asked = [Request(kind.path, b'{"row": {"x": 17.0}}')]
            with serving(kind, asked[0]) as running:
                load(running.url, asked, connections=4, seconds=1)
                full = load(running.url, asked, connections=16, seconds=seconds)
                rates[kind.name].append(0.0 if full.faults else full.rate)
                alone[kind.name].append(
                    1000 * load(running.url, asked, connections=1, seconds=seconds / 2).latency(0.5)
                )
    mine, theirs = (median(rates[kind.name]) for kind in kinds)
    quick, usual = (median(alone[kind.name]) for kind in kinds)
    bare = "FastAPI without a model"
    return [
        row(
            "a model that does nothing, requests/s", mine, peer=bare, theirs=theirs, ratio=mine / theirs, goal=">= 0.8"
        ),
        row("the same alone, median ms", quick, peer=bare, theirs=usual, ratio=quick - usual, goal="<= 1 ms more"),
    ]


def measure_encoder(work: Path, rounds: int, seconds: float) -> list[Row]:
    """MiniLM in int8 beside the same network in torch: requests a second, cold start, memory, agreement."""
    model = classifier(work / "encoder", "encoder", ENCODER)
    head = str(write_head(model))
    kinds = [
        ours("encoder", str(model.bundle)),
        peer("fastapi_transformer", head),
        peer("litserve_transformer", head),
    ]
    rates, ready, memory, answers = ({kind.name: [] for kind in kinds} for _ in range(4))
    last: dict[str, Report] = {}
    for _ in range(rounds):
        for kind in kinds:
            requests = ask_texts(kind)
            with serving(kind, requests[0]) as running:
                ready[kind.name].append(running.ready)
                answers[kind.name] = own_answers(running, requests)
                rate, last[kind.name] = capacity(running, requests, same_as(answers[kind.name]), seconds)
                rates[kind.name].append(rate)
                memory[kind.name].append(running.memory())
    mine, fast, lit = (kind.name for kind in kinds)
    agreed = sum(a[0] == b[0] for a, b in zip(answers[mine], answers[fast], strict=True)) / len(answers[mine])
    mid = {name: median(found) for name, found in rates.items()}
    what, torch = "MiniLM, 4 to 128 tokens, requests/s at p99 <= 100 ms", "FastAPI + torch + transformers"
    cold, usual = median(ready[mine]), median(ready[fast])
    best, weight, batches = last[mine], median(memory[mine]), "LitServe, batches of 16"
    return [
        row(what, mid[mine], peer=torch, theirs=mid[fast], ratio=mid[mine] / mid[fast], goal=">= 4 (6 is the aim)"),
        row(what, mid[mine], peer=batches, theirs=mid[lit], ratio=mid[mine] / mid[lit], goal=">= 1.5 (2.5 is the aim)"),
        row("cold start to the first answer, s", cold, peer=torch, theirs=usual, ratio=usual / cold, goal=">= 10"),
        row("memory with MiniLM after the load, MB", weight, peer=torch, theirs=median(memory[fast]), goal="<= 250"),
        row("labels as the network in float32 gives them", agreed, peer=torch, theirs=1.0, goal=">= 0.995"),
        row("the client's share of one core at that rate", best.client_cpu / best.seconds),
    ]


def measure_ngrams(work: Path, rounds: int, seconds: float) -> list[Row]:
    """The cheap route beside the transformer that a team would otherwise serve."""
    head = str(write_head(classifier(work / "encoder", "encoder", ENCODER)))
    model = classifier(work / "ngrams", "ngrams", NGRAMS)
    kinds = [ours("ngrams", str(model.bundle)), peer("fastapi_transformer", head)]
    rates: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            requests = ask_texts(kind)
            with serving(kind, requests[0]) as running:
                oracle = same_as(own_answers(running, requests))
                rates[kind.name].append(capacity(running, requests, oracle, seconds)[0])
    mine, theirs = (median(rates[kind.name]) for kind in kinds)
    what = "n-grams, the same texts, requests/s at p99 <= 100 ms"
    return [row(what, mine, peer="FastAPI + torch + transformers", theirs=theirs, ratio=mine / theirs, goal=">= 40")]


def measure_swap(work: Path, rounds: int, seconds: float) -> list[Row]:
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
    ]


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


def row(
    what: str, mine: float, *, peer: str = "", theirs: float | None = None, ratio: float | None = None, goal: str = ""
) -> Row:
    """One line of the page."""
    return {"what": what, "lingqu": mine, "peer": peer, "theirs": theirs, "ratio": ratio, "goal": goal}


def met(one: Row) -> str:
    """The goal and whether it was reached.

    >>> met(row("x", 4.0, ratio=2.0, goal=">= 4 (6 is the aim)")), met(row("x", 200.0, goal="<= 250"))
    ('>= 4 (6 is the aim) (missed)', '<= 250')
    """
    goal = one["goal"]
    if not goal:
        return ""
    value = one["lingqu"] if one["ratio"] is None else one["ratio"]
    sign, _, rest = goal.rpartition(" ") if " " not in goal else goal.partition(" ")
    limit = float(rest.split()[0])
    reached = {">=": value >= limit, "<=": value <= limit, "<": value < limit, "": value == limit}[sign]
    return goal if reached else f"{goal} (missed)"


def shown(value: float | None) -> str:
    """A number with as many digits as it deserves.

    >>> shown(0.01234), shown(123.4), shown(4321.2), shown(None), shown(0)
    ('0.0123', '123', '4,321', '', '0')
    """
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"


def page(parts: dict[str, Any]) -> str:
    """The page of all parts that were ever run."""
    lines = [
        "# The service, measured",
        "",
        "Written by `python -m tools.serving`: medians of rounds in which the services take turns, on one machine that also runs",
        "the client. Requests arrive as from many independent users (an open loop), each latency counts from the moment the",
        "request was due, and every answer is checked. Texts have 4 to 128 tokens by Zipf's law. The peers are in `tools/peers`:",
        "the same encoder and head in float32, one text at a time with all threads (FastAPI), or in batches (LitServe).",
        "",
        "| measure | lingqu | beside | its value | ratio or difference | goal |",
        "|---|---|---|---|---|---|",
    ]
    for part in PARTS:
        for one in parts.get(part, {}).get("rows", []):
            cells = [
                one["what"],
                shown(one["lingqu"]),
                one["peer"],
                shown(one["theirs"]),
                shown(one["ratio"]),
                met(one),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| part | rounds | seconds a probe | machine | load before | commit | date |",
        "|---|---|---|---|---|---|---|",
    ]
    for part, found in parts.items():
        around = found["around"]
        facts = [
            part,
            found["rounds"],
            found["seconds"],
            *(around[name] for name in ("machine", "load", "commit", "date")),
        ]
        lines.append(f"| {' | '.join(map(str, facts))} |")
    return "\n".join([*lines, "", "A + at a commit: the source held changes that were not committed yet."]) + "\n"


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
    parts = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for part in asked.parts or PARTS:
            around = circumstances()
            rows = PARTS[part]((asked.work or Path(scratch)).resolve(), asked.rounds, asked.seconds)
            parts[part] = {"rows": rows, "rounds": asked.rounds, "seconds": asked.seconds, "around": around}
            for one in rows:
                sys.stdout.write(
                    f"{one['what']}: {shown(one['lingqu'])} | {one['peer']} {shown(one['theirs'])} | {shown(one['ratio'])} | {met(one)}\n"
                )
            if not asked.dry:
                write_bytes(KEPT, json.dumps(parts, indent=1).encode())
                write_bytes(PAGE, page(parts).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
