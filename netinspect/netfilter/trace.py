"""The kernel's own account of the rules that a packet meets: nftrace (NFNLGRP_NFTRACE).

linux/netfilter/nf_tables.h: NFTA_TRACE_*. Packets are traced from the rule on that says ``meta nftrace set 1``. Only
the first message of each base chain has the packet's headers. Ids are used again for later packets. Of frames with a
VLAN tag nothing is reported at egress, though the rules there apply to them (Linux 6.18).
"""

from __future__ import annotations

from sys import byteorder

from ..engine.netlink.messages import attributes
from ..engine.netlink.subscription import Subscription
from ..uapi import nf_tables as nft
from ..uapi.netlink import NETLINK_NETFILTER
from ..uapi.nf_tables import NFNL_SUBSYS_NFTABLES
from .decode import FAMILIES, Expression
from .machine import FELL_OFF, Verdict, verdict_of
from .packet import UNKNOWN, Interface, Packet, Tracking, Unknown, of_headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Annotated, NamedTuple

    from ..engine.places import Place
else:
    from ..startup import Annotated, NamedTuple

_TYPES = {nft.NFT_TRACETYPE_POLICY: "policy"}
_STATES = {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"}
_BUFFER = 4 << 20


class Event(NamedTuple):
    """One message of a trace: a rule that applied, a chain's end, or a policy."""

    id: Annotated[int, "the packet's number, which later packets have again"]
    family: Annotated[str, "the table's family"]
    table: Annotated[str, "the table"]
    chain: Annotated[str, "the chain"]
    kind: Annotated[str, "rule, return (a chain's end) or policy"]
    handle: Annotated[int | None, "the rule's number in its table; None at a chain's end"]
    verdict: Annotated[Verdict, "its verdict"]
    protocol: Annotated[int | None, "NFPROTO_* of the packet at this hook"]
    link: Annotated[bytes, "the frame's header; headers are empty but in the first message of a base chain"]
    network: Annotated[bytes, "the network header, as far as traced"]
    transport: Annotated[bytes, "the transport header, as far as traced"]
    incoming: Annotated[int | None, "index of the incoming interface"]
    incoming_type: Annotated[int | None, "linux/if_arp.h: ARPHRD_*"]
    outgoing: Annotated[int | None, "index of the outgoing interface"]
    outgoing_type: Annotated[int | None, "linux/if_arp.h: ARPHRD_*"]
    mark: Annotated[int, "the packet's mark"]
    tracking_id: Annotated[int | None, "id of its conntrack entry (Linux 6.16)"]
    tracking_direction: Annotated[str | None, "original or reply"]
    tracking_status: Annotated[int | None, "IPS_* of its conntrack entry; None where none of them is set"]
    tracking_state: Annotated[str | None, "new, established, related, invalid or untracked"]

    @property
    def where(self) -> tuple[str, str, str, int | None, str, str]:
        """What it can be compared by with a step of a walk: place and verdict."""
        return self.family, self.table, self.chain, self.handle, self.kind, str(self.verdict)

    def packet(self, interface: Callable[[int, int | None], Interface]) -> Packet | None:
        """The packet as it was at the base chain that this message begins; None where it does not begin one.

        ``interface`` makes an interface of an index and a type. Marks are those of the time.
        """
        if not self.network and not self.link:
            return None
        packet = of_headers(self.network, self.transport, self.link)
        tracking: Tracking | Unknown | None = UNKNOWN
        if self.tracking_state is not None:
            status = self.tracking_status or 0  # it is reported where it is not 0
            direction: str | Unknown = self.tracking_direction or UNKNOWN
            identity: int | Unknown = UNKNOWN if self.tracking_id is None else self.tracking_id
            tracking = Tracking(self.tracking_state, direction, status, id=identity)
        return packet.replace(
            mark=self.mark,
            incoming=None if self.incoming is None else interface(self.incoming, self.incoming_type),
            outgoing=None if self.outgoing is None else interface(self.outgoing, self.outgoing_type),
            tracking=tracking,
        )


def event(data: bytes) -> Event | None:
    """The event of a netlink message; None where it is of another kind. Raises NetlinkError where it is malformed."""
    if len(data) < 20 or int.from_bytes(data[4:6], byteorder) != (NFNL_SUBSYS_NFTABLES << 8 | nft.NFT_MSG_TRACE):
        return None
    found = Expression("", data, attributes(data, 20, len(data), "reading a trace"))
    kind = found.number(nft.NFTA_TRACE_TYPE) or 0
    verdict = FELL_OFF
    inner = found.nested(nft.NFTA_TRACE_VERDICT)
    if inner is not None:
        code = int.from_bytes(inner.raw(nft.NFTA_VERDICT_CODE) or b"", "big", signed=True)
        verdict = verdict_of(code, inner.text(nft.NFTA_VERDICT_CHAIN))
    policy = found.number(nft.NFTA_TRACE_POLICY)
    if kind == nft.NFT_TRACETYPE_POLICY and policy is not None:
        verdict = verdict_of(policy, "")
    handle = found.number(nft.NFTA_TRACE_RULE_HANDLE)
    word = _TYPES.get(kind) or str(kind)
    if kind in (nft.NFT_TRACETYPE_RULE, nft.NFT_TRACETYPE_RETURN):
        # A chain's end comes as a rule without a number, or as a return, by the kernel; so does a rule's `return`.
        word = "return" if handle is None else "rule"
    state = found.number(nft.NFTA_TRACE_CT_STATE)
    direction = found.raw(nft.NFTA_TRACE_CT_DIRECTION)
    return Event(
        found.number(nft.NFTA_TRACE_ID) or 0,
        FAMILIES.get(data[16]) or str(data[16]),
        found.text(nft.NFTA_TRACE_TABLE),
        found.text(nft.NFTA_TRACE_CHAIN),
        word,
        handle,
        verdict,
        found.number(nft.NFTA_TRACE_NFPROTO),
        found.raw(nft.NFTA_TRACE_LL_HEADER) or b"",
        found.raw(nft.NFTA_TRACE_NETWORK_HEADER) or b"",
        found.raw(nft.NFTA_TRACE_TRANSPORT_HEADER) or b"",
        found.number(nft.NFTA_TRACE_IIF),
        found.number(nft.NFTA_TRACE_IIFTYPE),
        found.number(nft.NFTA_TRACE_OIF),
        found.number(nft.NFTA_TRACE_OIFTYPE),
        found.number(nft.NFTA_TRACE_MARK) or 0,
        found.number(nft.NFTA_TRACE_CT_ID),
        None if not direction else "reply" if direction[0] else "original",
        found.number(nft.NFTA_TRACE_CT_STATUS),
        None if state is None else _STATES.get(state, str(state)),
    )


class Trace:
    """Listens to the traces of a place. ``lost`` of the subscription counts messages that it could not take."""

    def __init__(self, place: Place, buffer: int = _BUFFER) -> None:
        """Raises NetlinkError, with EPERM where it takes a privilege, and NamespaceError."""
        opened = place.connect(NETLINK_NETFILTER)
        self.subscription = Subscription(opened, (nft.NFNLGRP_NFTRACE,), buffer, "listening to nftables' traces")

    def fileno(self) -> int:
        """The descriptor, for poll(2)."""
        return self.subscription.fileno()

    def events(self) -> Iterator[Event]:
        """The events received and not taken yet; ends when there are no more. Raises NetlinkError."""
        for messages in self.subscription.pending():
            for data in messages:
                found = event(data)
                if found is not None:
                    yield found

    def close(self) -> None:
        """Stops listening."""
        self.subscription.close()
