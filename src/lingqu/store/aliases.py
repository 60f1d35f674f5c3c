"""The aliases that the service itself obeys; free of the database, for whoever serves a folder has none."""

from __future__ import annotations

CHAMPION, PREVIOUS = "champion", "previous"
