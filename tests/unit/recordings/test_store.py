"""Identity, publication, and what is found at start: on real files, in a folder of the test's."""

from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from modules.config.types import FORMATS
from modules.errors import StorageError, TranscriberError
from modules.jobs.job import ErrorInfo, Job, Priority
from modules.outputs import notes
from modules.outputs.segments_json import segment_json
from modules.recordings.sidecars import RESULT_BYTES_MAX, STATE_BYTES_MAX, RecordingPaths
from modules.recordings.state import job_from_json, job_to_json
from modules.recordings.store import RecordingStore
from modules.runner import publishing
from modules.runner.publishing import Publisher
from modules.storage import atomic, no_replace
from modules.storage.atomic import TEMPORARY_PREFIX, to_json
from tests.builders import SOURCE, a_chunk, a_job, a_segment

LONG = "ы" * 125 + ".mp3"


@pytest.fixture
def files(tmp_path: Path) -> RecordingStore:
    made = RecordingStore(tmp_path / "shared", tmp_path / "manual")
    made.prepare()
    return made


def put(files: RecordingStore, name: str, content: bytes = b"sound") -> Path:
    path = files.folder.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def put_result(files: RecordingStore, name: str, **content: Any) -> None:
    (files.folder.path / RecordingPaths(name).result).write_bytes(to_json(content))


# --- identity ---


def test_a_recording_is_a_regular_file_inside(files: RecordingStore, tmp_path: Path) -> None:
    put(files, "talk.mp3")
    (files.folder.path / "folder.mp3").mkdir()
    (files.folder.path / "link.mp3").symlink_to(files.folder.path / "talk.mp3")
    os.mkfifo(files.folder.path / "fifo.mp3")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "talk.mp3").write_bytes(b"secret")
    (files.folder.path / "way").symlink_to(tmp_path / "outside")
    assert files.folder.is_there("talk.mp3")
    for name in ("folder.mp3", "link.mp3", "fifo.mp3", "none.mp3", "talk.mp3/x.mp3"):
        assert not files.folder.is_there(name), name
    assert not files.folder.is_there("way/talk.mp3"), "a link leads out of the share"
    assert not files.folder.is_there("n" * 300 + ".mp3"), "no file can have such a name"


def test_nothing_is_concluded_while_the_share_is_away(files: RecordingStore) -> None:
    files.folder.state.rmdir()
    with pytest.raises(StorageError, match="unavailable"):
        files.folder.is_there("talk.mp3")


def test_a_source_is_size_time_and_both_ends(files: RecordingStore) -> None:
    mib = 2**20
    content = bytearray(3 * mib)
    path = put(files, "talk.mp3", bytes(content))
    os.utime(path, ns=(1, 5))
    first = files.folder.identity("talk.mp3")
    assert (first.size, first.mtime_ns) == (3 * mib, 5)
    for position, seen in ((0, True), (mib - 1, True), (mib, False), (3 * mib - 1, True)):
        changed = content.copy()
        changed[position] = 1
        put(files, "talk.mp3", bytes(changed))
        other = files.folder.identity("talk.mp3")
        assert (other.fingerprint != first.fingerprint) is seen, f"byte {position}"


def test_a_link_and_a_fifo_are_not_opened(files: RecordingStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (files.folder.path / "link.mp3").symlink_to(tmp_path / "secret")
    with pytest.raises(StorageError):
        files.folder.identity("link.mp3")
    with pytest.raises(StorageError):
        files.folder.identity("gone.mp3")


def test_it_is_still_the_file_if_only_its_time_differs(files: RecordingStore) -> None:
    path = put(files, "talk.mp3", b"one")
    source = files.folder.identity("talk.mp3")
    os.utime(path, ns=(7, 7))
    assert files.folder.is_still("talk.mp3", source)
    path.write_bytes(b"two")
    assert not files.folder.is_still("talk.mp3", source)
    path.unlink()
    assert not files.folder.is_still("talk.mp3", source)


@pytest.mark.parametrize(
    ("result", "done"),
    [
        ({"source": "its own"}, True),
        ({}, False),
        ({"source": None}, False),
        ({"source": {"size": "x"}}, False),
        ({"source": {"size": 5, "mtime_ns": 1, "fingerprint": "x"}}, False),
    ],
)
def test_a_recording_is_done_if_its_result_is_of_this_very_file(
    files: RecordingStore, result: dict[str, Any], done: bool
) -> None:
    put(files, "talk.mp3")
    assert not files.results.is_done("talk.mp3")
    if result.get("source") == "its own":
        result = {"source": files.folder.identity("talk.mp3").model_dump()}
    put_result(files, "talk.mp3", **result)
    assert files.results.is_done("talk.mp3") is done


def test_a_result_that_is_larger_than_any_of_ours_is_none(files: RecordingStore) -> None:
    put_result(files, "talk.mp3", filename="talk.mp3")
    os.truncate(files.folder.path / "talk.mp3.result", RESULT_BYTES_MAX + 1)
    assert files.results.read("talk.mp3") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_corrupt_result_is_none(files: RecordingStore, content: bytes) -> None:
    put(files, "talk.mp3")
    put(files, "talk.mp3.result", content)
    assert files.results.read("talk.mp3") is None
    assert not files.results.is_done("talk.mp3")


# --- where texts go ---


@pytest.mark.parametrize(
    ("beside", "listed", "expected"),
    [
        ([], [], ["talk.txt", "talk.srt"]),
        (["talk.txt"], [], ["talk.mp4.txt", "talk.srt"]),
        (["talk.txt"], ["talk.txt"], ["talk.txt", "talk.srt"]),
        (["talk.wav"], [], ["talk.mp4.txt", "talk.mp4.srt"]),
        (["talk.mp3.result"], [], ["talk.txt", "talk.srt"]),
        (["talk.txt", "talk.mp4.txt"], [], ["talk.mp4 (2).txt", "talk.srt"]),
        (["talk.wav", "talk.mp4.srt"], [], ["talk.mp4.txt", "talk.mp4 (2).srt"]),
        (["talk.wav", "talk.mp4.srt"], ["talk.mp4.srt"], ["talk.mp4.txt", "talk.mp4.srt"]),
    ],
    ids=[
        "free", "foreign txt", "our txt", "shared stem", "a sidecar is no recording",
        "both names foreign", "shared stem and foreign", "shared stem and ours",
    ],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["", "sub/"])
def test_where_texts_go(
    files: RecordingStore, folder: str, beside: list[str], listed: list[str], expected: list[str]
) -> None:
    put(files, f"{folder}talk.mp4")
    put_result(files, f"{folder}talk.mp4", outputs=[folder + name for name in listed])
    for name in beside:
        put(files, folder + name, b"theirs")
    planned = files.results.plan_outputs(f"{folder}talk.mp4", ("txt", "srt"))
    assert planned == tuple(folder + name for name in expected)


def test_a_link_in_the_way_counts_as_a_file(files: RecordingStore) -> None:
    put(files, "talk.mp4")
    (files.folder.path / "talk.txt").symlink_to("nowhere")
    assert files.results.plan_outputs("talk.mp4", ("txt",)) == ("talk.mp4.txt",)


def test_a_long_name_has_texts_too(files: RecordingStore) -> None:
    put(files, LONG)
    (planned,) = files.results.plan_outputs(LONG, ("txt",))
    put(files, planned)


def test_a_result_from_elsewhere_lays_no_hands_on_other_files(files: RecordingStore) -> None:
    put(files, "talk.mp3")
    put(files, "other.txt")
    put_result(files, "talk.mp3", outputs=["other.txt", "../x.txt", "talk.txt", 5])
    assert files.results.outputs("talk.mp3") == ("talk.txt",)
    put_result(files, "talk.mp3", outputs="talk.txt")
    assert files.results.outputs("talk.mp3") == ()


def publish(
    files: RecordingStore, job: Job, metadata: dict[str, Any] | None = None
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "filename": job.name,
        "outputs": list(job.outputs),
        "duration_seconds": 1.0,
        "transcription": {"text": "Привет.", "segments": []},
        "metadata": metadata or {},
    }
    segment = a_segment(0, 1, "Привет.")
    Publisher(files).publish(job, [segment], result, timestamps=False)
    result["transcription"]["segments"] = [{"id": 0, **segment_json(segment)}]
    return result


def test_what_is_published_can_be_read(files: RecordingStore) -> None:
    job = a_job(outputs=("talk.txt", "talk.srt"))
    result = publish(files, job)
    assert files.results.read("talk.mp3") == json.loads(to_json(result))
    assert (files.folder.path / "talk.txt").read_text("utf-8") == "Привет.\n"
    assert "Привет." in (files.folder.path / "talk.srt").read_text("utf-8")
    assert sorted(os.listdir(files.folder.path)) == [
        ".transcriber", "talk.mp3.result", "talk.srt", "talk.txt",
    ]  # fmt: skip


def test_a_result_that_could_not_be_read_again_is_not_written(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither are its texts: the recording would wait for its result for ever."""
    counts = {"word_count": 1, "segment_count": 1}
    size = len(to_json(publish(files, a_job(), counts)))
    (files.folder.path / "talk.mp3.result").unlink()
    monkeypatch.setattr(publishing, "RESULT_BYTES_MAX", size - 1)
    with pytest.raises(TranscriberError) as caught:
        publish(files, a_job(outputs=("talk.txt",)), counts)
    assert (caught.value.code, caught.value.permanent) == ("result_too_large", True)
    assert os.listdir(files.folder.path) == [".transcriber"]
    monkeypatch.setattr(publishing, "RESULT_BYTES_MAX", size)
    publish(files, a_job(), counts)
    assert files.results.read("talk.mp3")


def test_a_state_that_could_not_be_read_again_is_written_without_its_segments(
    files: RecordingStore,
) -> None:
    segments = tuple(segment_json(a_segment(0, 1, "a" * 2000)) for _ in range(2500))
    job = a_job(priority=Priority.API, last_segments=segments)
    files.states.save(job)
    path = files.folder.path / "talk.mp3.in_progress"
    assert path.stat().st_size <= STATE_BYTES_MAX
    assert job_from_json("talk.mp3", json.loads(path.read_bytes())).job_id == job.job_id


def test_a_warning_is_in_the_text_and_in_the_log(
    files: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    warned = notes.warning("other_language", asked="ru", heard="en")
    result = publish(files, a_job(outputs=("talk.txt", "talk.srt")), {"warnings": [warned]})
    text = (files.folder.path / "talk.txt").read_text("utf-8")
    assert text == f"Привет.\n\n{notes.text_note(result)}\n"
    assert "[" not in (files.folder.path / "talk.srt").read_text("utf-8")
    assert f"talk.mp3: check the text: {warned['message']}" in caplog.messages


def test_a_text_that_cannot_be_made_never_costs_the_transcript(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = publishing.render

    def render(form: str, *rest: Any) -> bytes:
        if form == "docx":
            raise RuntimeError("no template")
        return real(form, *rest)

    monkeypatch.setattr(publishing, "render", render)
    publish(files, a_job(outputs=("talk.docx", "talk.txt")))
    result = files.results.read("talk.mp3") or {}
    assert result["outputs"] == ["talk.txt"]
    assert result["metadata"]["notes"] == ["output: talk.docx could not be made (no template)"]
    assert not (files.folder.path / "talk.docx").exists()
    assert (files.folder.path / "talk.txt").exists()


def test_what_somebody_put_under_a_planned_name_meanwhile_stays(files: RecordingStore) -> None:
    put(files, "talk.txt", b"theirs")
    result = publish(files, a_job(outputs=("talk.txt", "talk.srt")))
    assert result["outputs"] == ["talk.mp3.txt", "talk.srt"]
    assert (files.folder.path / "talk.txt").read_bytes() == b"theirs"


def test_what_somebody_put_there_at_the_last_instant_stays(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = no_replace.rename_unless_taken

    def late(source: str, target: str) -> None:
        if not (files.folder.path / "talk.txt").exists():
            put(files, "talk.txt", b"theirs")
        real(source, target)

    monkeypatch.setattr(no_replace, "rename_unless_taken", late)
    result = publish(files, a_job(outputs=("talk.txt", "talk.srt")))
    assert result["outputs"] == ["talk.mp3.txt", "talk.srt"]
    assert (files.folder.path / "talk.txt").read_bytes() == b"theirs"
    assert (files.folder.path / "talk.mp3.txt").is_file()
    assert not [name for name in os.listdir(files.folder.path) if name.startswith(".~")]


def test_a_text_of_ours_is_replaced(files: RecordingStore) -> None:
    publish(files, a_job(outputs=("talk.txt",)))
    put(files, "talk.txt", b"")
    (files.folder.path / "talk.txt").unlink()
    assert publish(files, a_job(outputs=("talk.txt",)))["outputs"] == ["talk.txt"]


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_crashed_run_wrote_is_known_again(files: RecordingStore, form: str) -> None:
    publish(files, a_job(outputs=(f"talk.{form}",)))
    (files.folder.path / "talk.mp3.result").unlink()
    assert publish(files, a_job(outputs=(f"talk.{form}",)))["outputs"] == [f"talk.{form}"]


def test_the_result_comes_last(files: RecordingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def watch(module: Any, name: str) -> None:
        real = getattr(module, name)

        def rename(source: str, target: str) -> None:
            order.append(Path(target).name)
            real(source, target)

        monkeypatch.setattr(module, name, rename)

    watch(os, "replace")
    watch(no_replace, "rename_unless_taken")
    publish(files, a_job(outputs=("talk.txt", "talk.srt")))
    assert order == ["talk.txt", "talk.srt", "talk.mp3.result"]


def test_a_crash_inside_a_write_leaves_the_old_version(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.states.save(a_job(position_s=1.0))
    before = (files.folder.path / "talk.mp3.in_progress").read_bytes()

    def die(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", die)
    with pytest.raises(StorageError) as caught:
        files.states.save(a_job(position_s=2.0))
    assert caught.value.code == "disk_full"
    assert (files.folder.path / "talk.mp3.in_progress").read_bytes() == before
    assert sorted(os.listdir(files.folder.path)) == [".transcriber", "talk.mp3.in_progress"]


# --- at start ---


def recovered(files: RecordingStore, recursive: bool = True) -> dict[str, tuple[bool, bool]]:
    return {f.job.name: (f.has_recording, f.moved) for f in files.recovery.find_jobs(recursive)}


def test_every_job_is_found_with_what_is_left_of_it(files: RecordingStore) -> None:
    names = ["a.mp3", "sub/b.mp3", LONG, "odd \udcff.mp3", "gone.mp3"]
    for name in names:
        put(files, name)
        files.states.save(a_job(name))
    (files.folder.path / "gone.mp3").unlink()
    moved = job_to_json(a_job("dragged.mp3")) | {"moved_to_manual": True}
    put(files, "dragged.mp3")
    put(files, "dragged.mp3.in_progress", to_json(moved))
    expected = dict.fromkeys(names, (True, False)) | {
        "gone.mp3": (False, False),
        "dragged.mp3": (True, True),
    }
    assert recovered(files) == expected
    del expected["sub/b.mp3"]
    assert recovered(files, recursive=False) == expected


def test_a_corrupt_sidecar_is_set_aside(
    files: RecordingStore, caplog: pytest.LogCaptureFixture
) -> None:
    put(files, "talk.mp3")
    put(files, "talk.mp3.in_progress", b'{"filename": "ta')
    (files.folder.path / "folder.mp3.in_progress").mkdir()
    with caplog.at_level(logging.WARNING):
        assert recovered(files) == {}
    assert "talk.mp3.in_progress was set aside" in caplog.text
    assert not (files.folder.path / "talk.mp3.in_progress").exists()
    aside = files.folder.state / "corrupt" / "talk.mp3.in_progress"
    assert aside.read_bytes() == b'{"filename": "ta'
    assert recovered(files) == {}


def test_a_state_that_is_larger_than_any_of_ours_is_set_aside(files: RecordingStore) -> None:
    put(files, "talk.mp3")
    state = put(files, "talk.mp3.in_progress", to_json(job_to_json(a_job("talk.mp3"))))
    os.truncate(state, STATE_BYTES_MAX + 1)
    assert recovered(files) == {}
    assert not state.exists()


def test_a_state_that_is_a_link_or_a_fifo_is_left_alone(
    files: RecordingStore, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(to_json(job_to_json(a_job("talk.mp3"))))
    put(files, "talk.mp3.in_progress").unlink()
    (files.folder.path / "talk.mp3.in_progress").symlink_to(elsewhere)
    os.mkfifo(files.folder.path / "call.mp3.in_progress")
    assert recovered(files) == {}
    assert (files.folder.path / "talk.mp3.in_progress").is_symlink()


def test_what_a_crash_left_half_written_is_removed(files: RecordingStore) -> None:
    for folder in ("", "sub/", ".transcriber/"):
        put(files, f"{folder}{TEMPORARY_PREFIX}abc")
    recovered(files)
    assert not list(files.folder.path.rglob(f"{TEMPORARY_PREFIX}*"))


def test_temporary_files_of_a_crash_go_from_orders_and_manual_too(files: RecordingStore) -> None:
    order = put(files, f".transcriber/orders/{TEMPORARY_PREFIX}abc")
    kept = put(files, ".transcriber/orders/abc.json")
    copy = files.manual.path / f"{TEMPORARY_PREFIX}def"
    copy.write_bytes(b"half a copy")

    files.recovery.find_jobs(recursive=False)

    assert not order.exists()
    assert not copy.exists()
    assert kept.exists()


def test_state_and_leftovers_are_dropped(files: RecordingStore) -> None:
    put(files, "talk.mp3")
    put(files, "talk.mp3.result")
    for name in ("talk.mp3.in_progress", ".talk.mp3.checkpoint", "talk.mp3.error.txt"):
        put(files, name)
    for name in ("talk.mp3.in_progress", "talk.mp3.error.txt"):
        (files.manual.path / name).write_bytes(b"")
    files.drop_leftovers("talk.mp3")
    files.drop_leftovers("talk.mp3")
    assert sorted(os.listdir(files.folder.path)) == [".transcriber", "talk.mp3", "talk.mp3.result"]
    assert os.listdir(files.manual.path) == []


def test_leftovers_of_another_recording_in_manual_stay(files: RecordingStore) -> None:
    for name in ("talk.mp3", "talk.mp3.in_progress", "talk.mp3.error.txt"):
        (files.manual.path / name).write_bytes(b"")
    files.drop_leftovers("talk.mp3")
    assert len(os.listdir(files.manual.path)) == 3


def test_a_lone_sidecar_is_set_aside_with_its_checkpoint(files: RecordingStore) -> None:
    (files.folder.path / "sub").mkdir()
    files.states.save(a_job("sub/talk.mp3"))
    put(files, "sub/.talk.mp3.checkpoint")
    files.manual.set_aside("sub/talk.mp3")
    assert os.listdir(files.folder.path / "sub") == []
    assert sorted(os.listdir(files.manual.path / "sub")) == [
        ".talk.mp3.checkpoint", "talk.mp3.in_progress",
    ]  # fmt: skip
    files.manual.set_aside("sub/talk.mp3")


def test_a_checkpoint_belongs_to_the_job(files: RecordingStore) -> None:
    job = a_job()
    writer = files.states.open_checkpoint(job, files.states.read_checkpoint(job))
    writer.append(a_chunk(0))
    writer.close()
    assert files.states.read_checkpoint(job).chunks.position_s == 10.0
    assert files.states.read_checkpoint(job.evolve(source=None)).chunks.position_s == 0.0
    assert files.states.checkpoint_path("talk.mp3").name == RecordingPaths("talk.mp3").checkpoint
    assert files.recovery.mtime_order(a_job("none.mp3")) == SOURCE.mtime_ns, (
        "as it was known before"
    )


def test_a_share_that_cannot_even_be_asked_for_is_trouble_with_the_folder(
    files: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would pass for a surprise, which counts against the recording."""
    put(files, "talk.mp3")
    real = os.stat

    def stale(path: Any, **options: Any) -> os.stat_result:
        if Path(path) == files.folder.state:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stale)
    with pytest.raises(StorageError):
        files.states.save(a_job())


# --- subtitles with their language ---


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ((), "Film.ru.srt"),
        (("Film.srt",), "Film.ru.srt"),
        (("Film.ru.srt",), "Film.mkv.ru.srt"),
        (("Film.ru.srt", "Film.mkv.ru.srt"), "Film.mkv (2).ru.srt"),
        (("Film.mp4",), "Film.mkv.ru.srt"),
    ],
    ids=["free", "without a language", "foreign", "both foreign", "shared stem"],
)
def test_where_subtitles_with_a_language_go(
    files: RecordingStore, beside: tuple[str, ...], expected: str
) -> None:
    put(files, "Film.mkv")
    for name in beside:
        put(files, name, b"theirs")
    assert files.results.plan_outputs("Film.mkv", ("srt",), "ru") == (expected,)


def test_somebody_elses_subtitles_are_never_written_over(files: RecordingStore) -> None:
    """Also if they came after ours were planned; the other name has the language, too."""
    put(files, "talk.ru.srt", b"theirs")
    result = publish(files, a_job(outputs=("talk.ru.srt",)))
    assert result["outputs"] == ["talk.mp3.ru.srt"]
    assert (files.folder.path / "talk.ru.srt").read_bytes() == b"theirs"


def test_another_name_for_a_recording_that_ends_in_a_language(files: RecordingStore) -> None:
    assert files.results.another_output("talk.ru.mp3", "talk.ru.srt", ()) == "talk.ru.srt"
    put(files, "talk.ru.srt", b"theirs")
    assert files.results.another_output("talk.ru.mp3", "talk.ru.srt", ()) == "talk.ru.mp3.srt"


def test_texts_of_an_earlier_language_stay_ours(files: RecordingStore) -> None:
    """They are not written again, and are deleted with the recording."""
    put(files, "talk.mp3")
    publish(files, a_job(outputs=("talk.ru.srt", "talk.txt")))
    publish(files, a_job(outputs=("talk.en.srt", "talk.txt")))
    result = files.results.read("talk.mp3") or {}
    assert result["outputs"] == ["talk.en.srt", "talk.txt"]
    assert result["earlier_outputs"] == ["talk.ru.srt"]
    assert result["outputs_sha256"].keys() == {"talk.ru.srt", "talk.en.srt", "talk.txt"}
    again = publish(files, a_job(outputs=("talk.ru.srt",)))
    assert again["outputs"] == ["talk.ru.srt"], "its own name, not another one"
    assert again["earlier_outputs"] == ["talk.en.srt", "talk.txt"]
    deleted = files.delete("talk.mp3", ())
    assert {"talk.ru.srt", "talk.en.srt", "talk.txt"} <= set(deleted)
    assert os.listdir(files.folder.path) == [".transcriber"]


def test_an_earlier_text_that_was_changed_by_hand_is_not_written_over(
    files: RecordingStore,
) -> None:
    publish(files, a_job(outputs=("talk.ru.srt",)))
    publish(files, a_job(outputs=("talk.en.srt",)))
    put(files, "talk.ru.srt", b"corrected")
    again = publish(files, a_job(outputs=("talk.ru.srt",)))
    assert again["outputs"] == ["talk.mp3.ru.srt"]
    assert (files.folder.path / "talk.ru.srt").read_bytes() == b"corrected"


def test_subtitles_with_a_language_go_to_manual_too(files: RecordingStore, tmp_path: Path) -> None:
    put(files, "talk.mp3")
    publish(files, a_job(outputs=("talk.ru.srt",)))
    error = ErrorInfo(code="x", message="x", timestamp="2024-01-01T12:00:00Z", attempt=1)
    failed = a_job(source=files.folder.identity("talk.mp3"), error=error)
    files.manual.take(failed, "why")
    assert (tmp_path / "manual" / "talk.ru.srt").exists()
    assert os.listdir(files.folder.path) == [".transcriber"]
