"""What a failure means, in the words of the person who finds the file in ``manual/``. Pure."""

from __future__ import annotations

from modules.job import ErrorInfo, Job

#: For failures whose own message does not say what to do.
_REMEDIES = {
    "whisperx_failed": "Try again; if it happens again, convert the recording to WAV first.",
    "worker_hung": "Try again; if it happens again, convert the recording to WAV first.",
    "interrupted_before_progress": "Try again; if it happens again, convert it to WAV first.",
}


def explain(job: Job, error: ErrorInfo) -> str:
    """The text of ``NAME.error.txt``."""
    lines = [
        f"{job.name} could not be turned into text.",
        "",
        f"What happened: {error.message}",
        "",
        *([f"What to try:   {_REMEDIES[error.code]}", ""] if error.code in _REMEDIES else []),
        "To start it afresh, move the recording back into the shared folder.",
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
