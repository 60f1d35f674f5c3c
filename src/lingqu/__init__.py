"""lingqu (灵渠): from a team's examples to an AI service that keeps improving.

The public names, each resolved on first use, so that `import lingqu` costs next to nothing.

>>> import lingqu
>>> lingqu.__all__
['Spec', 'check', 'explain', 'forget', 'improve', 'load', 'run', 'status']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lingqu.evaluate.explain import explain
    from lingqu.feedback.forget import forget
    from lingqu.loop import check, improve, load, run
    from lingqu.monitor import status
    from lingqu.spec import Spec

__version__ = "0.1.0"
__all__ = ["Spec", "check", "explain", "forget", "improve", "load", "run", "status"]

_WHERE = {
    "Spec": "lingqu.spec",
    "check": "lingqu.loop",
    "explain": "lingqu.evaluate.explain",
    "forget": "lingqu.feedback.forget",
    "improve": "lingqu.loop",
    "load": "lingqu.loop",
    "run": "lingqu.loop",
    "status": "lingqu.monitor",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'lingqu' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
