"""Trouble that no recording is to blame for: a full disk, a folder that is away, a broken model.

And settings beside recordings that are wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from modules.clock import Clock
from modules.config.rules import Conflict, impossible_on
from modules.config.schema import Config
from modules.config.settings import Settings
from modules.errors import ModelError, StorageError, TranscriberError
from modules.logger import get_logger
from modules.recordings.settings_files import SettingsError, files_for
from modules.recordings.store import FileManager
from modules.weights.locate import locate

log = get_logger("Runner")

#: How long trouble is left alone before the next try, in seconds.
HOLD_S = 10.0
_SHARE_CODES = ("share_unavailable", "file_vanished")


class Trouble:
    """Holds the queue while every file would fail for the same reason.

    ``check_writable`` raises StorageError while the share cannot be used.
    """

    def __init__(self, clock: Clock, check_writable: Callable[[], None]) -> None:
        self._clock = clock
        self._check_writable = check_writable
        self._error: TranscriberError | None = None
        self._again_at = 0.0

    @property
    def reason(self) -> str | None:
        """What is in the way, in plain words; None while nothing is."""
        return str(self._error) if self._error else None

    @property
    def kind(self) -> Literal["share", "storage", "model", "worker"] | None:
        """What it is about; None while nothing is in the way."""
        error = self._error
        if isinstance(error, StorageError):
            return "share" if error.code in _SHARE_CODES else "storage"
        if isinstance(error, ModelError):
            return "model"
        return "worker" if error else None

    def note(self, error: TranscriberError) -> None:
        """Take a failure that is not the file's own."""
        log.error("%s", error)
        if isinstance(error, StorageError) and self._is_usable():
            return  # one file cannot be read; the others can
        self._error = self._error or error
        self._again_at = self._clock.monotonic() + HOLD_S

    def blocks(self) -> bool:
        """Whether no file can be done just now. Looks again every ``HOLD_S`` seconds."""
        if self._error is None:
            return False
        if self._clock.monotonic() < self._again_at:
            return True
        if not self._is_usable():
            self._again_at = self._clock.monotonic() + HOLD_S
            return True
        if isinstance(self._error, StorageError):
            self.is_over()
        return False  # whether a model loads now, only the next file can tell

    def is_over(self) -> None:
        """A file was taken up, or the share is back."""
        if self._error is not None:
            log.info("Going on: what was in the way is mended")
            self._error = None

    def _is_usable(self) -> bool:
        try:
            self._check_writable()
        except StorageError as error:
            self._error = error
            return False
        return True


class SettingsTrouble:
    """Reads the settings beside recordings, and keeps in mind who waits because they are wrong.

    Beside a wrong file lies a text as long as somebody waits for it. For one thread, the runner's.
    """

    def __init__(
        self,
        config: Config,
        files: FileManager,
        clock: Clock,
        compute_types: Callable[[], Mapping[str, tuple[str, ...]]],
    ) -> None:
        self._config = config
        self._files = files
        self._clock = clock
        self._compute_types = compute_types
        self._held: dict[str, SettingsError] = {}
        self._look_at = 0.0
        #: During a look at all, the files whose texts are to be brought up to date after it.
        self._touched: set[str] | None = None

    def settings_for(self, name: str) -> Settings:
        """What a recording is made with if no request says otherwise.

        Raises SettingsError, which is kept in mind until it is mended; StorageError.
        """
        try:
            chosen = self._read(name)
        except SettingsError as error:
            self._keep(name, error)
            raise
        self._let_go(name)
        return chosen

    def changes(self, waits: Callable[[str], bool]) -> Iterator[tuple[str, SettingsError | None]]:
        """The recordings that wait and whose settings are right now, or wrong in another way.

        Looks every ``HOLD_S`` seconds, and yields nothing in between. ``waits`` tells whether a
        recording still does; those that do not are forgotten.
        """
        now = self._clock.monotonic()
        if not self._held or now < self._look_at:
            return
        self._look_at = now + HOLD_S
        # Thousands may wait for one file, about which one text is written.
        self._touched = set()
        try:
            yield from self._changed(waits)
        finally:
            touched, self._touched = self._touched, None
            self._tell(touched)

    def _changed(self, waits: Callable[[str], bool]) -> Iterator[tuple[str, SettingsError | None]]:
        for name, before in list(self._held.items()):
            if not waits(name):
                self._let_go(name)
                continue
            try:
                self.settings_for(name)
                yield name, None
            except SettingsError as error:
                if error.wrong != before.wrong:
                    yield name, error
            except StorageError:
                continue  # nothing is known of it just now

    def _read(self, name: str) -> Settings:
        base = self._config.default_settings()
        found = self._files.stated(name, base)
        settings = base.model_copy(update=found.wishes)
        wrong: dict[str, tuple[str, ...]] = {}
        for keys, line in self._impossible(settings):
            blamed = [found.origins[key] for key in keys if key in found.origins]
            if blamed:
                file = max(blamed, key=files_for(name).index)
                wrong[file] = (*wrong.get(file, ()), f"{keys[0]}: {line}")
        if wrong:
            raise SettingsError(wrong)
        return settings

    def _impossible(self, settings: Settings) -> Iterator[Conflict]:
        """What is asked for and this machine cannot do."""
        whisperx = self._config.whisperx
        try:
            locate(settings.model_size, self._config.models_directory, whisperx.allow_download)
        except ModelError as error:
            yield ("model_size",), str(error)
        yield from impossible_on(settings, self._compute_types())

    def _keep(self, name: str, error: SettingsError) -> None:
        before = self._held.get(name)
        if before and before.wrong == error.wrong:
            return
        self._held[name] = error
        self._tell({*error.wrong, *(before.wrong if before else ())})

    def _let_go(self, name: str) -> None:
        self._held.pop(name, None)
        # All of them, as a text of an earlier life may lie beside any.
        self._tell(files_for(name))

    def _tell(self, files: Iterable[str]) -> None:
        """Bring the texts beside these files up to date, now or at the end of a look at all."""
        if self._touched is not None:
            self._touched.update(files)
            return
        for file in files:
            lines = [line for held in self._held.values() for line in held.wrong.get(file, ())]
            try:
                self._files.tell_of_settings(file, list(dict.fromkeys(lines)))
            except StorageError as error:
                log.warning("%s: what is wrong with it could not be written: %s", file, error)
