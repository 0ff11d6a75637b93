"""The SHA-256 of a model's files: two machines have the same weights if these are the same."""

from __future__ import annotations

import threading
from pathlib import Path

from modules.weights.files import sha256_of

#: What a model is made of; notes beside it, such as a licence, make no difference.
_SUFFIXES = (".bin", ".json", ".onnx", ".txt", ".yaml", ".data")

_known: dict[tuple[str, int, int], str] = {}
_lock = threading.Lock()


def sums_of(folder: Path) -> dict[str, str]:
    """By the file's name; a file is hashed again only once it has changed. Raises OSError.

    Empty if there is no such folder.
    """
    if not folder.is_dir():
        return {}
    files = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return {path.name: _sum(path) for path in files if path.suffix in _SUFFIXES}


def _sum(path: Path) -> str:
    facts = path.stat()
    key = (str(path), facts.st_size, facts.st_mtime_ns)
    with _lock:
        known = _known.get(key)
    if known is None:
        known = sha256_of(path)
        with _lock:
            _known[key] = known
    return known
