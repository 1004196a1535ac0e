"""TCP, UDP, UDP-Lite, MPTCP, raw, SCTP and DCCP sockets (linux/inet_diag.h, net/ipv4/inet_diag.c)."""

from __future__ import annotations

from sys import byteorder

from ...engine.addresses import IPv4Texts, IPv6Texts
from ...engine.columns import NONE, Constant, Numbers, Plain
from ...engine.fields import attribute_u32, figures, numbers, place
from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import attributes, malformed
from ...engine.text import text
from ...uapi.netlink import AF_INET
from ...uapi.sock_diag import (
    INET_DIAG_BBRINFO,
    INET_DIAG_CGROUP_ID,
    INET_DIAG_CONG,
    INET_DIAG_DCTCPINFO,
    INET_DIAG_INFO,
    INET_DIAG_LOCALS,
    INET_DIAG_MARK,
    INET_DIAG_PEERS,
    INET_DIAG_SHUTDOWN,
    INET_DIAG_SKMEMINFO,
    INET_DIAG_SKV6ONLY,
    INET_DIAG_SOCKOPT,
    INET_DIAG_ULP_INFO,
    INET_DIAG_VEGASINFO,
    INET_ULP_INFO_NAME,
)
from .decode_common import SOCKET, STATES, UNCONNECTED_STATES, cookies, drops, interfaces, memory, shutdowns
from .decode_common import identities as cookie_words
from .request import ADDRESS_FAMILIES, PROTOCOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator

    from ...engine.columns import Batch, Column, Values
    from ...engine.netlink.messages import Layout, Run
    from ...engine.schema import Schema

CONNECTED_PROTOCOLS = frozenset(("tcp", "mptcp", "sctp", "dccp"))


_TIMERS = {1: "retransmit", 2: "keepalive", 3: "timewait", 4: "probe", 5: "delayed_ack"}

_SCTP_ASSOCIATION_STATES = (
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_PENDING",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECEIVED",
    "SHUTDOWN_ACK_SENT",
    *STATES[8:],
)
"""net/sctp/constants.h: enum sctp_state. Only an association has peer addresses; endpoints have the usual states."""


def _dccp_states() -> tuple[str, ...]:
    """DCCP has two states more than TCP, numbered from TCP_MAX_STATES on (linux/dccp.h): Linux 6.8 raised that to 14.

    By themselves the numbers do not report which it is, and nothing but the release does.
    """
    from ...engine.kernel_release import is_at_least

    first = 14 if is_at_least(6, 8) else 13
    return (*STATES[:first], "PARTOPEN", "PASSIVE_CLOSEREQ", *STATES[first + 2 :])


_OPTIONS: tuple[str | None, ...] = (
    "recverr",
    None,  # is_icsk: no option, but whether the protocol has connections
    "freebind",
    "hdrincl",
    "mc_loop",
    "transparent",
    "mc_all",
    "nodefrag",
    "bind_address_no_port",
    "recverr_rfc4884",
    "defer_connect",
    *(f"unknown-{bit}" for bit in range(11, 16)),
)
"""struct inet_diag_sockopt: its bit-fields, in order."""

# struct inet_diag_msg: offsets behind the netlink header.
_BODY = 72
_FAMILY, _STATE, _TIMER, _RETRANSMITS = 16, 17, 18, 19
_SOURCE_PORT, _DESTINATION_PORT = 20, 22
_SOURCE, _DESTINATION = 24, 40
_INTERFACE, _COOKIE = 56, 60
_EXPIRES, _RECEIVE_QUEUE, _SEND_QUEUE, _UID, _INODE = 68, 72, 76, 80, 84

_SIZES = {
    INET_DIAG_INFO: 4,
    INET_DIAG_VEGASINFO: 16,
    INET_DIAG_CONG: ANY,
    INET_DIAG_SKMEMINFO: 4,
    INET_DIAG_SHUTDOWN: 1,
    INET_DIAG_DCTCPINFO: 16,
    INET_DIAG_SKV6ONLY: 1,
    INET_DIAG_LOCALS: ANY,
    INET_DIAG_PEERS: ANY,
    INET_DIAG_MARK: 4,
    INET_DIAG_BBRINFO: 20,
    INET_DIAG_ULP_INFO: ANY,
    INET_DIAG_CGROUP_ID: 8,
    INET_DIAG_SOCKOPT: 2,
}
_SKIPPED = (
    1,  # MEMINFO, a part of SKMEMINFO
    *(5, 6, 10, 14),  # TOS, TCLASS, PROTOCOL, PAD
    *(17, 18, 20),  # CLASS_ID, MD5SIG, SK_BPF_STORAGES
)
_SMALLEST_INFO = {"tcp": 104, "mptcp": 40}
"""INET_DIAG_INFO with which the structs came into the kernel: tcp_info in 2.6.16, mptcp_info in 5.9."""
_SHAPES = {
    protocol: Shape({**_SIZES, INET_DIAG_INFO: _SMALLEST_INFO.get(protocol, 4)}, _SKIPPED) for protocol in PROTOCOLS
}

_SOCKADDR_STORAGE = 128
"""linux/socket.h: an address of any family takes so much in INET_DIAG_LOCALS and INET_DIAG_PEERS."""

_TCPI_RETRANSMITS, _TCPI_PROBES = 2, 3
"""linux/tcp.h: offsets in struct tcp_info."""

_MAPPED = bytes(10) + b"\xff\xff"
"""What the IPv4 address of an IPv6 socket begins with (RFC 4291, 2.5.5.2)."""

_LISTEN = 10
_LONGEST = 0x7FFFFFFF


class Decoder:
    """Decodes the answers to dumps of one protocol. ``interface_name`` gives the name of an interface index."""

    def __init__(self, protocol: str, interface_name: Callable[[int], str]) -> None:
        self._interface_name = interface_name
        self._ipv4 = IPv4Texts()
        self._ipv6 = IPv6Texts()
        self._states = STATES if protocol in CONNECTED_PROTOCOLS else UNCONNECTED_STATES
        if protocol == "dccp":
            self._states = _dccp_states()
        self._protocol = protocol
        self._endpoints: set[int] = set()
        self.shape = _SHAPES[protocol]
        self._schemas: dict[int, Schema] = {
            number: _INET.made_by(
                {
                    "protocol": Constant(protocol),
                    "family": Constant(name),
                    "type": Constant(PROTOCOLS[protocol][1]),
                }
            )
            for name, number in ADDRESS_FAMILIES.items()
        }

    def batches(self, run: Run) -> Iterator[Batch]:
        """The sockets of a run. Raises NetlinkError where messages are malformed."""
        for part, layout in run.by_layout(_BODY, self.shape):
            for family, same in part.by_value(_FAMILY):
                batch = self._batch(family, same, layout)
                if INET_DIAG_ULP_INFO in layout:
                    batch.column("upper_layer_protocol")  # what is wrong inside shows now, and not once rows are out
                if self._protocol == "sctp" and INET_DIAG_PEERS not in layout:
                    batch = self._once(batch)
                yield batch

    def _once(self, batch: Batch) -> Batch:
        """Endpoints that were not there before: one that listens and has associations comes by itself and with them."""
        new: list[bool] = []
        for cookie in batch.values("cookie"):
            new.append(cookie not in self._endpoints)
            self._endpoints.add(cookie)
        return batch if all(new) else batch.select(new)

    def _batch(self, family: int, run: Run, layout: Layout) -> Batch:
        schema = self._schemas.get(family)
        if schema is None:
            raise malformed(f"a socket of address family {family}", run.operation)
        return schema.batch(run.count, self, run, layout)

    def addresses(self, run: Run, offset: int) -> Values:
        """Address text. An IPv4 socket has its address in the first of the four words."""
        if run.data[_FAMILY] == AF_INET:
            if run.same(offset):
                return Constant(self._ipv4[run.words(offset)[0]])
            return self._ipv4.column(run.words(offset))
        if all(map(run.same, range(offset, offset + 12, 4))):
            first = run.data[offset : offset + 16]
            if run.same(offset + 12):
                return Constant(self._ipv6[first])
            if first.startswith(_MAPPED):
                return Plain(["::ffff:" + text for text in self._ipv4.column(run.words(offset + 12)).values(run.count)])
        return self._ipv6.column(run.unpack(offset, "16s"))

    def address_lists(self, run: Run, layout: Layout, kind: int) -> Values:
        """All addresses of one end of an SCTP association or endpoint, the first one too."""
        if kind not in layout:
            return NONE
        at, size = layout[kind]
        starts = range(at, at + size - _SOCKADDR_STORAGE + 1, _SOCKADDR_STORAGE)
        messages = range(0, len(run.data), run.length)
        return [tuple(self._socket_address(run.data, first + start) for start in starts) for first in messages]

    def _socket_address(self, data: bytes, at: int) -> str:
        """The address in a struct sockaddr_in or sockaddr_in6."""
        if int.from_bytes(data[at : at + 2], byteorder) == AF_INET:
            return self._ipv4[int.from_bytes(data[at + 4 : at + 8], byteorder)]
        return self._ipv6[data[at + 8 : at + 24]]

    def states(self, run: Run, layout: Layout) -> Values:
        states = self._states
        if self._protocol == "sctp" and INET_DIAG_PEERS in layout:
            states = _SCTP_ASSOCIATION_STATES
        numbers = run.u8(_STATE)
        if numbers.count(numbers[0]) == run.count:
            return Constant(states[numbers[0]])
        return list(map(states.__getitem__, numbers))

    def interfaces(self, run: Run) -> Values:
        return interfaces(run.words(_INTERFACE), self._interface_name)

    def timers(self, run: Run) -> Values:
        kinds = run.u8(_TIMER)
        if not any(kinds):
            return NONE
        from ...records import Timer

        # SCTP has but one, by a number of its own (net/sctp/constants.h: SCTP_EVENT_TIMEOUT_T3_RTX).
        names = {4: "retransmit"} if self._protocol == "sctp" else _TIMERS
        return [
            # A timer that is overdue is reported as a negative number, by older kernels.
            Timer(names.get(kind) or f"unknown-{kind}", expires if expires <= _LONGEST else 0, retransmits)
            if kind
            else None
            for kind, retransmits, expires in zip(kinds, run.u8(_RETRANSMITS), run.words(_EXPIRES), strict=True)
        ]

    def tcp_info(self, run: Run, layout: Layout) -> Values:
        if self._protocol != "tcp" or INET_DIAG_INFO not in layout:
            return NONE
        from .decode_tcp_info import tcp_info

        return tcp_info(run, layout, [number == _LISTEN for number in run.u8(_STATE)])

    def mptcp_info(self, run: Run, layout: Layout) -> Values:
        if self._protocol != "mptcp" or INET_DIAG_INFO not in layout:
            return NONE
        from .decode_mptcp_info import mptcp_info_records

        return mptcp_info_records(run, layout)


def identities(run: Run) -> array[int]:
    """The low words of the cookies of a run's sockets."""
    return cookie_words(run, _BODY, _COOKIE)


def _v6only(run: Run, layout: Layout) -> Values:
    at = place(run, layout, INET_DIAG_SKV6ONLY, 1)
    return NONE if at is None else list(map(bool, run.u8(at)))


def _counter(run: Run, layout: Layout, offset: int) -> Values:
    """One of the first bytes of struct tcp_info, without the rest."""
    at = place(run, layout, INET_DIAG_INFO, 4)
    return NONE if at is None else run.u8(at + offset)


def _cgroup_ids(run: Run, layout: Layout) -> Values:
    at = place(run, layout, INET_DIAG_CGROUP_ID, 8)
    return NONE if at is None else figures(run, at, "Q")


def _upper_layer_protocols(run: Run, layout: Layout) -> Values:
    """The name in the nested INET_DIAG_ULP_INFO."""
    if INET_DIAG_ULP_INFO not in layout:
        return NONE
    at, size = layout[INET_DIAG_ULP_INFO]
    names: list[str | None] = []
    for start in range(0, len(run.data), run.length):
        nested = attributes(run.data, start + at, start + at + size, run.operation)
        where, length = nested.get(INET_ULP_INFO_NAME, (0, 0))
        names.append(text(run.data[where : where + length].split(b"\0", 1)[0]) or None)
    return names


def _options(run: Run, layout: Layout) -> Values:
    at = place(run, layout, INET_DIAG_SOCKOPT, 2)
    if at is None:
        return NONE
    words = run.unpack(at, "H")
    names = {word: _option_names(word.to_bytes(2, byteorder)) for word in set(words)}
    return [names[word] for word in words]


def _option_names(raw: bytes) -> tuple[str, ...]:
    """Names of the options that are on. Bit-fields begin with a byte's lowest bit on little-endian machines only."""
    bits = (byte >> (bit if byteorder == "little" else 7 - bit) & 1 for byte in raw for bit in range(8))
    return tuple(name for name, on in zip(_OPTIONS, bits, strict=True) if on and name)


_MAKERS: dict[str, Column | Callable[[Decoder, Run, Layout], Values]] = {
    "source": Constant("sock_diag"),
    "state": lambda decoder, run, layout: decoder.states(run, layout),
    "recv_queue": lambda decoder, run, layout: numbers(run, _RECEIVE_QUEUE),
    "send_queue": lambda decoder, run, layout: numbers(run, _SEND_QUEUE),
    "local_address": lambda decoder, run, layout: decoder.addresses(run, _SOURCE),
    "local_port": lambda decoder, run, layout: Numbers(run.be16(_SOURCE_PORT)),
    "remote_address": lambda decoder, run, layout: decoder.addresses(run, _DESTINATION),
    "remote_port": lambda decoder, run, layout: Numbers(run.be16(_DESTINATION_PORT)),
    "local_addresses": lambda decoder, run, layout: decoder.address_lists(run, layout, INET_DIAG_LOCALS),
    "remote_addresses": lambda decoder, run, layout: decoder.address_lists(run, layout, INET_DIAG_PEERS),
    "interface": lambda decoder, run, layout: decoder.interfaces(run),
    "uid": lambda decoder, run, layout: numbers(run, _UID),
    "inode": lambda decoder, run, layout: Numbers(run.u32(_INODE)),
    "cookie": lambda decoder, run, layout: cookies(run, _COOKIE),
    "timer": lambda decoder, run, layout: decoder.timers(run),
    "mark": lambda decoder, run, layout: attribute_u32(run, layout, INET_DIAG_MARK),
    "cgroup_id": lambda decoder, run, layout: _cgroup_ids(run, layout),
    "shutdown": lambda decoder, run, layout: shutdowns(run, layout, INET_DIAG_SHUTDOWN),
    "v6only": lambda decoder, run, layout: _v6only(run, layout),
    "retransmits": lambda decoder, run, layout: _counter(run, layout, _TCPI_RETRANSMITS),
    "probes": lambda decoder, run, layout: _counter(run, layout, _TCPI_PROBES),
    "tcp_info": lambda decoder, run, layout: decoder.tcp_info(run, layout),
    "mptcp_info": lambda decoder, run, layout: decoder.mptcp_info(run, layout),
    "upper_layer_protocol": lambda decoder, run, layout: _upper_layer_protocols(run, layout),
    "options": lambda decoder, run, layout: _options(run, layout),
    "unknown_attributes": lambda decoder, run, layout: Constant(decoder.shape.unknown(layout)),
    "memory": lambda decoder, run, layout: memory(run, layout, INET_DIAG_SKMEMINFO),
    "drops": lambda decoder, run, layout: drops(run, layout, INET_DIAG_SKMEMINFO),
}
_INET = SOCKET.made_by(_MAKERS)
