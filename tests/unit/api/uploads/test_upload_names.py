"""Names of uploads: what clients send, and what the file is called in the share."""

from __future__ import annotations

import pytest

from modules.api.uploads.code_pages import decoded
from modules.api.uploads.kinds import ending_by_content, ending_by_type
from modules.api.uploads.names import name_of_upload
from modules.errors import TranscriberError

WAVE = b"RIFF\x24\0\0\0WAVEfmt "
WEBM = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm"
NOISE = b"nothing that is known"


def named(
    sent: str | bytes,
    head: bytes = NOISE,
    kind: str | None = None,
    disposition: str = "",
    language: str = "ru",
) -> str:
    text = sent.decode("utf-8", "surrogateescape") if isinstance(sent, bytes) else sent
    return name_of_upload(text, disposition, head, kind, language).name


def refusal(sent: str | bytes, head: bytes = NOISE, kind: str | None = None) -> TranscriberError:
    with pytest.raises(TranscriberError) as caught:
        named(sent, head, kind)
    return caught.value


@pytest.mark.parametrize(
    ("name", "page", "language"),
    [
        ("Привет.wav", "cp1251", "ru"),
        ("запись встречи № 5.mp3", "cp1251", "auto"),
        ("ПРОТОКОЛ 12.05.mp3", "cp1251", "en"),
        ("Їжак і ґава.wav", "cp1251", "uk"),
        ("Привет.wav", "cp866", "ru"),
        ("Лекция 3.wav", "koi8-r", "ru"),
        ("Café Müller – señor.mp3", "cp1252", "auto"),
        ("Łódź i Gdańsk.mp3", "cp1250", "pl"),
        ("źródło.mp3", "cp1250", "auto"),
        ("Καλημέρα.ogg", "cp1253", "el"),
        ("会议记录.m4a", "gb18030", "zh"),
        ("会議の録音.m4a", "cp932", "ja"),
        ("Привет.wav", "utf-8", "en"),
    ],
)
def test_a_name_in_the_code_page_of_windows_is_read(name: str, page: str, language: str) -> None:
    assert named(name.encode(page), language=language) == name


def test_a_name_that_nobody_can_read_is_refused_with_what_is_wrong() -> None:
    error = refusal("会议记录.wav".encode("gb18030"))
    assert error.code == "invalid_request"
    got = "got the bytes '%BB%E1%D2%E9%BC%C7%C2%BC.wav'."
    assert error.message == f"file: its name must be UTF-8, {got}"
    assert "filename=talk.mp3" in str(error.remedy)
    assert decoded(b"\xff\xfe\x00\x00") is None


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("C:\\fakepath\\talk.mp3", "talk.mp3"),
        ("\\\\server\\share\\встреча.mp3", "встреча.mp3"),
        ("/home/anna/talk.mp3", "talk.mp3"),
        ("talk.mp3 ", "talk.mp3"),
        ("talk.mp3. .", "talk.mp3"),
        ("%D1%8F.mp3", "я.mp3"),
        ("%25D1%258F.mp3", "я.mp3"),
        ("%D1%8F%2Fmp3%2F%D1%8E.mp3", "ю.mp3"),
        ("%FF.mp3", "%FF.mp3"),
        ("100%25.mp3", "100%25.mp3"),
        ("my%20talk.mp3", "my%20talk.mp3"),
    ],
)
def test_odd_forms_of_a_name_are_understood(sent: str, name: str) -> None:
    assert named(sent) == name


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="file"; filename="_.mp3"; filename*=UTF-8\'\'%D1%8F.mp3',
        'form-data; name="file"; filename*=utf-8\'ru\'%D1%8F.mp3; filename="_.mp3"',
        'form-data; name="file"; filename="_.mp3"; FileName*=windows-1251\'\'%FF.mp3',
    ],
)
def test_the_extended_name_goes_before_the_plain_one(disposition: str) -> None:
    assert named("_.mp3", disposition=disposition) == "я.mp3"


@pytest.mark.parametrize(
    "value", ["nonsense''%D1.mp3", "UTF-8''%D1.mp3", "UTF-8'%D1%8F.mp3", "rot13''gnyx.zc3"]
)
def test_a_malformed_extended_name_leaves_the_plain_one(value: str) -> None:
    assert named("_.mp3", disposition=f'form-data; filename="_.mp3"; filename*={value}') == "_.mp3"


@pytest.mark.parametrize(
    ("sent", "head", "kind", "name"),
    [
        ("", WAVE, None, "upload.wav"),
        ("", NOISE, "audio/webm;codecs=opus", "upload.webm"),
        ("blob", WEBM, "audio/webm", "blob.webm"),
        ("blob", NOISE, "audio/mp4", "blob.m4a"),
        ("blob", WAVE, "audio/webm", "blob.wav"),
        ("undefined", WEBM, None, "undefined.webm"),
        ("Совещание", WAVE, None, "Совещание.wav"),
        ("Совещание 12.05", WAVE, "application/octet-stream", "Совещание 12.05.wav"),
        ("recording", NOISE, "AUDIO/OGG", "recording.ogg"),
        ("talk.mp3.part", WAVE, None, "talk.mp3.part.wav"),
        ("talk.mp3", WAVE, "audio/webm", "talk.mp3"),
    ],
)
def test_a_name_without_an_ending_gets_the_one_of_its_content(
    sent: str, head: bytes, kind: str | None, name: str
) -> None:
    assert named(sent, head, kind) == name


def test_only_a_name_that_the_client_did_not_choose_may_be_changed() -> None:
    assert name_of_upload("blob", "", WAVE, None, "ru").is_ours
    assert name_of_upload("", "", WAVE, None, "ru").is_ours
    assert not name_of_upload("Совещание", "", WAVE, None, "ru").is_ours


@pytest.mark.parametrize("sent", ["", "blob", "talk", "talk.docx", ".hidden.mp3", ".mp3", ".."])
def test_what_is_no_recording_is_refused(sent: str) -> None:
    assert refusal(sent).code == "unsupported_media_type"


def test_a_foreign_ending_is_not_overruled_by_a_content_type() -> None:
    assert refusal("talk.docx", NOISE, "audio/mpeg").code == "unsupported_media_type"


def test_too_long_a_name_is_refused_with_its_length() -> None:
    assert (
        refusal("x" * 300 + ".mp3").message
        == "file: its name must have at most 255 bytes, got 304."
    )


@pytest.mark.parametrize(
    ("head", "ending"),
    [
        (WAVE, "wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "wav"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (WEBM, "webm"),
        (b"\x1aE\xdf\xa3" + bytes(20) + b"matroska", "mkv"),
        (b"\0\0\0\x20ftypM4A \0\0", "m4a"),
        (b"\0\0\0\x20ftypisom\0\0", "mp4"),
        (b"\0\0\0\x14ftypqt  \0\0", "mov"),
        (b"\0\0\0\x18ftyp3gp4\0\0", "3gp"),
        (b"OggS\0\x02", "ogg"),
        (b"ID3\x04\0", "mp3"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"fLaC\0\0\0\x22", "flac"),
        (b"#!AMR\n", "amr"),
        (b"#!AMR-WB\n", "awb"),
        (b"FORM\0\0\0\0AIFF", "aiff"),
        (b"FORM\0\0\0\0AIFC", "aifc"),
        (b"caff\0\x01", "caf"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wma"),
        (b"FLV\x01\x05", "flv"),
        (b"G" + bytes(187) + b"G" + bytes(187), "ts"),
        (b"\xff\xff\xff\xff", None),
        (b"PK\x03\x04", None),
        (b"", None),
        (b"this is WAVE", None),
    ],
)
def test_the_first_bytes_tell_the_ending(head: bytes, ending: str | None) -> None:
    assert ending_by_content(head) == ending


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("audio/x-m4a", "m4a"), ("video/mp4", "mp4"), ("text/plain", None), (None, None), ("", None)],
)
def test_the_content_type_tells_the_ending(kind: str | None, ending: str | None) -> None:
    assert ending_by_type(kind) == ending
