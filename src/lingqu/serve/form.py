r"""A multipart form (RFC 7578), read from memory: fields as text, files as bytes; nothing is written to a disk.

>>> body = (
...     b'--x\r\nContent-Disposition: form-data; name="age"\r\n\r\n30\r\n'
...     b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n\x89PNG\r\n--x--\r\n'
... )
>>> read_form(body, b"multipart/form-data; boundary=x")
[('age', '30'), ('photo', b'\x89PNG')]
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from lingqu.errors import Problem, ProtocolError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MOST_FIELDS = 1_000
MOST_PART_HEADERS = 8
MOST_HEADER_BYTES = 4_096

Field = tuple[str, str | bytes]


# It logs what a stranger has sent.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class _Reader:
    """Collects parts as the parser finds them."""

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self.ended = False
        self._name, self._value, self._data = b"", b"", bytearray()
        self._disposition = b""

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._end,
            "on_end": self._all,
        }

    def _begin(self) -> None:
        self._name, self._value, self._disposition, self._data = b"", b"", b"", bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def _end(self) -> None:
        kind, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"")
        if kind != b"form-data" or not name:
            raise broken("a part without a name")
        if len(self.fields) >= MOST_FIELDS:
            raise broken(f"more than {MOST_FIELDS:,} parts")
        try:
            is_file = b"filename" in options or b"filename*" in options
            self.fields.append((name.decode(), bytes(self._data) if is_file else self._data.decode()))
        except UnicodeDecodeError:
            raise broken("a field that is no UTF-8 text") from None

    def _all(self) -> None:
        self.ended = True


def read_form(body: bytes, content_type: bytes) -> list[Field]:
    """Each field in order: text of a plain one, bytes of a file; ProtocolError 400 when the form is broken."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise broken("no boundary in its Content-Type")
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary, reader.callbacks(), max_header_count=MOST_PART_HEADERS, max_header_size=MOST_HEADER_BYTES
        )
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError):
        raise broken("one that breaks its own boundaries") from None
    if not reader.ended:
        raise broken("one without an end")
    return reader.fields


def broken(found: str) -> ProtocolError:
    """The answer to a form that cannot be read."""
    return ProtocolError(
        Problem("a form as multipart/form-data", found, "Send one part for each column, a file for a picture."),
        status=400,
    )
