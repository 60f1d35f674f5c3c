"""HARDENING X2: no line of the source unpickles, evaluates, or lets a library do so."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "lingqu"
FILES = sorted(SOURCE.rglob("*.py"))

# Modules that run what they read, and what would be called of others.
MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "jsonpickle", "commands", "pty"}
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.exec", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter", "np.fromregex", "numpy.fromregex", "pd.read_pickle",
    "pandas.read_pickle", "pandas.eval", "runpy.run_path", "runpy.run_module",
}  # fmt: skip
# A call that is safe with an argument of this value alone.
ONLY_WITH = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
}
# Arguments that no call may have with any other value.
NEVER = {
    "trust_remote_code": False,
    "allow_pickle": False,
    "shell": False,
    "use_safetensors": True,
    "weights_only": True,
}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def value(keyword: ast.keyword) -> object:
    return keyword.value.value if isinstance(keyword.value, ast.Constant) else "computed"


def unsafe(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and reason of everything that may run what it reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names if name.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield node.lineno, node.module or ""
        elif isinstance(node, ast.ImportFrom) and node.module == "torch":
            yield from ((node.lineno, "torch.load by another name") for name in node.names if name.name == "load")
        elif isinstance(node, ast.Call):
            called, given = dotted(node.func), {one.arg: value(one) for one in node.keywords if one.arg}
            if called in CALLS:
                yield node.lineno, called
            if called in ONLY_WITH and given.get(ONLY_WITH[called][0]) is not ONLY_WITH[called][1]:
                yield node.lineno, f"{called} without {ONLY_WITH[called][0]}={ONLY_WITH[called][1]}"
            for name, right in NEVER.items():
                if name in given and given[name] is not right:
                    yield node.lineno, f"{called} with {name}={given[name]}"


@pytest.mark.heavy
def test_no_line_of_the_source_runs_what_it_reads() -> None:
    assert len(FILES) > 100
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {why}"
        for path in FILES
        for line, why in unsafe(ast.parse(path.read_text("utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from joblib import load", "import dill as d", "torch.load(p)", "torch.load(p, weights_only=False)",
        "torch.load(p, weights_only=flag)", "from torch import load", "np.load(p)", "np.load(p, allow_pickle=True)", "eval(x)",
        "yaml.load(x)", "subprocess.run(x, shell=True)", "AutoModel.from_pretrained(x, trust_remote_code=True)",
        "AutoModel.from_pretrained(x, use_safetensors=False)", "os.system(x)",
    ],
)  # fmt: skip
def test_the_rule_bites(line: str) -> None:
    assert list(unsafe(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(p, weights_only=True)",
        "np.load(p, allow_pickle=False)",
        "json.load(f)",
        "re.compile(x)",
        "yaml.safe_load(x)",
    ],
)
def test_the_rule_leaves_the_rest(line: str) -> None:
    assert not list(unsafe(ast.parse(line)))
