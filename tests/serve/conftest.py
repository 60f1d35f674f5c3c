"""Small bundles of every task, and a service that answers for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lingqu.spec.running import ServeSettings

NAMES = {
    "topics": "text-classification",
    "tags": "multi-label-text-classification",
    "digits": "image-classification",
    "credit": "tabular-classification",
    "houses": "tabular-regression",
}


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle of every task, by the name that it is served under."""
    from tests.serve.models import make

    folder = tmp_path_factory.mktemp("bundles")
    return {name: make(task, folder / name, name).path for name, task in NAMES.items()}


@pytest.fixture(scope="session")
def live(bundles: dict[str, Path]) -> Iterator[int]:
    """The port of a service of all of them, without a store."""
    from lingqu.serve.service import Service
    from tests.serve.live import serving

    with serving(lambda: Service.load(bundles.values(), settings=ServeSettings())) as (_, port):
        yield port


@pytest.fixture(scope="session")
def client(live: int) -> Iterator[Any]:
    """An HTTP client of somebody else's, connected to that service."""
    import httpx

    # Certificates would take it longer to read than all tests together.
    with httpx.Client(base_url=f"http://127.0.0.1:{live}", verify=False) as made:
        yield made
