"""Change detection with netlink multicast groups (netlink(7))."""

from __future__ import annotations

from ...errors import NetlinkError
from ...uapi.netlink import NETLINK_ADD_MEMBERSHIP, SOL_NETLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MSG_DONTWAIT, _MSG_TRUNC = 0x40, 0x20


class Changes:
    """Detects changes of a table, with a socket in one of the groups (RTNLGRP_*, NFNLGRP_*)."""

    def __init__(self, opened: Any, group: int) -> None:
        """Raises NetlinkError if the group cannot be joined."""
        self._socket = opened
        try:
            # Without a port id of its own a socket counts as the kernel's, and receives no events.
            opened.bind((0, 0))
            opened.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        except OSError as error:
            opened.close()
            raise NetlinkError("watching for changes", error.errno or 0) from None

    def heard(self) -> bool:
        """Whether there was a change. One that did not fit into the socket's buffer counts."""
        try:
            self._socket.recvfrom_into(memoryview(bytearray(1)), 1, _MSG_DONTWAIT | _MSG_TRUNC)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Leaves the group."""
        self._socket.close()
