"""Make the samples from the original recordings: ``.venv/bin/python -m samples.make_samples``.

Needs a Debian-like system, to download the packages that hold them; see README.md here.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import av
import matplotlib
from PIL import Image, ImageDraw, ImageFont

from tests.speech import Clip, asterisk_prompt

HERE = Path(__file__).parent
FONT = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
SIZE = (480, 270)
FRAMES_PER_S = 5
VIDEO_TITLE = "Ожидание ответа"


def main() -> None:
    """Write every sample and its text."""
    russian = asterisk_prompt("ru", "tt-allbusy")
    shutil.copyfile(russian.path, _with_text("please-hold-ru.wav", russian))
    english = asterisk_prompt("en", "tt-allbusy")
    _write(_with_text("please-hold-en.flac", english), english, "flac")
    queue = asterisk_prompt("ru", "queue-periodic-announce")
    _write(_with_text("queue-ru.mp4", queue), queue, "aac", title=VIDEO_TITLE)


def _with_text(name: str, clip: Clip) -> Path:
    """Where the sample goes; its text is written beside it."""
    path = HERE / name
    path.with_suffix(".txt").write_text(clip.text + "\n", encoding="utf-8")
    return path


def _write(path: Path, clip: Clip, codec: Literal["aac", "flac"], title: str | None = None) -> None:
    """The clip in another format, with a still picture of the title where one is given."""
    with av.open(str(clip.path)) as source, av.open(str(path), "w") as target:
        sound = target.add_stream(codec, rate=16_000, layout="mono")
        if title is not None:
            picture = target.add_stream("libx264", rate=FRAMES_PER_S)
            picture.width, picture.height = SIZE
            picture.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_image(_still(title))  # type: ignore[no-untyped-call]
            for index in range(round(clip.duration_s * FRAMES_PER_S)):
                frame.pts = index
                target.mux(picture.encode(frame))
            target.mux(picture.encode())
        for part in source.decode(audio=0):
            part.pts = None
            target.mux(sound.encode(part))
        target.mux(sound.encode())


def _still(title: str) -> Image.Image:
    image = Image.new("RGB", SIZE, "#1d3557")
    middle = (SIZE[0] / 2, SIZE[1] / 2)
    ImageDraw.Draw(image).text(
        middle, title, "#f1faee", ImageFont.truetype(str(FONT), 40), anchor="mm"
    )
    return image


if __name__ == "__main__":
    main()
