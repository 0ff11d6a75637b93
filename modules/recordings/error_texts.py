"""What a failure means, in the words of the person who finds the text beside the file. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from modules.jobs.job import ErrorInfo, Job
from modules.messages import LANGUAGES, joined, noted, translated

_FAULT_OF_OURS = noted("This is a fault of the program. Report it, with the lines of the log.")
_AGAIN_AS_WAV = noted("Try again; if it happens again, convert the recording to WAV first.")
#: For failures whose own message does not say what to do.
REMEDIES = {
    "unexpected_error": _FAULT_OF_OURS,
    "whisperx_failed": _AGAIN_AS_WAV,
    "implausible_output": noted(
        "If the recording may be an attack, nothing: delete it. Else convert it to WAV first."
    ),
    "worker_hung": _AGAIN_AS_WAV,
    "interrupted_before_progress": _AGAIN_AS_WAV,
}
_OUTCOMES = {
    "processing": noted("it is under way"),
    "completed": noted("it succeeded"),
    "failed": noted("it failed"),
    "interrupted": noted("it was interrupted"),
}
_HAPPENED = noted("What happened: {message}")
#: How the line with the reason begins, in each language.
REASON_PREFIXES = tuple(
    translated(_HAPPENED, language).partition("{")[0].strip() for language in LANGUAGES
)

#: The first line of every text about a settings file; by it we know our own.
SETTINGS_NOTICE = noted("The settings beside this text cannot be used. (audio-transcriber)")
OWN_NOTICES = tuple(translated(SETTINGS_NOTICE, language).encode() for language in LANGUAGES)

#: What right settings look like; a test sees that they are.
SETTINGS_EXAMPLE = """\
model_size: small
language: en
beam_size: 5
initial_prompt: "Names: Ada Lovelace, Grace Hopper."
"""


_AFRESH = {
    False: noted("To start it afresh, move the recording back into the shared folder."),
    True: noted("It is left where it is. To start it afresh: transcriber.py retry NAME"),
}


def explain(job: Job, error: ErrorInfo, language: str = "en", *, left: bool = False) -> str:
    """The text of ``NAME.error.txt``. ``left``: the recording is not moved."""
    remedy = REMEDIES.get(error.code)
    lines = [
        noted("{name} could not be turned into text.", name=job.name),
        "",
        noted(_HAPPENED, message=error.message),
        "",
        *([noted("What to try:   {remedy}", remedy=remedy), ""] if remedy else []),
        _AFRESH[left],
        "",
        noted("What was tried:"),
    ]
    for attempt in job.attempts:
        line = noted(
            "attempt {n}: {outcome}",
            n=attempt.attempt_number,
            outcome=attempt.error.message if attempt.error else _OUTCOMES[attempt.status],
        )
        lines.append(joined("", f"  {attempt.start_time}  ", line))
    lines += ["", noted("Error code: {code}", code=error.code)]
    if error.details:
        lines += [noted("Details for whoever runs this program:"), *_indented(error.details)]
    return _text(lines, language)


def explain_settings(file: str, complaints: Iterable[str], language: str = "en") -> str:
    """The text of ``NAME.settings.yaml.error.txt``, and of a folder's; ``file`` without folders."""
    lines = [
        SETTINGS_NOTICE,
        "",
        noted("What is wrong in {file}:", file=file),
        *(joined("", "  ", line) for line in complaints),
        "",
        noted(
            "What waits for it begins by itself once the file is mended or removed; nothing is "
            "lost,\nand other recordings go on meanwhile. This text goes by itself too."
        ),
        "",
        noted("Right content looks like this; every line may be left out:"),
        *_indented(SETTINGS_EXAMPLE),
    ]
    return _text(lines, language)


def _text(lines: Iterable[str], language: str) -> str:
    return "\n".join(translated(line, language) for line in lines) + "\n"


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]
