"""What a model answers: points, decisions, tasks and questions with their times, as JSON. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from modules.outputs.base import clock

KINDS = ("points", "decisions", "tasks", "questions")
_ALL = ("parts", *KINDS)
#: So many places of an answer are tried for the beginning of its JSON.
_BRACES_MAX = 200
_ITEMS_MAX = 400
_TEXT_CHARS, _WHO_CHARS, _OVERVIEW_CHARS = 1000, 100, 6000
_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_THINKING_ENDS = re.compile(r"^.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_THINKING_BEGINS = re.compile(r"<think(?:ing)?>.*$", re.DOTALL | re.IGNORECASE)
_TIME = re.compile(r"\[?\s*(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2})(?:[.,]\d+)?\s*\]?")
#: How far outside of its part a time may lie, in seconds.
_SLACK_S = 5.0


@dataclass(frozen=True)
class Item:
    """One thing that was said. ``time`` in seconds; None where the model gave none that can be."""

    text: str
    time: float | None = None
    who: str = ""

    def as_json(self) -> dict[str, Any]:
        """For a model, which writes times as it reads them."""
        time = {} if self.time is None else {"time": clock(self.time)}
        return time | {"text": self.text} | ({"who": self.who} if self.who else {})


@dataclass(frozen=True)
class Notes:
    """What is to be kept of a text, or of a part of it. ``overview``: a few sentences about it;
    ``parts``: those about the parts of a text."""

    points: tuple[Item, ...] = ()
    decisions: tuple[Item, ...] = ()
    tasks: tuple[Item, ...] = ()
    questions: tuple[Item, ...] = ()
    parts: tuple[Item, ...] = ()
    overview: str = ""

    def items(self) -> Iterator[tuple[str, Item]]:
        for kind in _ALL:
            for item in getattr(self, kind):
                yield kind, item

    def as_json(self) -> str:
        found = {kind: [item.as_json() for item in getattr(self, kind)] for kind in _ALL}
        there = {kind: items for kind, items in found.items() if items}
        return json.dumps(there, ensure_ascii=False)

    def of_part(self, start_s: float) -> Notes:
        """The same as notes of a part that begins then."""
        own = (Item(self.overview, start_s),) if self.overview else ()
        return replace(self, overview="", parts=self.parts or own)


def without_thinking(text: str) -> str:
    """An answer without what a model thought aloud; an unfinished thought is no answer."""
    text = _THINKING.sub("", text)
    text = _THINKING_ENDS.sub("", text)
    return _THINKING_BEGINS.sub("", text).strip()


def parsed(text: str, start_s: float, end_s: float) -> Notes | None:
    """The notes in an answer, whatever is written around them; None if there are none.

    Times outside of ``start_s``..``end_s`` are not believed.
    """
    found = _object_in(text)
    if found is None:
        return None
    overview = found.get("summary")
    lists = {kind: tuple(_items(found.get(kind), start_s, end_s)) for kind in KINDS}
    plain = _plain(overview, _OVERVIEW_CHARS) if isinstance(overview, str) else ""
    return replace(_from(lists), overview=plain)


def together(notes: Iterable[Notes]) -> Notes:
    """All of them, in order of time; what overlapping parts both have stays twice."""
    found = list(notes)
    return _from(
        {
            kind: tuple(sorted((i for each in found for i in getattr(each, kind)), key=_when))
            for kind in _ALL
        }
    )


def groups(notes: Notes, room: int) -> list[Notes]:
    """The notes in parts whose JSON has at most ``room`` characters, in order of time."""
    parts: list[list[tuple[str, Item]]] = [[]]
    size = 0
    for kind, item in sorted(notes.items(), key=lambda each: _when(each[1])):
        length = len(json.dumps(item.as_json(), ensure_ascii=False)) + len(kind) + 10
        if parts[-1] and size + length > room:
            parts.append([])
            size = 0
        parts[-1].append((kind, item))
        size += length
    return [
        _from({kind: tuple(item for k, item in part if k == kind) for kind in _ALL})
        for part in parts
    ]


def _from(lists: Mapping[str, tuple[Item, ...]]) -> Notes:
    points, decisions, tasks, questions = (lists[kind] for kind in KINDS)
    return Notes(points, decisions, tasks, questions, lists.get("parts", ()))


def _when(item: Item) -> float:
    return math.inf if item.time is None else item.time


def _object_in(text: str) -> dict[str, Any] | None:
    """The first JSON object that has one of our lists or a summary: models write around it."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    for _ in range(_BRACES_MAX):
        if at < 0:
            break
        try:
            value, _ = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and _is_answer(value):
            return value
        at = text.find("{", at + 1)
    return None


def _is_answer(value: dict[str, Any]) -> bool:
    has_lists = any(isinstance(value.get(kind), list) for kind in KINDS)
    return has_lists or isinstance(value.get("summary"), str)


def _items(value: object, start_s: float, end_s: float) -> Iterator[Item]:
    for each in value[:_ITEMS_MAX] if isinstance(value, list) else ():
        if isinstance(each, str):
            each = {"text": each}
        text = each.get("text") if isinstance(each, dict) else None
        if not isinstance(text, str) or not (plain := _plain(text, _TEXT_CHARS)):
            continue
        who = each.get("who")
        name = _plain(who, _WHO_CHARS) if isinstance(who, str) else ""
        yield Item(plain, _time(each.get("time"), start_s, end_s), name)


def _time(value: object, start_s: float, end_s: float) -> float | None:
    """Seconds, from ``1:02:03``, ``62:03`` or a number; None for what cannot be."""
    seconds: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (found := _TIME.fullmatch(value.strip())):
        hours, minutes, rest = (int(part or 0) for part in found.groups())
        seconds = 3600.0 * hours + 60.0 * minutes + rest
    if seconds is None or not start_s - _SLACK_S <= seconds <= end_s + _SLACK_S:
        return None
    return max(0.0, seconds)


def _plain(text: str, most: int) -> str:
    """One line without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"
