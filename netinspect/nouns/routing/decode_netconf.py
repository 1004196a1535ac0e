"""Whether a family has settings at all (linux/netconf.h: RTM_GETNETCONF; net/mpls/af_mpls.c)."""

from __future__ import annotations

from struct import pack

from ...engine.netlink.messages import HEADER_SIZE, NLM_F_DUMP, message
from ...engine.rtnetlink import AF_MPLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...engine.netlink.messages import Run

RTM_GETNETCONF = 82


def mpls_request() -> bytes:
    """A dump of the MPLS settings."""
    return message(RTM_GETNETCONF, NLM_F_DUMP, pack("=Bxxx", AF_MPLS))


def has_mpls(runs: Iterable[Run]) -> bool:
    """Whether the answer is of MPLS at all: a kernel without it answers with the settings of all other families."""
    return any(run.length > HEADER_SIZE and run.data[HEADER_SIZE] == AF_MPLS for run in runs)
