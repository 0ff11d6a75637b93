"""Texts that a person reads: English sentences that can still be said in another language.

``noted("There is no file {name!r}.", name=name)`` is that English sentence, a ``str`` like any
other, that remembers its template and its values. It is translated where it is shown: by
``translated(text, "ru")``, or in the terminal by ``in_locale(text)``. A plain ``str`` stays as it
is. Templates are looked up with gettext; ``make messages`` collects them.
"""

from __future__ import annotations

import functools
import gettext
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from modules import PACKAGE_FOLDER

#: The languages that there are catalogues for, besides the English of the code.
LANGUAGES = ("en", "ru")
#: What the setting ``language`` of a recording can be besides.
_NO_LANGUAGE = ("", "auto", "mixed")
DOMAIN = "transcriber"
#: ``LANGUAGE/LC_MESSAGES/transcriber.po``, and what ``make messages`` compiles from it.
CATALOGUES = PACKAGE_FOLDER / "locale"

#: What others may have written into a file of ours: larger is not ours.
_DEPTH_MAX, _VALUES_MAX, _CHARS_MAX = 6, 60, 4000
_TEMPLATE_CHARS_MAX = 8000
#: The template of texts that are only put together, see ``joined``.
_ONLY_JOINED = re.compile(r"(\{p[0-9]+\}|[\s:;,.|–()])*")

Lookup = Callable[[str], str]


class Message(str):
    """An English text with the template and the values that it was made of."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, Any]

    def through(self, lookup: Lookup) -> str:
        """The text in the language of a catalogue; in English if its translation does not fit."""
        if not self.values:
            return lookup(self.template) if self.template else ""
        values = {key: _through(value, lookup) for key, value in self.values.items()}
        try:
            return lookup(self.template).format(**values)
        except (ValueError, LookupError, AttributeError, TypeError):
            return str(self)

    def to_json(self) -> dict[str, Any]:
        """For a state file, or for another process; ``from_json`` reads it."""
        values = {
            key: value.to_json() if isinstance(value, Message) else value
            for key, value in self.values.items()
        }
        return {"text": self.template, "values": values}


def noted(template: str, /, **values: Any) -> Message:
    """A message that is translated where it is shown, not where it is defined.

    Without values the template may hold braces, to be filled in after the translation.
    """
    kept = {key: _plain(value) for key, value in values.items()}
    message = Message(template.format(**kept) if kept else template)
    message.template, message.values = str(template), kept
    return message


def joined(separator: str, *parts: str | None) -> Message:
    """Several texts as one; each keeps its own translation. Empty parts are left out."""
    found = [part for part in parts if part]
    if len(found) == 1 and isinstance(found[0], Message):
        return found[0]
    template = separator.join(f"{{p{number}}}" for number in range(len(found)))
    return noted(template, **{f"p{number}": part for number, part in enumerate(found)})


def translated(text: str, language: str) -> str:
    """A text in ``en`` or ``ru``."""
    if not isinstance(text, Message) or language == "en":
        return str(text)
    return text.through(_catalogue(language).gettext)


def in_locale(text: str) -> str:
    """A text in the language of the command line, see ``cli/translation.py``."""
    return text.through(gettext.gettext) if isinstance(text, Message) else text


def template_of(text: str | None) -> dict[str, Any] | None:
    """What ``restored`` needs; None for a text that is no Message, or a huge one."""
    if not isinstance(text, Message) or _is_plain(text):
        return None
    template = text.to_json()
    return template if len(str(template)) <= _TEMPLATE_CHARS_MAX else None


def restored(text: str, template: object) -> str:
    """A text that was written down with its ``template_of``, as it was before."""
    message = from_json(template) if template else None
    return text if message is None else message


def language_of_texts(wished: str, *spoken: object) -> str:
    """The language of a text beside a recording: ``en`` or ``ru``.

    ``wished``: the setting ``messages.language``. Where that is ``auto``, the first of ``spoken``
    that is a language decides: what is set for the recording, then what was detected in it.
    """
    if wished in LANGUAGES:
        return wished
    known = (each for each in spoken if isinstance(each, str) and each not in _NO_LANGUAGE)
    return "ru" if next(known, "en") == "ru" else "en"


def from_json(content: object, depth: int = 0) -> Message | None:
    """What ``to_json`` gave, or None. Anybody may have written it, so it has to be one of ours."""
    if not isinstance(content, Mapping) or depth > _DEPTH_MAX:
        return None
    template, values = content.get("text"), content.get("values")
    if not isinstance(template, str) or not isinstance(values, Mapping):
        return None
    if not (_is_ours(template) and len(values) <= _VALUES_MAX):
        return None
    read = {str(key): _value(value, depth) for key, value in values.items()}
    if None in read.values() or ("{" in template and not read):
        return None
    try:
        return noted(template, **read)
    except (ValueError, LookupError, AttributeError, TypeError):
        return None


def _value(value: object, depth: int) -> str | int | float | None:
    if isinstance(value, Mapping):
        return from_json(value, depth + 1)
    if isinstance(value, str):
        return value if len(value) <= _CHARS_MAX else None
    if isinstance(value, int | float):
        return value if math.isfinite(value) and abs(value) < 1e18 else None
    return None


def _is_ours(template: str) -> bool:
    if len(template) > _CHARS_MAX:
        return False
    return template in _msgids() or bool(_ONLY_JOINED.fullmatch(template))


def _is_plain(message: Message) -> bool:
    """Whether it is only put together, of nothing that has a translation."""
    if not _ONLY_JOINED.fullmatch(message.template):
        return False
    parts = (each for each in message.values.values() if isinstance(each, Message))
    return all(map(_is_plain, parts))


def _plain(value: Any) -> Any:
    """Only what JSON can hold, so that a message is the same after it was written and read."""
    return value if isinstance(value, str | int | float) else str(value)


def _through(value: Any, lookup: Lookup) -> Any:
    return value.through(lookup) if isinstance(value, Message) else value


@functools.cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, str(CATALOGUES), [language], fallback=True)


@functools.cache
def _msgids() -> frozenset[str]:
    """Every template that has a translation."""
    catalogue: Mapping[object, str] = getattr(_catalogue("ru"), "_catalog", {})
    return frozenset(key for key in catalogue if isinstance(key, str) and key)
