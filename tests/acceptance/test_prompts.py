"""Forty prompts of human speech, copied in all at once."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from tests.acceptance.recordings import SAMPLES
from tests.acceptance.scores import total_word_error_rate
from tests.daemon_process import DaemonProcess, text_of
from tests.speech import Language, asterisk_prompts, require_speech, word_error_rate

pytestmark = pytest.mark.acceptance

PROMPTS = 40
MOST_WRONG = 0.20
#: For each; one takes about two seconds on two quiet cores.
PROMPT_S = 15
NO_NETWORK = ("unshare", "--map-root-user", "--net")


@pytest.fixture(scope="module")
def english(weights: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A warm daemon set to English, which has no network where this machine allows to take it."""
    root = tmp_path_factory.mktemp("english")
    prefix = NO_NETWORK if can_take_the_network() else ()
    with DaemonProcess(root, {"whisperx": {"language": "en"}}, prefix) as daemon:
        daemon.wait_until_warm()
        yield daemon


def can_take_the_network() -> bool:
    """Whether a process may be started without a network here."""
    if shutil.which(NO_NETWORK[0]) is None:
        return False
    return subprocess.run([*NO_NETWORK, "true"], capture_output=True, check=False).returncode == 0


def test_forty_russian_prompts_end_with_a_result(russian: DaemonProcess) -> None:
    _check_prompts(russian, "ru")


def test_forty_english_prompts_end_with_a_result(english: DaemonProcess) -> None:
    _check_prompts(english, "en")


def _check_prompts(daemon: DaemonProcess, language: Language) -> None:
    require_speech()
    clips = {f"{i:02}-{c.path.name}": c for i, c in enumerate(asterisk_prompts(language, PROMPTS))}
    for name, clip in clips.items():
        daemon.put(clip.path, name)
    daemon.wait_for(
        lambda: all(daemon.result(name) for name in clips) or None,
        f"{PROMPTS} results",
        PROMPTS * PROMPT_S,
    )
    daemon.wait_for(
        lambda: not daemon.files("*.in_progress") or None, "the last .in_progress went", 10
    )
    heard = {name: daemon.wait_for_result(name) for name in clips}
    wrong = total_word_error_rate((clips[name].text, text_of(heard[name])) for name in clips)
    print(f"{language}: word error rate {wrong:.1%} over {PROMPTS} prompts")
    assert wrong <= MOST_WRONG
    assert not list(daemon.manual.iterdir())
    assert daemon.files(".*") == set(), "checkpoints or temporary files were left over"


def test_nothing_needs_a_network(english: DaemonProcess) -> None:
    name = english.put(SAMPLES / "please-hold-en.flac")
    said = (SAMPLES / "please-hold-en.txt").read_text(encoding="utf-8")
    assert word_error_rate(said, text_of(english.wait_for_result(name))) <= 0.1
    worker = english.worker_pid()
    assert worker is not None
    if can_take_the_network():
        with open(f"/proc/{worker}/net/dev", encoding="ascii") as file:
            interfaces = [line.split(":")[0].strip() for line in file if ":" in line]
        assert interfaces == ["lo"], "the worker was meant to run without a network"
    else:
        assert psutil.Process(worker).net_connections(kind="inet") == []
