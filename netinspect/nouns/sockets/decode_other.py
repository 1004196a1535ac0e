"""The small sock_diag families: packet, netlink, tipc, vsock and xdp sockets.

Sources: linux/packet_diag.h, linux/netlink_diag.h, linux/vm_sockets_diag.h, linux/xdp_diag.h.
"""

from __future__ import annotations

from _struct import calcsize, pack

from ...engine.columns import NONE, Constant
from ...engine.fields import attribute_u32, numbers, place
from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import message
from ...engine.text import number as number_of
from ...uapi.netlink import AF_NETLINK, AF_PACKET, AF_VSOCK, AF_XDP, NLM_F_DUMP
from ...uapi.sock_diag import (
    NDIAG_PROTO_ALL,
    NDIAG_SHOW_GROUPS,
    NDIAG_SHOW_MEMINFO,
    NETLINK_DIAG_GROUPS,
    NETLINK_DIAG_MEMINFO,
    PACKET_DIAG_INFO,
    PACKET_DIAG_MEMINFO,
    PACKET_DIAG_UID,
    PACKET_SHOW_INFO,
    PACKET_SHOW_MEMINFO,
    SOCK_DIAG_BY_FAMILY,
    XDP_DIAG_INFO,
    XDP_DIAG_MEMINFO,
    XDP_DIAG_UID,
    XDP_SHOW_INFO,
    XDP_SHOW_MEMINFO,
)
from ...uapi.tipc import AF_TIPC
from . import decode_tipc as tipc
from .decode_common import (
    SHUTDOWNS,
    SOCKET,
    TYPES,
    UNCONNECTED_STATES,
    attribute_interfaces,
    cookies,
    drops,
    expect_family,
    identities,
    memory,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable, Iterator

    from ...engine.columns import Batch, Column, Values
    from ...engine.netlink.messages import Layout, Run


_ETHERNET_PROTOCOLS = {
    0x0000: "none",
    0x0001: "802.3",
    0x0003: "all",
    0x0004: "802.2",
    0x0800: "ip",
    0x0806: "arp",
    0x8035: "rarp",
    0x8100: "802.1q",
    0x86DD: "ipv6",
    0x8809: "slow",
    0x8847: "mpls",
    0x8863: "pppoe-discovery",
    0x8864: "pppoe-session",
    0x888E: "eapol",
    0x88A8: "802.1ad",
    0x88CC: "lldp",
    0x88E5: "macsec",
    0x88F7: "ptp",
}
"""linux/if_ether.h: ETH_P_*."""


_NETLINK_CONNECTED = 1
"""net/netlink/af_netlink.c; 0 is not connected any more, and TCP_CLOSE not connected yet."""

_NETLINK_PROTOCOLS = (
    "route",
    "unused",
    "usersock",
    "firewall",
    "sock_diag",
    "nflog",
    "xfrm",
    "selinux",
    "iscsi",
    "audit",
    "fib_lookup",
    "connector",
    "netfilter",
    "ip6_fw",
    "dnrtmsg",
    "kobject_uevent",
    "generic",
    "dm",
    "scsitransport",
    "ecryptfs",
    "rdma",
    "crypto",
    "smc",
)
"""linux/netlink.h: NETLINK_*."""

_VSOCK_ADDRESSES = {0: "hypervisor", 1: "local", 2: "host", 0xFFFFFFFF: "*"}
"""linux/vm_sockets.h: VMADDR_CID_*."""
_VSOCK_ANY_PORT = 0xFFFFFFFF
"""linux/vm_sockets.h: VMADDR_PORT_ANY."""


class Decoder:
    """Decodes one dump of one family. ``interface_name`` gives the name of an interface index."""

    interface_name: Callable[[int], str]

    def __init__(self, family: str, interface_name: Callable[[int], str]) -> None:
        self._family = FAMILIES[family]
        cookie, shape = self._family.cookie, self._family.shape
        self._schema = SOCKET.made_by(
            {
                "protocol": Constant(family),
                "family": Constant(family),
                "source": Constant("sock_diag"),
                "cookie": lambda decoder, run, layout: (
                    tipc.cookie_column(run, layout) if cookie is None else cookies(run, cookie)
                ),
                "unknown_attributes": lambda decoder, run, layout: Constant(shape.unknown(layout)),
                **self._family.makers,
            }
        )
        self.interface_name = interface_name
        self._seen: set[int] = set()

    def batches(self, run: Run) -> Iterator[Batch]:
        """The sockets of a run. Raises NetlinkError where messages are malformed."""
        parts = list(run.by_layout(self._family.body, self._family.shape))
        for part, layout in parts:
            if self._family.cookie is None:
                tipc.check(part, layout)
            else:
                expect_family(part, self._family.number)
        for part, layout in parts:
            batch = self._schema.batch(part.count, self, part, layout)
            yield self._once(batch) if self._family.twice else batch

    def _once(self, batch: Batch) -> Batch:
        """The sockets of a batch that were not there before."""
        new: list[bool] = []
        for cookie in batch.values("cookie"):
            new.append(cookie not in self._seen)
            self._seen.add(cookie)
        return batch if all(new) else batch.select(new)

    def identities(self, run: Run) -> array[int]:
        """The low words of the cookies of a run's sockets."""
        cookie = self._family.cookie
        return tipc.identities(run) if cookie is None else identities(run, self._family.body, cookie)


class _Family:
    """One family: what to ask, the size of the answers' header, the place of the cookie, the attributes, and what
    makes each column.

    Where ``cookie`` is None, as for tipc, the answers begin with no address family, and the cookie is an attribute.
    ``twice`` says that the kernel may list a socket twice.
    """

    __slots__ = ("body", "cookie", "makers", "number", "request", "shape", "twice")

    def __init__(
        self,
        request: bytes,
        body: int,
        cookie: int | None,
        shape: Shape,
        makers: dict[str, Column | Callable[[Decoder, Run, Layout], Values]],
        *,
        twice: bool = False,
    ) -> None:
        self.request = message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, request)
        self.number = request[0]
        self.body = body
        self.cookie = cookie
        self.shape = shape
        self.twice = twice
        self.makers = makers


def request(family: str) -> bytes:
    """A dump of all sockets of one family; these kernel modules know no state filter worth having."""
    return FAMILIES[family].request


def _types(run: Run) -> Values:
    return [TYPES.get(number, str(number)) for number in run.u8(17)]


def _named(names: dict[int, str], number: int) -> str:
    return names.get(number) or f"0x{number:04x}"


def _netlink_protocol(number: int) -> str:
    return _NETLINK_PROTOCOLS[number] if number < len(_NETLINK_PROTOCOLS) else str(number)


_OTHER_NAMES = {
    "packet": {"802_3": 1, "802_2": 4, "mpls_uc": 0x8847, "ppp_disc": 0x8863, "ppp_ses": 0x8864},
    "netlink": {
        "rtnl": 0,
        "fw": 3,
        "tcpdiag": 4,
        "inet_diag": 4,
        "fiblookup": 10,
        "nft": 12,
        "ip6fw": 13,
        "dec-rt": 14,
        "uevent": 15,
        "genl": 16,
        "scsi-trans": 18,
    },
    "vsock": {},
}
"""What iproute2 calls some of them (ss(8), /etc/iproute2/nl_protos), and the kernel did."""


def listed_name(family: str, name: str) -> str | None:
    """What a packet or netlink protocol or a vsock address is listed as.

    ``name`` is that, or what iproute2 calls it, or its number, decimal or after 0x hexadecimal; None where it is none.
    """
    name = name.lower()
    number = _OTHER_NAMES[family].get(name)
    if number is None:
        number = number_of(name)
    if family == "packet":
        return _named(_ETHERNET_PROTOCOLS, number) if number is not None else _among(name, _ETHERNET_PROTOCOLS.values())
    if family == "netlink":
        return _netlink_protocol(number) if number is not None else _among(name, _NETLINK_PROTOCOLS)
    if number is not None:
        return _VSOCK_ADDRESSES.get(number) or str(number)
    return _among(name, _VSOCK_ADDRESSES.values())


def _among(name: str, names: Iterable[str]) -> str | None:
    return name if name in names else None


def _received(run: Run, layout: Layout, kind: int) -> Values:
    """Bytes waiting to be read: the socket's allocated receive memory, for lack of anything better (as ss does)."""
    at = place(run, layout, kind, 4)
    return Constant(0) if at is None else numbers(run, at)


def _sent(run: Run, layout: Layout, kind: int) -> Values:
    at = place(run, layout, kind, 12)
    return Constant(0) if at is None else numbers(run, at + 8)


def _netlink_destinations(run: Run) -> Values:
    """The port id that a socket is connected to: a new one, which is in no state of netlink's, is not connected."""
    states = run.u8(19)
    if _NETLINK_CONNECTED not in states:
        return NONE
    return [port if state == _NETLINK_CONNECTED else None for port, state in zip(run.words(24), states, strict=True)]


def _netlink_groups(run: Run, layout: Layout) -> Values:
    """Numbers of groups, from a bit map of words (unsigned long) in which the lowest bit of the first is group 1."""
    if NETLINK_DIAG_GROUPS not in layout:
        return NONE
    at, size = layout[NETLINK_DIAG_GROUPS]
    words = size // calcsize("@L")
    return [
        tuple(
            1 + position + word * 8 * calcsize("@L")
            for word, bits in enumerate(row)
            for position in range(bits.bit_length())
            if bits >> position & 1
        )
        for row in run.rows(at, {4: "I", 8: "Q"}[calcsize("@L")] * words)
    ]


def _xdp_queues(run: Run, layout: Layout) -> Values:
    at = place(run, layout, XDP_DIAG_INFO, 8)
    return NONE if at is None else run.u32(at + 4)


def _vsock_addresses(run: Run, offset: int) -> Values:
    return [_VSOCK_ADDRESSES.get(address) or str(address) for address in run.words(offset)]


def _vsock_ports(run: Run, offset: int) -> Values:
    return [None if port == _VSOCK_ANY_PORT else port for port in run.words(offset)]


FAMILIES: dict[str, _Family] = {
    "packet": _Family(
        pack("=BBHII8x", AF_PACKET, 0, 0, 0, PACKET_SHOW_INFO | PACKET_SHOW_MEMINFO),
        16,
        24,
        # MCLIST, which groups are listed from, and what a ring, a fanout group and a filter are.
        Shape({PACKET_DIAG_INFO: 4, PACKET_DIAG_UID: 4, PACKET_DIAG_MEMINFO: 12}, (1, 2, 3, 4, 7)),
        {
            "type": lambda decoder, run, layout: _types(run),
            "state": Constant("UNCONNECTED"),
            "recv_queue": lambda decoder, run, layout: _received(run, layout, PACKET_DIAG_MEMINFO),
            "send_queue": lambda decoder, run, layout: _sent(run, layout, PACKET_DIAG_MEMINFO),
            "local_address": lambda decoder, run, layout: [
                _named(_ETHERNET_PROTOCOLS, number) for number in run.u16(18)
            ],
            "interface": lambda decoder, run, layout: attribute_interfaces(
                run, layout, PACKET_DIAG_INFO, decoder.interface_name
            ),
            "uid": lambda decoder, run, layout: attribute_u32(run, layout, PACKET_DIAG_UID),
            "inode": lambda decoder, run, layout: run.u32(20),
            "memory": lambda decoder, run, layout: memory(run, layout, PACKET_DIAG_MEMINFO),
            "drops": lambda decoder, run, layout: drops(run, layout, PACKET_DIAG_MEMINFO),
        },
    ),
    "netlink": _Family(
        pack("=BBHII8x", AF_NETLINK, NDIAG_PROTO_ALL, 0, 0, NDIAG_SHOW_MEMINFO | NDIAG_SHOW_GROUPS),
        28,
        36,
        Shape({NETLINK_DIAG_MEMINFO: 12, NETLINK_DIAG_GROUPS: ANY}, (2, 3, 4)),  # RX_RING, TX_RING, FLAGS
        {
            "type": lambda decoder, run, layout: _types(run),
            "state": lambda decoder, run, layout: [
                "ESTABLISHED" if state == _NETLINK_CONNECTED else "UNCONNECTED" for state in run.u8(19)
            ],
            "recv_queue": lambda decoder, run, layout: _received(run, layout, NETLINK_DIAG_MEMINFO),
            "send_queue": lambda decoder, run, layout: _sent(run, layout, NETLINK_DIAG_MEMINFO),
            "local_address": lambda decoder, run, layout: [_netlink_protocol(number) for number in run.u8(18)],
            "local_port": lambda decoder, run, layout: run.u32(20),
            "remote_port": lambda decoder, run, layout: _netlink_destinations(run),
            "inode": lambda decoder, run, layout: run.u32(32),
            "groups": lambda decoder, run, layout: _netlink_groups(run, layout),
            "memory": lambda decoder, run, layout: memory(run, layout, NETLINK_DIAG_MEMINFO),
            "drops": lambda decoder, run, layout: drops(run, layout, NETLINK_DIAG_MEMINFO),
        },
        # Those that have joined a group are in the table of all, and in the list of members (net/netlink/diag.c).
        twice=True,
    ),
    "tipc": _Family(pack("=BBHI", AF_TIPC, 0, 0, 0xFFFFFFFF), tipc.BODY, None, tipc.SHAPE, tipc.MAKERS),
    "vsock": _Family(
        pack("=BBHIII8x", AF_VSOCK, 0, 0, 0xFFFFFFFF, 0, 0),
        32,
        40,
        Shape({}),
        {
            "type": lambda decoder, run, layout: _types(run),
            "state": lambda decoder, run, layout: list(map(UNCONNECTED_STATES.__getitem__, run.u8(18))),
            "recv_queue": Constant(0),
            "send_queue": Constant(0),
            "shutdown": lambda decoder, run, layout: [SHUTDOWNS[bits & 3] for bits in run.u8(19)],
            "local_address": lambda decoder, run, layout: _vsock_addresses(run, 20),
            "local_port": lambda decoder, run, layout: _vsock_ports(run, 24),
            "remote_address": lambda decoder, run, layout: _vsock_addresses(run, 28),
            "remote_port": lambda decoder, run, layout: _vsock_ports(run, 32),
            "inode": lambda decoder, run, layout: run.u32(36),
        },
    ),
    "xdp": _Family(
        pack("=BBHII8x", AF_XDP, 0, 0, 0, XDP_SHOW_INFO | XDP_SHOW_MEMINFO),
        16,
        24,
        # Rings, buffers and counters.
        Shape({XDP_DIAG_INFO: 8, XDP_DIAG_UID: 4, XDP_DIAG_MEMINFO: 12}, (3, 4, 5, 6, 7, 9)),
        {
            "type": lambda decoder, run, layout: _types(run),
            "state": Constant("UNCONNECTED"),
            "recv_queue": lambda decoder, run, layout: _received(run, layout, XDP_DIAG_MEMINFO),
            "send_queue": lambda decoder, run, layout: _sent(run, layout, XDP_DIAG_MEMINFO),
            "local_port": lambda decoder, run, layout: _xdp_queues(run, layout),
            "interface": lambda decoder, run, layout: attribute_interfaces(
                run, layout, XDP_DIAG_INFO, decoder.interface_name
            ),
            "uid": lambda decoder, run, layout: attribute_u32(run, layout, XDP_DIAG_UID),
            "inode": lambda decoder, run, layout: run.u32(20),
            "memory": lambda decoder, run, layout: memory(run, layout, XDP_DIAG_MEMINFO),
            "drops": lambda decoder, run, layout: drops(run, layout, XDP_DIAG_MEMINFO),
        },
    ),
}
