"""The lives of all policies in all worlds: each is lived once, kept as a line, and not lived again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lingqu.store import write_bytes
from tools.loop.world.play import POLICIES, lived
from tools.loop.world.policies import Policy
from tools.loop.world.products import CACHE, PRODUCTS, product
from tools.loop.world.stream import ACTIVE, World

SEEDS, EQUAL_SEEDS = 50, 10
"""Seeds of the worlds whose hostile users send more than others, and of those where they send as much."""
LINES = CACHE / "lives.jsonl"


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
    known = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []
    done, until = {(one["product"], one["seed"], one["active"]) for one in known}, time.monotonic() + seconds
    held = {}
    for name, seed, active in wanted() if which is None else which:
        if (name, seed, active) in done:
            continue
        if time.monotonic() > until:
            break
        if name not in held:
            held[name] = product(name, data)
        known.append(_told(World.drawn(held[name], seed, active), policies) | {"active": active})
        write_bytes(file, "".join(json.dumps(one) + "\n" for one in known).encode())
    return known


def _told(world: World, policies: Mapping[str, type[Policy]]) -> dict[str, Any]:
    began = time.process_time()
    found = {name: lived(world, kind) for name, kind in policies.items()}
    return {
        "product": world.product.name,
        "seed": world.seed,
        "policies": {
            name: {
                "accuracy": [round(float(one), 4) for one in life.accuracy],
                "after": round(life.after, 5),
                "promotions": [[at, round(gain, 4), round(p, 6)] for at, gain, p in life.promotions],
                "bad": life.bad,
            }
            for name, life in found.items()
        },
        "cpu_seconds": round(time.process_time() - began, 1),
    }
