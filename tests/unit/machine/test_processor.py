"""What is found out of the machine without loading the engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from modules.machine.processor import MemoryLimit, memory_free_mb, memory_limit, processor

TOTAL_MB = psutil.virtual_memory().total // 2**20
FREE_MB = 1000


def cpuinfo(folder: Path, vendor: str, flags: str) -> Path:
    path = folder / "cpuinfo"
    lines = f"vendor_id\t: {vendor}\nmodel name\t: A Processor\nflags\t\t: fpu {flags}\n"
    path.write_text(f"processor\t: 0\n{lines}\nprocessor\t: 1\n{lines}")
    return path


@pytest.mark.parametrize(
    ("vendor", "flags", "told"),
    [
        ("GenuineIntel", "avx avx2 avx512f avx512bw avx512_vnni amx_int8", "AVX-512 with AMX, MKL"),
        ("GenuineIntel", "avx avx2 avx512f avx512bw avx512_vnni", "AVX-512 with VNNI, MKL"),
        ("GenuineIntel", "avx avx2 avx_vnni", "AVX2 with VNNI, MKL"),
        ("AuthenticAMD", "sse4_1 avx avx2", "AVX2, oneDNN"),
        ("AuthenticAMD", "sse4_1 avx avx2 avx512f avx512bw", "AVX-512, oneDNN"),
        ("GenuineIntel", "sse4_1", "SSE4.1, MKL"),
        ("AuthenticAMD", "", "unknown, oneDNN"),
    ],
)
def test_what_a_processor_is_good_for(tmp_path: Path, vendor: str, flags: str, told: str) -> None:
    found = processor(cpuinfo(tmp_path, vendor, flags), {}, "x86_64")
    assert str(found) == f"A Processor, {told}"


@pytest.mark.parametrize(
    ("vendor", "asked", "library"),
    [("GenuineIntel", "0", "oneDNN"), ("AuthenticAMD", "1", "MKL"), ("GenuineIntel", "", "MKL")],
)
def test_ctranslate2_can_be_told_which_library_to_use(
    tmp_path: Path, vendor: str, asked: str, library: str
) -> None:
    path = cpuinfo(tmp_path, vendor, "avx2")
    assert processor(path, {"CT2_USE_MKL": asked}, "x86_64").library == library


def test_what_holds_it_to_less_is_told(tmp_path: Path) -> None:
    path = cpuinfo(tmp_path, "AuthenticAMD", "avx2 avx512f avx512bw")
    held = {"CT2_FORCE_CPU_ISA": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    told = "A Processor, AVX-512, oneDNN, CT2_FORCE_CPU_ISA=AVX2, ONEDNN_MAX_CPU_ISA=AVX2"
    assert str(processor(path, held, "x86_64")) == told
    assert processor(path, {"CT2_FORCE_CPU_ISA": ""}, "x86_64").held_by == ()


def test_what_a_machine_does_not_tell_is_unknown(tmp_path: Path) -> None:
    found = processor(tmp_path / "none", {}, "riscv64")
    assert (found.instruction_set, found.library) == ("unknown", "unknown")
    assert found.name
    assert processor(tmp_path / "none", {}, "x86_64").library == "unknown"


# --- memory -----------------------------------------------------------------------------------


def groups(folder: Path, of_process: str, limits: dict[str, str]) -> MemoryLimit:
    """The limit that a process in such groups has."""
    (folder / "cgroup").write_text(of_process)
    for name, limit in limits.items():
        path = folder / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")
    return memory_limit(folder / "cgroup", folder / "sys")


@pytest.mark.parametrize(
    ("of_process", "limits", "expected_mb"),
    [
        ("0::/", {"memory.max": "104857600"}, 100),
        ("0::/", {"memory.max": "max"}, None),
        ("0::/a.slice/b.service", {"a.slice/b.service/memory.max": "104857600"}, 100),
        ("0::/a.slice/b.service", {"a.slice/b.service/memory.max": "max",
                                   "a.slice/memory.max": "209715200"}, 200),
        ("0::/docker/1f", {"memory.max": "104857600"}, 100),
        ("4:memory:/job\n0::/", {"memory/job/memory.limit_in_bytes": "104857600"}, 100),
        ("4:cpu,memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("", {"memory/memory.limit_in_bytes": "104857600"}, 100),
        ("0::/../..", {"memory.max": "104857600"}, 100),
        ("nonsense", {}, None),
    ],
)  # fmt: skip
def test_the_least_limit_of_all_groups_counts(
    tmp_path: Path, of_process: str, limits: dict[str, str], expected_mb: int | None
) -> None:
    found = groups(tmp_path, of_process, limits)
    assert found.mb == (expected_mb or TOTAL_MB)
    assert ("container" in found.source) == (expected_mb is not None)


def test_a_machine_without_control_groups_has_its_memory(tmp_path: Path) -> None:
    assert memory_limit(tmp_path / "none", tmp_path) == MemoryLimit(TOTAL_MB, "This machine")


@pytest.mark.parametrize(
    ("of_process", "files", "expected_mb"),
    [
        ("0::/a", {"a/memory.max": "209715200", "a/memory.current": "157286400",
                   "a/memory.stat": "anon 1\ninactive_file 52428800"}, 100),
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "104857600",
                     "a/memory.current": "94371840"}, 10),
        ("4:memory:/a", {"memory/a/memory.limit_in_bytes": "209715200",
                         "memory/a/memory.usage_in_bytes": "104857600",
                         "memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 0"}, 100),
        ("0::/a", {"a/memory.max": "104857600", "a/memory.current": "115343360"}, 0),
        ("0::/a", {"a/memory.max": "max", "a/memory.current": "115343360"}, FREE_MB),
    ],
)  # fmt: skip
def test_what_is_free_is_what_the_groups_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_process: str, files: dict[str, str],
    expected_mb: int,
) -> None:  # fmt: skip
    free = SimpleNamespace(available=FREE_MB * 2**20, total=2 * FREE_MB * 2**20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    groups(tmp_path, of_process, files)
    assert memory_free_mb(tmp_path / "cgroup", tmp_path / "sys") == expected_mb
