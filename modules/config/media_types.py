"""Which files are recordings: the endings that are taken, and FFmpeg's demuxer that reads each.

One table for both, so that no ending is taken that cannot be read. ``tests/unit/config`` holds it
against the FFmpeg that PyAV ships. Headerless formats (raw GSM, G.722, PCM) have no row: nothing in
such a file says what it is. Playlists (hls, concat, dash) have none either: they open other files.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MediaType:
    """``demuxers``: FFmpeg's short names, by commas. ``endings``: in lower case, by blanks; empty
    for what only occurs under the ending of another row. ``loose``: it has no signature of its own,
    so that noise can pass for packets. ``declares``: it says how long the sound is. ``clocked``:
    its timestamps are kept by clock and not derived from byte counts, so that a jump forward means
    that sound is missing.
    """

    demuxers: str
    endings: str = ""
    loose: bool = False
    declares: bool = False
    clocked: bool = False


_DECLARES, _CLOCKED, _BOTH, _LOOSE = (
    {"declares": True},
    {"clocked": True},
    {"declares": True, "clocked": True},
    {"loose": True},
)

MEDIA_TYPES: tuple[MediaType, ...] = (
    # Films and what phones and meeting programs record
    MediaType("mov,mp4,m4a,3gp,3g2,mj2", "mp4 m4a m4b m4r m4v mp4a mov qt qta 3gp 3gpp 3g2 3gp2 3gpp2"
              " 3ga f4v f4a", **_BOTH),
    MediaType("matroska,webm", "mkv mka webm weba mk3d", **_BOTH),
    MediaType("mpegts", "ts mts m2ts m2t trp", loose=True, clocked=True),
    MediaType("mpeg", "mpg mpeg vob m2p", loose=True, clocked=True),
    MediaType("asf", "wmv wma asf dvr-ms", **_BOTH),
    MediaType("avi", "avi amv divx", **_DECLARES),
    MediaType("flv", "flv", **_CLOCKED),
    MediaType("rm", "rm rmvb ra"),
    MediaType("mxf", "mxf", **_DECLARES),
    MediaType("gxf", "gxf"),
    MediaType("wtv", "wtv", **_CLOCKED),
    MediaType("dhav", "dav"),
    MediaType("dv", "dv dif"),
    MediaType("nut", "nut", **_CLOCKED),
    # Sound
    MediaType("wav", "wav bwf rf64 wave", **_DECLARES),
    MediaType("w64", "w64", **_DECLARES),
    MediaType("mp3", "mp3 mp2 mpga mpa m2a", loose=True, clocked=True),
    MediaType("ogg", "ogg oga ogv ogx opus spx", **_CLOCKED),
    MediaType("flac", "flac", **_DECLARES),
    MediaType("aac", "aac adts", **_LOOSE),
    MediaType("loas", "latm loas", **_LOOSE),
    MediaType("aiff", "aif aiff aifc", **_DECLARES),
    MediaType("au", "au snd", **_DECLARES),
    MediaType("caf", "caf", **_DECLARES),
    MediaType("xwma", "xwma"),
    MediaType("ac3", "ac3", **_LOOSE),
    MediaType("eac3", "eac3 ec3", **_LOOSE),
    MediaType("dts", "dts", **_LOOSE),
    MediaType("dtshd", "dtshd"),
    MediaType("truehd", "thd", **_LOOSE),
    MediaType("mlp", "mlp", **_LOOSE),
    MediaType("ape", "ape"),
    MediaType("mpc", "mpc"),
    MediaType("mpc8"),
    MediaType("tak", "tak"),
    MediaType("tta", "tta"),
    MediaType("wv", "wv"),
    MediaType("dsf", "dsf"),
    MediaType("oma", "oma aa3 omg"),
    # Dictation machines, telephones, laboratories
    MediaType("amr", "amr awb", **_LOOSE),
    MediaType("amrnb", **_LOOSE),
    MediaType("amrwb", **_LOOSE),
    MediaType("gsm", **_LOOSE),
    MediaType("dss", "dss"),
    MediaType("nistsphere", "sph nist", **_DECLARES),
    MediaType("qcp", "qcp"),
    MediaType("voc", "voc"),
    MediaType("ircam", "ircam"),
    MediaType("pvf", "pvf"),
    MediaType("sox", "sox"),
    MediaType("wve", "wve"),
)  # fmt: skip

#: All endings that a recording may have, without the dot.
ENDINGS = frozenset(ending for row in MEDIA_TYPES for ending in row.endings.split())


def demuxers(**marks: bool) -> frozenset[str]:
    """FFmpeg's names of the rows that have all these marks; of all rows without any."""
    rows = (r for r in MEDIA_TYPES if all(getattr(r, m) is value for m, value in marks.items()))
    return frozenset(name for row in rows for name in row.demuxers.split(","))
