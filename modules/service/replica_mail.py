"""HTTP requests that replicas leave in the folder for its owner, and their answers (decision 54).

``.transcriber/replicas/ID.json`` is a request, ``ID.answer`` its answer. At most once: a request is
removed before it is carried out. A replica takes one back that nobody has taken.
"""

from __future__ import annotations

import base64
import contextlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from modules.clock import Clock, iso
from modules.config.settings import Frozen
from modules.errors import StorageError, TranscriberError, noted
from modules.jobs.thread_loop import ThreadLoop
from modules.logger import get_logger
from modules.recordings.names import STATE_FOLDER
from modules.service.mailbox import Mailbox

log = get_logger("Replicas")

_REQUEST, _ANSWER = ".json", ".answer"
_ID = re.compile(r"[0-9a-f]{32}")
#: A body of a megabyte in base64, and answers such as a text of hours.
_REQUEST_BYTES, _ANSWER_BYTES = 2 * 2**20, 64 * 2**20
#: How long a replica waits for an answer; a request that is older than that is not carried out.
ANSWER_TIMEOUT_S = 20.0
_EXPIRY_S = 60.0
_ANSWER_KEPT_S = 600.0
_TROUBLE_S = 2.0
_TICK_S, _IDLE_TICK_S, _BUSY_S = 0.1, 1.0, 60.0


class Forwarded(Frozen):
    """A request: ``path`` as WSGI has it, ``body`` in base64."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = Field(default_factory=dict)
    body: str = ""
    client: str = "127.0.0.1"
    creation_time: str = ""


@dataclass(frozen=True)
class Reply:
    """What the owner answers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def folder(shared: Path) -> Path:
    return shared / STATE_FOLDER / "replicas"


class OwnerAwayError(TranscriberError):
    """No owner answers at the moment."""

    def __init__(self, taken: bool = False) -> None:
        message = noted("No service works on the shared folder at the moment.")
        if taken:
            message = noted("The service took the request and did not say what came of it.")
        super().__init__("owner_away", message, remedy=noted("Try again in a minute."))


def ask(shared: Path, request: Forwarded, clock: Clock, is_alive: Callable[[], bool]) -> Reply:
    """The owner's answer. Raises OwnerAwayError, StorageError."""
    if not is_alive():
        raise OwnerAwayError
    box, name = Mailbox(folder(shared), _ANSWER_BYTES), secrets.token_hex(16)
    message = request.model_copy(update={"creation_time": iso(clock.utc_now())})
    box.put(f"{name}{_REQUEST}", message.model_dump())
    try:
        answer = box.wait_for(f"{name}{_ANSWER}", clock, is_alive, ANSWER_TIMEOUT_S)
    finally:
        taken_back = box.remove(f"{name}{_REQUEST}")
    if answer is None:  # it may have come at the last moment
        answer = box.take(f"{name}{_ANSWER}")
    if answer is None:
        raise OwnerAwayError(taken=not taken_back)
    return _reply(answer)


def _reply(answer: Mapping[str, Any]) -> Reply:
    try:
        headers = tuple((str(name), str(value)) for name, value in answer["headers"])
        return Reply(int(answer["status"]), headers, base64.b64decode(answer["body"]))
    except (KeyError, TypeError, ValueError) as error:
        raise OwnerAwayError(taken=True) from error


class ReplicaRequests:
    """The owner's side, in a thread of its own: a request may take seconds."""

    def __init__(self, shared: Path, answer: Callable[[Forwarded], Reply], clock: Clock) -> None:
        self._box = Mailbox(folder(shared), _REQUEST_BYTES)
        self._answer = answer
        self._clock = clock
        #: Until then it is looked for more often: somebody uses a replica.
        self._busy_until = float("-inf")
        self._loop = ThreadLoop(
            "replicas", self.tick, lambda: log.exception("A replica's request failed"),
            failure_pause_s=_TROUBLE_S, monotonic=clock.monotonic,
        )  # fmt: skip

    @property
    def silent_s(self) -> float:
        return self._loop.silent_s

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop(_EXPIRY_S)

    def tick(self) -> float:
        """Answer every request that lies there; how long to wait for the next look."""
        now = self._clock.monotonic()
        try:
            for file in self._box.names((_REQUEST, _ANSWER)):
                self._look_at(file)
                self._busy_until = now + _BUSY_S
        except StorageError as error:
            log.debug("Requests of replicas cannot be looked for: %s", error)
            return _TROUBLE_S
        return _TICK_S if now < self._busy_until else _IDLE_TICK_S

    def _look_at(self, file: str) -> None:
        self._loop.beat()
        stem, dot, ending = file.partition(".")
        if not _ID.fullmatch(stem):
            return
        if dot + ending == _ANSWER:
            with contextlib.suppress(StorageError):
                if self._box.age_s(file) > _ANSWER_KEPT_S:
                    self._box.remove(file)
            return
        request = self._read(file)
        if self._box.remove(file) and request and self._is_fresh(request):
            self._box.put(f"{stem}{_ANSWER}", _as_json(self._answer(request)))

    def _read(self, file: str) -> Forwarded | None:
        try:
            message = self._box.read(file)
            return None if message is None else Forwarded.model_validate(message)
        except StorageError:
            raise
        except (TranscriberError, ValidationError) as error:
            log.warning("A replica's request cannot be read and was dropped: %s", error)
            return None

    def _is_fresh(self, request: Forwarded) -> bool:
        """Nobody waits for an old one any more, and what it is about may be another file now."""
        try:
            asked = datetime.fromisoformat(request.creation_time)
            return abs((self._clock.utc_now() - asked).total_seconds()) <= _EXPIRY_S
        except (ValueError, TypeError):
            return False


def _as_json(reply: Reply) -> dict[str, Any]:
    body = base64.b64encode(reply.body).decode()
    return {"status": reply.status, "headers": [list(each) for each in reply.headers], "body": body}
