"""Lists of other files under the name of a recording, and recordings that point outside."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.hostile.case import Case, Ending, either, refused
from tests.hostile.headers import box, id3
from tests.hostile.sound import beep
from tests.hostile.structure import boxes, elements, find

#: Texts that name another file; what they are called by those who write them.
_TEXTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{to}\n#EXT-X-ENDLIST\n",
    "hls-variants": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{to}\n",
    "hls-map": '#EXTM3U\n#EXT-X-MAP:URI="{to}"\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{to}\n',
    "hls-key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{to}"\n#EXTINF:9,\n{to}\n#EXT-X-ENDLIST\n',
    "m3u": "#EXTM3U\n#EXTINF:9,Talk\n{to}\n",
    "bare-m3u": "{to}\n",
    "ffconcat": "ffconcat version 1.0\nfile '{to}'\n",
    "ffconcat-options": "ffconcat version 1.0\nfile '{to}'\noption safe 0\noption enable_drefs 1\n",
    "ffconcat-subfile": "ffconcat version 1.0\nfile 'subfile,,start,0,end,9,,:{to}'\n",
    "concat": "concat:{to}|{to}\n",
    "subfile": "subfile,,start,0,end,9,,:{to}\n",
    "dash": (
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>{to}'
        "</BaseURL></Representation></AdaptationSet></Period></MPD>\n"
    ),
    "smil": '<smil><body><audio src="{to}"/></body></smil>\n',
    "smooth": '<?xml version="1.0"?>\n<SmoothStreamingMedia Url="{to}"/>\n',
    "asx": '<asx version="3.0"><entry><ref href="{to}"/></entry></asx>\n',
    "asf-reference": "[Reference]\nRef1={to}\nRef2={to}\n",
    "pls": "[playlist]\nFile1={to}\nNumberOfEntries=1\n",
    "xspf": (
        '<?xml version="1.0"?>\n<playlist xmlns="http://xspf.org/ns/0/"><trackList><track>'
        "<location>{to}</location></track></trackList></playlist>\n"
    ),
    "cue": 'FILE "{to}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={to}\nc=IN IP4 127.0.0.1\nm=audio {port} RTP/AVP 0\n",
    "rtsp": "RTSPtext\nrtsp://127.0.0.1:{port}/talk\n",
    "imf": '<?xml version="1.0"?>\n<CompositionPlaylist><Id>{to}</Id></CompositionPlaylist>\n',
    "ffmetadata": ";FFMETADATA1\ntitle={to}\n",
    "xinclude": '<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY e SYSTEM "{to}">]><x>&e;</x>\n',
    "ram": "rtsp://127.0.0.1:{port}/talk.rm\n{to}\n",
    "url": "[InternetShortcut]\nURL={to}\n",
}
#: Those that FFmpeg would follow, if it read them at all.
_FOLLOWED = ("hls", "hls-variants", "hls-map", "hls-key", "ffconcat", "ffconcat-options", "dash")
_EXTENSIONS = ("mp3", "wav", "m4a", "ts", "aac", "mkv", "ogg")


def playlists(outside: str, inside: str, port: int) -> Iterator[Case]:
    """All of them. ``outside``, ``inside``: files that nobody may open, the second in the share;
    ``port``: where nobody may call.
    """
    targets = {
        "outside": outside,
        "file": f"file://{outside}",
        "inside": inside,
        "http": f"http://127.0.0.1:{port}/talk.mp3",
        "tcp": f"tcp://127.0.0.1:{port}",
    }
    number = 0
    for kind, template in _TEXTS.items():
        for target in targets if kind in _FOLLOWED else ("outside", "http"):
            extension = _EXTENSIONS[number % len(_EXTENSIONS)]
            content = template.format(to=targets[target], port=port).encode()
            yield refused(f"list-{kind}-{target}.{extension}", content, "not_media")
            number += 1
    hls = _TEXTS["hls"].format(to=outside).encode()
    yield refused("list-hls-utf16.mp3", hls.decode().encode("utf-16"), "not_media")
    yield refused("list-hls-bom.mp3", b"\xef\xbb\xbf" + hls, "not_media")
    yield refused("list-hls-long.mp3", hls + b"#" * 300_000, "not_media")
    yield either("list-hls-then-sound.mp3", hls + beep("mp3"))
    yield either("list-hls-then-packets.ts", hls.ljust(188, b"\n") + beep("ts"))
    yield Case("list-hls-in-id3.mp3", id3(len(hls), hls) + hls, Ending.REFUSED, "not_media")
    yield either("list-hls-in-id3-with-sound.mp3", id3(len(hls), hls) + beep("mp3"))
    for name, to in targets.items():
        yield from _references(name, to)


def _references(name: str, to: str) -> Iterator[Case]:
    """Containers that may hold the address of their sound instead of the sound."""
    m4a = beep("m4a")
    url = box(b"url ", bytes(4), to.encode() + b"\0")
    yield either(f"points-mov-url-{name}.m4a", referring(m4a, url))
    yield either(f"points-mov-alis-{name}.mov", referring(m4a, box(b"alis", _alias(to))))
    movie = box(b"rmda", box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(to)), to.encode()))
    head = box(b"ftyp", b"qt  ", bytes(4), b"qt  ")
    yield refused(f"points-mov-rmra-{name}.mov", head + box(b"moov", box(b"rmra", movie)))
    yield either(f"points-mkv-link-{name}.mkv", _linked(to))


def referring(m4a: bytes, entry: bytes) -> bytes:
    """An M4A file whose sound lies where ``entry`` says, in a box like ``url ``."""
    old = find("m4a", m4a, "dref")
    new = box(b"dref", struct.pack(">II", 0, 1), entry)
    data = bytearray(m4a[: old.start] + new + m4a[old.end :])
    grown = len(new) - (old.end - old.start)
    for part in boxes(m4a):
        if part.start < old.start and part.end >= old.end:
            size = part.end - part.start + grown
            data[part.start : part.start + 4] = size.to_bytes(4, "big")
    return bytes(data)


def _alias(to: str) -> bytes:
    """QuickTime's alias: a fixed part of 150 bytes, then the path under the tags 2 and 18."""
    path = to.encode()
    fixed = bytes(4) + bytes(4) + struct.pack(">H", 150) + bytes(2) + struct.pack(">H", 2)
    fixed = fixed.ljust(10 + 4, b"\0") + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    fixed += (
        bytes([4]) + b"talk".ljust(63, b"\0") + bytes(16) + struct.pack(">hh", 1, 1) + bytes(16)
    )
    tags = b""
    for kind in (2, 18):
        tags += struct.pack(">HH", kind, len(path)) + path + bytes(len(path) % 2)
    return fixed + tags + struct.pack(">HH", 0xFFFF, 0)


def _linked(to: str) -> bytes:
    """Matroska that says its first half is in another file."""
    mkv = beep("mkv")
    info = find("mkv", mkv, "1549a966")
    inside = mkv[info.start + info.head : info.end]
    for kind in (b"\x3c\x83\xab", b"\x3e\x83\xbb", b"\x73\x84"):
        inside += kind + bytes([0x40 | len(to) >> 8, len(to) & 255]) + to.encode()
    inside += b"\x3c\xb9\x23\x90" + b"\x07" * 16 + b"\x3e\xb9\x23\x90" + b"\x08" * 16
    linked = b"\x15\x49\xa9\x66" + struct.pack(">Q", 1 << 56 | len(inside)) + inside
    segment = next(part for part in elements(mkv) if part.label == "18538067")
    head = b"\x18\x53\x80\x67\x01" + b"\xff" * 7
    return (
        mkv[: segment.start]
        + head
        + mkv[segment.start + segment.head : info.start]
        + linked
        + mkv[info.end :]
    )
