"""Whether there are live sessions here at all."""

from __future__ import annotations

from modules.config.schema import Config
from modules.errors import TranscriberError, noted


def why_not(config: Config) -> TranscriberError | None:
    """``live_needs_local_worker``, ``live_disabled``; None where there are live sessions."""
    if config.workers.kind == "ray":
        return TranscriberError(
            "live_needs_local_worker",
            noted(
                "Live sessions need a worker on the machine of the service, and this one has all "
                "of its workers in a cluster."
            ),
            remedy=noted("Use another service for them, with a folder of its own and "
                         "workers.kind: local; or upload a recording."),
        )  # fmt: skip
    if not config.live.enabled:
        return TranscriberError(
            "live_disabled",
            noted("Live sessions are switched off."),
            remedy=noted("Set live.enabled: true."),
        )
    return None
