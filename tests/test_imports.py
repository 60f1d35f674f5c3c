"""What is imported when: the price of `import lingqu` and `lingqu --help`, and the layers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "torch", "sklearn", "scipy", "lightgbm", "pyarrow", "onnx", "pandas", "transformers", "polars", "matplotlib",
    "datasketch", "safetensors",
}  # fmt: skip
LIGHT = HEAVY | {"numpy", "pydantic", "sqlalchemy", "onnxruntime", "rich", "yaml", "tokenizers", "PIL"}


def imported(code: str) -> set[str]:
    """The top packages that are loaded after this code, in a fresh interpreter."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1].split())


def fastest(*command: str) -> float:
    """The fewest processor seconds of three runs, which do not grow with whoever else uses the machine."""
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run(command, capture_output=True, check=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(seconds)


def test_import_lingqu_costs_next_to_nothing() -> None:
    assert not imported("import lingqu") & LIGHT
    code = "import sys, time; t = time.process_time(); import lingqu; sys.exit(time.process_time() - t > 0.05)"
    assert any(subprocess.run([sys.executable, "-c", code], check=False).returncode == 0 for _ in range(5))


def test_help_is_instant() -> None:
    assert fastest(sys.executable, "-m", "lingqu", "--help") < 0.3


MODULES = (
    "loop", "stages", "spec", "spec.read", "store", "registry", "data.version", "data.look", "data.fronts", "tasks",
    "metrics", "train.ladder", "bundle.files", "evaluate.trial", "evaluate.page", "evaluate.terminal", "cli.journey",
    "cli.records", "cli.status", "monitor", "cli.start", "cli.demo", "cli.doctor", "cli.serve", "serve.worker", "serve.service", "serve.app", "serve.listener",
)  # fmt: skip


@pytest.mark.heavy
def test_what_serves_imports_nothing_of_training() -> None:
    lines = "; ".join(f"import lingqu.{module}" for module in MODULES)
    assert not imported(lines) & HEAVY


def test_reading_a_bundle_needs_four_packages_and_a_worker_nothing_of_http_until_then() -> None:
    code = "import lingqu.serve.worker, lingqu.serve.reference; from lingqu.tasks import find_task; find_task('text-classification')"
    found = imported(code)
    assert {"lingqu", "numpy", "onnxruntime"} <= found
    assert not found & (HEAVY | {"pydantic", "sqlalchemy", "yaml", "rich", "packaging"})
    # What is imported before a model is loaded, the first answer waits for.
    assert not found & {"asyncio", "uvicorn", "prometheus_client"}


def test_no_two_test_files_of_plain_folders_have_one_name() -> None:
    """pytest would take the second for the first, and collect neither."""
    plain = [path for path in Path(__file__).parent.rglob("test_*.py") if not (path.parent / "__init__.py").exists()]
    assert sorted(path.name for path in plain) == sorted({path.name for path in plain})
