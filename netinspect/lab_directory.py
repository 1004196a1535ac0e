"""Where the files of labs that are up are: known without loading the lab."""

from __future__ import annotations

import os

DIRECTORY = "NETINSPECT_LAB_DIRECTORY"
"""The environment variable that puts the files elsewhere: into a directory of their own below it."""
OWN = "netinspect-labs"
"""That directory's name."""


def directory() -> str:
    """Where the files are: below /run for root, else in the user's runtime directory or, without one, below /tmp.

    The root of a user namespace that an ordinary user made may not write to /run, and is that user here.
    """
    chosen = os.environ.get(DIRECTORY)
    if chosen:
        return f"{chosen}/{OWN}"
    if os.geteuid() == 0 and os.access("/run", os.W_OK):
        return "/run/netinspect/labs"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return f"{runtime}/{OWN}" if runtime else f"/tmp/{OWN}-{_outer_uid()}"


def _outer_uid() -> int:
    """This user's id as the user namespace around this one has it (user_namespaces(7)): the same in the initial one."""
    uid = os.geteuid()
    with open("/proc/self/uid_map") as lines:
        for line in lines:
            inside, outside, count = map(int, line.split())
            if inside <= uid < inside + count:
                return outside + uid - inside
    return uid
