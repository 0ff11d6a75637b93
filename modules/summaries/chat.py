"""Questions to an OpenAI-compatible server: Ollama, llama.cpp, vLLM, a cloud.

Its address comes from the configuration alone, never from a request, so it may be on this machine
or in its network. Redirects are not followed.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from modules import __version__
from modules.clock import Clock
from modules.config.schema import SummaryConfig
from modules.delivery.addresses import shown, taken_apart
from modules.delivery.http_ask import ask
from modules.errors import TranscriberError, joined, noted, reason_of
from modules.storage.safe_open import read_regular

_KEY_BYTES = 16 * 1024
_ANSWER_BYTES = 8 * 2**20
#: What a server answers that does not like this very question.
_REFUSALS = frozenset({400, 413, 422})
_SAID_CHARS = 300


class SummaryError(TranscriberError):
    """This text cannot be summarised: another try would end the same."""


@dataclass(frozen=True)
class Answer:
    """``prompt_tokens``: how many the server says it read; None if it does not say."""

    text: str
    finish_reason: str | None
    prompt_tokens: int | None


class Chat:
    """``ask`` belongs to one thread; ``stop`` may be called from any, and ends it."""

    def __init__(self, config: SummaryConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._cut: Callable[[], None] | None = None
        self._stopping = False
        #: Whether the server takes the wish for JSON; forgotten with a restart.
        self._takes_format = True

    @property
    def shown(self) -> str:
        """The address as it may be logged."""
        return shown(self._config.base_url or "")

    def stop(self) -> None:
        """Break off the question in flight; every later one fails at once."""
        with self._lock:
            self._stopping = True
            if self._cut:
                self._cut()

    def start(self) -> None:
        with self._lock:
            self._stopping = False

    def ask(self, instructions: str, text: str, most_tokens: int, temperature: float) -> Answer:
        """Raises SummaryError if the server refuses this question, TranscriberError
        ``summary_unavailable`` if it cannot be used at present."""
        question: dict[str, Any] = {
            "model": self._config.model,
            "messages": [
                {"role": "system", "content": instructions},
                {"role": "user", "content": text},
            ],
            "max_tokens": most_tokens,
            "temperature": temperature,
            "stream": False,
        }
        if self._takes_format:
            status, said = self._send(question | {"response_format": {"type": "json_object"}})
            if status not in _REFUSALS:
                return _answer(status, said)
        status, said = self._send(question)
        if 200 <= status < 300:
            self._takes_format = False
        return _answer(status, said)

    def _send(self, question: dict[str, Any]) -> tuple[int, bytes]:
        """To the first of the possible paths that is there."""
        body = json.dumps(question, ensure_ascii=False).encode("utf-8", "replace")
        first: tuple[int, bytes] | None = None
        for url in addresses(self._config.base_url or ""):
            status, said = self._post(url, body)
            if status not in (404, 405):
                return status, said
            first = first or (status, said)  # it may be the model that is not there
        return first or (404, b"")

    def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        receiver, key = taken_apart(url), self._key()
        headers = {
            "Host": receiver.authority,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"audio-transcriber/{__version__}",
            "Connection": "close",
        } | ({"Authorization": f"Bearer {key}"} if key else {})
        try:
            status, said = ask(
                receiver, body, headers, self._config.timeout_seconds, _ANSWER_BYTES, self._clock,
                self._in_flight,
            )  # fmt: skip
        except TranscriberError as error:
            raise _unavailable(error.message) from error
        if key and not 200 <= status < 300:
            said = said.replace(key.encode(), b"***")  # a refusal may repeat it, and is logged
        return status, said

    def _key(self) -> str:
        """Empty where none is configured."""
        path = self._config.api_key_file
        if path is None:
            return ""
        try:
            key = read_regular(path, _KEY_BYTES).decode("ascii").strip()
        except (OSError, UnicodeError) as error:
            why = reason_of(error) if isinstance(error, OSError) else noted("it is not ASCII")
            raise _unavailable(
                noted("The key in {path} cannot be read ({why})", path=path, why=why)
            ) from error
        if not key.isprintable():
            raise _unavailable(noted("The key in {path} has more than one line", path=path))
        return key

    @contextlib.contextmanager
    def _in_flight(self, cut: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            if self._stopping:
                raise OSError("the service is stopping")
            self._cut = cut
        try:
            yield
        finally:
            with self._lock:
                self._cut = None


def addresses(base_url: str) -> list[str]:
    """Where the questions may have to go, the likeliest first: with and without ``/v1``."""
    base = base_url.rstrip("/")
    if base.endswith("/chat/completions"):
        return [base]
    plain, versioned = f"{base}/chat/completions", f"{base}/v1/chat/completions"
    has_path = "/" in base.partition("://")[2]
    return [plain, versioned] if has_path else [versioned, plain]


def _answer(status: int, said: bytes) -> Answer:
    """Raises as ``Chat.ask`` does."""
    if status in _REFUSALS:
        raise SummaryError(
            "summary_refused",
            noted("The server refuses: {status}{why}", status=status, why=_why(said)),
        )
    if not 200 <= status < 300:
        raise _unavailable(noted("The server answers {status}{why}", status=status, why=_why(said)))
    try:
        found = json.loads(said)
        choice = found["choices"][0]
        text = choice["message"].get("content") or ""
        reason = choice.get("finish_reason")
        used = (found.get("usage") or {}).get("prompt_tokens")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise _unavailable(noted("What answers there is no OpenAI-compatible server")) from None
    is_count = isinstance(used, int) and not isinstance(used, bool) and used > 0
    return Answer(
        text if isinstance(text, str) else "",
        reason if isinstance(reason, str) else None,
        used if is_count else None,
    )


def _why(said: bytes) -> str:
    """What a server says of its refusal, if it says so in the usual form."""
    try:
        found = json.loads(said)
        error = found.get("error") or found
        message = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError, RecursionError):
        return ""
    plain = " ".join(str(message or "").split())[:_SAID_CHARS]
    return f" ({plain})" if plain.isprintable() and plain else ""


def _unavailable(why: str) -> TranscriberError:
    return TranscriberError("summary_unavailable", joined("", why, "."))
