"""Checks of what was installed: Python, the packages and the files inside them."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from gettext import gettext as _
from gettext import ngettext
from importlib import metadata
from pathlib import Path

from modules import PROJECT_ROOT
from modules.cli.doctor.findings import Finding, install_again, ok, problem, warning

_LOCK = PROJECT_ROOT / "requirements.lock"
_PYTHON = ((3, 11), (3, 13))
#: The names under which the packages of ``requirements.in`` are imported.
_NEEDED = (
    "whisperx", "torch", "torchaudio", "av", "ctranslate2", "faster_whisper", "openvino",
    "watchdog", "yaml", "psutil", "filelock", "pydantic", "flask", "waitress", "rich", "pysubs2",
    "shtab",
)  # fmt: skip
#: A few names are enough to see what is amiss.
_NAMED = 5


def check_python() -> Iterator[Finding]:
    version = sys.version.split()[0]
    if _PYTHON[0] <= sys.version_info[:2] <= _PYTHON[1]:
        yield ok(_("Python"), f"{version} ({sys.executable})")
    else:
        seen = _("{version} is not 3.11, 3.12 or 3.13").format(version=version)
        yield problem(_("Python"), seen, _("Install one of those."))


def check_packages(lock: Path = _LOCK) -> Iterator[Finding]:
    """Every needed package can be found; the versions are those of the lock, where it is there."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        seen = _("not installed: {packages}").format(packages=", ".join(missing))
        yield problem(_("packages"), seen, install_again())
    if not lock.is_file():
        if not missing:
            seen = _("all that are needed are here; no requirements.lock to compare")
            yield ok(_("packages"), seen)
        return
    locked = locked_versions(lock.read_text(encoding="utf-8"))
    differing = [line for name, version in locked.items() if (line := _difference(name, version))]
    if differing:
        shown = ", ".join(differing[:_NAMED])
        if (more := len(differing) - _NAMED) > 0:
            shown += " " + ngettext("and {n} more", "and {n} more", more).format(n=more)
        seen = _("not as in requirements.lock: {packages}").format(packages=shown)
        yield warning(_("packages"), seen, install_again())
    elif not missing:
        seen = _("{n} are here, with the versions of requirements.lock").format(n=len(locked))
        yield ok(_("packages"), seen)


def locked_versions(text: str) -> dict[str, str]:
    """The versions that every machine gets; lines for some machines only are left out."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)(?= \\$|$)", text, re.MULTILINE))


def _difference(name: str, version: str) -> str | None:
    try:
        # What follows a plus sign names a build of the same version, such as 2.8.0+cpu.
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return _("{name} is not installed").format(name=name)
    same = installed.partition("+")[0] == version.partition("+")[0]
    message = _("{name} {installed} instead of {version}")
    return None if same else message.format(name=name, installed=installed, version=version)


def check_assets(vad_method: str | None) -> Iterator[Finding]:
    """The small models that come inside packages. ``vad_method``: as configured, if it is known."""
    yield _asset("silero", "faster_whisper", "silero*.onnx", vad_method in ("silero", None))
    yield _asset("pyannote", "whisperx", "pytorch_model.bin", vad_method == "pyannote")
    mel = _asset(_("mel filters"), "whisperx", "mel_filters.npz", needed=True)
    if mel.remedy:
        yield mel


def _asset(subject: str, package: str, pattern: str, needed: bool) -> Finding:
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for place in places for path in Path(place, "assets").glob(pattern)]
    if found and found[0].stat().st_size > 0:
        seen = _("{file} is inside the package {package}")
        return ok(subject, seen.format(file=found[0].name, package=package))
    remedy = _("Install {package} anew: `pip install --force-reinstall {package}`.")
    remedy = remedy.format(package=package)
    seen = _("{file} is not inside the package {package}").format(file=pattern, package=package)
    return problem(subject, seen, remedy) if needed else warning(subject, seen, remedy)
