"""The description of the interface: true to what is answered (schemathesis), in two languages, with examples that work."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lingqu.data.accept import MOST_CHARACTERS
from lingqu.serve.why import MOST_EXPLAINED
from lingqu.serve.words import CHINESE
from tests.serve.conftest import NAMES
from tests.serve.process import running
from tests.serve.test_processes import resident

if TYPE_CHECKING:
    import httpx

CHECKED = ("topics", "tags", "credit", "houses")
"""Models, each served alone, whose schema can say all that they refuse; of a picture it cannot say that it is one."""


@pytest.mark.heavy
def test_every_example_in_it_works_when_posted(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    posted = 0
    for path, operations in paths.items():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                answer = client.post(path, json=example["value"])
                assert answer.status_code == 200, (path, answer.text)
                posted += 1
    assert posted == 2 * len(NAMES)


def described(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (node[key] for key in ("description", "summary") if isinstance(node.get(key), str))
        for value in node.values():
            yield from described(value)
    elif isinstance(node, list):
        for value in node:
            yield from described(value)


@pytest.mark.heavy
def test_each_field_is_described_and_in_chinese_too(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    for name in NAMES:
        content = document["paths"][f"/v1/models/{name}/predict"]["post"]["requestBody"]["content"]
        one, many = content["application/json"]["schema"]["oneOf"]
        for row in (one["properties"]["row"], many["properties"]["rows"]["items"]):
            assert all(column["description"] for column in row["properties"].values())
    chinese = client.get("/openapi.json?language=zh").json()
    for text in described(chinese):
        assert any("\u4e00" <= char <= "\u9fff" for char in text), text


def test_every_chinese_sentence_fills_in_the_same_names() -> None:
    import re

    for english, chinese in CHINESE.items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", chinese)), english


@pytest.fixture
def kept(model: str, bundles: dict[str, Path], tmp_path: Path) -> Iterator[int]:
    """The port of a service of one model that keeps its answers, so that feedback finds them."""
    from lingqu.serve.service import Service
    from lingqu.spec.running import ServeSettings
    from lingqu.store import Store
    from tests.serve.live import serving

    store = Store.open(tmp_path / ".lingqu")
    with serving(lambda: Service.load([bundles[model]], settings=ServeSettings(votes=100_000), store=store)) as (
        _,
        port,
    ):
        yield port


def schemathesis(port: int, tmp_path: Path, *arguments: str) -> None:
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"http://127.0.0.1:{port}/openapi.json",
        "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--suppress-health-check", "all",
        "--no-color", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3000, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Stateful" in done.stdout
    assert "❌" not in done.stdout


@pytest.mark.heavy
@pytest.mark.parametrize("model", ["houses"])
def test_a_stranger_finds_no_fault_in_a_few_cases(kept: int, tmp_path: Path) -> None:
    schemathesis(kept, tmp_path, "-n", "3", "--seed", "1")


@pytest.mark.slow
@pytest.mark.parametrize("model", CHECKED)
def test_a_stranger_finds_no_fault_in_a_thousand_cases_an_operation(
    model: str, bundles: dict[str, Path], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with running(tmp_path / ".lingqu", str(bundles[model]), spec="{votes: 100000}") as service:
        port, (worker,) = int(service.url.rsplit(":", 1)[1]), service.workers()
        schemathesis(port, tmp_path, "-n", "30", "--seed", "1")
        # The longest texts that the schema allows take their room once; a case in a thousand is one of them.
        if model in ("topics", "tags"):
            with client_of(service.url) as asked:
                for verb, most in [("predict", MOST_CHARACTERS), ("explain", MOST_EXPLAINED)] * 8:
                    text = "".join(map(chr, random.choices(range(0x4E00, 0x9FFF), k=most)))
                    assert asked.post(f"/v1/models/{model}/{verb}", json={"row": {"text": text}}).status_code == 200
        before = resident(worker)
        schemathesis(port, tmp_path, "-n", "1000", "--seed", "6")
        grown = resident(worker) / before - 1
    record_property("measured", f"memory {100 * grown:+.1f} %")
    assert grown < 0.05


def client_of(url: str) -> httpx.Client:
    import httpx

    return httpx.Client(base_url=url, timeout=60)
