"""Checks of what finished texts go to: the queue in Redis."""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _

from modules.cli.doctor.findings import Finding, ok, problem, warning
from modules.config.schema import Config
from modules.delivery.rq_queue import RqQueue, shown_url
from modules.errors import TranscriberError


def check_handover(config: Config) -> Iterator[Finding]:
    """Redis answers, and keeps what it is given; nothing is said while there is no hand-over."""
    url = config.handover.url
    if url is None:
        return
    subject, queue = _("hand-over"), RqQueue(config.handover)
    try:
        state = queue.look()
    except TranscriberError as error:
        remedy = error.remedy or _("Until it can, finished transcripts wait; nothing is lost.")
        yield problem(subject, f"{shown_url(url)}: {error.message}", remedy)
        return
    finally:
        queue.close()
    seen = _("{url} answers, Redis {version}").format(url=shown_url(url), version=state.version)
    if state.evicts:
        seen += "; " + _("it drops what does not fit (maxmemory-policy {policy})")
        remedy = _("Set maxmemory-policy noeviction: transcripts then wait while it is full.")
        yield warning(subject, seen.format(policy=state.evicts), remedy)
    elif not state.is_durable:
        seen += "; " + _("it writes nothing to the disk")
        yield warning(subject, seen, _("Set appendonly yes, or its queue is lost when it ends."))
    else:
        yield ok(subject, seen)
