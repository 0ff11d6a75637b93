"""What this machine computes with, and how much memory this program may take of it.

CTranslate2 chooses its matrix library by the processor: MKL on Intel's, oneDNN on AMD's. The daemon
must not load it, so its choice is read from the same places. Sources: CTranslate2's
``CT2_USE_MKL``, ``cpuid``'s flags as Linux shows them, proc_pid_cgroup(5), cgroups(7).
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_CPUINFO = Path("/proc/cpuinfo")
_CGROUP = Path("/proc/self/cgroup")
_CGROUP_ROOT = Path("/sys/fs/cgroup")

#: The flags of each instruction set, the best first; one of them is what the libraries use.
_INSTRUCTION_SETS: tuple[tuple[str, frozenset[str]], ...] = (
    ("AVX-512 with AMX", frozenset({"avx512f", "avx512bw", "amx_int8"})),
    ("AVX-512 with VNNI", frozenset({"avx512f", "avx512bw", "avx512_vnni"})),
    ("AVX-512", frozenset({"avx512f", "avx512bw"})),
    ("AVX2 with VNNI", frozenset({"avx2", "avx_vnni"})),
    ("AVX2", frozenset({"avx2"})),
    ("AVX", frozenset({"avx"})),
    ("SSE4.1", frozenset({"sse4_1"})),
    ("NEON", frozenset({"asimd"})),
)
#: Variables that hold CTranslate2 and OpenVINO to an older instruction set than the processor has.
_HOLDING = ("CT2_FORCE_CPU_ISA", "ONEDNN_MAX_CPU_ISA")
_TRUE = frozenset({"1", "true", "TRUE"})


@dataclass(frozen=True)
class Processor:
    """``library``: what CTranslate2 multiplies matrices with on it. ``held_by``: the variables that
    forbid what it could do, such as ``CT2_FORCE_CPU_ISA=AVX2``."""

    name: str
    instruction_set: str
    library: str
    held_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join([self.name, self.instruction_set, self.library, *self.held_by])


@dataclass(frozen=True)
class MemoryLimit:
    """How much memory this process may take, and who says so."""

    mb: int
    source: str


def processor(
    cpuinfo: Path = _CPUINFO, environ: Mapping[str, str] | None = None, machine: str = ""
) -> Processor:
    """This machine's; what is not known is "unknown"."""
    machine = machine or platform.machine()
    environ = os.environ if environ is None else environ
    facts = _facts(cpuinfo)
    flags = frozenset((facts.get("flags") or facts.get("Features") or "").split())
    best = next((name for name, needed in _INSTRUCTION_SETS if needed <= flags), "unknown")
    return Processor(
        name=facts.get("model name") or platform.processor() or machine or "unknown",
        instruction_set=best,
        library=_library(machine, facts, environ),
        held_by=tuple(f"{name}={environ[name]}" for name in _HOLDING if environ.get(name)),
    )


def _facts(cpuinfo: Path) -> dict[str, str]:
    """What Linux says of the first processor."""
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    except OSError:
        return {}
    lines = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _library(machine: str, facts: Mapping[str, str], environ: Mapping[str, str]) -> str:
    if machine not in ("x86_64", "AMD64"):
        return "OpenBLAS and Ruy" if machine in ("aarch64", "arm64") else "unknown"
    asked, vendor = environ.get("CT2_USE_MKL"), facts.get("vendor_id")
    if not (asked or vendor):
        return "unknown"
    return "MKL" if (asked in _TRUE if asked else vendor == "GenuineIntel") else "oneDNN"


def memory_limit(cgroup: Path = _CGROUP, root: Path = _CGROUP_ROOT) -> MemoryLimit:
    """The least of what the machine has and what each control group around us allows."""
    machine_mb = psutil.virtual_memory().total // 2**20
    limits = [limit // 2**20 for path in _limits(cgroup, root) if (limit := number_in(path))]
    least = min(limits, default=machine_mb)
    if least < machine_mb:
        return MemoryLimit(least, "The limit of the container or service")
    return MemoryLimit(machine_mb, "This machine")


def memory_free_mb(cgroup: Path = _CGROUP, root: Path = _CGROUP_ROOT) -> int:
    """What is still free of the machine, and of what each control group around us allows."""
    free = [psutil.virtual_memory().available]
    for path in _limits(cgroup, root):
        if limit := number_in(path):
            free.append(max(0, limit - _used(path)))
    return min(free) // 2**20


def _used(limit: Path) -> int:
    """What the group with this limit holds in bytes, without files that are only kept for speed."""
    is_new = limit.name == "memory.max"
    used = number_in(limit.with_name("memory.current" if is_new else "memory.usage_in_bytes"))
    name = "inactive_file" if is_new else "total_inactive_file"
    try:
        lines = limit.with_name("memory.stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    facts = dict(line.split(" ", 1) for line in lines if " " in line)
    return max(0, (used or 0) - int(facts.get(name, 0)))


def _limits(cgroup: Path, root: Path) -> Iterator[Path]:
    """The files that may hold a limit, of both versions of control groups.

    A container sees its own group as the root of them, whatever its path is called outside.
    """
    try:
        lines = cgroup.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in [*lines, "0::/", "0:memory:/"]:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            mount, name = root, "memory.max"
        elif "memory" in controllers.split(","):
            mount, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = mount / path.lstrip("/")
        for folder in (group, *group.parents):
            yield folder / name
            if folder == mount:
                break


def number_in(path: Path) -> int | None:
    """The number in a file of the kernel's; None where there is none, as in ``max``."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
