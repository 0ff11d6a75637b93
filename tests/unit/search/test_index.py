"""The index of texts: any text in, any text asked; a cache that is lost, torn or planted."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from modules.jobs.index import JobIndex
from modules.search.index import FOUND_MAX, OF_ONE_MAX, Found, SearchIndex, Text
from modules.search.query import WORDS_MAX
from modules.search.stems import tokens
from modules.transcript.model import Segment
from tests.daemon_process import PROJECT
from tests.hostile.journals import hot_journal, with_super_journal


def segments(*texts: str, speaker: str | None = None) -> list[Segment]:
    return [
        Segment(start=5.0 * n, end=5.0 * n + 4, text=t, speaker=speaker)
        for n, t in enumerate(texts)
    ]


def text(name: str, *said: str, signature: str = "1", made_s: int = 1000) -> Text:
    return Text(name, signature, made_s, segments(*said))


def names(found: Found) -> list[str]:
    return [hit.name for hit in found.hits]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "search.sqlite"


@pytest.fixture
def index(path: Path) -> Iterator[SearchIndex]:
    with closing(SearchIndex(path)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)


# --- what is found --------------------------------------------------------------------------------


def test_a_hit_has_its_second_its_speaker_and_its_marks(index: SearchIndex) -> None:
    said = segments(" Добрый день.", "Мы ждём звонка, 😀 клиент!", speaker="SPEAKER_01")
    assert index.put(Text("2024/talk.mp3", "1", 1000, said))
    [hit] = index.find("клиенты звонок", 10).hits
    assert (hit.name, hit.start, hit.speaker) == ("2024/talk.mp3", 5.0, "SPEAKER_01")
    assert [hit.text[a:b] for a, b in hit.marks] == ["звонка", "клиент"]


def test_all_words_must_be_in_one_segment(index: SearchIndex) -> None:
    index.put(text("a.wav", "Договор подписан.", "Клиент ждёт."))
    assert names(index.find("договора подписание", 10)) == ["a.wav"]
    assert index.find("договор клиент", 10) == Found()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ('"на линии"', True), ('"линии на"', False), ("«на линии»", True), ('"на лин', True),
        ("линии на", True), ("e-mail", True), ("mail-e", False), ("mail e ", True),
        ('"оставайтесь линии"', False), ('"на линии" оставайся', True), ("ОСТАВАЙТЕСЬ", True),
        ("东京", True), ("京东", False),
    ],
)  # fmt: skip
def test_quotes_and_signs_keep_the_order(index: SearchIndex, typed: str, found: bool) -> None:
    index.put(text("a.wav", "Оставайтесь на линии, пишите на e-mail 东京."))
    assert bool(index.find(typed, 10).hits) is found


def test_the_last_word_may_be_a_beginning(index: SearchIndex) -> None:
    index.put(text("a.wav", "Жду звонка клиента."))
    assert names(index.find("звон", 10)) == ["a.wav"]
    assert names(index.find("клиент звон", 10)) == ["a.wav"]
    assert index.find("кли звонок", 10) == Found(), "only the last word"
    assert index.find("кл", 10) == Found(), "too short"
    assert names(index.find("звонки кл", 10)) == ["a.wav"], "more of it is still to be typed"
    assert index.find("звонки кл ", 10) == Found()


def test_what_is_said_as_typed_comes_first_then_the_newest(index: SearchIndex) -> None:
    index.put(text("new.wav", "Договоры.", made_s=3000))
    index.put(text("old.wav", "Договор.", made_s=1000))
    index.put(text("older.wav", "Договоров.", made_s=500))
    index.put(text("middle.wav", "Договору.", made_s=2000))
    assert names(index.find("договор", 10)) == ["old.wav", "new.wav", "middle.wav", "older.wav"]
    assert names(index.find("договор", 2)) == ["old.wav", "new.wav"]


def test_of_one_recording_only_some_are_shown(index: SearchIndex) -> None:
    index.put(text("long.wav", *["Это договор."] * 600, made_s=2000))
    index.put(text("short.wav", "Договор.", made_s=3000))
    found = index.find("договор", 100)
    assert names(found) == ["short.wav"] + ["long.wav"] * OF_ONE_MAX
    assert found.total == FOUND_MAX
    starts = [hit.start for hit in found.hits[1:]]
    assert starts == sorted(starts)


def test_many_recordings_of_one_second_have_room(index: SearchIndex) -> None:
    for number in range(300):
        assert index.put(text(f"{number}.wav", "Одно и то же."))
    assert index.find("одно", 1000).total == 300
    assert index.count() == 300


# --- any text -------------------------------------------------------------------------------------


def test_the_words_of_a_removed_text_are_forgotten(index: SearchIndex, path: Path) -> None:
    index.put(text("a.mp3", "Бегемот пьёт воду", *[f"строка {n}" for n in range(400)]))
    index.put(text("b.mp3", 'Вода и o\'neil "здесь"'))
    assert names(index.find("бегемод", 9)) == ["a.mp3"], "found although mistyped"
    index.remove("a.mp3")
    index.tidy()
    with closing(sqlite3.connect(f"{path.as_uri()}?nolock=1", uri=True)) as looked:
        stems = {stem for (stem,) in looked.execute("SELECT stem FROM vocabulary")}
        (grams,) = looked.execute(
            "SELECT count(*) FROM grams WHERE grams MATCH '\"бег\"'"
        ).fetchone()
    assert grams == 0
    assert stems == {token.stem for token in tokens("вода и o'neil здесь")}
    index.put(text("c.mp3", "Бегемот"))
    assert names(index.find("бегемод", 9)) == ["c.mp3"]
    index.put(text("c.mp3", "Жираф", signature="2"))
    assert names(index.find("бегемод", 9)) == []
    assert names(index.find("вода", 9)) == ["b.mp3"]


@pytest.mark.parametrize("typed", ["", " ", '"', '""', "*", "-", "((", "(", "^", "\0", ":", "'"])
def test_what_has_no_word_finds_nothing(index: SearchIndex, typed: str) -> None:
    index.put(text("a.wav", "AND OR NOT NEAR text stems"))
    assert index.find(typed, 10) == Found()


ANY = st.text(st.characters(exclude_categories=()), max_size=40)
SPICED = st.lists(
    st.sampled_from(['"', "*", "(", ")", "^", ":", "-", "+", "NEAR", "AND", "OR", "NOT", "stems",
                     "'", "’", "\0", "ё", "й", "й", "ǅ", "ß", "İ", "ﬁ", "𞤁", "東",
                     "a" * 90, "{", ","])
    | st.text(max_size=3),
    max_size=12,
).map(" ".join)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=ANY | SPICED, typed=ANY | SPICED)
@example(said="\ud800 x", typed="\udfff")
@example(said="𞤁𞤣", typed="a")
def test_any_text_is_indexed_and_any_is_asked(
    index: SearchIndex, caplog: pytest.LogCaptureFixture, said: str, typed: str
) -> None:
    assert index.put(text("a.wav", said, signature=ascii(said)))
    for query in (typed, said):
        for hit in index.find(query, 10).hits:
            assert all(0 <= a < b <= len(hit.text) for a, b in hit.marks)
            assert hit.marks
    if 0 < len(list(tokens(said))) <= WORDS_MAX:
        assert index.find(said, 10).total == 1, "a text finds itself"
    assert not caplog.text


NAMES = st.sampled_from(["a.wav", "2024/b.wav", "not utf-8 \udcff.ogg", "запись\n.wav"])
WORDS = ("договор", "клиент", "звонок", "company")


class IndexIsADict(RuleBasedStateMachine):
    """The index beside a dictionary, through any number of restarts and writes that broke off."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.index = SearchIndex(self.folder / "search.sqlite")
        self.expected: dict[str, tuple[str, ...]] = {}

    @rule(name=NAMES, said=st.lists(st.sampled_from(WORDS), max_size=4))
    def put(self, name: str, said: Sequence[str]) -> None:
        assert self.index.put(text(name, *said, signature=repr(said)))
        self.expected[name] = tuple(said)

    @rule(name=NAMES, after=st.integers(0, 1))
    def break_off(self, name: str, after: int) -> None:
        steps = iter([True] * after + [False] * 9)
        new = text(name, *["xylophone"] * 300, signature="new")
        assert not self.index.put(new, lambda: next(steps))

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        self.index.remove(name)
        self.expected.pop(name, None)

    @rule()
    def tidy(self) -> None:
        self.index.tidy()

    @rule()
    def restart(self) -> None:
        self.index.close()
        self.index = SearchIndex(self.folder / "search.sqlite")

    @invariant()
    def what_is_found_is_what_was_put(self) -> None:
        for word in WORDS:
            found = self.index.find(f"{word} ", 1000)
            assert found.total == sum(said.count(word) for said in self.expected.values())
            assert set(names(found)) == {n for n, said in self.expected.items() if word in said}
        there = {name: repr(list(said)) for name, said in self.expected.items()}
        assert self.index.compare(there) == ([], [])
        assert self.index.compare(dict.fromkeys(there, "other")) == (list(there), [])
        assert sorted(self.index.compare({})[1]) == sorted(there)
        assert self.index.count() == len(there)

    def teardown(self) -> None:
        self.index.close()
        shutil.rmtree(self.folder)


IndexIsADict.TestCase.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)
TestIndexIsADict = IndexIsADict.TestCase


# --- a cache --------------------------------------------------------------------------------------

CRASH = """
import os, sys
from pathlib import Path
from modules.search.index import SearchIndex
from tests.unit.search.test_index import text
index = SearchIndex(Path(sys.argv[1]))
assert index.find("договор ", 9).total == 1
steps = int(sys.argv[2])
def goes_on():
    global steps
    steps -= 1
    return steps >= 0 or os._exit(9)
if steps < 0:  # in the middle of a transaction
    def work(database):
        database.execute("DELETE FROM segments")
        database.execute("UPDATE recordings SET signature = ''")
        for number in range(20000):
            database.execute("INSERT INTO vocabulary (stem) VALUES (?)", (f"x{number}",))
        os._exit(9)
    index._database.do(work, None)
index.put(text("a.wav", *["Новый текст."] * 1000, signature="2"), goes_on)
os._exit(9)
"""


@pytest.mark.parametrize("steps", [-1, 0, 2, 6, 7, 100])
def test_a_crash_at_any_moment_does_no_harm(
    path: Path, caplog: pytest.LogCaptureFixture, steps: int
) -> None:
    with closing(SearchIndex(path)) as index:
        index.put(text("a.wav", "Старый договор."))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path])}
    program = [sys.executable, "-c", CRASH, str(path), str(steps)]
    died = subprocess.run(program, env=environment, cwd=PROJECT, timeout=60, check=False)
    assert died.returncode == 9
    with closing(SearchIndex(path)) as index:
        before, after = index.find("договор ", 9).total, index.find("новый ", 999).total
        assert (before, after) in ((1, 0), (0, FOUND_MAX))
        assert (after == 0) is (steps < 6), "it was written as far as it says"
        stale, _ = index.compare({"a.wav": "2"})
        assert bool(stale) is (after == 0)
        index.put(text("a.wav", "Ещё один.", signature="3"))
        assert index.find("новый ", 9) == index.find("договор ", 9) == Found()
        assert index.find("один", 9).total == 1
    assert "begun anew" not in caplog.text


@pytest.mark.parametrize("at", [0, 4096], ids=["from the beginning", "after the first page"])
def test_a_corrupt_file_is_begun_anew(
    path: Path, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(SearchIndex(path)) as index:
        for number in range(50):
            index.put(text(f"{number}.wav", "Договор."))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * (size - at))
    with closing(SearchIndex(path)) as index:
        assert index.find("договор", 9) == Found()
        assert index.compare({"a.wav": "1"}) == (["a.wav"], [])
        assert index.put(text("a.wav", "Договор."))
        assert index.find("договор", 9).total == 1
    assert caplog.text.count("begun anew") == 1


def test_it_may_go_bad_while_it_is_open(index: SearchIndex, path: Path) -> None:
    index.put(text("a.wav", "Договор."))
    path.write_bytes(b"not a database at all" * 1000)
    index.find("договор", 9)
    assert index.put(text("b.wav", "Договор.")) or index.put(text("b.wav", "Договор."))
    assert "b.wav" in names(index.find("договор", 9))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON recordings BEGIN DELETE FROM recordings; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP TABLE vocabulary",
        "ALTER TABLE recordings ADD COLUMN more TEXT",
    ],
)
def test_another_schema_is_begun_anew(
    path: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(SearchIndex(path)) as index:
        index.put(text("a.wav", "Договор."))
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()
    with closing(SearchIndex(path)) as index:
        assert index.compare({"a.wav": "1"}) == (["a.wav"], [])
        assert index.put(text("a.wav", "Договор."))
        assert index.find("договор", 9).total == 1
    assert "another version" in caplog.text


def test_another_stemmer_is_another_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SearchIndex(path)) as index:
        index.put(text("a.wav", "Договор."))
    with closing(SearchIndex(path)) as index:
        assert index.count() == 1, "the same version keeps it"
    import modules.search.index as module

    changed = tuple(s.replace("stemmer ", "stemmer 9.") for s in module._SCHEMA)
    monkeypatch.setattr(module, "_SCHEMA", changed)
    with closing(SearchIndex(path)) as index:
        assert index.count() == 0


def test_a_planted_row_is_no_error(index: SearchIndex, path: Path) -> None:
    for number in range(4):
        index.put(text(f"{number}.wav", "Договор."))
    index.close()
    with closing(sqlite3.connect(path)) as database:
        ids = [row for (row,) in database.execute("SELECT id FROM segments_content ORDER BY id")]
        database.execute("UPDATE segments_content SET c2 = x'ff00' WHERE id = ?", (ids[0],))
        database.execute("UPDATE segments_content SET c1 = 9e999 WHERE id = ?", (ids[1],))
        database.execute("UPDATE recordings SET name = 5 WHERE slot = ?", (ids[2] >> 20,))
        database.commit()
    with closing(SearchIndex(path)) as opened:
        assert len(opened.find("договор", 9).hits) <= 1


@pytest.mark.parametrize("plant", ["folder", "FIFO", "link", "journal", "rubbish"])
def test_what_is_planted_is_put_aside(tmp_path: Path, path: Path, plant: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    if plant == "folder":
        path.mkdir()
    elif plant == "FIFO":
        os.mkfifo(path)
    elif plant == "link":
        path.symlink_to(victim)
    elif plant == "rubbish":
        path.write_bytes(b"rubbish" * 1000)
    else:
        with closing(JobIndex(tmp_path / "jobs.sqlite")) as jobs:
            jobs.note("a", "a.wav", None, "2024-01-01T00:00:00.000Z")
        content = with_super_journal(hot_journal(tmp_path / "jobs.sqlite"), victim)
        path.with_name("search.sqlite-journal").write_bytes(content)
    with closing(SearchIndex(path)) as index:
        assert index.put(text("a.wav", "Договор."))
        assert index.find("договор", 9).total == 1
    assert victim.read_text() == "precious"


def test_it_may_be_removed_while_it_is_open(index: SearchIndex, path: Path) -> None:
    index.put(text("a.wav", "Договор."))
    path.unlink()
    assert index.find("договор", 9) == Found()
    assert index.put(text("b.wav", "Договор."))
    assert path.exists()
    assert names(index.find("договор", 9)) == ["b.wav"]


def test_where_no_database_can_be_it_is_a_temporary_one(caplog: pytest.LogCaptureFixture) -> None:
    with closing(SearchIndex(Path("/proc/self/search.sqlite"))) as index:
        assert index.put(text("a.wav", "Договор."))
        assert index.find("договоры", 9).total == 1
        assert index.put(text("b.wav", "Договор."))
        assert index.count() == 2
    assert caplog.text.count("temporary file of this machine") == 1


def test_a_share_that_is_away_gets_no_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = tmp_path / "away" / ".transcriber"
    with closing(SearchIndex(away / "search.sqlite")) as index:
        assert not index.put(text("a.wav", "Договор."))
        assert index.find("договор", 9) == Found()
        assert not away.parent.exists()
        assert "temporary" not in caplog.text
        away.mkdir(parents=True)
        assert index.put(text("a.wav", "Договор."))
        assert index.find("договор", 9).total == 1


def test_nothing_is_done_after_the_end(index: SearchIndex, path: Path) -> None:
    index.close()
    assert not index.put(text("a.wav", "Договор."))
    assert (index.find("договор", 9), index.count()) == (Found(), 0)
    assert not path.exists()
