"""One form for what was said and what was heard, by whomever: words only, numbers in words too."""

from __future__ import annotations

import re

from tests.speech import Language, normalised

_UNITS: dict[Language, list[str]] = {
    "ru": "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать "
    "тринадцать четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать".split(),
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen".split(),
}
_TENS: dict[Language, list[str]] = {
    "ru": "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто".split(),
    "en": "twenty thirty forty fifty sixty seventy eighty ninety".split(),
}
_HUNDREDS: dict[Language, list[str]] = {
    "ru": "сто двести триста четыреста пятьсот шестьсот семьсот восемьсот девятьсот".split(),
    "en": [f"{unit} hundred" for unit in _UNITS["en"][1:10]],
}


def spoken(text: str, language: Language) -> str:
    """``normalised``, with numbers in words: Whisper writes 5 where the reference says five.

    Whole numbers up to 999 become cardinals, in Russian in the nominative, longer ones are read
    digit by digit; a number meant in another form stays a difference.
    """
    words = re.sub(r"[0-9]+", lambda found: f" {_in_words(found[0], language)} ", text)
    return normalised(words)


def _in_words(digits: str, language: Language) -> str:
    if len(digits) > 3 or (len(digits) > 1 and digits[0] == "0"):
        return " ".join(_in_words(digit, language) for digit in digits)
    hundreds, rest = divmod(int(digits), 100)
    words = [_HUNDREDS[language][hundreds - 1]] if hundreds else []
    if rest >= 20:
        tens, rest = divmod(rest, 10)
        words.append(_TENS[language][tens - 2])
    if rest or not words:
        words.append(_UNITS[language][rest])
    return " ".join(words)
