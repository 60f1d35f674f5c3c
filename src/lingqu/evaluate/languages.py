"""Which languages a column of text is in, as far as a model card needs to know: Chinese, English, or unsaid.

>>> languages(["The service was slow, and the food came cold to the table."] * 3)
['en']
>>> languages(["服务很慢，菜也凉了。", "The food came late and it was cold to the touch."])
['en', 'zh']
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Words that hold an English sentence together and are rare in other languages written in Latin letters.
_ENGLISH = frozenset(["the", "and", "of", "to", "is", "was", "for", "with", "that", "this", "it", "are", "have", "you"])
_WORD = re.compile(r"[A-Za-z']+")
_HAN, _KANA_OR_HANGUL = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")


def languages(texts: Iterable[str]) -> list[str]:
    """Language codes that a good share of the texts is in, in order of the alphabet."""
    listed = [text for text in texts if text][:500]
    chinese = sum(_is_chinese(text) for text in listed)
    english = sum(_is_english(text) for text in listed)
    return [code for code, rows in (("en", english), ("zh", chinese)) if listed and rows / len(listed) >= 0.2]


def _is_chinese(text: str) -> bool:
    return len(_HAN.findall(text)) >= 0.2 * len(text) and not _KANA_OR_HANGUL.search(text)


def _is_english(text: str) -> bool:
    words = [word.lower() for word in _WORD.findall(text)]
    return sum(word in _ENGLISH for word in words) >= max(1, 0.08 * len(words)) and not _is_chinese(text)
