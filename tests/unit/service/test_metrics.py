"""What Prometheus reads, as its own parser understands it."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from modules import __version__
from modules.service.metrics import Metrics, Observation

CALM = Observation(
    queue_length=3,
    paused=False,
    memory_mb={"daemon": 60, "worker": 1300},
    restarts={"memory": 2},
    waiting_clients=1,
    listeners=4,
    healthy=True,
    troubles={"share": True, "worker": False},
    outbox={"handover": 5},
)


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Values by name without ``transcriber_``, then the values of the labels in order of names."""
    text = metrics.render()[0].decode()
    return {
        (
            sample.name.removeprefix("transcriber_"),
            *(value for _, value in sorted(sample.labels.items())),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(lambda: CALM)


def test_the_present_is_looked_at_with_each_scrape() -> None:
    states = iter([CALM, replace(CALM, queue_length=0, paused=True, healthy=False)])
    metrics = Metrics(lambda: next(states))
    first, second = samples(metrics), samples(metrics)
    assert (first["queue_length",], first["paused",], first["healthy",]) == (3, 0, 1)
    assert (second["queue_length",], second["paused",], second["healthy",]) == (0, 1, 0)
    assert first["memory_bytes", "worker"] == 1300 * 2**20
    assert first["worker_restarts_total", "memory"] == 2
    assert (first["waiting_clients",], first["event_listeners",]) == (1, 4)
    assert first["build_info", __version__] == 1
    assert (first["trouble", "share"], first["trouble", "worker"]) == (1, 0)


def test_fixed_series_are_there_from_the_start(metrics: Metrics) -> None:
    found = samples(metrics)
    for end in ("completed", "failed", "cancelled"):
        assert found["jobs_total", end] == 0
    for stage in ("queued", "loading_model", "processing_audio", "generating_text"):
        assert found["stage_seconds_count", stage] == 0
    assert found["audio_seconds_total",] == found["work_seconds_total",] == 0
    assert found["real_time_factor_count",] == 0
    assert not [key for key in found if key[0].endswith("_created")]


def test_ended_jobs_are_counted(metrics: Metrics) -> None:
    metrics.finished("completed", 100.0, 25.0)
    metrics.finished("failed", 50.0, 10.0)
    metrics.finished("superseded", None, None)
    metrics.finished("cancelled", None, 1.0)
    found = samples(metrics)
    assert [found["jobs_total", end] for end in ("completed", "failed", "cancelled")] == [1, 1, 2]
    assert (found["audio_seconds_total",], found["work_seconds_total",]) == (150, 36)
    assert (found["real_time_factor_count",], found["real_time_factor_sum",]) == (1, 0.25)


@pytest.mark.parametrize("odd", [-1.0, math.nan, math.inf, -math.inf])
def test_odd_numbers_are_passed_over(metrics: Metrics, odd: float) -> None:
    metrics.finished("completed", odd, 1.0)
    metrics.finished("completed", 1.0, odd)
    metrics.finished("completed", 0.0, 0.0)
    metrics.stage("queued", odd)
    metrics.request("GET", "/health", 200, odd)
    found = samples(metrics)
    assert found["jobs_total", "completed"] == 3
    assert (found["audio_seconds_total",], found["work_seconds_total",]) == (1, 1)
    assert found["real_time_factor_count",] == found["stage_seconds_count", "queued"] == 0
    assert ("http_request_seconds_count", "GET", "/health", "200") not in found


def test_requests_stages_and_callbacks(metrics: Metrics) -> None:
    metrics.request("GET", "/status/<name>", 200, 0.02)
    metrics.request("GET", "/status/<name>", 200, 0.03)
    metrics.request("POST", "/transcribe", 202, 0.5)
    metrics.stage("loading_model", 2.0)
    metrics.callback("delivered")
    found = samples(metrics)
    name = "http_request_seconds"
    assert found[f"{name}_count", "GET", "/status/<name>", "200"] == 2
    assert found[f"{name}_sum", "POST", "/transcribe", "202"] == 0.5
    assert found["stage_seconds_sum", "loading_model"] == 2.0
    assert found["callbacks_total", "delivered"] == 1


def test_methods_of_a_client_s_own_are_one_series(metrics: Metrics) -> None:
    for number in range(100):
        metrics.request(f"BREW{number}", "/health", 405, 0.01)
    metrics.request("get", "/health", 405, 0.01)
    found = samples(metrics)
    counts = {key: value for key, value in found.items() if key[0] == "http_request_seconds_count"}
    assert counts == {("http_request_seconds_count", "other", "/health", "405"): 101}


def test_two_may_live_side_by_side_and_nothing_is_global(metrics: Metrics) -> None:
    metrics.finished("completed", 1.0, 1.0)
    assert samples(Metrics(lambda: CALM))["jobs_total", "completed"] == 0
    assert REGISTRY.get_sample_value("transcriber_jobs_total", {"end": "completed"}) is None


def test_to_make_one_is_not_to_look() -> None:
    def not_yet() -> Observation:
        raise AssertionError("the service is still being put together")

    Metrics(not_yet)


def test_the_content_type_is_the_one_of_the_text(metrics: Metrics) -> None:
    content, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    assert content.decode().endswith("\n")


def test_no_event_of_many_threads_is_lost(metrics: Metrics) -> None:
    def work() -> None:
        for _ in range(100):
            metrics.finished("completed", 1.0, 0.5)
            metrics.request("GET", "/health", 200, 0.01)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    metrics.render()
    for thread in threads:
        thread.join()
    found = samples(metrics)
    assert found["jobs_total", "completed"] == found["audio_seconds_total",] == 400
    assert found["http_request_seconds_count", "GET", "/health", "200"] == 400
