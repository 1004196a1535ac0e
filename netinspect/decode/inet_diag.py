"""TCP, UDP, UDP-Lite, MPTCP, raw, SCTP and DCCP sockets (linux/inet_diag.h, net/ipv4/inet_diag.c)."""

from __future__ import annotations

from struct import pack

from ..batch import NONE, Batch, Constant
from ..netlink.messages import NLM_F_DUMP, attribute, malformed, message
from .sock_diag import (
    SOCK_DIAG_BY_FAMILY,
    STATES,
    UNCONNECTED_STATES,
    IPv4Texts,
    IPv6Texts,
    attribute_u32,
    interfaces,
    memory_records,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from ..batch import Column
    from ..netlink.messages import Layout, Run

AF_UNSPEC = 0
AF_INET = 2
AF_INET6 = 10
ADDRESS_FAMILIES = {"inet": AF_INET, "inet6": AF_INET6}

PROTOCOLS = {
    "tcp": (6, "stream"),
    "udp": (17, "dgram"),
    "dccp": (33, "dccp"),
    "sctp": (132, "seqpacket"),
    "udplite": (136, "dgram"),
    "raw": (255, "raw"),
    "mptcp": (262, "stream"),
}
"""IP protocol number (linux/in.h) and socket type of what inet_diag lists."""

CONNECTED_PROTOCOLS = frozenset(("tcp", "mptcp", "sctp", "dccp"))

TCPDIAG_GETSOCK = 18
"""The interface before SOCK_DIAG_BY_FAMILY. Only it can dump both families of TCP in one walk of the kernel's table."""

INET_DIAG_REQ_BYTECODE = 1
INET_DIAG_REQ_PROTOCOL = 3

INET_DIAG_INFO = 2
INET_DIAG_VEGASINFO = 3
INET_DIAG_CONG = 4
INET_DIAG_SKMEMINFO = 7
INET_DIAG_SHUTDOWN = 8
INET_DIAG_DCTCPINFO = 9
INET_DIAG_SKV6ONLY = 11
INET_DIAG_MARK = 15
INET_DIAG_BBRINFO = 16
INET_DIAG_CGROUP_ID = 21

_TIMERS = {1: "retransmit", 2: "keepalive", 3: "timewait", 4: "probe"}
_SHUTDOWNS = ("none", "receive", "send", "both")

# struct inet_diag_msg: offsets behind the netlink header.
_BODY = 72
_FAMILY, _STATE, _TIMER, _RETRANSMITS = 16, 17, 18, 19
_SOURCE_PORT, _DESTINATION_PORT = 20, 22
_SOURCE, _DESTINATION = 24, 40
_INTERFACE, _COOKIE = 56, 60
_EXPIRES, _RECEIVE_QUEUE, _SEND_QUEUE, _UID, _INODE = 68, 72, 76, 80, 84


def request(
    family: int,
    protocol: int,
    states: int,
    *,
    tcp_info: bool = False,
    memory: bool = False,
    bytecode: bytes = b"",
) -> bytes:
    """A dump of one protocol in the states whose bits are set (struct inet_diag_req_v2).

    TCP can be dumped for AF_UNSPEC: both families in one (struct inet_diag_req).
    """
    extensions = 0
    if tcp_info:
        extensions |= 1 << INET_DIAG_INFO - 1 | 1 << INET_DIAG_VEGASINFO - 1 | 1 << INET_DIAG_CONG - 1
    if memory:
        extensions |= 1 << INET_DIAG_SKMEMINFO - 1
    if family == AF_UNSPEC:
        payload = pack("=BxxB48xII", family, extensions, states, 0)
    else:
        payload = pack("=BBBxI48x", family, protocol if protocol < 256 else 255, extensions, states)
    if bytecode:
        payload += attribute(INET_DIAG_REQ_BYTECODE, bytecode)
    if protocol > 255:
        # The header's field has eight bits only (since 5.10, for MPTCP).
        payload += attribute(INET_DIAG_REQ_PROTOCOL, pack("=I", protocol))
    kind = TCPDIAG_GETSOCK if family == AF_UNSPEC else SOCK_DIAG_BY_FAMILY
    return message(kind, NLM_F_DUMP, payload)


class Decoder:
    """Decodes the answers to dumps of one protocol. ``interface_name`` gives the name of an interface index."""

    def __init__(self, protocol: str, interface_name: Callable[[int], str]) -> None:
        self._interface_name = interface_name
        self._ipv4 = IPv4Texts()
        self._ipv6 = IPv6Texts()
        self._states = STATES if protocol in CONNECTED_PROTOCOLS else UNCONNECTED_STATES
        self._protocol = protocol
        self._constants: dict[int, dict[str, Column]] = {
            number: {
                "protocol": Constant(protocol),
                "family": Constant(name),
                "type": Constant(PROTOCOLS[protocol][1]),
                "source": Constant("sock_diag"),
            }
            for name, number in ADDRESS_FAMILIES.items()
        }

    def batches(self, run: Run) -> Iterator[Batch]:
        """The sockets of a run. Raises NetlinkError where messages are malformed."""
        for part, layout in run.by_layout(_BODY):
            for family, same in part.by_value(_FAMILY):
                yield self._batch(family, same, layout)

    def _batch(self, family: int, run: Run, layout: Layout) -> Batch:
        constants = self._constants.get(family)
        if constants is None:
            raise malformed(f"a socket of address family {family}")

        def make(field: str) -> Column:
            constant = constants.get(field)
            if constant is not None:
                return constant
            maker = _MAKERS.get(field)
            return NONE if maker is None else maker(self, run, layout)

        return Batch(run.count, make)

    def addresses(self, run: Run, offset: int) -> Sequence[str]:
        """Address text. An IPv4 socket has its address in the first of the four words."""
        if run.data[_FAMILY] == AF_INET:
            return list(map(self._ipv4.__getitem__, run.u32(offset)))
        return list(map(self._ipv6.__getitem__, run.unpack(offset, "16s")))

    def states(self, run: Run) -> Column:
        numbers = run.u8(_STATE)
        if numbers.count(numbers[0]) == run.count:
            return Constant(self._states[numbers[0]])
        return list(map(self._states.__getitem__, numbers))

    def interfaces(self, run: Run) -> Column:
        return interfaces(run.u32(_INTERFACE), self._interface_name)

    def timers(self, run: Run) -> Column:
        kinds = run.u8(_TIMER)
        if not any(kinds):
            return NONE
        from ..records import Timer

        return [
            Timer(_TIMERS.get(kind, f"unknown-{kind}"), expires, retransmits) if kind else None
            for kind, retransmits, expires in zip(kinds, run.u8(_RETRANSMITS), run.u32(_EXPIRES), strict=True)
        ]

    def tcp_info(self, run: Run, layout: Layout) -> Column:
        at, size = layout.get(INET_DIAG_INFO, (0, 0))
        if not size or self._protocol != "tcp":
            return NONE
        from .tcp_info import congestion_records, tcp_info_records

        names = _attribute_texts(run, layout, INET_DIAG_CONG)
        return tcp_info_records(run, at, size, names, congestion_records(run, layout))


def _attribute_texts(run: Run, layout: Layout, kind: int) -> Sequence[str | None]:
    at, size = layout.get(kind, (0, 0))
    if not size:
        return [None] * run.count
    return [raw.split(b"\0", 1)[0].decode("ascii", "backslashreplace") for raw in run.unpack(at, f"{size}s")]


def _attribute_u8(run: Run, layout: Layout, kind: int, meanings: Callable[[int], Any] | Sequence[Any]) -> Column:
    at, size = layout.get(kind, (0, 0))
    if not size:
        return NONE
    meaning = meanings if callable(meanings) else meanings.__getitem__
    return list(map(meaning, run.u8(at)))


def _cgroup_ids(run: Run, layout: Layout) -> Column:
    at, size = layout.get(INET_DIAG_CGROUP_ID, (0, 0))
    return run.unpack(at, "Q") if size >= 8 else NONE


def _cookies(run: Run) -> Column:
    # Two words, the low one first, in a place that is no multiple of eight.
    return [low | high << 32 for low, high in run.rows(_COOKIE, "II")]


_MAKERS: dict[str, Callable[[Decoder, Run, Layout], Column]] = {
    "state": lambda decoder, run, layout: decoder.states(run),
    "recv_queue": lambda decoder, run, layout: run.u32(_RECEIVE_QUEUE),
    "send_queue": lambda decoder, run, layout: run.u32(_SEND_QUEUE),
    "local_address": lambda decoder, run, layout: decoder.addresses(run, _SOURCE),
    "local_port": lambda decoder, run, layout: run.be16(_SOURCE_PORT),
    "remote_address": lambda decoder, run, layout: decoder.addresses(run, _DESTINATION),
    "remote_port": lambda decoder, run, layout: run.be16(_DESTINATION_PORT),
    "interface": lambda decoder, run, layout: decoder.interfaces(run),
    "uid": lambda decoder, run, layout: run.u32(_UID),
    "inode": lambda decoder, run, layout: run.u32(_INODE),
    "cookie": lambda decoder, run, layout: _cookies(run),
    "timer": lambda decoder, run, layout: decoder.timers(run),
    "mark": lambda decoder, run, layout: attribute_u32(run, layout, INET_DIAG_MARK),
    "cgroup_id": lambda decoder, run, layout: _cgroup_ids(run, layout),
    "shutdown": lambda decoder, run, layout: _attribute_u8(
        run, layout, INET_DIAG_SHUTDOWN, lambda bits: _SHUTDOWNS[bits & 3]
    ),
    "v6only": lambda decoder, run, layout: _attribute_u8(run, layout, INET_DIAG_SKV6ONLY, bool),
    "tcp_info": lambda decoder, run, layout: decoder.tcp_info(run, layout),
    "memory": lambda decoder, run, layout: memory_records(run, layout, INET_DIAG_SKMEMINFO),
}
