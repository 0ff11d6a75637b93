"""A PATCH of an upload, accepted or refused at its headers; its body goes straight to the file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modules.api.resumable import protocol
from modules.api.server.refusals import Refusal, refusal_of
from modules.errors import TranscriberError, noted
from modules.recordings.part_writer import PartWriter
from modules.service.resumable_uploads import ResumableUploads

_PATH = re.compile(r"/files/([^/]+)")


class PatchAdmission:
    """For the network thread, which looks at a small file for it, as it does for each body."""

    def __init__(self, uploads: ResumableUploads) -> None:
        self._uploads = uploads

    def admit(
        self, method: str, path: str, headers: Mapping[str, str], content_length: int | None
    ) -> Refusal | PartWriter | None:
        """None for any other request; ``headers`` with names in lower case."""
        found = _PATH.fullmatch(path)
        if method != "PATCH" or found is None:
            return None
        try:
            protocol.check_version(headers)
            protocol.check_body_type(headers)
            offset = protocol.number(headers, "Upload-Offset")
            writer = self._uploads.receive(found[1], offset)
        except TranscriberError as problem:
            return refusal_of(problem, (("Tus-Resumable", protocol.VERSION),))
        if content_length is not None and content_length > writer.limit:
            most = writer.limit
            writer.close()
            return refusal_of(
                TranscriberError(
                    "body_too_large",
                    noted(
                        "Of the upload {most} bytes are missing, and {content_length} are "
                        "announced.",
                        most=most,
                        content_length=content_length,
                    ),
                    remedy=noted("Send what is missing."),
                ),
                (("Tus-Resumable", protocol.VERSION),),
            )
        return writer
