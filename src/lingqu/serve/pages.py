"""The files of the page for users: read once from the package, and given by their exact path alone."""

from __future__ import annotations

from functools import lru_cache

from starlette.responses import Response


@lru_cache(maxsize=1)
def _files() -> dict[str, tuple[str, bytes]]:
    try:
        from lingqu.serve.page import files
    except ModuleNotFoundError:
        return {}
    return files()


def static(path: str, method: str) -> Response | None:
    """The file of this path; None when there is none, 405 when it is asked for in another way than to read it."""
    found = _files().get(path)
    if found is None:
        return None
    if method not in ("GET", "HEAD"):
        return Response(status_code=405, headers={"allow": "GET, HEAD"})
    media_type, data = found
    return Response(data, media_type=media_type, headers={"cache-control": "no-cache"})
