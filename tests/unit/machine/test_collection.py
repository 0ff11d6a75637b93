"""The collector is paused for as long as anybody needs that."""

from __future__ import annotations

import gc

import pytest

from modules.machine import collection


def test_it_goes_on_when_the_last_block_ends() -> None:
    assert gc.isenabled()
    with collection.paused():
        with collection.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="x"), collection.paused():
        raise ValueError("x")
    assert gc.isenabled()
