"""Which files beside a film count as its subtitles, in which language."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modules.recordings.store import RecordingStore
from tests.builders import SETTINGS

FILM = "Films/Alien (1979)/Alien (1979).mkv"
STEM = "Alien (1979)"


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.film = root / "shared" / FILM

    def store(self, language: str = "ru", task: str = "transcribe") -> RecordingStore:
        settings = SETTINGS.model_copy(update={"language": language, "task": task})
        shared, manual = self.root / "shared", self.root / "manual"
        made = RecordingStore(shared, manual, self.root / "texts", skips_by=settings)
        made.prepare()
        self.film.parent.mkdir(parents=True, exist_ok=True)
        self.film.write_bytes(b"sound")
        return made

    def put(self, *names: str) -> None:
        for name in names:
            (self.film.parent / name).write_bytes(b"theirs")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


#: What is between the stem of the film and the end of the name: does it count for ru, en, auto?
ENDINGS = {
    ".srt": "ru en auto",
    ".ru.srt": "ru auto",
    ".rus.srt": "ru auto",
    ".Russian.srt": "ru auto",
    ".ru-RU.ass": "ru auto",
    ".RU.SRT": "ru auto",
    ".ru.sdh.vtt": "ru auto",
    ".default.ru.sub": "ru auto",
    ".sdh.ssa": "ru en auto",
    ".en.srt": "en auto",
    ".eng.sup": "en auto",
    ".de.srt": "auto",
    ".ru.forced.srt": "",
    ".forced.ru.srt": "",
    ".forced.srt": "",
    ".ru.signs.srt": "",
    ".ru.commentary.srt": "",
    ".ru.txt": "",
    ".nfo": "",
    "-behindthescenes.srt": "",
    " 2.ru.srt": "",
}


@pytest.mark.parametrize("language", ["ru", "en", "auto", "mixed"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_counts(folder: Folder, ending: str, language: str) -> None:
    files = folder.store(language)
    folder.put(STEM + ending)
    counts = language.replace("mixed", "auto") in ENDINGS[ending].split()
    assert files.subtitles.beside(FILM) == (STEM + ending if counts else None)


def test_a_translation_is_looked_for_in_english(folder: Folder) -> None:
    files = folder.store(task="translate")
    folder.put(f"{STEM}.ru.srt")
    assert files.subtitles.beside(FILM) is None
    folder.put(f"{STEM}.en.srt")
    assert files.subtitles.beside(FILM) == f"{STEM}.en.srt"


def test_the_language_of_a_folder_counts(folder: Folder) -> None:
    files = folder.store("ru")
    (folder.film.parent / "settings.yaml").write_text("language: en\n")
    folder.put(f"{STEM}.ru.srt")
    assert files.subtitles.beside(FILM) is None
    folder.put(f"{STEM}.en.srt")
    assert files.subtitles.beside(FILM) == f"{STEM}.en.srt"


def test_subtitles_of_a_film_with_a_longer_name_are_not_its_own(folder: Folder) -> None:
    files = folder.store("auto")
    folder.put(f"{STEM}.Extended.mkv", f"{STEM}.Extended.srt")
    assert files.subtitles.beside(FILM) is None
    longer = FILM.replace(".mkv", ".Extended.mkv")
    assert files.subtitles.beside(longer) == f"{STEM}.Extended.srt"


def test_ours_do_not_count_and_those_in_the_folder_for_texts_do(folder: Folder) -> None:
    files = folder.store("ru")
    ours = f"{FILM.removesuffix('.mkv')}.ru.srt"
    texts = folder.root / "texts"
    (texts / ours).parent.mkdir(parents=True)
    (texts / ours).write_bytes(b"text")
    assert files.subtitles.beside(FILM) == f"{STEM}.ru.srt"
    result = {"outputs": [ours], "outputs_directory": str(texts)}
    (texts / f"{FILM}.result").write_text(json.dumps(result))
    assert files.subtitles.beside(FILM) is None


def test_what_comes_and_goes_is_noticed(folder: Folder) -> None:
    files = folder.store("ru")
    assert files.subtitles.beside(FILM) is None
    folder.put(f"{STEM}.ru.srt")
    assert files.subtitles.beside(FILM) == f"{STEM}.ru.srt"
    (folder.film.parent / f"{STEM}.ru.srt").unlink()
    assert files.subtitles.beside(FILM) is None


def test_nothing_is_looked_for_unless_configured(folder: Folder) -> None:
    folder.store()
    folder.put(f"{STEM}.ru.srt")
    plain = RecordingStore(folder.root / "shared", folder.root / "manual")
    assert plain.subtitles.beside(FILM) is None


def test_wrong_settings_beside_it_leave_any_language(folder: Folder) -> None:
    """They are reported when its turn comes."""
    files = folder.store("ru")
    (folder.film.parent / "settings.yaml").write_text("language: klingon\n")
    assert files.subtitles.beside(FILM) is None
    folder.put(f"{STEM}.de.srt")
    assert files.subtitles.beside(FILM) == f"{STEM}.de.srt"
