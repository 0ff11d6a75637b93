"""Results beside recordings: what is done, and which texts belong to it."""

from __future__ import annotations

import itertools
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modules.errors import TranscriberError, noted
from modules.jobs.source import FileIdentity
from modules.logger import get_logger
from modules.recordings.names import is_recording
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.sidecars import (
    RESULT_BYTES_MAX,
    RecordingPaths,
    language_in,
    output_names,
    own_outputs,
    stem_of,
)
from modules.recordings.state import is_job_id
from modules.storage import beneath
from modules.storage.atomic import storage_errors
from modules.storage.safe_open import read_json
from modules.storage.transfer import is_taken

log = get_logger("FileManager")

#: The folder of the texts, where they do not lie beside the recording.
OUTPUTS_DIRECTORY = "outputs_directory"

_FORMS: dict[str, type] = {
    "source": dict,
    "outputs": list,
    "earlier_outputs": list,
    "settings": dict,
    "metadata": dict,
    "processing_stats": dict,
    "transcription": dict,
    "processing_start": str,
}


class _Stats(BaseModel):
    model_config = ConfigDict(strict=True)
    total_attempts: Annotated[int, Field(ge=0, lt=2**53)] | None = None


class _Result(BaseModel):
    """What must be right in a ``.result`` for its text to be given out; anybody may write one."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    job_id: str | None = None
    processing_start: str | None = None
    processing_stats: _Stats | None = None
    duration_seconds: Annotated[float, Field(ge=0, lt=2**53)] | None = None
    settings: dict[str, Any] | None = None


class Results:
    """Each method raises StorageError while the share cannot be used."""

    def __init__(self, folder: SharedFolder) -> None:
        self._folder = folder

    def read(self, name: str) -> dict[str, Any] | None:
        """The ``.result`` of a recording, or None if there is none that can be read."""
        found = result_in(self._folder.sidecars, name)
        if found is None and self._folder.sidecars == self._folder.texts:
            self._folder.require_texts()  # nothing follows from absence while that is away
        return found

    def require(self, name: str) -> dict[str, Any]:
        """As ``read``. Raises TranscriberError ``no_text_yet`` where that gives None."""
        result = self.read(name)
        if result is None:
            raise TranscriberError(
                "no_text_yet",
                noted("There is no text of {name!r} yet.", name=name),
                remedy=noted("Ask again when its state is completed."),
            )
        return result

    def is_done(self, name: str) -> bool:
        """Whether the recording has a result, and is still the file that it was made from."""
        return self.is_result_of(name, self.read(name) or {})

    def is_result_of(self, name: str, result: Mapping[str, Any]) -> bool:
        """Whether a result was made from the recording as it is now."""
        source = result.get("source")
        try:
            return bool(source) and self._folder.is_still(name, FileIdentity.model_validate(source))
        except ValueError:
            return False

    def outputs(self, name: str) -> tuple[str, ...]:
        """The texts that the last result of a recording lists, those of earlier ones too.

        None of a result whose texts lie in another folder than they would go to now.
        """
        result = self.read(name) or {}
        return listed_in(name, result) if self.texts_of(result) == self._folder.texts else ()

    def texts_of(self, result: Mapping[str, Any]) -> Path | None:
        """The folder that the names of a result's texts are relative to; None if it is no longer
        ours."""
        noted = result.get(OUTPUTS_DIRECTORY)
        if noted is None:
            return self._folder.path
        return self._folder.texts if noted == str(self._folder.texts) else None

    def texts(self, name: str) -> tuple[Path, tuple[str, ...]]:
        """The texts of a recording and the folder that they are in, which may be the share also
        where new ones go elsewhere."""
        result = self.read(name) or {}
        folder = self.texts_of(result)
        return (folder, listed_in(name, result)) if folder else (self._folder.texts, ())

    def plan_outputs(
        self, name: str, formats: Sequence[str], language: str | None = None
    ) -> tuple[str, ...]:
        """Names for the texts beside a recording, in the order of ``formats``.

        The stem, as players look for it; the full name where another recording shares the stem or
        a file of that name is not ours. Ours are those that the last result lists. ``language``:
        the code in the names of subtitles, if they have one.
        """
        ours = set(self.outputs(name))
        stem = stem_of(name)
        shared_stem = self._shares_stem(name, stem)
        return tuple(self._free_output(name, form, language, ours, shared_stem) for form in formats)

    def another_output(self, name: str, planned: str, ours: Sequence[str]) -> str:
        """A free name for a text whose planned one was taken meanwhile."""
        form, language = planned.rpartition(".")[2], language_in(planned)
        if planned not in output_names(name, form, language):
            language = None  # it is the end of the recording's own name
        return self._free_output(name, form, language, set(ours), False)

    def _shares_stem(self, name: str, stem: str) -> bool:
        folder = self._folder.at(name).parent
        prefix = name.rpartition("/")[0]
        start = stem.rpartition("/")[2]  # quick to compare, even among 100,000 others
        with storage_errors(folder):
            alike = [entry for entry in beneath.names_in(folder) if entry.startswith(start)]
        beside = (f"{prefix}/{entry}" if prefix else entry for entry in alike)
        return any(b != name and stem_of(b) == stem and is_recording(b) for b in beside)

    def _free_output(
        self, name: str, form: str, language: str | None, ours: set[str], shared_stem: bool
    ) -> str:
        candidates = output_names(name, form, language)
        for candidate in itertools.islice(candidates, int(shared_stem), None):
            path = self._folder.text_at(candidate)
            with storage_errors(path):
                if candidate in ours or not is_taken(path):
                    return candidate
        raise TranscriberError(
            "no_free_name", noted("No name is free for the {form} of {name}.", form=form, name=name)
        )


def result_in(root: Path, name: str) -> dict[str, Any] | None:
    """The ``.result`` under a folder, or None if there is none that can be read. StorageError."""
    path = root / RecordingPaths(name).result
    with storage_errors(path):
        try:
            if not stat.S_ISREG(beneath.lstat(path).st_mode):
                return None
            found = _checked(read_json(path, RESULT_BYTES_MAX))
            _Result.model_validate(found)
            return found
        except (FileNotFoundError, NotADirectoryError):
            return None
        except TranscriberError as error:
            log.warning("%s cannot be used (%s)", path.name, error)
            return None
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
            log.warning("%s cannot be used (wrong kind of value: %s)", path.name, wrong)
            return None


def _checked(result: dict[str, Any]) -> dict[str, Any]:
    """What the program relies on has its form. Raises TranscriberError ``corrupt_sidecar``."""
    job_id = result.get("job_id")
    if job_id is not None and not is_job_id(job_id):
        raise TranscriberError("corrupt_sidecar", noted("job_id is no id of a job"))
    for key, kind in _FORMS.items():
        if not isinstance(result.get(key), kind | None):
            raise TranscriberError("corrupt_sidecar", noted("{key} is of another kind", key=key))
    return result


def outputs_in(root: Path, name: str) -> tuple[str, ...]:
    """The texts that the result under a folder lists, those of earlier results after its own.

    Only those that could be its own: a ``.result`` may come from anywhere, and must not claim
    other files.
    """
    return listed_in(name, result_in(root, name) or {})


def listed_in(name: str, result: Mapping[str, Any]) -> tuple[str, ...]:
    """The same for a result that was read."""
    listed = [*(result.get("outputs") or ()), *(result.get("earlier_outputs") or ())]
    return tuple(dict.fromkeys(own_outputs(name, listed)))
