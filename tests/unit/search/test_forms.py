"""A word is found by its other forms, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from modules.search.index import SearchIndex, Text
from modules.search.near import distance, is_near
from tests.builders import a_segment

#: What is said, and what is looked for.
RUSSIAN = """
договор договорами
звонка звонок
звонки звонку
клиент клиентам
встреча встречи
оператор операторов
запись записями
совещание совещании
деньги денег
день дня
письмо писем
окно окон
сестра сестёр
ребёнок ребёнка
отец отцом
конец концов
девушка девушек
точка точек
время временем
человек люди
угол углу
ветер ветром
счёт счета
рубль рублей
оплата оплатой
говорить говорили
сказать скажу
писать пишет
идти шли
мочь могут
хотеть хочешь
работать работаем
открыть открыли
подписать подпишем
хороший лучше
новый новыми
красный красная
большой больше
быстрый быстрого
ёлка елками
замок замка
"""
ENGLISH = """
company companies
calling called
meeting meetings
went go
buy bought
child children
man men
write written
running run
pay paid
agreement agreements
customer customer's
city cities
box boxes
stop stopped
making makes
speak spoke
good better
feet foot
study studied
knife knives
"""
PAIRS = [tuple(line.split()) for line in (RUSSIAN + ENGLISH).strip().splitlines() if line]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchIndex]:
    path = tmp_path_factory.mktemp("forms") / "search.sqlite"
    with closing(SearchIndex(path)) as opened:
        for number, (said, _) in enumerate(PAIRS):
            text = Text(f"{number}.wav", "1", number, [a_segment(0, 1, f"{said.title()}.")])
            assert opened.put(text)
        yield opened


def test_there_are_as_many_as_promised() -> None:
    assert len(RUSSIAN.split()) >= 80
    assert len(ENGLISH.split()) >= 40


@pytest.mark.parametrize(("said", "typed"), PAIRS, ids=lambda word: word)
def test_another_form_finds_it_and_little_else(index: SearchIndex, said: str, typed: str) -> None:
    for query in (typed, typed.upper(), said):
        found = [hit.text for hit in index.find(query, 50).hits]
        assert f"{said.title()}." in found, query
        assert len(found) <= 2, found


@pytest.mark.parametrize("typo", ["договр", "дговор", "догвоор", "договоор", "companu", "compnay"])
def test_a_small_mistake_finds_it(index: SearchIndex, typo: str) -> None:
    assert {hit.text for hit in index.find(typo, 50).hits} & {"Договор.", "Company."}


def test_a_beginning_finds_it(index: SearchIndex) -> None:
    assert {hit.text for hit in index.find("звон", 50).hits} == {"Звонка.", "Звонки."}


def test_words_that_only_look_alike_do_not_find_each_other(index: SearchIndex) -> None:
    for typed in ("дом", "код", "xyzzy", "ромашка"):
        assert index.find(typed, 50).total == 0, typed


@pytest.mark.parametrize(
    ("a", "b", "steps"),
    [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("abcd", "abd", 1), ("abcd", "axcy", 2)],
)
def test_distance(a: str, b: str, steps: int) -> None:
    assert distance(a, b) == distance(b, a) == steps


@pytest.mark.parametrize(
    ("a", "b", "near"),
    [
        ("окн", "окон", True), ("дом", "том", False), ("дом", "дым", False), ("ок", "окн", False),
        ("ветр", "ветер", True), ("клиент", "клеент", True), ("клиент", "клеенд", False),
        ("договор", "дговр", True), ("договор", "разговор", False), ("подпиш", "подписа", True),
    ],
)  # fmt: skip
def test_what_is_near(a: str, b: str, near: bool) -> None:
    assert is_near(a, b) is is_near(b, a) is near
