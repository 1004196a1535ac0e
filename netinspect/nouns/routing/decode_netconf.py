"""Whether a family has settings at all (linux/netconf.h: RTM_GETNETCONF; net/mpls/af_mpls.c)."""

from __future__ import annotations

from _struct import pack

from ...engine.netlink.messages import HEADER_SIZE, message
from ...uapi.netlink import AF_MPLS, NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETNETCONF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...engine.netlink.messages import Run


def mpls_request() -> bytes:
    """A dump of the MPLS settings."""
    return message(RTM_GETNETCONF, NLM_F_DUMP, pack("=Bxxx", AF_MPLS))


def has_mpls(runs: Iterable[Run]) -> bool:
    """Whether the answer is of MPLS at all: a kernel without it answers with the settings of all other families."""
    return any(run.length > HEADER_SIZE and run.data[HEADER_SIZE] == AF_MPLS for run in runs)
