"""The rows of net-tools' netstat, line for line (netstat(8) of net-tools 2.10): widths, words, and what is cut.

Some things differ on purpose. Ports and names of services are never cut. Control characters are shown as escapes, and
the path of a unix socket whole, where net-tools ends it at the first blank.
"""

from __future__ import annotations

from _operator import getitem

from ..engine.columns import Array, Column, Constant, diverse
from ..engine.rows import Cell, Endpoints, Texts, literal, rows
from ..engine.text import printable, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from ..engine.columns import Batch

_ENDPOINT = 23
"""Columns of an address with its port. Where they do not suffice, the address is cut, or the row gets longer (-W)."""
_LEAST_ADDRESS = 4
"""Characters of an address that are shown however long the name of its port is."""
_CUTS = [slice(_ENDPOINT - 1 - digits) for digits in range(6)]
"""The shown part of an address, by the number of digits of the port."""
_MAPPED = "::ffff:"
"""What the IPv4 address of an IPv6 socket begins with: netstat leaves it away."""
_CONTEXT = 49
"""Characters that net-tools keeps of a security context; of a longer one it shows the last but one."""

_PROTOCOL_NAMES = {"udplite": "udpl"}
_RAW_STATES = {"ESTABLISHED": "1", "UNCONNECTED": "7"}
"""Numbers, and not names, for lack of states (net/tcp_states.h)."""
_TIMERS = {"retransmit": "on", "delayed_ack": "unkn-5"}
_UNIX_TYPES = {"stream": "STREAM", "dgram": "DGRAM", "raw": "RAW", "4": "RDM", "seqpacket": "SEQPACKET"}
_UNIX_STATES = {"ESTABLISHED": "CONNECTED", "LISTEN": "LISTENING", "UNCONNECTED": ""}


class View:
    """What is shown. ``host`` and ``user`` give names, ``service`` too, by protocol; where they are None, numbers."""

    __slots__ = ("contexts", "extended", "host", "programs", "service", "timers", "user", "wide")

    def __init__(
        self,
        *,
        wide: bool = False,
        extended: bool = False,
        programs: bool = False,
        contexts: bool = False,
        timers: bool = False,
        host: Callable[[str], str] | None = None,
        service: Callable[[str, int], str] | None = None,
        user: Callable[[int], str | None] | None = None,
    ) -> None:
        self.wide = wide
        self.extended = extended
        self.programs = programs
        self.contexts = contexts
        self.timers = timers
        self.host = host
        self.service = service
        self.user = user

    def internet_heading(self, which: str) -> str:
        """The two lines above TCP, UDP and raw sockets; ``which`` says which of them are listed."""
        extended = " User       Inode     " if self.extended else ""
        timers = " Timer" if self.timers else ""
        columns = f"Proto Recv-Q Send-Q {'Local Address':<23} {'Foreign Address':<23} {'State':<11}"
        return f"Active Internet connections ({which})\n{columns}{extended}{self._owner_headings}{timers}\n"

    def unix_heading(self, which: str) -> str:
        """The two lines above unix sockets."""
        columns = "Proto RefCnt Flags       Type       State         I-Node  "
        return f"Active UNIX domain sockets ({which})\n{columns}{self._owner_headings} Path\n"

    @property
    def _owner_headings(self) -> str:
        programs = f" {'PID/Program name':<20}" if self.programs else ""
        return programs + (f"{' Security Context':<50}" if self.contexts else "")

    def owner_cells(self, batch: Batch) -> list[Cell]:
        """The columns ``program`` and ``context``, which joins have added."""
        cells = []
        if self.programs:
            cells.append(_cell(_PROGRAMS, batch.column("program")))
        if self.contexts:
            cells.append(_cell(_CONTEXTS, batch.column("context")))
        return cells


class InternetRows:
    """The rows of one protocol of the Internet families."""

    def __init__(self, protocol: str, view: View) -> None:
        self._protocol = protocol
        self._view = view
        self._numeric = view.host is None and view.service is None
        name = _PROTOCOL_NAMES.get(protocol, protocol)
        self._names = {"inet": f"{name:<6}", "inet6": f"{name + '6':<6}"}
        self._states = Texts(self._state)
        self._numeric_cells = Endpoints(_ENDPOINT)
        self._short = Texts(_without_prefix)
        self._endpoints = Texts(lambda endpoint: self._endpoint(*endpoint))
        self._users = Texts(self._user)

    def text(self, batch: Batch) -> str:
        """The rows of a batch."""
        cells = self._leading_cells(batch)
        if self._view.extended:
            cells.append(_cell(self._users, batch.column("uid")))
            cells.append(_number_cell("%-10d", batch.column("inode"), batch.count))
        cells += self._view.owner_cells(batch)
        if self._view.timers:
            cells.append(self._timer_cell(batch))
        cells.append(Cell("\n"))
        return rows(batch.count, cells)

    def _leading_cells(self, batch: Batch) -> list[Cell]:
        """Protocol, queues, addresses and state."""
        return [
            _cell(self._names, batch.column("family")),
            _number_cell("%6d ", batch.column("recv_queue"), batch.count),
            _number_cell("%6d ", self._send_queues(batch), batch.count),
            *self._endpoint_cells(batch, "local"),
            *self._endpoint_cells(batch, "remote"),
            _cell(self._states, batch.column("state")),
        ]

    def _send_queues(self, batch: Batch) -> Column:
        """What has not been acknowledged. For a listener sock_diag reports the limit of the backlog, netstat
        nothing."""
        queues = batch.column("send_queue")
        states = batch.column("state")
        if "LISTEN" not in states:
            return queues
        if states.constant:
            return Constant(0)
        pairs = zip(batch.values("state"), batch.values("send_queue"), strict=True)
        return Array([0 if state == "LISTEN" else queue for state, queue in pairs])

    def _endpoint_cells(self, batch: Batch, side: str) -> list[Cell]:
        address, port = f"{side}_address", f"{side}_port"
        ports = list(batch.values(port))
        if not self._numeric or batch.column(port).constant or not all(ports):
            pairs = zip(batch.values(address), batch.values(port), strict=True)
            return [Cell(map(self._endpoints.__getitem__, pairs))]
        addresses = batch.column(address)
        if not batch.column("family").is_all("inet"):
            addresses = Array(self._hosts(list(batch.values(address)), ports))
        # Every IPv4 address fits.
        return self._numeric_cells.cells(addresses, batch.count, ports)

    def _hosts(self, addresses: Sequence[str], ports: Sequence[int]) -> list[str]:
        """IPv6 addresses as they are shown beside these ports."""
        if diverse(addresses, 4):
            hosts = [_without_prefix(address) for address in addresses]
        else:
            hosts = list(map(self._short.__getitem__, addresses))
        if self._view.wide or max(map(len, hosts)) + len("65535") < _ENDPOINT:
            return hosts
        digits = map(len, map(str, ports))
        return list(map(getitem, hosts, map(_CUTS.__getitem__, digits)))

    def _endpoint(self, address: str, port: int) -> str:
        """An address and its port as text, with names where wanted; the port 0 is ``*``."""
        host = _shown_host(address, self._view.host)
        service = "*" if not port else self._view.service(self._protocol, port) if self._view.service else str(port)
        if not self._view.wide:
            host = host[: max(_ENDPOINT - 1 - len(service), _LEAST_ADDRESS)]
        return literal(f"{host + ':' + service:<{_ENDPOINT}} ")

    def _state(self, state: str) -> str:
        if self._protocol == "raw":
            state = _RAW_STATES.get(state, state)
        elif self._protocol != "tcp":
            state = {"ESTABLISHED": "ESTABLISHED", "UNCONNECTED": ""}.get(state, "UNKNOWN")
        return literal(f"{state:<11}")

    def _user(self, uid: int) -> str:
        return literal(f" {(self._view.user or str)(uid) or '':<10} ")

    def _timer_cell(self, batch: Batch) -> Cell:
        if self._protocol != "tcp":
            return Cell(" " if self._protocol == "sctp" else " off (0.00/0/0)")
        columns = map(batch.values, ("timer", "retransmits", "probes"))
        return Cell([_timer(*row) for row in zip(*columns, strict=True)])


def _timer(timer: Any, retransmits: int | None, probes: int | None) -> str:
    """The timer with the time left in seconds, and how often was sent again and probed.

    The two numbers are None without tcp_info: for connection requests, whose timer has the first,
    and TIME_WAIT.
    """
    if timer is None:
        return f" off (0.00/{retransmits or 0}/{probes or 0})"
    if retransmits is None:
        retransmits = timer.retransmits
    name = _TIMERS.get(timer.name, timer.name)
    # procfs has hundredths, rounded down.
    return f" {name} ({timer.remaining // 10 / 100:.2f}/{retransmits}/{probes or 0})"


class SctpRows(InternetRows):
    """The rows of SCTP: a further line for each further address, which for associations repeats no port."""

    def __init__(self, view: View) -> None:
        super().__init__("sctp", view)

    def _leading_cells(self, batch: Batch) -> list[Cell]:
        fields = ("state", "recv_queue", "send_queue", "local_port", "remote_port")
        columns = [batch.values(field) for field in fields]
        columns += [self._addresses(batch, side) for side in ("local", "remote")]
        return [Cell([literal(self._lines(*row)) for row in zip(*columns, strict=True)])]

    def _addresses(self, batch: Batch, side: str) -> Iterable[list[str]]:
        pairs = zip(batch.values(f"{side}_addresses"), batch.values(f"{side}_address"), strict=True)
        for all_of_them, first in pairs:
            yield [_shown_host(address, self._view.host) for address in all_of_them or (first,)]

    def _lines(
        self,
        state: str,
        receive_queue: int,
        send_queue: int,
        local_port: int,
        remote_port: int,
        local: list[str],
        remote: list[str],
    ) -> str:
        if not remote_port:  # an endpoint
            lines = [f"{'':14}{f'{address}:{local_port}':<{2 * _ENDPOINT + 1}}" for address in local]
        else:
            count = max(len(local), len(remote))
            local = [f"{local[0]}:{local_port}", *local[1:], *[""] * (count - len(local))]
            remote = [f"{remote[0]}:{remote_port}", *remote[1:], *[""] * (count - len(remote))]
            queues = [f"{receive_queue:6} {send_queue:6} ", *[f"{'':14}"] * (count - 1)]
            lines = [
                f"{queue}{mine:<{_ENDPOINT}} {theirs:<{_ENDPOINT}}"
                for queue, mine, theirs in zip(queues, local, remote, strict=True)
            ]
        further = "".join([f"\n{'':6}{line} {'':11}" for line in lines[1:]])
        return f"sctp  {lines[0]} {state:<11}{further}"


class UnixRows:
    """The rows of unix sockets. The column ``references`` is one that a join has added."""

    def __init__(self, view: View) -> None:
        self._view = view

    def text(self, batch: Batch) -> str:
        """The rows of a batch."""
        cells = [
            Cell("unix  "),
            _number_cell("%-6d ", batch.column("references"), batch.count),
            _cell(_UNIX_FLAGS, batch.column("state")),
            _cell(_UNIX_TYPE_TEXTS, batch.column("type")),
            Cell(map(_unix_state, batch.values("state"), batch.values("inode"))),
            _number_cell("%-8d", batch.column("inode"), batch.count),
            *self._view.owner_cells(batch),
            Cell([literal(f" {_unix_path(path or '')}\n") for path in batch.values("local_address")]),
        ]
        return rows(batch.count, cells)


def _unix_path(name: str) -> str:
    """The name as /proc/net/unix has it: each NUL is a ``@``; a path that begins with ``@`` looks the same."""
    if "\0" in name or name[:2] == "./":
        from ..nouns.sockets.decode_unix import socket_path

        name = text(socket_path(name).replace(b"\0", b"@"))
    return printable(name)


def _unix_state(state: str, inode: int) -> str:
    # Without an inode there is no struct socket yet: the connection has not been accepted.
    shown = _UNIX_STATES.get(state, "UNKNOWN") if inode else "CONNECTING"
    return f"{shown:<13} "


_UNIX_FLAGS = Texts(lambda state: f"{'[ ACC ]' if state == 'LISTEN' else '[ ]':<11} ")
_UNIX_TYPE_TEXTS = Texts(lambda kind: f"{_UNIX_TYPES.get(kind, 'UNKNOWN'):<10} ")
_PROGRAMS = Texts(lambda program: literal(f" {program:<20}"))
_CONTEXTS = Texts(lambda context: literal(f" {context if len(context) <= _CONTEXT else context[1 - _CONTEXT :]:<50}"))


def _cell(texts: Mapping[Any, str], column: Column) -> Cell:
    return Cell(column.text(texts.__getitem__))


def _number_cell(form: str, column: Column, count: int) -> Cell:
    return Cell(form % column.value) if column.constant else Cell(form, column.values(count))


def _without_prefix(address: str) -> str:
    """An address without what makes it an IPv4-mapped one."""
    return address.removeprefix(_MAPPED) if "." in address else address


def _shown_host(address: str, name: Callable[[str], str] | None) -> str:
    if name is None:
        return _without_prefix(address)
    return "[::]" if address == "::" else _without_prefix(name(address))
