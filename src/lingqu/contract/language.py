"""The language that people are spoken to in: what was set, or the locale of the process."""

from __future__ import annotations

import os
from collections.abc import Mapping

LANGUAGES = ("en", "zh")


def language_of(setting: str, environment: Mapping[str, str] | None = None) -> str:
    """`en` or `zh`: what was set, or with `auto` what the locale of this process says.

    >>> language_of("auto", {"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}), language_of("zh", {})
    ('en', 'zh')
    """
    if setting in LANGUAGES:
        return setting
    given = os.environ if environment is None else environment
    spoken = next((given[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if given.get(name)), "")
    return "zh" if spoken.lower().startswith("zh") else "en"
