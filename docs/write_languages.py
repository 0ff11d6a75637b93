"""Writes modules/config/language_names.py: ``python -m docs.write_languages``.

Codes and names come from the Unicode CLDR, as Babel carries it: ISO 639-2 and 639-3 codes,
deprecated ones, and each language's name in English, in Russian and in itself.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from babel import Locale
from babel.core import get_global
from babel.localedata import locale_identifiers

from modules.config.languages import LANGUAGES

PAGE = Path(__file__).resolve().parent.parent / "modules" / "config" / "language_names.py"
LOCALES = frozenset(locale_identifiers())
#: Where Whisper's code is another one than CLDR's, or where it hears both as one language.
_AS_WHISPER_SAYS = {"jv": "jw", "fil": "tl", "nb": "no", "nor": "no"}
_HEAD = '''"""Other codes and names of Whisper's languages. Written by ``docs/write_languages.py``.

From the Unicode CLDR (https://cldr.unicode.org): ISO 639-2, 639-3 and deprecated codes, then names
in English, in Russian and in the language itself. Copyright Unicode, Inc., under the Unicode
License (https://www.unicode.org/license.txt).
"""

#: By Whisper's code; separated by ``|``.
NAMES: dict[str, str] = {
'''


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The module, made anew."""
    return _HEAD + "".join(_entry(code) for code in LANGUAGES) + "}\n"


def _entry(code: str) -> str:
    known = [
        word for word in dict.fromkeys([*_codes(code), *_names(code)]) if word and word != code
    ]
    entry = f'    "{code}": "{"|".join(known)}",\n'
    if len(entry) <= 101:
        return entry
    lines = textwrap.wrap("|".join(known).replace(" ", "\0").replace("|", "| "), 84)
    texts = [line.replace(" ", "").replace("\0", " ") for line in lines]
    return f'    "{code}": (\n' + "".join(f'        "{text}"\n' for text in texts) + "    ),\n"


def _whisper(code: str) -> str:
    plain = code.partition("_")[0]
    return _AS_WHISPER_SAYS.get(plain, plain)


def _codes(code: str) -> Iterator[str]:
    """Every other code of a language, without those that name a region, too."""
    aliases = get_global("language_aliases") | _AS_WHISPER_SAYS
    for alias, meant in sorted(aliases.items(), key=lambda pair: (len(pair[0]), pair[0])):
        if alias.isalpha() and alias not in LANGUAGES and _whisper(meant) == code:
            yield alias


def _names(code: str) -> Iterator[str]:
    spellings = [each for each in Locale("en").languages if _whisper(each) == code]
    for locale in (Locale("en"), Locale("ru")):
        yield from (locale.languages[each] for each in spellings if each in locale.languages)
    for each in spellings:
        if "_" not in each and each in LOCALES:
            yield Locale(each).languages.get(each, "")


if __name__ == "__main__":
    main()
