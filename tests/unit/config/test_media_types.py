"""The table of kinds of recordings, held against the FFmpeg that PyAV ships."""

from __future__ import annotations

import av
import pytest
from av.codec import Codec
from av.format import ContainerFormat

from modules.api.uploads.kinds import _ENDINGS as UPLOADED
from modules.config.media_types import ENDINGS, MEDIA_TYPES, MediaType, demuxers
from modules.config.types import FORMATS
from modules.recordings.names import TEMPORARY_EXTENSIONS, is_recording
from modules.recordings.sidecars import CHECKPOINT, ERROR_TEXT, IN_PROGRESS, RESULT, SETTINGS

#: Endings that FFmpeg lists for a demuxer of the table, and why they are not taken.
NOT_TAKEN = {
    "avif": "a picture", "heic": "a picture", "heif": "a picture",
    "mj2": "pictures alone: Motion JPEG 2000",
    "ism": "a manifest of a streaming server, which names other files",
    "isma": "a fragment that only a streaming server serves", "ismv": "as isma",
    "psp": "nobody has it: a PlayStation Portable writes MP4",
    "mks": "subtitles alone",
    "apl": "a text that names another file",
    "mac": "as a name it means everything but Monkey's Audio",
    "sf": "as a name it means a sound font as well",
}  # fmt: skip

#: What telephones, cameras, dictation machines and programs for meetings write.
DECODERS = (
    "aac aac_latm ac3 adpcm_g722 adpcm_g726 adpcm_ima_oki adpcm_ima_qt adpcm_ima_wav adpcm_ms "
    "adpcm_yamaha alac amrnb amrwb ape atrac1 atrac3 atrac3p cook dca dsd_lsbf dsd_msbf dss_sp "
    "eac3 evrc flac g723_1 g729 gsm gsm_ms ilbc mlp mp1 mp2 mp3 mpc7 mpc8 nellymoser opus "
    "pcm_alaw pcm_bluray pcm_dvd pcm_f32le pcm_f64le pcm_lxf pcm_mulaw pcm_s16be pcm_s16le "
    "pcm_s24le pcm_s32le pcm_u8 pcm_s8 qcelp qdm2 ra_144 ra_288 shorten sipr speex tak truehd "
    "truespeech tta vorbis wavpack wmalossless wmapro wmav1 wmav2 wmavoice"
).split()

ROWS = pytest.mark.parametrize("row", MEDIA_TYPES, ids=lambda row: str(row.demuxers))


def form(row: MediaType) -> ContainerFormat:
    return ContainerFormat(row.demuxers, "r")


@ROWS
def test_ffmpeg_has_the_demuxer(row: MediaType) -> None:
    assert form(row).is_input
    assert row.demuxers in av.formats_available, "one name of several is no whole name"


@ROWS
def test_what_ffmpeg_calls_an_ending_of_it_is_taken(row: MediaType) -> None:
    missing = form(row).extensions - ENDINGS - NOT_TAKEN.keys()
    assert not missing, f"{row.demuxers}: take them, or say in NOT_TAKEN why not: {missing}"


def test_what_is_not_taken_is_an_ending_of_ffmpeg() -> None:
    known = {ending for row in MEDIA_TYPES for ending in form(row).extensions}
    assert not NOT_TAKEN.keys() - known
    assert not NOT_TAKEN.keys() & ENDINGS


def test_no_ending_stands_twice() -> None:
    listed = [ending for row in MEDIA_TYPES for ending in row.endings.split()]
    assert sorted(listed) == sorted(set(listed))
    names = [name for row in MEDIA_TYPES for name in row.demuxers.split(",")]
    assert sorted(names) == sorted(set(names))
    assert all(ending == ending.lower() and "." not in ending for ending in listed)


def test_no_ending_is_one_of_our_own_files_or_a_text() -> None:
    ours = [IN_PROGRESS, RESULT, CHECKPOINT, ERROR_TEXT, SETTINGS]
    last = {suffix.rpartition(".")[2] for suffix in ours} | set(FORMATS)
    texts = set("txt md csv tsv srt vtt ass sub json yaml yml xml html log pdf doc docx".split())
    assert not ENDINGS & (last | texts | TEMPORARY_EXTENSIONS)
    assert not ENDINGS & set("m3u m3u8 pls cue mpd ffconcat sdp zip".split()), "lists, archives"


def test_what_uploads_are_named_is_taken() -> None:
    assert set(UPLOADED.values()) <= ENDINGS


@pytest.mark.parametrize(
    "name",
    "recorder.3gpp Recording.qta card.mxf voice.mp4a dictaphone.dss words.sph camera.dav talk.DSS "
    "meeting.webm call.amr disc.VOB old.RM phone.qcp exchange.gsm".split(),
)
def test_what_people_have_is_taken_by_its_name(name: str) -> None:
    assert is_recording(name)


def test_no_list_of_other_files_is_read() -> None:
    lists = "hls concat dash sdp rtsp sap image2 imf webm_dash_manifest".split()
    assert not demuxers() & set(lists)
    assert demuxers(clocked=True) < demuxers()
    assert not demuxers(loose=True) & demuxers(declares=True), "noise declares anything"


@pytest.mark.parametrize("name", DECODERS)
def test_the_usual_codecs_can_be_decoded(name: str) -> None:
    codec = Codec(name, "r")
    assert codec.type == "audio"
