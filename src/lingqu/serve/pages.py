"""The files of the page for users: given by their exact path alone, so no path can lead anywhere else."""

from __future__ import annotations

from lingqu.serve.page import HEADERS, files
from lingqu.serve.response import Response

METHODS = ("GET", "HEAD")


def static(path: str, method: str) -> Response | None:
    """The file of this path; None when there is none, 405 when it is asked for in another way than to read it.

    >>> static("/", "GET").status_code, static("/", "POST").status_code, static("/../page/app.js", "GET")
    (200, 405, None)
    """
    found = files().get(path)
    if found is None:
        return None
    if method not in METHODS:
        return Response(status_code=405, headers={"allow": ", ".join(METHODS)})
    media_type, data = found
    return Response(data, media_type=media_type, headers=dict(HEADERS))
