"""A disk that fails, and a process that dies, at the file-system call that a test chooses.

The files are real and so are the calls. In between stands a shim that sees every call on a path
under some folders, and asks a plan whether it goes well.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

from modules.storage import no_replace

_OF_ONE_PATH = (
    "access", "chmod", "listdir", "listxattr", "lstat", "mkdir", "readlink", "remove", "rmdir",
    "scandir", "setxattr", "stat", "truncate", "unlink", "utime",
)  # fmt: skip
_OF_TWO_PATHS = ("link", "rename", "replace")
_OF_A_DESCRIPTOR = ("fdatasync", "fstat", "fsync", "ftruncate")
#: The calls that can be carried out by half.
WRITES = frozenset({"write", "sendfile"})
#: The calls that change what is on the disk, or make it last.
CHANGES = WRITES | {
    "chmod", "fdatasync", "fsync", "ftruncate", "link", "mkdir", "remove", "rename", "replace",
    "rmdir", "setxattr", "truncate", "unlink", "utime",
}  # fmt: skip

#: Asked for and counted, but not carried out: a process that dies loses nothing that was written.
_FAST: dict[str, Callable[[int], None]] = {
    "fsync": lambda descriptor: None,
    "fdatasync": lambda descriptor: None,
}

_BY_DESCRIPTOR = "/proc/self/fd/"

_readlink, _close, _fstat = os.readlink, os.close, os.fstat


class Died(BaseException):
    """The process is gone. No handler for Exception may hold it up."""


class Call(NamedTuple):
    """The ``number``-th call, from 1 on. ``target``: the second path, where there is one.

    ``changes``: whether it can change anything; not so where a file is opened only to be read.
    """

    number: int
    function: str
    path: str
    target: str = ""
    changes: bool = False


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a call: an error number, or a death around it.

    ``dies`` "within": half of the bytes are written; calls that write nothing die before.
    ``torn``: half of the bytes are written, and then comes the error.
    """

    error: int | None = None
    dies: Literal["before", "after", "within"] | None = None
    torn: bool = False


class Disk:
    """While it is entered, every call below ``roots`` is counted and put before ``plan``.

    After a death every call raises Died and changes nothing, until ``revive()``. ``volumes``: each
    root is a file system of its own. ``keep``: whether ``calls`` is written; ``count`` always is.
    Not seen: what a directory entry of ``scandir`` is asked, and SQLite's own calls.
    """

    def __init__(self, *roots: Path, volumes: bool = False, keep: bool = True) -> None:
        self._roots = tuple(os.path.realpath(root) for root in roots)
        self._below = tuple(f"{root}/" for root in self._roots)
        self._volumes = volumes
        self._keep = keep
        self.calls: list[Call] = []
        self.count = 0
        self.plan: Callable[[Call], Fault | None] | None = None
        self.dead = False
        #: Files know in which life they were opened; those of an earlier one write nothing more.
        self.life = 0
        self.opened: weakref.WeakSet[_Raw] = weakref.WeakSet()
        self._looking_on = False
        self._real_open = io.open
        self._originals: list[tuple[Any, str, Any]] = []

    # --- for tests ---

    def __enter__(self) -> Disk:
        for name in (*_OF_ONE_PATH, "open"):
            self._patch(os, name, self._of_one_path(name, getattr(os, name)))
        for name in _OF_TWO_PATHS:
            self._patch(os, name, self._of_two_paths(name, getattr(os, name)))
        # A rename to whoever makes a plan: the system call has no name in Python.
        ours = self._of_two_paths("rename", no_replace.rename_unless_taken)
        self._patch(no_replace, "rename_unless_taken", ours)
        for name in _OF_A_DESCRIPTOR:
            self._patch(os, name, self._of_one_path(name, _FAST.get(name, getattr(os, name))))
        self._patch(os, "sendfile", self._sendfile(os.sendfile))
        self._patch(io, "open", self._open)
        self._patch(builtins, "open", self._open)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._originals:
            module, name, original = self._originals.pop()
            setattr(module, name, original)
        self._close_all()

    def revive(self) -> None:
        """A new process: what the dead one had open is closed, and calls are carried out again."""
        self.life += 1
        self.dead = False
        self._close_all()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """The test's own calls: neither counted nor put before the plan."""
        before, self._looking_on = self._looking_on, True
        try:
            yield
        finally:
            self._looking_on = before

    # --- one call ---

    def do(
        self, function: str, path: str, real: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Carry a call out, or not, as the plan wants it."""
        return self._do(function, path, "", None, real, args, kwargs)

    def _do(
        self, function: str, path: str, target: str,
        half: Callable[[int], Any] | None, real: Callable[..., Any],
        args: tuple[Any, ...], kwargs: dict[str, Any],
    ) -> Any:  # fmt: skip
        if self.dead:
            raise Died(function, path)
        self.count += 1
        call = Call(self.count, function, path, target, _can_change(function, args))
        if self._keep:
            self.calls.append(call)
        fault = self._asked(call) if self.plan else None
        if fault is None:
            if target and self._volumes and self._volume(path) != self._volume(target):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path, None, target)
            return real(*args, **kwargs)
        return self._fail(call, fault, half, lambda: real(*args, **kwargs))

    def _asked(self, call: Call) -> Fault | None:
        assert self.plan is not None
        self._looking_on = True  # a plan may look at the files, or change them
        try:
            return self.plan(call)
        finally:
            self._looking_on = False

    def _fail(
        self, call: Call, fault: Fault, half: Callable[[int], Any] | None, real: Callable[[], Any]
    ) -> Any:
        if fault.dies is None:
            assert fault.error is not None, "a fault is an error or a death"
            if call.function == "access":
                return False
            if fault.torn and half:
                return half(fault.error)
            raise OSError(fault.error, os.strerror(fault.error), call.path)
        try:
            if fault.dies == "within" and half:
                half(0)
            elif fault.dies == "after":
                _let_go(call.function, real())
        except OSError:
            pass  # the process did not live to see it
        finally:
            self.dead = True
        raise Died(*call)

    def write(self, raw: _Raw, data: Any, real: Callable[[Any], int]) -> int:
        """One write to an open file."""
        if raw.life != self.life:
            return len(data)
        if self._looking_on:
            return real(data)
        if raw.pending:
            pending, raw.pending = raw.pending, None
            raise OSError(pending, os.strerror(pending), raw.path)
        return int(self._do("write", raw.path, "", self._half(raw, data, real), real, (data,), {}))

    def _half(self, raw: _Raw, data: Any, real: Callable[[Any], int]) -> Callable[[int], int]:
        def half(error: int) -> int:
            # As the kernel does it: a short write now, and the error at the next one.
            raw.pending = error
            return real(bytes(data)[: len(data) // 2])

        return half

    # --- the patches ---

    def _patch(self, module: Any, name: str, ours: Any) -> None:
        self._originals.append((module, name, getattr(module, name)))
        setattr(module, name, ours)

    def _where(self, path: Any, folder: int | None = None) -> str | None:
        """The path, if it lies below the roots and is not the test's own affair."""
        if self._looking_on:
            return None
        if type(path) is int:
            path = _path_of(path)
        elif type(path) is not str:
            path = os.fsdecode(path)
        if folder is not None:
            path = f"{_path_of(folder)}/{path}"
        if path.startswith(_BY_DESCRIPTOR):
            number, *below = path.removeprefix(_BY_DESCRIPTOR).split("/", 1)
            path = "/".join([_path_of(int(number)), *below])
        return path if path.startswith(self._below) or path in self._roots else None

    def _volume(self, path: str) -> int:
        return next((i for i, root in enumerate(self._below) if path.startswith(root)), -1)

    def _of_one_path(self, function: str, real: Any) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            where = self._where(path, kwargs.get("dir_fd"))
            if where is None:
                return real(path, *args, **kwargs)
            return self._do(function, where, "", None, real, (path, *args), kwargs)

        return call

    def _of_two_paths(self, function: str, real: Any) -> Callable[..., Any]:
        def call(source: Any, target: Any, **kwargs: Any) -> Any:
            left, right = self._where(source), self._where(target)
            if left is None and right is None:
                return real(source, target, **kwargs)
            paths = left or os.fsdecode(source), right or os.fsdecode(target)
            return self._do(function, *paths, None, real, (source, target), kwargs)

        return call

    def _sendfile(self, real: Any) -> Callable[..., int]:
        def call(out: int, source: int, offset: int, count: int) -> int:
            where = self._where(out)
            if where is None:
                return int(real(out, source, offset, count))

            def half(error: int) -> int:
                left = min(count, _fstat(source).st_size - offset)
                return int(real(out, source, offset, left // 2)) if left > 1 else 0

            return int(
                self._do("sendfile", where, "", half, real, (out, source, offset, count), {})
            )

        return call

    def _open(
        self, file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None,
        errors: str | None = None, newline: str | None = None, closefd: bool = True,
        opener: Any = None,
    ) -> Any:  # fmt: skip
        where = self._where(file)
        if where is None or opener:
            return self._real_open(
                file, mode, buffering, encoding, errors, newline, closefd, opener
            )
        bare = mode.replace("b", "").replace("t", "")
        if type(file) is int:  # no call of its own: the descriptor is there
            raw = _Raw(self, where, file, bare)
        else:
            raw = self.do("open", where, _Raw, self, where, os.fspath(file), bare)
        return _stacked(raw, mode, buffering, encoding, errors, newline)

    def _close_all(self) -> None:
        for raw in list(self.opened):
            raw.close()
        self.opened.clear()


class _Raw(io.FileIO):
    """The lowest layer of an open file, where calls to the system are made."""

    def __init__(self, disk: Disk, path: str, file: str | int, mode: str) -> None:
        super().__init__(file, mode)
        self.disk = disk
        self.path = path
        self.life = disk.life
        self.pending: int | None = None
        disk.opened.add(self)

    def write(self, data: Any) -> int:
        return self.disk.write(self, data, super().write)

    def readinto(self, buffer: Any) -> int:  # type: ignore[override]
        return int(self._seen("read", super().readinto, buffer))

    def readall(self) -> bytes:
        return bytes(self._seen("read", super().readall))

    def truncate(self, size: int | None = None) -> int:
        return int(self._seen("truncate", super().truncate, size))

    def _seen(self, function: str, real: Callable[..., Any], *args: Any) -> Any:
        if self.disk._looking_on:
            return real(*args)
        return self.disk.do(function, self.path, real, *args)


def _stacked(
    raw: _Raw, mode: str, buffering: int, encoding: str | None, errors: str | None,
    newline: str | None,
) -> Any:  # fmt: skip
    """The layers that ``open`` puts over a raw file."""
    if buffering == 0:
        return raw
    layers: dict[bool, Any] = {True: io.BufferedRandom, False: io.BufferedWriter}
    buffered = layers["+" in mode] if set(mode) & set("+wax") else io.BufferedReader
    file = buffered(raw, buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE)
    if "b" in mode:
        return file
    return io.TextIOWrapper(file, encoding, errors, newline, line_buffering=buffering == 1)


def _path_of(descriptor: int) -> str:
    try:
        return _readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def _can_change(function: str, args: tuple[Any, ...]) -> bool:
    if function != "open":
        return function in CHANGES
    how = args[3] if len(args) > 3 else args[1]  # the mode of a _Raw, or the flags of os.open
    if isinstance(how, str):
        return not set(how).isdisjoint("wax+")
    return bool(how & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _let_go(function: str, opened: Any) -> None:
    """Close what a call opened and its caller will never see."""
    if function == "open" and type(opened) is int:
        _close(opened)
    elif hasattr(opened, "close"):
        opened.close()
