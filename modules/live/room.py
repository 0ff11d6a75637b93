"""Whether one more session may begin, and one that runs may go on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from modules.config.schema import Config
from modules.errors import TranscriberError, noted
from modules.live.events import Problem
from modules.live.load import Load
from modules.live.session import Session
from modules.live.wav import SAMPLE_BYTES

#: What must be left on the disk for states, texts, and the copy that lands.
_SPARE_BYTES = 256 * 2**20
#: Another rate makes a sound longer by less than this, in seconds.
_ROUNDING_S = 0.1
#: So many sessions may be over and wait to be stored; each has open files.
_UNSTORED_MAX = 32


class Room:
    """Pure but for a look at the disk."""

    def __init__(self, config: Config, load: Load) -> None:
        self._config = config
        self._load = load

    def check(self, sessions: Sequence[Session], has_disk: bool) -> None:
        """Raises TranscriberError if no session may begin now."""
        count = self.check_count(sessions)
        if not self._load.has_room(count):
            raise TranscriberError(
                "too_busy",
                noted("The live sessions that run keep this machine busy."),
                remedy=noted("Try again when one of them has ended."),
            )
        if not has_disk:
            raise TranscriberError(
                "no_room",
                noted("The disk has no room for the sound of a session."),
                remedy=noted("Make room."),
            )

    def check_count(self, sessions: Sequence[Session]) -> int:
        """How many are open. Raises TranscriberError if there may be no more."""
        count = sum(session.state == "open" for session in sessions)
        if len(sessions) - count >= _UNSTORED_MAX:
            raise TranscriberError(
                "too_busy",
                noted("Live sessions that are over wait to be stored."),
                remedy=noted("Try again later."),
            )
        if count >= self._config.live.max_sessions:
            raise TranscriberError(
                "too_many_sessions",
                noted("There are {count} live sessions already.", count=count),
                remedy=noted("Try again later, or raise live.max_sessions."),
            )
        return count

    def has_disk(self, sessions: Sequence[Session]) -> bool:
        """Also for the copies that land."""
        try:
            free = shutil.disk_usage(self._config.shared_directory).free
        except OSError:
            return True  # the disk says more when it is written to
        return free > _SPARE_BYTES + sum(
            max(session.samples * SAMPLE_BYTES, session.container_bytes) for session in sessions
        )

    def samples_max(self, rate: int) -> int:
        """Of one session: a recording that is longer than one may be would get no text at all."""
        seconds = self._config.processing.max_duration_hours * 3600 - _ROUNDING_S
        return max(1, int(seconds * rate))

    def problem(self, session: Session, has_disk: bool) -> Problem | None:
        """Why a session must end at once."""
        if session.samples >= self.samples_max(session.note.rate):
            return Problem("too_long", noted("The session is as long as a recording may be."))
        if not has_disk:
            return Problem("no_room", noted("The disk is full, so the session ends."))
        return None

    def quiet(self, session: Session, now: float) -> Problem | None:
        """Why a session must end with what came so far, unless it is about to."""
        quiet_s = session.presence.quiet_s(now, self._config.live.resume_seconds)
        if quiet_s is None or session.draining.is_going_on:
            return None
        return Problem(
            "no_sound_came",
            noted("No sound came for {seconds:.0f} s, so the session ends.", seconds=quiet_s),
        )
