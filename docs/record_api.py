"""Writes docs/api.md: ``python docs/record_api.py WEIGHTS`` runs it all against a real daemon.

The words stand in ``api.template.md``; a line ``$ command`` in it is run, and its answer put below.
Long answers are cut where a line says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PORT = 8000
MOST_CHARS = 900


def main() -> None:
    weights = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "config.yaml").write_text(
            f"models_directory: {weights}\n"
            "whisperx: {language: ru}\n"
            "processing: {retry_backoff_seconds: 0.1, growth_wait_seconds: 0}\n"
            f"api: {{port: {PORT}}}\n"
        )
        shutil.copy(PROJECT / "samples" / "please-hold-ru.wav", root / "talk.wav")
        (root / "noise.mp3").write_bytes(b"no sound in here\0" * 100)
        command = [sys.executable, PROJECT / "transcriber.py", "--config", root / "config.yaml"]
        daemon = subprocess.Popen(  # nosec B603 # our own words, no shell
            [*command, "run"], stderr=subprocess.DEVNULL
        )
        try:
            wait_for_model()
            write(root)
        finally:
            daemon.terminate()
            daemon.wait(20)


def wait_for_model() -> None:
    for _ in range(120):
        time.sleep(0.5)
        try:
            address = f"http://127.0.0.1:{PORT}/health"
            with urllib.request.urlopen(address) as answer:  # nosec B310 # always http
                if json.load(answer)["models_loaded"]:
                    return
        except OSError:
            continue
    raise SystemExit("the model was not loaded within a minute")


def write(root: Path) -> None:
    template = (PROJECT / "docs" / "api.template.md").read_text(encoding="utf-8")
    text = "".join(filled(line, root) for line in template.splitlines())
    (PROJECT / "docs" / "api.md").write_text(text, encoding="utf-8")


def filled(line: str, root: Path) -> str:
    """A line of the template; ``! command`` is run in silence, ``$ command`` with its answer."""
    if line.startswith("! "):
        subprocess.run(  # nosec B602 # lines of our own template, shown as a reader would type them
            line[2:], shell=True, cwd=root, check=True, capture_output=True
        )
        return ""
    if not line.startswith("$ "):
        return line + "\n"
    done = subprocess.run(  # nosec B602 # the same
        line[2:].replace("curl ", "curl -s -m 60 -w '\\n%{http_code}' ", 1),
        shell=True, cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    answer, _, status = done.stdout.rpartition("\n")
    return f"```\n$ {line[2:]}\n{shortened(answer)}\n```\n\nHTTP status {status}.\n"


def shortened(answer: str) -> str:
    try:
        answer = json.dumps(json.loads(answer), ensure_ascii=False, indent=2)
    except ValueError:
        answer = answer.strip()
    if len(answer) <= MOST_CHARS:
        return answer
    return answer[:MOST_CHARS].rpartition("\n")[0] + "\n… cut here"


if __name__ == "__main__":
    main()
