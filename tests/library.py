"""A library of films, as Jellyfin wants its folders: small, but real files of many kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np

RATE = 16_000
#: What a player, a scraper and a downloader leave beside a film.
COMPANIONS = ("poster.jpg", "movie.nfo", "Thumbs.db")

#: By ending: container, codec of the picture, codec of the sound.
KINDS: Mapping[str, tuple[str, str, str]] = {
    "mkv": ("matroska", "mpeg4", "aac"),
    "mp4": ("mp4", "mpeg4", "aac"),
    "avi": ("avi", "mpeg4", "libmp3lame"),
    "mov": ("mov", "mpeg4", "aac"),
    "m4v": ("mp4", "mpeg4", "aac"),
    "webm": ("webm", "libvpx", "libopus"),
    "ts": ("mpegts", "mpeg2video", "aac"),
    "wmv": ("asf", "wmv2", "libmp3lame"),
}

_FILMS = (
    "Alien (1979)", "Брат (1997)", "Amélie (2001)", "Léon - The Professional (1994)",
    "8½ (1963)", "Сталкер (1979)", "The Good, the Bad and the Ugly (1966)", "M (1931)",
    "千と千尋の神隠し (2001)", "What's Up, Doc (1972)", "Se7en (1995) [1080p]",
    "Ёлки {imdb-tt1782568}", "Heat (1995)", "The Silent notmedia (1985)", "Up (2009)",
    "WALL·E (2008)",
)  # fmt: skip
#: It has no sound; the word in its name tells that to the stand-in for WhisperX.
WITHOUT_SOUND = "notmedia"
_SERIES = ("Fargo", "Шерлок Холмс", "Dark")


def film(
    path: Path,
    sounds: Sequence[np.ndarray] = (),
    languages: Sequence[str] = (),
) -> None:
    """A film of the kind that its ending says, with these sound tracks of 16 kHz."""
    container, picture_codec, sound_codec = KINDS[path.suffix[1:]]
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = max((len(each) / RATE for each in sounds), default=1.0)
    with av.open(str(path), "w", format=container) as out:
        picture = out.add_stream(picture_codec, rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        rate = 48_000 if sound_codec == "libopus" else RATE
        tracks = [out.add_stream(sound_codec, rate=rate, layout="mono") for _ in sounds]
        for track, language in zip(tracks, languages, strict=False):
            track.metadata["language"] = language
        for number in range(max(2, round(25 * seconds))):
            image = np.full((48, 64, 3), number * 5 % 255, np.uint8)
            for packet in picture.encode(av.VideoFrame.from_ndarray(image, "rgb24")):
                out.mux(packet)
        for packet in picture.encode(None):
            out.mux(packet)
        for track, sound in zip(tracks, sounds, strict=True):
            _add_sound(out, track, sound)


def _add_sound(out: av.container.OutputContainer, track: av.AudioStream, sound: np.ndarray) -> None:
    frame = av.AudioFrame.from_ndarray(
        (sound * 32767).astype(np.int16).reshape(1, -1), format="s16", layout="mono"
    )
    frame.sample_rate, frame.pts = RATE, 0
    resampler = av.AudioResampler(
        format=track.format.name, layout=track.layout.name, rate=track.rate,
        frame_size=track.codec_context.frame_size or 1024,
    )  # fmt: skip
    for piece in (*resampler.resample(frame), *resampler.resample(None)):
        for packet in track.encode(piece):
            out.mux(packet)
    for packet in track.encode(None):
        out.mux(packet)


def tone(seconds: float = 1.0, pitch: float = 220.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * pitch * np.arange(int(RATE * seconds)) / RATE)


def names() -> list[str]:
    """Of 30 films and episodes, with their folders, in many kinds of files."""
    endings = list(KINDS)
    found = [
        f"Films/{title}/{title}.{endings[number % len(endings)]}"
        for number, title in enumerate(_FILMS)
    ]
    episodes = [(show, season, n) for show in _SERIES for season in (1, 2) for n in (1, 2, 3)]
    found += [
        f"Series/{show}/Season {season:02}/{show} S{season:02}E{n:02}.{endings[i % 5]}"
        for i, (show, season, n) in enumerate(episodes)
    ]
    return found[:30]


def plant(root: Path, left_out: Sequence[str] = ()) -> list[str]:
    """Make the library, with what lies beside films; returns the names of the films."""
    made = names()
    for number, name in enumerate(made):
        path = root / name
        if name not in left_out:
            film(path, [] if WITHOUT_SOUND in name else [tone(pitch=150 + 10 * number)])
        path.parent.mkdir(parents=True, exist_ok=True)
        for companion in COMPANIONS:
            (path.parent / companion).write_bytes(b"\0theirs " + companion.encode())
    return made


def snapshot(root: Path) -> dict[str, tuple[str, int, int, int]]:
    """Every file outside of hidden folders: its content, mode, time and inode."""
    found = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not name.startswith("."):
            facts = path.stat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[name] = (digest, facts.st_mode, facts.st_mtime_ns, facts.st_ino)
    return found
