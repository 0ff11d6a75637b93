"""Text that is not UTF-8, from the code page of the client's Windows. Pure.

No header says which page it is. The letters do, mostly: in a wrong page, words mix capitals with
small letters, letters with signs, or two alphabets.
"""

from __future__ import annotations

import re
import unicodedata

#: What is tried first where this language is expected; the rest is tried for any.
_EXPECTED = {
    **dict.fromkeys("pl cs sk hu ro hr sl sq bs".split(), ("cp1250", "cp852")),
    **dict.fromkeys("lt lv et".split(), ("cp1257",)),
    **dict.fromkeys("ar fa ur".split(), ("cp1256",)),
    "el": ("cp1253",),
    "tr": ("cp1254",),
    "he": ("cp1255",),
    "vi": ("cp1258",),
    "th": ("cp874",),
    "ja": ("cp932",),
    "ko": ("cp949",),
    "zh": ("gb18030", "big5"),
}
#: Cyrillic of Windows, of its console, of old Unix; then Western and Central Europe.
_ANY = ("cp1251", "cp866", "koi8-r", "cp1252", "cp1250")

_WORD = re.compile(r"[^\W\d_]+")
#: Signs beyond ASCII that stand in names.
_SIGNS = frozenset("\xa0«»№–—…‘’“”„°§©®")


def decoded(raw: bytes, language: str = "") -> str | None:
    """UTF-8 or, if it is none, what the letters tell; None if nobody can know.

    ``language``: the code of the one that is expected, as the recording's is.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        expected = _EXPECTED.get(language, ())
    for page in dict.fromkeys((*expected, *_ANY)):
        text = _in_page(raw, page)
        if text is not None and _is_plausible(text, page in expected):
            return text
    return None


def _in_page(raw: bytes, page: str) -> str | None:
    try:
        return raw.decode(page)
    except UnicodeDecodeError:
        return None


def _is_plausible(text: str, is_expected: bool) -> bool:
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    signs = _WORD.sub("", text)
    return (
        bool(words)
        and all(sign.isascii() or sign in _SIGNS for sign in signs)
        and text.isprintable()
        and all(_is_word(word) for word in words)
        and (is_expected or all(_has_ascii(word) for word in words))
    )


def _has_ascii(word: str) -> bool:
    """Latin words have letters of ASCII too: at least as many as others."""
    is_latin = unicodedata.name(word[0], "").startswith("LATIN")
    return not is_latin or 2 * sum(letter.isascii() for letter in word) >= len(word)


def _is_word(word: str) -> bool:
    """Of one alphabet, in small letters, in capitals, or with one capital in front."""
    alphabets = {unicodedata.name(letter, "").partition(" ")[0] for letter in word}
    if len(alphabets) > 1 and not alphabets <= {"CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH"}:
        return False
    rest = word[1:]
    return word == word.lower() or word == word.upper() or rest == rest.lower()
