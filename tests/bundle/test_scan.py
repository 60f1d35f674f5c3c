"""HARDENING X4: forty ONNX files that lead elsewhere, or claim what no machine holds; none of them opens anything."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lingqu.bundle.read import Bundle
from lingqu.bundle.scan import refuse_outside
from lingqu.errors import BundleError
from tests.bundle.conftest import Make, graph
from tests.clock import fewest_seconds

PLACES = [
    "/etc/passwd", "../secret", "a/../../secret", "sub/../../../secret", "link", "hard", "./link", "file:///etc/passwd",
    "*/_ORT_MEM_ADDR_/*", "", "model.onnx", "..\\secret", "/proc/self/environ", "/dev/zero", "secret\0.bin", "..%2fsecret", "\\\\host\\share",
]  # fmt: skip


def outside(place: str, *, name: str = "w", flag: bool = True, key: str = "location", **more: str) -> TensorProto:
    """A tensor of four numbers that says where they are."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1, 4])
    if flag:
        tensor.data_location = TensorProto.EXTERNAL
    for one, value in {key: place, "offset": "0", "length": "16", **more}.items():
        tensor.external_data.add(key=one, value=value)
    return tensor


def model(*nodes: onnx.NodeProto, tensors: tuple[TensorProto, ...] = (), **parts: object) -> onnx.ModelProto:
    made = helper.make_graph(
        list(nodes) or [helper.make_node("Identity", ["numbers"], ["logits"])],
        "g",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", None])],
        initializer=list(tensors),
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10, **parts)


def branch(inner: onnx.GraphProto) -> onnx.NodeProto:
    return helper.make_node("If", ["yes"], ["logits"], then_branch=inner, else_branch=inner)


def hidden() -> Iterator[tuple[str, onnx.ModelProto]]:
    """The same tensor wherever a model may keep one."""
    tensor = outside("secret")
    constant = helper.make_node("Constant", [], ["logits"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    yield "in an attribute", model(constant)
    several = helper.make_node("Constant", [], ["logits"])
    several.attribute.add(name="values", type=onnx.AttributeProto.TENSORS).tensors.append(tensor)
    yield "in a list of an attribute", model(several)
    inner = helper.make_graph([constant], "inner", [], [])
    yield "in a branch", model(branch(inner))
    yield "in a branch of a branch", model(branch(helper.make_graph([branch(inner)], "outer", [], [])))
    listed = helper.make_node("Scan", ["numbers"], ["logits"])
    listed.attribute.add(name="bodies", type=onnx.AttributeProto.GRAPHS).graphs.append(inner)
    yield "in a list of graphs", model(listed)
    for part in ("values", "indices"):
        sparse = model()
        getattr(sparse.graph.sparse_initializer.add(), part).CopyFrom(tensor)
        yield f"as the {part} of a sparse tensor", sparse
    thin = helper.make_node("Constant", [], ["logits"])
    thin.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.values.CopyFrom(
        tensor
    )
    yield "in a sparse attribute", model(thin)
    function = helper.make_function("", "F", [], ["y"], [constant], [helper.make_opsetid("", 18)])
    yield "in a function", model(functions=[function])
    default = helper.make_function("", "F", [], ["y"], [], [helper.make_opsetid("", 18)])
    default.attribute_proto.append(constant.attribute[0])
    yield "as a default of a function", model(functions=[default])
    trained = model()
    trained.training_info.add().initialization.initializer.append(tensor)
    yield "in a part for training", trained


def evil() -> dict[str, bytes]:
    """Each bad file under a name that says what is bad about it."""
    made = {f"at {place!r}": model(tensors=(outside(place),)) for place in PLACES}
    made |= dict(hidden())
    made["without the flag"] = model(tensors=(outside("secret", flag=False),))
    flagged = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    made["the flag alone"] = model(tensors=(flagged,))
    made["with keys of attributes"] = model(tensors=(outside("secret", key="__class__", location="secret"),))
    made["beside its numbers"] = model(tensors=(outside("secret", name="w", raw_data="x"),))
    for dims in ([1 << 40], [1 << 20, 1 << 20], [-1], [1 << 62, 1 << 62]):
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims)
        made[f"of {dims} numbers"] = model(tensors=(tensor,))
    for domain in ("com.microsoft", "evil.so", "org.pytorch.aten", "ai.onnx.contrib"):
        made[f"an operator of {domain}"] = model(helper.make_node("Run", ["numbers"], ["logits"], domain=domain))
    deep = helper.make_graph([], "leaf", [], [])
    for _ in range(20):
        # One branch only: with two the file would double twenty times.
        deep = helper.make_graph([helper.make_node("If", ["yes"], ["logits"], then_branch=deep)], "deeper", [], [])
    made["deeper than deep"] = model(helper.make_node("If", ["yes"], ["logits"], then_branch=deep))
    return {name: one.SerializeToString() for name, one in made.items()}


EVIL = evil()
FOUND = re.compile(
    "a tensor in another file|a tensor of more than 2,147,483,648 numbers|a part for training|an operator of '.*'|"
    "parts nested more than 32 deep"
)


def test_there_are_forty() -> None:
    assert len(EVIL) >= 40


@pytest.mark.parametrize("name", EVIL)
def test_each_is_refused_before_anything_is_opened(name: str) -> None:
    with pytest.raises(BundleError) as refused:
        refuse_outside(EVIL[name], "bundle/model.onnx")

    def again() -> None:
        with pytest.raises(BundleError):
            refuse_outside(EVIL[name], "bundle/model.onnx")

    assert fewest_seconds(again, enough=0.1) < 0.1
    (problem,) = refused.value.problems
    assert (problem.expected, problem.next) == ("a model that is whole in bundle/model.onnx", "Do not use this bundle.")
    assert FOUND.fullmatch(problem.found)


def test_a_bundle_that_leads_elsewhere_is_not_opened(make: Make) -> None:
    folder = make().path
    swap(folder, EVIL["at '../secret'"])
    with pytest.raises(BundleError) as refused:
        Bundle.open(folder)
    assert str(refused.value) == (
        "Expected a model that is whole in bundle/model.onnx, found a tensor in another file. Do not use this bundle."
    )


def test_good_models_pass_however_they_spell_their_numbers() -> None:
    numbers = numpy_helper.from_array(np.arange(4, dtype=np.float32).reshape(1, 4), "w")
    listed = helper.make_tensor("v", TensorProto.FLOAT, [2, 2], [1.0, 2.0, 3.0, 4.0])
    node = helper.make_node("TreeEnsembleRegressor", ["numbers"], ["logits"], domain="ai.onnx.ml")
    node.attribute.extend(
        [
            helper.make_attribute("nodes_treeids", [0, 1, 300, -1, 1 << 40] * 1000),
            helper.make_attribute("nodes_values", [0.5, -1.0, 13.625] * 1000),
            helper.make_attribute("nodes_modes", ["LEAF", "BRANCH_LEQ"] * 1000),
        ]
    )
    refuse_outside(graph(), "model.onnx")
    refuse_outside(model(node, tensors=(numbers, listed)).SerializeToString(), "model.onnx")


def test_what_comes_after_many_numbers_is_seen_too() -> None:
    """The numbers of a forest are stepped over at once; a tensor behind or between them is not."""
    node = helper.make_node("Constant", [], ["logits"])
    attribute = node.attribute.add(name="value", ints=[1, 1 << 35, 8] * 500, floats=[0.25] * 500)
    attribute.t.CopyFrom(outside("secret"))
    data = model(node).SerializeToString()
    with pytest.raises(BundleError):
        refuse_outside(data, "model.onnx")
    spelled = attribute.SerializeToString()
    fields = onnx.AttributeProto(ints=[7] * 50).SerializeToString()
    whole = spelled + fields + onnx.AttributeProto(t=outside("secret")).SerializeToString() + fields
    wrapped = onnx.NodeProto(op_type="Constant").SerializeToString() + b"\x2a" + length(whole) + whole
    inner = b"\x0a" + length(wrapped) + wrapped
    with pytest.raises(BundleError, match="a tensor in another file"):
        refuse_outside(b"\x3a" + length(inner) + inner, "model.onnx")


def length(data: bytes) -> bytes:
    """How long it is, as protobuf writes it."""
    count, out = len(data), b""
    while count > 0x7F:
        out, count = out + bytes([count & 0x7F | 0x80]), count >> 7
    return out + bytes([count])


def test_an_lstm_of_eight_bits_is_the_only_operator_beside_the_standard() -> None:
    """And not when the bytes name it twice, once as something else."""
    node = helper.make_node("DynamicQuantizeLSTM", ["numbers"], ["logits"], domain="com.microsoft")
    data = model(node).SerializeToString()
    refuse_outside(data, "m")
    twice = node.SerializeToString() + helper.make_node("PythonOp", [], []).SerializeToString()
    graph = b"\x0a" + bytes([len(twice)]) + twice
    with pytest.raises(BundleError, match=r"found an operator of 'com\.microsoft'\."):
        refuse_outside(b"\x3a" + bytes([len(graph)]) + graph, "m")


def test_damaged_bytes_end_in_a_sentence() -> None:
    draw, whole = np.random.default_rng(0), EVIL["in a branch"]
    told = set()
    for _ in range(300):
        spoiled = bytearray(whole)
        for place in draw.integers(0, len(whole), 3):
            spoiled[place] = draw.integers(256)
        try:
            refuse_outside(bytes(spoiled[: draw.integers(len(whole))]), "m")
        except BundleError as error:
            told.add(str(error))
    assert "Expected an ONNX model in m, found bytes that are no protobuf. Export the bundle again." in told


def test_a_hundred_thousand_numbers_cost_next_to_nothing() -> None:
    node = helper.make_node("TreeEnsembleRegressor", ["numbers"], ["logits"], domain="ai.onnx.ml")
    node.attribute.append(helper.make_attribute("nodes_treeids", list(range(100_000))))
    data = model(node).SerializeToString()
    assert fewest_seconds(lambda: refuse_outside(data, "m"), enough=0.05) < 0.05


def swap(folder: Path, data: bytes) -> None:
    (folder / "model.onnx").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


CHILD = """
import sys
from pathlib import Path
from lingqu.bundle.read import Bundle
from lingqu.errors import BundleError
refused = 0
assert Bundle.open(sys.argv[1]).predict([{"x": 1.0}])
Path(sys.argv[2], "begin").touch()
for folder in sorted(Path(sys.argv[2]).glob("bundle-*")):
    try:
        Bundle.open(folder).predict([{"x": 1.0}])
    except BundleError:
        refused += 1
print(refused)
"""


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_forty_bundles_open_nothing_outside_their_folder(make: Make, tmp_path: Path) -> None:
    good = make().path
    (tmp_path / "secret").write_bytes(b"\0" * 64)
    for number, data in enumerate(EVIL.values()):
        folder = shutil.copytree(good, tmp_path / f"bundle-{number:02}")
        (folder / "link").symlink_to(tmp_path / "secret")
        os.link(tmp_path / "secret", folder / "hard")
        swap(folder, data)
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,creat", "-o", str(trace)]
    done = subprocess.run(
        [*command, sys.executable, "-c", CHILD, str(good), str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30)),
    )
    assert (done.returncode, done.stdout) == (0, f"{len(EVIL)}\n"), done.stderr
    lines = trace.read_text(errors="replace").split('begin"')[-1].splitlines()[1:]
    opened = {found[1] for line in lines if (found := re.search(r'"([^"]*)"', line))}
    allowed = re.compile(rf"{re.escape(str(tmp_path))}(/bundle-\d\d(/(manifest\.json|model\.onnx|encoding\.json))?)?")
    assert {name for name in opened if not allowed.fullmatch(name)} == set()
    assert len(opened) > 2 * len(EVIL)
