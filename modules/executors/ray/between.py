"""What a worker is asked between tasks: its answer is waited for a moment at a time.

A worker that stands still would otherwise hold up the thread that may have to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modules.clock import AwakeClock, Clock
from modules.executors.ray.channel import Channel, LinkClosedError
from modules.executors.ray.frames import Content

#: How long one call waits for an answer, in seconds; one that lives answers within milliseconds.
MOMENT_S = 0.25


@dataclass
class _Question:
    method: str
    argument: str
    deadline: float
    #: One that cannot be reached, but may come back, is asked once more.
    is_repeated: bool = False


class BetweenTasks:
    """For the executor's thread.

    ``on_answer``: called with the method and the answer. ``on_loss``: called with the error and the
    answer that has it, once the worker is lost, also if it is silent for ``silent_s``.
    """

    def __init__(
        self,
        channel: Channel,
        clock: Clock,
        silent_s: float,
        on_answer: Callable[[str, str], None],
        on_loss: Callable[[str, Content], None],
    ) -> None:
        self._channel = channel
        self._clock = AwakeClock(clock)
        self._silent_s = silent_s
        self._on_answer = on_answer
        self._on_loss = on_loss
        self._question: _Question | None = None
        #: Whether a moment was not enough for an answer. Other threads may look.
        self.is_waiting = False

    def ask(self, method: str, argument: str) -> None:
        """Ask, and wait a moment; while an answer is missing, nothing more is asked."""
        if self._question is None:
            deadline = self._clock.monotonic() + self._silent_s
            self._question = _Question(method, argument, deadline)
            self._send(self._question)
            self.look()

    def look(self) -> None:
        """Wait a moment for an answer that is missing."""
        question = self._question
        if question is None:
            return
        try:
            answer = self._channel.answer(MOMENT_S)
        except LinkClosedError as error:
            self._lose("away", {"details": str(error)})
            return
        if answer is not None:
            self._take(question, answer)
        elif self._clock.monotonic() > question.deadline:
            self._lose("silent", {})
        self.is_waiting = self._question is not None

    def forget(self) -> None:
        """A task begins: what was asked before is no longer wanted."""
        self._question, self.is_waiting = None, False

    def _send(self, question: _Question) -> None:
        content = {"op": "call", "method": question.method, "argument": question.argument}
        try:
            self._channel.ask(content | {"limit_s": self._silent_s})
        except LinkClosedError as error:
            self._lose("away", {"details": str(error)})

    def _take(self, question: _Question, answer: Content) -> None:
        error = answer.get("error")
        if error == "unavailable" and not question.is_repeated:
            question.is_repeated = True
            self._send(question)
        elif error is not None:
            self._lose(str(error), answer)
        else:
            self._question = None
            self._on_answer(question.method, str(answer["answer"]))

    def _lose(self, error: str, answer: Content) -> None:
        self._question, self.is_waiting = None, False
        self._on_loss(error, answer)
