"""What a failure means, in the words of the person who finds the file in ``manual/``. Pure."""

from __future__ import annotations

from modules.job import ErrorInfo, Job

_REMEDIES = {
    "worker_killed": "Close other programs or give the machine more memory, then try again.",
    "timeout": "Raise processing.timeout_seconds in config.yaml, or cut the recording in parts.",
    "worker_hung": "Try again; if it happens again, convert the recording to WAV first.",
    "whisperx_failed": "Try again; if it happens again, convert the recording to WAV first.",
}
_DEFAULT_REMEDY = "Check that it plays in an ordinary player, and save it anew from there."


def explain(job: Job, error: ErrorInfo) -> str:
    """The text of ``NAME.error.txt``."""
    lines = [
        f"{job.name} could not be turned into text.",
        "",
        f"What happened: {error.message}",
        "",
        f"What to try:   {_REMEDIES.get(error.code, _DEFAULT_REMEDY)}",
        "               Then move the recording back into the shared folder: it starts afresh.",
        "",
        "What was tried:",
    ]
    for attempt in job.attempts:
        outcome = attempt.error.message if attempt.error else attempt.status
        lines.append(f"  {attempt.start_time}  attempt {attempt.attempt_number}: {outcome}")
    lines += ["", f"Error code: {error.code}"]
    if error.details:
        lines += ["Details for whoever runs this program:", *_indented(error.details)]
    return "\n".join(lines) + "\n"


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]
