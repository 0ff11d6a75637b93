"""What ``make audit`` makes of pip-audit's answers: found, not found, excepted, nobody there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import audit

HASH = "--hash=sha256:" + "0" * 64
WEAKNESS = {
    "id": "GHSA-1",
    "aliases": ["CVE-1"],
    "summary": "It opens the door.",
    "affected": [
        {
            "package": {"name": "flask", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1"}]}],
        }
    ],
}


class Service(BaseHTTPRequestHandler):
    """Knows one weakness, of flask 3.0."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        weak = (asked["package"]["name"], asked["version"]) == ("flask", "3.0")
        answer = json.dumps({"vulns": [WEAKNESS]} if weak else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing: the tests tell."""


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two locks with nothing weak in them, and no exceptions."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(audit, "PROJECT", tmp_path)
    monkeypatch.setattr(audit, "LOCKS", ("small.lock", "large.lock"))
    monkeypatch.setattr(audit, "EXCEPTIONS", tmp_path / "exceptions.txt")
    (tmp_path / "exceptions.txt").write_text("# none\n")
    (tmp_path / "small.lock").write_text(f"uv==1.0 \\\n    {HASH}\n")
    (tmp_path / "large.lock").write_text(f"rich==1.0 \\\n    {HASH}\n    # via us\n")
    return tmp_path


@pytest.fixture
def service(tmp_path: Path) -> Iterator[list[str]]:
    """A service of known weaknesses on this machine: the arguments that lead there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield asking(server.server_port, tmp_path)
        finally:
            server.shutdown()
            thread.join()


def asking(port: int, folder: Path) -> list[str]:
    url = f"http://127.0.0.1:{port}/v1/query"
    return ["-s", "osv", "--osv-url", url, "--cache-dir", str(folder / "cache")]


def test_an_audit_without_findings_is_told(
    locks: Path, service: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(service) == 0
    assert capsys.readouterr().out == "No known weakness in 2 pinned packages.\n"


def test_a_known_weakness_is_found_whatever_system_it_is_pinned_for(
    locks: Path, service: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with (locks / "large.lock").open("a") as lock:
        lock.write(
            f"flask==3.2 \\\n    {HASH}\nflask==3.0 ; sys_platform == 'win32' \\\n    {HASH}\n"
        )
    assert audit.main(service) == 1
    assert capsys.readouterr().out == "flask 3.0: CVE-1 GHSA-1, mended in 3.1\n"


WEAK = {"name": "flask", "version": "3.0"}
FLASK = [WEAK | {"vulns": [{"id": "GHSA-1", "aliases": ["CVE-1"], "fix_versions": []}]}]


@pytest.mark.parametrize(
    ("exceptions", "code", "told"),
    [
        ("", 1, "flask 3.0: CVE-1 GHSA-1, mended in no version yet"),
        ("GHSA-1 that door is not in our house", 0, "No known weakness in 1 pinned packages."),
        ("CVE-1 that door is not in our house", 0, "No known weakness in 1 pinned packages."),
        ("CVE-1", 1, "exceptions.txt: CVE-1 is passed over without a reason"),
        (
            "CVE-1 that door is not ours\nCVE-2 nor is that",
            1,
            "exceptions.txt: nothing needs CVE-2",
        ),
    ],
)
def test_an_exception_holds_with_its_reason_as_long_as_it_is_needed(
    locks: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    exceptions: str,
    code: int,
    told: str,
) -> None:
    (locks / "exceptions.txt").write_text(f"# ours\n{exceptions}\n")
    monkeypatch.setattr(audit, "ask_all", lambda _: FLASK)
    assert audit.main([]) == code
    assert capsys.readouterr().out.startswith(told)


def test_an_audit_that_could_ask_nobody_says_so(
    locks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        nobody = server.server_port
    assert audit.main(asking(nobody, locks)) == audit.NOT_ASKED
    assert capsys.readouterr().out.startswith("NOT AUDITED: ")


def test_a_service_that_knows_no_package_was_not_asked(
    locks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip-audit alone calls this "no known vulnerabilities"."""
    unknown = [{"name": "uv", "skip_reason": "Dependency not found"}]
    monkeypatch.setattr(audit, "ask", lambda *_: unknown)
    assert audit.main([]) == audit.NOT_ASKED
    assert capsys.readouterr().out.endswith("is unknown. Dependency not found\n")


def test_one_package_that_the_service_does_not_know_is_told(
    locks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(
        [
            [{"name": "uv", "version": "1.0", "vulns": []}],
            [{"name": "rich", "skip_reason": "not found: it may have been taken down"}],
        ]
    )
    monkeypatch.setattr(audit, "ask", lambda *_: next(answers))
    assert audit.main([]) == 1
    assert capsys.readouterr().out == "rich: not found: it may have been taken down\n"
