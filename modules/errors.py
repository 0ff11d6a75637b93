"""What can go wrong, and whether trying again can mend it.

One base class; a subclass exists only where a caller acts on it.
"""

from __future__ import annotations

import errno

from modules.messages import Message as Message
from modules.messages import joined as joined
from modules.messages import noted as noted

#: What is kept of an error, in characters: a state with a hundred of them must stay readable.
CODE_CHARS, MESSAGE_CHARS, DETAILS_CHARS = 100, 1500, 3000


class TranscriberError(Exception):
    """A failure with a stable code, a plain message and, where there is one, a remedy.

    ``permanent`` says that a retry cannot mend it; such a file goes to ``manual/`` at once.
    """

    permanent = False

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: str | None = None,
        remedy: str | None = None,
        permanent: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.remedy = remedy
        if permanent is not None:
            self.permanent = permanent

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """Message and remedy; a Message if they are, as is what ``str`` gives."""
        return joined(" ", self.message, self.remedy)


class ConfigError(TranscriberError):
    """The configuration cannot be used; ``problems`` holds every complaint, one line each."""

    permanent = True

    def __init__(self, problems: list[str]) -> None:
        super().__init__("invalid_configuration", joined("\n", *problems))
        self.problems = problems


class MediaError(TranscriberError):
    """The recording itself is at fault: not media, no sound in it, over a limit."""

    permanent = True


class ModelError(TranscriberError):
    """The weights that were asked for are not on this machine, or are not what they should be."""


class WorkerError(TranscriberError):
    """The WhisperX process failed, died, hung or ran out of its time: the attempt counts."""


class NodeLostError(TranscriberError):
    """The machine of a worker is gone: the attempt is interrupted, and counts from the third on."""


class ClusterAwayError(TranscriberError):
    """The machines that do the work cannot be reached. Never counts as an attempt; waits."""


class StorageError(TranscriberError):
    """The folder cannot be read or written at the moment. Never counts as an attempt; waits."""


class LockHeldError(TranscriberError):
    """Another transcriber, or a foreign whisperx process, is at work."""


#: What systems say most when a file or an address cannot be used.
_REASONS = {
    errno.EACCES: noted("Permission denied"),
    errno.EADDRINUSE: noted("Address already in use"),
    errno.EADDRNOTAVAIL: noted("Cannot assign requested address"),
    errno.ECONNREFUSED: noted("Connection refused"),
    errno.ECONNRESET: noted("Connection reset by peer"),
    errno.EHOSTUNREACH: noted("No route to host"),
    errno.EIO: noted("Input/output error"),
    errno.EISDIR: noted("Is a directory"),
    errno.ELOOP: noted("Too many levels of symbolic links"),
    errno.EMFILE: noted("Too many open files"),
    errno.ENAMETOOLONG: noted("File name too long"),
    errno.ENOENT: noted("No such file or directory"),
    errno.ENOSPC: noted("No space left on device"),
    errno.ENOTDIR: noted("Not a directory"),
    errno.EPERM: noted("Operation not permitted"),
    errno.EROFS: noted("Read-only file system"),
    errno.ESTALE: noted("Stale file handle"),
    errno.ETIMEDOUT: noted("Connection timed out"),
}


def reason_of(error: OSError) -> str:
    """Why a call of the system failed; in the system's own words where they are rare."""
    if type(error).__module__ == "ssl":  # its numbers are others
        return error.strerror or str(error)
    return _REASONS.get(error.errno or 0) or error.strerror or str(error)


def shortened(text: str, most: int) -> str:
    """The text, or its two ends: the last lines of a traceback say the most."""
    if len(text) <= most:
        return text
    half = (most - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"
