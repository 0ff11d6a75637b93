"""What a failure means, in the words of the person who finds the text beside the file. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from modules.jobs.job import ErrorInfo, Job

#: For failures whose own message does not say what to do.
_REMEDIES = {
    "unexpected_error": "This is a fault of the program. Report it, with the lines of the log.",
    "whisperx_failed": "Try again; if it happens again, convert the recording to WAV first.",
    "implausible_output": "If the recording may be an attack, nothing: delete it. Else convert it "
    "to WAV first.",
    "worker_hung": "Try again; if it happens again, convert the recording to WAV first.",
    "interrupted_before_progress": "Try again; if it happens again, convert it to WAV first.",
}

#: The first line of every text about a settings file; by it we know our own.
SETTINGS_NOTICE = "The settings beside this text cannot be used. (audio-transcriber)"

#: What right settings look like; a test sees that they are.
SETTINGS_EXAMPLE = """\
model_size: small
language: en
beam_size: 5
initial_prompt: "Names: Ada Lovelace, Grace Hopper."
"""


_AFRESH = {
    False: "To start it afresh, move the recording back into the shared folder.",
    True: "It is left where it is. To start it afresh: transcriber.py retry NAME",
}


def explain(job: Job, error: ErrorInfo, *, left: bool = False) -> str:
    """The text of ``NAME.error.txt``. ``left``: the recording is not moved."""
    lines = [
        f"{job.name} could not be turned into text.",
        "",
        f"What happened: {error.message}",
        "",
        *([f"What to try:   {_REMEDIES[error.code]}", ""] if error.code in _REMEDIES else []),
        _AFRESH[left],
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


def explain_settings(file: str, complaints: Iterable[str]) -> str:
    """The text of ``NAME.settings.yaml.error.txt``, and of a folder's; ``file`` without folders."""
    lines = [
        SETTINGS_NOTICE,
        "",
        f"What is wrong in {file}:",
        *(f"  {line}" for line in complaints),
        "",
        "What waits for it begins by itself once the file is mended or removed; nothing is lost,",
        "and other recordings go on meanwhile. This text goes by itself too.",
        "",
        "Right content looks like this; every line may be left out:",
        *_indented(SETTINGS_EXAMPLE),
    ]
    return "\n".join(lines) + "\n"


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]
