"""Other people's protocols, tried with other people's clients: tritonclient, curl and plain requests."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lingqu.tasks import find_task

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def triton(live: int) -> Any:
    import tritonclient.http as http

    with http.InferenceServerClient(f"127.0.0.1:{live}") as made:
        yield made


def texts(count: int = 4) -> tuple[list[str], list[str]]:
    rows = find_task("text-classification").toy(count, seed=11)
    return rows["text"], rows["label"]


def test_triton_asks_for_health_and_metadata(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("topics")
    assert triton.is_model_ready("topics", "1")
    assert not triton.is_model_ready("nothing")
    assert triton.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    told = triton.get_model_metadata("houses")
    assert told["versions"] == ["1"]
    assert told["platform"] == "lingqu_onnxv1"
    assert told["inputs"] == [
        {"name": "rooms", "datatype": "FP64", "shape": [-1]},
        {"name": "town", "datatype": "BYTES", "shape": [-1]},
    ]
    assert [output["name"] for output in told["outputs"]] == ["prediction", "low", "high"]
    assert {model["name"] for model in triton.get_model_repository_index()} >= {"topics", "houses"}


@pytest.mark.parametrize("binary", [True, False])
def test_triton_sends_text_as_bytes_and_as_json(triton: Any, binary: bool) -> None:
    import tritonclient.http as http

    asked, right = texts()
    given = http.InferInput("text", [len(asked)], "BYTES")
    given.set_data_from_numpy(np.array([text.encode() for text in asked], object), binary_data=binary)
    wanted = [http.InferRequestedOutput(name, binary_data=binary) for name in ("prediction", "confidence", "scores")]
    result = triton.infer("topics", [given], outputs=wanted, request_id="mine-7", model_version="1")
    assert result.get_response()["id"] == "mine-7"
    predicted = [value.decode() if isinstance(value, bytes) else value for value in result.as_numpy("prediction")]
    assert predicted == right
    scores = result.as_numpy("scores")
    assert scores.shape == (4, 2)
    np.testing.assert_allclose(scores.max(1), result.as_numpy("confidence"))


@pytest.mark.parametrize("kind", ["FP64", "FP32", "INT64", "UINT8"])
def test_triton_sends_numbers_of_any_type(triton: Any, client: httpx.Client, kind: str) -> None:
    import tritonclient.http as http
    from tritonclient.utils import triton_to_np_dtype

    rooms = http.InferInput("rooms", [3, 1], kind)
    rooms.set_data_from_numpy(np.array([[2], [5], [9]], triton_to_np_dtype(kind)))
    town = http.InferInput("town", [3], "BYTES")
    town.set_data_from_numpy(np.array(["Guilin", "Xing'an", "桂林"], object))
    result = triton.infer("houses", [town, rooms])
    body = {"rows": [{"rooms": n, "town": t} for n, t in ((2, "Guilin"), (5, "Xing'an"), (9, "桂林"))]}
    told = client.post("/v1/models/houses/predict", json=body).json()["predictions"]
    assert result.as_numpy("prediction").tolist() == [answer["prediction"] for answer in told]
    assert result.as_numpy("high").dtype == np.float64


def test_triton_sends_a_picture(triton: Any) -> None:
    import tritonclient.http as http

    pictures = find_task("image-classification").toy(2, seed=4)["image"]
    given = http.InferInput("image", [2], "BYTES")
    given.set_data_from_numpy(np.array(pictures, object))
    assert triton.infer("digits", [given]).as_numpy("prediction").tolist() == [b"across", b"down"]


def test_triton_is_told_what_is_wrong(triton: Any) -> None:
    import tritonclient.http as http
    from tritonclient.utils import InferenceServerException

    given = http.InferInput("txt", [1], "BYTES")
    given.set_data_from_numpy(np.array(["a"], object))
    with pytest.raises(InferenceServerException) as refused:
        triton.infer("topics", [given])
    assert refused.value.status() == "400"
    assert refused.value.message() == (
        "inputs: Expected each input of the model once, found 'txt'. Did you mean 'text'?"
    )
    with pytest.raises(InferenceServerException, match="Expected a model that is served here, found 'topic'"):
        triton.infer("topic", [given])


def test_v2_refuses_a_row_by_name(client: httpx.Client) -> None:
    tensors = [
        {"name": "rooms", "shape": [2], "datatype": "FP64", "data": [3.0, 1e6]},
        {"name": "town", "shape": [2], "datatype": "BYTES", "data": ["Guilin", "Guilin"]},
    ]
    refused = client.post("/v2/models/houses/infer", json={"inputs": tensors})
    assert refused.status_code == 400
    assert refused.json() == {
        "error": "row 1: Expected 'rooms' between -79 and 89, found 1e+06. Training rows held 1 to 9."
    }


BAD: dict[str, Any] = {
    "no inputs": {},
    "inputs no list": {"inputs": {}},
    "no name": {"inputs": [{}]},
    "datatype": {"inputs": [{"name": "text", "shape": [1], "datatype": "TEXT", "data": ["a"]}]},
    "shape": {"inputs": [{"name": "text", "shape": [1, 2], "datatype": "BYTES", "data": ["a"]}]},
    "negative": {"inputs": [{"name": "text", "shape": [-1], "datatype": "BYTES", "data": ["a"]}]},
    "too many": {"inputs": [{"name": "text", "shape": [10**9], "datatype": "BYTES", "data": ["a"]}]},
    "too few": {"inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a"]}]},
    "nested": {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [["a", "b"]]}]},
    "wrong type": {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [1]}]},
    "no data": {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES"}]},
    "twice": {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}] * 2},
    "bytes that are not there": {
        "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 9}}]
    },
    "id": {"id": 7, "inputs": []},
    "parameters": {"parameters": [], "inputs": []},
    "unknown output": {
        "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}],
        "outputs": [{"name": "x"}],
    },
    "outputs no list": {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}], "outputs": 3},
}


_TENSORS = 'Send [{"name": …, "shape": [rows], "datatype": …, "data": [value, …]}, …].'
_COLUMNS = "Send each column as a tensor of its own."
_VALUES = "Send such values, or name another datatype."
ADVICE = {
    "no inputs": _TENSORS,
    "inputs no list": _TENSORS,
    "no name": _TENSORS,
    "datatype": "INT64, INT8, UINT16, UINT32, UINT64, UINT8.",
    "shape": _COLUMNS,
    "negative": _COLUMNS,
    "too many": "Send several requests, none of them empty.",
    "too few": "Let the shape and the values agree.",
    "nested": _VALUES,
    "wrong type": _VALUES,
    "no data": "Send them in a list, or behind the JSON.",
    "twice": "found 'text'. Send it once.",
    "bytes that are not there": "Give the bytes of this tensor, and no 'data' beside them.",
    "id": 'Send {"inputs": [tensor, …]}; the id may be left out.',
    "parameters": "Leave them out.",
    "unknown output": "Known: confidence, prediction, scores.",
    "outputs no list": 'Send [{"name": …}, …], or leave it out.',
}


@pytest.mark.parametrize("case", BAD)
def test_v2_refuses_what_is_no_request(client: httpx.Client, case: str) -> None:
    refused = client.post("/v2/models/topics/infer", json=BAD[case])
    assert refused.status_code == 400
    assert list(refused.json()) == ["error"]
    assert "Expected" in refused.json()["error"]
    assert refused.json()["error"].endswith(ADVICE[case])


@pytest.mark.parametrize("length", ["-1", "x", "99999", "1e3", "4"])
def test_v2_refuses_a_lying_header_length(client: httpx.Client, length: str) -> None:
    headers = {"inference-header-content-length": length, "content-type": "application/octet-stream"}
    assert client.post("/v2/models/topics/infer", content=b'{"inputs":[]}', headers=headers).status_code == 400


def test_tensorflow_serving_by_rows_and_by_columns(client: httpx.Client) -> None:
    asked, right = texts(2)
    coded = [{"b64": base64.b64encode(text.encode()).decode()} for text in asked]
    bodies: list[Any] = [
        {"instances": asked},
        {"instances": [{"text": text} for text in asked]},
        {"instances": coded, "signature_name": "serving_default"},
        {"instances": [{"text": code} for code in coded]},
    ]
    for path in ("/v1/models/topics", "/v1/models/topics/versions/1", "/v1/models/topics/labels/champion"):
        for body in bodies:
            told = client.post(f"{path}:predict", json=body).json()
            assert [answer["prediction"] for answer in told["predictions"]] == right
    for body in ({"inputs": asked}, {"inputs": {"text": asked}}, {"inputs": {"text": [[text] for text in asked]}}):
        told = client.post("/v1/models/topics:predict", json=body).json()
        assert told["outputs"]["prediction"] == right
    assert client.post("/v1/models/houses:predict", json={"instances": [[3, "Guilin"]]}).status_code == 200
    for body in ({}, {"instances": [], "inputs": []}, {"instances": []}, {"instances": [1]}, {"inputs": {}}):
        refused = client.post("/v1/models/topics:predict", json=body)
        assert (refused.status_code, list(refused.json())) == (400, ["error"])
    assert client.post("/v1/models/topics/labels/nobody:predict", json={"instances": asked}).status_code == 404


def test_tensorflow_serving_tells_states_and_signature(client: httpx.Client) -> None:
    state = client.get("/v1/models/houses/versions/1").json()["model_version_status"][0]
    assert (state["version"], state["state"]) == ("1", "AVAILABLE")
    told = client.get("/v1/models/houses/metadata").json()["metadata"]["signature_def"]["signature_def"]
    inputs = told["serving_default"]["inputs"]
    assert {name: tensor["dtype"] for name, tensor in inputs.items()} == {"rooms": "DT_DOUBLE", "town": "DT_STRING"}


def test_mlflow_in_all_its_forms(client: httpx.Client) -> None:
    url = "/invocations?model=houses"
    row = {"rooms": 3, "town": "Guilin"}
    forms: list[dict[str, Any]] = [
        {"dataframe_split": {"index": [0], "columns": ["town", "rooms"], "data": [["Guilin", 3]]}},
        {"dataframe_records": [row]},
        {"instances": [row]},
        {"inputs": {name: [value] for name, value in row.items()}, "params": {"a": 1}},
    ]
    given = [client.post(url, json=form) for form in forms]
    csv = client.post(url, content=b"rooms,town,other\n3,Guilin,7\n", headers={"content-type": "text/csv"})
    answers = [answer.json()["predictions"] for answer in [*given, csv]]
    assert answers == [answers[0]] * 5
    assert set(answers[0][0]) == {"prediction", "low", "high"}
    assert client.post("/invocations", json=forms[0]).json() == {
        "error": "Expected ?model= in the address, found none. Known: topics, tags, digits, credit, houses."
    }
    for wrong in ({}, {**forms[0], **forms[1]}, {"dataframe_split": {"columns": ["a", "a"], "data": []}}):
        assert client.post(url, json=wrong).status_code == 400
    assert client.get("/ping").text == "\n"
    assert client.get("/version").text.count(".") == 2


def test_curl_sends_a_file_and_a_row(live: int, tmp_path: Any) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(find_task("image-classification").toy(1)["image"][0])
    url = f"http://127.0.0.1:{live}/v1/models"
    ways = [
        ["-F", f"image=@{picture}", f"{url}/digits/predict"],
        ["-H", "Content-Type: image/png", "--data-binary", f"@{picture}", f"{url}/digits/predict"],
        ["-H", "Transfer-Encoding: chunked", "-H", "Content-Type: image/png", "-T", str(picture), "-X", "POST",
         f"{url}/digits/predict"],
    ]  # fmt: skip
    for way in ways:
        done = subprocess.run(["curl", "-sf", *way], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["predictions"][0]["prediction"] == "across"
