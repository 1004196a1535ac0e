"""Functions of the C library, by either way of calling them."""

from __future__ import annotations

import errno
import os

import pytest

from netinspect.engine import calls


@pytest.mark.parametrize("bare", [True, False])
def test_functions_give_numbers_take_bytes_and_raise_what_failed(bare: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not bare:  # another Python than CPython

        def lacking(name: str, gives: str) -> None:
            raise ImportError("_ctypes")

        monkeypatch.setattr(calls, "_bare", lacking)
    assert calls.function("getppid", "i")() == os.getppid()
    assert calls.function("strtol")(b"-4294967297", 0, 10) == -4294967297
    for name, gives, arguments in (("close", "i", (-1,)), ("syscall", "l", (-1,))):
        number = errno.EBADF if name == "close" else errno.ENOSYS
        with pytest.raises(OSError, match=os.strerror(number)) as failed:
            calls.function(name, gives)(*arguments)
        assert failed.value.errno == number
    with pytest.raises((AttributeError, OSError)):
        calls.function("no such function")
