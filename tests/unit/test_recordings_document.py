"""docs/recordings.md is in step with the program, and the corpus of recordings with itself."""

from __future__ import annotations

import re
from collections import Counter
from typing import get_args

from modules.config.media_types import ENDINGS
from modules.outputs.result import result_json
from modules.recordings.names import is_recording
from modules.transcript.model import LeftOut, RunFacts
from modules.transcript.transcript import Transcript
from tests.builders import NOON, a_chunk, a_job
from tests.docs import pages
from tests.recordings.corpus import ROWS

PAGE = "docs/recordings.md"


def _section(title: str) -> pages.Section:
    return next(section for section in pages.read(PAGE).sections if section.title == title)


def test_the_endings_are_those_that_are_taken() -> None:
    table = _section("What is taken").source.partition("| --- |")[2]
    listed = re.findall(r"`([\w-]+)`", table)
    assert [name for name, count in Counter(listed).items() if count > 1] == []
    assert sorted(set(listed) ^ ENDINGS) == []


def test_the_keys_of_the_account_are_those_of_the_result() -> None:
    facts = RunFacts(
        duration_s=10, notes=(), whisperx_version="", model_name="base", model_size_mb=0,
        model_load_s=0, memory_peak_mb=0, cpu_s=0,
        left_out=(LeftOut(what="channel", label="left", count=2, why="no_speech", seconds=60),),
    )  # fmt: skip
    chunk = a_chunk(0, wordless=((1.0, 3.0),), wordless_s=2.0)
    result = result_json(a_job(), Transcript((chunk,)), facts, [], NOON)
    account = result["metadata"]["account"]
    rows = {code for row in _section("What the result says").rows for code in row}
    why = set(get_args(LeftOut.model_fields["why"].annotation))
    assert rows == {*account, *why, "why"}
    assert account["speech_without_words"] == [{"start": 1.0, "end": 3.0}]
    text = _section("What the result says").source
    assert all(f"`{key}`" in text for key in ("start", "end", *account["left_out"][0]))


def test_every_row_of_the_corpus_has_a_name_of_its_own_that_is_taken() -> None:
    names = Counter(row.name for row in ROWS)
    assert [name for name, count in names.items() if count > 1] == []
    assert [name for name in names if not is_recording(name)] == []
