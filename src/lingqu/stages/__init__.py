"""The stages of the journey: what each needs, what its result depends on, and where that is kept; one stage a file."""

from lingqu.stages.context import Tell, silent
from lingqu.stages.journey import Stages

__all__ = ["Stages", "Tell", "silent"]
