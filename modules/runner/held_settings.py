"""Settings beside recordings that are wrong, and the recordings that wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from modules.clock import Clock
from modules.config.rules import Conflict, impossible_on
from modules.config.schema import Config
from modules.config.settings import TranscriptionSettings
from modules.errors import ModelError, StorageError, joined
from modules.logger import get_logger
from modules.messages import language_of_texts
from modules.recordings.settings_files import RecordingSettings, SettingsError, files_for
from modules.runner.outage import HOLD_S
from modules.weights.engines import locate_for

log = get_logger("Runner")


class HeldSettings:
    """Reads the settings beside recordings, and remembers which wait because they are wrong.

    Beside a wrong file lies a text as long as a recording waits for it. Thread-safe; only runners
    ever wait for each other, and each needs the same folder.
    """

    def __init__(
        self,
        config: Config,
        settings: RecordingSettings,
        clock: Clock,
        compute_types: Callable[[], Mapping[str, tuple[str, ...]]],
    ) -> None:
        self._config = config
        self._settings = settings
        self._clock = clock
        self._compute_types = compute_types
        self._held: dict[str, SettingsError] = {}
        self._look_at = 0.0
        self._lock = threading.RLock()
        #: During a look at all of them, the files whose texts are updated after it.
        self._touched: set[str] | None = None

    def settings_for(self, name: str) -> TranscriptionSettings:
        """What a recording is made with if no request says otherwise.

        Raises SettingsError, which is remembered until it is corrected; StorageError.
        """
        with self._lock:
            try:
                chosen = self._read(name)
            except SettingsError as error:
                self._keep(name, error)
                raise
            self._release(name)
            return chosen

    def changes(self, waits: Callable[[str], bool]) -> list[tuple[str, SettingsError | None]]:
        """The recordings that wait and whose settings are right now, or wrong in another way.

        Looks every ``HOLD_S`` seconds, and finds nothing in between. ``waits`` answers whether a
        recording still does; those that do not are forgotten.
        """
        now = self._clock.monotonic()
        if not self._held or now < self._look_at:
            return []
        self._look_at = now + HOLD_S
        with self._lock:
            # Thousands may wait for one file, about which one text is written.
            self._touched = set()
            try:
                return list(self._changed(waits))
            finally:
                touched, self._touched = self._touched, None
                self._report(touched)

    def _changed(self, waits: Callable[[str], bool]) -> Iterator[tuple[str, SettingsError | None]]:
        for name, before in list(self._held.items()):
            if not waits(name):
                self._release(name)
                continue
            try:
                self.settings_for(name)
                yield name, None
            except SettingsError as error:
                if error.wrong != before.wrong:
                    yield name, error
            except StorageError:
                continue  # nothing is known of it at the moment

    def _read(self, name: str) -> TranscriptionSettings:
        base = self._config.default_settings()
        found = self._settings.stated(name, base)
        settings = base.model_copy(update=found.wishes)
        wrong: dict[str, tuple[str, ...]] = {}
        for keys, line in self._impossible(settings):
            blamed = [found.origins[key] for key in keys if key in found.origins]
            if blamed:
                file = max(blamed, key=files_for(name).index)
                wrong[file] = (*wrong.get(file, ()), joined(": ", keys[0], line))
        if wrong:
            raise SettingsError(wrong, settings.language)
        return settings

    def _impossible(self, settings: TranscriptionSettings) -> Iterator[Conflict]:
        """What is asked for and this machine cannot do."""
        whisperx = self._config.whisperx
        try:
            locate_for(settings, self._config.models_directory, whisperx.allow_download)
        except ModelError as error:
            yield ("model_size",), str(error)
        yield from impossible_on(settings, self._compute_types())

    def _keep(self, name: str, error: SettingsError) -> None:
        before = self._held.get(name)
        if before and before.wrong == error.wrong:
            return
        self._held[name] = error
        self._report({*error.wrong, *(before.wrong if before else ())})

    def _release(self, name: str) -> None:
        self._held.pop(name, None)
        # All of them, as a text of an earlier life may lie beside any.
        self._report(files_for(name))

    def _report(self, files: Iterable[str]) -> None:
        """Update the texts beside these files, now or at the end of a look at all of them."""
        if self._touched is not None:
            self._touched.update(files)
            return
        for file in files:
            held = [each for each in self._held.values() if file in each.wrong]
            lines = [line for each in held for line in each.wrong[file]]
            language = language_of_texts(
                self._config.messages.language,
                *(each.language for each in held),
                self._config.whisperx.language,
            )
            try:
                self._settings.report(file, list(dict.fromkeys(lines)), language)
            except StorageError as error:
                log.warning("%s: what is wrong with it could not be written: %s", file, error)
