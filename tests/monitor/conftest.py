"""The PostgreSQL server that the tests of the registry start."""

from __future__ import annotations

from tests.registry.conftest import postgresql

__all__ = ["postgresql"]
