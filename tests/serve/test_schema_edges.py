"""The published schema and the service agree: at the edges of every constraint, and of every character that is blank."""

from __future__ import annotations

import http.client
import json
import math
import re
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from itertools import combinations_with_replacement
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lingqu.contract import Rows
from lingqu.data.values import MISSING, to_category, to_text, to_time
from lingqu.serve.patterns import NO_VALUE, SIGN
from lingqu.serve.schemas import tight
from lingqu.tasks import find_task

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.heavy

KINDS = ("label", "truth", "reward", "rating")
MODELS = ("topics", "tags", "credit", "houses", "reviews", "gaps")
"""One with a name of the user's own for its column, and one whose columns may be empty, beside one of each task."""

NUMBERS = [
    "1e3",
    "1e-05",
    "-1.5E+014",
    "1e15",
    "1e-9999",
    "0.1e-999",
    "12e3",
    "1" * 15 + "e-3",
    ".5",
    ".",
    "1e",
    "nan",
    "+.5e-1",
]

BLANKS = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]


def valid(schema: Any) -> Any:
    """A validator of somebody else's, with the regular expressions of ECMA 262."""
    import jsonschema_rs

    return jsonschema_rs.validator_for(schema).is_valid


def test_every_character_is_as_blank_in_the_schema_as_in_the_service() -> None:
    signs = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    some, none = valid({"type": "string", "pattern": SIGN}), valid({"type": "string", "pattern": NO_VALUE})
    assert [sign for sign in signs if some(sign) == sign.isspace()] == []
    assert [sign for sign in signs if none(sign) != (sign.strip().lower() in MISSING)] == []
    everything = "".join(signs)
    assert re.findall(SIGN.replace("[^", "["), everything) == BLANKS
    # No other letter is spelled as one of these when it is made small.
    letters = {char for word in MISSING for char in word}
    assert not any(sign.lower() in letters for sign in signs if not sign.isascii())
    for word in ("", *MISSING, "nana", "n a", "--", "\ufeff", "a\n"):
        for text in (word, word.upper(), f"{word}\n", *(f"{blank}{word.title()}{blank}" for blank in BLANKS)):
            assert none(text) == bool(re.search(NO_VALUE, text)) == (to_category(text) is None), text
            assert some(text) == bool(re.search(SIGN, text)) == (to_text(text) is not None), text


def test_a_long_text_of_blanks_costs_a_validator_no_more_than_another() -> None:
    """A validator that goes back, such as Python's or a browser's, would take minutes where two runs of blanks meet."""
    for pattern, fits in ((NO_VALUE, False), (SIGN, True)):
        began = time.process_time()
        assert bool(re.search(pattern, f"{' ' * 40_000}x")) == fits
        assert time.process_time() - began < 1


def test_no_moment_that_is_read_is_refused_by_the_schema() -> None:
    fits = valid(tight({"name": "at", "source": "at", "kind": "time", "missing": False}))
    for moment in ("2024-01-31", "2024/1/31", "2024-02-29T08:00+08:00", "874965758", 874965758, 1.5, "", "N/A", None):
        assert fits(moment) == (to_time(moment) is not None), moment


def patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (text for key, text in node.items() if key == "pattern" and isinstance(text, str))
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from patterns(part)


class Asked:
    """A service of some of the models, with a store, and its document."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.document = self.send("GET", "/openapi.json")[1]
        self._ids: list[str] = []

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        sent = None if body is None else json.dumps(body).encode()
        self._connection.request(method, path, sent, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        """Let go of the connection; the next request makes one."""
        self._connection.close()

    def schema(self, path: str) -> Any:
        return self.document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]

    def answered(self, name: str, row: Any) -> str:
        """The id of an answer that nobody has said anything of."""
        if not self._ids:
            told = self.send("POST", f"/v1/models/{name}/predict", {"rows": [row] * 200})[1]
            self._ids = [answer["id"] for answer in told["predictions"]]
        return self._ids.pop()


@pytest.fixture(scope="module")
def services(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Asked, Asked]]:
    """One of numbers alone, and one of all the others."""
    from lingqu.serve.service import Service
    from lingqu.spec.running import ServeSettings
    from lingqu.store import Store
    from tests.serve.live import serving
    from tests.serve.models import make

    folder = tmp_path_factory.mktemp("edges")
    rows = find_task("tabular-classification").toy(120)
    holes = {"job": [None, *rows["job"][1:]]}
    own = make("text-classification", folder / "reviews", "reviews", sources={"text": "review"})
    gaps = make(
        "tabular-classification", folder / "gaps", "gaps", rows=Rows({**{n: rows[n] for n in rows.names}, **holes})
    )
    others = [bundles[name] for name in MODELS if name in bundles and name != "houses"]
    settings = ServeSettings(votes=100_000)
    with ExitStack() as stack:
        ports = [
            stack.enter_context(
                serving(lambda paths=paths, place=place: Service.load(
                    paths, settings=settings, store=Store.open(folder / str(place))))
            )[1]
            for place, paths in enumerate(([bundles["houses"]], [*others, own.path, gaps.path]))
        ]  # fmt: skip
        made = Asked(ports[0]), Asked(ports[1])
        yield made
        for asked in made:
            asked.close()


def values(schema: Any) -> list[Any]:
    """What lies at the edges of a schema and one beyond, whatever kind it is of."""
    made: list[Any] = [None, True, 0, -1, 2, 1.5, 1e300, "", "a", "3", "N/A", " ?\u3000", "é", "\ufeff"]
    made += [[], [""], ["a"], ["a", "a"], [1], {}, {"b64": "YQ=="}]
    for key, edge in keywords(schema):
        match key:
            case "minimum" | "maximum":
                made += [edge, math.nextafter(edge, -math.inf), math.nextafter(edge, math.inf), edge - 1, edge + 1]
            case "maxLength":
                made += ["x" * edge, "x" * (edge + 1), "\U0001f600" * edge, ["x" * edge], ["x" * (edge + 1)]]
            case "maxItems":
                made += [["a"] * edge, ["a"] * (edge + 1)]
            case "enum":
                made += [*edge, f"{edge[0]}s"]
            case "pattern" if edge in (SIGN, NO_VALUE):
                made += BLANKS
            case "pattern":
                made += [
                    "a" * 64,
                    "a" * 65,
                    "a b",
                    "a.b-c_D9",
                    "a\n",
                    "Audit",
                    "FILE",
                    "filed",
                    "-12.5",
                    "1" * 15,
                    "1" * 16,
                    *NUMBERS,
                ]
    return made


def keywords(node: Any) -> Iterator[tuple[str, Any]]:
    """Every constraint of a schema, wherever it stands in it."""
    if isinstance(node, dict):
        yield from ((key, value) for key, value in node.items() if key not in ("examples", "required"))
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from keywords(part)


def bodies(
    schema: Any, good: dict[str, Any], more: dict[str, Any], at: Collection[str] | None = None
) -> Iterator[dict[str, Any]]:
    """A good object with one of its fields (`at`, or all) at each edge, without one, with one that it must not have, and
    with two at once.
    """
    for name, part in schema["properties"].items():
        if at is not None and name not in at:
            continue
        yield from ({**good, name: value} for value in values(part))
        yield {key: value for key, value in good.items() if key != name}
    for pair in combinations_with_replacement(dict.fromkeys([*schema["properties"], *more, "stranger"]), 2):
        yield {**good, **{name: more.get(name) for name in pair}}


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_taken_and_refused_as_the_schema_says(services: tuple[Asked, Asked], name: str) -> None:
    asked = services[name != "houses"]
    asked.close()
    url = f"/v1/models/{name}"
    described = asked.send("GET", url)[1]
    good, roles = described["example"], {one["role"]: described["example"][one["name"]] for one in described["columns"]}
    both = asked.schema(f"{url}/predict")
    fits, explains = valid(both), valid(asked.schema(f"{url}/explain"))
    one = both["oneOf"][0]["properties"]["row"]
    taken: dict[bool, int] = {True: 0, False: 0}
    for row in [*bodies(one, good, {**roles, **good}), roles, {}, [], None, "a"]:
        alone = fits({"row": row})
        taken[alone] += 1
        short = len(str(row)) < 1000
        requests = [("/predict", fits({"row": row}), {"row": row})]
        if short:
            requests += [("/predict", fits({"rows": [row]}), {"rows": [row]}), ("/explain", alone, {"row": row})]
        if flat(row) and row and set(row) <= {*one["properties"]}:
            requests += others(row, alone, good) if short else []
        for path, expected, body in requests:
            where = path if path.startswith("/inv") else f"/v2/models/{name}/infer" if path == "infer" else url + path
            status, told = asked.send("POST", where.replace("NAME", name), body)
            assert status in (200, 400, 422), (status, told)
            assert (status == 200) == expected, (where, str(body)[:200], status, str(told)[:300])
    assert taken[True] > 8
    assert taken[False] > 30
    for label in (None, [], {}, 1, "", "x", *described["answer"].get("labels", [])):
        body = {"row": good, "label": label}
        assert (asked.send("POST", f"{url}/explain", body)[0] == 200) == explains(body), body
    for body in (
        {"rows": []},
        {"rows": [good] * 1000},
        {"rows": [good] * 1001},
        {"row": good, "rows": [good]},
        {},
        [],
        1,
    ):
        assert (asked.send("POST", f"{url}/predict", body)[0] == 200) == fits(body), str(body)[:100]


def flat(row: Any) -> bool:
    """Whether every value stands alone: other protocols have shapes, and bytes for every kind."""
    return isinstance(row, dict) and not any(isinstance(value, dict | list) for value in row.values())


def others(row: dict[str, Any], alone: bool, good: dict[str, Any]) -> list[tuple[str, bool, Any]]:
    """The same row as other protocols send it."""
    asked = [
        (":predict", alone, {"instances": [row]}),
        (":predict", alone, {"inputs": {name: [value] for name, value in row.items()}}) ,
        (":explain", alone, {"instances": [row]}),
        ("/invocations?model=NAME", alone, {"dataframe_records": [row]}),
        ("/invocations?model=NAME", alone, {"dataframe_split": {"columns": [*row], "data": [[*row.values()]]}}),
    ]  # fmt: skip
    if all(type(value) is type(good.get(name, "a")) for name, value in row.items()):
        datatypes = {name: "BYTES" if isinstance(value, str) else "FP64" for name, value in row.items()}
        tensors = [{"name": n, "shape": [1], "datatype": datatypes[n], "data": [v]} for n, v in row.items()]
        asked.append(("infer", alone, {"inputs": tensors}))
    return asked


@pytest.mark.parametrize("numbers", [True, False])
def test_feedback_is_taken_and_refused_as_the_schema_says(services: tuple[Asked, Asked], numbers: bool) -> None:
    asked, name = services[not numbers], "houses" if numbers else "topics"
    row = asked.send("GET", f"/v1/models/{name}")[1]["example"]
    schema = asked.schema("/v1/feedback")
    fits = valid(schema)
    more: dict[str, Any] = {
        "label": 3,
        "truth": 4,
        "reward": 0.5,
        "rating": 5,
        "comment": "a",
        "rationale": "b",
        "source": "shop",
        "origin": "model",
    }
    taken: dict[bool, int] = {True: 0, False: 0}
    asked.close()
    # The fields besides are the same for every answer.
    besides = [] if numbers else [({"rating": 1}, {*schema["properties"]} - {*KINDS})]
    for good, names in [({}, {*KINDS}), *besides]:
        for body in bodies(schema, {"prediction_id": "", **good}, {**more, "prediction_id": "x"}, names):
            expected = 202 if fits({**body, "prediction_id": "x"}) else 422
            if body.get("prediction_id", None) != "":
                expected = 404 if fits(body) else 422
            else:
                body["prediction_id"] = asked.answered(name, row)
            status, told = asked.send("POST", "/v1/feedback", body)
            assert status == expected, (str(body)[:300], told)
            taken[status == 202] += 1
    assert min(taken.values()) > 20


def test_bytes_and_the_address_are_taken_as_the_schema_says(client: httpx.Client) -> None:
    url, document = "/v1/models/digits", client.get("/openapi.json").json()
    good = client.get(url).json()["example"]["image"]
    body = document["paths"][f"{url}/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    fits = valid(body)
    for value in (good, {"b64": good}, {"b64": 1}, {"b64": good, "x": 1}, {"b46": good}, {}, [good], None, 1, True):
        row = {"row": {"image": value}}
        assert (client.post(f"{url}/predict", json=row).status_code == 200) == fits(row), str(value)[:50]
    row = {"row": {"image": good}}
    for scores in ("true", "false", "True", "1", ""):
        answer = client.post(f"{url}/predict", params={"scores": scores}, json=row)
        assert answer.status_code == (200 if scores in ("true", "false") else 400), scores
    for language in ("en", "zh", "EN", "fr", ""):
        assert client.get(url, params={"language": language}).status_code == (200 if language in ("en", "zh") else 400)
    for version, status in (("1", 200), ("", 404), ("01", 404), ("champion", 200), ("é\x00", 404)):
        assert client.get(url, params={"version": version}).status_code == status, version


def test_no_pattern_is_read_differently_elsewhere(services: tuple[Asked, Asked]) -> None:
    found = {pattern for asked in services for pattern in patterns(asked.document)}
    assert len(found) >= 4
    for pattern in found:
        # A - at an end of a class is an error with JavaScript's flag v, which HTML sets.
        assert not re.search(r"\\(?!u[0-9a-f]{4})|-\]|\[\^?-", pattern), pattern


def test_the_longest_text_fits_however_it_is_spelled(services: tuple[Asked, Asked]) -> None:
    for count, expected in ((1_000_000, 200), (1_000_001, 422)):
        status, told = services[1].send("POST", "/v1/models/topics/predict", {"row": {"text": "\U0001f600" * count}})
        assert status == expected, str(told)[:300]


def test_the_longest_name_fits(client: httpx.Client) -> None:
    url = "/v1/models/credit/predict"
    body = client.get("/openapi.json").json()["paths"][url]["post"]["requestBody"]["content"]["application/json"]
    fits = valid(body["schema"])
    for count, expected in ((10_000, 200), (10_001, 422)):
        row = {"row": {"income": 50, "job": "渠" * count}}
        answer = client.post(url, json=row)
        assert answer.status_code == expected, answer.text
        assert fits(row) == (expected == 200)
    assert answer.json()["error"]["message"] == (
        "row: Expected a name of at most 10,000 characters in 'job', found 10,001. Shorten it."
    )
