"""A real nginx with TLS before a daemon, on ports of the loopback, as deploy/ has it.

The files are those that an administrator installs, in the places that they have under /etc/nginx.
Only addresses and ports are exchanged.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.builders import until
from tests.deployment.tools import DEPLOY, environment, run, tool
from tests.http_reply import Reply
from tests.ports import free_port
from tests.scripted_daemon import ScriptedDaemon

SOON_S = 60.0
#: What Debian's nginx.conf has around a site, for one that nobody but us is to see.
_AROUND = """
daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {root}/temporary;
    proxy_temp_path {root}/temporary;
    fastcgi_temp_path {root}/temporary;
    uwsgi_temp_path {root}/temporary;
    scgi_temp_path {root}/temporary;
    include {root}/site.conf;
}}
"""


def port_of(daemon: ScriptedDaemon) -> int:
    return int(daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1))


def exchanged(text: str, changes: Mapping[str, str]) -> str:
    """The text with each of these exchanged; a file that lacks one of them has been changed."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not there any more"
        text = text.replace(old, new)
    return text


def site(
    name: str, service_port: int, ports: tuple[int, int], resolver: str, others: Sequence[int]
) -> str:
    """``deploy/nginx/NAME`` on these ports for http and https, before this port of the service.

    ``others``: of a replica and of the process that waits.
    """
    http, https = ports
    changes = {
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
        "https://$host$": f"https://$host:{https}$",
    }
    if name != "container.conf":
        changes |= {"listen [::]:80;": "", "listen [::]:443 ssl;": ""}
        changes |= {"127.0.0.1:8000": f"127.0.0.1:{service_port}"}
    if name == "balanced.conf":
        for written, port in zip((8001, 8002), others, strict=True):
            changes |= {f"127.0.0.1:{written}": f"127.0.0.1:{port}"}
    if name == "container.conf":
        changes |= {"transcriber:8000": f"transcriber:{service_port}"}
        changes |= {"resolver 127.0.0.11 ": f"resolver {resolver} "}
    return exchanged((DEPLOY / "nginx" / name).read_text(), changes)


class Front:
    """nginx as a process. ``locations`` are exchanged in ``locations.conf``."""

    def __init__(
        self,
        root: Path,
        service_port: int,
        name: str = "host.conf",
        *,
        resolver: str = "127.0.0.1:9",
        locations: Mapping[str, str] | None = None,
        others: Sequence[int] = (1, 2),
    ) -> None:
        self.root = root
        self.http, self.port = free_port(), free_port()
        self._nginx = tool("nginx")
        self._process: subprocess.Popen[bytes] | None = None
        for folder in ("snippets", "tls", "temporary"):
            (root / folder).mkdir(parents=True)
        content = site(name, service_port, (self.http, self.port), resolver, others)
        (root / "site.conf").write_text(content)
        (root / "nginx.conf").write_text(_AROUND.format(root=root))
        snippet = (DEPLOY / "nginx" / "locations.conf").read_text()
        snippet = exchanged(snippet, locations or {})
        (root / "snippets" / "audio-transcriber.conf").write_text(snippet)
        certificate(root / "tls")

    def command(self, *more: str) -> list[str]:
        return [self._nginx, "-p", str(self.root), "-c", str(self.root / "nginx.conf"), *more]

    def check(self) -> subprocess.CompletedProcess[str]:
        return run(self.command("-t"))

    def __enter__(self) -> Front:
        with (self.root / "said.log").open("wb") as said:
            self._process = subprocess.Popen(
                self.command(),
                env=environment(self._nginx),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        until(self._listens, f"nginx listened: {self.log}", SOON_S)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(SOON_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(SOON_S)

    @property
    def log(self) -> str:
        files = (self.root / "said.log", self.root / "error.log")
        return "\n".join(file.read_text() for file in files if file.exists())

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"nginx ended: {self.log}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    # --- clients ---

    def connected(self) -> ssl.SSLSocket:
        """A client that knows the certificate."""
        context = ssl.create_default_context(cafile=str(self.root / "tls" / "fullchain.pem"))
        plain = socket.create_connection(("127.0.0.1", self.port), SOON_S)
        return context.wrap_socket(plain, server_hostname="localhost")

    @contextlib.contextmanager
    def answer(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = SOON_S,
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer to one request, still to be read."""
        client = http.client.HTTPConnection("localhost", self.port)
        client.sock = self.connected()
        client.sock.settimeout(timeout_s)
        with contextlib.closing(client):
            client.request(method, path, body, dict(headers or {}))  # type: ignore[arg-type]
            yield client.getresponse()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = SOON_S,
    ) -> Reply:
        with self.answer(method, path, body, headers, timeout_s) as found:
            told = {key.lower(): value for key, value in found.getheaders()}
            return Reply(found.status, told, found.read())

    def say(self, request: bytes) -> Reply:
        """The answer to these very bytes."""
        with self.connected() as client:
            client.sendall(request)
            found = http.client.HTTPResponse(client)
            with contextlib.closing(found):
                found.begin()
                told = {key.lower(): value for key, value in found.getheaders()}
                return Reply(found.status, told, found.read())


def certificate(folder: Path) -> None:
    """A certificate for localhost that signs itself."""
    openssl = shutil.which("openssl")
    assert openssl is not None, "openssl is needed to make a certificate"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"]
    done = run([openssl, *words.split(), *names, *files])
    assert done.returncode == 0, done.stdout
