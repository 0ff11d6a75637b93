"""A model hub on the loopback: as much of it as its library asks for to fetch a repository."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Mapping
from types import TracebackType

COMMIT = "c0ffee" + "0" * 34


class FakeHub:
    """Serves one repository. ``address`` is what HF_ENDPOINT is to be.

    ``tampered``: files whose content differs from what is announced. ``breaks_after``: an answer
    with more bytes ends there, once for each file; the rest is had by asking again. ``asked``: the
    paths, in order, with the range that was asked for.
    """

    def __init__(self, repository: str, files: Mapping[str, bytes]) -> None:
        self.repository = repository
        self.files = files
        self.tampered: dict[str, bytes] = {}
        self.breaks_after: int | None = None
        self.asked: list[tuple[str, str]] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeHub:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def broken_at(self, name: str) -> int | None:
        """Where the answer with a file ends too early; the next one is whole."""
        limit, self.breaks_after = self.breaks_after, None
        return limit if limit is not None and limit < len(self.files[name]) else None

    def _handler(hub) -> type[http.server.BaseHTTPRequestHandler]:  # noqa: N805 # self is the other
        class Answers(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def do_GET(self) -> None:
                self._answer(with_body=True)

            def _answer(self, with_body: bool) -> None:
                hub.asked.append((self.path, self.headers.get("Range", "")))
                if self.path.startswith(f"/api/models/{hub.repository}"):
                    siblings = [{"rfilename": name} for name in (*hub.files, "README.md")]
                    told = {"id": hub.repository, "sha": COMMIT, "siblings": siblings}
                    self._send(200, json.dumps(told).encode(), {}, with_body)
                    return
                name = self.path.rpartition("/")[2]
                if not self.path.startswith(f"/{hub.repository}/resolve/") or (
                    name not in hub.files
                ):
                    self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, with_body)
                    return
                self._file(name, with_body)

            def _file(self, name: str, with_body: bool) -> None:
                content = hub.files[name]
                is_large = name.endswith(".bin")
                header = b"blob %d\0" % len(content)
                tag = hashlib.sha256(content) if is_large else hashlib.sha1(header + content)
                headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{tag.hexdigest()}"'}
                content = hub.tampered.get(name, content)
                asked = self.headers.get("Range")
                if asked and with_body:
                    start = int(asked.removeprefix("bytes=").partition("-")[0])
                    whole = len(content)
                    headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
                    self._send(206, content[start:], headers, with_body)
                    return
                stop = hub.broken_at(name) if with_body and is_large else None
                self._send(200, content, headers, with_body, stop)

            def _send(
                self,
                code: int,
                content: bytes,
                headers: Mapping[str, str],
                with_body: bool,
                stop: int | None = None,
            ) -> None:
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Accept-Ranges", "bytes")
                self.end_headers()
                if with_body:
                    self.wfile.write(content[:stop])
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Answers
