"""What the WhisperX process may read besides the recording, which it gets as an open file.

Python with its packages, the system's libraries, the weights, and what the kernel says of the
machine. Not the shared folder, the configuration, home folders or ``/etc``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from modules import IS_INSTALLED, PACKAGE_FOLDER, PROJECT_ROOT

_LIBRARIES = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib",
    "/usr/local/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/os-release",
)  # fmt: skip
_TIME_ZONE = ("/etc/localtime", "/usr/share/zoneinfo")
#: Cores, caches, memory: libraries choose by them how to compute.
_MACHINE = (
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm",
    "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/kernel/mm/transparent_hugepage",
)  # fmt: skip
_DEVICES = ("null", "zero", "full", "random", "urandom")
#: Graphics cards, and what NVIDIA's driver reads of them.
_CARDS = ("nvidia*", "nvidia-caps/*", "dri/*", "kfd", "dxg")
_OF_CARDS = (
    "/proc/driver/nvidia", "/proc/devices", "/proc/modules", "/sys/bus/pci", "/sys/class/drm",
    "/sys/devices", "/sys/module", "/usr/local/cuda", "/usr/share/nvidia", "/opt/rocm",
)  # fmt: skip
#: A folder of weights is not nested deeper.
_DEPTH_MAX = 8


def readable(weights: Iterable[Path]) -> tuple[Path, ...]:
    """Every file and folder that may be read; some of them may not be there.

    ``weights``: folders of models, which may consist of links, as the hub's cache does.
    """
    found = [*map(Path, (*_LIBRARIES, *_TIME_ZONE, *_MACHINE)), *_python()]
    if cards():
        found += map(Path, _OF_CARDS)
    for folder in weights:
        found += [folder, *_linked(folder, _DEPTH_MAX)]
    return tuple(dict.fromkeys(found))


def devices() -> tuple[Path, ...]:
    """Every device that may be used."""
    return (*(Path("/dev", name) for name in _DEVICES), *cards())


def cards() -> tuple[Path, ...]:
    """The devices of graphics cards."""
    return tuple(path for pattern in _CARDS for path in sorted(Path("/dev").glob(pattern)))


def _python() -> Iterator[Path]:
    """The interpreter, its packages and this program's modules, but not the folder around them."""
    yield from (PACKAGE_FOLDER, Path(os.path.realpath(sys.executable)))
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        yield from (Path(prefix, name) for name in ("lib", "lib64"))
    paths = (Path(os.path.realpath(entry)) for entry in sys.path)
    yield from (path for path in paths if IS_INSTALLED or path != PROJECT_ROOT)
    for variable in ("LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH"):
        yield from (Path(entry) for entry in os.environ.get(variable, "").split(":") if entry)


def _linked(folder: Path, depth: int) -> Iterator[Path]:
    """What links in a folder of weights lead to."""
    try:
        entries = list(os.scandir(folder)) if depth else []
    except OSError:
        return
    for entry in entries:
        if entry.is_symlink():
            target = Path(os.path.realpath(entry.path))
            yield target
            if target.is_dir():
                yield from _linked(target, depth - 1)
        elif entry.is_dir():
            yield from _linked(Path(entry.path), depth - 1)
