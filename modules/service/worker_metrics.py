"""Gauges of each worker: where it is, what it does, since when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from modules.service.worker_view import WorkerView


def worker_families(workers: Sequence[WorkerView]) -> Iterator[Metric]:
    """Of those that there are, and that were lost; series of others end."""
    busy = _family("busy", "1 while a worker has a recording.")
    info = _family("info", "1, with where it is.", "node", "device", "model")
    state = _family("state", "1, with what it does.", "state")
    since = _family("state_since_seconds", "When that began, in seconds since 1970.")
    for worker in workers:
        if worker.state != "lost":
            busy.add_metric([worker.name], float(bool(worker.filename)))
        info.add_metric([worker.name, worker.node, worker.device or "", worker.model or ""], 1.0)
        state.add_metric([worker.name, worker.state], 1.0)
        since.add_metric([worker.name], worker.since.timestamp())
    yield from (busy, info, state, since)


def _family(name: str, help_: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"transcriber_worker_{name}", help_, labels=["worker", *labels])
