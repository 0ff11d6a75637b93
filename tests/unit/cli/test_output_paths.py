"""Where a one-off transcription writes, and what it refuses to write over."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.cli.output_paths import plan


def _touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"sound")
    return [folder / name for name in names]


def test_texts_stand_beside_the_recording_by_its_stem(tmp_path: Path) -> None:
    [talk] = _touch(tmp_path, "talk.mp4")
    targets, refusals = plan([talk], ["txt", "srt", "result"], None, overwrite=False)
    assert refusals == []
    assert dict(targets[0].outputs) == {
        "txt": tmp_path / "talk.txt",
        "srt": tmp_path / "talk.srt",
        "result": tmp_path / "talk.mp4.result",
    }


def test_a_shared_stem_makes_the_full_name(tmp_path: Path) -> None:
    [talk, _] = _touch(tmp_path, "talk.mp4", "talk.wav")
    targets, _ = plan([talk], ["srt"], None, overwrite=False)
    assert targets[0].outputs["srt"] == tmp_path / "talk.mp4.srt"


def test_a_stem_that_two_arguments_share_makes_full_names_in_the_folder(tmp_path: Path) -> None:
    first, second = _touch(tmp_path / "a", "talk.mp4") + _touch(tmp_path / "b", "talk.wav")
    targets, refusals = plan([first, second], ["srt"], tmp_path, overwrite=False)
    assert refusals == []
    names = [target.outputs["srt"].name for target in targets]
    assert names == ["talk.mp4.srt", "talk.wav.srt"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_files_of_one_name_never_share_a_text(tmp_path: Path, overwrite: bool) -> None:
    first, second = _touch(tmp_path / "a", "talk.mp4") + _touch(tmp_path / "b", "talk.mp4")
    targets, refusals = plan([first, second], ["srt"], tmp_path, overwrite=overwrite)
    assert [target.recording for target in targets] == [first]
    assert "another of these files" in refusals[0]


def test_nothing_is_written_over_unless_asked_for(tmp_path: Path) -> None:
    talk, _ = _touch(tmp_path, "talk.mp4", "talk.srt")
    targets, refusals = plan([talk], ["txt", "srt"], None, overwrite=False)
    assert targets == []
    assert "talk.srt is there already" in refusals[0]
    assert "--overwrite" in refusals[0]
    targets, refusals = plan([talk], ["txt", "srt"], None, overwrite=True)
    assert len(targets) == 1
    assert refusals == []


def test_a_recording_is_never_its_own_transcript(tmp_path: Path) -> None:
    [odd] = _touch(tmp_path, "talk.json")
    targets, _ = plan([odd], ["json"], None, overwrite=True)
    assert targets[0].outputs["json"] == tmp_path / "talk.json.json"


def test_missing_files_and_folders_are_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    [talk] = _touch(tmp_path, "talk.mp4")
    targets, refusals = plan(
        [tmp_path / "nope.mp3", tmp_path, talk], ["txt"], None, overwrite=False
    )
    assert [target.name for target in targets] == ["talk.mp4"]
    assert "nope.mp3: There is no such file." in refusals
    assert f"{tmp_path.name}: This is no file." in refusals


def test_a_file_named_twice_is_done_once(tmp_path: Path) -> None:
    [talk] = _touch(tmp_path, "talk.mp4")
    targets, refusals = plan([talk, tmp_path / "." / "talk.mp4"], ["txt"], None, overwrite=False)
    assert len(targets) == 1
    assert refusals == []


def test_subtitles_have_their_language_where_it_is_known(tmp_path: Path) -> None:
    film, other = _touch(tmp_path, "Film.mkv", "Other.mkv")
    (tmp_path / "Other.ru.srt").write_bytes(b"theirs")
    targets, refusals = plan([film, other], ["txt", "srt"], None, overwrite=False, language="ru")
    assert [dict(each.outputs) for each in targets] == [
        {"txt": tmp_path / "Film.txt", "srt": tmp_path / "Film.ru.srt"}
    ]
    assert "Other.ru.srt is there already" in refusals[0]
