"""The live half of ``scripted_worker.py``: a word for each second of sound, whatever it is.

Word ``k`` (" w0", " w1", …) lies in second ``k``; every third one ends an utterance. In between, a
half second is a partial ("?"). Words in a session's hotwords say how it goes wrong: ``crash3`` ends
the process before word 3, ``liar`` says a word from the far future, ``flood`` sends without end,
``fail`` fails the session, ``busy`` claims the whole machine for what it hears, ``mute`` says
nothing at all, ``fat`` has words of almost 200 letters.

A chunk of a session's text is a second of its sound, and is certain once two more are there.
``textcrash3`` ends the process before chunk 3 of the text, if that began with the session;
``textfail`` fails after two; ``textliar`` leaves one out; ``texthang`` stops in chunk 3 as if it
hung, if the text began with the session, and ``texthangs`` in any child.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections import deque

from modules.executors.live_protocol import (
    LIVE_COMMANDS,
    Closed,
    CloseSession,
    Commit,
    Final,
    Flush,
    Flushed,
    LiveEvent,
    LiveFailed,
    OpenSession,
    Partial,
    Reading,
    Sound,
    Speech,
    Text,
    TextFailed,
    TextOrder,
    Worked,
    Working,
)
from modules.transcript.model import Word
from modules.worker.pipes import OpenFile, lines
from tests.scripted_text import SECOND, chunk_of, noted_chunk, said_in

SAMPLE_BYTES = 2
UNCERTAIN_S = 2
UTTERANCE_WORDS = 3
SIGN_S = 1.0


def serve(connection: socket.socket) -> None:
    threading.Thread(target=_Server(connection).run, daemon=True).start()


class _Server:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sessions: dict[int, _Session] = {}
        self._signed_at = float("-inf")

    def run(self) -> None:
        files: deque[OpenFile] = deque()
        with self._connection:
            for line in lines(self._connection, files):
                command = LIVE_COMMANDS.validate_json(line)
                if isinstance(command, OpenSession):
                    session = _Session(command, files.popleft(), self._connection)
                    self._sessions[command.session] = session
                    session.begin()
                elif session := self._sessions.get(command.session):
                    if isinstance(command, Sound):
                        session.hear(command.samples)
                    elif isinstance(command, Flush):
                        session.flush()
                        session.send(Flushed(session=command.session))
                    elif isinstance(command, CloseSession):
                        if not command.discard:
                            session.flush()
                        session.send(Closed(session=command.session))
                        del self._sessions[command.session]
                self._sign(command.session)

    def _sign(self, number: int) -> None:
        if time.monotonic() - self._signed_at >= SIGN_S:
            self._signed_at = time.monotonic()
            sign = Reading(session=number).model_dump_json().encode() + b"\n"
            self._connection.sendall(sign)


class _Session:
    def __init__(self, opened: OpenSession, file: OpenFile, connection: socket.socket) -> None:
        self._opened = opened
        self._file = file
        self._connection = connection
        self._next = round(opened.from_s)
        self._words: list[Word] = []
        self._samples = opened.samples
        self._order = opened.text
        self._text_at = round(opened.text.start_s) if opened.text else 0
        self._texts = 0
        self._tricks = set(re.split(r"\W+", opened.settings.hotwords or ""))

    def send(self, event: LiveEvent) -> None:
        self._connection.sendall(event.model_dump_json(exclude_none=True).encode() + b"\n")

    def begin(self) -> None:
        self.send(Speech(session=self._opened.session, speaking=True, at_s=self._opened.from_s))
        self.hear(self._samples)

    def hear(self, samples: int) -> None:
        size = os.fstat(self._file.descriptor).st_size
        assert size >= samples * SAMPLE_BYTES, f"{samples} announced, {size} bytes are there"
        self._samples = samples
        heard_s = samples / self._opened.rate
        while self._next + 1 <= heard_s:
            self._say(self._next)
            self._next += 1
        if heard_s - self._next >= 0.5 and "mute" not in self._tricks:
            half = Word(word=" ?", start=self._next, end=self._next + 0.5, confidence=0.5)
            self.send(Partial(session=self._opened.session, words=(half,)))
        while self._order and self._text_at + 1 + UNCERTAIN_S <= heard_s:
            self._transcribe(self._text_at, self._order)
            self._text_at += 1

    def _transcribe(self, index: int, order: TextOrder) -> None:
        session, rate = self._opened.session, self._opened.rate
        if "textcrash3" in self._tricks and index == 3 and not order.start_s:
            os._exit(3)
        if "textfail" in self._tricks and index >= 2:
            if index == 2:
                self.send(TextFailed(session=session, message="It did."))
            return
        hangs = "texthangs" in self._tricks or ("texthang" in self._tricks and not order.start_s)
        if hangs and index >= 3:
            self.send(Working(session=session, lane="text"))
            self._order = None  # its thread hangs; the live words go on
            return
        self._texts += 1
        if "textliar" in self._tricks and index == 2:
            return
        noted_chunk("live", index)
        piece = os.pread(self._file.descriptor, SAMPLE_BYTES * rate, SAMPLE_BYTES * rate * index)
        text = said_in(piece, index, self._opened.settings)
        chunk = chunk_of(text, index * SECOND, SECOND)
        numbered = chunk.model_copy(update={"task_id": session, "number": self._texts})
        self.send(Text(session=session, chunk=numbered))

    def _say(self, number: int) -> None:
        session = self._opened.session
        self._misbehave(number)
        busy_s = 1.0 if "busy" in self._tricks else 0.01
        self.send(Worked(session=session, upto_s=number + 1, busy_s=busy_s))
        if "mute" in self._tricks:
            return
        text = f" w{number}" + "ф" * 190 * ("fat" in self._tricks)
        word = Word(word=text, start=number, end=number + 0.9, confidence=0.9)
        self._words.append(word)
        self.send(Commit(session=session, words=(word,), language="ru"))
        if len(self._words) == UTTERANCE_WORDS:
            self.flush()

    def flush(self) -> None:
        if self._words:
            text = "".join(word.word for word in self._words).strip()
            self.send(
                Final(
                    session=self._opened.session,
                    start_s=self._words[0].start or 0.0,
                    end_s=self._words[-1].end or 0.0,
                    text=text,
                    words=tuple(self._words),
                    language="ru",
                )
            )
        self._words = []

    def _misbehave(self, number: int) -> None:
        session = self._opened.session
        if "crash3" in self._tricks and number == 3 and self._opened.from_s < 2.5:
            os._exit(3)
        if "liar" in self._tricks and number == 2:
            late = Word(word=" nonsense", start=1e6, end=1e6 + 1)
            self.send(Commit(session=session, words=(late,)))
        if "fail" in self._tricks and number == 2:
            self.send(LiveFailed(session=session, code="live_failed", message="It did."))
        while "flood" in self._tricks and number == 2:
            self.send(Speech(session=session, speaking=True, at_s=0.0))
