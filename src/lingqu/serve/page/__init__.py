"""The page for users: a few files of HTML, CSS and JavaScript that talk to the service's own REST API.

The page knows no task: it draws its form from a model's columns and its answer from the kind of answer. Nothing in it
comes from outside, no script or style stands inside the HTML, and what a user or a model wrote is only ever text.

>>> sorted(files())[:3], files()["/"][0]
(['/', '/page/answer.js', '/page/app.js'], 'text/html; charset=utf-8')
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files as packaged

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

CSP = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

HEADERS = {
    "Content-Security-Policy": CSP,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""What goes with each file: nothing from elsewhere is loaded, nobody frames the page, only itself uses the camera."""


@cache
def files() -> dict[str, tuple[str, bytes]]:
    """Every file of the page: its path -> its media type and bytes, read once."""
    found = {}
    for entry in packaged(__name__).iterdir():
        ending = entry.name.rpartition(".")[2]
        if ending in TYPES:
            path = "/" if entry.name == "index.html" else f"/page/{entry.name}"
            found[path] = (TYPES[ending], entry.read_bytes())
    return found
