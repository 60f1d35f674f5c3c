"""What a column may hold.

A task names its columns by kind; schema, form, drift test and fairness slices follow from the kind.

>>> Text("text").kind, Label("label").kind
('text', 'label')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Column:
    """One named column of a row.

    `name` is the role that the task gives it ("text"); the user's own column name is mapped to it in the spec.
    `about` is one sentence for forms and schemas.
    """

    name: str
    about: str = ""
    kind: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Text(Column):
    """A string in any language."""

    kind: ClassVar[str] = "text"


@dataclass(frozen=True, slots=True)
class Image(Column):
    """An encoded picture (JPEG, PNG, WebP or BMP bytes); in a table also the path of such a file."""

    kind: ClassVar[str] = "image"


@dataclass(frozen=True, slots=True)
class Number(Column):
    """A finite number; missing values are allowed where training had them."""

    kind: ClassVar[str] = "number"


@dataclass(frozen=True, slots=True)
class Category(Column):
    """One of a set of names; a name that training never saw is treated as unknown."""

    kind: ClassVar[str] = "category"


@dataclass(frozen=True, slots=True)
class Id(Column):
    """A name of a thing (user, item, document), never a feature by itself."""

    kind: ClassVar[str] = "id"


@dataclass(frozen=True, slots=True)
class Time(Column):
    """A date or a moment, ISO 8601."""

    kind: ClassVar[str] = "time"


@dataclass(frozen=True, slots=True)
class Label(Column):
    """The class to predict."""

    kind: ClassVar[str] = "label"


@dataclass(frozen=True, slots=True)
class Labels(Column):
    """The classes to predict, any number of them for one row; a cell holds their names, sorted, with | between them."""

    kind: ClassVar[str] = "labels"


@dataclass(frozen=True, slots=True)
class Features(Column):
    """Every column that has no other role, each a number or a category, under its own name."""

    kind: ClassVar[str] = "features"


KINDS: tuple[str, ...] = ("text", "image", "number", "category", "id", "time", "label", "labels")
