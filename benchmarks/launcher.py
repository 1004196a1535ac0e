"""Runs commands one after the other and says what each cost: a small process of its own inside the lab's namespace.

Small, because a child starts as a copy of its parent, and its peak memory (getrusage(2): ru_maxrss) counts from there:
what is reported as 5 MiB or so may be less. A request is a line: the file for standard output and the command's words,
separated by NUL. The answer is a line too: wall, user and system time in seconds, peak memory in KiB, exit status, and
where that is not zero the end of standard error.
"""

import os
import sys
import time


def main() -> None:
    complaints = os.memfd_create("stderr")
    while request := sys.stdin.readline():
        output, *words = request.rstrip("\n").split("\0")
        started = time.perf_counter()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
                os.dup2(os.open("/dev/null", os.O_RDWR), 0)
                os.dup2(complaints, 2)
                os.execv(words[0], words)
            finally:
                os._exit(127)
        _, status, usage = os.wait4(child, 0)
        wall = time.perf_counter() - started
        code = os.waitstatus_to_exitcode(status)
        said = b"" if code == 0 else os.pread(complaints, 1 << 16, 0).strip().split(b"\n")[-1]
        os.ftruncate(complaints, 0)
        os.lseek(complaints, 0, os.SEEK_SET)
        print(wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss, code, said.decode(), flush=True)


main()
