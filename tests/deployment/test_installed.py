"""The wheel: what it puts where, and whether the installed copy works far from the checkout."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from modules import __version__
from setup import rewritten
from tests.daemon_process import MODELS, PROJECT, missing_weights

BUILD_S, COMMAND_S, TRANSCRIBE_S = 120.0, 60.0, 300.0
SAMPLE = PROJECT / "samples" / "please-hold-ru.wav"
#: What is built from; not the whole checkout, which holds an environment of several GB.
BUILT_FROM = ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE",
              "requirements.in", "transcriber.py")  # fmt: skip


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and an empty folder to start the command in."""

    python: Path
    packages: Path
    folder: Path

    def run(
        self, *arguments: str | Path, timeout_s: float = COMMAND_S, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return _run([self.python.parent / "audio-transcriber", *arguments], self.folder,
                    timeout_s, variables)  # fmt: skip


def _run(
    command: list[str | Path], folder: Path, timeout_s: float, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        command, cwd=folder, env={**kept, "LC_ALL": "C.UTF-8", **variables},
        capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built offline from a copy, so that no `build/` of an earlier day gets into it."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(
        PROJECT / "modules", source / "modules", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in BUILT_FROM:
        shutil.copy(PROJECT / name, source / name)
    built = _run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation",
         "--disable-pip-version-check", "--quiet", "--wheel-dir", source / "dist", source],
        source, BUILD_S, {},
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = (source / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    root = tmp_path_factory.mktemp("installed")
    venv.create(root / "venv", with_pip=False, symlinks=True)
    python = root / "venv" / "bin" / "python"
    put = _run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index",
         "--disable-pip-version-check", "--quiet", wheel],
        root, BUILD_S, {},
    )  # fmt: skip
    assert put.returncode == 0, put.stdout + put.stderr
    (packages,) = (root / "venv").glob("lib/python*/site-packages")
    # The packages that it needs are those of the tests' own environment.
    (packages / "needed.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    (root / "elsewhere").mkdir()
    return Installed(python, packages, root / "elsewhere")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"shared_directory: {tmp_path / 'shared'}\n"
        f"manual_directory: {tmp_path / 'manual'}\n"
        f"models_directory: {MODELS.resolve()}\n"
    )
    return path


# --- the names ----------------------------------------------------------------------------------


def test_it_takes_no_name_that_others_may_use(wheel: Path, installed: Installed) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops == {"audio_transcriber", f"audio_transcriber-{__version__}.dist-info"}
    assert not [*installed.packages.glob("modules*"), *installed.packages.glob("transcriber*")]


def test_every_module_is_there_and_none_imports_the_name_of_the_checkout(
    wheel: Path,
) -> None:
    source = PROJECT / "modules"
    expected = {f"audio_transcriber/{path.relative_to(source)}" for path in source.rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        texts = {name: archive.read(name).decode() for name in names if name.endswith(".py")}
    assert set(texts) == expected | {"audio_transcriber/__main__.py"}
    assert "audio_transcriber/locale/ru/LC_MESSAGES/transcriber.mo" in names
    assert "audio_transcriber/transcript/known_lines.tsv" in names
    importing = re.compile(r"^\s*(from|import)\s+modules\b", re.MULTILINE)
    assert [name for name, text in texts.items() if importing.search(text)] == []


def test_no_string_in_the_checkout_names_a_module() -> None:
    """Imports are rewritten, strings are not: those take the name from ``modules.PACKAGE``."""
    quoted = re.compile(r"[\"'][^\"'`]*\bmodules\.[a-z_]+")
    assert [
        f"{path.name}: {line.strip()}"
        for path in (PROJECT / "modules").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if quoted.search(line) and not line.lstrip().startswith(('"""', "``", "#"))
    ] == []


def test_imports_are_rewritten_wherever_they_are() -> None:
    text = "import modules.a.b\ndef f():\n    from modules import x\n    return 'modules'\n"
    assert rewritten(text, "f.py") == (
        "import audio_transcriber.a.b\n"
        "def f():\n    from audio_transcriber import x\n    return 'modules'\n"
    )
    assert rewritten("from modules_of import x\n", "f.py") == "from modules_of import x\n"


def test_another_use_of_the_name_stops_the_build() -> None:
    with pytest.raises(ValueError, match=r"f\.py:2: import from modules"):
        rewritten("import modules.a\nprint(modules.a)\n", "f.py")


# --- the installed copy -------------------------------------------------------------------------


def test_the_command_tells_the_version(installed: Installed) -> None:
    assert installed.run("--version").stdout == f"audio-transcriber {__version__}\n"
    module = [installed.python, "-m", "audio_transcriber", "--version"]
    told = _run(module, installed.folder, COMMAND_S, {})
    assert told.stdout == f"audio-transcriber {__version__}\n"


def test_it_speaks_russian_where_the_user_does(installed: Installed) -> None:
    assert "показать версию" in installed.run("--help", LC_ALL="ru_RU.UTF-8").stdout.lower()


def test_without_a_configuration_it_says_so_and_makes_nothing(installed: Installed) -> None:
    told = installed.run("run")
    assert told.returncode == 78
    assert "name one with --config or CONFIG_PATH" in told.stdout + told.stderr
    assert list(installed.folder.iterdir()) == []
    assert "--config" in installed.run("doctor").stdout


def test_doctor_looks_at_everything(installed: Installed, config: Path) -> None:
    for folder in ("shared", "manual"):
        (config.parent / folder).mkdir()
    told = installed.run("--config", config, "doctor", timeout_s=TRANSCRIBE_S)
    assert "valid" in told.stdout
    assert re.search(r"\d+ problems?|no problems?", told.stdout.lower()), told.stdout + told.stderr
    assert "Traceback" not in told.stderr


def test_it_transcribes_far_from_the_checkout(
    installed: Installed, config: Path, tmp_path: Path
) -> None:
    reason = missing_weights()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    recording = shutil.copy(SAMPLE, tmp_path / "hold.wav")
    told = installed.run("--config", config, "transcribe", recording, "--language", "ru",
                         timeout_s=TRANSCRIBE_S)  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert len((tmp_path / "hold.txt").read_text("utf-8").split()) > 3
    assert list(installed.folder.iterdir()) == []
