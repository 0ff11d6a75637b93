"""An HTTP server on this machine that breaks each answer off and stays away for a while."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def flaky_server(content: bytes, part_bytes: int, away_s: float) -> Iterator[str]:
    """The address of a file that comes in parts of ``part_bytes``.

    After each part the server refuses for ``away_s`` seconds. It resumes where it is asked to.
    """
    back_at = 0.0

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal back_at
            self.close_connection = True
            if time.monotonic() < back_at:
                return
            asked = self.headers.get("Range")
            start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("Accept-Ranges", "bytes")
            if asked:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            self.wfile.write(content[start : start + part_bytes])
            back_at = time.monotonic() + away_s

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
