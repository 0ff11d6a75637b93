"""A session as the present child has it: what was sent there."""

from __future__ import annotations

from modules.config.settings import TranscriptionSettings
from modules.executors.live_protocol import (
    CloseSession,
    Flush,
    LiveCommand,
    OpenSession,
    Pace,
    Sound,
    TextOrder,
)
from modules.live.link import LiveLink
from modules.live.note import SessionNote
from modules.live.sound_file import SoundFile
from modules.live.utterances import Utterances


class ChildSession:
    """For callers that hold the session's lock; nothing here blocks."""

    def __init__(
        self, number: int, note: SessionNote, settings: TranscriptionSettings, sound: SoundFile
    ) -> None:
        self.number = number
        self._note = note
        self._settings = settings
        self._sound = sound
        self._announced = 0
        #: None while there is no child.
        self.link: LiveLink | None = None
        self.step_s: float | None = 1.0
        self._hurries = False
        #: Flushes that were asked for and not answered: one at a time, and whether one more.
        self._flushing = self._flush_again = False

    @property
    def is_there(self) -> bool:
        return self.link is not None

    def open(
        self, link: LiveLink, descriptor: int, step_s: float | None, said: Utterances,
        text: TextOrder | None,
    ) -> None:  # fmt: skip
        """``descriptor``: of the sound, for reading; taken over. ``said``: to go on from there."""
        self.link, self.step_s, self._announced = link, step_s, self._sound.samples
        self._hurries = False
        unanswered, self._flushing, self._flush_again = self._flushing, False, False
        command = OpenSession(
            session=self.number,
            rate=self._note.rate,
            samples=self._announced,
            from_s=said.settled_s,
            settings=self._settings,
            known_language=said.language,
            step_s=step_s,
            silence_s=self._note.silence_s,
            text=text,
            speakers=said.speakers,
        )
        link.send(command, descriptor)
        if unanswered:
            self.flush()

    def announce(self) -> None:
        """Say how much sound there is, unless that was said."""
        samples = self._sound.samples
        command = Sound(session=self.number, samples=samples)
        if self.link and samples > self._announced and self.link.send(command):
            self._announced = samples

    def flush(self) -> None:
        """However often a client asks, no more than one is under way; it waits for a child."""
        self._flush_again = self._flushing
        if not self._flushing:
            self._flushing = True
            self.announce()
            self._send(Flush(session=self.number))

    def note_flushed(self) -> None:
        again, self._flushing, self._flush_again = self._flush_again, False, False
        if again:
            self.flush()

    def close(self, discard: bool) -> None:
        self.announce()
        self._send(CloseSession(session=self.number, discard=discard))

    def set_pace(self, step_s: float | None, hurries: bool = False) -> None:
        if (step_s, hurries) != (self.step_s, self._hurries):
            self.step_s, self._hurries = step_s, hurries
            self._send(Pace(session=self.number, step_s=step_s, hurries=hurries))

    def _send(self, command: LiveCommand) -> None:
        if self.link:
            self.link.send(command)
