"""The kinds of values that settings take, and the base of every section; each says in words what it expects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from lingqu.spec import amounts
from lingqu.spec.amounts import Limit
from lingqu.spec.problems import refuse
from lingqu.spec.tariff import Price


def _written(words: str, check: Callable[[str], Any], **more: str) -> tuple[Any, Any]:
    """A kind of text: how errors and editors call it, and the function that refuses what is none."""

    def accept(text: str) -> str:
        checked = check(text)
        return checked.text if isinstance(checked, Limit) else text

    return AfterValidator(accept), WithJsonSchema({"type": "string", "title": words, **more})


def _yes_no(value: Any) -> Any:
    words = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _name(text: str) -> None:
    allowed = text.replace("-", "").replace("_", "").replace(".", "")
    if not (text.isascii() and text[:1].isalnum() and allowed.isalnum() and len(text) <= 255):
        raise ValueError(text)


def _some(text: str) -> None:
    if not text.strip() or "\0" in text:
        raise ValueError(text)


def _one_character(text: str) -> None:
    if text != "auto" and (len(text) != 1 or text in "\r\n\"'" or text.isalnum()):
        raise ValueError(text)


def _address(text: str) -> None:
    if not text.strip() or any(sign in text for sign in "\0/@ ") or len(text) > 255:
        raise ValueError(text)


def _no_password(text: str) -> None:
    scheme, found, rest = text.partition("://")
    if not (scheme and found and rest.strip("/")) or "\0" in text:
        raise ValueError(text)
    if "@" in rest.split("/")[0]:
        # What stands in a spec is kept with every version, and an error is read by others.
        raise refuse("an address without name and password", "one that holds them", PASSWORDS)


def _share(text: str) -> Limit:
    return Limit.parse("", text)


def _below(units: Mapping[str, float]) -> Callable[[str], Limit]:
    def check(text: str) -> Limit:
        limit = Limit.parse("", text, units)
        if limit.sense != "<=":
            raise ValueError(text)
        return limit

    return check


PASSWORDS = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead."
_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$"

Name = Annotated[str, *_written("a name of Latin letters, digits, - _ and .", _name, pattern=_NAME_PATTERN)]
TaskName = Annotated[str, *_written("the name of a task", _some)]
ColumnName = Annotated[str, *_written("the name of a column", _some)]
Place = Annotated[str, *_written("a file, a folder or an address such as hf://owner/name", _some)]
Folder = Annotated[str, *_written("a folder", _some)]
TrackingAddress = Annotated[
    str, *_written("an address such as http://127.0.0.1:5000 or sqlite:///mlflow.db", _no_password)
]
Host = Annotated[str, *_written("an address such as 127.0.0.1 or 0.0.0.0", _address)]
Character = Annotated[str, *_written("auto or one character such as ; or tab", _one_character)]
Duration = Annotated[str, *_written("a length of time such as '10 min' or '2 h'", amounts.seconds)]
Share = Annotated[str, *_written("a limit such as '>= 0.85'", _share)]
ShareAtMost = Annotated[str, *_written("a limit such as '<= 5 %'", _below(amounts.SHARES))]
MetricLimit = Annotated[
    str, *_written("a limit such as '>= 0.85'", _share, description="A limit for the metric of this name.")
]
Latency = Annotated[str, *_written("a limit such as '<= 20 ms'", _below(amounts.MILLISECONDS))]
Size = Annotated[str, *_written("a limit such as '<= 50 MB'", _below(amounts.BYTES))]
LabelCount = Annotated[str, *_written("a count such as '200 new labels'", amounts.labels)]
Rate = Annotated[str, *_written("a rate such as '1 per day'", amounts.pause)]
PriceText = Annotated[str, *_written("a price such as '0.01 CNY per row'", Price.parse)]
Family = Annotated[str, *_written("the name of a model family", _some)]
Kind = Literal["number", "category", "text", "image", "time", "id", "ignore"]
Encoding = Literal[
    "auto", "utf-8", "utf-8-sig", "gb18030", "big5", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"
]

# Strict, because Python would take true for 1 and "3" for 3, and a spec that means something else should say so.
Whole = Annotated[int, Field(strict=True)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Switch = Annotated[bool, BeforeValidator(_yes_no), Field(strict=True)]
Seed = Annotated[int, Field(strict=True, ge=0, le=4_294_967_295)]


class Settings(BaseModel):
    """A section of a spec: closed, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)
