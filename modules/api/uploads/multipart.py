"""Reads ``multipart/form-data`` as clients write it, which is not always as the RFCs say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import IO, Any

from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from modules.api.uploads.code_pages import decoded
from modules.errors import noted

#: What is read at once.
_PIECE_BYTES = 64 * 1024
#: Parts without a file name that are files all the same.
_FILE_FIELDS = frozenset({"file", "audio_file"})
_FILE_TYPES = ("audio/", "video/", "application/octet-stream")

_LINE_END = re.compile("\r\n|\r|\n")
_CONTINUED = re.compile("(?:\r\n|\r|\n)[ \t]+")

Form = tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]


class UploadParser(FormDataParser):
    """Takes names in any code page, and files without a name. Raises BadRequest if it is no form.

    In names, bytes that are no UTF-8 are surrogates.
    """

    def _parse_multipart(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str],
    ) -> Form:
        try:
            decoder = _Decoder(
                options.get("boundary", "").encode("ascii"),
                self.max_form_memory_size,
                max_parts=self.max_form_parts,
            )
            form, files = self._parts(_events(decoder, stream), content_length)
        except ValueError as error:
            raise BadRequest(
                noted("The form cannot be read: {error}.", error=str(error))
            ) from error
        return stream, form, files

    def _parts(
        self, events: Iterator[Event], content_length: int | None
    ) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
        form: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        for part in events:
            if isinstance(part, File):
                file = self.stream_factory(
                    content_length, part.headers.get("content-type"), part.filename
                )
                _fill(file.write, events)
                file.seek(0)
                stored = FileStorage(file, part.filename, part.name, headers=part.headers)
                files.append((part.name, stored))
            elif isinstance(part, Field):
                text = _Text(self.max_form_memory_size)
                _fill(text.write, events)
                form.append((part.name, text.read(part.name)))
        return self.cls(form), self.cls(files)


class _Decoder(MultipartDecoder):
    def __init__(self, boundary: bytes, *arguments: Any, **options: Any) -> None:
        if not boundary:
            raise ValueError("no boundary is given")
        super().__init__(boundary, *arguments, **options)

    def next_event(self) -> Event:
        event = super().next_event()
        if isinstance(event, Field) and _is_file(event):
            return File(name=event.name or "file", filename="", headers=event.headers)
        return event

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        # The base class reads UTF-8 alone.
        text = _CONTINUED.sub(" ", bytes(data).decode("utf-8", "surrogateescape"))
        pairs = (line.partition(":") for line in _LINE_END.split(text) if line.strip(" \t"))
        return Headers([(name.strip(" \t"), value.strip(" \t")) for name, _, value in pairs])


def _is_file(field: Field) -> bool:
    kind = field.headers.get("content-type", "").lower()
    return field.name in _FILE_FIELDS or kind.startswith(_FILE_TYPES)


def _events(decoder: MultipartDecoder, stream: IO[bytes]) -> Iterator[Event]:
    """Raises ValueError if the form is not whole."""
    mark, tail, ended = b"--" + decoder.boundary, b"", False
    while not ended:
        piece = stream.read(_PIECE_BYTES)
        # Werkzeug adds the line end before a boundary to the file if what it got ends right behind.
        while mark in (tail + piece)[-len(mark) - 3 :] and (more := stream.read(1)):
            piece += more
        ended = not piece
        tail = (tail + piece)[-len(mark) - 3 :]
        decoder.receive_data(piece or None)
        while not isinstance(event := decoder.next_event(), NeedData):
            if isinstance(event, Epilogue):
                return
            yield event


def _fill(write: Callable[[bytes], Any], events: Iterator[Event]) -> None:
    for event in events:
        assert isinstance(event, Data)
        write(event.data)
        if not event.more_data:
            return


class _Text:
    """The value of a field."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._content = bytearray()

    def write(self, data: bytes) -> None:
        self._content += data
        if self._most is not None and len(self._content) > self._most:
            raise RequestEntityTooLarge()

    def read(self, name: str) -> str:
        text = decoded(bytes(self._content))
        if text is None:
            raise BadRequest(
                noted("{name}: must be text in UTF-8, which its bytes are not.", name=name)
            )
        return text
