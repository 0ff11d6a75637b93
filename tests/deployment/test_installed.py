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
from tests.builders import until
from tests.daemon_process import MODELS, PROJECT, missing_weights

BUILD_S, COMMAND_S, TRANSCRIBE_S = 120.0, 60.0, 300.0
SAMPLE = PROJECT / "samples" / "please-hold-ru.wav"
#: What is built from; not the whole checkout, which holds an environment of several GB.
BUILT_FROM = ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE",
              "requirements.in", "transcriber.py", "config.yaml")  # fmt: skip


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
    return subprocess.run(
        command, cwd=folder, env={**_environment(), **variables},
        capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**kept, "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that no `build/` of an earlier day gets into what is built."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(
        PROJECT / "modules", source / "modules", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in BUILT_FROM:
        shutil.copy(PROJECT / name, source / name)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    return _wheel_of(source)


@pytest.fixture(scope="module")
def sdist(source: Path) -> Path:
    """The source distribution, as every build front end asks setuptools for it."""
    asked = "from setuptools import build_meta; build_meta.build_sdist('sdist')"
    (source / "sdist").mkdir()
    built = _run([sys.executable, "-c", asked], source, BUILD_S, {})
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = (source / "sdist").glob("*.tar.gz")
    return found


def _wheel_of(source: Path) -> Path:
    """Built offline from a folder or an archive."""
    folder = source if source.is_dir() else source.parent
    built = _run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation",
         "--disable-pip-version-check", "--quiet", "--wheel-dir", folder / "dist", source],
        folder, BUILD_S, {},
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = (folder / "dist").glob("*.whl")
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


def test_the_source_distribution_builds_the_same_wheel(wheel: Path, sdist: Path) -> None:
    assert sdist.name == f"audio_transcriber-{__version__}.tar.gz"
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(_wheel_of(sdist)) as second:
        files = {entry.filename: entry.CRC for entry in first.infolist()}
        assert {entry.filename: entry.CRC for entry in second.infolist()} == files


def test_the_wheel_asks_for_what_the_program_needs(wheel: Path) -> None:
    """The lines of ``requirements.in``, so that pip, pipx and uvx install all of it."""
    with zipfile.ZipFile(wheel) as archive:
        told = archive.read(f"audio_transcriber-{__version__}.dist-info/METADATA").decode()
    lines = (PROJECT / "requirements.in").read_text("utf-8").splitlines()
    wanted = [found[0] for line in lines if (found := re.match(r"[A-Za-z0-9_.-]+", line))]
    assert re.findall(r"(?m)^Requires-Dist: ([A-Za-z0-9_.-]+)", told) == wanted


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


def test_it_calls_itself_what_a_user_types(installed: Installed) -> None:
    for words in (["--help"], ["submit", "--help"], ["redo", "--help"], ["models", "--help"]):
        told = installed.run(*words).stdout
        assert told.startswith("usage: audio-transcriber ")
        assert "transcriber.py" not in told


# --- the folders of the user --------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An empty home folder, as variables."""
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "",
            "XDG_CACHE_HOME": "", "HF_HOME": "", "HF_HUB_CACHE": ""}  # fmt: skip


def test_it_says_where_everything_is_and_makes_nothing(
    installed: Installed, home: dict[str, str]
) -> None:
    config = f"{home['HOME']}/.config/audio-transcriber/config.yaml"
    data = f"{home['HOME']}/.local/share/audio-transcriber"
    told = installed.run("--help", **home).stdout
    assert config in told
    assert data in told
    told = installed.run("config", **home).stdout
    assert f"configuration: {config} is not there, so the defaults hold" in told
    assert f"recordings:    {data}/shared\n" in told
    told = installed.run("doctor", timeout_s=TRANSCRIBE_S, **home).stdout
    assert f"there is no {config}; the defaults hold" in told
    assert "`audio-transcriber config --write` writes one" in told
    assert f"{data}/shared is not there; the service will create it" in told
    assert "transcriber.py" not in told.replace("audio_transcriber.py", "")
    assert list(installed.folder.iterdir()) == []
    assert [str(p) for p in Path(home["HOME"]).rglob("*") if "audio-transcriber" in str(p)] == []


def test_it_says_how_to_get_weights_that_are_missing(
    installed: Installed, home: dict[str, str]
) -> None:
    told = installed.run("doctor", timeout_s=TRANSCRIBE_S, WHISPERX_MODEL_SIZE="small", **home)
    assert told.returncode == 1
    line = re.search(r"(?m)^problem +model .*$", told.stdout)
    assert line, told.stdout
    assert "small is not on this machine. – Run `audio-transcriber models get small`. " in line[0]
    told = installed.run("models", WHISPERX_MODEL_SIZE="small", **home)
    assert "`audio-transcriber models get small`" in told.stdout
    asked = installed.run("run", WHISPERX_MODEL_SIZE="small", **home)
    assert asked.returncode == 69
    assert "Run `audio-transcriber models get small`. " in asked.stderr


def test_a_commented_configuration_is_written_once(
    installed: Installed, home: dict[str, str]
) -> None:
    file = Path(home["HOME"], ".config/audio-transcriber/config.yaml")
    assert str(file) in installed.run("config", "--write", **home).stdout
    text = file.read_text("utf-8")
    data = f"{home['HOME']}/.local/share/audio-transcriber"
    assert f"# Relative paths count from {data}.\n# The names in brackets are" in text
    assert "$schema" not in text
    assert f"configuration: {file}\n" in installed.run("config", **home).stdout
    file.write_text("api: {port: 9}\n")
    refused = installed.run("config", "--write", **home)
    assert refused.returncode == 1
    assert "is there already" in refused.stderr
    assert "`audio-transcriber --config FILE config --write`" in refused.stderr
    assert file.read_text() == "api: {port: 9}\n"


def test_run_makes_what_is_missing_and_says_so(installed: Installed, home: dict[str, str]) -> None:
    """With nothing but an empty home folder and the weights, it serves."""
    reason = missing_weights()
    if reason:
        pytest.skip(reason)
    data = Path(home["HOME"], ".local/share/audio-transcriber")
    data.mkdir(parents=True)
    (data / "models").symlink_to(MODELS.resolve())
    log = installed.folder.parent / "run.log"
    with log.open("wb") as out:
        running = subprocess.Popen(
            [installed.python.parent / "audio-transcriber", "run"], cwd=installed.folder,
            env={**_environment(), **home, "API_PORT": "0"}, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        until(lambda: f"Watching {data}/shared" in log.read_text(), "it watches", COMMAND_S)
    finally:
        running.terminate()
        assert running.wait(COMMAND_S) == 0
    told = log.read_text()
    assert "config.yaml, so the defaults hold; 'audio-transcriber config --write'" in told
    assert f"{data}/shared is not there and is created" in told
    assert (data / "shared").is_dir()
    assert (data / "manual").is_dir()
    assert list(installed.folder.iterdir()) == []


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
