"""What is asked of the running daemon through the folder, with an answer (decision 17).

``.transcriber/errands/ID.json`` asks, ``ID.answer`` answers. The daemon takes an errand away before
it carries it out, so that a crash never carries it out twice: a file that came meanwhile under the
same name would be deleted. Who gets no answer takes the errand back, and knows that nothing was
done if it was still there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from gettext import gettext as _
from pathlib import Path
from typing import Any

from modules.clock import Clock, iso
from modules.errors import TranscriberError
from modules.intake.intake import Removed
from modules.recordings.names import STATE_FOLDER
from modules.storage.atomic import parse_json, remove, storage_errors, to_json, write_whole

ERRAND, ANSWER = ".json", ".answer"
#: How long an answer is waited for, and after how long an errand is not carried out any more: it
#: was left behind by somebody who was killed. Between two machines, clocks may differ.
PATIENCE_S = 30.0
BELIEVED_S = 60.0
_LOOK_S = 0.05
#: How often one looks whether the daemon is still there.
_ALIVE_EVERY_S = 1.0


def folder(shared: Path) -> Path:
    return shared / STATE_FOLDER / "errands"


def removal(removed: Removed) -> dict[str, Any]:
    """What was deleted, in the words of the API."""
    return {
        "deleted_files": list(removed.deleted),
        "processing_interrupted": removed.interrupted,
        "removed_from_queue": removed.dequeued,
    }


def ask(
    shared: Path,
    errand: dict[str, str],
    clock: Clock,
    is_alive: Callable[[], bool],
    patience_s: float = PATIENCE_S,
) -> dict[str, Any]:
    """The daemon's answer to an errand.

    Raises TranscriberError: the daemon's own refusal, or ``no_answer``; StorageError.
    """
    place = folder(shared)
    with storage_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(16)
    content = {**errand, "creation_time": iso(clock.utc_now())}
    write_whole(place / f"{name}{ERRAND}", to_json(content))
    try:
        answer = _wait(place / f"{name}{ANSWER}", clock, is_alive, patience_s)
    finally:
        taken_back = remove(place / f"{name}{ERRAND}")
    if answer is None:  # it may have come at the last moment
        answer = _read(place / f"{name}{ANSWER}")
    if answer is None:
        raise _no_answer(taken_back)
    return _unless_refused(answer)


def _wait(
    path: Path, clock: Clock, is_alive: Callable[[], bool], patience_s: float
) -> dict[str, Any] | None:
    """The answer; None if it did not come in time, or nobody is there any more to give it."""
    now = clock.monotonic()
    deadline, look_due = now + patience_s, now + _ALIVE_EVERY_S
    while now < deadline:
        answer = _read(path)
        if answer is not None:
            return answer
        if now >= look_due:
            look_due = now + _ALIVE_EVERY_S
            if not is_alive():
                return None
        time.sleep(_LOOK_S)
        now = clock.monotonic()
    return None


def _read(path: Path) -> dict[str, Any] | None:
    with storage_errors(path):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
    remove(path)
    return parse_json(content, path.name)


def _no_answer(taken_back: bool) -> TranscriberError:
    if taken_back:
        message = _("The daemon did not answer; nothing was changed.")
        remedy = _("See its log, or `transcriber.py doctor`; then try again.")
    else:
        message = _("The daemon took the request and did not say what came of it.")
        remedy = _("See `transcriber.py status`, then its log.")
    return TranscriberError("no_answer", message, remedy=remedy)


def _unless_refused(answer: dict[str, Any]) -> dict[str, Any]:
    error = answer.get("error")
    if not isinstance(error, dict):
        return answer
    remedy = error.get("remedy")
    raise TranscriberError(
        str(error.get("code")), str(error.get("message")), remedy=str(remedy) if remedy else None
    )
