"""What works in the share asks the system through ``beneath`` alone: no link leads astray."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULES = Path(__file__).resolve().parents[3] / "modules"
PACKAGES = (
    "recordings", "runner", "watching", "delivery", "service", "jobs", "intake", "search",
)  # fmt: skip
SYSTEM = frozenset(
    "open stat lstat scandir listdir rename replace unlink remove mkdir makedirs link symlink "
    "readlink rmdir truncate utime chmod chown access walk".split()
)
METHODS = frozenset(
    "open read_text read_bytes write_text write_bytes exists is_file is_dir is_symlink stat lstat "
    "iterdir unlink mkdir rmdir glob rglob touch symlink_to hardlink_to samefile".split()
)
#: Names of modules whose functions are called like methods of a path, and entries that a folder
#: gave out, which are looked at where they were found.
HARMLESS = frozenset({"beneath", "transfer", "tree", "entry", "e"})
#: What else may be asked, and why.
ALLOWED = {
    "recordings/listening_copies.py": {"os.utime"},  # of an open file
    "recordings/lock.py": {"path.exists", "parent.mkdir", "os.chmod"},  # the lock, on any disk
    "recordings/partial_uploads.py": {"open"},  # opened by beneath.descriptor
    "recordings/recovery.py": {"os.lstat"},  # inside a pinned folder
    "recordings/share_presence.py": {"marker.mkdir"},  # our own folder, directly in the share
    "recordings/shared_folder.py": {"state.is_dir", "path.stat"},  # the share and our own folder
    "recordings/store.py": {"folder.mkdir"},  # the two folders themselves
    "recordings/uploads.py": {"open"},  # opened by beneath.descriptor
    "watching/folder_events.py": {"os.listdir", "os.readlink", "read_text"},  # of /proc
    "watching/open_writers.py": {"read_text"},  # of /proc
    "watching/watcher.py": {"os.stat"},  # the share itself
    # SQLite opens the index by its path, in our own folder.
    "jobs/index.py": {"parent.mkdir", "_path.exists", "os.access"},
    "search/database.py": {"parent.is_dir", "_path.exists"},
}


def calls(path: Path) -> Iterator[str]:
    """Calls to the system for a path: ``os.stat``, ``open``, or the method with whose it is."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id == "open":
            yield "open"
        if not isinstance(called, ast.Attribute):
            continue
        owner = getattr(called.value, "id", None) or getattr(called.value, "attr", "")
        if owner == "os" and called.attr in SYSTEM:
            yield f"os.{called.attr}"
        elif called.attr in METHODS and owner not in HARMLESS:
            yield f"{owner}.{called.attr}".lstrip(".")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_system_is_asked_through_beneath(package: str) -> None:
    found = {}
    for path in (MODULES / package).rglob("*.py"):
        name = path.relative_to(MODULES).as_posix()
        if more := set(calls(path)) - ALLOWED.get(name, set()):
            found[name] = more
    assert not found, "use modules.storage.beneath, or say here why not"


def test_what_is_allowed_is_still_done() -> None:
    for name, allowed in ALLOWED.items():
        assert allowed <= set(calls(MODULES / name)), name
