"""Copies of descriptors that other processes have open (pidfd_getfd(2))."""

from __future__ import annotations

import os
from ctypes import CDLL, c_long, get_errno

_PIDFD_GETFD = 438
"""asm-generic/unistd.h; the same on every architecture but alpha."""
_libc = CDLL(None, use_errno=True)
_libc.syscall.argtypes = (c_long, c_long, c_long, c_long)
_libc.syscall.restype = c_long


def copied(handle: int, descriptor: int) -> int:
    """A copy of a descriptor of the process of a pidfd, for the caller to close.

    Raises OSError: ESRCH and EBADF where it is gone, EPERM where it is kept from us, ENOSYS before Linux 5.6.
    """
    copy: int = _libc.syscall(_PIDFD_GETFD, handle, descriptor, 0)
    if copy < 0:
        number = get_errno()
        raise OSError(number, os.strerror(number))
    return copy
