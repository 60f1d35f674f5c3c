"""What a setting takes, said in words that are read off its JSON Schema.

The same words stand in error messages, in the reference page and in `lingqu check --show`.

>>> words({"type": "integer", "minimum": 1, "maximum": 9})
'a whole number from 1 to 9'
>>> words({"anyOf": [{"enum": ["a", "b", "c"]}, {"type": "null"}]})
'a, b, c or nothing'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

Node = Mapping[str, Any]


class PlainTitles(GenerateJsonSchema):
    """JSON Schema whose only titles are those written by hand: the words for a kind of text.

    >>> PlainTitles().field_title_should_be_set({"type": "int"})
    False
    """

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: Any) -> dict[str, Any]:
        made = super().model_schema(schema)
        made.pop("title", None)
        return made

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        made = super().dict_schema(schema)
        if "values_schema" in schema:
            # pydantic drops the title of a mapping's values, and here it is what tells a limit from a name.
            made["additionalProperties"] = self.generate_inner(schema["values_schema"])
        return made


def words(node: Node, root: Node | None = None) -> str:
    """What this piece of a JSON Schema allows, as a phrase that can follow "Expected".

    >>> words({"type": "number", "exclusiveMinimum": 0})
    'a number above 0'
    """
    return either(_choices(node, root or {}))


def either(choices: Sequence[str]) -> str:
    """Phrases joined as alternatives.

    >>> either(["a", "b", "c"])
    'a, b or c'
    """
    head, last = choices[:-1], choices[-1]
    return f"{', '.join(head)} or {last}" if head else last


def options(node: Node, root: Node) -> list[str]:
    """The closed list of names that this piece allows, empty when it is open.

    >>> options({"anyOf": [{"const": "auto"}, {"type": "null"}]}, {})
    ['auto']
    """
    branches = _branches(node, root)
    closed = [value for branch in branches for value in (*branch.get("enum", ()), branch.get("const"))]
    return [value for value in closed if isinstance(value, str)]


def settings_in(root: Node, place: Sequence[str | int]) -> list[str]:
    """The settings that a group of settings has.

    >>> settings_in({"properties": {"a": {"anyOf": [{"type": "null"}, {"properties": {"b": {}}}]}}}, ["a"])
    ['b']
    """
    return [name for branch in _branches(descend(root, place), root) for name in branch.get("properties", ())]


def resolve(node: Node, root: Node) -> Node:
    """The definition that a `$ref` points to, or the node itself.

    >>> resolve({"$ref": "#/$defs/A"}, {"$defs": {"A": {"type": "null"}}})
    {'type': 'null'}
    """
    if "$ref" in node:
        return root["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return node


def descend(root: Node, place: Sequence[str | int]) -> Node:
    """The piece of the schema that governs a place in the spec, {} where there is none.

    >>> descend({"properties": {"a": {"additionalProperties": {"type": "null"}}}}, ["a", "any"])
    {'type': 'null'}
    """
    node = resolve(root, root)
    for part in place:
        node = next((found for branch in _branches(node, root) if (found := _step(branch, part)) is not None), {})
        node = resolve(node, root)
    return node


def _branches(node: Node, root: Node) -> list[Node]:
    node = resolve(node, root)
    return [resolve(branch, root) for branch in (*node.get("anyOf", ()), *node.get("oneOf", ()))] or [node]


def _step(node: Node, part: str | int) -> Node | None:
    if isinstance(part, int):
        return node.get("items")
    inner = node.get("properties", {}).get(part) or node.get("additionalProperties")
    return inner if isinstance(inner, Mapping) else None


def _choices(node: Node, root: Node) -> list[str]:
    branches = _branches(node, root)
    if len(branches) > 1:
        return [choice for branch in branches for choice in _beside(branch, branches, root)]
    node = branches[0]
    if "title" in node:
        return [node["title"]]
    if "enum" in node or "const" in node:
        return options(node, root)
    kind = node.get("type", "anything")
    if kind in ("integer", "number"):
        return [("a whole number" if kind == "integer" else "a number") + _range(node)]
    if kind == "array":
        return ["a list"]
    if kind == "object" and "properties" in node:
        return [f"a group of {either(list(node['properties'])).replace(' or ', ' and ')}"]
    if kind == "object" and isinstance(inner := node.get("additionalProperties"), Mapping):
        return [f"{{NAME: {words(inner, root)}}}"]
    return [_KINDS.get(kind, kind)]


def _beside(branch: Node, branches: Sequence[Node], root: Node) -> list[str]:
    """The choices of one of several branches; a list of what another one takes is a list of them."""
    if branch.get("type") == "array" and "title" not in branch and branch.get("items") in branches:
        return ["a list of them"]
    return _choices(branch, root)


_KINDS = {
    "null": "nothing",
    "boolean": "true or false",
    "string": "text",
}


def _range(node: Node) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    bounds = (("at least", low), ("above", above), ("at most", high), ("below", below))
    parts = [f"{word} {bound:,}" for word, bound in bounds if bound is not None]
    return f" {' and '.join(parts)}" if parts else ""
