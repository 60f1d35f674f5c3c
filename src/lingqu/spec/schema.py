"""Settings as others need to see them: a JSON Schema, a table, a commented YAML text and the reference pages.

>>> settings_table()[0]
Setting(name='name', takes='a name of Latin letters, digits, - _ and .', default='', about="The model's name; versions are counted under it.")
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lingqu.spec.parse import scalar
from lingqu.spec.settings import Spec
from lingqu.spec.words import Node, PlainTitles, resolve, words


class Setting(NamedTuple):
    """One row of the table of settings; `default` is YAML, empty where the user must say it."""

    name: str
    takes: str
    default: str
    about: str


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a spec, for editors.

    >>> json_schema()["properties"]["size"]["enum"]
    ['tiny', 'small', 'medium', 'large']
    """
    schema = Spec.model_json_schema(schema_generator=PlainTitles)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "lingqu spec", **schema}


def settings_table() -> list[Setting]:
    """Every setting: dotted name, what it takes, its default and its sentence.

    >>> [row.default for row in settings_table() if row.name == "data.split.test"]
    ['0.2']
    """
    root = Spec.model_json_schema(schema_generator=PlainTitles)
    return list(_rows(root, root, ""))


def show(spec: Spec) -> str:
    """The spec as YAML with every default, and each setting's sentence as a comment.

    >>> spec = Spec(name="a", task="t", data={"source": "a.csv"})
    >>> print(show(spec).splitlines()[0])
    name: a                             # The model's name; versions are counted under it.
    """
    root = Spec.model_json_schema(schema_generator=PlainTitles)
    return "".join(f"{line}\n" for line in _lines(spec.model_dump(mode="json"), root, root, ""))


def reference_page() -> str:
    """docs/reference/settings.md.

    >>> reference_page().splitlines()[0]
    '# Settings'
    """
    head = (
        "# Settings\n\n"
        "Every setting of a spec. What has no default must be written; everything else may be left out. `lingqu check --show`\n"
        "prints the same for one spec, with the values it has. Editors can use [spec.schema.json](spec.schema.json).\n\n"
        "| setting | takes | default | what it is |\n|---|---|---|---|\n"
    )
    cells = (
        [f"`{row.name}`", row.takes, f"`{row.default}`" if row.default else "", row.about] for row in settings_table()
    )
    return head + "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in cells)


def reference_schema() -> str:
    """docs/reference/spec.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _rows(node: Node, root: Node, prefix: str) -> Iterator[Setting]:
    required = node.get("required", ())
    for name, field in node["properties"].items():
        default = "" if name in required else _flow(field.get("default"))
        inner = resolve(field, root)
        if "properties" in inner:
            yield from _rows(inner, root, f"{prefix}{name}.")
        else:
            yield Setting(prefix + name, words(field, root), default, field["description"])
    extra = node.get("additionalProperties")
    if isinstance(extra, Mapping):
        yield Setting(f"{prefix}METRIC", words(extra, root), "", extra["description"])


def _lines(values: Mapping[str, Any], node: Node, root: Node, indent: str) -> Iterator[str]:
    for name, value in values.items():
        field = node.get("properties", {}).get(name) or node.get("additionalProperties", {})
        inner = resolve(field, root)
        about = field.get("description") or inner.get("description", "")
        if isinstance(value, Mapping) and "properties" in inner:
            yield _commented(f"{indent}{_text(name)}:", about)
            yield from _lines(value, inner, root, indent + "  ")
        else:
            yield _commented(f"{indent}{_text(name)}: {_flow(value)}", about)


def _commented(text: str, about: str) -> str:
    return f"{text:<35} # {about}" if about else text


def _flow(value: Any) -> str:
    """A value on one line, as this package's YAML reads it back."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(str(key))}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(inner) for inner in value) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    plain = re.fullmatch(r"[^\W_][\w./ -]*[\w./]|[^\W_]|[^\W_][\w.-]*:[\w.-]+", text) and scalar(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)
