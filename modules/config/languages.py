"""The languages that Whisper knows: its codes, their English names, and how else people write them.

``language_of`` understands what comes from forms, players and other programs' settings.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Iterator

from modules.config.language_names import NAMES
from modules.messages import noted

#: As in OpenAI's tokenizer, in its order. ``yue`` came with large-v3.
LANGUAGES: dict[str, str] = {
    "en": "english",
    "zh": "chinese",
    "de": "german",
    "es": "spanish",
    "ru": "russian",
    "ko": "korean",
    "fr": "french",
    "ja": "japanese",
    "pt": "portuguese",
    "tr": "turkish",
    "pl": "polish",
    "ca": "catalan",
    "nl": "dutch",
    "ar": "arabic",
    "sv": "swedish",
    "it": "italian",
    "id": "indonesian",
    "hi": "hindi",
    "fi": "finnish",
    "vi": "vietnamese",
    "he": "hebrew",
    "uk": "ukrainian",
    "el": "greek",
    "ms": "malay",
    "cs": "czech",
    "ro": "romanian",
    "da": "danish",
    "hu": "hungarian",
    "ta": "tamil",
    "no": "norwegian",
    "th": "thai",
    "ur": "urdu",
    "hr": "croatian",
    "bg": "bulgarian",
    "lt": "lithuanian",
    "la": "latin",
    "mi": "maori",
    "ml": "malayalam",
    "cy": "welsh",
    "sk": "slovak",
    "te": "telugu",
    "fa": "persian",
    "lv": "latvian",
    "bn": "bengali",
    "sr": "serbian",
    "az": "azerbaijani",
    "sl": "slovenian",
    "kn": "kannada",
    "et": "estonian",
    "mk": "macedonian",
    "br": "breton",
    "eu": "basque",
    "is": "icelandic",
    "hy": "armenian",
    "ne": "nepali",
    "mn": "mongolian",
    "bs": "bosnian",
    "kk": "kazakh",
    "sq": "albanian",
    "sw": "swahili",
    "gl": "galician",
    "mr": "marathi",
    "pa": "punjabi",
    "si": "sinhala",
    "km": "khmer",
    "sn": "shona",
    "yo": "yoruba",
    "so": "somali",
    "af": "afrikaans",
    "oc": "occitan",
    "ka": "georgian",
    "be": "belarusian",
    "tg": "tajik",
    "sd": "sindhi",
    "gu": "gujarati",
    "am": "amharic",
    "yi": "yiddish",
    "lo": "lao",
    "uz": "uzbek",
    "fo": "faroese",
    "ht": "haitian creole",
    "ps": "pashto",
    "tk": "turkmen",
    "nn": "nynorsk",
    "mt": "maltese",
    "sa": "sanskrit",
    "lb": "luxembourgish",
    "my": "myanmar",
    "bo": "tibetan",
    "tl": "tagalog",
    "mg": "malagasy",
    "as": "assamese",
    "tt": "tatar",
    "haw": "hawaiian",
    "ln": "lingala",
    "ha": "hausa",
    "ba": "bashkir",
    "jw": "javanese",
    "su": "sundanese",
    "yue": "cantonese",
}

#: Every code that a request may name.
LANGUAGE_CODES: frozenset[str] = frozenset(LANGUAGES)

#: Words for what is no single language: BCP 47 has ``und`` and ``mul``.
_MODES = {
    "auto": "auto automatic autodetect auto-detect detect und",
    "mixed": "mixed multiple mul",
}

#: Names that Whisper itself takes, others in wide use, and dialects that it hears as a language.
_FURTHER = {
    "ar": "arz ary apc ajp aeb acm afb ars apd acw",
    "bn": "bengali",
    "ca": "valencian",
    "es": "castilian castellano",
    "fa": "farsi",
    "ht": "haitian",
    "jw": "basa_jawa",
    "lb": "letzeburgesch",
    "my": "burmese",
    "no": "bokmål",
    "nn": "norwegian_nynorsk",
    "pa": "panjabi",
    "ps": "pushto",
    "ro": "moldovan",
    "si": "sinhalese",
    "yue": "廣東話 广东话",
    "zh": "mandarin mandarin_chinese putonghua 汉语 漢語 普通话 國語",
}

#: Codes of countries that are no codes of languages, and are written as such all the same.
_COUNTRIES = {
    "cn": "zh", "cz": "cs", "dk": "da", "gr": "el", "jp": "ja", "kz": "kk", "ua": "uk", "vn": "vi",
}  # fmt: skip

#: Codes of languages that Whisper does not know; who writes one may mean the country.
_PERHAPS = {
    "ee": "et", "ir": "fa", "kr": "ko", "rs": "sr", "se": "sv", "tw": "zh", "us": "en", "gb": "en",
}  # fmt: skip

#: RFC 5646: a language, perhaps an extended one, then script, region, variants and extensions.
#: Where Whisper's code is another one.
_ISO_639_1 = {"jw": "jv"}

_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(-(?P<extended>[a-z]{3}))?(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?"
    r"(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(-[a-wyz0-9](-[a-z0-9]{2,8})+)*(-x(-[a-z0-9]{1,8})+)?"
)
#: What POSIX adds to a locale: ``ru_RU.UTF-8``, ``sr_RS@latin``.
_POSIX = re.compile(r"[.@].*")
_LONGEST = 100


def language_of(text: str) -> str | None:
    """The code of Whisper, ``auto`` or ``mixed`` that a text means; None if that is not known.

    A code of ISO 639-1, -2 or -3, a deprecated one too, a tag of BCP 47, a locale, or a name in
    English, in Russian or in the language itself.
    """
    word = _folded(text)
    if len(word) > _LONGEST:
        return None
    return _spellings().get(word) or _of_tag(word) or _of_name_with_more(word)


def subtitle_code(language: str) -> str:
    """What names of subtitles have for one of Whisper's codes: that of ISO 639-1, where the
    language has one."""
    return _ISO_639_1.get(language, language)


@functools.cache
def subtitle_codes() -> frozenset[str]:
    """Every answer of ``subtitle_code``."""
    return frozenset(map(subtitle_code, LANGUAGES))


def language_hint(text: str) -> str:
    """``; did you mean ko?`` for what is likely meant, or nothing."""
    word = _folded(text)[:_LONGEST]
    code = _PERHAPS.get(word)
    if code is None and len(word) > 3:
        near = difflib.get_close_matches(word, list(_spellings()), n=1, cutoff=0.7)
        code = _spellings()[near[0]] if near else None
    return noted("; did you mean {word}?", word=code) if code else ""


def language_pattern() -> str:
    """What a schema can say of the other spellings: those in small Latin letters are a list."""
    plain = [word for word in _spellings() if re.fullmatch("[a-z]+", word)]
    return rf"^\s*$|[^a-z]|^({'|'.join(plain)})$"


def _of_tag(word: str) -> str | None:
    tag = _TAG.fullmatch(_POSIX.sub("", word).replace("_", "-"))
    if tag is None:
        return None
    spellings = _spellings()
    return spellings.get(tag["extended"] or tag["language"])


def _of_name_with_more(word: str) -> str | None:
    """``Portuguese (Brazil)``."""
    name, bracket, _ = word.partition("(")
    return _spellings().get(name.strip()) if bracket else None


@functools.cache
def _spellings() -> dict[str, str]:
    """The code of each spelling. A code of Whisper goes before whatever else it could mean."""
    found: dict[str, str] = {}
    for spelling, code in _all_spellings():
        found.setdefault(_folded(spelling), code)
    return found


def _all_spellings() -> Iterator[tuple[str, str]]:
    yield from ((code, code) for code in LANGUAGES)
    for mode, words in _MODES.items():
        yield from ((word, mode) for word in words.split())
    for code, name in LANGUAGES.items():
        yield from ((each, code) for each in (name, *NAMES.get(code, "").split("|")))
    for code, words in _FURTHER.items():
        yield from ((word.replace("_", " "), code) for word in words.split())
    yield from _COUNTRIES.items()


def _folded(text: str) -> str:
    """Without case, marks above letters and needless blanks: ``Español`` is ``espanol``."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in apart if unicodedata.category(c) != "Mn").split())
