"""What a file is: opens the container, finds the sound tracks, refuses what is no recording."""

from __future__ import annotations

import re
import struct

import av
import av.logging
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import InputContainer

from modules.audio import errors
from modules.audio.avi import repair_avi
from modules.audio.decoder import (
    BYTES_PER_S_MIN,
    Decoding,
    Facts,
    Limits,
    check_shape,
    is_heard_or_seen,
    longest_s,
)
from modules.audio.headers import has_frame_count, is_chained, is_cut_off, repair_wav
from modules.audio.sizes import repair_sizes
from modules.audio.source import BUFFER_BYTES, Source
from modules.audio.tracks import Track, tag_of
from modules.config.media_types import demuxers
from modules.errors import MediaError
from modules.storage import file_kind

#: What is not here is never read: playlists would open other files, picture and subtitle formats
#: hold no sound.
_CONTAINERS = ",".join(sorted(demuxers()))
#: Containers without a signature of their own, in which noise can pass for packets.
_LOOSE = demuxers(loose=True)
#: Containers that say how long the sound is, rather than have it guessed from the bit rate.
_DECLARING = demuxers(declares=True)
#: Containers that have one length for all tracks, which FFmpeg then says of each.
_UNDIVIDED = {"matroska", "asf"}
_TRIAL_PACKETS = 100
_TRIAL_PACKETS_DAMAGED = 20_000
#: Of noise behind an AMR or ADTS header half of the packets and more fail; of recordings, none.
_TRIAL_FAILED_MAX = 1 / 3
_DRM_TAGS = {"drms", "drmi", "enca", "adrm", "aavd"}

av.logging.set_level(None)  # FFmpeg would otherwise write every broken frame to stderr


def probe(source: Source, limits: Limits) -> Facts:
    """What the file is. Raises MediaError if it is no recording or over a limit, StorageError."""
    _check_wav_header(source, limits)
    repair_wav(source)
    repair_sizes(source)
    repair_avi(source)
    with opened(source) as container:
        stream = sound_track(container, source)
        codec = stream.codec_context
        check_shape(codec.sample_rate, codec.channels, limits)
        duration_s = None
        if not is_chained(source):
            duration_s = _credible(_container_duration_s(container), source, stream)
        if duration_s is not None and duration_s > limits.max_duration_s:
            raise errors.too_long(duration_s, limits.max_duration_s)
        facts = Facts(
            duration_s=duration_s,
            format_name=container.format.name,
            codec=codec.name,
            sample_rate=codec.sample_rate,
            channels=codec.channels,
            cut_off=is_cut_off(source),
            has_video=any(map(is_heard_or_seen, container.streams.video)),
            tracks=_tracks(container, source),
        )
        _try_out(Decoding(source, container, stream, limits, duration_s), facts, source)
    return facts


def _try_out(decoding: Decoding, facts: Facts, source: Source) -> None:
    """Decode the beginning: noise can look like a header, but not like a hundred packets."""
    loose = facts.format_name in _LOOSE
    frames = 0
    for decoded in decoding.decoded():
        frames += len(decoded)
        # Where a signature vouches for the file, its beginning may be damaged.
        patience = _TRIAL_PACKETS if loose or frames else _TRIAL_PACKETS_DAMAGED
        if decoding.packets >= patience:
            break
    details = f"{decoding.corrupt} of the first {decoding.packets} packets are damaged"
    if loose and decoding.corrupt > decoding.packets * _TRIAL_FAILED_MAX:
        raise errors.not_media(source, details)
    if not frames:
        raise errors.no_sound_decoded(details)


def opened(source: Source, base: int = 0, end: int | None = None) -> InputContainer:
    """The container between these bytes of the file. Raises MediaError if it is none."""
    source.begin(base, end)
    options = {
        "format_whitelist": _CONTAINERS,
        "protocol_whitelist": "none",  # the name of no protocol: whatever a file asks for, no
        "codec_whitelist": AUDIO_DECODERS,
    }
    try:
        return av.open(
            source,
            "r",
            container_options=options,
            metadata_errors="replace",
            buffer_size=BUFFER_BYTES,
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        source.raise_failure()
        raise errors.not_media(source, str(error)) from error


def sound_track(
    container: InputContainer, source: Source, number: int | None = None
) -> AudioStream:
    """A sound track, ready to be decoded: the one of this number, or the one that players take.

    Raises MediaError if there is none that can be read.
    """
    source.header_budget = None
    source.single_track = len(container.streams) == 1
    # To FFmpeg a Russian text can be raw GSM: each of its letters begins with the byte 0xD0.
    # And a recording in a ZIP archive that could not be made smaller is plain to see there.
    if container.format.name in _LOOSE and file_kind.kind_of(source.peek(file_kind.HEAD_BYTES)):
        raise errors.not_media(source)
    tracks = container.streams.audio
    if number is None:
        stream = container.streams.best("audio")
    else:
        stream = tracks[number] if number < len(tracks) else None
    if not isinstance(stream, AudioStream):
        raise _no_stream(container, source)
    if stream.codec_context is None:
        raise errors.unsupported_codec(_codec_name(container))
    if tag_of(stream) in _DRM_TAGS:
        raise errors.encrypted()
    stream.codec_context.thread_count = 1
    return stream


def _tracks(container: InputContainer, source: Source) -> tuple[Track, ...]:
    """The sound tracks that can be decoded here."""
    best = container.streams.best("audio")
    return tuple(
        Track.of(number, stream, stream == best, _sound_end_s(container, stream, source))
        for number, stream in enumerate(container.streams.audio)
        if _is_readable(stream)
    )


def _is_readable(stream: AudioStream) -> bool:
    context: object = stream.codec_context  # None, whatever PyAV's types say, without a decoder
    return context is not None and tag_of(stream) not in _DRM_TAGS


def _no_stream(container: InputContainer, source: Source) -> MediaError:
    """Why FFmpeg names no sound track: there is none, or none that it found any sense in."""
    # A broadcast names its tracks in a table with a checksum, which noise does not have.
    loose = container.format.name in _LOOSE - {"mpegts"}
    if loose or errors.is_unfinished(source):
        return errors.not_media(source)
    if container.streams.audio:
        return errors.no_sound_decoded("the sound track names no rate or no channels")
    return errors.no_audio() if container.streams.video else errors.not_media(source)


def _codec_name(container: InputContainer) -> str:
    """What FFmpeg calls a codec it cannot decode; PyAV only tells it in this dump."""
    av.logging.set_level(av.logging.INFO)
    try:
        dump: str = container.dumps_format()  # type: ignore[attr-defined]
    finally:
        av.logging.set_level(None)
    found = re.search(r"Audio: ([^,]+)", dump)
    name = found[1].replace("none", "").strip(" ()") if found else ""
    return name or "an unknown codec"


def _check_wav_header(source: Source, limits: Limits) -> None:
    """FFmpeg drops absurd counts in silence; the person should read which they were."""
    head = source.peek(28)
    if len(head) == 28 and head[:4] == b"RIFF" and head[8:16] == b"WAVEfmt ":
        channels, rate = struct.unpack("<HI", head[22:28])
        check_shape(rate, channels, limits)


def _container_duration_s(container: InputContainer) -> float | None:
    return container.duration / 1e6 if container.duration and container.duration > 0 else None


def _credible(duration_s: float | None, source: Source, stream: AudioStream) -> float | None:
    """The duration, if the file has bytes enough for it."""
    codec = stream.codec_context
    rate = BYTES_PER_S_MIN
    if codec.name.startswith("pcm_") and codec.bit_rate:
        rate = codec.bit_rate // 8
    believable = duration_s is not None and duration_s <= longest_s(source.size, rate)
    return duration_s if believable else None


def _sound_end_s(container: InputContainer, stream: AudioStream, source: Source) -> float | None:
    """Where the sound should end, if the container says so: for telling that a file is cut off."""
    names = set(container.format.name.split(","))
    if "mp3" in names and not has_frame_count(source):
        return None
    if not names & (_DECLARING | {"mp3"}):
        return None
    sound_s = _container_duration_s(container)
    several = len(container.streams) > 1
    if several and names & _UNDIVIDED:  # others may go on longer
        sound_s = _tagged_duration_s(stream)
    elif stream.duration is not None and stream.time_base is not None:
        sound_s = float(stream.duration * stream.time_base)
    elif several:
        sound_s = None
    return _credible(sound_s, source, stream)


def _tagged_duration_s(stream: AudioStream) -> float | None:
    """What Matroska writers note beside each track: ``00:01:02.500000000``."""
    found = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None


def _audio_decoders() -> str:
    """Names of all sound decoders. Video is never decoded, not even to look at its size."""
    names = []
    for name in av.codecs_available:
        try:
            codec = Codec(name, "r")
        except ValueError:
            continue
        if codec.type == "audio":
            names.append(codec.name)
    return ",".join(sorted(names))


AUDIO_DECODERS = _audio_decoders()
