"""A program: `dead_mount.py DIRECTORY NUMBER COMMAND…` signals a command that waits for a file system without a server.

In a mount namespace of its own it mounts one at DIRECTORY (fuse(4)), runs the command until it waits for that, or has
ended, sends it the signal (0: none), and ends as the command did; 99 where it has not ended after ten seconds.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

NOT_ENDED = 99
_BOUND = 10.0
_NEW_MOUNTS, _RECURSIVELY_PRIVATE = 0x20000, 0x44000
"""linux/sched.h: CLONE_NEWNS; linux/mount.h: MS_REC | MS_PRIVATE"""


def main() -> int:
    directory, number, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)

    def check(status: int) -> None:
        if status != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    check(libc.unshare(_NEW_MOUNTS))
    check(libc.mount(b"none", b"/", None, _RECURSIVELY_PRIVATE, None))
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    check(
        libc.mount(b"dead", directory.encode(), b"fuse", 0, f"fd={device},rootmode=40000,user_id=0,group_id=0".encode())
    )
    with subprocess.Popen(command) as process:
        until = time.monotonic() + _BOUND
        while process.poll() is None and not _waits(process.pid) and time.monotonic() < until:
            time.sleep(0.01)
        if int(number):
            process.send_signal(int(number))
        try:
            status = process.wait(_BOUND)
        except subprocess.TimeoutExpired:
            process.kill()
            return NOT_ENDED
    return status if status >= 0 else 128 - status


def _waits(pid: int) -> bool:
    try:
        return any("fuse" in (task / "wchan").read_text() for task in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return False


sys.exit(main())
