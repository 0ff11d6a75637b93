"""Why a file is refused, in words for the person who put it there."""

from __future__ import annotations

import struct

from modules.audio.source import Source
from modules.errors import MediaError, Message, joined, noted
from modules.storage import file_kind

RESEND = noted(
    "Play the file on a computer to check it; if it plays, export it again as MP3 or WAV."
)

#: First bytes of recordings: a file that has them and cannot be read is damaged.
_RECORDINGS = (b"RIFF", b"OggS", b"fLaC", b"ID3", b"\x1aE\xdf\xa3", b"#!AMR", b"FORM", b"FLV")


def describe(head: bytes) -> Message | None:
    """What a file that is not media seems to be, by its first bytes; None if unrecognisable."""
    if head and not head.strip(b"\0"):
        return noted("a file of zeros, as a download or copy leaves it that never finished")
    kind = file_kind.kind_of(head)
    return noted(kind) if kind else None


def not_media(source: Source, details: str | None = None) -> MediaError:
    """The refusal for a file in which no known kind of recording is found."""
    head = source.peek(4096)
    if is_unfinished(source):
        return _unfinished(details)
    if head.startswith(_RECORDINGS) or head[4:8] == b"ftyp":
        message = noted("The file begins like a recording, but what follows is damaged.")
    else:
        kind = describe(head)
        looks = (
            noted("It looks like {kind}.", kind=kind)
            if kind
            else noted("Its content is no known kind of recording.")
        )
        message = joined(" ", noted("This is not an audio or video file."), looks)
    return MediaError("not_media", message, details=details, remedy=RESEND)


def not_readable(source: Source, details: str) -> MediaError:
    """For an error inside a library: it names the file's beginning for whoever reads it."""
    return MediaError(
        "not_media",
        noted(
            "The file cannot be read as a recording; it begins with {bytes}.",
            bytes=source.peek(12).hex(" "),
        ),
        details=details,
        remedy=RESEND,
    )


def is_unfinished(source: Source) -> bool:
    """Whether this is an MP4 or MOV file whose recorder never got to write the index."""
    kind = source.peek(8)[4:]
    return kind in (b"ftyp", b"mdat", b"wide", b"free", b"moov") and not _has_index(source)


def _has_index(source: Source) -> bool:
    """Whether all of the ``moov`` box is there, which is written when a recorder stops."""
    offset = 0
    for _ in range(10_000):
        header = source.peek(16, offset)
        if len(header) < 8:
            return False
        size, kind = struct.unpack(">I4s", header[:8])
        if size == 1 and len(header) == 16:
            size = struct.unpack(">Q", header[8:])[0]
        if size < 8 or offset + size > source.size:
            return False
        if kind == b"moov":
            return True
        offset += size
    return False


def _unfinished(details: str | None) -> MediaError:
    return MediaError(
        "unfinished_file",
        noted("The recording was cut off before it was finished: the index at its end is missing."),
        details=details,
        remedy=noted(
            "Copy the file again from where it was made; if it is broken there too, a "
            "repair tool for MP4 recordings may help."
        ),
    )


def empty_file() -> MediaError:
    return MediaError(
        "empty_file", noted("The file is empty."), remedy=noted("Copy the recording again.")
    )


def no_audio() -> MediaError:
    return MediaError(
        "no_audio",
        noted("The file has no sound track."),
        remedy=noted("Check that the recording was made with the microphone on."),
    )


def no_sound_decoded(details: str | None = None) -> MediaError:
    return MediaError(
        "no_sound_decoded",
        noted("The file has a sound track, but no sound could be read from it."),
        details=details,
        remedy=RESEND,
    )


def encrypted() -> MediaError:
    return MediaError(
        "encrypted",
        noted("The recording is protected against copying (DRM) and cannot be read."),
        remedy=noted("Use an unprotected copy."),
    )


def unsupported_codec(name: str) -> MediaError:
    return MediaError(
        "unsupported_codec",
        noted("The sound is stored in a way that cannot be read here ({name}).", name=name),
        remedy=noted("Export the recording again as MP3, M4A or WAV."),
    )


def too_long(duration_s: float, limit_s: float) -> MediaError:
    return MediaError(
        "too_long",
        noted(
            "The recording lasts {duration_s} or more; the longest allowed is {limit_s}.",
            duration_s=clock_time(duration_s),
            limit_s=clock_time(limit_s),
        ),
        remedy=noted("Split it into shorter parts."),
    )


def inflated(duration_s: float, size: int) -> MediaError:
    return MediaError(
        "inflated",
        noted(
            "{size} bytes unpack to {duration_s} of sound and more, which is far more "
            "than any recording of that size holds.",
            size=size,
            duration_s=clock_time(duration_s),
        ),
        remedy=RESEND,
    )


def too_many_channels(channels: int, limit: int) -> MediaError:
    return MediaError(
        "too_many_channels",
        noted(
            "The recording claims {channels} channels; at most {limit} are read.",
            channels=channels,
            limit=limit,
        ),
        remedy=noted("Export it again as mono or stereo."),
    )


def bad_sample_rate(rate: int) -> MediaError:
    return MediaError(
        "bad_sample_rate",
        noted("The recording claims {rate} samples per second, which no recording has.", rate=rate),
        remedy=RESEND,
    )


def oversized_packet(size: int) -> MediaError:
    return MediaError(
        "oversized",
        noted("One piece of the recording claims {size} MB.", size=size // 2**20),
        remedy=RESEND,
    )


def clock_time(seconds: float) -> str:
    """``h:mm:ss``, for messages."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
