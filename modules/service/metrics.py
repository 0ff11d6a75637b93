"""Metrics for Prometheus: counters of events, and gauges that are read at each scrape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import get_args

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from modules import __version__
from modules.jobs.job import Stage
from modules.live.statistics import LiveFigures
from modules.service.live_metrics import live_families
from modules.service.worker_metrics import worker_families
from modules.service.worker_view import WorkerView

#: Every way a job is counted to end; a deleted or superseded one is a cancelled one.
ENDS = ("completed", "failed", "cancelled")
RETAINED = ("recording", "text", "deleted")
_CALLBACK_ENDS = ("delivered", "given_up")
_HANDOVER_ENDS = ("delivered", "dropped")
_SUMMARY_ENDS = ("made", "kept", "failed", "dropped")
#: Anything else is "other": a client may put any word there, and each would be a series for good.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# A request may wait for its result; a stage may take hours.
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300, 1800)
_STAGE_S = (0.5, 1, 2.5, 5, 10, 30, 60, 150, 300, 600, 1800, 3600, 7200, 21600)
_FACTORS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 5, 10)


@dataclass(frozen=True)
class Observation:
    """How the service stands at this moment.

    ``memory_mb``: MiB by process, "daemon" and "worker"; ``restarts`` of the worker by reason;
    ``troubles``: by kind, whether it is there; ``outbox``: by kind, how much waits in it. Of live
    sessions: how many, how much sound the slowest has not heard, and the part of the time in which
    they keep the model busy; and what they did since the start.
    """

    queue_length: int
    paused: bool
    memory_mb: dict[str, int]
    restarts: dict[str, int]
    waiting_clients: int
    listeners: int
    healthy: bool
    troubles: dict[str, bool]
    outbox: dict[str, int]
    live_sessions: int = 0
    live_lag_s: float = 0.0
    live_busy: float = 0.0
    live: LiveFigures = field(default_factory=LiveFigures)
    workers: Sequence[WorkerView] = ()


class Metrics:
    """Counts events and renders them with what ``observe`` says. Thread-safe.

    Numbers that are unknown, negative or not finite are ignored; no event raises.
    """

    def __init__(self, observe: Callable[[], Observation]) -> None:
        # Times of creation are not used here, and make a third more series.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        registry.register(_Present(observe))
        self._jobs = self._counter("jobs", "Jobs that ended, by how.", "end")
        self._audio = self._counter("audio_seconds", "Seconds of audio transcribed.")
        self._work = self._counter("work_seconds", "Seconds of work on ended jobs.")
        self._factor = Histogram(
            "transcriber_real_time_factor",
            "Seconds of work per second of audio of completed jobs.",
            buckets=_FACTORS,
            registry=registry,
        )
        self._stages = Histogram(
            "transcriber_stage_seconds",
            "Seconds that a job spent in a stage.",
            ["stage"],
            buckets=_STAGE_S,
            registry=registry,
        )
        self._requests = Histogram(
            "transcriber_http_request_seconds",
            "Seconds from an HTTP request to its answer.",
            ["method", "route", "status"],
            buckets=_REQUEST_S,
            registry=registry,
        )
        self._callbacks = self._counter("callbacks", "Callbacks, by outcome.", "outcome")
        self._handovers = self._counter(
            "handovers", "Transcripts handed over, by outcome.", "outcome"
        )
        self._summaries = self._counter("summaries", "Summaries, by outcome.", "outcome")
        self._retention = self._counter(
            "retention", "What retention moved to the trash, and files deleted from there.", "what"
        )
        self._wrong_keys = self._counter("wrong_keys", "Wrong keys.")
        self._begin_at_zero()

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"transcriber_{name}", help_, labels, registry=self._registry)

    def _begin_at_zero(self) -> None:
        """A series that appears with its first event hides that event from ``rate()``."""
        for end in ENDS:
            self._jobs.labels(end)
        for outcome in _CALLBACK_ENDS:
            self._callbacks.labels(outcome)
        for outcome in _HANDOVER_ENDS:
            self._handovers.labels(outcome)
        for outcome in _SUMMARY_ENDS:
            self._summaries.labels(outcome)
        for stage in get_args(Stage):
            self._stages.labels(stage)
        for what in RETAINED:
            self._retention.labels(what)

    def finished(self, fate: str, audio_s: float | None, work_s: float | None) -> None:
        """A job ended: how, the seconds of audio transcribed, and of work on them."""
        self._jobs.labels(fate if fate in ENDS else "cancelled").inc()
        audio, work = _countable(audio_s), _countable(work_s)
        self._audio.inc(audio)
        self._work.inc(work)
        # A job that did not finish says nothing about speed.
        if fate == "completed" and audio and work:
            self._factor.observe(work / audio)

    def stage(self, stage: str, seconds: float) -> None:
        """A job left a stage after so long."""
        if _is_countable(seconds):
            self._stages.labels(stage).observe(seconds)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. ``route``: the rule such as ``/status/<name>``, not the path."""
        if _is_countable(seconds):
            known = method if method in METHODS else "other"
            self._requests.labels(known, route, str(status)).observe(seconds)

    def callback(self, outcome: str) -> None:
        """A callback came to an end: ``delivered``, or ``given_up``."""
        self._callbacks.labels(outcome).inc()

    def retention(self, what: str, number: int) -> None:
        """So many recordings or texts went to the trash, or files from there for good."""
        self._retention.labels(what).inc(number)

    def handover(self, outcome: str) -> None:
        """A transcript was handed over: ``delivered``; or its text was gone: ``dropped``."""
        self._handovers.labels(outcome).inc()

    def summary(self, outcome: str) -> None:
        """A text was summarised: ``made``, or ``kept`` as it was the same; it ``failed``; or it
        was gone: ``dropped``."""
        self._summaries.labels(outcome).inc()

    def wrong_key(self) -> None:
        """A request had a wrong key or password, or one too many to be looked at."""
        self._wrong_keys.inc()

    def render(self) -> tuple[bytes, str]:
        """The text for a scrape and its content type; calls ``observe`` once."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Present(Collector):
    """Gauges that are not kept: the service is observed when they are collected."""

    def __init__(self, observe: Callable[[], Observation]) -> None:
        self._observe = observe

    def describe(self) -> list[Metric]:
        """Nothing: registering must not observe a service that is not complete yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        now = self._observe()
        yield _labelled("build_info", "1, with the version.", "version", {__version__: 1})
        yield _gauge("queue_length", "Jobs still to be done.", now.queue_length)
        yield _gauge("jobs_running", "Jobs in hand.", sum(bool(w.filename) for w in now.workers))
        yield from worker_families(now.workers)
        yield _gauge("paused", "1 while the queue is paused.", now.paused)
        yield _gauge("healthy", "1 while recordings can be done.", now.healthy)
        yield _gauge("waiting_clients", "Requests waiting for a result.", now.waiting_clients)
        yield _gauge("event_listeners", "Listeners to the stream of events.", now.listeners)
        yield _gauge("live_sessions", "Live sessions that are open.", now.live_sessions)
        yield _gauge("live_lag_seconds", "Sound not heard yet, of the slowest.", now.live_lag_s)
        yield _gauge("live_busy_ratio", "Part of the time spent on live sessions.", now.live_busy)
        yield from live_families(now.live)
        troubles = {kind: int(there) for kind, there in now.troubles.items()}
        yield _labelled("trouble", "1 while this is in the way, by kind.", "kind", troubles)
        yield _labelled("outbox", "What is still to be sent, by kind.", "kind", now.outbox)
        memory = {process: mb * 2**20 for process, mb in now.memory_mb.items()}
        yield _labelled("memory_bytes", "Resident memory, by process.", "process", memory)
        restarts = CounterMetricFamily(
            "transcriber_worker_restarts", "Restarts of the worker, by reason.", labels=["reason"]
        )
        for reason, count in now.restarts.items():
            restarts.add_metric([reason], count)
        yield restarts


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(f"transcriber_{name}", help_, value=float(value))


def _labelled(name: str, help_: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(f"transcriber_{name}", help_, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _is_countable(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _countable(value: float | None) -> float:
    return value if value is not None and _is_countable(value) else 0.0
