"""Human speech with its text, for tests and benchmarks, from Debian's packages.

Nothing is installed and nobody needs to be root: the packages are downloaded into
``.cache/speech/``, compared with the checksums below and unpacked there. Later runs use what lies
there. A ``.deb`` put into that folder by hand is used as well, if its checksum is right.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import unicodedata
import wave
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import av
import jiwer
import pytest
from filelock import FileLock

Language = Literal["ru", "en"]
T = TypeVar("T")

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "speech"
RATE_HZ = 16_000
MIN_WORDS = 4
DURATION_S = (2.0, 15.0)
G722_BYTES_PER_S = 8_000
DOWNLOAD_TIMEOUT_S = 900
UNPACK_TIMEOUT_S = 300


class SpeechUnavailableError(RuntimeError):
    """The packages cannot be had on this machine; the message says why."""


@dataclass(frozen=True)
class Clip:
    """A recording and exactly what is said in it."""

    path: Path
    text: str
    duration_s: float


@dataclass(frozen=True)
class Phone:
    """One sound as festvox-ru labels it, or the silence ``pau``; seconds from the start."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Package:
    """A Debian package of exactly one version and content."""

    name: str
    version: str
    sha256: str


_PROMPTS_VERSION = "1.6.1-1"
TEXTS = {
    "ru": Package(
        "asterisk-core-sounds-ru",
        _PROMPTS_VERSION,
        "28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab",
    ),
    "en": Package(
        "asterisk-core-sounds-en",
        _PROMPTS_VERSION,
        "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
    ),
}
NARROWBAND = {
    "ru": Package(
        "asterisk-core-sounds-ru-wav",
        _PROMPTS_VERSION,
        "ccbfaebfa450b7a9ddf644ae0f3d1e9017d5df7c0aebe816e946345589d38201",
    ),
    "en": Package(
        "asterisk-core-sounds-en-wav",
        _PROMPTS_VERSION,
        "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d",
    ),
}
WIDEBAND = {
    "ru": Package(
        "asterisk-core-sounds-ru-g722",
        _PROMPTS_VERSION,
        "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
    ),
    "en": Package(
        "asterisk-core-sounds-en-g722",
        _PROMPTS_VERSION,
        "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
    ),
}
FESTVOX_RU = Package(
    "festvox-ru",
    "0.5+dfsg-6",
    "21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4",
)
_VOICES = {"ru": "ru_RU_f_IvrvoiceRU", "en": "en_US_f_Allison"}

# Letters of the language and plain punctuation only: a digit, a Latin word in Russian or a
# [description of a sound] would make the reference something else than what is heard.
_SPOKEN = {
    "ru": re.compile(r"[А-Яа-яЁё\s.,;:!?…«»\"–—-]+"),
    "en": re.compile(r"[A-Za-z\s.,;:!?…'\"–—-]+"),
}

# Misprints of the listings; the speakers say what is right.
_MISPRINTS = (
    ("чтобы бы ", "чтобы "),
    ("что бы ", "чтобы "),
    ("Что бы ", "Чтобы "),
    ("represenatives", "representatives"),
)


# --- what tests call -----------------------------------------------------------------------------


@functools.cache
def unavailable() -> str | None:
    """Why speech cannot be fetched here, or None; finding out downloads the smallest package."""
    try:
        _unpacked(TEXTS["ru"])
    except SpeechUnavailableError as error:
        return str(error)
    return None


def require_speech() -> None:
    """Skip the running test where speech cannot be had, with the reason; under CI, fail it."""
    reason = unavailable()
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"human speech is needed here: {reason}")
    pytest.skip(reason)


def asterisk_prompts(
    language: Language, count: int | None = None, *, wideband: bool = False
) -> list[Clip]:
    """``count`` telephone prompts read by one professional speaker, sorted by name.

    They are spread evenly over those that qualify, so that the same ones come every time; without
    a count all of them. 8 kHz wav as on a telephone line, or 16 kHz with ``wideband``.
    """
    texts = _prompt_texts(language)
    folder = _voice_folder(WIDEBAND if wideband else NARROWBAND, language)
    suffix = ".g722" if wideband else ".wav"
    found: list[tuple[str, Path, float]] = []
    for name in sorted(texts):
        path = folder / f"{name}{suffix}"
        if path.is_file() and DURATION_S[0] <= (duration_s := _duration_s(path)) <= DURATION_S[1]:
            found.append((name, path, duration_s))
    chosen = spread(found, len(found) if count is None else count)
    if wideband:
        chosen = [(name, _decoded(path, language, name), s) for name, path, s in chosen]
    return [Clip(path, texts[name], duration_s) for name, path, duration_s in chosen]


def asterisk_prompt(language: Language, name: str) -> Clip:
    """The 16 kHz prompt of that name, such as ``queue-youarenext``; KeyError if none qualifies."""
    text = _prompt_texts(language)[name]
    path = _voice_folder(WIDEBAND, language) / f"{name}.g722"
    return Clip(_decoded(path, language, name), text, _duration_s(path))


def festvox_russian() -> list[Clip]:
    """620 sentences of Russian prose read by one man, 16 kHz wav, about 100 minutes together."""
    root = _unpacked(FESTVOX_RU) / "usr/share/festival/voices/russian/msu_ru_nsh_clunits"
    sentences = parse_festvox((root / "etc/txt.done.data").read_text(encoding="utf-8"))
    paths = {name: root / "wav" / f"{name}.wav" for name in sentences}
    return [Clip(paths[name], text, _duration_s(paths[name])) for name, text in sentences.items()]


def festvox_phones(clip: Clip) -> list[Phone]:
    """The sounds of one of ``festvox_russian``'s clips, with times found by its makers."""
    labels = clip.path.parent.parent / "lab" / f"{clip.path.stem}.lab"
    return parse_labels(labels.read_text(encoding="utf-8"))


def joined(clips: Sequence[Clip], seconds: float, gap_s: float = 0.5) -> Clip:
    """One 16 kHz mono wav of about that length: the clips in order, from the start when used up.

    No clip is cut, so the text is exact; the length is off by half a clip at most, or one clip
    long. The file is kept under a name made from the content, and made only once.
    """
    if not clips:
        raise ValueError("there is nothing to join")
    key = hashlib.sha256(f"{seconds} {gap_s}".encode())
    for clip in clips:
        key.update(clip.text.encode())
        key.update(hashlib.sha256(clip.path.read_bytes()).digest())
    target = CACHE / "joined" / f"{key.hexdigest()[:24]}.wav"
    plan = _plan(clips, seconds, gap_s)
    if not target.is_file():
        _write_wav(target, _with_gaps(plan, gap_s))
    return Clip(target, " ".join(clip.text for clip in plan), _duration_s(target))


def placed(clips: Sequence[Clip], seconds: float, gap_s: float = 0.5) -> list[tuple[float, Clip]]:
    """The parts of what ``joined`` makes of the same arguments, each with its start in seconds."""
    parts: list[tuple[float, Clip]] = []
    start_s = 0.0
    for clip in _plan(clips, seconds, gap_s):
        parts.append((start_s, clip))
        start_s += (len(_samples(clip.path)) // 2 + round(gap_s * RATE_HZ)) / RATE_HZ
    return parts


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Wrong, missing and extra words for each word of the reference, both normalised alike."""
    expected = normalised(reference)
    if not expected:
        raise ValueError("the reference has no words")
    return float(jiwer.wer(expected, normalised(hypothesis)))


def normalised(text: str) -> str:
    """Lower-case words with one space between: no punctuation, no stress marks, ё as е.

    Hyphens part words; apostrophes do not. Digits stay digits, so compare texts without them.
    """
    text = unicodedata.normalize("NFKC", text.replace("\u0301", "")).lower().replace("ё", "е")
    text = re.sub(r"['\u2019\u02bc]", "", text)
    return " ".join(re.sub(r"[\W_]+", " ", text).split())


# --- texts ---------------------------------------------------------------------------------------


def parse_prompts(listing: str, language: Language) -> dict[str, str]:
    """Names and texts of the prompts whose text is plain speech of at least four words."""
    texts: dict[str, str] = {}
    for line in listing.splitlines():
        name, separator, text = line.partition(":")
        text = " ".join(text.split())
        if line.startswith(";") or not separator or not _SPOKEN[language].fullmatch(text):
            continue
        for misprint, right in _MISPRINTS:
            text = text.replace(misprint, right)
        if len(normalised(text).split()) >= MIN_WORDS:
            texts[name.strip()] = text
    return texts


def parse_festvox(listing: str) -> dict[str, str]:
    """Names and sentences from ``txt.done.data``, without its ``+`` before stressed vowels."""
    lines = re.findall(r'^\(\s*(\S+)\s+"(.*)"\s*\)\s*$', listing, re.MULTILINE)
    return {name: text.replace("+", "").strip() for name, text in lines}


def parse_labels(listing: str) -> list[Phone]:
    """The phones of a label file, whose lines end with ``end time, colour, name``."""
    phones: list[Phone] = []
    start_s = 0.0
    for line in listing.partition("#\n")[2].splitlines():
        end_s, _, name = line.split()
        phones.append(Phone(name, start_s, float(end_s)))
        start_s = float(end_s)
    return phones


def spread(items: Sequence[T], count: int) -> list[T]:
    """``count`` of the items in their order, evenly spaced, the first among them."""
    if not 0 <= count <= len(items):
        raise ValueError(f"{count} wanted, {len(items)} there")
    return [items[index * len(items) // count] for index in range(count)]


@functools.cache
def _prompt_texts(language: Language) -> dict[str, str]:
    package = TEXTS[language]
    path = _unpacked(package) / f"usr/share/doc/{package.name}/core-sounds-{language}.txt.gz"
    return parse_prompts(gzip.decompress(path.read_bytes()).decode("utf-8"), language)


# --- sound ---------------------------------------------------------------------------------------


def _voice_folder(packages: dict[str, Package], language: Language) -> Path:
    return _unpacked(packages[language]) / "usr/share/asterisk/sounds" / _VOICES[language]


def _duration_s(path: Path) -> float:
    if path.suffix == ".g722":  # no header; the rate is fixed
        return path.stat().st_size / G722_BYTES_PER_S
    with wave.open(str(path), "rb") as file:
        return file.getnframes() / file.getframerate()


def _decoded(path: Path, language: Language, name: str) -> Path:
    """The g722 file as a wav in the cache."""
    target = CACHE / "wideband" / language / f"{name}.wav"
    if not target.is_file():
        _write_wav(target, [_samples(path)])
    return target


def _plan(clips: Sequence[Clip], seconds: float, gap_s: float) -> list[Clip]:
    """Which clips, in order, come closest to that length."""
    plan: list[Clip] = []
    total_s = 0.0
    while True:
        clip = clips[len(plan) % len(clips)]
        if plan and total_s + clip.duration_s / 2 > seconds:
            return plan
        plan.append(clip)
        total_s += clip.duration_s + gap_s


def _with_gaps(plan: Iterable[Clip], gap_s: float) -> Iterable[bytes]:
    silence = bytes(2 * round(gap_s * RATE_HZ))
    for index, clip in enumerate(plan):
        if index:
            yield silence
        yield _samples(clip.path)


@functools.lru_cache(maxsize=16)
def _samples(path: Path) -> bytes:
    """The recording as 16-bit mono samples at 16 kHz."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    chunks: list[bytes] = []
    with av.open(str(path), format="g722" if path.suffix == ".g722" else None) as container:
        for frame in [*container.decode(audio=0), None]:
            chunks += [part.to_ndarray().tobytes() for part in resampler.resample(frame)]
    return b"".join(chunks)


def _write_wav(target: Path, chunks: Iterable[bytes]) -> None:
    """Write it whole or not at all: several test processes may want the same file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as scratch:
        draft = Path(scratch) / target.name
        with wave.open(str(draft), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            for chunk in chunks:
                file.writeframes(chunk)
        draft.replace(target)


# --- packages ------------------------------------------------------------------------------------


@functools.cache
def _unpacked(package: Package) -> Path:
    """The folder with the package's files, fetched first if need be."""
    folder = CACHE / "unpacked" / f"{package.name}-{package.sha256[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "fetch.lock", timeout=DOWNLOAD_TIMEOUT_S):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
                draft = Path(scratch) / "files"
                archive = _archive(package)
                _call(["dpkg-deb", "-x", str(archive), str(draft)], UNPACK_TIMEOUT_S)
                draft.replace(folder)
            archive.unlink()  # festvox alone is 180 MB; the files are what we wanted
    return folder


def _archive(package: Package) -> Path:
    """The package's ``.deb`` in the cache, downloaded if it is not there, and verified."""
    # Apt writes a ':' in a version as %3a; none of ours has one.
    archive = CACHE / f"{package.name}_{package.version}_all.deb"
    if not archive.is_file():
        _download(package)
    if not archive.is_file():
        raise SpeechUnavailableError(f"apt-get downloaded no {archive.name}")
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        archive.unlink()
        raise SpeechUnavailableError(
            f"{archive.name} is not the file that the tests know: its SHA-256 is {found}, "
            f"not {package.sha256}"
        )
    return archive


def _download(package: Package) -> None:
    wanted = f"{package.name}={package.version}"
    # As root, apt would download as a user who may not be allowed into our folder.
    get = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
    try:
        _call([*get, "download", wanted], DOWNLOAD_TIMEOUT_S)
        return
    except SpeechUnavailableError:
        pass  # most likely the package lists are missing or old: get them, beside the system's
    get += _private_lists()
    _call([*get, "update"], DOWNLOAD_TIMEOUT_S)
    _call([*get, "download", wanted], DOWNLOAD_TIMEOUT_S)


def _private_lists() -> list[str]:
    """Options that make apt keep its lists and caches in our folder, which needs no root."""
    state = CACHE / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    return [
        *("-o", f"Dir::State::Lists={state / 'lists'}"),
        *("-o", f"Dir::Cache={state / 'cache'}"),
        *("-o", "Acquire::Languages=none"),
    ]


def _call(command: list[str], timeout_s: float) -> None:
    if shutil.which(command[0]) is None:
        raise SpeechUnavailableError(
            f"speech comes from Debian packages, and {command[0]} is not here"
        )
    try:
        done = subprocess.run(
            command, cwd=CACHE, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise SpeechUnavailableError(f"`{' '.join(command)}` took over {timeout_s} s") from None
    if done.returncode != 0:
        output = (done.stderr or done.stdout).strip()[-600:]
        raise SpeechUnavailableError(f"`{' '.join(command)}` failed: {output}")
