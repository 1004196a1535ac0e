"""Sockets: what to ask of sock_diag, in which namespaces, and what to make of the answers and refusals."""

from __future__ import annotations

import os
from _functools import partial
from errno import ENOBUFS, ENOENT
from itertools import chain

from ..batch import Constant
from ..decode import inet_diag, other_diag, unix_diag
from ..decode.sock_diag import STATES
from ..errors import NamespaceError, NetlinkError, UsageError
from ..namespaces import inside, open_namespace
from ..netlink.transport import NETLINK_SOCK_DIAG, Dump, connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..batch import Batch
    from ..filters import Expression
    from ..netlink.messages import Run
    from ..netlink.transport import NetlinkSocket

FAMILIES = ("inet", "inet6")
PROTOCOLS = (
    "tcp",
    "mptcp",
    "udp",
    "udplite",
    "sctp",
    "dccp",
    "raw",
    "unix",
    "packet",
    "netlink",
    "vsock",
    "xdp",
)
"""All that can be listed, in the order of a listing."""

ALL_STATES = (1 << 32) - 1
_LISTEN, _CLOSE, _BOUND_INACTIVE = 1 << 10, 1 << 7, 1 << 13
LISTENING_STATES = _LISTEN | _CLOSE
"""Listeners, and for protocols without connections the sockets without a peer."""
CONNECTED_STATES = ALL_STATES & ~(_LISTEN | _CLOSE | _BOUND_INACTIVE)

STATE_ALIASES = {
    "all": ALL_STATES,
    "connected": CONNECTED_STATES,
    "synchronized": CONNECTED_STATES & ~(1 << 2),
    "bucket": 1 << 3 | 1 << 6,
    "big": ALL_STATES & ~(1 << 3 | 1 << 6),
    "unconnected": _CLOSE,
    "unconn": _CLOSE,
    "closed": _CLOSE,
    "estab": 1 << 1,
    "listening": _LISTEN,
}
"""Names beside the kernel's own; ss(8) has the groups."""

_ATTEMPTS = 3
"""How often an interrupted dump is made anew before the listing is called incomplete."""

_KERNEL_CONFIGURATION = {
    "tcp": ("tcp_diag", "INET_TCP_DIAG"),
    "mptcp": ("mptcp_diag", "INET_MPTCP_DIAG"),
    "udp": ("udp_diag", "INET_UDP_DIAG"),
    "udplite": ("udp_diag", "INET_UDP_DIAG"),
    "sctp": ("sctp_diag", "INET_SCTP_DIAG"),
    "dccp": ("dccp_diag", "INET_DCCP_DIAG"),
    "raw": ("raw_diag", "INET_DIAG_RAW"),
    "unix": ("unix_diag", "UNIX_DIAG"),
    "packet": ("af_packet_diag", "PACKET_DIAG"),
    "netlink": ("netlink_diag", "NETLINK_DIAG"),
    "vsock": ("vsock_diag", "VSOCKETS_DIAG"),
    "xdp": ("xsk_diag", "XDP_SOCKETS_DIAG"),
}
"""Kernel module and configuration option behind each protocol's sock_diag."""


_KERNEL_NAMES = {
    "tcp": "TCP",
    "mptcp": "MPTCP",
    "udp": "UDP",
    "udplite": "UDP-Lite",
    "sctp": "SCTP",
    "dccp": "DCCP",
    "raw": "RAW",
    "unix": "UNIX",
    "packet": "PACKET",
    "netlink": "NETLINK",
    "vsock": "AF_VSOCK",
    "xdp": "XDP",
}
"""The protocols' names in the kernel's list of them (struct proto: name)."""


def state_mask(names: Iterable[str]) -> int:
    """The bits of these states: the kernel's names in any spelling (``syn-recv``, ``SYN_RECV``), or ss's groups.

    Raises UsageError.
    """
    mask = 0
    for name in names:
        wanted = name.lower().replace("-", "_")
        for alias, bits in STATE_ALIASES.items():
            if alias == wanted:
                mask |= bits
                break
        else:
            plain = wanted.replace("_", "")
            numbers = [n for n, state in enumerate(STATES[1:14], 1) if state.lower().replace("_", "") == plain]
            if not numbers:
                known = ", ".join([*(state.lower() for state in STATES[1:14]), *STATE_ALIASES])
                raise UsageError(f"no state {name!r}: {known}")
            mask |= 1 << numbers[0]
    return mask


class Query:
    """What to ask. ``states`` has the bit of every wanted state set (net/tcp_states.h: TCPF_*)."""

    __slots__ = ("explicit", "expression", "families", "memory", "protocols", "states", "tcp_info")

    def __init__(
        self,
        protocols: Sequence[str] = PROTOCOLS,
        families: Sequence[str] = FAMILIES,
        states: int = CONNECTED_STATES,
        *,
        explicit: bool = False,
        expression: Expression | None = None,
        tcp_info: bool = False,
        memory: bool = False,
    ) -> None:
        """``explicit`` means that the protocols were named, so that one unknown to this kernel is worth a word."""
        self.protocols = protocols
        self.families = families
        self.states = states
        self.explicit = explicit
        self.expression = expression
        self.tcp_info = tcp_info
        self.memory = memory


class Place:
    """A network namespace to look into: where to open it, and its label, None where it need not be told."""

    __slots__ = ("descriptor", "label", "name")

    def __init__(self, name: str | None = None, label: str | None = None) -> None:
        """``name`` is what `--netns` takes: a name, a process id or a path; None is the current namespace."""
        self.name = name
        self.label = label
        self.descriptor: int | None = None

    def open(self) -> None:
        """Opens it. Raises NamespaceError."""
        if self.name is not None:
            self.descriptor = open_namespace(self.name)

    def close(self) -> None:
        """Closes it."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def connect(self, connect: Callable[[int], NetlinkSocket], protocol: int) -> NetlinkSocket:
        """A netlink socket inside."""
        return inside(self.descriptor, lambda: connect(protocol))


class Listing:
    """One listing: ``batches()`` streams it. ``problems`` has, at its end, what could not be listed, and why."""

    def __init__(
        self, query: Query, places: Sequence[Place] = (), connect: Callable[[int], NetlinkSocket] = connect
    ) -> None:
        """Without ``places``: the current namespace. ``connect`` opens the netlink sockets."""
        self.query = query
        self.problems: list[str] = []
        self.notes: list[str] = []
        """Things worth knowing that leave nothing out: a fallback that was taken."""
        self._places = places or (Place(),)
        self._connect = connect

    def batches(self) -> Iterator[Batch]:
        """The sockets, as they come. Raises NetlinkError where the kernel refuses altogether, NamespaceError."""
        for place in self._places:
            try:
                place.open()
            except NamespaceError as error:
                if len(self._places) == 1:
                    raise
                self.problems.append(str(error))
                continue
            try:
                yield from self._place(place)
            finally:
                place.close()

    def _place(self, place: Place) -> Iterator[Batch]:
        names = InterfaceNames(place, self._connect)
        for protocol in self.query.protocols:
            for batch in self._protocol(protocol, place, names):
                if place.label is None:
                    yield batch
                else:
                    label = Constant(place.label)
                    yield batch.joined({"netns": lambda _, label=label: label})  # type: ignore[misc]

    def _protocol(self, protocol: str, place: Place, names: InterfaceNames) -> Iterator[Batch]:
        try:
            if protocol in inet_diag.PROTOCOLS:
                yield from self._inet(protocol, place, names)
            elif protocol == "unix":
                yield from self._unix(place)
            else:
                yield from self._other(protocol, place, names)
        except NetlinkError as error:
            if error.errno != ENOENT:
                raise
            yield from self._missing(protocol, place)

    def _inet(self, protocol: str, place: Place, names: InterfaceNames) -> Iterator[Batch]:
        query = self.query
        bytecode = b""
        if query.expression is not None:
            from ..decode.inet_filter import compile_filter

            bytecode = compile_filter(query.expression)
        decoder = inet_diag.Decoder(protocol, names.__getitem__)
        families = [inet_diag.ADDRESS_FAMILIES[name] for name in FAMILIES if name in query.families]
        if protocol == "tcp" and len(families) == 2:
            families = [inet_diag.AF_UNSPEC]
        for family in families:
            request = inet_diag.request(
                family,
                inet_diag.PROTOCOLS[protocol][0],
                query.states,
                tcp_info=query.tcp_info,
                memory=query.memory,
                bytecode=bytecode,
            )
            yield from self._dump(request, f"listing {protocol} sockets", place, decoder.batches)

    def _unix(self, place: Place) -> Iterator[Batch]:
        # Peers are told by inode: their names are known only when the whole dump is there.
        runs: list[Run] = []
        request = unix_diag.request(self.query.states & 0xFFFFFFFF, memory=self.query.memory)

        def keep(run: Run) -> Iterator[Batch]:
            runs.append(run)
            return iter(())

        for _ in self._dump(request, "listing unix sockets", place, keep):
            pass
        names = dict(chain.from_iterable(map(unix_diag.names_by_inode, runs)))
        for run in runs:
            yield from map(self._selected, unix_diag.decode(run, names))

    def _other(self, protocol: str, place: Place, names: InterfaceNames) -> Iterator[Batch]:
        decoder = other_diag.Decoder(protocol, names.__getitem__)
        request = other_diag.request(protocol)
        batches = self._dump(request, f"listing {protocol} sockets", place, decoder.batches)
        if self.query.states != ALL_STATES:
            batches = map(self._in_states, batches)
        return map(self._selected, batches)

    def _in_states(self, batch: Batch) -> Batch:
        wanted = {name for number, name in enumerate(STATES[:14]) if self.query.states >> number & 1}
        if "CLOSE" in wanted:
            wanted.add("UNCONNECTED")
        return batch.select([state in wanted for state in batch.values("state")])

    def _selected(self, batch: Batch) -> Batch:
        """Applies the filter expression where the kernel cannot."""
        if self.query.expression is None:
            return batch
        from ..filters import predicate

        return batch.select(list(map(predicate(self.query.expression), batch)))

    def _dump(
        self, request: bytes, operation: str, place: Place, decode: Callable[[Run], Iterator[Batch]]
    ) -> Iterator[Batch]:
        """One dump, made anew while the kernel says that it was interrupted; no socket is given twice."""
        seen: list[Iterable[int]] = []
        for attempt in range(_ATTEMPTS):
            known = set(chain.from_iterable(seen)) if attempt else None
            dump = Dump(place.connect(self._connect, NETLINK_SOCK_DIAG), request, operation)
            try:
                for run in dump:
                    for batch in decode(run):
                        if known is not None:
                            fresh = [cookie & 0xFFFFFFFF not in known for cookie in batch.values("cookie")]
                            batch = batch.select(fresh)
                        yield batch
            except NetlinkError as error:
                if error.errno != ENOBUFS:
                    raise
            else:
                if not dump.interrupted:
                    return
        self.problems.append(f"{operation}: the kernel's table kept changing in {_ATTEMPTS} dumps: some may be missing")

    def _missing(self, protocol: str, place: Place) -> Iterator[Batch]:
        """What to say, and to list instead, where the kernel has no sock_diag for a protocol."""
        from .. import procfs

        module, option = _KERNEL_CONFIGURATION[protocol]
        if protocol == "raw":
            self.notes.append(
                f"raw sockets: this kernel has no {module} (CONFIG_{option}): listed from procfs instead; "
                f"`modprobe {module}` may bring it"
            )
            for family in self.query.families:
                batch = inside(place.descriptor, partial(procfs.raw_sockets, family))
                yield self._selected(self._in_states(batch))
        elif _KERNEL_NAMES[protocol] in procfs.protocols():
            # A protocol that was not named is worth a word, but no failure.
            (self.problems if self.query.explicit else self.notes).append(
                f"{protocol} sockets are not listed: this kernel has no {module} (CONFIG_{option}); "
                f"try `modprobe {module}`"
            )
        elif self.query.explicit:
            self.problems.append(f"this kernel has no {protocol} sockets")


class InterfaceNames(dict[int, str]):
    """Names of a namespace's interfaces by index, asked for one by one as they are met."""

    def __init__(self, place: Place, connect: Callable[[int], NetlinkSocket] = connect) -> None:
        super().__init__()
        self._place = place
        self._connect = connect

    def __missing__(self, index: int) -> str:
        from ..decode import link
        from ..netlink.transport import NETLINK_ROUTE

        opened = self._place.connect(self._connect, NETLINK_ROUTE)
        try:
            found = link.name(Dump(opened, link.request(index=index), "naming an interface"))
        except NetlinkError:
            found = None  # gone, or in another namespace
        name = self[index] = found or f"if{index}"
        return name
