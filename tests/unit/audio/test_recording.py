"""Real files of every kind, made here with PyAV; hostile ones and damaged ones, made by hand."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from modules.audio import source as media_source
from modules.audio.decoder import Limits
from modules.audio.errors import describe
from modules.audio.probe import _CONTAINERS
from modules.audio.recording import Hearing, Recording, open_recording
from modules.audio.resampler import SAMPLE_RATE, Samples
from modules.errors import MediaError, StorageError
from tests.hostile.bombs import bombs, silent_flac

ROOT = Path(__file__).parents[3]
LIMITS = Limits()
#: name: codec, rate, layout, options, with a film beside it
KINDS: dict[str, tuple[str, int, str, dict[str, str], bool]] = {
    "tone.wav": ("pcm_s16le", 44_100, "stereo", {}, False),
    "float.wav": ("pcm_f32le", 48_000, "mono", {}, False),
    "mulaw.wav": ("pcm_mulaw", 8_000, "mono", {}, False),
    "alaw.wav": ("pcm_alaw", 8_000, "mono", {}, False),
    "adpcm.wav": ("adpcm_ms", 8_000, "mono", {}, False),
    "same.wav": ("pcm_f32le", 16_000, "mono", {}, False),
    "tone.mp3": ("libmp3lame", 44_100, "stereo", {}, False),
    "tone.flac": ("flac", 44_100, "stereo", {}, False),
    "tone.ogg": ("vorbis", 44_100, "stereo", {"strict": "experimental"}, False),
    "tone.opus": ("libopus", 48_000, "mono", {}, False),
    "tone.m4a": ("aac", 44_100, "stereo", {}, False),
    "tone.aac": ("aac", 44_100, "stereo", {}, False),
    "tone.wma": ("wmav2", 44_100, "stereo", {"b": "128000"}, False),
    "tone.aiff": ("pcm_s16be", 44_100, "stereo", {}, False),
    "tone.amr": ("libopencore_amrnb", 8_000, "mono", {}, False),
    "tone.ac3": ("ac3", 48_000, "5.1", {}, False),
    "tone.eac3": ("eac3", 48_000, "stereo", {}, False),
    "tone.caf": ("pcm_s16be", 44_100, "stereo", {}, False),
    "tone.au": ("pcm_s16be", 44_100, "stereo", {}, False),
    "tone.w64": ("pcm_s16le", 44_100, "stereo", {}, False),
    "tone.3gp": ("libopencore_amrnb", 8_000, "mono", {}, False),
    "film.mp4": ("aac", 44_100, "stereo", {}, True),
    "film.mkv": ("libopus", 48_000, "stereo", {}, True),
    "tone.webm": ("libopus", 48_000, "stereo", {}, False),
    "film.mov": ("aac", 44_100, "stereo", {}, True),
    "film.avi": ("libmp3lame", 44_100, "stereo", {}, True),
    "film.ts": ("aac", 44_100, "stereo", {}, True),
    "tone.mpg": ("mp2", 44_100, "stereo", {}, False),
    "tone.flv": ("aac", 44_100, "stereo", {}, False),
}


def tone(seconds: float, rate: int, channels: int, hertz: float = 440.0) -> Samples:
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave.astype(np.float32), (channels, 1))


def encode(
    target: Any,
    sounds: list[tuple[Samples, float]],
    codec: str,
    rate: int,
    layout: str = "mono",
    options: dict[str, str] | None = None,
    film: bool = False,
    container: str | None = None,
) -> None:
    """Write pieces of sound ``(channels, n)``, each at its time in seconds, to a file."""
    with av.open(target, "w", format=container) as output:
        pictures = film_track(output) if film else None
        stream: Any = output.add_stream(codec, rate=rate, layout=layout, options=options or {})
        for samples, at_s in sounds:
            for start in range(0, samples.shape[1], 1024):
                part = np.ascontiguousarray(samples[:, start : start + 1024])
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = round(at_s * rate) + start
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if film:
            add_pictures(output, pictures)


def film_track(output: Any) -> Any:
    stream = output.add_stream("mpeg4", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def add_pictures(output: Any, stream: Any, seconds: int = 2) -> None:
    for number in range(10 * seconds):
        picture = np.full((72, 64), number, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = number
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def make(folder: Path, name: str, seconds: float = 2.0) -> Path:
    codec, rate, layout, options, film = KINDS[name]
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    path = folder / name
    encode(str(path), [(tone(seconds, rate, channels), 0.0)], codec, rate, layout, options, film)
    return path


def wav(
    data: bytes,
    *,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    tag: int = 1,
    claimed: int | None = None,
) -> bytes:
    """A WAV file whose header says whatever it is told to say."""
    size = len(data) if claimed is None else claimed
    align = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * align % 2**32, align % 2**16, bits)
    head = b"RIFF" + struct.pack("<I", min(size + 36, 2**32 - 1)) + b"WAVEfmt "
    return head + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size) + data


def pcm(samples: Samples) -> bytes:
    return (samples.T.reshape(-1) * 32767).astype("<i2").tobytes()


def written(folder: Path, data: bytes, name: str = "talk.mp3") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def sound(path: Path, start_s: float = 0.0, limits: Limits = LIMITS) -> Samples:
    with open_recording(path, limits) as recording:
        return joined(recording, start_s)


def joined(recording: Recording, start_s: float = 0.0) -> Samples:
    blocks = list(recording.blocks(start_s))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def pitch(samples: Samples) -> float:
    """The loudest frequency in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax()) * SAMPLE_RATE / len(samples)


def loudness(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def refusal(path: Path, limits: Limits = LIMITS) -> MediaError:
    """How a file is refused, when opened or while it is decoded."""
    with pytest.raises(MediaError) as caught, open_recording(path, limits) as recording:
        for _ in recording.blocks():
            pass
    assert caught.value.permanent
    assert caught.value.message.endswith(".")
    assert caught.value.remedy
    return caught.value


# Kinds of recordings


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_decodes_whole_and_in_tune(tmp_path: Path, name: str) -> None:
    with open_recording(make(tmp_path, name), LIMITS) as recording:
        samples = joined(recording)
        assert recording.partial is None
        assert recording.decoded_s == len(samples) / SAMPLE_RATE
        assert recording.read_fraction > 0.9
        assert recording.has_video == name.startswith("film")
        assert recording.sample_rate == KINDS[name][1]
        assert recording.channels == {"mono": 1, "stereo": 2, "5.1": 6}[KINDS[name][2]]
        assert recording.duration_s == pytest.approx(2.0, abs=0.15)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) / SAMPLE_RATE == pytest.approx(2.0, abs=0.08)
    assert pitch(samples) == pytest.approx(440, abs=1)
    assert loudness(samples) == pytest.approx(0.5 / 2**0.5, rel=0.15)


@pytest.mark.parametrize("name", KINDS)
def test_a_resumed_pass_gives_the_same_samples(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name)
    whole = sound(path)
    for start_s in (0.0, 0.33374, 1.0, 1.90001):
        resumed = sound(path, start_s)
        assert np.array_equal(resumed, whole[round(start_s * SAMPLE_RATE) :])
    assert len(sound(path, 60.0)) == 0


def test_blocks_are_whole_seconds_but_for_the_last(tmp_path: Path) -> None:
    path = make(tmp_path, "tone.mp3", 2.5)
    with open_recording(path, LIMITS) as recording:
        assert [len(block) for block in recording.blocks()] == [16_000, 16_000, 8_000]
        assert [len(b) for b in recording.blocks(0.25, 0.5)] == [8_000] * 4 + [4_000]


def test_memory_stays_flat(tmp_path: Path) -> None:
    path = written(tmp_path, wav(bytes(32_000 * 600)))
    with open_recording(path, LIMITS) as recording:
        tracemalloc.start()
        try:
            seconds = sum(len(block) for block in recording.blocks()) / SAMPLE_RATE
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert seconds == 600
    assert peak < 4 * 2**20, f"{peak} bytes held for a recording of 38 MB"


def test_gsm_in_wav(tmp_path: Path) -> None:
    form = struct.pack("<HHIIHHHH", 0x31, 1, 8000, 1625, 65, 0, 2, 320)
    data = np.random.default_rng(1).bytes(65 * 50)
    chunks = b"WAVEfmt " + struct.pack("<I", 20) + form + b"data" + struct.pack("<I", len(data))
    riff = b"RIFF" + struct.pack("<I", len(chunks) + len(data)) + chunks + data
    with open_recording(written(tmp_path, riff), LIMITS) as recording:
        assert recording.codec == "gsm_ms"
        assert len(joined(recording)) == 2 * SAMPLE_RATE


def test_gsm_as_telephone_exchanges_record_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    data = b"".join(b"\xd4" + rng.bytes(32) for _ in range(150))
    with open_recording(written(tmp_path, data), LIMITS) as recording:
        assert recording.format_name == "gsm"
        assert len(joined(recording)) == 3 * SAMPLE_RATE


@pytest.mark.parametrize("claimed", [0, 2**32 - 1])
def test_a_wav_that_was_streamed_is_whole(tmp_path: Path, claimed: int) -> None:
    path = written(tmp_path, wav(pcm(tone(1.03, 16_000, 1)), claimed=claimed))
    with open_recording(path, LIMITS) as recording:
        assert len(joined(recording)) == round(1.03 * SAMPLE_RATE)
        assert recording.partial is None


def test_stereo_is_averaged_without_clipping(tmp_path: Path) -> None:
    left = tone(1, 16_000, 1)
    both = np.vstack([left, left]) * 2  # full scale
    one = np.vstack([left, left * 0])
    loud = sound(written(tmp_path, wav(pcm(both), channels=2)))
    half = sound(written(tmp_path, wav(pcm(one), channels=2)))
    assert loudness(loud) == pytest.approx(1 / 2**0.5, rel=0.01)
    assert loudness(half) == pytest.approx(0.25 / 2**0.5, rel=0.01)


@pytest.mark.parametrize("channels", [12, 64])
def test_channels_without_a_layout_are_averaged(tmp_path: Path, channels: int) -> None:
    samples = np.zeros((channels, 16_000), np.float32)
    samples[-1] = tone(1, 16_000, 1)
    mixed = sound(written(tmp_path, wav(pcm(samples), channels=channels)))
    assert loudness(mixed) == pytest.approx(0.5 / 2**0.5 / channels, rel=0.02)
    assert pitch(mixed) == pytest.approx(440, abs=1)


def test_rate_and_layout_may_change_in_the_middle(tmp_path: Path) -> None:
    parts = []
    for rate, layout, hertz in ((44_100, "stereo", 440.0), (48_000, "mono", 880.0)):
        samples = tone(1, rate, 2 if layout == "stereo" else 1, hertz)
        part = tmp_path / f"{rate}.aac"
        encode(str(part), [(samples, 0.0)], "aac", rate, layout)
        parts.append(part.read_bytes())
    samples = sound(written(tmp_path, b"".join(parts)))
    assert len(samples) / SAMPLE_RATE == pytest.approx(2.0, abs=0.15)
    assert pitch(samples[2_000:14_000]) == pytest.approx(440, abs=2)
    assert pitch(samples[-14_000:-2_000]) == pytest.approx(880, abs=2)


def test_not_a_number_becomes_silence_and_loud_is_clipped(tmp_path: Path) -> None:
    values = np.full(16_000, 0.25, "<f4")
    values[100::500], values[200::500], values[300::500] = np.nan, np.inf, 1e30
    samples = sound(written(tmp_path, wav(values.tobytes(), bits=32, tag=3)))
    assert np.isfinite(samples).all()
    assert samples[100] == samples[200] == 0
    assert samples[300] == 1
    assert samples[150] == 0.25


def two_tracks(path: Path, labels: tuple[dict[str, str], dict[str, str]]) -> Path:
    """Tones of 440 and 880 Hz in two mono tracks, of which players take the second."""
    with av.open(str(path), "w", format="matroska") as output:
        tracks: list[Any] = []
        for default in (0, 1):
            tracks.append(output.add_stream("pcm_s16le", rate=16_000, layout="mono"))
            tracks[-1].disposition = default
            tracks[-1].metadata.update(labels[default])
        for track, hertz in zip(tracks, (440.0, 880.0), strict=True):
            samples = tone(1, 16_000, 1, hertz)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
            output.mux(track.encode(frame))
            output.mux(track.encode(None))
    return path


@pytest.mark.parametrize(
    ("labels", "hearing", "hertz"),
    [
        (({"language": "eng"}, {"language": "rus"}), {}, {880}),
        (({"language": "eng"}, {"language": "rus"}), {"language": "en"}, {440}),
        (({"language": "eng"}, {"language": "rus"}), {"language": "ru"}, {880}),
        (({"language": "eng"}, {"language": "rus"}), {"tracks": "en"}, {440}),
        (({"language": "eng"}, {"language": "rus"}), {"tracks": "1"}, {440}),
        (({"language": "eng"}, {"language": "rus"}), {"tracks": "all"}, {440, 880}),
        (({}, {"title": "Director's commentary"}), {}, {440}),
        (({}, {}), {}, {440, 880}),
    ],
)
def test_the_tracks_that_are_meant_are_heard(
    tmp_path: Path,
    labels: tuple[dict[str, str], dict[str, str]],
    hearing: dict[str, str],
    hertz: set[int],
) -> None:
    path = two_tracks(tmp_path / "two.mka", labels)
    with open_recording(path, LIMITS, Hearing(**hearing)) as recording:  # type: ignore[arg-type]
        spectrum = np.abs(np.fft.rfft(joined(recording)))
        assert len(recording.choice.left_out) == 2 - len(hertz)
    assert {tone for tone in (440, 880) if spectrum[tone] > 0.2 * spectrum.max()} == hertz


# Time


def test_a_gap_in_the_timestamps_becomes_silence(tmp_path: Path) -> None:
    path = tmp_path / "gap.mkv"
    second = tone(1, 16_000, 1)
    encode(str(path), [(second, 0.0), (second, 3.0)], "pcm_s16le", 16_000)
    samples = sound(path)
    assert len(samples) == 4 * SAMPLE_RATE
    assert loudness(samples[16_100:47_900]) == 0
    assert pitch(samples[-16_000:]) == pytest.approx(440, abs=1)
    assert np.array_equal(sound(path, 2.5), samples[40_000:])


def test_sound_that_begins_after_the_film_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    encode(str(path), [(tone(1, 48_000, 1), 1.5)], "libopus", 48_000, film=True)
    samples = sound(path)
    assert loudness(samples[: round(1.4 * SAMPLE_RATE)]) == 0
    assert len(samples) / SAMPLE_RATE == pytest.approx(2.5, abs=0.05)


def test_a_leap_of_hours_is_not_filled(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mkv"
    second = tone(1, 16_000, 1)
    encode(str(path), [(second, 0.0), (second, 20 * 3600.0)], "pcm_s16le", 16_000)
    with open_recording(path, LIMITS) as recording:
        assert recording.duration_s is None
        assert len(joined(recording)) == 2 * SAMPLE_RATE


def test_one_broken_timestamp_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "glitch.mkv"
    sounds = [(tone(0.064, 16_000, 1), 0.064 * number) for number in range(30)]
    encode(str(path), sounds, "pcm_s16le", 16_000)
    data = bytearray(path.read_bytes())
    # SimpleBlock: track 1, 16 bits of time in ms, flags. 640 ms becomes 1664.
    at = data.index(b"\x81" + struct.pack(">h", 640) + b"\x80")
    data[at + 1 : at + 3] = struct.pack(">h", 1664)
    assert len(sound(written(tmp_path, bytes(data)))) == 30 * 1024


class Pipe:
    """A target that cannot go back, as when a recorder streams: the duration stays unknown."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self.write = self.file.write


def streamed(path: Path, seconds: float) -> Path:
    pipe = Pipe(path)
    encode(pipe, [(tone(seconds, 48_000, 1), 0.0)], "libopus", 48_000, container="webm")
    pipe.file.close()
    return path


def test_without_a_duration_the_bytes_tell_the_progress(tmp_path: Path) -> None:
    with open_recording(streamed(tmp_path / "live.webm", 60), LIMITS) as recording:
        assert recording.duration_s is None
        assert recording.read_fraction == 0
        seen = [recording.read_fraction for _ in recording.blocks()]
        assert seen == sorted(seen)
        assert 0 < seen[0] < 0.6 < seen[-1] <= 1
        assert recording.decoded_s == pytest.approx(60, abs=0.1)


def test_too_long_is_noticed_while_decoding(tmp_path: Path) -> None:
    path = streamed(tmp_path / "live.webm", 3)
    with open_recording(path, Limits(max_duration_s=1.5)) as recording:
        got = []
        with pytest.raises(MediaError) as caught:
            got.extend(len(block) for block in recording.blocks(block_s=0.5))
    assert caught.value.code == "too_long"
    assert sum(got) <= 1.5 * SAMPLE_RATE


def test_too_long_is_noticed_before_decoding(tmp_path: Path) -> None:
    path = make(tmp_path, "tone.m4a")
    with pytest.raises(MediaError) as caught:
        open_recording(path, Limits(max_duration_s=1.0))
    assert caught.value.code == "too_long"


# What is no recording


@pytest.mark.parametrize("suffix", "mp3 wav m4a ogg flac aac ac3 ts amr gsm".split())
@pytest.mark.parametrize(("size", "seeds"), [(1_024, 20), (100_000, 10), (5_000_000, 1)])
def test_noise_is_refused(tmp_path: Path, suffix: str, size: int, seeds: int) -> None:
    for seed in range(seeds):
        noise = np.random.default_rng([seed, size, *suffix.encode()]).bytes(size)
        assert refusal(written(tmp_path, noise, f"noise.{suffix}")).code == "not_media"


@pytest.mark.parametrize(
    "start",
    [
        b"#!AMR\n",
        b"\xff\xf1\x50\x80",
        b"\xff\xfb\x90\x64",
        b"\x0b\x77",
        b"G",
        b"\0\0\1\xba",
        b"OggS",
    ],
)
@pytest.mark.parametrize("size", [1_024, 200_000])
def test_noise_behind_a_header_is_refused(tmp_path: Path, start: bytes, size: int) -> None:
    for seed in range(10):
        noise = start + np.random.default_rng(seed).bytes(size)
        assert refusal(written(tmp_path, noise)).code == "not_media"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"PK\x03\x04" + bytes(range(256)) * 20, "ZIP archive"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 20, "PDF"),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20, "JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "PNG"),
        (b"\n<!DOCTYPE html><html><p>Sign in</p></html>", "web page"),
        ("Привет, мир\n".encode() * 900, "text document"),
        ("Привет".encode("utf-16"), "text document"),
        (b"1\n00:00:00,000 --> 00:00:05,000\nhello\n\n", "text document"),
        (bytes(100_000), "zeros"),
    ],
)
def test_the_refusal_says_what_it_looks_like(tmp_path: Path, head: bytes, words: str) -> None:
    error = refusal(written(tmp_path, head))
    assert error.code == "not_media"
    assert words in error.message


def test_what_cannot_be_recognised_is_not_named() -> None:
    assert describe(np.random.default_rng(0).bytes(4096)) is None
    assert describe(b"") is None


PLAYLISTS: dict[str, Callable[[str], str]] = {
    "hls": lambda to: f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{to}\n#EXT-X-ENDLIST\n",
    "concat": lambda to: f"ffconcat version 1.0\nfile '{to}'\n",
    "concat protocol": lambda to: f"ffconcat version 1.0\nfile 'concat:{to}'\n",
    "dash": lambda to: (
        f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
        f'type="static"><Period><AdaptationSet><Representation id="1"><BaseURL>{to}</BaseURL>'
        f"</Representation></AdaptationSet></Period></MPD>"
    ),
    "pls": lambda to: f"[playlist]\nFile1={to}\nNumberOfEntries=1\n",
    "sdp": lambda to: f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns={to}\nm=audio 5000 RTP/AVP 0\n",
}


def test_no_container_that_names_other_files_is_read() -> None:
    read = set(_CONTAINERS.split(","))
    assert not read & set("hls concat dash sdp rtsp rtp sap image2 lavfi imf ffmetadata".split())
    assert len(read) > 30


class OpenWatch:
    """Whether anybody in any language opens a file: inotify's IN_OPEN."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._fd, os.fsencode(path), 0x20) >= 0

    def seen(self) -> bool:
        try:
            return bool(os.read(self._fd, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._fd)


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("form", ["absolute", "relative", "url"])
def test_a_playlist_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    other = make(tmp_path, "tone.mp3", 1.0)
    target = {"absolute": str(other), "relative": "tone.mp3", "url": f"file://{other}"}[form]
    path = written(tmp_path, PLAYLISTS[kind](target).encode(), "list.mp3")
    watch = OpenWatch(other)
    try:
        assert refusal(path).code == "not_media"
        assert not watch.seen()
        other.read_bytes()
        assert watch.seen(), "the watch itself does not work"
    finally:
        watch.close()


def test_a_film_without_sound_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "mute.mp4"), "w") as output:
        add_pictures(output, film_track(output))
    assert refusal(tmp_path / "mute.mp4").code == "no_audio"


@pytest.mark.parametrize("name", ["mute.mkv", "mute.ts", "mute.avi", "mute.flv"])
def test_a_film_without_sound_is_told_from_noise(tmp_path: Path, name: str) -> None:
    with av.open(str(tmp_path / name), "w") as output:
        stream = output.add_stream("flv1" if name.endswith("flv") else "mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        add_pictures(output, stream)
    assert refusal(tmp_path / name).code == "no_audio"


def test_a_zip_archive_of_recordings_is_refused_though_they_are_plain_to_see(
    tmp_path: Path,
) -> None:
    path = tmp_path / "talks.mp3"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.write(make(tmp_path, "tone.mp3"), "talk.mp3")
    error = refusal(path)
    assert error.code == "not_media"
    assert "ZIP archive" in error.message


def test_empty_and_header_only(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, b"")).code == "empty_file"
    assert refusal(written(tmp_path, wav(b""))).code == "no_sound_decoded"
    assert refusal(written(tmp_path, make(tmp_path, "tone.flac").read_bytes()[:8000])).code in {
        "not_media",
        "no_sound_decoded",
    }


@pytest.mark.parametrize(
    ("channels", "rate", "code"),
    [
        (65_535, 16_000, "too_many_channels"),
        (65, 16_000, "too_many_channels"),
        (1, 0, "bad_sample_rate"),
        (1, 1, "bad_sample_rate"),
        (1, 999, "bad_sample_rate"),
        (1, 768_001, "bad_sample_rate"),
        (1, 4_000_000_000, "bad_sample_rate"),
    ],
)
def test_absurd_claims_are_refused(tmp_path: Path, channels: int, rate: int, code: str) -> None:
    error = refusal(written(tmp_path, wav(bytes(40_000), channels=channels, rate=rate)))
    assert error.code == code
    assert str(channels if "channels" in code else rate) in error.message


def test_a_small_file_cannot_claim_days(tmp_path: Path) -> None:
    path = written(tmp_path, wav(bytes(4_000), rate=8_000, claimed=2**32 - 100))
    with open_recording(path, LIMITS) as recording:
        assert recording.duration_s is None or recording.duration_s < 1
        assert len(joined(recording)) == 4_000


def test_a_sparse_file_of_days_is_refused(tmp_path: Path) -> None:
    size = 135 * 3600 * 8_000
    path = written(tmp_path, wav(b"", rate=8_000, bits=8, claimed=size))
    os.truncate(path, size)
    assert refusal(path).code == "too_long"


def test_drm_and_unknown_codecs(tmp_path: Path) -> None:
    m4a = make(tmp_path, "tone.m4a").read_bytes()
    assert refusal(written(tmp_path, m4a.replace(b"mp4a", b"drms"))).code == "encrypted"
    assert refusal(written(tmp_path, m4a.replace(b"mp4a", b"enca"))).code == "encrypted"
    error = refusal(written(tmp_path, wav(bytes(9_000), tag=0x7777)))
    assert error.code == "unsupported_codec"
    assert "0x7777" in error.message


def test_a_header_that_never_ends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_source, "HEADER_BYTES_MAX", 2**20)
    size = 2 * 2**20
    lengths = bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127])
    picture = b"APIC" + lengths + b"\0\0" + b"\0image/png\0\3\0" + b"\x89PNG"
    tagged = b"ID3\4\0\0" + lengths + picture.ljust(size, b"\0")
    data = tagged + make(tmp_path, "tone.mp3").read_bytes()
    assert refusal(written(tmp_path, data)).code == "oversized"


def test_a_packet_over_the_cap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.mkv"
    encode(str(path), [(tone(1, 16_000, 1), 0.0)], "pcm_s16le", 16_000)
    assert refusal(path, Limits(max_packet_mb=0)).code == "oversized"


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each read of a recording has got."""
    counts: list[int] = []
    real = media_source.Source.read

    def read(source: media_source.Source, count: int) -> bytes:
        data = real(source, count)
        counts.append(len(data))
        return data

    monkeypatch.setattr(media_source.Source, "read", read)
    return counts


@pytest.mark.parametrize(
    "name",
    "bomb-packet-200-mb.webm bomb-codec-200-mb.webm bomb-attachment-200-mb.webm "
    "bomb-picture-250-mb.mp3 bomb-packed-index.m4a".split(),
)
def test_a_piece_of_hundreds_of_megabytes_is_not_even_read(
    tmp_path: Path, bytes_read: list[int], name: str
) -> None:
    bomb = next(case for case in bombs() if case.name == name)
    assert refusal(bomb.write(tmp_path)).code == "oversized"
    assert sum(bytes_read) < media_source.BARREN_BYTES_MAX + 4 * 2**20


def test_a_piece_that_is_read_bit_by_bit_is_noticed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = media_source.Source(written(tmp_path, bytes(10)))
    monkeypatch.setattr(media_source, "PIECE_BYTES_MAX", 2**20)
    with source:
        for _ in range(7):
            source.read(media_source.BUFFER_BYTES + 1)
        with pytest.raises(MediaError):
            source.read(media_source.BUFFER_BYTES + 1)
    assert isinstance(source.failure, MediaError)


@pytest.mark.parametrize("name", ["tone.flac", "tone.webm", "film.mkv", "film.ts", "tone.opus"])
def test_a_hole_of_gigabytes_is_the_end(tmp_path: Path, bytes_read: list[int], name: str) -> None:
    path = make(tmp_path, name)
    os.truncate(path, 4 * 2**30)
    with open_recording(path, LIMITS) as recording:
        assert len(joined(recording)) / SAMPLE_RATE == pytest.approx(2.0, abs=0.1)
        assert recording.partial is not None
        assert "could not be read beyond 0:00:0" in recording.partial
    # Once when it is looked over, once when it is decoded.
    assert sum(bytes_read) < 2 * media_source.BARREN_BYTES_MAX + 30 * 2**20


def test_silence_is_no_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_source, "BARREN_BYTES_MAX", 2**20)
    with open_recording(written(tmp_path, wav(bytes(32_000 * 120))), LIMITS) as recording:
        assert len(joined(recording)) == 120 * SAMPLE_RATE
        assert recording.partial is None


def test_other_tracks_may_go_on_without_the_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a film with a long silent part: nothing of it is for us, and yet it is no hole."""
    monkeypatch.setattr(media_source, "BARREN_BYTES_MAX", 2**20)
    path = tmp_path / "two.mka"
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 20 * 48_000)).astype(np.float32)
    pieces = ((0, tone(1, 16_000, 1), 0), (1, noise, 1), (0, tone(1, 16_000, 1), 30))
    with av.open(str(path), "w", format="matroska") as output:
        tracks: list[Any] = []
        for number, (rate, layout) in enumerate(((16_000, "mono"), (48_000, "stereo"))):
            tracks.append(output.add_stream("pcm_s16le", rate=rate, layout=layout))
            tracks[-1].disposition = 1 - number
        for number, samples, at_s in pieces:
            rate, layout = (16_000, "mono") if number == 0 else (48_000, "stereo")
            for start in range(0, samples.shape[1], rate):
                part = np.ascontiguousarray(samples[:, start : start + rate])
                frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = at_s * rate + start
                output.mux(tracks[number].encode(frame))
    assert path.stat().st_size > 3 * 2**20
    assert len(sound(path)) == 31 * SAMPLE_RATE


@pytest.mark.parametrize(
    "name",
    ["bomb-silence-inflated.flac", "bomb-silence-unsaid.flac", "bomb-leaps.webm"],
)
def test_hours_out_of_nothing_are_refused(tmp_path: Path, name: str) -> None:
    error = refusal(next(case for case in bombs() if case.name == name).write(tmp_path))
    assert error.code == "inflated"
    assert "bytes unpack to" in error.message


def test_silence_as_an_encoder_packs_it_is_not_refused(tmp_path: Path) -> None:
    """Ten minutes in 33 kB."""
    path = written(tmp_path, silent_flac(1 / 6, 4096))
    assert path.stat().st_size < 40_000
    assert len(sound(path)) / SAMPLE_RATE == pytest.approx(600, abs=0.3)


# Damage


@pytest.mark.parametrize(
    "name",
    "tone.mp3 tone.wav tone.ogg tone.opus tone.flac tone.webm film.mkv film.avi tone.aiff "
    "tone.aac tone.amr".split(),
)
def test_a_truncated_file_gives_what_is_there(tmp_path: Path, name: str) -> None:
    whole = make(tmp_path, name, 6.0).read_bytes()
    with open_recording(written(tmp_path, whole[: len(whole) * 6 // 10], name), LIMITS) as cut:
        samples = joined(cut)
        assert cut.partial is not None
        assert cut.partial.startswith("The recording is incomplete: ")
    assert 1.9 < len(samples) / SAMPLE_RATE < 4.5
    assert pitch(samples[:16_000]) == pytest.approx(440, abs=1)


def test_an_mp4_without_its_index_was_cut_off(tmp_path: Path) -> None:
    whole = make(tmp_path, "film.mp4").read_bytes()
    index = whole.index(b"moov") - 4
    for length in (index, index - 1_000, index + 300):
        error = refusal(written(tmp_path, whole[:length]))
        assert error.code == "unfinished_file"
        assert "cut off before it was finished" in error.message


def test_an_mp4_with_its_index_in_front_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "fast.mp4"
    sounds = [(tone(6, 44_100, 1), 0.0)]
    encode(str(path), sounds, "aac", 44_100, options={"movflags": "faststart"})
    with (
        av.open(str(path)) as source,
        av.open(str(tmp_path / "front.mp4"), "w", options={"movflags": "faststart"}) as output,
    ):
        stream: Any = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    whole = (tmp_path / "front.mp4").read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    with open_recording(written(tmp_path, whole[: len(whole) * 6 // 10]), LIMITS) as cut:
        assert 3 < len(joined(cut)) / SAMPLE_RATE < 4
        assert cut.partial is not None
        assert "0:00:06" in cut.partial


@pytest.mark.parametrize("name", ["tone.mp3", "tone.m4a", "film.ts", "tone.flac"])
def test_damage_in_the_middle_is_passed_over(tmp_path: Path, name: str) -> None:
    data = bytearray(make(tmp_path, name, 10.0).read_bytes())
    rng = np.random.default_rng(7)
    middle = np.arange(len(data) * 4 // 10, len(data) * 6 // 10)
    for at in rng.choice(middle, len(middle) // 50, replace=False):
        data[at] ^= int(rng.integers(1, 256))
    with open_recording(written(tmp_path, bytes(data)), LIMITS) as recording:
        samples = joined(recording)
        assert recording.partial is not None
        assert "damaged pieces" in recording.partial
    assert len(samples) / SAMPLE_RATE > 7.5
    assert pitch(samples[:48_000]) == pytest.approx(440, abs=1)
    assert pitch(samples[-48_000:]) == pytest.approx(440, abs=1)


def test_a_damaged_beginning_is_passed_over(tmp_path: Path) -> None:
    data = bytearray(make(tmp_path, "tone.m4a", 8.0).read_bytes())
    start = data.index(b"mdat") + 4
    data[start : start + 50_000] = np.random.default_rng(1).bytes(50_000)
    with open_recording(written(tmp_path, bytes(data)), LIMITS) as recording:
        samples = joined(recording)
        assert recording.partial is not None
    assert pitch(samples[-32_000:]) == pytest.approx(440, abs=1)


def test_damage_never_ends_in_anything_but_an_answer(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for name in KINDS:
        whole = make(tmp_path, name, 0.5).read_bytes()
        for _ in range(4):
            data = bytearray(whole)
            for at in rng.integers(0, len(data), max(1, len(data) // 100)):
                data[at] = int(rng.integers(256))
            try:
                samples = sound(written(tmp_path, bytes(data), "broken"))
            except MediaError:
                continue
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() <= 1


def test_nothing_is_written_to_stderr(tmp_path: Path) -> None:
    data = make(tmp_path, "tone.aac").read_bytes()
    path = written(tmp_path, data[:9_000] + bytes(3_000) + data[12_000:])
    code = (
        "import sys; from pathlib import Path; from modules.audio.recording import *\n"
        "with open_recording(Path(sys.argv[1]), Limits()) as r:\n"
        "    print(sum(map(len, r.blocks())), bool(r.partial))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split()[1] == "True"
    assert done.stderr == ""


# The file itself


def test_links_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    real = make(tmp_path, "tone.wav")
    (tmp_path / "link.wav").symlink_to(real)
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    for name in ("link.wav", "folder.wav", "pipe.wav"):
        assert refusal(tmp_path / name).code == "not_a_regular_file"
    assert refusal(Path("/dev/zero")).code == "not_a_regular_file"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, "file_vanished"),
        (errno.ESTALE, "file_vanished"),
        (errno.EACCES, "permission_denied"),
        (errno.EIO, "read_error"),
    ],
)
def test_a_file_that_cannot_be_opened_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def fail(*_: object, dir_fd: int | None = None) -> int:
        raise OSError(number, os.strerror(number))

    path = make(tmp_path, "tone.wav")
    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(StorageError) as caught:
        open_recording(path, LIMITS)
    assert caught.value.code == code
    assert not caught.value.permanent


def test_a_missing_file_has_vanished(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        open_recording(tmp_path / "gone.mp3", LIMITS)
    assert caught.value.code == "file_vanished"


@pytest.mark.parametrize("good_bytes", [0, 200_000])
def test_a_disk_that_fails_is_not_the_recordings_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good_bytes: int
) -> None:
    path = make(tmp_path, "tone.wav", 10.0)
    real = os.pread

    def fail(fd: int, count: int, offset: int) -> bytes:
        if offset >= good_bytes and count > 100:
            raise OSError(errno.EIO, "Input/output error")
        return real(fd, count, offset)

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(StorageError) as caught:
        sound(path)
    assert caught.value.code == "read_error"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sound(make(tmp_path, "tone.mp3"))
    refusal(written(tmp_path, b"hello"))
    with open_recording(make(tmp_path, "tone.wav", 5.0), LIMITS) as recording:
        next(recording.blocks())
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "name", ["a b\n'\".mp3", "-тест.mp3", b"\xff\xfe.mp3".decode("utf-8", "surrogateescape")]
)
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    data = make(tmp_path, "tone.mp3").read_bytes()
    assert len(sound(written(tmp_path, data, name))) == 2 * SAMPLE_RATE
