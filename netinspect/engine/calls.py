"""System calls that Python has no function for: without ctypes where that can be, which takes 5 ms to load."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def function(name: str, gives: str = "l") -> Callable[..., int]:
    """A function of the C library that takes integers and bytes, as long and as their address.

    It gives a long, or an int where ``gives`` is ``i``, and raises OSError where that is -1.
    """
    try:
        call, number, errno = _bare(name, gives)
    except (ImportError, AttributeError, TypeError):  # private names
        call, number, errno = _whole(name, gives)

    def checked(*values: int | bytes) -> int:
        result = call(*[value if isinstance(value, bytes) else number(value) for value in values])
        if result == -1:
            failed = errno()
            raise OSError(failed, posix.strerror(failed))
        return result

    return checked


def _bare(name: str, gives: str) -> tuple[Callable[..., int], Callable[[int], object], Callable[[], int]]:
    """The function, what makes a long, and what has the error: as ctypes makes them of its C part."""
    import _ctypes  # type: ignore[import-not-found, unused-ignore]

    # Made by calls: classes of a type that is not known, as type checkers see it, are not checked.
    number, given = (type("Number", (_ctypes._SimpleCData,), {"_type_": kind}) for kind in ("l", gives))
    flags = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    kind = type("Function", (_ctypes.CFuncPtr,), {"_flags_": flags, "_restype_": given})
    program: Any = None  # as dlopen(3) has it: the C library is a part of it
    return kind(_ctypes.dlsym(_ctypes.dlopen(program, 0), name)), number, _ctypes.get_errno


def _whole(name: str, gives: str) -> tuple[Callable[..., int], Callable[[int], object], Callable[[], int]]:
    from ctypes import CDLL, c_int, c_long, get_errno

    found = CDLL(None, use_errno=True)[name]
    found.restype = c_int if gives == "i" else c_long
    return found, c_long, get_errno
