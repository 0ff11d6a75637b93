"""What failed, over HTTP: a list, and another attempt."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from modules.api import responses
from modules.api.languages import asked, said_error
from modules.api.schemas import answers, requests
from modules.api.services import Services

_MANUAL = Tag(name="manual", description="What could not be transcribed")


def add_manual(blueprint: APIBlueprint, services: Services) -> None:
    service = services.service

    @blueprint.get(
        "/manual",
        summary="What could not be transcribed, and why",
        tags=[_MANUAL],
        responses={200: answers.ManualAnswer},
    )
    def manual() -> Response:
        files = [
            {
                "filename": failure.name,
                "size": failure.size,
                "job_id": view.job_id,
                "error": said_error(view.error),
                "explanation": failure.explained(asked()),
            }
            for view, failure in service.failures()
        ]
        return responses.as_json({"files": files})

    @blueprint.post(
        "/manual/<path:filename>/retry",
        summary="Take a file back into the shared folder and try again",
        tags=[_MANUAL],
        responses={202: answers.AcceptedAnswer, 404: answers.ErrorAnswer, 409: answers.ErrorAnswer},
    )
    def retry(path: requests.NamePath) -> Response:
        return responses.accepted(service.retry(path.filename, responses.new_client()))
