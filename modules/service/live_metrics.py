"""The counters and histograms of live sessions, for Prometheus."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

from modules.live.statistics import Distribution, LiveFigures


def live_families(figures: LiveFigures) -> Iterator[Metric]:
    """Every series is there from the start: its first event would be hidden from ``rate()``."""
    yield _counters(
        "admissions",
        "Live sessions that were wanted, by answer.",
        "outcome",
        figures.admissions.items(),
    )
    yield _counters(
        "events", "What live sessions were told, by kind.", "event", figures.events.items()
    )
    words = {
        "shown": figures.words_shown,
        "changed": figures.words_changed,
        "committed": figures.words_committed,
    }
    yield _counters(
        "words", "Words of live sessions, by what became of them.", "what", words.items()
    )
    sound = CounterMetricFamily(
        "transcriber_live_sound_seconds", "Seconds of sound of live sessions."
    )
    sound.add_metric([], figures.sound_s)
    yield sound
    delays = HistogramMetricFamily(
        "transcriber_live_delay_seconds",
        "Seconds from the sound of a word to its first partial or its commit, and from the end of "
        "an utterance to its final.",
        labels=["event"],
    )
    for event, found in figures.delays.items():
        delays.add_metric([event], _buckets(found), found.total)
    yield delays
    passes = HistogramMetricFamily(
        "transcriber_live_pass_seconds", "Seconds that the model took for a look at live sound."
    )
    passes.add_metric([], _buckets(figures.passes), figures.passes.total)
    yield passes


def _counters(name: str, help_: str, label: str, values: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(f"transcriber_live_{name}", help_, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family


def _buckets(found: Distribution) -> list[tuple[str, float]]:
    bounds = [*map(floatToGoString, found.bounds), "+Inf"]
    return list(zip(bounds, itertools.accumulate(found.counts), strict=True))
