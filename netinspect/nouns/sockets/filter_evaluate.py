"""Conditions as functions on socket records: what the kernel's filter does, for sockets that it does not filter.

A condition that cannot apply to a kind of socket decides as ss(8) decides:

- ``src`` and ``dst`` with an IP address hold for IP sockets only; with a wildcard for all.
- ``sport`` and ``dport`` compare the port; for unix sockets the inode number and the peer's, which ss shows as ports;
  for netlink the port id; where there is none (packet, xdp, no peer) 0.
- ``dev``: a socket that is bound to no interface, as all unix and netlink sockets are, has interface 0.
- ``fwmark``, ``cgroup``: a socket that has none, or shows none, has mark 0 and is in cgroup 0. The kernel reports
  marks to CAP_NET_ADMIN only.
- ``autobound``: records do not show whether bind(2) chose the port, so this goes by the range of ports that the kernel
  chooses from; the kernel's filter knows both. A unix socket is autobound without a name or with one of the kernel's
  making ('@' and five hexadecimal digits), a packet socket without protocol and interface, a netlink socket with a port
  id from 2³¹ on, and a vsock socket with a port above 1023.
"""

from __future__ import annotations

from operator import attrgetter

from ...engine.places import interface_index, local_ports
from ...engine.prefixes import packed, within
from ...engine.text import digits
from .filter_conditions import (
    LOCAL,
    Address,
    And,
    Cgroup,
    Condition,
    Expression,
    Family,
    Interface,
    Mark,
    Name,
    Not,
    Or,
    Port,
)
from .filter_states import names_of_states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from ...records import Socket

    Test: TypeAlias = "Callable[[Socket], bool]"

_MAPPED = bytes(10) + b"\xff\xff"
_VSOCK_NAMES = {"0": "hypervisor", "1": "local", "2": "host", "-1": "*", "4294967295": "*"}
"""linux/vm_sockets.h: VMADDR_CID_*, as they are listed."""


def predicate(
    expression: Expression,
    *,
    interface_index: Callable[[str], int | None] = interface_index,
    local_ports: Callable[[], tuple[int, int]] = local_ports,
) -> Test:
    """Whether a socket is selected, states included. The record must have its addresses and ports in numbers.

    ``interface_index`` and ``local_ports`` are of the socket's network namespace; by default, of the current
    one. Both are asked right here, and only if there is a need.
    """
    test = _Tests(interface_index, local_ports).test(expression.condition)
    if expression.states is None:
        return test
    selected = names_of_states(expression.states)
    return lambda socket: socket.state in selected and test(socket)


class _Tests:
    """Makes the test of each condition."""

    def __init__(
        self, interface_index: Callable[[str], int | None], local_ports: Callable[[], tuple[int, int]]
    ) -> None:
        self._interface_index = interface_index
        self._local_ports = local_ports

    def test(self, condition: Condition) -> Test:
        if isinstance(condition, And):
            parts = [self.test(part) for part in condition.parts]
            return lambda socket: all(part(socket) for part in parts)
        if isinstance(condition, Or):
            parts = [self.test(part) for part in condition.parts]
            return lambda socket: any(part(socket) for part in parts)
        if isinstance(condition, Not):
            part = self.test(condition.part)
            return lambda socket: not part(socket)
        if isinstance(condition, Family):
            family = condition.name
            return lambda socket: socket.family == family
        if isinstance(condition, Address):
            return _address(condition)
        if isinstance(condition, Port):
            return _port(condition)
        if isinstance(condition, Name):
            return _name(condition)
        if isinstance(condition, Interface):
            return self._interface(condition.name)
        if isinstance(condition, Mark):
            value, mask = condition
            return lambda socket: (socket.mark or 0) & mask == value
        if isinstance(condition, Cgroup):
            cgroup_id = condition.id
            return lambda socket: (socket.cgroup_id or 0) == cgroup_id
        return self._autobound()

    def _interface(self, name: str) -> Test:
        known = self._interface_index
        wanted = known(name)
        if wanted is not None:
            same: dict[str, bool] = {}

            def is_there(socket: Socket) -> bool:
                interface = socket.interface
                if interface is None:
                    return False
                if interface not in same:  # the name may be an alternative one
                    same[interface] = interface == name or known(interface) == wanted
                return same[interface]

            return is_there
        index = digits(name)
        if index is None:
            return lambda socket: socket.interface == name

        def test(socket: Socket) -> bool:
            if socket.interface is None:
                return index == 0
            # An interface that is gone is listed as if and its index.
            return socket.interface == f"if{index}" or known(socket.interface) == index

        return test

    def _autobound(self) -> Test:
        first, last = self._local_ports()

        def test(socket: Socket) -> bool:
            family, name, port = socket.family, socket.local_address or "", socket.local_port or 0
            if family == "unix":
                return not name or (name[0] == "@" and len(name) == 6 and not name[1:].strip("0123456789abcdef"))
            if family == "packet":
                return name in ("", "none") and socket.interface is None
            if family == "netlink":
                return port >= 1 << 31
            if family == "vsock":
                return port > 1023
            return first <= port <= last

        return test


def _address(condition: Address) -> Test:
    field = attrgetter(f"{condition.side}_address")
    network, length = condition.prefix, condition.length

    def test(socket: Socket) -> bool:
        text = field(socket)
        if text is None or socket.family not in ("inet", "inet6"):
            return False
        address = packed(text)
        if len(network) == 4 and address.startswith(_MAPPED):
            address = address[12:]
        return within(address, network, length)

    return test


def _port(condition: Port) -> Test:
    field = attrgetter(f"{condition.side}_port")
    inode = attrgetter("inode" if condition.side == LOCAL else "peer_inode")
    number = condition.number

    def port(socket: Socket) -> int:
        return (inode if socket.family == "unix" else field)(socket) or 0

    if condition.comparison == "=":
        return lambda socket: port(socket) == number
    if condition.comparison == "<=":
        return lambda socket: port(socket) <= number
    return lambda socket: port(socket) >= number


def _name(condition: Name) -> Test:
    field = attrgetter(f"{condition.side}_address")
    family = condition.family
    if family == "unix":
        from .filter_glob import matcher

        fits = matcher(condition.pattern)

        def matches(text: str) -> bool:
            # ss(8) and /proc/net/unix have a @ for each NUL of an abstract name.
            return fits(text) or ("\0" in text and fits(text.replace("\0", "@")))

    else:
        wanted = condition.pattern.lower()
        if family == "vsock":
            wanted = _VSOCK_NAMES.get(wanted, wanted)

        def matches(text: str) -> bool:
            return text.lower() == wanted

    return lambda socket: socket.family == family and matches(field(socket) or "")
