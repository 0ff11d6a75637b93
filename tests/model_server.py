"""A scripted OpenAI-compatible server on the loopback, with the faults that real ones have."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What a text is planted with, and what the scripted model finds in it.
FACT = re.compile(r"ФАКТ-\d+|FACT-\d+")
_LINE = re.compile(r"\[(\d+:\d\d:\d\d)\] ([^\n]*)")


@dataclass
class Faults:
    """``window``: tokens; what does not fit is dropped from the beginning, as Ollama does, and the
    answer is 200. ``chars_per_token``: how its tokenizer counts. The others are by number of
    questions: so many of the next ones are answered like that."""

    window: int = 1_000_000
    chars_per_token: float = 3.0
    counts: bool = True
    thinks: bool = False
    empty: int = 0
    prose: int = 0
    cut: int = 0
    cut_above_chars: int = 10**9
    status: int = 200
    said: str = "no such model"
    refuses_format: bool = False
    redirect: str = ""
    path: str = "/v1/chat/completions"
    hold: threading.Event = field(default_factory=lambda: _set(threading.Event()))


def _set(event: threading.Event) -> threading.Event:
    event.set()
    return event


class ModelServer(ThreadingHTTPServer):
    """Finds the planted facts in what it reads, and repeats all that it finds in notes."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.faults = Faults()
        self.questions: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.paths: list[str] = []
        #: What it notes of each part; None: the planted facts.
        self.lists: dict[str, Any] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reply(self, question: dict[str, Any]) -> dict[str, Any]:
        faults = self.faults
        instructions, text = (message["content"] for message in question["messages"])
        whole = len(instructions) + len(text)
        kept = int(faults.window * faults.chars_per_token) - len(instructions)
        read = text[-kept:] if whole > faults.window * faults.chars_per_token else text
        tokens = int((len(instructions) + len(read)) / faults.chars_per_token) + 8
        content, reason = self._said(read), "stop"
        if faults.empty:
            faults.empty -= 1
            content = "<think>I have no idea" if faults.thinks else ""
        elif faults.prose:
            faults.prose -= 1
            content = "Sure! Here is what I found: many things."
        elif faults.cut or len(text) > faults.cut_above_chars:
            faults.cut = max(0, faults.cut - 1)
            content, reason = content[: len(content) // 2], "length"
        elif faults.thinks:
            content = f'<think>Perhaps {{"points": ["wrong"]}}?</think>\n```json\n{content}\n```'
        answer: dict[str, Any] = {
            "choices": [{"message": {"role": "assistant", "content": content},
                         "finish_reason": reason}]
        }  # fmt: skip
        if faults.counts:
            answer["usage"] = {"prompt_tokens": tokens, "completion_tokens": 5}
        return answer

    def _said(self, read: str) -> str:
        if read.lstrip().startswith("{"):
            return self._reduced(json.loads(read))
        if self.lists is not None:
            return json.dumps(self.lists, ensure_ascii=False)
        lists: dict[str, Any] = {
            "summary": "A part.",
            "points": [],
            "decisions": [],
            "tasks": [],
            "questions": [],
        }
        for time, line in _LINE.findall(read):
            for fact in FACT.findall(line):
                lists["points"].append({"time": time, "text": f"{fact} was said"})
            if "task" in line or "поручение" in line:
                lists["tasks"].append({"time": time, "text": line[:200], "who": "Anna"})
        return json.dumps(lists, ensure_ascii=False)

    def _reduced(self, notes: dict[str, Any]) -> str:
        seen: dict[str, list[Any]] = {}
        notes.pop("parts", None)
        for kind, items in notes.items():
            texts = {item["text"]: item for item in items}
            seen[kind] = list(texts.values())
        return json.dumps(seen | {"summary": "What was said, in short."}, ensure_ascii=False)


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        faults = self.server.faults
        question = json.loads(body)
        self.server.paths.append(self.path)
        self.server.keys.append(self.headers.get("Authorization", ""))
        status, answer = 200, {}
        if self.path != faults.path:
            status, answer = 404, {"error": {"message": "no such page"}}
        elif faults.status != 200:
            status, answer = faults.status, {"error": {"message": faults.said}}
        elif faults.refuses_format and "response_format" in question:
            status, answer = 400, {"error": "response_format is not known"}
        else:
            self.server.questions.append(question)
            faults.hold.wait(60)
            answer = self.server.reply(question)
        content = json.dumps(answer).encode()
        with contextlib.suppress(OSError):
            self.send_response(302 if faults.redirect else status)
            if faults.redirect:
                self.send_header("Location", faults.redirect)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return


@contextlib.contextmanager
def serving(server: ModelServer) -> Iterator[ModelServer]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.faults.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
