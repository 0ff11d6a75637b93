"""The control blueprint: the endpoints of the modules beside this one, in one."""

from __future__ import annotations

from flask_openapi3.blueprint import APIBlueprint

from modules.api.control.health import add_health
from modules.api.control.live import add_live
from modules.api.control.manual import add_manual
from modules.api.control.queue import add_events, add_queue
from modules.api.control.stats import add_stats
from modules.api.control.transcribe import add_jobs
from modules.api.schemas import answers
from modules.api.services import Services


def control(services: Services) -> APIBlueprint:
    """The blueprint over the services; it words their answers and decides nothing."""
    blueprint = APIBlueprint("control", __name__, abp_responses=answers.COMMON)
    add_jobs(blueprint, services)
    add_queue(blueprint, services)
    add_events(blueprint, services)
    add_manual(blueprint, services)
    add_live(blueprint, services)
    add_stats(blueprint, services)
    add_health(blueprint, services)
    return blueprint
