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


@dataclass(frozen=True)
class Deliveries:
    """``handover`` is None where it is switched off: what an earlier run left stays on disk."""

    webhooks: Webhooks
    handover: HandOver | None

    def start(self) -> None:
        self.webhooks.start()
        if self.handover:
            self.handover.start()

    def stop(self) -> None:
        if self.handover:
            self.handover.stop()
        self.webhooks.stop()


def build_deliveries(
    config: Config, clock: Clock, store: RecordingStore, health: Health, metrics: Metrics
) -> Deliveries:
    """Nothing is started. ``health`` learns of each."""
    webhooks = Webhooks(store.folder.state / "callbacks", config.callbacks, clock, metrics.callback)
    health.silent_s["callbacks"] = lambda: webhooks.silent_s
    handover = None
    if config.handover.url is not None:
        handover = HandOver(
            store.folder.state / "handover", config.handover, clock,
            lambda name, job_id: compose(store, name, job_id), metrics.handover,
        )  # fmt: skip
        health.silent_s["handover"] = lambda: handover.silent_s
        health.senders["handover"] = handover
    return Deliveries(webhooks, handover)
