"""What larger models cost: time and memory of encoder and decoder, of random weights.

    python -m benchmarks.sizes [--sizes small,medium,turbo,large-v3] [--threads 2]

The weights of most sizes cannot be had everywhere, but time and memory do not depend on what they
hold: so they are drawn, in the shapes of each size. A size and an encoder get a process of their
own. Time is the CPU and wall time of a window of 30 s, and of a token of text at beam 5; memory is
what the process holds when both are done, and the most that it held meanwhile.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from benchmarks.measure import computing, end_in_order, require_everything, table
from modules.machine import allocator
from tests.daemon_process import MODELS, PROJECT

HEADINGS = ("size", "encoder", "30 s, wall", "CPU", "token, CPU", "loaded in", "memory", "at most")
_FLOAT16, _INT16 = 4, 2
_TOKENS = 40


@dataclass(frozen=True)
class Shape:
    """``width``: numbers for each frame. Layers of encoder and decoder, mel bands, tokens."""

    width: int
    encoder: int
    decoder: int
    bands: int = 80
    vocabulary: int = 51865


#: As OpenAI publishes them.
SHAPES = {
    "tiny": Shape(384, 4, 4),
    "base": Shape(512, 6, 6),
    "small": Shape(768, 12, 12),
    "medium": Shape(1024, 24, 24),
    "turbo": Shape(1280, 32, 4, 128, 51866),
    "large-v3": Shape(1280, 32, 32, 128, 51866),
}


def variables(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every variable of a model, with its shape, as CTranslate2 names them."""
    width = shape.width

    def linear(name: str, outputs: int, inputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}/weight", (outputs, inputs)
        yield f"{name}/bias", (outputs,)

    def norm(name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{name}/beta", (width,)
        yield f"{name}/gamma", (width,)

    def ffn(name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from norm(f"{name}/layer_norm")
        yield from linear(f"{name}/linear_0", 4 * width, width)
        yield from linear(f"{name}/linear_1", width, 4 * width)

    def attention(name: str, first: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from norm(f"{name}/layer_norm")
        yield from linear(f"{name}/linear_0", first * width, width)
        yield from linear(f"{name}/linear_1", 2 * width if first == 1 else width, width)
        if first == 1:  # of another's output: queries, keys with values, and the way out
            yield from linear(f"{name}/linear_2", width, width)

    yield "encoder/conv1/weight", (width, shape.bands, 3)
    yield "encoder/conv1/bias", (width,)
    yield "encoder/conv2/weight", (width, width, 3)
    yield "encoder/conv2/bias", (width,)
    yield "encoder/position_encodings/encodings", (1500, width)
    yield from norm("encoder/layer_norm")
    yield from norm("decoder/layer_norm")
    yield "decoder/embeddings/weight", (shape.vocabulary, width)
    yield "decoder/position_encodings/encodings", (448, width)
    for layer in range(shape.encoder):
        yield from attention(f"encoder/layer_{layer}/self_attention", 3)
        yield from ffn(f"encoder/layer_{layer}/ffn")
    for layer in range(shape.decoder):
        yield from attention(f"decoder/layer_{layer}/self_attention", 3)
        yield from attention(f"decoder/layer_{layer}/attention", 1)
        yield from ffn(f"decoder/layer_{layer}/ffn")


def write_model(folder: Path, shape: Shape) -> None:
    """A folder that CTranslate2 loads. All but the weights is that of base."""
    shutil.copytree(MODELS / "faster-whisper-base", folder, ignore=lambda *_: ["model.bin"])
    if shape.bands != 80:
        (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": shape.bands}))
    plain = template(MODELS / "faster-whisper-base" / "model.bin")
    found = list(variables(shape))
    chance = np.random.default_rng(0)
    with (folder / "model.bin").open("wb") as file:
        file.write(struct.pack("<I", 6) + _name("WhisperSpec"))
        file.write(struct.pack("<II", 3, len(found) + len(plain)))
        for name, value in plain.items():
            if name.endswith("num_heads"):
                value = struct.pack("<h", shape.width // 64)
            file.write(_name(name) + b"\0" + struct.pack("<BI", *_kind(value)) + value)
        for name, size in found:
            _write_random(file, name, size, chance)
        file.write(struct.pack("<I", 1))
        file.write(_name("decoder/projection/weight") + _name("decoder/embeddings/weight"))


def template(path: Path) -> dict[str, bytes]:
    """The variables of a model that are single numbers, such as how many heads there are."""
    found = {}
    with path.open("rb") as file:

        def numbers(form: str) -> tuple[int, ...]:
            return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))

        def name() -> str:
            return file.read(*numbers("H")).rstrip(b"\0").decode()

        numbers("I")
        name()
        for _ in range(numbers("II")[1]):
            variable, (rank,) = name(), numbers("B")
            numbers(f"{rank}I")
            _, size = numbers("BI")
            value = file.read(size)
            if not rank:
                found[variable] = value
    return found


def _kind(value: bytes) -> tuple[int, int]:
    return {1: 1, 2: _INT16, 4: 0}[len(value)], len(value)


def _name(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return struct.pack("<H", len(raw)) + raw


def _write_random(
    file: BinaryIO, name: str, size: tuple[int, ...], chance: np.random.Generator
) -> None:
    scale = 0.02 if len(size) > 1 else 0.0
    values = (scale * chance.standard_normal(size, dtype=np.float32)).astype(np.float16)
    if name.endswith("gamma"):
        values += np.float16(1)
    file.write(_name(name) + struct.pack(f"<B{len(size)}I", len(size), *size))
    file.write(struct.pack("<BI", _FLOAT16, values.nbytes) + values.tobytes())


def measured(folder: Path, encoder: str, threads: int) -> dict[str, Any]:
    """Of one model and one encoder, in this process."""
    allocator.configure()
    from modules.engines.whisperx.model import Model
    from modules.weights.files import ModelSpec

    began = time.monotonic()
    spec = ModelSpec(
        name="random", path=str(folder), device="cpu", compute_type="int8", encoder=encoder
    )
    model = Model(spec, threads)
    load_s = time.monotonic() - began
    bands = model.whisper.feature_extractor.mel_filters.shape[0]
    noise = np.random.default_rng(0).uniform(-0.5, 1, (1, bands, 3000)).astype(np.float32)
    with model.in_use():  # alone, so with all cores
        wall_s, cpu_s = _taken(lambda: model._encode(noise), 5)
        _, text_s = _taken(lambda: _generate(model, model._encode(noise)), 2)
    return {
        "encoder": model.encoder_kind,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "token_s": (text_s - cpu_s) / _TOKENS,
        "load_s": load_s,
        "memory_mb": allocator.resident_mb(),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _generate(model: Any, encoded: Any) -> None:
    import ctranslate2

    model.whisper.model.generate(
        ctranslate2.StorageView.from_array(np.ascontiguousarray(encoded)),
        [[50258, 50263, 50359, 50363]],
        beam_size=5,
        max_length=2 * _TOKENS,
        suppress_tokens=[50257],
    )


def _taken(work: Callable[[], object], times: int) -> tuple[float, float]:
    """The median of wall and of CPU seconds, after a first time."""
    work()
    took = []
    for _ in range(times):
        wall, cpu = time.monotonic(), time.process_time()
        work()
        took.append((time.monotonic() - wall, time.process_time() - cpu))
    return float(np.median([w for w, _ in took])), float(np.median([c for _, c in took]))


def _row(size: str, found: dict[str, Any]) -> tuple[str, ...]:
    return (
        size,
        found["encoder"],
        f"{found['wall_s']:.2f} s",
        f"{found['cpu_s']:.2f} s",
        f"{1000 * found['token_s']:.1f} ms",
        f"{found['load_s']:.1f} s",
        f"{found['memory_mb']:.0f} MiB",
        f"{found['peak_mb']:.0f} MiB",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", default="base,small,medium,turbo,large-v3")
    parser.add_argument("--encoders", default="ctranslate2,bfloat16,float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # measure this one
    options = parser.parse_args()
    if options.folder:
        print(json.dumps(measured(options.folder, options.encoders, options.threads)))
        return
    end_in_order()
    require_everything()
    print(computing())
    rows = [HEADINGS]
    for size in options.sizes.split(","):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / size
            write_model(folder, SHAPES[size])
            for encoder in options.encoders.split(","):
                command = [sys.executable, "-m", "benchmarks.sizes", "--folder", str(folder)]
                command += ["--encoders", encoder, "--threads", str(options.threads)]
                ended = subprocess.run(  # nosec B603 # our own words, no shell
                    command, cwd=PROJECT, capture_output=True, text=True, check=False
                )
                if ended.returncode:
                    print(f"{size}, {encoder}: {ended.stderr.splitlines()[-1:]}", flush=True)
                    continue
                rows.append(_row(size, json.loads(ended.stdout.splitlines()[-1])))
                print("  ".join(rows[-1]), flush=True)
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
