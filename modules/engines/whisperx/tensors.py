"""Weights from a CTranslate2 file, as float16 where they are stored so, else as float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from modules.weights.ct2_file import Entry, UnknownFormatError, read_entries

Array = npt.NDArray[np.float32 | np.float16]

_BFLOAT16 = 5
_TYPES: dict[int, npt.DTypeLike] = {
    0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16, _BFLOAT16: np.uint16,
}  # fmt: skip
#: What a quantised weight was multiplied by; one number, or one for each row.
_SCALE = "_scale"


def read(path: Path, prefix: str) -> dict[str, Array]:
    """The variables whose name begins with ``prefix``, by the rest of the name.

    Raises UnknownFormatError and OSError.
    """
    with path.open("rb") as file:
        entries = read_entries(file, path)
        wanted = {name: entry for name, entry in entries.items() if name.startswith(prefix)}
        scales = {name: _numbers(file, it) for name, it in wanted.items() if name.endswith(_SCALE)}
        return {
            name.removeprefix(prefix): _unscaled(_numbers(file, entry), scales.get(name + _SCALE))
            for name, entry in wanted.items()
            if name not in scales
        }


def _numbers(file: BinaryIO, entry: Entry) -> Array:
    if entry.kind not in _TYPES:
        raise UnknownFormatError(f"numbers of kind {entry.kind}")
    file.seek(entry.offset)
    raw = file.read(entry.size)
    dtype = np.dtype(_TYPES[entry.kind])
    if len(raw) != entry.size or entry.size != dtype.itemsize * int(np.prod(entry.shape)):
        raise UnknownFormatError("a variable is not as long as its shape says")
    values: Any = np.frombuffer(raw, dtype)
    if entry.kind == _BFLOAT16:  # the upper half of a float32
        values = (values.astype(np.uint32) << 16).view(np.float32)
    if values.dtype != np.float16:
        values = values.astype(np.float32)
    return cast(Array, values.reshape(entry.shape))


def _unscaled(values: Array, scale: Array | None) -> Array:
    if scale is None:
        return values
    by_row = scale.reshape(-1, *(1,) * (values.ndim - 1)) if scale.size > 1 else scale
    return cast(Array, values / by_row)
