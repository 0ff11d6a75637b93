"""The files of the page: those of others are unchanged, and both languages say the same."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

WEB = Path(__file__).resolve().parents[3] / "modules" / "web"
VENDOR = WEB / "static" / "vendor"
#: Everything that a first visit loads, compressed.
MOST_BYTES = 120_000


def test_vendored_files_are_as_they_were_published() -> None:
    known = json.loads((VENDOR / "vendor.json").read_text())
    listed = {
        f"{package}/{name}": digest
        for package, facts in known.items()
        for name, digest in facts["sha256"].items()
    }
    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.json"
    }
    assert found == listed
    assert all(any("LICENSE" in name for name in facts["sha256"]) for facts in known.values())


def test_no_file_names_another_host() -> None:
    for path in [*WEB.glob("static/*"), *WEB.glob("templates/*")]:
        if path.is_file():
            named = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text("utf-8")))
            assert named <= {"http://www.w3.org/2000/svg"}, path


def test_a_first_visit_is_light() -> None:
    files = [path for path in WEB.rglob("*") if path.suffix in {".js", ".css", ".svg", ".html"}]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < MOST_BYTES


def test_both_languages_say_everything_and_nothing_is_left_over() -> None:
    text = (WEB / "static" / "words.js").read_text("utf-8")
    english, russian = (
        set(re.findall(r"(?:^|[{,]\s*|\n\s*)(\w+): [\"{\[]", part.partition("\n};")[0]))
        for part in (text.partition("const EN = {")[2], text.partition("const RU = {")[2])
    )
    forms = {"one", "few", "many", "other"}
    assert english - forms == russian - forms
    rest = "".join(path.read_text("utf-8") for path in (WEB / "static").glob("*.js")).replace(
        text.partition("const ALL")[0], ""
    )
    unused = {key for key in english - forms if f'"{key}"' not in rest}
    assert not unused, unused
