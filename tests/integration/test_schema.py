"""schemathesis asks the running daemon all that its own OpenAPI document allows, and forbids.

``GET /events`` is left out: it answers without end, and no request for it would ever be done.
"""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from tests.daemon_process import PROJECT
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import NOT_MEDIA
from tests.soak import soak

KEY = "a key that nobody guesses"
#: For each kind of request, and how many requests that makes at least.
EXAMPLES = soak(40, 300)
CASES = 20 * EXAMPLES
RUN_S = soak(400, 3600)


def configured(root: Path, **api: Any) -> ScriptedDaemon:
    """Files that are missing are looked for once; the limits are wide, but for what uploads of
    which no byte comes would take of the disk."""
    limits = {
        "port": 0,
        "max_upload_mb": 8,
        "search_attempts": 1,
        "wait_seconds": 60,
        "max_waiting": 1000,
    }
    return ScriptedDaemon(root, {"api": limits | api})


def check_all(daemon: ScriptedDaemon, *options: str, key: str = "") -> int:
    """Run schemathesis, which must find nothing; returns how many requests were answered."""
    # The document's example, so that not all asked for is unknown.
    (daemon.shared / "talk.mp3").write_bytes(NOT_MEDIA)
    daemon.wait_until_in_manual("talk.mp3", SOON_S)
    port = daemon.wait_for_log(r"Listening on http://[^:]+:(\d+)", SOON_S).group(1)
    base = f"http://127.0.0.1:{port}"
    program = [sys.executable, "-m", "schemathesis.cli", "--no-color"]
    program += ["--config-file", str(PROJECT / "tests" / "schemathesis.toml")]
    header = ["--header", f"X-API-Key: {key}"] if key else []
    done = subprocess.run(
        [*program, "run", f"{base}/openapi.json", "--exclude-path", "/events", *header, *options],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert "Tested: 41" in done.stdout, done.stdout[-3_000:]
    assert "A request failed" not in daemon.log
    request = urllib.request.Request(f"{base}/metrics", headers={"X-API-Key": key})
    with urllib.request.urlopen(request, timeout=SOON_S) as answer:
        text = answer.read().decode()
    counts = re.findall(
        r'^transcriber_http_request_seconds_count\{.*status="(\d+)".*\} (\S+)$', text, re.M
    )
    assert not [status for status, _ in counts if status.startswith("5")]
    told: Counter[str] = Counter()
    for status, count in counts:
        told[status] += int(float(count))
    print(dict(told.most_common()))
    return told.total()


def test_the_document_says_what_is_answered(tmp_path: Path) -> None:
    with configured(tmp_path) as daemon:
        assert check_all(daemon, "--max-examples", str(EXAMPLES)) >= CASES


def test_nothing_but_health_is_answered_without_the_key(tmp_path: Path) -> None:
    with configured(tmp_path, key=KEY) as daemon:
        assert check_all(daemon, "--max-examples", "10", "--phases", "fuzzing", key=KEY)
