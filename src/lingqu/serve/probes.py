"""Whether the process lives, and whether it is ready: nothing here touches a model, the disk or the database.

| state | /livez | /readyz |
|---|---|---|
| loading | 200 | 503 |
| ready | 200 | 200 |
| draining | 200 | 503 |

A database that is down, a full disk and a model whose files are gone do not matter to what is in memory: the service
stays ready, and answers.
"""

from __future__ import annotations

from typing import Literal

State = Literal["loading", "ready", "draining"]


def live() -> tuple[int, dict[str, str]]:
    """Status and body of /livez: whoever can say so lives.

    >>> live()
    (200, {'status': 'live'})
    """
    return 200, {"status": "live"}


def ready(state: State, stuck: bool = False) -> tuple[int, dict[str, str]]:
    """Status and body of /readyz; a worker whose model is stuck is about to be replaced and takes no more.

    >>> ready("ready"), ready("draining"), ready("ready", stuck=True)
    ((200, {'status': 'ready'}), (503, {'status': 'draining'}), (503, {'status': 'stuck'}))
    """
    if stuck:
        return 503, {"status": "stuck"}
    return (200 if state == "ready" else 503), {"status": state}
