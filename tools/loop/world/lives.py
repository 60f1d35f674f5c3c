"""The lives of all policies in all worlds: each is lived once, kept as a line, and not lived again.

A line counts as long as the files that it rests on are as they were: lives under two rules are never told together.
"""

from __future__ import annotations

import ast
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lingqu.store import write_bytes
from tools.circumstances import ROOT
from tools.loop.record import runs
from tools.loop.world.play import POLICIES, lived
from tools.loop.world.policies import Policy
from tools.loop.world.products import PRODUCTS, product
from tools.loop.world.stream import ACTIVE, World

SEEDS, EQUAL_SEEDS = 50, 10
"""Seeds of the worlds whose hostile users send more than others, and of those where they send as much."""
LINES = ROOT / "docs" / "results" / "world.jsonl"
RULES = (
    *(
        f"src/lingqu/feedback/{name}.py"
        for name in ("influence", "paired", "rollout", "round", "rules", "suspects", "trigger", "trust")
    ),
    "src/lingqu/evaluate/gate.py",
    "src/lingqu/monitor/audit.py",
    "src/lingqu/monitor/risk.py",
    "src/lingqu/registry/alpha.py",
    "src/lingqu/statistics/sequential_sign.py",
    *(f"tools/loop/world/{name}.py" for name in ("head", "play", "policies", "products", "stream", "unseen")),
)
"""The files on which a life rests."""


def rules() -> str:
    """What those files do, as twelve digits; their comments and lines are no part of it."""
    code = [ast.unparse(ast.parse((ROOT / file).read_bytes())) for file in RULES]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()[:12]


def wanted() -> Iterator[tuple[str, int, float]]:
    """Product, seed and how active the hostile are, so that the first of these are a fair part of the whole."""
    for seed in range(SEEDS):
        yield from ((name, seed, ACTIVE) for name in PRODUCTS)
        if seed % (SEEDS // EQUAL_SEEDS) == 0:
            yield from ((name, seed, 1.0) for name in PRODUCTS)


def lives(
    data: Path,
    seconds: float,
    *,
    file: Path = LINES,
    which: Iterable[tuple[str, int, float]] | None = None,
    policies: Mapping[str, type[Policy]] = POLICIES,
) -> list[dict[str, Any]]:
    """Every life that is known after so many seconds of living those that were not."""
    lines, now = file.read_text("utf-8").splitlines() if file.is_file() else [], rules()
    known = [one for one in map(json.loads, lines) if one["rules"] == now]
    done, until = {(one["product"], one["seed"], one["active"]) for one in known}, time.monotonic() + seconds
    held = {}
    for name, seed, active in wanted() if which is None else which:
        if (name, seed, active) in done:
            continue
        if time.monotonic() > until:
            break
        if name not in held:
            held[name] = product(name, data)
        known.append(_told(World.drawn(held[name], seed, active), policies) | {"active": active, "rules": now})
        write_bytes(file, "".join(json.dumps(one) + "\n" for one in known).encode())
    for one in known:
        for told in one["policies"].values():
            told["accuracy"] = [value for count, value in told["accuracy"] for _ in range(count)]
    return known


def _told(world: World, policies: Mapping[str, type[Policy]]) -> dict[str, Any]:
    began = time.process_time()
    found = {name: lived(world, kind) for name, kind in policies.items()}
    return {
        "product": world.product.name,
        "seed": world.seed,
        "policies": {
            name: {
                "accuracy": runs([round(float(one), 4) for one in life.accuracy]),
                "after": round(life.after, 5),
                "promotions": [[at, round(gain, 4), round(p, 6)] for at, gain, p in life.promotions],
                "bad": life.bad,
            }
            for name, life in found.items()
        },
        "cpu_seconds": round(time.process_time() - began, 1),
    }
