"""How many threads the environment asks for: OMP_NUM_THREADS, as OpenMP reads it; the standard library alone is needed.

>>> threads_asked({"OMP_NUM_THREADS": "4"}), threads_asked({}), threads_asked({"OMP_NUM_THREADS": "all"})
(4, None, None)
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_FIRST = re.compile(r"\s*\+?0*([1-9][0-9]{0,3})\s*(,|$)")


def threads_asked(environment: Mapping[str, str] = os.environ) -> int | None:
    """The threads that OMP_NUM_THREADS asks for; None where it is not set, or is no number from 1 to 9,999.

    A list names the threads of nested levels, and the first number is that of the outermost (OpenMP 5.2, section 21.1.2).
    What is no number is ignored, as the libraries of OpenMP do.

    >>> threads_asked({"OMP_NUM_THREADS": "4,2"})
    4
    """
    found = _FIRST.match(environment.get("OMP_NUM_THREADS", ""))
    return int(found[1]) if found else None
