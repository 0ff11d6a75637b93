"""Which files are recordings: the endings that are taken, and FFmpeg's demuxer that reads each.

One table for both, so that no ending is taken that cannot be read. ``tests/unit/config`` holds it
against the FFmpeg that PyAV ships. Headerless formats (G.722, G.729, PCM) have no row: nothing in
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


MEDIA_TYPES: tuple[MediaType, ...] = (
    # Films and what phones and meeting programs record
    MediaType(
        "mov,mp4,m4a,3gp,3g2,mj2",
        "mp4 m4a m4b m4r m4v mp4a mov qt qta 3gp 3gpp 3g2 3gp2 3gpp2 3ga f4v f4a f4b insv lrv mqv",
        declares=True, clocked=True,
    ),
    MediaType("matroska,webm", "mkv mka webm weba mk3d", declares=True, clocked=True),
    MediaType("mpegts", "ts mts m2ts m2t trp", loose=True, clocked=True),
    MediaType("mpeg", "mpg mpeg mpe vob vro evo m2p tod", loose=True, clocked=True),
    MediaType("asf", "wmv wma asf dvr-ms", declares=True, clocked=True),
    MediaType("avi", "avi amv divx", declares=True),
    MediaType("flv", "flv", clocked=True),
    MediaType("rm", "rm rmvb ra"),
    MediaType("mxf", "mxf", declares=True),
    MediaType("gxf", "gxf"),
    MediaType("wtv", "wtv", clocked=True),
    MediaType("dhav", "dav"),
    MediaType("dv", "dv dif"),
    MediaType("nut", "nut", clocked=True),
    # Sound
    MediaType("wav", "wav bwf rf64 wave", declares=True),
    MediaType("w64", "w64", declares=True),
    MediaType("mp3", "mp3 mp2 mp1 mpga mpa m1a m2a", loose=True, clocked=True),
    MediaType("ogg", "ogg oga ogv ogx ogm opus spx", clocked=True),
    MediaType("flac", "flac", declares=True),
    MediaType("aac", "aac adts", loose=True),
    MediaType("loas", "latm loas", loose=True),
    MediaType("aiff", "aif aiff aifc", declares=True),
    MediaType("au", "au snd", declares=True),
    MediaType("caf", "caf", declares=True),
    MediaType("xwma", "xwma"),
    MediaType("ac3", "ac3", loose=True),
    MediaType("eac3", "eac3 ec3", loose=True),
    MediaType("dts", "dts", loose=True),
    MediaType("dtshd", "dtshd"),
    MediaType("truehd", "thd", loose=True),
    MediaType("mlp", "mlp", loose=True),
    MediaType("ape", "ape"),
    MediaType("mpc", "mpc"),
    MediaType("mpc8"),
    MediaType("tak", "tak"),
    MediaType("tta", "tta"),
    MediaType("wv", "wv"),
    MediaType("dsf", "dsf"),
    MediaType("oma", "oma aa3 omg"),
    # Dictation machines, telephones, laboratories
    MediaType("amr", "amr awb", loose=True),
    MediaType("amrnb", loose=True),
    MediaType("amrwb", loose=True),
    MediaType("gsm", "gsm", loose=True),
    MediaType("dss", "dss"),
    MediaType("nistsphere", "sph nist", declares=True),
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
