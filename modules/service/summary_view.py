"""How it stands with the summary of a text, whether or not summaries are switched on."""

from __future__ import annotations

from modules.recordings.store import RecordingStore
from modules.summaries.summaries import Summaries, View, view_of


class SummaryView:
    """Thread-safe. ``summaries`` is None where none are made; those that are there are shown."""

    def __init__(self, store: RecordingStore, summaries: Summaries | None) -> None:
        self._store = store
        self._summaries = summaries

    def view(self, name: str) -> View:
        """Raises TranscriberError ``no_text_yet``, StorageError."""
        result = self._store.results.require(name)
        if self._summaries:
            return self._summaries.view(name, result)
        return view_of(self._store, name, result) or View("none")
