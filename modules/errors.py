"""What can go wrong, and whether trying again can mend it.

One base class; a subclass exists only where a caller acts on it.
"""

from __future__ import annotations

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
        return f"{self.message} {self.remedy}" if self.remedy else self.message


class ConfigError(TranscriberError):
    """The configuration cannot be used; ``problems`` holds every complaint, one line each."""

    permanent = True

    def __init__(self, problems: list[str]) -> None:
        super().__init__("invalid_configuration", "\n".join(problems))
        self.problems = problems


class MediaError(TranscriberError):
    """The recording itself is at fault: not media, no sound in it, over a limit."""

    permanent = True


class ModelError(TranscriberError):
    """The weights that were asked for are not on this machine, or are not what they should be."""


class WorkerError(TranscriberError):
    """The WhisperX process failed, died, hung or ran out of its time: the attempt counts."""


class StorageError(TranscriberError):
    """The folder cannot be read or written at the moment. Never counts as an attempt; waits."""


class LockHeldError(TranscriberError):
    """Another transcriber, or a foreign whisperx process, is at work."""


def shortened(text: str, most: int) -> str:
    """The text, or its two ends: the last lines of a traceback say the most."""
    if len(text) <= most:
        return text
    half = (most - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def noted(message: str) -> str:
    """Mark a message that is translated where it is shown, not where it is defined."""
    return message
