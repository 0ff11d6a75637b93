"""What the command line says, in English and in Russian."""

from __future__ import annotations

import ast
import gettext
import re
import string
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from modules.cli import translation
from modules.cli.commands import doctor
from modules.cli.parser import build_parser
from modules.cli.terminal import wording
from modules.messages import CATALOGUES, noted
from modules.service.folder_view.report import Report
from modules.service.folder_view.rows import Row, State
from modules.storage import file_kind

PROJECT = Path(__file__).resolve().parents[4]
SOURCES = [
    *sorted((PROJECT / "modules" / "cli").rglob("*.py")),
    PROJECT / "modules" / "service" / "folder_requests.py",
    *sorted((PROJECT / "modules" / "service" / "folder_view").rglob("*.py")),
    PROJECT / "transcriber.py",
]
#: Where else messages are noted, to be said in the language of whoever reads them.
ALL_SOURCES = [*sorted((PROJECT / "modules").rglob("*.py")), PROJECT / "transcriber.py"]
FOLDER = CATALOGUES / "ru" / "LC_MESSAGES"
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "noted": None}
RUSSIAN = {"LANG": "ru_RU.UTF-8"}

#: Functions whose argument a user reads: what is spelled there must be looked up. What is only put
#: together there, such as ``f"{name}: {error}"``, holds no words.
SPEAKING = {
    "say": (0,),
    "complain": (0,),
    "_tell": (0,),
    "ok": (0, 1),
    "warning": (0, 1, 2),
    "problem": (0, 1, 2),
    "TranscriberError": (1,),
    "StorageError": (1,),
    "input": (0,),
    "add_column": (0,),
}
SPOKEN_KEYWORDS = {"help", "description", "title", "metavar", "remedy", "epilog"}


@pytest.fixture
def catalogue() -> Catalog:
    with (FOLDER / "transcriber.po").open("rb") as file:
        return read_po(file, locale="ru")


@pytest.fixture
def speak() -> Iterator[Callable[[dict[str, str]], None]]:
    """Chooses a language for the rest of the test."""
    yield translation.choose
    gettext.textdomain("messages")


def said() -> set[str]:
    """Every message of the program."""
    found = set()
    for source in ALL_SOURCES:
        for _, message, _, _ in extract_from_file("python", source, KEYWORDS):
            found.add(message if isinstance(message, str) else message[0])
    return found


def singular(message_id: str | tuple[str, ...]) -> str:
    return forms(message_id)[0]


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


# --- the catalogue ------------------------------------------------------------------------------


def test_every_kind_of_file_that_is_no_recording_has_a_word() -> None:
    assert set(wording.KINDS) == file_kind.KINDS


def test_every_message_has_a_russian_translation(catalogue: Catalog) -> None:
    translated = {
        singular(message.id)
        for message in catalogue
        if message.id and not message.fuzzy and all(forms(message.string))
    }
    missing = said() - translated
    assert not missing, f"say them in transcriber.po (`make messages`): {sorted(missing)}"


def test_no_translation_is_left_over(catalogue: Catalog) -> None:
    left = {singular(message.id) for message in catalogue if message.id} - said()
    assert not left, f"nobody says this any more (`make messages`): {sorted(left)}"


def test_a_translation_fills_in_the_same_things(catalogue: Catalog) -> None:
    for message in (each for each in catalogue if each.id):
        wanted = set().union(*map(placeholders, forms(message.id)))
        for form in forms(message.string):
            assert placeholders(form) == wanted, form


def placeholders(text: str) -> set[str]:
    named = {name for _, name, _, _ in string.Formatter().parse(text) if name}
    return named | set(re.findall(r"%(?:\(\w+\))?[sdrg]", text))


def test_the_compiled_catalogue_is_that_of_the_source(catalogue: Catalog) -> None:
    made = BytesIO()
    write_mo(made, catalogue)
    made.seek(0)
    with (FOLDER / "transcriber.mo").open("rb") as file:
        stored = read_mo(file)
    fresh = read_mo(made)
    told = "transcriber.mo is not what transcriber.po says: run `make messages`"
    assert texts(stored) == texts(fresh), told


def texts(compiled: Catalog) -> dict[str, tuple[str, ...]]:
    return {singular(each.id): forms(each.string) for each in compiled if each.id}


def test_the_compiled_catalogue_is_part_of_the_package() -> None:
    assert "audio_transcriber = locale/*/LC_MESSAGES/*.mo" in (PROJECT / "setup.cfg").read_text()


# --- nothing is said past the catalogue -----------------------------------------------------------


def unspoken(tree: ast.AST) -> list[str]:
    """Words for the user that are not looked up, with their lines."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if getattr(getattr(call.func, "value", None), "id", "") == "log":
            continue  # the log is English
        spoken = [call.args[n] for n in SPEAKING.get(name, ()) if n < len(call.args)]
        spoken += [key.value for key in call.keywords if key.arg in SPOKEN_KEYWORDS]
        found += [f"line {each.lineno}" for each in spoken if spells(each)]
    return found


def spells(node: ast.AST) -> bool:
    """Whether an expression itself holds words; what a call returns was looked at elsewhere."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(re.search("[a-z]{2}", node.value, re.I))
    if isinstance(node, ast.JoinedStr):
        return any(spells(part) for part in node.values if isinstance(part, ast.Constant))
    if isinstance(node, ast.BinOp):
        return spells(node.left) or spells(node.right)
    if isinstance(node, ast.IfExp):
        return spells(node.body) or spells(node.orelse)
    return False


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_nothing_is_said_past_the_catalogue(source: Path) -> None:
    assert unspoken(ast.parse(source.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_the_word_for_looking_up_is_no_name_for_what_is_thrown_away(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "_"]
    looks_up = any(isinstance(name.ctx, ast.Load) for name in names)
    stored = [name.lineno for name in names if isinstance(name.ctx, ast.Store)]
    assert not (looks_up and stored), f"lines {stored}"


@pytest.mark.parametrize(
    ("code", "is_wrong"),
    [
        ('say("Going on.")', True),
        ('say(f"{name}: ordered.")', True),
        ('problem(_("model"), "gone")', True),
        ('parser.add_argument("--x", help="for programs")', True),
        ('say("a" if x else _("b"))', False),
        ('say("word" if x else _("b"))', True),
        ('say(_("Going on."))', False),
        ('complain(f"{name}: {error}")', False),
    ],
)
def test_words_that_are_not_looked_up_are_found(code: str, is_wrong: bool) -> None:
    assert bool(unspoken(ast.parse(code))) == is_wrong


# --- which language -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "is_russian"),
    [
        ({}, False),
        ({"LANG": "ru_RU.UTF-8"}, True),
        ({"LANG": "ru"}, True),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ru_RU.UTF-8"}, True),
        ({"LANG": "ru_RU.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, False),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C.UTF-8"}, False),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": ""}, True),
        ({"LC_ALL": "POSIX", "LANGUAGE": "ru"}, False),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "ru:en"}, True),
        ({"LANG": "ru_RU.UTF-8", "LANGUAGE": "en"}, False),
        ({"LANG": "нет такого"}, False),
    ],
)
def test_the_environment_chooses(
    environment: dict[str, str],
    is_russian: bool,
    monkeypatch: pytest.MonkeyPatch,
    speak: Callable[[dict[str, str]], None],
) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    speak(environment)
    assert (gettext.gettext("Going on.") == "Работа продолжается.") is is_russian


@pytest.fixture
def russian(monkeypatch: pytest.MonkeyPatch, speak: Callable[[dict[str, str]], None]) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "ru_RU.UTF-8")
    speak(RUSSIAN)


@pytest.mark.usefixtures("russian")
def test_an_ignored_file_is_described_in_russian() -> None:
    row = Row("index.ts", State.IGNORED, error=noted("a text document"))
    assert wording.details(row) == "не запись: текстовый документ"


@pytest.mark.usefixtures("russian")
@pytest.mark.parametrize(
    ("count", "told"),
    [(1, "удалён 1 файл"), (2, "удалено 2 файла"), (5, "удалено 5 файлов"),
     (11, "удалено 11 файлов"), (21, "удалён 21 файл"), (0, "удалено 0 файлов")],
)  # fmt: skip
def test_russian_numbers_have_their_forms(count: int, told: str) -> None:
    text = gettext.ngettext("{name}: {n} file deleted", "{name}: {n} files deleted", count)
    assert text.format(name="а.mp3", n=count) == f"а.mp3: {told}"


@pytest.mark.usefixtures("russian")
def test_the_last_line_in_russian() -> None:
    rows = [Row(str(n), State.PENDING) for n in range(2)]
    rows += [Row(str(n), State.COMPLETED) for n in range(21)]
    told = wording.summary(Report(rows), None, paused=True)
    assert told == "Служба не запущена. Очередь приостановлена. 21 готов, 2 найдены."


@pytest.mark.usefixtures("russian")
def test_help_is_russian_with_the_words_of_argparse(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["transcriber.py"])
    for command in ("", "run", "transcribe", "submit", "status", "queue", "retry", "delete",
                    "doctor", "pause", "resume", "completion"):  # fmt: skip
        with pytest.raises(SystemExit):
            build_parser().parse_args([*command.split(), "--help"])
        told = capsys.readouterr().out
        for english in ("usage", "options", "positional", "show", "the ", "examples"):
            assert english not in told.replace("the-", ""), f"{command}: {english} in {told}"
        assert max(map(len, told.splitlines())) <= 100, command


@pytest.mark.usefixtures("russian")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("status --nope", "неизвестные аргументы: --nope"),
        ("delete", "не хватает аргументов: ИМЯ"),
        ("status --json --watch", "нельзя вместе с"),
        ("status --watch --interval x", "должно быть число секунд"),
        ("status --interval", "нужно значение"),
        ("completion tcl", "неверное значение 'tcl' (выберите из"),
        ("transcribe a -f doc", "не из числа"),
        ("nope", "nope"),
    ],
)
def test_a_wrong_command_line_is_told_in_russian(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(line.split())
    assert ended.value.code == 2
    complaint = capsys.readouterr().err
    assert told in complaint
    assert "запуск: " in complaint
    assert "error" not in complaint


@pytest.mark.usefixtures("russian")
def test_the_columns_of_doctor_have_room_for_russian(catalogue: Catalog) -> None:
    by_id = {message.id: str(message.string) for message in catalogue}
    for level in doctor._LEVELS.values():
        assert len(by_id[level]) <= doctor._LEVEL_WIDTH
    tree = [ast.parse(path.read_text()) for path in SOURCES if path.name.startswith("check_")]
    subjects = {
        call.args[0].args[0].value
        for module in tree
        for call in ast.walk(module)
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") in ("ok", "warning", "problem", "_writable", "_asset")
        and isinstance(call.args[0], ast.Call)
        and isinstance(call.args[0].args[0], ast.Constant)
    }
    assert len(subjects) > 10
    for subject in subjects:
        assert len(by_id[subject]) <= doctor._SUBJECT_WIDTH, by_id[subject]
