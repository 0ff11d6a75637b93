"""The examples in docs/extending.md run as they stand on the page."""

from __future__ import annotations

import inspect
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.audio.chunking import SAMPLE_RATE, AudioChunk
from modules.engines import registry
from modules.engines.base import DecodingOptions, Engine
from modules.executors.base import RunCallbacks
from modules.executors.tasks import task_for
from modules.jobs.events import Events
from modules.jobs.job import Status
from modules.transcript.model import Chunk
from modules.weights.files import ModelSpec
from tests.builders import SETTINGS, a_config, a_job, until
from tests.contract import test_output_contract as contract
from tests.docs import pages
from tests.fakes import FakeClock

PAGE = pages.read("docs/extending.md")


def run_section(title: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the Python blocks below a heading in order; returns the names of those without a file.

    A block marked ``<!-- file: modules.a.b -->`` becomes that module for the blocks after it.
    """
    names: dict[str, Any] = {"__name__": "example"}
    for block in _blocks(title):
        code = compile(block.text, block.place, "exec")
        if block.mark.startswith("file: "):
            module = types.ModuleType(block.mark.removeprefix("file: "))
            monkeypatch.setitem(sys.modules, module.__name__, module)
            exec(code, module.__dict__)
        else:
            exec(code, names)
    return names


def _blocks(title: str) -> list[pages.Block]:
    starts = [s.line for s in PAGE.sections if s.title == title]
    assert starts, f"{PAGE.name} has no section {title!r}"
    end = min((s.line for s in PAGE.sections if s.line > starts[0] and s.level <= 2), default=10**6)
    python = [b for b in PAGE.blocks if b.language == "python" and starts[0] < b.line < end]
    assert python, f"{PAGE.name}: the section {title!r} has no example"
    return python


# --- a speech engine ----------------------------------------------------------------------------

SPEC = ModelSpec(name="toy", path="/nowhere", device="cpu", compute_type="default")


def a_chunk(start_s: float) -> AudioChunk:
    return AudioChunk(start_s, start_s + 2, np.zeros(2 * SAMPLE_RATE, dtype=np.float32))


def test_the_engine_is_found_by_its_name_and_transcribes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = run_section("A speech engine", monkeypatch)["ROW"]
    made = registry.engine_class("toy", {"toy": row})(SPEC, 2, tmp_path)
    assert isinstance(made, Engine)
    texts = made.transcribe([a_chunk(0), a_chunk(10)], DecodingOptions("en", SETTINGS))
    assert [text.segments[0].text for text in texts] == ["Hello.", "Hello."]
    assert (texts[1].segments[0].start, texts[1].segments[0].end) == (10, 12)
    assert made.detect_language(made.encode([a_chunk(0)])) == ("en", 1.0)
    assert made.capabilities.only_language == "en"
    assert made.device in made.compute_types()
    made.close()


# --- an executor --------------------------------------------------------------------------------


def test_the_executor_runs_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = run_section("An executor", monkeypatch)["ToyExecutor"]()
    executor.warm(SPEC)
    executor.maintain()
    task = task_for(tmp_path / "talk.mp3", SETTINGS, SPEC, a_config(tmp_path))
    chunks: list[Chunk] = []
    outcome = executor.run(task, RunCallbacks(on_chunk=chunks.append))
    assert [chunk.segments[0].text for chunk in chunks] == ["Hello."]
    assert outcome.facts.model_name == executor.status.model_loaded == "toy"
    stopped = executor.run(task, RunCallbacks(on_chunk=chunks.append, should_stop=lambda: True))
    assert stopped.done is None
    executor.close()


# --- an output format ---------------------------------------------------------------------------


def checks() -> list[Callable[..., None]]:
    """The tests of the contract that need nothing but a row."""
    found = [
        function
        for name, function in inspect.getmembers(contract, inspect.isfunction)
        if name.startswith("test_") and list(inspect.signature(function).parameters) == ["row"]
    ]
    assert len(found) > 8
    return found


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.__name__)
def test_the_output_format_keeps_the_contract(
    check: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = run_section("An output format", monkeypatch)["ROW"]
    if check is contract.test_rendering_by_name_uses_the_row:
        monkeypatch.setitem(contract.OUTPUT_FORMATS, row.name, row)
    check(row)


def test_the_output_format_writes_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    row = run_section("An output format", monkeypatch)["ROW"]
    named = [contract.said_by("SPEAKER_00", contract.TALK[0])]
    assert row.write(named, contract.ALL).decode() == (
        "# Talk\n\n`00:00:00` **Speaker 1:** Good morning.\n"
    )


# --- a delivery ---------------------------------------------------------------------------------


def test_the_delivery_reports_every_ended_job_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = run_section("A delivery", monkeypatch)["connect"]
    events = Events()
    logbook = connect(events, tmp_path, FakeClock())
    target = tmp_path / "logbook.jsonl"
    try:
        events.publish("transition", a_job("new.mp3"))
        events.publish("transition", a_job("old.mp3", status=Status.COMPLETED))
        events.publish("progress", a_job("old.mp3", status=Status.COMPLETED))
        until(lambda: target.exists() and target.stat().st_size, "nothing was delivered")
        until(lambda: not list((tmp_path / "logbook").glob("*.json")), "the item was kept")
    finally:
        logbook.loop.stop(10.0)
    (line,) = target.read_text("utf-8").splitlines()
    assert json.loads(line) == {"filename": "old.mp3", "status": "completed"}


def test_the_delivery_is_made_up_for_after_a_failure_and_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logbook_of = run_section("A delivery", monkeypatch)["Logbook"]
    target, clock, events = tmp_path / "absent" / "log.jsonl", FakeClock(), Events()
    first = logbook_of(tmp_path / "outbox", target, clock)
    events.hooks.append(first.on_event)
    events.publish("transition", a_job(status=Status.COMPLETED))
    assert first.tick() == 60.0, "an item that failed is tried again in a minute"
    target.parent.mkdir()
    second = logbook_of(tmp_path / "outbox", target, clock)
    second.tick()
    assert len(target.read_text("utf-8").splitlines()) == 1
    assert not list((tmp_path / "outbox").glob("*.json"))
