"""The words of a report in the reader's language, English or Chinese.

What we write ourselves is a template that a table turns into Chinese; a test sees that none is missing. What was recorded
as an English sentence (a gate's decision, a finding in the data) is recognised by the template that it was made from, and
stays English where there is none. Names and cells of the user's data are never touched.

>>> say = Words("zh")
>>> say("{rows} test rows", rows="1,200"), say.told("no row tells the two apart")
('1,200 行测试数据', '没有一行能分出两者')
>>> Words("en")("{rows} test rows", rows="1,200"), language_of("auto", {"LANG": "zh_CN.UTF-8"})
('1,200 test rows', 'zh')
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

from lingqu.contract.language import LANGUAGES, language_of
from lingqu.evaluate.chinese import OURS, RECORDED

__all__ = ["ENGLISH", "LANGUAGES", "Words", "language_of"]
LONGEST = 2000


class Words:
    """Says templates in one language.

    >>> Words("zh")("Quality"), Words("en")("Quality")
    ('质量', 'Quality')
    """

    def __init__(
        self, language: str = "en", ours: Mapping[str, str] = OURS, recorded: Mapping[str, str] = RECORDED
    ) -> None:
        self.language = language if language in LANGUAGES else "en"
        self._ours, self._recorded = ours, recorded

    def __call__(self, english: str, /, **values: Any) -> str:
        """The template in this language, its `{names}` filled in."""
        template = self._ours.get(english, english) if self.language == "zh" else english
        return template.format(**values) if values else template

    def told(self, sentence: str) -> str:
        """A sentence that was recorded in English."""
        if self.language == "en" or not sentence or len(sentence) > LONGEST:
            return sentence
        if sentence in self._ours:
            return self._ours[sentence]
        for pattern, chinese in self._patterns:
            if found := pattern.fullmatch(sentence):
                return chinese.format(**{name: self._value(name, value) for name, value in found.groupdict().items()})
        return sentence

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        if self._recorded is not RECORDED:
            return _compiled(self._recorded)
        return _of_reports()

    def _value(self, name: str, value: str) -> str:
        """What stands in a recorded sentence; `names` are several, one after the other."""
        return ", ".join(map(self.told, value.split(", "))) if name == "names" else self.told(value)


ENGLISH = Words("en")


@cache
def _of_reports() -> list[tuple[re.Pattern[str], str]]:
    return _compiled(RECORDED)


def _compiled(recorded: Mapping[str, str]) -> list[tuple[re.Pattern[str], str]]:
    """The recorded templates as patterns, each name standing for at least one character."""
    made: list[tuple[re.Pattern[str], str]] = []
    for english, chinese in recorded.items():
        parts = re.split(r"\{(\w+)\}", english)
        text = "".join(f"(?P<{part}>.+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
        made.append((re.compile(text, re.DOTALL), chinese))
    return made
