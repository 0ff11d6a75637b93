"""The blueprint of the page: the endpoints of the modules beside this one, in one."""

from __future__ import annotations

from flask_openapi3.blueprint import APIBlueprint

from modules.api.page.edits import add_edits
from modules.api.page.login import add_login
from modules.api.page.search import add_search
from modules.api.page.sound import add_sound
from modules.api.page.summary import add_summary
from modules.api.page.tasks import add_tasks
from modules.api.schemas import answers
from modules.api.services import Services


def page(services: Services) -> APIBlueprint:
    """Reads, words and corrections; what else is done goes through the other blueprints."""
    blueprint = APIBlueprint("page", __name__, abp_responses=answers.COMMON)
    add_tasks(blueprint, services)
    add_edits(blueprint, services)
    add_search(blueprint, services)
    add_sound(blueprint, services)
    add_summary(blueprint, services)
    add_login(blueprint, services)
    return blueprint
