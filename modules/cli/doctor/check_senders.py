"""Checks of what finished texts go to: the queue in Redis, the model for summaries."""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _

from modules.cli.doctor.findings import Finding, ok, problem, warning
from modules.clock import SystemClock
from modules.config.schema import Config
from modules.delivery.rq_queue import RqQueue, shown_url
from modules.errors import TranscriberError
from modules.messages import in_locale
from modules.summaries.chat import Chat

#: Something short; the word JSON is there for servers that want it where JSON is asked for.
_QUESTION = 'Answer with this JSON and nothing else: {"summary": "yes"}'
_ANSWER_TOKENS = 256


def check_handover(config: Config) -> Iterator[Finding]:
    """Redis answers, and keeps what it is given; nothing is said while there is no hand-over."""
    url = config.handover.url
    if url is None:
        return
    subject, queue = _("hand-over"), RqQueue(config.handover)
    try:
        state = queue.look()
    except TranscriberError as error:
        remedy = in_locale(error.remedy or "") or _(
            "Until it can, finished transcripts wait; nothing is lost."
        )
        yield problem(subject, f"{shown_url(url)}: {in_locale(error.message)}", remedy)
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


def check_summary(config: Config) -> Iterator[Finding]:
    """The model answers; nothing is said while there are no summaries."""
    if config.summary.base_url is None:
        return
    subject, chat = _("summaries"), Chat(config.summary, SystemClock())
    try:
        answer = chat.ask(_QUESTION, _QUESTION, _ANSWER_TOKENS, 0.0)
    except TranscriberError as error:
        remedy = in_locale(error.remedy or "") or _(
            "Texts are transcribed as usual, and wait for their summaries."
        )
        yield problem(subject, f"{chat.shown}: {in_locale(error.message)}", remedy)
        return
    seen = _("{model} at {url} answers").format(model=config.summary.model, url=chat.shown)
    if answer.prompt_tokens is None:
        seen += "; " + _("it does not say how many tokens it read")
        remedy = _("Make sure that summary.context_tokens is not more than its window.")
        yield warning(subject, seen, remedy)
    else:
        yield ok(subject, seen)
