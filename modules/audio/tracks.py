"""Which sound tracks of a recording are meant, as far as their labels tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from av.audio.stream import AudioStream
from av.stream import Disposition

from modules.config.languages import language_of

Why = Literal["commentary", "language", "asked"]

#: Tracks with these marks speak about what is seen, or repeat another track for some listeners.
_ASIDE = (
    Disposition.comment
    | Disposition.visual_impaired
    | Disposition.hearing_impaired
    | Disposition.clean_effects
    | Disposition.karaoke
    | Disposition.lyrics
)
_ASIDE_WORDS = ("commentary", "comment", "комментар", "description", "тифло", "karaoke", "isolated")


@dataclass(frozen=True)
class Track:
    """``number``: its place among the sound tracks, from 0. ``language``: a code of Whisper's, None
    if the file does not say. ``sound_s``: where its sound should end, None if that is not known.
    ``is_best``: the one that players take. ``aside``: a commentary, a
    description for the blind or the like.
    """

    number: int
    language: str | None = None
    title: str = ""
    channels: int = 1
    sample_rate: int = 0
    is_best: bool = False
    sound_s: float | None = None
    aside: bool = False

    @classmethod
    def of(cls, number: int, stream: AudioStream, is_best: bool, sound_s: float | None) -> Track:
        labels = {key.lower(): value for key, value in stream.metadata.items()}
        title = labels.get("title") or labels.get("name") or ""
        return cls(
            number=number,
            language=_language(labels.get("language", "")),
            title=title,
            channels=stream.codec_context.channels,
            sample_rate=stream.codec_context.sample_rate,
            is_best=is_best,
            sound_s=sound_s,
            aside=bool(stream.disposition & _ASIDE)
            or any(word in title.lower() for word in _ASIDE_WORDS),
        )

    @property
    def label(self) -> str:
        """For people: ``2 (eng, Commentary)``, counted from 1."""
        words = ", ".join(word for word in (self.language, self.title) if word)
        return f"{self.number + 1} ({words})" if words else str(self.number + 1)


@dataclass(frozen=True)
class Unheard:
    """See ``LeftOut`` of ``transcript/model.py``, which says the same to the daemon."""

    what: Literal["track", "channel"]
    label: str
    count: int
    why: Why | Literal["simultaneous", "no_speech"]
    seconds: float | None = None


@dataclass(frozen=True)
class Choice:
    """The tracks to hear, and why others are left out: (track, ``why`` of ``LeftOut``)."""

    heard: tuple[Track, ...]
    left_out: tuple[tuple[Track, Why], ...] = ()


def choose(tracks: Sequence[Track], wanted: str, language: str) -> Choice:
    """``wanted``: the setting ``audio_tracks``. ``language``: the setting ``language``.

    A number or language that the file does not have is as if ``auto`` was set. What the labels
    leave open, which of the tracks speak, is decided by ``audio/mixing.py``.
    """
    if wanted == "all" or len(tracks) < 2:
        return Choice(tuple(tracks))
    if wanted.isdecimal() and (named := [t for t in tracks if t.number == int(wanted) - 1]):
        return _without(tracks, named, "asked")
    spoken = [track for track in tracks if not track.aside] or list(tracks)
    choice = _without(tracks, spoken, "commentary")
    asked = language if wanted == "auto" else wanted
    languages = {track.language for track in spoken if track.language}
    if not languages or (len(languages) == 1 and all(t.language for t in spoken)):
        return choice
    meant = [track for track in spoken if track.language == asked]
    if not meant and len(languages) > 1:
        first = next((track for track in spoken if track.is_best), spoken[0])
        meant = [track for track in spoken if track.language == first.language]
    if not meant:
        return choice
    return Choice(
        tuple(meant),
        (*choice.left_out, *((t, "language") for t in spoken if t not in meant)),
    )


def _without(tracks: Sequence[Track], heard: Sequence[Track], why: Why) -> Choice:
    return Choice(tuple(heard), tuple((track, why) for track in tracks if track not in heard))


def tag_of(stream: AudioStream) -> str:
    """The codec's tag; empty where it has bytes that PyAV cannot decode, as those of AVI do."""
    try:
        return str(stream.codec_tag)
    except UnicodeDecodeError:
        return ""


def _language(label: str) -> str | None:
    code = language_of(label)
    return None if code in ("auto", "mixed") else code
