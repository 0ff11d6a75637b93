"""Sound in containers, such as a browser's recorder sends it: kept as it comes, and decoded by a
process of its own into the sound of the session. The daemon itself opens none of it.

What is kept is the container. The samples that became of it are the recording only if all of it was
decoded; else the container lands, so that nothing that was sent depends on this process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

from modules.config.schema import Config
from modules.errors import MediaError, StorageError, TranscriberError, WorkerError, joined, noted
from modules.executors.listen_protocol import Kind
from modules.executors.local.live_decoder import SAMPLE_BYTES, SAMPLE_RATE, DecoderProcess
from modules.live.events import Problem
from modules.live.session import Session
from modules.live.sessions import LiveSessions
from modules.live.sound_file import SoundFile
from modules.live.store import SessionStore
from modules.logger import get_logger

log = get_logger("Live")

#: The rate of what is decoded.
RATE = SAMPLE_RATE
_ADVICE = noted("Send WebM or Ogg, or an MP4 in fragments; or upload the file when it is complete.")
_PIECE_BYTES = 2**16
_TICK_S = 0.5
#: The process may be silent so long while it has something to do; the same when the sound is over.
_HUNG_S = 30.0
_STOP_S = 5.0
#: So many bytes without any sound, and for each second of it, are more than any sound has.
_HEAD_BYTES, _BYTES_PER_S_MAX = 16 * 2**20, 2**20


class Containers:
    """All that are being decoded. Thread-safe."""

    def __init__(self, config: Config, store: SessionStore, sessions: LiveSessions) -> None:
        self._config = config
        self._store = store
        self._sessions = sessions
        self._lock = threading.Lock()
        self._open: set[ContainerFeed] = set()

    def begin(self, session: Session, kind: str) -> ContainerFeed:
        """Decode for this session, whose note has this ``kind``. Raises StorageError."""
        file = SoundFile(self._store.container_path(session.session_id), new=True, unit_bytes=1)
        feed = ContainerFeed(self._config, self._store, self._sessions, session, file, kind)
        with self._lock:
            self._open.add(feed)
        feed.start(lambda: self._forget(feed))
        return feed

    def _forget(self, feed: ContainerFeed) -> None:
        with self._lock:
            self._open.discard(feed)

    def stop(self) -> None:
        """End all of them; what they have kept lands at the next start."""
        with self._lock:
            open_ = list(self._open)
        for feed in open_:
            feed.abandon()
        for feed in open_:
            feed.join(_STOP_S)


class ContainerFeed:
    """The container of one session. ``add``, ``flush`` and ``finish`` are for the client's thread
    and never wait."""

    def __init__(
        self, config: Config, store: SessionStore, sessions: LiveSessions, session: Session,
        file: SoundFile, kind: str,
    ) -> None:  # fmt: skip
        self._config = config
        self._store = store
        self._sessions = sessions
        self._session = session
        self._file = file
        self._kind = kind
        self._waking, self._woken = socket.socketpair()
        for each in (self._waking, self._woken):
            each.setblocking(False)
        self._flush_at: int | None = None
        self._is_finished = self._is_abandoned = False
        self._read = self._sent = 0
        #: Why nothing at all could be decoded.
        self.failure: TranscriberError | None = None
        self._thread = threading.Thread(target=self._run, name="live-container", daemon=True)
        self._on_end: Callable[[], None] = lambda: None

    def start(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def add(self, data: bytes) -> None:
        """Keep it. Raises StorageError."""
        if self._session.state == "open" and not self._is_finished:
            self._session.container_bytes = self._file.append(data)
            self._wake()

    def flush(self) -> None:
        """End the utterance with what came so far."""
        self._flush_at = self._file.samples
        self._wake()

    def finish(self) -> None:
        """No more comes: the session ends when all of it is decoded."""
        self._is_finished = True
        self._wake()

    def abandon(self) -> None:
        """End the thread at once; the session is left as it is."""
        self._is_abandoned = True
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it is awake already, or over
            self._waking.send(b"x")

    # --- the thread ---

    def _run(self) -> None:
        try:
            self._session.draining.decoding(self.finish)
            self._decode()
        except TranscriberError as error:
            self._fail(error)
        except Exception:
            log.exception("Decoding live sound met an unexpected error")
            self._fail(WorkerError("live_failed", noted("An unexpected error occurred.")))
        finally:
            self._session.draining.over()
            self._file.close()
            for each in (self._waking, self._woken):
                each.close()
            self._on_end()

    def _decode(self) -> None:
        reader = self._file.reader()
        try:
            process = DecoderProcess(self._config, self._kind)
            try:
                if self._exchange(process, reader):
                    self._store.remove_container(self._session.session_id)
                    self._end_session()
            finally:
                process.end()
        except OSError as error:  # the system has no more processes, or descriptors
            raise WorkerError("live_failed", noted("It failed: {error}", error=error)) from error
        finally:
            os.close(reader)

    def _exchange(self, process: DecoderProcess, reader: int) -> bool:
        """Until all is decoded, or it was abandoned."""
        waiting, heard_at, is_told = b"", time.monotonic(), False
        while not (self._is_abandoned or self._session.state != "open"):
            waiting = waiting or os.pread(reader, _PIECE_BYTES, self._sent)
            process.wait(bool(waiting), self._woken.fileno(), _TICK_S)
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            if waiting:
                taken = process.give(waiting)
                waiting, self._sent = waiting[taken:], self._sent + taken
                self._check_size()
            for kind, content in process.pieces():
                heard_at = time.monotonic()
                if kind is Kind.DONE:
                    return True
                self._take(kind, content)
            self._flush_if_read()
            if self._is_finished and not is_told and self._sent == self._file.samples:
                process.finish()
                is_told, heard_at = True, time.monotonic()
            if not is_told and self._read == self._file.samples:
                heard_at = time.monotonic()  # it waits for us
            if time.monotonic() - heard_at > _HUNG_S:
                raise WorkerError("live_failed", noted("Decoding live sound came to a standstill."))
        return False

    def _check_size(self) -> None:
        """Raises MediaError for more bytes than sound can need."""
        if self._sent > _HEAD_BYTES + _BYTES_PER_S_MAX * self._session.received_s:
            raise MediaError(
                "oversized", noted("The container holds far more than the sound that is in it.")
            )

    def _take(self, kind: Kind, content: bytes) -> None:
        if kind is Kind.SAMPLES:
            self._session.sound(content, None)
        else:
            self._read = int.from_bytes(content, "big")

    def _flush_if_read(self) -> None:
        if self._flush_at is not None and self._read >= self._flush_at:
            self._flush_at = None
            self._session.flush()

    def _end_session(self) -> None:
        self._session.stop()
        self._sessions.wake()

    def _fail(self, error: TranscriberError) -> None:
        """What was decoded ends the session, which then gets the container; without a sample of it
        there is no session."""
        log.info("Live sound could not be decoded: %s", error)
        if isinstance(error, MediaError):
            error = MediaError(error.code, joined(" ", error.message, _ADVICE))
        if self._session.samples < SAMPLE_BYTES and not isinstance(error, StorageError):
            self.failure = error
            with contextlib.suppress(TranscriberError):
                self._sessions.end(self._session.session_id, discard=True)
            return
        self._session.tell(Problem(error.code, error.message))
        self._end_session()
