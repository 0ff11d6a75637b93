"""A key that a person typed once becomes a cookie, as pages cannot send headers of their own."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint

from modules.api.page.tasks import TAG
from modules.api.schemas import answers
from modules.api.services import Services
from modules.api.sessions import COOKIE, LASTS_S, Sessions


def add_login(blueprint: APIBlueprint, services: Services) -> None:
    sessions = Sessions(services.config.api)

    @blueprint.post(
        "/login",
        summary="A cookie for this browser; the key is sent as for any other request",
        tags=[TAG],
        responses={204: None, 401: answers.ErrorAnswer},
    )
    def login() -> Response:
        """The server has checked the key before this is called."""
        response = Response(status=204)
        token = sessions.begin()
        if token:
            response.set_cookie(
                COOKIE, token, max_age=LASTS_S, httponly=True, samesite="Strict", path="/"
            )
        return response

    @blueprint.post("/logout", summary="Forget this browser", tags=[TAG], responses={204: None})
    def logout() -> Response:
        response = Response(status=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="Strict", path="/")
        return response
