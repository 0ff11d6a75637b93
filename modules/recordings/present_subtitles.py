"""Recordings that have subtitles already, whoever made them: they can be skipped.

By the names that players look for, in the folder of the recording and in that of the texts. Ours,
which the result lists, do not count: a film that was replaced needs new ones.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from modules.config.languages import LANGUAGES, language_of
from modules.config.settings import TranscriptionSettings
from modules.recordings.names import has_media_ending
from modules.recordings.results import Results
from modules.recordings.settings_files import RecordingSettings, SettingsError
from modules.recordings.shared_folder import SharedFolder
from modules.recordings.sidecars import stem_of
from modules.storage import beneath
from modules.storage.atomic import storage_errors

#: What Jellyfin, Kodi and Plex take for subtitles beside a film.
_ENDINGS = ("srt", "vtt", "ass", "ssa", "sub", "smi", "sami", "sup", "ttml")
_SUBTITLES = re.compile(rf"\.(?:{'|'.join(_ENDINGS)})$", re.IGNORECASE)
#: Only what is said or written in a foreign language: the rest of the film has none.
_PARTIAL = frozenset({"forced", "foreign", "signs", "songs", "commentary"})
#: Folders whose listings are remembered as long as they do not change.
_FOLDERS_KEPT = 2000
_COARSE_NS = 3 * 10**9


class PresentSubtitles:
    """``base``: the settings of recordings without their own; None: nothing is looked for.

    Raises StorageError while the folders cannot be used.
    """

    def __init__(
        self,
        folder: SharedFolder,
        results: Results,
        settings: RecordingSettings,
        base: TranscriptionSettings | None,
    ) -> None:
        self._folder = folder
        self._results = results
        self._settings = settings
        self._base = base
        self._listings: dict[Path, tuple[int, tuple[str, ...]]] = {}

    def beside(self, name: str) -> str | None:
        """The file for which a recording is skipped, without folders; None if it is not."""
        if self._base is None:
            return None
        above, _, last = name.rpartition("/")
        found = self._candidates(self._folder.path / above, last)
        if self._folder.texts != self._folder.path:
            found += self._candidates(self._folder.texts / above, last)
        if not found:
            return None
        language = self._language(name, self._base)
        ours = {each.rpartition("/")[2] for each in self._results.outputs(name)}
        wanted = (each for each in found if each not in ours and _is_in(language, each, last))
        return next(wanted, None)

    def _language(self, name: str, base: TranscriptionSettings) -> str | None:
        """The language that the text would have; None if only the speech tells."""
        try:
            chosen = base.model_copy(update=self._settings.stated(name, base).wishes)
        except SettingsError:
            return None  # reported when its turn comes
        if chosen.task == "translate":
            return "en"
        return chosen.language if chosen.language in LANGUAGES else None

    def _candidates(self, folder: Path, last: str) -> list[str]:
        """The subtitles in a folder whose names belong to this recording and to no other."""
        listed = self._listing(folder)
        stem = stem_of(last).lower()
        found = [each for each in listed if each.lower().startswith(f"{stem}.")]
        subtitles = [each for each in found if _SUBTITLES.search(each)]
        # Film.mkv and Film.2.mkv: Film.2.srt is of the second.
        longer = [stem_of(each).lower() for each in found if has_media_ending(each)]
        return [
            each
            for each in subtitles
            if not any(len(o) > len(stem) and each.lower().startswith(f"{o}.") for o in longer)
        ]

    def _listing(self, folder: Path) -> tuple[str, ...]:
        """Recordings and subtitles in a folder, by name; nothing where there is no such folder."""
        with storage_errors(folder):
            try:
                changed = beneath.folder_changed_ns(folder)
                known = self._listings.get(folder)
                if known and known[0] == changed:
                    return known[1]
                names = beneath.names_in(folder)
            except (FileNotFoundError, NotADirectoryError):
                return ()
        kept = sorted(n for n in names if _SUBTITLES.search(n) or has_media_ending(n))
        if len(self._listings) >= _FOLDERS_KEPT:
            self._listings.clear()
        # Times of files are coarse: one that was changed just now may change unseen once more.
        if abs(time.time_ns() - changed) > _COARSE_NS:
            self._listings[folder] = changed, tuple(kept)
        return tuple(kept)


def _is_in(language: str | None, subtitles: str, last: str) -> bool:
    """Whether subtitles, by their name, have the whole film in a language; None: in any."""
    words = subtitles[len(stem_of(last)) :].lower().split(".")[1:-1]
    if _PARTIAL.intersection(words):
        return False
    spoken = next((code for code in map(language_of, words) if code in LANGUAGES), None)
    return language is None or spoken is None or spoken == language
