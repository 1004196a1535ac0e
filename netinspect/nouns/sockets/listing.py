"""Sockets: what to ask of sock_diag, in which namespaces, and what to make of the answers and refusals."""

from __future__ import annotations

from _functools import partial
from errno import ENOENT, EOPNOTSUPP
from itertools import chain

from ...engine.dumps import whole_dump
from ...engine.listing import BaseListing
from ...engine.netlink.transport import Dump
from ...engine.places import InterfaceNames, Place
from ...errors import NetinspectError, NetlinkError
from ...uapi.netlink import AF_UNSPEC, NETLINK_SOCK_DIAG
from . import request as inet_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ...engine.columns import Batch
    from ...engine.netlink.messages import Run
    from .decode_inet import Decoder
    from .filter import Expression

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
    "tipc",
    "vsock",
    "xdp",
)
"""All that can be listed, in the order of a listing."""

IP_PROTOCOLS = ("tcp", "mptcp", "udp", "udplite", "sctp", "dccp", "raw")
"""Those over IPv4 and IPv6."""
UNCONNECTED = ("packet", "netlink", "xdp")
"""Those whose sockets have no peer, as a rule: who names one means them all, as with ss(8)."""

ALL_STATES = (1 << 32) - 1
_LISTEN, _CLOSE, _BOUND_INACTIVE = 1 << 10, 1 << 7, 1 << 13
LISTENING_STATES = _LISTEN | _CLOSE
"""Listeners, and for protocols without connections the sockets without a peer."""
CONNECTED_STATES = ALL_STATES & ~(_LISTEN | _CLOSE | _BOUND_INACTIVE)

_OWN_STATES = frozenset(("raw", "sctp", "dccp"))
"""Protocols whose answers are looked at again: the kernel does not heed the states for raw sockets
(net/ipv4/raw_diag.c) and for SCTP's endpoints with associations (net/sctp/diag.c), and DCCP has other states."""
_LATER_STATE = 1 << 14
"""The bit of the states that are not among the usual ones: set where all that is connected is wanted."""

_ORDERED_ROWS = 2000
"""Rows that are put in order by family: what a person reads."""

_OTHER_FAMILIES = frozenset(("unix", "packet", "netlink", "vsock"))


def family_of(protocols: Sequence[str]) -> str | None:
    """The family that addresses and ports in a filter are of, where they name none; None for IP."""
    return protocols[0] if len(protocols) == 1 and protocols[0] in _OTHER_FAMILIES else None


def state_mask(names: Iterable[str]) -> int:
    """The bits of these states: names in ss's or the kernel's spelling, or ss's groups. Raises UsageError."""
    from .filter_states import STATE_NAMES, state_bits

    mask = 0
    for name in names:
        bits = state_bits(name)
        if bits is None:
            from ...engine.help import unknown

            raise unknown("state", name, STATE_NAMES)
        mask |= bits
    return mask


class Query:
    """What to ask. ``states`` has the bit of every wanted state set (net/tcp_states.h: TCPF_*)."""

    __slots__ = ("any_state", "explicit", "expression", "families", "memory", "protocols", "states", "tcp_info")

    def __init__(
        self,
        protocols: Sequence[str] = PROTOCOLS,
        families: Sequence[str] = FAMILIES,
        states: int = CONNECTED_STATES,
        *,
        explicit: bool = False,
        any_state: Sequence[str] = (),
        expression: Expression | None = None,
        tcp_info: bool = False,
        memory: bool = False,
    ) -> None:
        """``explicit`` means that the protocols were named: one unknown to this kernel is worth a word, and those of
        ``any_state`` are listed whatever their state.
        """
        self.protocols = protocols
        self.families = families
        self.states = states
        self.explicit = explicit
        self.any_state = any_state if explicit else ()
        self.expression = expression
        self.tcp_info = tcp_info
        self.memory = memory


class SocketListing(BaseListing):
    """One listing: ``batches()`` streams it."""

    _made_by: type[Dump] = Dump
    """What its dumps are made by."""
    _gathers = False
    """Whether these join messages of one shape by themselves."""

    def __init__(self, query: Query, places: Sequence[Place] = ()) -> None:
        """Without ``places``: the current namespace."""
        self.query = query
        super().__init__(places)

    def again(self) -> Iterator[Batch]:
        """The same sockets, dumped again."""
        return SocketListing(self.query, self.places).batches()

    def everything(self) -> SocketListing:
        """A listing of all sockets of the same protocols in the same places."""
        query = Query(self.query.protocols, states=ALL_STATES)
        return SocketListing(query, self.places)

    def _place(self, place: Place) -> Iterator[Batch]:
        names = InterfaceNames(place)
        return chain.from_iterable(self._protocol(protocol, place, names) for protocol in self.query.protocols)

    def _protocol(self, protocol: str, place: Place, names: InterfaceNames) -> Iterator[Batch]:
        try:
            if protocol in inet_request.PROTOCOLS:
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
        decoder = _InetDecoder(protocol, names)
        families = [inet_request.ADDRESS_FAMILIES[name] for name in FAMILIES if name in self.query.families]
        if protocol == "tcp" and len(families) == 2:
            try:
                yield from _ipv4_first(self._family(protocol, AF_UNSPEC, place, decoder))
                return
            except NetlinkError as error:
                if error.errno != EOPNOTSUPP:
                    raise  # else this kernel cannot dump both families in one
        for family in families:
            yield from self._family(protocol, family, place, decoder)

    def _family(self, protocol: str, family: int, place: Place, decoder: _InetDecoder) -> Iterator[Batch]:
        def batches(bytecode: bytes) -> Iterator[Batch]:
            request = inet_request.request(
                family,
                inet_request.PROTOCOLS[protocol][0],
                states,
                tcp_info=self.query.tcp_info,
                memory=self.query.memory,
                bytecode=bytecode,
            )
            operation = f"listing {protocol} sockets"
            batches = self._dump(request, operation, place, decoder.batches, decoder.identities)
            if protocol in _OWN_STATES and states != ALL_STATES:
                batches = map(partial(self._in_states, protocol=protocol), batches)
            return batches

        states = self.query.states
        if protocol == "dccp" and states & _LATER_STATE:
            # Before Linux 6.8 this bit was that of a state of DCCP's own (linux/dccp.h: DCCP_PARTOPEN).
            states |= _BOUND_INACTIVE

        if self.query.expression is None:
            yield from batches(b"")
            return
        try:
            yield from batches(self._bytecode(place))
        except NetlinkError as error:
            from .request_filter import check_refusal

            check_refusal(self.query.expression, error)
            # This kernel lacks a condition: it is asked for all, and the records decide.
            yield from self._selected(batches(b""), place)

    def _bytecode(self, place: Place) -> bytes:
        if self.query.expression is None:
            return b""
        from .request_filter import compile_filter

        return compile_filter(
            self.query.expression, interface_index=place.interface_index, local_ports=place.local_ports
        )

    def _unix(self, place: Place) -> Iterator[Batch]:
        from . import decode_unix as unix_diag

        # Peers are reported by inode: their names are known only when the whole dump is there.
        runs: list[Run] = []
        request = unix_diag.request(self.query.states & 0xFFFFFFFF, memory=self.query.memory)

        def keep(run: Run) -> Iterator[Batch]:
            runs.append(run)
            return iter(())

        for _ in self._dump(request, "listing unix sockets", place, keep, unix_diag.identities):
            pass
        names = dict(chain.from_iterable(map(unix_diag.names_by_inode, runs)))
        for run in runs:
            yield from self._selected(unix_diag.decode(run, names), place)

    def _other(self, protocol: str, place: Place, names: InterfaceNames) -> Iterator[Batch]:
        from . import decode_other as other_diag

        decoder = other_diag.Decoder(protocol, names.__getitem__)
        request = other_diag.request(protocol)
        batches = self._dump(request, f"listing {protocol} sockets", place, decoder.batches, decoder.identities)
        if self.query.states != ALL_STATES and protocol not in self.query.any_state:
            batches = map(self._in_states, batches)
        return self._selected(batches, place)

    def _in_states(self, batch: Batch, protocol: str = "") -> Batch:
        from .filter_states import names_of_states

        wanted = names_of_states(self.query.states, protocol)
        return batch.select([state in wanted for state in batch.values("state")])

    def _selected(self, batches: Iterable[Batch], place: Place) -> Iterator[Batch]:
        """Applies the filter expression where the kernel cannot."""
        if self.query.expression is None:
            yield from batches
            return
        from .filter import predicate

        selects = predicate(self.query.expression, interface_index=place.interface_index, local_ports=place.local_ports)
        for batch in batches:
            yield batch.select(list(map(selects, batch)))

    def _dump(
        self,
        request: bytes,
        operation: str,
        place: Place,
        decode: Callable[[Run], Iterable[Batch]],
        identities: Callable[[Run], array[int]],
    ) -> Iterator[Batch]:
        def dump() -> Dump:
            return self._made_by(place.connect(NETLINK_SOCK_DIAG), request, operation)

        # The text of TCP information has many parts: short batches would not pay.
        gather = self.query.tcp_info and not self._gathers
        return whole_dump(operation, dump, decode, identities, "cookie", self.problems.append, gather=gather)

    def _missing(self, protocol: str, place: Place) -> Iterator[Batch]:
        """What to say, and to list instead, where the kernel has no sock_diag for a protocol."""
        from ... import procfs
        from .listing_modules import DIAG_MODULES

        module, option = DIAG_MODULES[protocol]
        if protocol == "raw":
            lacking = f"raw sockets: this kernel has no {module} (CONFIG_{option})"
            try:
                for family in self.query.families:
                    batch = place.call(partial(procfs.raw_sockets, family))
                    yield from self._selected([self._in_states(batch)], place)
            except NetinspectError as error:
                self.problems.append(f"{lacking}, and procfs does not list them either: {error}")
            else:
                self.notes.append(f"{lacking}: listed from procfs instead; `modprobe {module}` may help")
        elif procfs.has_protocol(protocol):
            self._report_unlisted(protocol, f"this kernel has no {module} (CONFIG_{option})", module, place)
        elif self.query.explicit:
            self.problems.append(f"this kernel has no {protocol} sockets")

    def _report_unlisted(self, protocol: str, lacking: str, module: str, place: Place) -> None:
        """Something is missing where there are such sockets, or a protocol was named of which that is not known."""
        from ...procfs import sockets_in_use

        count = place.call(partial(sockets_in_use, protocol))
        if count == 0:
            self.notes.append(f"{protocol} sockets: {lacking}, but /proc/net/protocols counts none")
            return
        # AF_XDP knows no other state.
        shown = protocol != "xdp" or self.query.states & _CLOSE or protocol in self.query.any_state
        missing = self.query.explicit or (count and shown)
        sockets = (
            f"{protocol} sockets" if count is None else f"{protocol} sockets ({count} according to /proc/net/protocols)"
        )
        (self.problems if missing else self.notes).append(
            f"{sockets} are not listed: {lacking}; try `modprobe {module}`"
        )


class _InetDecoder:
    """The decoder of inet_diag, loaded when the kernel has been asked, and is at work."""

    def __init__(self, protocol: str, names: InterfaceNames) -> None:
        self._protocol = protocol
        self._names = names
        self._decoder: Decoder | None = None

    def batches(self, run: Run) -> Iterator[Batch]:
        if self._decoder is None:
            from .decode_inet import Decoder

            self._decoder = Decoder(self._protocol, self._names.__getitem__)
        return self._decoder.batches(run)

    @staticmethod
    def identities(run: Run) -> array[int]:
        from .decode_inet import identities

        return identities(run)


def _ipv4_first(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Both families of one dump, IPv4 first as long as few enough rows come to hold them back."""
    held: list[Batch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.count
        if rows > _ORDERED_ROWS:
            break
    yield from sorted(held, key=_family_name)
    yield from batches


def _family_name(batch: Batch) -> str:
    return next(iter(batch.values("family")), "")
