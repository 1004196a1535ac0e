"""Filter expressions as the kernel's own filter, INET_DIAG_REQ_BYTECODE (linux/inet_diag.h, net/ipv4/inet_diag.c).

The bytecode is a row of conditional jumps, forward only. Each operation goes on behind itself where its condition holds
(``yes`` is its own length, and the kernel's audit walks the operations by it) and ``no`` bytes from its own start where
it does not; ``no`` must lead to the start of an operation, to the end of the code, which selects the socket, or to four
bytes behind the end, which rejects it. An attribute, its header included, has less than 64 KiB, so every jump fits the
16 bits of ``no``.
"""

from __future__ import annotations

from _struct import pack

from ...engine.places import interface_index, local_ports
from ...engine.text import digits
from ...errors import NetlinkError, UsageError
from ...uapi.netlink import AF_INET, AF_INET6, AF_UNSPEC
from ...uapi.sock_diag import (
    INET_DIAG_BC_AUTO,
    INET_DIAG_BC_CGROUP_COND,
    INET_DIAG_BC_D_COND,
    INET_DIAG_BC_D_GE,
    INET_DIAG_BC_D_LE,
    INET_DIAG_BC_DEV_COND,
    INET_DIAG_BC_JMP,
    INET_DIAG_BC_MARK_COND,
    INET_DIAG_BC_S_COND,
    INET_DIAG_BC_S_GE,
    INET_DIAG_BC_S_LE,
)
from .filter_conditions import (
    LOCAL,
    Address,
    And,
    Autobound,
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
    leaves,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


_PORTS = {
    (True, ">="): INET_DIAG_BC_S_GE,
    (True, "<="): INET_DIAG_BC_S_LE,
    (False, ">="): INET_DIAG_BC_D_GE,
    (False, "<="): INET_DIAG_BC_D_LE,
}

_ANY_PORT = -1
_LAST_PORT = 0xFFFF

_LONGEST = 0xFFFC - 4
"""Bytes of bytecode that an attribute can hold (linux/netlink.h: nla_len has 16 bits and counts a header of four)."""

# Places in the code are counted from its end, because it is made from its end: that is where jumps lead.
_SELECT = 0
_REJECT = -4

_EPERM, _EINVAL = 1, 22


def compile_filter(
    expression: Expression,
    *,
    interface_index: Callable[[str], int | None] = interface_index,
    local_ports: Callable[[], tuple[int, int]] = local_ports,
) -> bytes:
    """The bytecode for what the expression says, except its states, which have their own place in a request.

    Empty where every socket is selected: a request without bytecode. ``interface_index`` and ``local_ports`` are about
    the network namespace that is asked, as for ``filters.predicate``; an interface that it does not have selects
    nothing. Conditions of families that inet_diag does not list hold for none of its sockets. Raises UsageError where
    the code is longer than the kernel takes.

    Port and address conditions are as old as inet_diag, ``dev`` needs Linux 4.8, ``fwmark`` 4.9 and CAP_NET_ADMIN,
    ``cgroup`` 5.8: see ``check_refusal``. A port is compared for equality by S_COND and D_COND, since S_EQ and D_EQ
    came with 4.16 only.
    """
    code = _Code(interface_index, local_ports)
    code.add(expression.condition, _SELECT, _REJECT)
    return b"".join(reversed(code.operations))


def check_refusal(expression: Expression, error: NetlinkError) -> None:
    """What to do when the kernel answered a request with this expression's bytecode with ``error``.

    Returns where an older kernel lacks a condition that the records of an unfiltered dump can answer: dump all, and
    filter with ``filters.predicate``. Raises NetlinkError, with the reason and what to do, where they cannot, and
    ``error`` itself where it has nothing to do with the filter. The kernel checks the bytecode before it answers, so no
    socket has been listed when this happens.
    """
    kinds = {type(leaf) for leaf in leaves(expression.condition)}
    if error.errno == _EPERM and Mark in kinds:
        raise NetlinkError(
            "filter: 'fwmark'",
            _EPERM,
            "marks are visible only with CAP_NET_ADMIN in the network namespace: run as root",
        ) from None
    if error.errno != _EINVAL or not kinds & {Interface, Mark, Cgroup, Autobound}:
        raise error
    if Cgroup in kinds:
        raise NetlinkError(
            "filter: 'cgroup'",
            _EINVAL,
            "this kernel does not report the cgroups of sockets (needs Linux 5.8 with CONFIG_SOCK_CGROUP_DATA)",
        ) from None
    if Autobound in kinds:
        raise NetlinkError(
            "filter: 'autobound'", _EINVAL, "this kernel cannot filter by this condition, nor do its records show it"
        )


class _Code:
    """The operations, the last first, and the length of all of them."""

    def __init__(
        self, interface_index: Callable[[str], int | None], local_ports: Callable[[], tuple[int, int]]
    ) -> None:
        self.operations: list[bytes] = []
        self._length = 0
        self._interface_index = interface_index
        self._local_ports = local_ports

    def add(self, condition: Condition, yes: int, no: int) -> None:
        """Puts the code of a condition, which goes on at ``yes`` or ``no``, before all that is there."""
        if isinstance(condition, And):
            if not condition.parts:
                self._jump(yes)
            for part in reversed(condition.parts):
                self.add(part, yes, no)
                yes = self._length
        elif isinstance(condition, Or):
            if not condition.parts:
                self._jump(no)
            for part in reversed(condition.parts):
                self.add(part, yes, no)
                no = self._length
        elif isinstance(condition, Not):
            self.add(condition.part, no, yes)
        elif isinstance(condition, Address):
            self._host(condition.side, condition.prefix, condition.length, _ANY_PORT, yes, no)
        elif isinstance(condition, Port):
            self._port(condition, yes, no)
        elif isinstance(condition, Family):
            self._family(condition.name, yes, no)
        elif isinstance(condition, Name):
            self._jump(no)
        elif isinstance(condition, Interface):
            index = self._interface(condition.name)
            if index is None:
                self._jump(no)
            else:
                self._test(INET_DIAG_BC_DEV_COND, pack("=I", index), yes, no)
        elif isinstance(condition, Mark):
            self._test(INET_DIAG_BC_MARK_COND, pack("=II", condition.value, condition.mask), yes, no)
        elif isinstance(condition, Cgroup):
            self._test(INET_DIAG_BC_CGROUP_COND, pack("=Q", condition.id), yes, no)
        else:
            self._autobound(yes, no)

    def _jump(self, target: int) -> None:
        if target != self._length:
            self._put(INET_DIAG_BC_JMP, b"", target)

    def _test(self, code: int, argument: bytes, yes: int, no: int) -> None:
        self._jump(yes)
        self._put(code, argument, no)

    def _put(self, code: int, argument: bytes, no: int) -> None:
        """struct inet_diag_bc_op and what belongs to it."""
        size = 4 + len(argument)
        self._length += size
        if self._length > _LONGEST:
            raise UsageError(f"the filter is longer than the {_LONGEST} bytes that the kernel accepts")
        self.operations.append(pack("=BBH", code, size, self._length - no) + argument)

    def _host(self, side: str, prefix: bytes, length: int, port: int, yes: int, no: int) -> None:
        """struct inet_diag_hostcond. An AF_INET condition also holds for v4-mapped addresses of AF_INET6 sockets."""
        family = {0: AF_UNSPEC, 4: AF_INET, 16: AF_INET6}[len(prefix)]
        code = INET_DIAG_BC_S_COND if side == LOCAL else INET_DIAG_BC_D_COND
        self._test(code, pack("=BBxxi", family, length, port) + prefix, yes, no)

    def _port(self, condition: Port, yes: int, no: int) -> None:
        """Ports above 65535, which other families have, are no IP socket's: the kernel would cut them to 16 bits."""
        side, comparison, number = condition
        if number > _LAST_PORT:
            self._jump(yes if comparison == "<=" else no)
        elif comparison == "=":
            self._host(side, b"", 0, number, yes, no)
        else:
            self._test(_PORTS[side == LOCAL, comparison], pack("=BBH", 0, 0, number), yes, no)

    def _family(self, name: str, yes: int, no: int) -> None:
        """An AF_INET6 condition on no bits holds for IPv6 sockets alone; all others here are IPv4's."""
        if name == "inet6":
            self._host(LOCAL, bytes(16), 0, _ANY_PORT, yes, no)
        elif name == "inet":
            self._host(LOCAL, bytes(16), 0, _ANY_PORT, no, yes)
        else:
            self._jump(no)

    def _interface(self, name: str) -> int | None:
        index = self._interface_index(name)
        return digits(name) if index is None else index

    def _autobound(self, yes: int, no: int) -> None:
        """Not bound by bind(2), and a port of the range that the kernel chooses from.

        Either alone says too much: an accepted connection was not bound itself, but has its listener's port.
        """
        first, last = self._local_ports()
        self._port(Port(LOCAL, "<=", last), yes, no)
        self._port(Port(LOCAL, ">=", first), self._length, no)
        self._test(INET_DIAG_BC_AUTO, b"", self._length, no)
