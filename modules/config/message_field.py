"""Values with a message that is written down in English, and can be said in another language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    PlainValidator,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from modules.config.settings import Frozen
from modules.messages import restored, template_of


def _text(value: object) -> str:
    """A ``Message`` stays one, which pydantic's own check of texts would not let it."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


MessageText = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string"})]


class WithMessage(Frozen):
    """Base of what has a field ``message: MessageText``.

    In JSON the message is English, and ``template`` is what it was made of, if that is known; read
    again, it is a ``Message`` as before. Files of earlier versions have no ``template``.
    """

    @model_validator(mode="before")
    @classmethod
    def _with_template(cls, content: Any) -> Any:
        if not isinstance(content, Mapping) or not isinstance(content.get("message"), str):
            return content
        return {**content, "message": restored(content["message"], content.get("template"))}

    @model_serializer(mode="wrap")
    def _and_template(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        template = template_of(getattr(self, "message", None))
        content: dict[str, Any] = handler(self)
        content["message"] = str(content["message"])
        return content | ({"template": template} if template else {})
