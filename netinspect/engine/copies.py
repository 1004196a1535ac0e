"""Copies of descriptors that other processes have open (pidfd_getfd(2)), or that are on their way to one (unix(7))."""

from __future__ import annotations

import _socket
import os
from ctypes import CDLL, c_long, get_errno
from struct import iter_unpack

_PIDFD_GETFD = 438
"""asm-generic/unistd.h; the same on every architecture but alpha."""
_SO_PEEK_OFF, _SCM_PIDFD = 42, 4
"""asm-generic/socket.h and linux/socket.h."""
_MOST_RIGHTS = 253
"""Descriptors that fit into a message (include/net/scm.h: SCM_MAX_FD)."""
_OTHER_RIGHTS = 1024
"""Bytes for what else a socket may be set to receive."""
_QUEUE = 1 << 18
"""Bytes that are looked at for the first message with descriptors: more than a queue of the default size has."""
DEEPEST = 4
"""Sockets in the queues of sockets: the kernel has a limit of its own (include/net/scm.h: UNIX_INFLIGHT_SCM_MAX)."""
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


def copies_on_their_way(descriptor: int) -> list[int]:
    """Copies of the descriptors in the first message in a unix socket's queue that has some, for the caller to close.

    The message stays in the queue. None of a listener, whose queue is that of sockets to come, nor of a socket that
    looks ahead itself (SO_PEEK_OFF): it would find less by our look.
    """
    flags = _socket.MSG_PEEK | _socket.MSG_DONTWAIT | _socket.MSG_CMSG_CLOEXEC
    opened = _socket.socket(fileno=os.dup(descriptor))
    try:
        if opened.getsockopt(_socket.SOL_SOCKET, _SO_PEEK_OFF) >= 0:
            return []
        _, ancillary, _, _ = opened.recvmsg(_QUEUE, _socket.CMSG_SPACE(4 * _MOST_RIGHTS) + _OTHER_RIGHTS, flags)
    except OSError:
        return []
    finally:
        opened.close()
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind in (_socket.SCM_RIGHTS, _SCM_PIDFD):
            descriptors = [number for (number,) in iter_unpack("=i", data[: len(data) // 4 * 4])]
            if kind == _socket.SCM_RIGHTS:
                found += descriptors
            else:
                for number in descriptors:
                    os.close(number)
    return found
