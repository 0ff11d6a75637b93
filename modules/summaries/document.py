"""A summary as Markdown for people; its times are links into the page. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from modules.outputs.base import clock, utf8
from modules.outputs.markdown import escaped
from modules.recordings.sidecars import stem_of
from modules.recordings.summary_files import Entry, Summary

_EN = {
    "points": "Main points", "decisions": "Decisions", "tasks": "Tasks",
    "questions": "Open questions", "made": "Made by {model} from the transcript; it may be wrong.",
}  # fmt: skip
_RU = {
    "points": "Главное", "decisions": "Решения", "tasks": "Поручения",
    "questions": "Открытые вопросы",
    "made": "Составлено моделью {model} по расшифровке; возможны ошибки.",
}  # fmt: skip


def markdown(name: str, summary: Summary, page_url: str) -> bytes:
    """``page_url``: where people open the page, without a slash at its end."""
    words = _RU if summary.made_from.language == "ru" else _EN
    blocks = [f"# {escaped(stem_of(name).rpartition('/')[2])}", escaped(summary.summary)]
    for kind in ("points", "decisions", "tasks", "questions"):
        entries: tuple[Entry, ...] = getattr(summary, kind)
        if entries:
            blocks += [f"## {words[kind]}", "\n".join(_lines(name, entries, page_url))]
    blocks.append(f"*{words['made'].format(model=escaped(summary.made_from.model))}*")
    return utf8("\n\n".join(filter(None, blocks)) + "\n")


def _lines(name: str, entries: Iterable[Entry], page_url: str) -> Iterable[str]:
    for entry in entries:
        link = "" if entry.time is None else f"{_link(name, entry.time, page_url)} "
        who = f"**{escaped(entry.who)}:** " if entry.who else ""
        yield f"- {link}{who}{escaped(entry.text)}"


def _link(name: str, time: float, page_url: str) -> str:
    encoded = quote(name, safe="", errors="surrogatepass")
    return f"[{clock(time)}]({page_url}/#name={encoded}&t={int(time)})"
