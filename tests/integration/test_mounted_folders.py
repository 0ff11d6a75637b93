"""Films in several places, one of them read-only, mounted below one folder as documented."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests import library
from tests.mounts import mount, mounted, unmount
from tests.scripted_daemon import SOON_S, ScriptedDaemon
from tests.scripted_worker import NOT_MEDIA, recording

#: On a machine with other things to do.
DONE_S = 6 * SOON_S


def place(path: Path, content: bytes) -> None:
    """In one step, as a download tool does it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.rename(path)


def test_two_disks_below_one_folder(tmp_path: Path) -> None:
    films, series, texts = (tmp_path / name for name in ("films", "series", "texts"))
    place(films / "Alien (1979)/Alien (1979).mkv", recording(3))
    place(series / "Dark/Season 01/Dark S01E01.mkv", recording(3, "dark"))
    place(series / "Dark/Season 01/Dark S01E02.mkv", NOT_MEDIA * 40)
    before = library.snapshot(series)
    config = {
        "watch": {"recursive": True, "rescan_seconds": 1.0, "settle_seconds": 0.05},
        "output": {
            "formats": ["srt"],
            "subtitle_language": True,
            "result": "hidden",
            "directory": str(texts),
        },
        "processing": {"failed": "leave", "growth_wait_seconds": 0},
    }
    daemon = ScriptedDaemon(tmp_path / "service", config)
    for name in ("Films", "Series"):
        (daemon.shared / name).mkdir()

    def written() -> set[str]:
        return {p.relative_to(texts).as_posix() for p in texts.rglob("*.srt")}

    with contextlib.ExitStack() as mounts:
        mounts.enter_context(mounted(daemon.shared / "Films", "--bind", films))
        mounts.enter_context(mounted(daemon.shared / "Series", "--bind", series))
        mount(daemon.shared / "Series", "-o", "remount,bind,ro")
        with pytest.raises(OSError, match="Read-only"):
            (daemon.shared / "Series" / "probe").write_bytes(b"")
        with daemon:
            first = {
                "Films/Alien (1979)/Alien (1979).ru.srt",
                "Series/Dark/Season 01/Dark S01E01.ru.srt",
            }
            daemon.wait_for(lambda: written() == first, f"{first} are there", DONE_S)
            daemon.wait_for_log(r"Dark S01E02\.mkv: .*left where it is", DONE_S)

            place(films / "Heat (1995)/Heat (1995).mkv", recording(2, "heat"))
            late = first | {"Films/Heat (1995)/Heat (1995).ru.srt"}
            daemon.wait_for(lambda: written() == late, "a film that came later is done", DONE_S)

            unmount(daemon.shared / "Films")
            place(films / "Ran (1985)/Ran (1985).mkv", recording(2, "ran"))
            daemon.wait_for(
                lambda: daemon.health()["status"] != "unhealthy",
                "it goes on without a disk",
                DONE_S,
            )
            done = daemon.log.count("of audio in")
            mounts.enter_context(mounted(daemon.shared / "Films", "--bind", films))
            all_of_them = late | {"Films/Ran (1985)/Ran (1985).ru.srt"}
            daemon.wait_for(lambda: written() == all_of_them, "the disk is back", DONE_S)
            daemon.wait_for(lambda: daemon.log.count("of audio in") > done, "its line", DONE_S)
            assert daemon.log.count("of audio in") == done + 1, "what was done stays done"
    assert library.snapshot(series) == before
    assert {p.suffix for p in films.rglob("*") if p.is_file()} == {".mkv"}
    assert list(daemon.manual.iterdir()) == []
