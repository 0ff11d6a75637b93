"""The real daemon in a process of its own, with a scripted worker in WhisperX's place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import yaml

from modules.clock import SystemClock
from modules.service import folder_orders
from tests.builders import a_model
from tests.daemon_process import PROJECT, RESULT_S, SOON_S, DaemonProcess
from tests.scripted_worker import recording
from tests.warm_start import Forked, warm_process

#: ``transcriber.py`` with another child process, less patience, and more of it with wrong keys. It
#: starts while somebody else on this machine runs ``whisperx``, too.
PROGRAM = """
import sys
from modules.api.server import wrong_keys
from modules.daemon import housekeeping
from modules.executors.local import executor
from modules.recordings import lock
from modules.runner import held_settings, outage, runner
from modules.service import text_search
housekeeping.HEARTBEAT_S = outage.HOLD_S = runner.HOLD_S = held_settings.HOLD_S = {hold_s}
housekeeping._EXPIRY_S = housekeeping._RETENTION_S = {hold_s}
runner._IDLE_TICK_S = min(runner._IDLE_TICK_S, {hold_s})
text_search._EVERY_S = {hold_s}
wrong_keys.MOST = 1_000_000
lock._refuse_foreign_whisperx = lambda: None
executor.worker_command = lambda config: [sys.executable, "-m", "tests.scripted_worker"]
import transcriber
sys.exit(transcriber.main(sys.argv[1:]))
"""


class ScriptedDaemon(DaemonProcess):
    """Quick to see files, quick to try again."""

    #: How long trouble that is nobody's is left alone, in seconds.
    hold_s = 1.0
    #: Whether a start may save the imports. Not where a start itself is measured.
    warm = True

    def configure(self, config: Mapping[str, Mapping[str, object]]) -> None:
        models = self.root / "models"
        if not models.exists():
            a_model(models)
        tree: dict[str, Any] = {
            "api": {"port": 0},
            "shared_directory": str(self.shared),
            "manual_directory": str(self.manual),
            "models_directory": str(models),
            "watch": {"rescan_seconds": 1.0, "settle_seconds": 0.05, "stable_seconds": 0.2},
            "processing": {
                "retry_backoff_seconds": 0.1,
                "growth_wait_seconds": 0,
                "stop_grace_seconds": 1.0,
            },
        }
        for section, values in config.items():
            tree[section] = {**tree.get(section, {}), **values}
        self.config_file.write_text(yaml.safe_dump(tree), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        program = PROGRAM.format(hold_s=self.hold_s)
        return [sys.executable, "-c", program, "--config", str(self.config_file), *arguments]

    def _begun(self, command: list[str], log: int) -> subprocess.Popen[bytes] | Forked:
        """Forked from a process that has imported the program, where that makes no difference."""
        python, option, program, *arguments = command
        ordinary = (python, option, self._prefix, self._project) == (
            sys.executable,
            "-c",
            (),
            PROJECT,
        )
        environment = self.environment()
        warm = warm_process() if self.warm and ordinary and self._project == PROJECT else None
        if warm is None or not warm.knows(environment):
            return super()._begun(command, log)
        return warm.start(program, arguments, environment, log)

    def drop(self, name: str, chunks: int = 3, seed: str = "speech") -> bytes:
        """Put a recording into the share in one step, as a move does; returns its bytes."""
        content = recording(chunks, seed)
        hidden = self.shared / f".{name}.part"
        hidden.write_bytes(content)
        hidden.rename(self.shared / name)
        return content

    def order(self, name: str) -> None:
        folder_orders.place(self.shared, name, SystemClock())

    def wait_for_position(self, name: str, seconds: float) -> None:
        what = f"{name} came to {seconds:g} s"
        self.wait_for(lambda: self.position_s(name) >= seconds, what, SOON_S)

    def wait_for_attempt(self, name: str, number: int) -> None:
        def begun() -> bool:
            attempts = (self.in_progress(name) or {}).get("attempts") or [{}]
            last = attempts[-1]
            return (last.get("attempt_number"), last.get("status")) == (number, "processing")

        self.wait_for(begun, f"attempt {number} of {name} began", SOON_S)

    def wait_until_in_manual(self, name: str, timeout_s: float = RESULT_S) -> dict[str, Any]:
        """Also until its job is over, a moment after its files came there."""
        state = super().wait_until_in_manual(name, timeout_s)
        self.wait_for(lambda: not self._has_job(state["job_id"]), f"{name} left the queue", SOON_S)
        return state

    def _has_job(self, job_id: str) -> bool:
        """Whether the queue shows it; False too where there is no queue to be seen."""
        if "] Listening on http" not in self.log:
            return False
        try:
            jobs = json.loads(self._get("/queue")).get("jobs", ())
        except OSError:  # it listens where this machine is not, or ends just now
            return False
        return any(job["job_id"] == job_id for job in jobs)

    def health(self) -> dict[str, Any]:
        """The answer of ``/health``, also where it is 503."""
        report: dict[str, Any] = json.loads(self._get("/health"))
        return report

    def metrics(self) -> dict[str, float]:
        """The answer of ``/metrics``: values by series, as they are written there."""
        lines = (line for line in self._get("/metrics").splitlines() if line[:1] not in ("", "#"))
        return {series: float(value) for series, _, value in (x.rpartition(" ") for x in lines)}
