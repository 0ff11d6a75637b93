"""The list of lines that Whisper invents, against lines that were seen and sentences of people."""

from __future__ import annotations

import configparser
from dataclasses import replace
from pathlib import Path

import pytest

from modules.config.languages import LANGUAGES
from modules.transcript import known_lines, quality
from modules.transcript.known_lines import LIST, is_sound, known_line
from modules.transcript.quality import DecodingScores
from tests.builders import a_word

PROJECT = Path(__file__).resolve().parents[3]
SURE = DecodingScores("Добрый день, чем могу помочь?", 0.0, avg_logprob=-0.2, no_speech_prob=0.05)
WEAK = replace(SURE, avg_logprob=-1.3, no_speech_prob=0.85)
SPEECH = ((0.0, 10.0),)
WORDS = (a_word("Добрый", 1.0, 3.4), a_word("день", 3.4, 5.8))
KINDS = ("credit", "perhaps", "polite", "sound")

#: As people met them: public reports about Whisper, in the spelling of the reports.
SEEN = [
    "Teksting av Nicolai Winther", "Danske tekster af Nicolai Winther", "Altyazı M.K.",
    "Undertekster av Ai-Media", "Untertitelung des ZDF, 2020", "Untertitel von Stephanie Geiges",
    "Untertitelung des ZDF für funk, 2017", "Untertitel im Auftrag des ZDF für funk, 2018",
    "Untertitelung aufgrund der Amara.org-Community", "Untertitel der Amara.org-Community",
    "Copyright WDR 2021", "SWR 2020", "Vielen Dank fürs Zuschauen!", "Untertitelung. BR 2018",
    "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目", "请不吝点赞", "字幕由 Amara.org 社群提供",
    "小編字幕由Amara.org社區提供", "字幕志愿者 杨茜茜", "字幕by索兰娅", "多谢您收看", "谢谢观看",
    "ご視聴ありがとうございました", "ご視聴ありがとうございました。",
    "チャンネル登録をお願いいたします",
    "次の動画でお会いしましょう", "おやすみなさい", "字幕by 山田", "시청해주셔서 감사합니다.",
    "시청해 주셔서 감사합니다!", "MBC 뉴스 이덕영입니다.", "MBC 뉴스 김수영입니다.",
    "한글자막 by 한효정",
    "구독과 좋아요 부탁드립니다", "Sottotitoli e revisione a cura di QTSS",
    "Sottotitoli a cura di QTSS",
    "Sottotitoli creati dalla comunità Amara.org", "Sous-titrage ST' 501", "❤️ par SousTitreur.com",
    "Sous-titrage Société Radio-Canada", "Sous-titres réalisés para la communauté d'Amara.org",
    "Merci d'avoir regardé cette vidéo !", "ترجمة نانسي قنقر", "اشتركوا في القناة",
    "شكراً لمتابعتكم", "Дякую за перегляд!", "Субтитрувальниця Оля Шор", "Продовження далі...",
    "Napisy stworzone przez społeczność Amara.org", "Dziękuje za oglądanie.",
    "Titulky vytvořil JohnyX.",
    "Titulky vytvořil JohnyX http://johnyxcz.blogspot.com", "Υπότιτλοι AUTHORWAVE", "www.mooji.org",
    "Ondertitels ingediend door de Amara.org gemeenschap",
    "Subtítulos por la comunidad de Amara.org",
    "¡Gracias por ver el video!", "Más información www.alimmenta.com", "Svensktextning.nu",
    "Legendas pela comunidade das Amara.org", "Textning Stina Hedin www.btistudios.com",
    "Undertexter från Amara.org-gemenskapen", "Takk for at du så på!", "Kiitos katsomisesta!",
    "Nu uitați să dați like și subscribe", "Hãy subscribe cho kênh Ghiền Mì Gõ",
    "Hãy subscribe cho kênh Ghiền Mì Gõ Để không bỏ lỡ những video hấp dẫn",
    "Abone olmayı unutmayın!", "İzlediğiniz için teşekkürler.", "ขอบคุณที่รับชม", "תודה על הצפייה.",
    "Terima kasih telah menonton!", "Köszönöm, hogy megnézted!", "देखने के लिए धन्यवाद",
    "Subtitles by the Amara.org community", "Transcription by CastingWords", "Transcribed by ESO",
    "Thanks for watching!", "Субтитры сделал DimaTorzok", "Субтитры подогнал «Симон»",
    "Редактор субтитров О.Голубкина Корректор А.Егорова", "Спасибо за просмотр!",
    "Altyazı M.K. Altyazı M.K. Altyazı M.K.", "SUBTITLES BY THE AMARA.ORG COMMUNITY",
    "[BLANK_AUDIO]", "♪♪♪", "♪ ♪", "[Musique]", "(Musik)", "【音楽】", "*Müzik*", "[音乐] [掌声]",
    "*тиша*", "[Upbeat music playing]", "(Musik spielt leise)", "*musique de générique*",
    "A CIDADE NO BRASIL", "Learn English for free www.engvid.com",
]  # fmt: skip

#: What people say of the same things, six in each of eleven languages.
SAID = [
    "Корректор Иванова проверила рукопись вчера вечером.",
    "Субтитры мы закажем на amara.org завтра.",
    "Напишите на почту info@amara.org пожалуйста.", "Редактор субтитров Анна сегодня заболела.",
    "Спасибо за просмотр моей презентации, у кого есть вопросы?", "Кто субтитры сделал?",
    "Субтитры сделал мой брат ещё в прошлом году.", "В договоре написано: продолжение следует.",
    "Write to info@amara.org if you want the captions.", "We need subtitles by Friday noon.",
    "The subtitles by the Amara.org community were better than ours.",
    "Turn the music down, please.",
    "Thanks for watching the kids while I was away.", "Who did the transcription by hand?",
    "Die Untertitel von gestern sind schon wieder verschwunden.", "Wer macht die Untertitel?",
    "Die Untertitelung des ZDF ist wirklich gut geworden.", "Die Musik war mir viel zu laut.",
    "Vielen Dank fürs Zuschauen, und jetzt zu Ihren Fragen.",
    "Er arbeitet seit 2017 im Auftrag des ZDF.",
    "Le sous-titrage de Radio-Canada arrive toujours en retard.", "La musique est trop forte ici.",
    "Merci d'avoir regardé le contrat avant la réunion.", "Qui a fait les sous-titres par hasard?",
    "Abonnez-vous à la revue, elle est bon marché.", "Les sous-titres réalisés par Paul sont faux.",
    "Los subtítulos por favor, que no entiendo nada.", "¿Quién hizo los subtítulos de la película?",
    "Gracias por ver el vídeo de la reunión con calma.", "La música de la boda fue preciosa.",
    "El subtitulado por máquina todavía comete errores.", "Suscríbete al seguro antes del lunes.",
    "I sottotitoli a cura di mio fratello erano pessimi.", "Chi ha fatto i sottotitoli del film?",
    "Grazie per la visione d'insieme che ci hai dato.", "La musica era troppo alta ieri sera.",
    "La revisione a cura di uno studio costa parecchio.", "Iscrivetevi al corso entro domani.",
    "Napisy stworzone przez ucznia były najlepsze.", "Kto zrobił napisy do tego filmu?",
    "Dziękuję za oglądanie mieszkania, damy znać jutro.", "Muzyka grała do samego rana.",
    "Zapraszam do subskrypcji pakietu w naszym biurze.", "Tłumaczenie zajmie mi dwa tygodnie.",
    "Хто зробив субтитри до цього фільму?", "Дякую за перегляд документів, усе правильно.",
    "Редактор субтитрів захворіла, тому чекаємо.", "Музика грала дуже голосно вчора.",
    "Субтитри створив мій колега минулого тижня.", "Підписуйтесь на газету на пошті.",
    "Altyazı eklemeyi unutma, toplantı kaydedildi.", "Altyazı kim tarafından hazırlandı acaba?",
    "İzlediğiniz için teşekkür ederim, şimdi sorulara geçelim.",
    "Müzik çok yüksek, biraz kısar mısın?",
    "Çeviri yarın sabah hazır olacak.", "Dergiye abone olmayı unutmayın, çok ucuz.",
    "字幕由我们团队明天提供,请您放心等待。", "这部电影的中文字幕是谁翻译的?",
    "请不吝点赞这个词是什么意思?",
    "谢谢观看我们的新房子,下周给您答复。", "音乐太大声了,请关小一点。",
    "字幕志愿者今天下午两点开会。",
    "字幕は明日までに佐藤さんが作ります。", "ご視聴ありがとうございましたと最後に書いてください。",
    "音楽が大きすぎて聞こえませんでした。", "チャンネル登録をお願いするのは苦手なんです。",
    "次の動画は来週の月曜日に撮影します。", "字幕を付けたのは誰ですか?",
]  # fmt: skip


def rows() -> list[list[str]]:
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


# --- the list -------------------------------------------------------------------------------------


def test_the_list_knows_the_languages_of_whisper_each_line_once() -> None:
    assert all(len(row) == 3 for row in rows())
    languages, kinds, texts = zip(*rows(), strict=True)
    assert set(languages) <= set(LANGUAGES)
    assert set(kinds) == set(KINDS)
    assert len(set(languages)) >= 40
    assert len(texts) >= 300
    assert len({tuple(row) for row in rows()}) == len(rows())
    assert all(text == text.strip() and text for text in texts)


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_of_the_list_is_found_by_what_it_says(kind: str) -> None:
    for _, listed, text in rows():
        if listed == kind == "sound":
            assert is_sound(f"[{text}]"), text
        elif listed == kind:
            found = known_line(text.replace("*", " Anna Weber "))
            assert found is not None, text
            assert KINDS.index(found.kind) <= KINDS.index(kind), text


def test_the_list_is_part_of_the_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg", encoding="utf-8")
    patterns = setup["options.package_data"]["audio_transcriber"].split(", ")
    inside = LIST.relative_to(PROJECT / "modules")
    assert any(inside.match(pattern) for pattern in patterns)


# --- what was seen --------------------------------------------------------------------------------


@pytest.mark.parametrize("line", SEEN)
def test_a_line_that_was_seen_is_left_out_where_the_scores_are_weak(line: str) -> None:
    found = quality.flags(WEAK, line, WORDS, SPEECH)
    assert "filler" in found
    assert quality.is_invented(line, found, WEAK)


@pytest.mark.parametrize("line", SEEN)
def test_a_line_that_was_seen_is_left_out_where_nobody_speaks(line: str) -> None:
    found = quality.flags(SURE, line, WORDS, ((20.0, 30.0),))
    assert quality.is_invented(line, found, SURE)


@pytest.mark.parametrize("line", SAID)
@pytest.mark.parametrize("scores", [SURE, WEAK])
def test_a_sentence_about_it_is_kept_however_weak_the_scores(
    line: str, scores: DecodingScores
) -> None:
    found = quality.flags(scores, line, WORDS, SPEECH)
    assert "filler" not in found
    assert not quality.is_invented(line, found, scores)
    away = quality.flags(scores, line, WORDS, ((20.0, 30.0),))
    assert not quality.is_invented(line, away, scores)


# --- the second sign ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["Субтитры сделал Иван Петров.", "Untertitel von Jonas Weber", "Napisy: Jan Nowak"]
)
def test_a_credit_that_could_be_said_stays_unless_one_sign_says_otherwise(line: str) -> None:
    assert quality.flags(SURE, line, WORDS, SPEECH) == ()
    assert not quality.is_invented(line, (), SURE)
    for weaker in (replace(SURE, avg_logprob=-1.1), replace(SURE, no_speech_prob=0.7)):
        found = quality.flags(weaker, line, WORDS, SPEECH)
        assert quality.is_invented(line, found, weaker)
    twice = quality.flags(SURE, f"{line} {line}", WORDS, SPEECH)
    assert twice == ("filler",)
    assert quality.is_invented(f"{line} {line}", twice, SURE)


def test_a_known_line_takes_longer_than_the_speech_that_was_detected() -> None:
    line = "Dziękuję za oglądanie."
    blip = ((2.0, 2.4),)
    assert quality.flags(SURE, line, WORDS, SPEECH) == ()
    found = quality.flags(SURE, line, WORDS, blip)
    assert found == ("outside_speech", "filler")
    assert quality.is_invented(line, found, SURE)
    said = "Napisy do filmu robił mój brat."
    assert quality.flags(SURE, said, WORDS, blip) == (), "only known lines are measured so"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Спасибо. Субтитры сделал DimaTorzok", "polite"),
        ("Altyazı M.K. Untertitelung des ZDF", "credit"),
        ("Altyazı M.K. Untertitel von Anna Weber", "perhaps"),
        ("Untertitel im Auftrag des ZDF, 2017. Untertitelung des ZDF, 2020.", "credit"),
        ("Thank you, bye.", "polite"),
        ("Musik", "polite"),
    ],
)
def test_several_lines_are_as_doubtful_as_the_one_that_people_say_most(
    text: str, kind: known_lines.Kind
) -> None:
    found = known_line(text)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize(
    "text",
    [
        "", "...", "***", "Thank you. We sign tomorrow.", "Untertitel von", "Untertitel von der",
        "Subtitles by Anna Maria Luisa Petra Paula Weber", "ترجمة الكتاب صعبة جدا",
    ],
)  # fmt: skip
def test_what_is_not_all_of_a_line_is_not_known(text: str) -> None:
    assert known_line(text) is None


@pytest.mark.parametrize(
    "text", ["МУЗЫКА ИГРАЛА ДО УТРА", "(loud) music", "[Anna] music", "音楽", "Music", "...", "[]"]
)
def test_what_is_not_marked_as_a_sound_is_none(text: str) -> None:
    assert not is_sound(text)
