"""Memory that samples leave behind goes back to the system.

A sample of 50,000 sockets is 30 MB in pieces of all sizes, and two are alive at a time: between what stays, the pieces
that are freed lie about, and the C library keeps them. Without this, a process doubles in some minutes.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from ctypes import CDLL, c_int, c_size_t
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 10.0
_OBJECTS = 50_000
"""New containers after which cycles are looked for: those of some ten samples, and of what is drawn meanwhile."""


@contextmanager
def cycles_looked_for_rarely() -> Iterator[None]:
    """A look for cycles visits each value of the new columns, and there are no cycles in them.

    With 100,000 rows that took a twelfth of a sample, and no key was answered meanwhile.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(_OBJECTS, before[0]), *before[1:])  # the program itself begins with more: see bytecode.py
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Trimmer:
    """Gives memory back every few seconds, where the C library can (malloc_trim(3): glibc)."""

    def __init__(self) -> None:
        self._trim = getattr(CDLL(None), "malloc_trim", None)
        self._due = monotonic() + _SECONDS
        if self._trim is not None:
            self._trim.argtypes, self._trim.restype = (c_size_t,), c_int

    def work(self) -> None:
        """Does so where it is time. Other threads go on meanwhile."""
        if self._trim is not None and monotonic() > self._due:
            self._trim(0)
            self._due = monotonic() + _SECONDS
