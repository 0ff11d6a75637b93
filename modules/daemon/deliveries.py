"""What leaves the machine when a recording is done, as far as it is configured."""

from __future__ import annotations

from dataclasses import dataclass

from modules.clock import Clock
from modules.config.schema import Config
from modules.daemon.health import Health
from modules.delivery.handover import HandOver
from modules.delivery.transcript_message import compose
from modules.delivery.webhooks import Webhooks
from modules.recordings.store import RecordingStore
from modules.service.metrics import Metrics
from modules.summaries.summaries import Summaries


@dataclass(frozen=True)
class Deliveries:
    """``handover`` and ``summaries`` are None where they are switched off: what an earlier run left
    stays on disk."""

    webhooks: Webhooks
    handover: HandOver | None
    summaries: Summaries | None

    @property
    def receivers(self) -> tuple[HandOver | Summaries, ...]:
        """What each finished text goes to."""
        return tuple(each for each in (self.handover, self.summaries) if each)

    def start(self) -> None:
        self.webhooks.start()
        for each in self.receivers:
            each.start()

    def stop(self) -> None:
        for each in self.receivers:
            each.stop()
        self.webhooks.stop()


def build_deliveries(
    config: Config, clock: Clock, store: RecordingStore, health: Health, metrics: Metrics
) -> Deliveries:
    """Nothing is started. ``health`` learns of each."""
    webhooks = Webhooks(store.folder.state / "callbacks", config.callbacks, clock, metrics.callback)
    health.silent_s["callbacks"] = lambda: webhooks.silent_s
    found = Deliveries(
        webhooks,
        _handover(config, clock, store, metrics),
        _summaries(config, clock, store, metrics),
    )
    for kind, sender in (("handover", found.handover), ("summary", found.summaries)):
        if sender:
            health.senders[kind] = sender
            health.silent_s[kind] = lambda sender=sender: sender.silent_s  # type: ignore[misc]
    return found


def _handover(
    config: Config, clock: Clock, store: RecordingStore, metrics: Metrics
) -> HandOver | None:
    if config.handover.url is None:
        return None
    return HandOver(
        store.folder.state / "handover", config.handover, clock,
        lambda name, job_id: compose(store, name, job_id), metrics.handover,
    )  # fmt: skip


def _summaries(
    config: Config, clock: Clock, store: RecordingStore, metrics: Metrics
) -> Summaries | None:
    if config.summary.base_url is None:
        return None
    page_url = f"http://localhost:{config.api.port}"
    folder = store.folder.state / "summaries"
    return Summaries(folder, config.summary, page_url, store, clock, metrics.summary)
