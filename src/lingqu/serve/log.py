"""What a worker writes to standard error: sentences for a terminal, and one JSON object a line for anything else.

The access log (a line for each request, off unless `serve.log` says otherwise) is JSON in any case.
"""

from __future__ import annotations

import json
import logging
import sys
import time


class Lines(logging.Formatter):
    """A record as one line of JSON, or as a sentence.

    >>> record = logging.LogRecord("lingqu.serve", logging.ERROR, "", 1, "%s is refused", ("kinds@3",), None)
    >>> Lines(plain=True).format(record)
    'kinds@3 is refused'
    >>> sorted(json.loads(Lines(plain=False).format(record)))
    ['at', 'event', 'level']
    """

    def __init__(self, *, plain: bool) -> None:
        super().__init__()
        self.plain = plain

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        if self.plain:
            return message
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        told = {"at": at, "level": record.levelname.lower(), "event": message}
        if hasattr(record, "request_id"):
            told["request"] = str(record.__dict__["request_id"])
        return json.dumps(told, ensure_ascii=False)


def begin(*, access: bool) -> None:
    """Write what is told from now on; `access` writes a line for each request too."""
    events = logging.StreamHandler(sys.stderr)
    events.setFormatter(Lines(plain=sys.stderr.isatty()))
    for name in ("lingqu.serve", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.addHandler(events)
        logger.propagate = False
        logger.setLevel(logging.INFO if name == "lingqu.serve" else logging.ERROR)
    # Its lines are JSON already.
    lines = logging.StreamHandler(sys.stderr)
    requests = logging.getLogger("lingqu.access")
    requests.addHandler(lines)
    requests.propagate = False
    requests.setLevel(logging.INFO if access else logging.CRITICAL)
