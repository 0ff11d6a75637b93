"""Numbers that JSON does not know get into no file and over no pipe."""

from __future__ import annotations

import json
import math

import pytest

from modules.executors.protocol import parse_event
from modules.outputs.formats import render
from modules.storage.atomic import to_json
from modules.transcript.model import Chunk
from tests.builders import a_chunk, a_segment, a_word


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_no_state_and_no_result_holds_a_number_that_json_does_not_know(odd: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"transcription": {"segments": [{"words": [{"start": odd}]}]}})


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_no_transcript_holds_one(odd: float) -> None:
    """A copy is not checked again by the model that it is of."""
    broken = a_segment(0.0, 1.0, "Да.").model_copy(update={"end": odd})
    with pytest.raises(ValueError, match="not JSON compliant"):
        render("json", [broken])


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_line_of_the_child_with_one_is_no_event(odd: str) -> None:
    line = a_chunk(1).model_dump_json(exclude_none=True)
    assert isinstance(parse_event(line.encode()), Chunk)
    broken = line.replace('"position_s":20.0', f'"position_s":{odd}')
    assert broken != line
    assert parse_event(broken.encode()) is None


def test_a_word_without_times_has_no_keys_for_them() -> None:
    segment = a_segment(0.0, 1.0, "Да, да.", (a_word("Да,", 0.0, 0.5), a_word("да.")))
    written = json.loads(render("json", [segment]))
    assert written["segments"][0]["words"][1] == {"word": "да.", "confidence": 0.5}
