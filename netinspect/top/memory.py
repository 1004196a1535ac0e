"""Memory that samples leave behind goes back to the system.

A sample of 50,000 sockets is 30 MB in pieces of all sizes, and two are alive at a time: between what stays, the pieces
that are freed lie about, and the C library keeps them. Without this, a process doubles in some minutes.
"""

from __future__ import annotations

from ctypes import CDLL, c_int, c_size_t
from time import monotonic

_SECONDS = 10.0


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
