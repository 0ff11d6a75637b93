"""The sound of one live session in the child: what was heard of it, what waits, and what is skipped
where there is no time for it."""

from __future__ import annotations

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.audio.live_sound import GrowingSound, LiveSound
from modules.executors.live_protocol import OpenSession


class SessionSound(LiveSound):
    """Positions are 16 kHz samples from the second ``from_s`` of the session on."""

    def __init__(self, descriptor: int, command: OpenSession) -> None:
        self._descriptor, self._rate, self._settings = descriptor, command.rate, command.settings
        self.from_s = command.from_s
        #: So many samples of the file are there.
        self.told = command.samples
        self.hurries = False
        super().__init__(self._from(round(command.from_s * command.rate)), command.settings)

    def _from(self, start: int) -> GrowingSound:
        return GrowingSound(self._descriptor, self._rate, start)

    def is_behind(self, seconds: float) -> bool:
        """Whether it hurries, and more than this is there and was not heard."""
        return self.hurries and self.told / self._rate - self.second(self.position) > seconds

    def skip(self, all_but_s: float) -> float:
        """Go on with the newest sound, from position 0 on; which second that is."""
        start = max(0, self.told - int(all_but_s * self._rate))
        self.from_s = start / self._rate
        super().__init__(self._from(start), self._settings)
        return self.second(0)

    def chunk(self, begin: int, end: int) -> AudioChunk:
        speech = tuple(
            (self.second(max(a, begin)), self.second(min(b, end)))
            for a, b in self.speech()
            if a < end and b > begin
        )
        return AudioChunk(self.second(begin), self.second(end), self.samples(begin, end), speech)

    def second(self, sample: int) -> float:
        """Of the session."""
        return round(self.from_s + sample / SAMPLE_RATE, 3)

    def sample(self, second: float) -> int:
        return max(0, int((second - self.from_s) * SAMPLE_RATE))
