"""What becomes of a job when its file is asked for again."""

from __future__ import annotations

import math
from typing import Any

from modules.jobs.job import CLIENTS_MAX, Job


def joined(known: Job, asked: Job) -> Job:
    """The job that is kept; ``known`` itself if nothing changes.

    A more urgent request gives it its id, and its place at the end of those.
    """
    changes: dict[str, Any] = {
        "clients": tuple(dict.fromkeys(known.clients + asked.clients))[-CLIENTS_MAX:],
        "callback_urls": tuple(dict.fromkeys(known.callback_urls + asked.callback_urls)),
        "uploaded": known.uploaded or asked.uploaded,
    }
    if asked.priority >= known.priority:
        kept = known.evolve(**changes)
        return known if kept == known else kept
    if known.not_before == math.inf:  # it waited for a person, who has acted now
        changes |= {"not_before": 0.0, "error": None}
    return known.evolve(
        priority=asked.priority, job_id=asked.job_id, sequence=asked.sequence, **changes
    )
