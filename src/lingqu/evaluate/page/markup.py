"""HTML that cannot be broken by data: text is escaped unless it was built here.

>>> el("p", "1 < 2 & ", el("b", "bold"), cls="note", style="left:5%")
'<p class="note" style="left:5%">1 &lt; 2 &amp; <b>bold</b></p>'
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

_EMPTY = frozenset(["img", "meta", "br", "wbr", "line", "circle", "rect", "path", "polyline", "polygon"])


class Markup(str):
    """HTML that is finished: it is put into other HTML as it is.

    >>> el("i", Markup("&amp;"))
    '<i>&amp;</i>'
    """

    __slots__ = ()


def el(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """An element; children are escaped unless they are Markup, None is left out, `cls` is the class."""
    given = "".join(
        f' {("class" if key == "cls" else key.rstrip("_").replace("_", "-"))}="{escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Markup(f"<{name}{given}>" if name in ("img", "meta", "br", "wbr") else f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{join(*children)}</{name}>")


def join(*children: Any) -> Markup:
    """Children one after the other; lists are opened."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, (list, tuple)):
            parts.append(join(*child))
        elif child is not None:
            parts.append(child if isinstance(child, Markup) else escape(str(child), quote=False))
    return Markup("".join(parts))


def breakable(name: str) -> Markup:
    """A name that may be broken after its underscores, dots and dashes, and not in the midst of a word.

    >>> breakable("checking_status")
    'checking_<wbr>status'
    """
    return join(*[(part, el("wbr")) for part in re.findall(r"[^_.\-/]*[_.\-/]", name)], re.split(r"[_.\-/]", name)[-1])
