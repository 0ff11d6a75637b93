"""Requests to the running daemon through the folder, with an answer (decision 17).

``.transcriber/errands/ID.json`` is a request, ``ID.answer`` its answer. A client that gets no
answer in time takes its request back; if the file was still there, nothing was done.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any

from modules.clock import Clock, iso
from modules.errors import TranscriberError
from modules.intake.requests import Removed
from modules.messages import restored
from modules.recordings.names import STATE_FOLDER
from modules.service.mailbox import Mailbox

REQUEST, ANSWER = ".json", ".answer"
#: How long a client waits for an answer.
ANSWER_TIMEOUT_S = 30.0
#: How old a request may be: its client may have been killed. Clocks of two machines may differ.
EXPIRY_S = 60.0
#: The names of a long queue.
_ANSWER_BYTES = 64 * 2**20


def folder(shared: Path) -> Path:
    return shared / STATE_FOLDER / "errands"


def removal(removed: Removed) -> dict[str, Any]:
    """What was deleted, with the keys of the API."""
    return {
        "deleted_files": list(removed.deleted),
        "processing_interrupted": removed.interrupted,
        "removed_from_queue": removed.dequeued,
    }


def ask(
    shared: Path,
    request: Mapping[str, Any],
    clock: Clock,
    is_alive: Callable[[], bool],
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> dict[str, Any]:
    """The daemon's answer to a request.

    Raises TranscriberError: the daemon's own refusal, or ``no_answer``; StorageError.
    """
    mailbox = Mailbox(folder(shared), _ANSWER_BYTES)
    name = secrets.token_hex(16)
    mailbox.put(f"{name}{REQUEST}", {**request, "creation_time": iso(clock.utc_now())})
    try:
        answer = mailbox.wait_for(f"{name}{ANSWER}", clock, is_alive, timeout_s)
    finally:
        taken_back = mailbox.remove(f"{name}{REQUEST}")
    if answer is None:  # it may have come at the last moment
        answer = mailbox.take(f"{name}{ANSWER}")
    if answer is None:
        raise _no_answer(taken_back)
    return _unless_refused(answer)


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
    message = restored(str(error.get("message")), error.get("template"))
    remedy = error.get("remedy")
    if remedy:
        remedy = restored(str(remedy), error.get("remedy_template"))
    raise TranscriberError(str(error.get("code")), message, remedy=remedy or None)
