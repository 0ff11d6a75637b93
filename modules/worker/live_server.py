"""Serves live sessions in the child, on the socket that came with the command ``Live``.

Three threads for a socket: one reads commands and hears what they bring, one makes the passes of
all sessions, the one that is due longest first, and one writes events. Each session has one more
for its text, see ``live_text.py``. See ``executors/live_protocol.py``.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from modules.errors import TranscriberError, noted
from modules.executors.live_protocol import (
    LIVE_COMMANDS,
    CloseSession,
    Flush,
    LiveCommand,
    LiveEvent,
    LiveFailed,
    OpenSession,
    Pace,
    Sound,
    Working,
)
from modules.worker.live_events import LiveEvents
from modules.worker.live_passes import SpokenLanguage, heard_by
from modules.worker.live_session import Session
from modules.worker.live_text import GrowingText
from modules.worker.live_voices import VoiceNames
from modules.worker.pipes import OpenFile, lines
from modules.worker.sharing import Sharing

if TYPE_CHECKING:  # torch takes seconds to import
    from modules.diarization.embeddings import SpeakerEmbeddings

#: A session that has to be ended is given up if no model was loaded for so long, in seconds.
_MODEL_S = 120.0
#: How long the passes wait without a sign, in seconds.
_TICK_S = 1.0
#: Samples a second that can be.
_RATES = range(8_000, 192_001)


@dataclass
class _Open:
    """A session with the file of its sound, which is closed with the last reference.

    ``emit``: for whatever is told of it, which keeps the order.
    """

    session: Session
    sound: OpenFile
    language: SpokenLanguage
    text: GrowingText | None
    names: VoiceNames | None
    emit: Callable[[LiveEvent], None]

    def stop(self) -> None:
        for thread in (self.text, self.names):
            if thread:
                thread.stop()


class LiveServer:
    """``serve`` returns at once; a further socket replaces the one before it."""

    def __init__(
        self,
        sharing: Sharing,
        voices: Callable[[], SpeakerEmbeddings],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sharing = sharing
        self._voices = voices
        self._monotonic = monotonic
        self._serving: Connection | None = None

    def serve(self, connection: socket.socket) -> None:
        self.stop()
        self._serving = Connection(connection, self._sharing, self._voices, self._monotonic)

    def stop(self) -> None:
        """End all sessions; returns when the threads have ended."""
        if self._serving:
            self._serving.stop()
            self._serving = None


class Connection:
    """The sessions of one socket. Ends when the daemon closes it, and with ``stop``."""

    def __init__(
        self,
        connection: socket.socket,
        sharing: Sharing,
        voices: Callable[[], SpeakerEmbeddings],
        monotonic: Callable[[], float],
    ) -> None:
        self._socket = connection
        self._events = LiveEvents(connection, monotonic)
        self._sharing = sharing
        self._voices = voices
        self._monotonic = monotonic
        self._sessions: dict[int, _Open] = {}
        #: Also those of sessions that are over, until their threads have ended.
        self._beside: list[GrowingText | VoiceNames] = []
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in (
                (self._read, "live-commands"),
                (self._make_passes, "live-passes"),
                (self._write, "live-events"),
            )
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._end()
        self._threads[0].join()

    def _end(self) -> None:
        """Have all threads end: the reader by its socket."""
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._events.end()
        with self._changed:
            for opened in self._sessions.values():
                opened.stop()
            self._sessions.clear()
            self._sharing.live(0, 0)
            self._changed.notify_all()

    # --- commands ---

    def _read(self) -> None:
        files: deque[OpenFile] = deque()
        with contextlib.suppress(OSError, ValueError):
            for line in lines(self._socket, files):
                command = LIVE_COMMANDS.validate_json(line)
                self._guarded(command.session, partial(self._obey, command, files))
                self._events.note_read(command.session)
                self._tell_sharing()
        self._end()
        for thread in self._threads[1:]:
            thread.join()
        for beside in self._beside:
            beside.stop()  # also of a session that could not be opened
            beside.join()
        self._socket.close()

    def _obey(self, command: LiveCommand, files: deque[OpenFile]) -> None:
        if isinstance(command, OpenSession):
            self._open(command, files.popleft())
            return
        opened = self._sessions.get(command.session)
        if opened is None:
            return  # it failed, of which the daemon was told
        session = opened.session
        if isinstance(command, Sound):
            if opened.text:
                opened.text.hear(command.samples)
            session.hear(command.samples)
        elif isinstance(command, Pace):
            session.pace(command.step_s, command.hurries)
        elif isinstance(command, Flush | CloseSession):
            if isinstance(command, CloseSession) and opened.text:
                opened.text.stop()
            session.end(command)

    def _open(self, command: OpenSession, sound: OpenFile) -> None:
        if command.rate not in _RATES:
            message = noted(
                "Sound of {rate} samples a second cannot be transcribed.", rate=command.rate
            )
            raise TranscriberError("live_rate_unsupported", message)
        names = self._names(command, sound) if command.settings.diarize else None
        emit, final = (names.emit, names.final) if names else (self._events.put, None)
        progress = partial(self._events.note_read, command.session)
        session = Session(command, sound.descriptor, emit, self._monotonic, final, progress)
        language = SpokenLanguage(command.settings, command.known_language)
        text = self._text(command, sound) if command.text else None
        with self._changed:
            self._sessions[command.session] = _Open(session, sound, language, text, names, emit)
        session.hear()

    def _text(self, command: OpenSession, sound: OpenFile) -> GrowingText:
        assert command.text is not None
        made = GrowingText(command, command.text, sound, self._sharing, self._events.put)
        self._keep(made)
        return made

    def _names(self, command: OpenSession, sound: OpenFile) -> VoiceNames:
        made = VoiceNames(command, sound, self._voices, self._events.put)
        self._keep(made)
        return made

    def _keep(self, made: GrowingText | VoiceNames) -> None:
        self._beside = [one for one in self._beside if one.is_alive] + [made]

    def _guarded(self, number: int, work: Callable[[], None]) -> None:
        """Whatever goes wrong with one session is reported, and harms no other."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the boundary of a session
            code = error.code if isinstance(error, TranscriberError) else "live_failed"
            message = str(error)[:500] or repr(error)[:500]
            with self._changed:
                failed = self._sessions.pop(number, None)
            emit = failed.emit if failed else self._events.put
            emit(LiveFailed(session=number, code=code, message=message))
            if failed:
                failed.stop()

    def _tell_sharing(self) -> None:
        with self._changed:
            for number in [n for n, it in self._sessions.items() if it.session.is_over]:
                self._sessions.pop(number).stop()
            speaking = sum(it.session.is_speaking for it in self._sessions.values())
            for it in self._sessions.values():
                it.session.is_alone = speaking <= 1
            # With the lock held, or an older count could be the last.
            self._sharing.live(len(self._sessions), speaking)
            self._changed.notify_all()

    # --- passes ---

    def _make_passes(self) -> None:
        while not self._stopped.is_set():
            number = self._next()
            if number is not None:
                self._guarded(number, partial(self._make_one, number))
                self._tell_sharing()

    def _next(self) -> int | None:
        """The session that is due longest; waits for one, but not for ever."""
        with self._changed:
            due_at, number = min(
                ((it.session.due()[0], n) for n, it in self._sessions.items()),
                default=(math.inf, 0),
            )
            wait_s = due_at - self._monotonic()
            if wait_s <= 0:
                return number
            self._changed.wait(min(wait_s, _TICK_S))
        return None

    def _make_one(self, number: int) -> None:
        opened = self._sessions.get(number)
        if opened is None:
            return
        due_at, kind = opened.session.due()
        if kind is None:
            opened.session.take()
            return
        with self._sharing.one_pass() as engine:
            if engine is not None:
                if not engine.capabilities.streaming:
                    opened.session.only_finals()
                what = opened.session.take()
                if what is not None:
                    opened.emit(Working(session=number, lane="pass"))
                    heard = heard_by(engine, what, opened.language, opened.session.settings)
                    opened.session.found(what, heard)
                return
        self._without_model(opened.session, due_at)

    def _without_model(self, session: Session, due_at: float) -> None:
        if session.is_asked and self._monotonic() - due_at > _MODEL_S:
            message = noted("No model was loaded for a live session.")
            raise TranscriberError("model_not_loaded", message)
        self._stopped.wait(_TICK_S / 4)

    # --- events ---

    def _write(self) -> None:
        self._events.write()
        self._end()
