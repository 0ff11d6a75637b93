"""Completion in real shells; where zsh or fish is not installed, its tests are skipped."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60.0

#: Completes the words given, the last of which is being typed, and prints what is offered.
COMPLETE = """
eval "$SCRIPT"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
[[ "$(complete -p transcriber)" =~ -F\\ ([^ ]+) ]] && function=${BASH_REMATCH[1]}
compopt() { :; }
"$function" 2>&1
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("completion")
    for folder in ("it's shared", "manual"):
        (root / folder).mkdir()
    for name in ("talk.mp3", "my long talk.mp3", "запись.MP4", "talk.txt", "talk.mp3.result"):
        (root / "it's shared" / name).touch()
    (root / "manual" / "tbad.wav").touch()
    tree = {"shared_directory": str(root / "it's shared"), "manual_directory": str(root / "manual")}
    (root / "config.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    (root / "beside").mkdir()
    (root / "beside" / "there.mp3").touch()
    return root


def script(root: Path, shell: str) -> str:
    command = [sys.executable, str(PROJECT / "transcriber.py"), "--config"]
    done = subprocess.run(
        [*command, str(root / "config.yaml"), "completion", shell],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def in_bash(root: Path) -> str:
    return script(root, "bash")


def offered(root: Path, text: str, *words: str) -> set[str]:
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE, "bash", "transcriber", *words],
        env={"SCRIPT": text, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        cwd=root / "beside",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return set(done.stdout.splitlines()) - {""}


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (("",), {"run", "queue", "retry", "delete", "completion", "doctor"}),
        (("st",), {"status"}),
        (("status", "--"), {"--watch", "--json", "--interval", "--help"}),
        (("delete", "-"), {"--yes", "-y"}),
        (("completion", ""), {"bash", "zsh", "fish"}),
        (("submit", "t"), {"talk.mp3", "there.mp3"}),
        (("submit", "my"), {"my long talk.mp3"}),
        (("submit", "my\\ l"), {"my long talk.mp3"}),
        (("submit", "за"), {"запись.MP4"}),
        (("retry", "t"), {"tbad.wav", "there.mp3"}),
        (("delete", "--yes", "t"), {"talk.mp3", "tbad.wav", "there.mp3"}),
        (("transcribe", "t"), {"there.mp3"}),
    ],
)
def test_bash_offers_what_fits(
    root: Path, in_bash: str, words: tuple[str, ...], some: set[str]
) -> None:
    found = offered(root, in_bash, *words)
    assert some <= found
    if not words[-1].startswith("-") and words[-1]:
        assert found == some


def test_the_script_makes_a_command_of_the_program(root: Path, in_bash: str) -> None:
    done = subprocess.run(
        ["bash", "--norc", "-c", 'eval "$SCRIPT"; transcriber --version'],
        env={"SCRIPT": in_bash, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert done.stdout.startswith("audio-transcriber ")


def test_a_wrong_configuration_costs_the_names_alone(root: Path) -> None:
    broken = root / "broken"
    broken.mkdir()
    (broken / "config.yaml").write_text("nonsense: 1\n")
    text = script(broken, "bash")
    assert offered(root, text, "sub") == {"submit"}
    assert offered(root, text, "submit", "t") == {"there.mp3"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_can_read_its_script(root: Path, shell: str) -> None:
    text = script(root, shell)
    assert "my long talk" not in text  # names are looked up when they are asked for
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, "-n"], input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


#: A zsh in a terminal of its own, which is asked to list what it would offer.
ZSH = """
zmodload zsh/zpty || exit 9
zpty z zsh -f -i
zpty -w z 'PS1=""; LISTMAX=1000; autoload -U compinit; compinit -u -D; eval "$SCRIPT"; echo REA''DY'
zpty -r -m z seen '*READY*'
zpty -w -n z $'transcriber '"$1"$'\\t'
for n in {1..100}; do
  while zpty -r -t z more; do seen+=$more; done
  [[ "$seen" == *$2* ]] && { print -r -- found; exit 0 }
  sleep 0.1
done
print -r -- "$seen"
"""


@pytest.mark.parametrize(
    ("line", "found"),
    [("sta", "status"), ("retry tb", "tbad.wav"), ("submit my", "talk.mp3"), ("delete tb", "tbad")],
)
def test_zsh_completes_commands_and_names(root: Path, line: str, found: str) -> None:
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("zsh is not installed")
    done = subprocess.run(
        [zsh, "-f", "-c", ZSH, "zsh", line, found],
        env={"SCRIPT": script(root, "zsh"), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8",
             "TERM": "xterm", "HOME": str(root), "ZDOTDIR": str(root)},
        cwd=root / "beside",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    assert done.stdout == "found\n", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("line", "found"),
    [("sta", "status"), ("retry tb", "tbad.wav"), ("submit my", "my long talk.mp3")],
)
def test_fish_completes_commands_and_names(root: Path, line: str, found: str) -> None:
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("fish is not installed")
    done = subprocess.run(
        [fish, "--no-config", "-c", 'printf %s "$SCRIPT" | source; complete -C $argv[1]',
         f"transcriber {line}"],
        env={"SCRIPT": script(root, "fish"), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8",
             "HOME": str(root)},
        cwd=root / "beside",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert found in [each.partition("\t")[0] for each in done.stdout.splitlines()]
