"""Reading weights from files in CTranslate2's format."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from modules.engines.whisperx.tensors import read
from modules.weights.ct2_file import UnknownFormatError, count_numbers

FLOAT32, INT8, INT16, INT32, FLOAT16, BFLOAT16 = range(6)
KINDS = {np.float32: FLOAT32, np.int8: INT8, np.int16: INT16, np.int32: INT32, np.float16: FLOAT16}


def _name(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return struct.pack("<H", len(raw)) + raw


def _variable(name: str, values: np.ndarray, kind: int | None = None) -> bytes:  # type: ignore[type-arg]
    kind = KINDS[values.dtype.type] if kind is None else kind
    shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
    return _name(name) + shape + struct.pack("<BI", kind, values.nbytes) + values.tobytes()


def _file(path: Path, *variables: bytes, version: int = 6) -> Path:
    head = struct.pack("<I", version) + _name("WhisperSpec")
    path.write_bytes(head + struct.pack("<II", 3, len(variables)) + b"".join(variables))
    return path


def test_what_has_the_prefix_is_read_in_its_shape(tmp_path: Path) -> None:
    bias = np.arange(6, dtype=np.float16).reshape(2, 3)
    path = _file(
        tmp_path / "model.bin",
        _variable("decoder/bias", np.ones(3, np.float32)),
        _variable("encoder/bias", bias),
        _variable("encoder/num_heads", np.array(8, np.int16)),
    )
    found = read(path, "encoder/")
    assert set(found) == {"bias", "num_heads"}
    assert found["bias"].dtype == np.float16
    assert np.array_equal(found["bias"], bias)
    assert found["num_heads"] == 8


def test_numbers_are_counted_without_being_read(tmp_path: Path) -> None:
    path = _file(
        tmp_path / "model.bin",
        _variable("decoder/bias", np.ones(3, np.float32)),
        _variable("encoder/weight", np.ones((2, 3), np.float16)),
        _variable("encoder/num_heads", np.array(8, np.int16), kind=9),  # nobody knows this kind
    )
    assert count_numbers(path, "encoder/") == 7
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UnknownFormatError, match=r"model\.bin ends early"):
        count_numbers(path, "encoder/")


def test_quantised_weights_are_divided_by_their_scale(tmp_path: Path) -> None:
    path = _file(
        tmp_path / "model.bin",
        _variable("a/weight", np.array([[2, 4], [6, 8]], np.int8)),
        _variable("a/weight_scale", np.array([2, 4], np.float32)),
        _variable("b/weight", np.array([[100, 200], [300, 400]], np.int16)),
        _variable("b/weight_scale", np.array(100, np.float32)),
        _variable("c/weight", np.array([[[3], [6]], [[4], [8]]], np.int8)),
        _variable("c/weight_scale", np.array([3, 4], np.float32)),
    )
    found = read(path, "")
    assert set(found) == {"a/weight", "b/weight", "c/weight"}
    assert found["a/weight"].tolist() == [[1, 2], [1.5, 2]], "a scale for each row"
    assert found["b/weight"].tolist() == [[1, 2], [3, 4]]
    assert found["c/weight"].tolist() == [[[1], [2]], [[1], [2]]]


def test_bfloat16_is_the_upper_half_of_float32(tmp_path: Path) -> None:
    exact = np.array([1.5, -2.0, 0.0, 65536.0], np.float32)
    halves = (exact.view(np.uint32) >> 16).astype(np.uint16)
    path = _file(tmp_path / "model.bin", _variable("x", halves, BFLOAT16))
    assert read(path, "")["x"].tolist() == exact.tolist()


@pytest.mark.parametrize("length", [0, 3, 10, 30, 40, 55])
def test_a_file_that_ends_early_is_refused(tmp_path: Path, length: int) -> None:
    path = _file(tmp_path / "model.bin", _variable("encoder/x", np.ones(4, np.float32)))
    assert len(path.read_bytes()) > 55
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UnknownFormatError):
        read(path, "encoder/")


@pytest.mark.parametrize(
    ("variable", "version", "said"),
    [
        (_variable("x", np.ones(4, np.float32)), 5, "binary version 5, where 6 is understood"),
        (_variable("x", np.ones(4, np.int8), 9), 6, "numbers of kind 9"),
        (_variable("x", np.ones(4, np.int8), FLOAT32), 6, "not as long as its shape says"),
    ],
)
def test_what_is_not_understood_is_refused(
    tmp_path: Path, variable: bytes, version: int, said: str
) -> None:
    with pytest.raises(UnknownFormatError, match=said):
        read(_file(tmp_path / "model.bin", variable, version=version), "")
