"""Warnings: what a reader of a text must know of it. Pure.

They are data in ``metadata.warnings`` of ``.result``, and sentences in the text, the log and
``status``. A new kind is a row of ``_SENTENCES`` and a ``warning(...)`` in ``result.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.messages import language_of_texts

#: By code and language. Places in braces are the values of a warning.
_SENTENCES: Mapping[str, Mapping[str, str]] = {
    "other_language": {
        "en": "The speech sounds like another language ({heard}) than the one that was set "
        "({asked}), so the text may be wrong.",
        "ru": "Похоже, язык речи ({heard}) отличается от заданного ({asked}): "
        "текст может быть неверным.",
    },
    "incomplete": {
        "en": "The recording is damaged or incomplete: only what could be read was transcribed.",
        "ru": "Запись повреждена или неполна: расшифровано только то, что удалось прочитать.",
    },
    "track_left_out": {
        "en": "Sound track {track} of {tracks} was not transcribed.",
        "ru": "Не расшифрована звуковая дорожка {track} из {tracks}.",
    },
    "speech_without_text": {
        "en": "{seconds} s of speech from {at} on gave no text.",
        "ru": "Не удалось расшифровать {seconds} с речи, начиная с {at}.",
    },
}
LANGUAGES = ("ru", "en")


def warning(code: str, **values: Any) -> dict[str, Any]:
    """A warning for ``metadata.warnings``. Raises KeyError for an unknown code or a missing value.

    Times in ``values`` are texts such as ``00:03:10``.
    """
    return {"code": code, "message": _SENTENCES[code]["en"].format_map(values), **values}


def warnings_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The warnings of a ``.result``; invalid ones are left out, as users may edit the file."""
    metadata = result.get("metadata")
    listed = metadata.get("warnings") if isinstance(metadata, dict) else None
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def sentence(warning: Mapping[str, Any], language: str) -> str:
    """One plain sentence in ``en`` or ``ru``; of an unknown kind, its English message."""
    forms = _SENTENCES.get(str(warning.get("code")), {})
    try:
        text = forms[language].format_map(warning)
    except (KeyError, ValueError, AttributeError, IndexError):
        text = str(warning.get("message", ""))
    return " ".join(text.split())


def text_note(result: Mapping[str, Any], wished: str = "auto") -> str:
    """The last line of a txt: all warnings in brackets, or nothing.

    ``wished``: the setting ``messages.language``. Where that is ``auto``: in Russian if the set or
    the detected language is Russian, in English if one of them is English, so in both if they
    differ in this way; in English for all other languages.
    """
    found = warnings_of(result)
    languages = [each for each in LANGUAGES if each in _languages(result)] or ["en"]
    if wished in LANGUAGES:
        languages = [wished]
    texts = [sentence(each, language) for language in languages for each in found]
    said = " ".join(filter(None, dict.fromkeys(texts)))
    return f"[{said}]" if said else ""


def reader_language(result: Mapping[str, Any], wished: str = "auto") -> str:
    """The language of the names of speakers in a text, see ``language_of_texts``."""
    return language_of_texts(wished, *_languages(result))


def _languages(result: Mapping[str, Any]) -> tuple[object, ...]:
    settings, metadata = result.get("settings"), result.get("metadata")
    settings = settings if isinstance(settings, dict) else {}
    metadata = metadata if isinstance(metadata, dict) else {}
    return settings.get("language"), metadata.get("language"), metadata.get("language_detected")
