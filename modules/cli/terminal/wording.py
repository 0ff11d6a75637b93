"""The program's own words for states, stages and times, as people read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from gettext import gettext as _
from gettext import ngettext

from modules.cli.daemon_status import Owner
from modules.config.schema import RetentionConfig
from modules.errors import Message, noted
from modules.messages import in_locale
from modules.outputs.notes import sentence
from modules.service.folder_view.report import Report
from modules.service.folder_view.rows import Row, State

_STATES = {
    State.COMPLETED: noted("completed"),
    State.MANUAL: noted("manual"),
    State.ERROR: noted("error"),
    State.IGNORED: noted("ignored"),
    State.SKIPPED: noted("skipped"),
    State.PENDING: noted("pending"),
    State.QUEUED: noted("queued"),
    State.PROCESSING: noted("processing"),
}
_STAGES = {
    "queued": noted("queued"),
    "loading_model": noted("loading model"),
    "processing_audio": noted("processing audio"),
    "generating_text": noted("generating text"),
}
#: What files that are no recordings are, in the words of ``storage/file_kind.py``.
KINDS = (
    noted("a ZIP archive or an office document"),
    noted("an empty ZIP archive"),
    noted("a RAR archive"),
    noted("a 7-Zip archive"),
    noted("a gzip archive"),
    noted("a bzip2 archive"),
    noted("an xz archive"),
    noted("a zstd archive"),
    noted("a tar archive"),
    noted("a PDF document"),
    noted("a PostScript document"),
    noted("an RTF document"),
    noted("an older office document"),
    noted("a text document"),
    noted("an XML document"),
    noted("a web page"),
    noted("subtitles"),
    noted("a playlist, which only points to recordings"),
    noted("a MIDI file, which holds notes and no sound"),
    noted("a JPEG picture"),
    noted("a PNG picture"),
    noted("a GIF picture"),
    noted("a TIFF picture"),
    noted("a Photoshop picture"),
    noted("a WebP picture"),
    noted("a HEIF picture"),
    noted("an SVG picture"),
    noted("an icon"),
    noted("a program"),
    noted("a font"),
    noted("a compiled translation"),
    noted("a database"),
)
COLOURS = {
    State.COMPLETED: "green",
    State.MANUAL: "red",
    State.ERROR: "red",
    State.PROCESSING: "cyan",
    State.QUEUED: "yellow",
}


def state_word(state: State) -> str:
    return _(_STATES[state])


def stage_word(stage: str | None) -> str:
    """Empty where there is nothing to tell beside the state."""
    return _(_STAGES.get(stage, stage)) if stage and stage != "queued" else ""


def error_word(error: str | None) -> str:
    """Why a file has no text, in the user's language."""
    return in_locale(error) if error else ""


def details(row: Row) -> str:
    """Stage, percentage, attempt, error and warnings, as far as they say something."""
    parts = []
    if row.state in (State.PROCESSING, State.QUEUED):
        parts += [stage_word(row.stage)] if stage_word(row.stage) else []
        parts += [f"{row.percentage} %"] if row.percentage else []
        parts += [_("attempt {n}").format(n=row.attempt)] if (row.attempt or 1) > 1 else []
    passed_over = row.state in (State.IGNORED, State.SKIPPED)
    parts += [error_word(row.error)] if row.error and not passed_over else []
    if row.state is State.SKIPPED:
        parts = [_("has subtitles: {file}").format(file=row.error)]
    if row.state is State.IGNORED:
        parts = [_("no recording: {kind}").format(kind=error_word(row.error))]
    return " ".join([*([", ".join(parts)] if parts else []), *warnings(row)])


def warnings(row: Row) -> list[str]:
    """What one must know of the text, in the user's language."""
    # The translation of "en" is the code of the language of the translations.
    return [sentence(each, _("en")) for each in row.warnings]


#: What the WhisperX process says of a result, by how that begins. It speaks English.
_NOTES = {
    "partial: ": noted("the recording is incomplete"),
    "diarization: ": noted("speakers could not be told apart as asked"),
    "alignment: ": noted("the times of words are rough"),
    "encoder: ": noted("the encoder is computed more slowly than it could be"),
}


def note_word(note: str) -> str:
    """A note of a result in the user's language; in English with all that is known."""
    if isinstance(note, Message):
        return in_locale(note)
    for begin, general in _NOTES.items():
        if note.startswith(begin) and in_locale(general) != general:
            return in_locale(general)
    return note


def duration(seconds: float | None) -> str:
    """Roughly, not to the second. Empty if not known at all."""
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    if minutes < 1:
        return _("under a minute")
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        days = round(hours / 24)
        return ngettext("{n} day", "{n} days", days).format(n=days)
    if hours:
        return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    return _("{minutes} min").format(minutes=minutes)


def retention(rules: RetentionConfig) -> str:
    """What goes to the trash, and when; empty if nothing does."""
    days = [rules.recordings_days, rules.results_days, rules.trash_days]
    if days[:2] == [None, None]:
        return ""
    recordings, texts, trash = (
        _("for ever") if n is None else ngettext("{n} day", "{n} days", n).format(n=n) for n in days
    )
    message = _("Kept: recordings {recordings}, texts {texts}, then {trash} in the trash.")
    return message.format(recordings=recordings, texts=texts, trash=trash)


def counts(rows: Iterable[Row]) -> dict[State, int]:
    counted = Counter(row.state for row in rows)
    return {state: counted[state] for state in State}


def _counted(state: State, n: int) -> str:
    """``5 completed``: in some languages the word changes with the number."""
    forms = {
        State.COMPLETED: ngettext("{n} completed", "{n} completed", n),
        State.MANUAL: ngettext("{n} manual", "{n} manual", n),
        State.ERROR: ngettext("{n} error", "{n} error", n),
        State.IGNORED: ngettext("{n} ignored", "{n} ignored", n),
        State.SKIPPED: ngettext("{n} skipped", "{n} skipped", n),
        State.PENDING: ngettext("{n} pending", "{n} pending", n),
        State.QUEUED: ngettext("{n} queued", "{n} queued", n),
        State.PROCESSING: ngettext("{n} processing", "{n} processing", n),
    }
    return forms[state].format(n=n)


def summary(found: Report, owner: Owner | None, paused: bool) -> str:
    """The last line: who runs, whether it is paused, how many there are of each."""
    parts = [str(owner) if owner else _("No daemon runs.")]
    parts += [_("The queue is paused.")] if paused else []
    found_states = [_counted(state, count) for state, count in counts(found.rows).items() if count]
    return " ".join(
        [*parts, f"{', '.join(found_states)}." if found_states else _("There are no recordings.")]
    )
