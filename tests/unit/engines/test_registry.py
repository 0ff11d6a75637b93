"""The registry imports an engine when it is asked for, and says what is wrong if it cannot."""

from __future__ import annotations

import subprocess
import sys

import pytest

from modules.engines.registry import DEFAULT, ENGINES, Entry, engine_class
from modules.errors import ModelError
from tests.daemon_process import PROJECT


def test_the_default_is_one_of_them() -> None:
    assert DEFAULT in ENGINES


def test_an_unknown_name_is_refused_with_the_names_that_there_are() -> None:
    entries = {"one": Entry("nowhere", "One"), "two": Entry("nowhere", "Two")}
    with pytest.raises(ModelError, match="no engine called three") as caught:
        engine_class("three", entries)
    assert "one, two" in str(caught.value.remedy)


def test_packages_that_are_missing_are_named() -> None:
    entries = {"one": Entry("nowhere", "One", packages=("pytest", "no_such_package"))}
    with pytest.raises(ModelError, match="not installed: no_such_package"):
        engine_class("one", entries)


def test_nothing_is_imported_before_an_engine_is_asked_for() -> None:
    code = (
        "import sys, modules.engines.registry\n"
        "print([m for m in ('ctranslate2', 'faster_whisper', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
