"""What a file is: opens the container, finds the sound track, refuses what is no recording."""

from __future__ import annotations

import re
import struct

import av
import av.logging
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream

from modules.audio import errors
from modules.audio.decoder import BYTES_PER_S_MIN, Decoding, Facts, Limits, check_shape, longest_s
from modules.audio.source import BUFFER_BYTES, Source
from modules.errors import MediaError

#: Containers of recordings. What is not here is never read: playlists (hls, concat, dash) would
#: open other files, picture and subtitle formats hold no sound.
_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,dv,eac3,flac,flv,gsm,loas,matroska,mov,"
    "mp3,mpc,mpc8,mpeg,mpegts,mxf,nut,ogg,rm,tak,tta,w64,wav,wv"
)
#: Containers without a signature of their own, in which noise can pass for packets.
_LOOSE = set("aac ac3 amr amrnb amrwb dts eac3 gsm loas mp3 mpeg mpegts".split())
_TRIAL_PACKETS = 100
_TRIAL_PACKETS_DAMAGED = 20_000
#: Of noise behind an AMR or ADTS header half of the packets and more fail; of recordings, none.
_TRIAL_FAILED_MAX = 1 / 3
_DRM_TAGS = {"drms", "drmi", "enca", "adrm", "aavd"}
#: Containers that say how long the sound is, rather than have it guessed from the bit rate.
_DECLARING = {"aiff", "asf", "au", "avi", "caf", "flac", "matroska", "mov", "w64", "wav"}

av.logging.set_level(None)  # FFmpeg would otherwise write every broken frame to stderr


def probe(source: Source, limits: Limits) -> Facts:
    """What the file is. Raises MediaError if it is no recording or over a limit, StorageError."""
    _check_wav_header(source, limits)
    with opened(source) as container:
        stream = sound_track(container, source)
        codec = stream.codec_context
        check_shape(codec.sample_rate, codec.channels, limits)
        duration_s = _credible(_container_duration_s(container), source, stream)
        if duration_s is not None and duration_s > limits.max_duration_s:
            raise errors.too_long(duration_s, limits.max_duration_s)
        facts = Facts(
            duration_s=duration_s,
            sound_s=_sound_end_s(container, stream, source),
            format_name=container.format.name,
            codec=codec.name,
            sample_rate=codec.sample_rate,
            channels=codec.channels,
            cut_off=_cut_off(source),
            has_video=any(map(_is_moving, container.streams.video)),
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


def opened(source: Source) -> InputContainer:
    """The container, from the file's first byte. Raises MediaError if it is none."""
    source.begin()
    options = {
        "format_whitelist": _CONTAINERS,
        "protocol_whitelist": "none",  # the name of no protocol: whatever a file asks for, no
        "codec_whitelist": _AUDIO_DECODERS,
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


def sound_track(container: InputContainer, source: Source) -> AudioStream:
    """The sound track to transcribe; all others are not even read where the format allows it."""
    source.header_budget = None
    source.single_track = len(container.streams) == 1
    # To FFmpeg a Russian text can be raw GSM: each of its letters begins with the byte 0xD0.
    # And a recording in a ZIP archive that could not be made smaller is plain to see there.
    if container.format.name in _LOOSE and errors.is_no_sound(source.peek(4096)):
        raise errors.not_media(source)
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream):
        raise _no_stream(container, source)
    if stream.codec_context is None:
        raise errors.unsupported_codec(_codec_name(container))
    if stream.codec_tag in _DRM_TAGS:
        raise errors.encrypted()
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    stream.codec_context.thread_count = 1
    return stream


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


def _is_moving(stream: Stream) -> bool:
    """A film rather than a cover picture."""
    return not stream.disposition & Disposition.attached_pic


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
    if "mp3" in names and not _has_frame_count(source):
        return None
    if not names & (_DECLARING | {"mp3"}):
        return None
    sound_s = _container_duration_s(container)
    if stream.duration is not None and stream.time_base is not None:
        sound_s = float(stream.duration * stream.time_base)
    elif container.streams.video:  # the film may go on in silence
        sound_s = _tagged_duration_s(stream)
    return _credible(sound_s, source, stream)


def _tagged_duration_s(stream: AudioStream) -> float | None:
    """What Matroska writers note beside each track: ``00:01:02.500000000``."""
    found = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else None


def _cut_off(source: Source) -> bool:
    """Whether a WAV or Ogg file ends in the middle; FFmpeg passes over both in silence."""
    head = source.peek(8)
    if head[:4] == b"RIFF":
        claimed = int.from_bytes(head[4:8], "little")
        # A writer that streams does not know the size and claims 2 or 4 GB.
        return source.size - 7 < claimed < 0x7FFF0000
    return head[:4] == b"OggS" and not _last_page_whole(source)


def _last_page_whole(source: Source) -> bool:
    """An Ogg page is at most 65,307 bytes: 27, the count and sizes of its segments, and those."""
    tail = source.peek(65_307, source.size - 65_307)
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    return len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])


def _has_frame_count(source: Source) -> bool:
    """Whether an MP3 begins with a Xing, Info or VBRI header."""
    head = source.peek(10)
    offset = 0
    if head[:3] == b"ID3":
        # The size of the tag, cover picture included, in four bytes of seven bits.
        offset = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    first = source.peek(2048, offset)
    return any(tag in first for tag in (b"Xing", b"Info", b"VBRI"))


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


_AUDIO_DECODERS = _audio_decoders()
