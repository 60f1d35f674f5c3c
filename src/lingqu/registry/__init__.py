"""The registry: versions, aliases, the chained history of decisions, and the error budget of the gate."""

from lingqu.registry.alpha import AlphaRound
from lingqu.registry.events import Event
from lingqu.registry.registry import Registry
from lingqu.registry.versions import Version

__all__ = ["AlphaRound", "Event", "Registry", "Version"]
