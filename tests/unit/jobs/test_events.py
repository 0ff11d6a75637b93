"""What is kept of events for a listener that comes back."""

from __future__ import annotations

from modules.jobs.events import Events
from modules.jobs.job import Progress
from tests.builders import a_job


def test_of_the_steps_within_one_percent_the_last_is_kept() -> None:
    events = Events()
    job = a_job()
    live = events.subscribe()
    for position_s, percentage in [(10, 0), (20, 0), (30, 1), (40, 1)]:
        step = Progress(stage="processing_audio", percentage=percentage)
        events.publish("progress", job.evolve(position_s=position_s).advance(step))
    events.publish("transition", job)
    assert [event.job.position_s for event in live.take(0)] == [10, 20, 30, 40, 0]
    kept = events.subscribe(after=0).take(0)
    assert [(event.number, event.job.position_s) for event in kept] == [(2, 20), (4, 40), (5, 0)]


def test_steps_of_two_jobs_are_both_kept() -> None:
    events = Events()
    for name in ("a.mp3", "b.mp3"):
        events.publish("progress", a_job(name))
    assert [event.job.name for event in events.subscribe(after=0).take(0)] == ["a.mp3", "b.mp3"]
