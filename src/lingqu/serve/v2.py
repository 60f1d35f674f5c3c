"""The Open Inference Protocol, version 2: metadata, health and answers, with the binary extension.

Source: the KServe specification (docs.kserve.io, "Open Inference Protocol V2") and Triton's `binary_tensor_data`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from lingqu import __version__
from lingqu.contract import Answer, Refusal, Rows
from lingqu.errors import DataError, Problem, ProtocolError, near
from lingqu.serve import probes
from lingqu.serve.ask import Asked, ask
from lingqu.serve.body import read_json
from lingqu.serve.call import Call, unread
from lingqu.serve.probing import again, as_json
from lingqu.serve.response import Response
from lingqu.serve.rest import refused
from lingqu.serve.rows import BINARY, MOST_ROWS, decoded
from lingqu.serve.v2_tensors import read_tensor, write_raw

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

JSON_LENGTH = "inference-header-content-length"
OCTETS = "application/octet-stream"
PLATFORM = "lingqu_onnxv1"
REFUSED = "The service refuses this version; its log says why."
"""Why it does so may tell of files, and of a version that nobody was to see."""

Tensor = dict[str, Any]


async def server(call: Call) -> Response:
    """What speaks here."""
    return as_json({"name": "lingqu", "version": __version__, "extensions": ["binary_tensor_data"]})


async def live(call: Call) -> Response:
    """Whether the process lives."""
    status, _ = probes.live()
    return as_json({"live": True}, status)


async def ready(call: Call) -> Response:
    """Whether requests are answered."""
    status, _ = probes.ready(call.service.state, call.service.stuck)
    return as_json({"live": True, "ready": status == 200}, status, again(status))


async def models(call: Call) -> Response:
    """The names of the models."""
    return as_json({"models": list(call.service.engines)})


async def index(call: Call) -> Response:
    """Every version that is loaded or was refused, as the repository extension lists them."""
    body = await call.body()
    if body.strip():
        read_json(body)
    return as_json(
        [
            {
                "name": engine.name,
                "version": served.version,
                "state": "UNAVAILABLE" if state == "refused" else "READY",
                "reason": REFUSED if state == "refused" else "",
            }
            for engine in call.service.engines.values()
            for served, _, state in engine.versions()
        ]
    )


async def model(call: Call) -> Response:
    """The tensors that a model takes and gives."""
    engine = call.service.engine(call.params["name"])
    bundle = engine.bundle(call.params.get("version"))
    loaded = [served.version for served, _, state in engine.versions() if state != "refused"]
    return as_json(
        {
            "name": engine.name,
            "versions": list(dict.fromkeys(loaded)),
            "platform": PLATFORM,
            "inputs": [
                {"name": limit["source"], "datatype": datatype(limit["kind"]), "shape": [-1]}
                for limit in bundle.manifest["columns"]
            ],
            "outputs": outputs_of(bundle),
        }
    )


async def model_ready(call: Call) -> Response:
    """Whether a version of a model answers."""
    engine = call.service.engine(call.params["name"])
    engine.bundle(call.params.get("version"))
    status, _ = probes.ready(call.service.state, call.service.stuck)
    return as_json({"name": engine.name, "ready": status == 200}, status, again(status))


def datatype(kind: str) -> str:
    """The datatype of a column's kind.

    >>> datatype("number"), datatype("text")
    ('FP64', 'BYTES')
    """
    return "FP64" if kind == "number" else "BYTES"


def outputs_of(bundle: Bundle) -> list[Tensor]:
    """The tensors that a bundle gives: its answer's cells, and the scores of its labels if it has any."""
    if bundle.manifest["answer"] == "number-value":
        return [{"name": name, "datatype": "FP64", "shape": [-1]} for name in ("prediction", "low", "high")]
    labels = bundle.memory.get("labels", [])
    given = [
        {"name": "prediction", "datatype": "BYTES", "shape": [-1]},
        {"name": "confidence", "datatype": "FP64", "shape": [-1]},
    ]
    scores = {"name": "scores", "datatype": "FP64", "shape": [-1, len(labels)], "parameters": {"labels": labels}}
    return [*given, scores] if labels else given


async def infer(call: Call) -> Response:
    """Answers to tensors of one row or many."""
    name, version = call.params["name"], call.params.get("version")
    bundle = call.service.engine(name).bundle(version)
    request, behind = await _read(call)
    rows = _rows(request, behind, bundle)
    wanted = _wanted(request, bundle)
    asked = await ask(call, name, rows, version=version, seconds=_timeout(request), needed=len(rows))
    for place, answer in enumerate(asked.reply.answers):
        if isinstance(answer, Refusal):
            raise refused(answer, where=f"row {place}")
    return _write(call, request, asked, wanted, bundle)


async def _read(call: Call) -> tuple[dict[str, Any], bytes]:
    """The JSON of a request, and what stands behind it."""
    if call.media_type not in ("application/json", OCTETS):
        raise unread(call.media_type, f"application/json or {OCTETS}")
    body = await call.body()
    given = call.headers.get(JSON_LENGTH)
    length = len(body)
    if given is not None:
        if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given) <= len(body)):
            found = f"{given[:20]!r} with a body of {len(body):,} bytes"
            advice = "Give the bytes of the JSON, or leave the header out."
            raise ProtocolError(Problem(f"{JSON_LENGTH} within the body", found, advice), status=400)
        length = int(given)
    request = read_json(body[:length])
    identity = request.get("id", "") if isinstance(request, dict) else None
    if not isinstance(request, dict) or not isinstance(identity, str) or len(identity) > 1000:
        advice = 'Send {"inputs": [tensor, …]}; the id may be left out.'
        raise DataError(Problem("an object with 'inputs' and a text as 'id'", "something else", advice))
    parameters = request.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        raise DataError(Problem("an object", "something else", "Leave them out.", where="parameters"))
    return request, body[length:]


def _timeout(request: Mapping[str, Any]) -> float | None:
    """How many seconds the client gives; the protocol's own parameter is in microseconds."""
    micro = (request.get("parameters") or {}).get("timeout")
    return micro / 1e6 if isinstance(micro, int) and not isinstance(micro, bool) and micro > 0 else None


def _rows(request: Mapping[str, Any], behind: bytes, bundle: Bundle) -> Rows:
    tensors = request.get("inputs")
    if not isinstance(tensors, list) or not all(
        isinstance(x, dict) and isinstance(x.get("name"), str) for x in tensors
    ):
        advice = 'Send [{"name": …, "shape": [rows], "datatype": …, "data": [value, …]}, …].'
        raise DataError(Problem("a list of tensors, each with a name", "something else", advice, where="inputs"))
    limits = {limit["source"]: limit for limit in bundle.manifest["columns"]}
    roles = {limit["name"]: limit["source"] for limit in bundle.manifest["columns"]}
    columns: dict[str, list[Any]] = {}
    place = 0
    for tensor in tensors:
        source = tensor["name"] if tensor["name"] in limits else roles.get(tensor["name"])
        if source is None or source in columns:
            advice = "Send it once." if source else near(tensor["name"], limits)
            raise DataError(Problem("each input of the model once", repr(tensor["name"][:60]), advice, where="inputs"))
        raw, place = _behind(tensor, behind, place)
        columns[source] = [_value(value, limits[source]["kind"], source) for value in read_tensor(tensor, raw)]
    if place != len(behind):
        advice = "Let the binary_data_size of all inputs add up to what is sent."
        raise DataError(Problem(f"{place:,} bytes behind the JSON", f"{len(behind):,}", advice, where="inputs"))
    if len({len(values) for values in columns.values()}) != 1:
        advice = "Give each input one value for each row."
        raise DataError(Problem("as many rows in every input", "different numbers of them", advice, where="inputs"))
    lacking = [name for name, limit in limits.items() if name not in columns and not limit["missing"]]
    if lacking:
        found = ", ".join(columns)
        raise DataError(
            Problem(f"an input '{name}'", found, near(name, columns, say="Add it."), where="inputs") for name in lacking
        )
    return Rows(columns)


def _behind(tensor: Tensor, behind: bytes, place: int) -> tuple[bytes | None, int]:
    """The bytes of a tensor behind the JSON, None when it has none there, and where the next one begins."""
    parameters = tensor.get("parameters") or {}
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return None, place
    if type(size) is not int or not 0 <= size <= len(behind) - place or "data" in tensor:
        found = f"{size!r} with {len(behind) - place:,} left"[:80]
        advice = "Give the bytes of this tensor, and no 'data' beside them."
        where = f"inputs.{tensor['name'][:60]}"
        raise DataError(Problem("a binary_data_size of what is sent", found, advice, where=where))
    return behind[place : place + size], place + size


def _value(value: Any, kind: str, source: str) -> Any:
    """A tensor's element as the bundle takes it: bytes of pictures stay bytes, all others are text."""
    if isinstance(value, str) and kind in BINARY:
        return decoded(value, kind, f"inputs.{source}")
    if not isinstance(value, bytes) or kind in BINARY:
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise DataError(
            Problem("text in UTF-8", "other bytes", "Encode it as UTF-8.", where=f"inputs.{source}")
        ) from None


def _wanted(request: Mapping[str, Any], bundle: Bundle) -> list[tuple[str, bool]]:
    """The outputs to give and whether as bytes; all but the scores unless the request names them."""
    known = [tensor["name"] for tensor in outputs_of(bundle)]
    binary = bool((request.get("parameters") or {}).get("binary_data_output", False))
    given = request.get("outputs")
    if given is None or given == []:
        return [(name, binary) for name in known if name != "scores"]
    if not isinstance(given, list) or not all(isinstance(x, dict) and isinstance(x.get("name"), str) for x in given):
        advice = 'Send [{"name": …}, …], or leave it out.'
        raise DataError(Problem("a list of outputs, each with a name", "something else", advice, where="outputs"))
    unknown = [tensor["name"] for tensor in given if tensor["name"] not in known]
    if unknown or len(given) > MOST_ROWS:
        name = unknown[0] if unknown else "too many"
        raise DataError(Problem("an output of the model", repr(name[:60]), near(name, known), where="outputs"))
    return [(tensor["name"], _as_bytes(tensor, binary)) for tensor in given]


def _as_bytes(tensor: Tensor, otherwise: bool) -> bool:
    parameters = tensor.get("parameters")
    return bool(parameters.get("binary_data", otherwise)) if isinstance(parameters, dict) else otherwise


def _write(
    call: Call, request: Mapping[str, Any], asked: Asked, wanted: Sequence[tuple[str, bool]], bundle: Bundle
) -> Response:
    known = {tensor["name"]: tensor for tensor in outputs_of(bundle)}
    tensors: list[Tensor] = []
    behind: list[bytes] = []
    for name, binary in wanted:
        values = _values(asked.reply.answers, name, bundle)
        shape = [len(asked.reply.answers), *known[name]["shape"][1:]]
        tensor: Tensor = {"name": name, "datatype": known[name]["datatype"], "shape": shape}
        parameters = dict(known[name].get("parameters", {}))
        if binary:
            behind.append(write_raw(values, tensor["datatype"]))
            parameters["binary_data_size"] = len(behind[-1])
        else:
            tensor["data"] = values
        tensors.append({**tensor, "parameters": parameters} if parameters else tensor)
    served = asked.reply.version
    told = {
        "model_name": served.name,
        "model_version": served.version,
        "id": request.get("id") or call.id,
        "outputs": tensors,
    }
    body = orjson.dumps(told)
    headers = asked.headers()
    if not behind:
        return Response(body, headers=headers, media_type="application/json")
    headers[JSON_LENGTH] = str(len(body))
    return Response(body + b"".join(behind), headers=headers, media_type=OCTETS)


def _values(answers: Sequence[Answer], name: str, bundle: Bundle) -> list[Any]:
    """One output of all answers, row after row."""
    if name == "scores":
        labels = bundle.memory["labels"]
        return [getattr(answer, "scores", {}).get(label, 0.0) for answer in answers for label in labels]
    return [answer.cells()[name] for answer in answers]
