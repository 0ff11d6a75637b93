"""Why an upload that comes in pieces cannot go on."""

from __future__ import annotations

from modules.errors import TranscriberError, noted

_ANEW = noted("Begin a new one with POST /files.")


def wrong_offset(there: int | None, offset: int) -> TranscriberError:
    return TranscriberError(
        "wrong_offset",
        noted("The upload goes on at byte {there}, not at {offset}.", there=there, offset=offset),
        remedy=noted("Ask with HEAD how far it is."),
    )


def finished(name: str) -> TranscriberError:
    return TranscriberError(
        "upload_finished",
        noted("The upload is complete, and has become {name!r}.", name=name),
        remedy=noted("Delete the recording with DELETE /transcribe."),
    )


def unknown() -> TranscriberError:
    message = noted("There is no such upload: it was cancelled, has expired, or never was.")
    return TranscriberError("upload_not_found", message, remedy=_ANEW)


def expired() -> TranscriberError:
    message = noted("Nothing came for a day, so the upload is removed.")
    return TranscriberError("upload_expired", message, remedy=_ANEW)


def lost() -> TranscriberError:
    message = noted("The file of the upload is no longer there, or not what was sent.")
    return TranscriberError("upload_not_found", message, remedy=_ANEW)


def too_many(count: int, most: int) -> TranscriberError:
    return TranscriberError(
        "too_many_uploads",
        noted("{count} uploads are unfinished; there may be {most}.", count=count, most=most),
        remedy=noted("Finish them, or cancel them with DELETE; they expire after a day."),
    )


def no_room(length: int, free: int, rest: int) -> TranscriberError:
    return TranscriberError(
        "no_room",
        noted(
            "The disk has no room for {length} bytes: {free} are free, {rest} of them for uploads "
            "under way.",
            length=length,
            free=free,
            rest=rest,
        ),
        remedy=noted("Make room, or send less."),
    )
