"""The protocol of Vosk's server, at ``/``: one answer for each message."""

from __future__ import annotations

from typing import Any

from modules.api import forms
from modules.api.live.json_text import parsed, wire
from modules.api.live.session_client import MessageClient
from modules.errors import StorageError, TranscriberError, noted
from modules.live.events import (
    Committed,
    PartialWords,
    Problem,
    SessionEvent,
    SessionStored,
    Utterance,
)
from modules.live.note import RATE_MAX, RATE_MIN
from modules.transcript.model import Word

#: Of Vosk's server, unless the client says something else.
_RATE = 8000


class VoskClient(MessageClient):
    """Configured by the first text message, if it is none of sound."""

    _rate = _RATE
    _hotwords: str | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._committed: list[Word] = []
        self._partial: tuple[Word, ...] = ()
        #: Results that wait for the message that they answer.
        self._results: list[dict[str, Any]] = []

    def on_text(self, text: str) -> None:
        message = parsed(text)
        if message is None:
            self._refuse(forms.invalid(noted("a text message must be a JSON object")))
        elif isinstance(config := message.get("config"), dict):
            self._configure(config)
        elif message.get("eof"):
            self._stop() if self._session else self._end()
        else:
            self._refuse(forms.invalid(noted("config or eof: one of both is expected")))

    def _configure(self, config: dict[str, Any]) -> None:
        rate, phrases = config.get("sample_rate", self._rate), config.get("phrase_list")
        if self._session:
            self._refuse(forms.invalid(noted("config: must come before the sound")))
        elif not isinstance(rate, int | float) or not RATE_MIN <= rate <= RATE_MAX:
            self._refuse(
                forms.invalid(
                    noted(
                        "sample_rate: must be {rate_min} to {rate_max}",
                        rate_min=RATE_MIN,
                        rate_max=RATE_MAX,
                    )
                )
            )
        else:
            self._rate = int(rate)
            self._wait_longer()
            if isinstance(phrases, list) and phrases:
                words = (each for each in phrases if isinstance(each, str))
                self._hotwords = " ".join(words)[:1000].strip() or None

    def on_sound(self, data: bytes) -> None:
        try:
            if self._session is None:
                self._begin(self._rate, {"hotwords": self._hotwords} if self._hotwords else {})
            self._keep(data)
        except (TranscriberError, StorageError) as error:
            self._refuse(error)
            return
        self._tell()
        self._answer(self._results.pop(0) if self._results else self._so_far())

    def say(self, event: SessionEvent) -> None:
        if isinstance(event, PartialWords):
            self._partial = event.words
        elif isinstance(event, Committed):
            self._committed += event.words
            self._partial = ()
        elif isinstance(event, Utterance):
            self._results.append(_result(self._committed, event.text))
            self._committed, self._partial = [], ()
        elif isinstance(event, SessionStored):
            self._end()
        elif isinstance(event, Problem):
            self._answer({"error": event.message})

    def say_error(self, error: TranscriberError) -> None:
        self._answer({"error": str(error), "error_code": error.code})

    def _so_far(self) -> dict[str, Any]:
        return {"partial": _joined([*self._committed, *self._partial])}

    def _end(self) -> None:
        """What is left, in one last answer."""
        words = [word for result in self._results for word in result.get("result", ())]
        text = " ".join(result["text"] for result in self._results)
        if self._committed:  # their utterance did not end
            last = _result(self._committed, _joined(self._committed))
            words, text = [*words, *last["result"]], f"{text} {last['text']}".strip()
        self._answer(({"result": words} if words else {}) | {"text": text})
        if not self._session:
            self._connection.close(1000, "eof")

    def _answer(self, content: dict[str, Any]) -> None:
        self._connection.send(wire(content))


def _result(words: list[Word], text: str) -> dict[str, Any]:
    found = [
        {"conf": word.confidence or 0.0, "start": word.start, "end": word.end,
         "word": word.word.strip()}
        for word in words
    ]  # fmt: skip
    return {"result": found, "text": text}


def _joined(words: list[Word]) -> str:
    return "".join(word.word for word in words).strip()
