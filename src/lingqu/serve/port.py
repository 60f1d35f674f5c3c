"""The listening socket: it is opened once, shared by the workers, and closed without a reset.

Closing a listening socket resets the connections that wait in its queue: between the moment when the last of them was
taken and the closing there is always room for one more. So nobody is let in before that.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
import time
from array import array
from collections.abc import Callable
from contextlib import suppress

from lingqu.errors import Problem, RequestError
from lingqu.serve.plan import BACKLOG

_ATTACH_FILTER = getattr(socket, "SO_ATTACH_FILTER", 26)
_DROP_SYN = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the byte of the TCP header that holds the flags
        (0x45, 0, 1, 0x10),  # is it ACK? whoever has begun to connect may end it
        (0x06, 0, 0, 0xFFFF_FFFF),  # keep all of the packet
        (0x06, 0, 0, 0),  # keep nothing of it
    )
)
"""A program of the classic packet filter that drops what begins a connection."""


LONGEST_WAIT = 25.0
"""Seconds; workers whose parent was killed have ended by then."""


def listen(host: str, port: int, *, waits: Callable[[], bool] = lambda: False) -> socket.socket:
    """The listening socket; RequestError when the address cannot be had, nor while it `waits` for who may let go of it.

    >>> with listen("127.0.0.1", 0) as listener:
    ...     listener.getsockname()[0]
    '127.0.0.1'
    """
    until = time.monotonic() + LONGEST_WAIT
    while True:
        # Asked before the port is: whoever lets go of it in between has left it free.
        waiting = waits() and time.monotonic() < until
        try:
            return _listening(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not waiting:
                found = f"{host}:{port}, where {(error.strerror or str(error)).lower()}"
                advice = "Choose another: --port 0 takes any."
                raise RequestError(Problem("an address to listen on", found, advice)) from None
        time.sleep(0.1)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # A name that cannot be written in ASCII is told by the codec.
        found = f"{host!r}: {getattr(error, 'strerror', None) or error}"
        advice = "Give one such as 127.0.0.1, or a name of this machine."
        raise RequestError(Problem("an address of this machine", found, advice)) from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # Two who begin at once may both bind, and one of them hears of it here.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def take_no_more(listener: socket.socket) -> None:
    """Let nobody connect any more; who has connected and waits to be accepted is not touched.

    Who tries hears nothing, and of the closed port when the kernel tries again after a second. Linux alone can do that;
    elsewhere nothing happens.

    >>> with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()) as early:
    ...     take_no_more(listener)
    ...     taken, address = listener.accept()
    ...     with taken:
    ...         address == early.getsockname()
    True
    """
    if sys.platform != "linux":
        return
    program = array("B", _DROP_SYN)
    with suppress(OSError):
        # struct sock_fprog: how many instructions, and where they are.
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", 4, program.buffer_info()[0]))
