"""TensorFlow Serving's REST interface, which KServe calls v1: `:predict`, the state of versions, and metadata.

Source: tensorflow.org/tfx/serving/api_rest. `instances` are rows, `inputs` columns; never both. A bare value stands for
the only column of a model. `{"b64": "…"}` holds bytes. A label is an alias: champion, challenger, previous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lingqu.contract import Refusal, Rows
from lingqu.errors import DataError, Problem, UnknownNameError, near
from lingqu.serve.answers import told
from lingqu.serve.ask import ask
from lingqu.serve.call import Call
from lingqu.serve.probing import as_json
from lingqu.serve.response import Response
from lingqu.serve.rest import refused
from lingqu.serve.rows import Limits, found, read_rows
from lingqu.serve.v2 import REFUSED, outputs_of

SIGNATURE = "serving_default"


async def predict(call: Call) -> Response:
    """Answers to `instances` as `predictions`, or to `inputs` as `outputs`."""
    name, version = call.params["name"], call.params.get("version")
    bundle = call.service.engine(name).bundle(version)
    given = await call.json()
    by_rows, rows = read_request(given, bundle.manifest["columns"])
    asked = await ask(call, name, rows, version=version, needed=len(rows))
    answers = answers_of(asked.reply.answers, "instances" if by_rows else "inputs")
    if by_rows:
        return as_json({"predictions": answers}, headers=asked.headers())
    columns = {cell: [answer[cell] for answer in answers] for cell in answers[0]}
    return as_json({"outputs": columns}, headers=asked.headers())


def answers_of(answers: Sequence[Any], where: str) -> list[dict[str, Any]]:
    """Each answer as an object; DataError for the first row that is refused, for these protocols have no other way."""
    for place, answer in enumerate(answers):
        if isinstance(answer, Refusal):
            raise refused(answer, where=f"{where}[{place}]")
    return [told(answer) for answer in answers]


def read_request(given: Any, limits: Limits) -> tuple[bool, Rows]:
    """Whether the request has rows rather than columns, and its rows."""
    if not isinstance(given, dict) or ("instances" in given) == ("inputs" in given):
        advice = 'Send {"instances": [row, …]} or {"inputs": {column: [value, …]}}.'
        raise DataError(Problem("an object with either 'instances' or 'inputs'", "none or both of them", advice))
    signature = given.get("signature_name", SIGNATURE)
    if signature not in (SIGNATURE, ""):
        found_other, where = repr(signature)[:60], "signature_name"
        raise DataError(Problem(f"the signature '{SIGNATURE}'", found_other, "Leave it out.", where=where))
    if "instances" in given:
        return True, read_rows(as_rows(given["instances"], limits), limits, where="instances", closed=False)
    return False, read_rows(as_columns(given["inputs"], limits), limits, where="inputs", closed=False)


def as_rows(instances: Any, limits: Limits) -> Any:
    """Instances as objects: a bare value is that of the only column, a list one of all columns in order.

    >>> limits = [{"source": "text", "kind": "text"}]
    >>> as_rows(["a", {"text": "b"}, {"b64": "Yw=="}, ["d"]], limits)
    [{'text': 'a'}, {'text': 'b'}, {'text': {'b64': 'Yw=='}}, {'text': 'd'}]
    """
    if not isinstance(instances, list):
        return instances
    names = [limit["source"] for limit in limits]

    def as_row(value: Any) -> Any:
        if isinstance(value, dict) and not (len(names) == 1 and set(value) == {"b64"}):
            return value
        if isinstance(value, list):
            return dict(zip(names, value, strict=True)) if len(value) == len(names) else value
        return {names[0]: value} if len(names) == 1 else value

    return [as_row(value) for value in instances]


def as_columns(inputs: Any, limits: Limits) -> Any:
    """Columns as rows: {name: values}, or the values of the only column.

    >>> as_columns({"a": [1, 2], "b": ["x", "y"]}, [{"source": "a"}, {"source": "b"}])
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}]
    """
    if isinstance(inputs, Mapping) and not (len(limits) == 1 and set(inputs) == {"b64"}):
        lists = {name: values if isinstance(values, list) else [values] for name, values in inputs.items()}
        sizes = {len(values) for values in lists.values()}
        if len(sizes) != 1:
            advice = "Give each column one value for each row."
            raise DataError(Problem("as many values in every column", f"{sorted(sizes)[:10]}", advice, where="inputs"))
        return [{name: _alone(values[i]) for name, values in lists.items()} for i in range(sizes.pop())]
    if len(limits) != 1:
        advice = "Name the values by their column."
        raise DataError(Problem("an object {column: values}", found(inputs), advice, where="inputs"))
    return as_rows(inputs if isinstance(inputs, list) else [inputs], limits)


def _alone(value: Any) -> Any:
    """A value that stands alone in a list, as in a tensor of one column."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


async def status(call: Call) -> Response:
    """The state of the versions that are loaded or were refused, as TensorFlow Serving tells it."""
    engine = call.service.engine(call.params["name"])
    wanted = call.params.get("version")
    versions = engine.versions()
    # A version that could not be loaded has come to its end, says TensorFlow Serving.
    told = {
        True: {"state": "END", "status": {"error_code": "FAILED_PRECONDITION", "error_message": REFUSED}},
        False: {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}},
    }
    states = [
        {"version": served.version, **told[state == "refused"]}
        for served, aliases, state in versions
        if wanted is None or wanted == served.version or wanted in aliases
    ]
    if not states:
        known = [
            name for served, aliases, state in versions if state != "refused" for name in (served.version, *aliases)
        ]
        advice = near(str(wanted), known, say="Loaded: {}.")
        raise UnknownNameError(Problem(f"a version of {engine.name} that is loaded", repr(wanted), advice))
    return as_json({"model_version_status": states})


async def metadata(call: Call) -> Response:
    """What a model takes and gives, as a signature of TensorFlow Serving."""
    engine = call.service.engine(call.params["name"])
    bundle = engine.bundle()
    inputs = {
        limit["source"]: _tensor("DT_DOUBLE" if limit["kind"] == "number" else "DT_STRING", [-1], limit["source"])
        for limit in bundle.manifest["columns"]
    }
    outputs = {
        tensor["name"]: _tensor(
            "DT_STRING" if tensor["datatype"] == "BYTES" else "DT_DOUBLE", tensor["shape"], tensor["name"]
        )
        for tensor in outputs_of(bundle)
        if tensor["name"] != "scores"
    }
    signature = {"inputs": inputs, "outputs": outputs, "method_name": "tensorflow/serving/predict"}
    return as_json(
        {
            "model_spec": {"name": engine.name, "signature_name": "", "version": engine.current.version},
            "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
        }
    )


def _tensor(kind: str, shape: Sequence[int], name: str) -> dict[str, Any]:
    sizes = [{"size": str(size), "name": ""} for size in shape]
    return {"dtype": kind, "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": name}
