"""The Python API: what `netinspect sockets` lists, as an iterator of records."""

from __future__ import annotations

from .collect.joining import Selection, joined
from .collect.places import EveryPlace, Place
from .collect.sockets import ALL_STATES, FAMILIES, PROTOCOLS, Listing, Query, state_mask
from .errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Self

    from .records import Socket


class Sockets:
    """An iterator of Socket records, and a context manager.

    ``close`` ends the listing early and closes what it opened; the end of the iteration and of a ``with`` block do
    so too. ``problems`` has, at the end of the iteration, what could not be listed, and ``notes`` what else is worth
    knowing, such as a fallback that was taken.
    """

    def __init__(self, listing: Listing, fields: Collection[str], selection: Selection) -> None:
        self._listing = listing
        self._records = self._iterate(fields, selection)

    def _iterate(self, fields: Collection[str], selection: Selection) -> Iterator[Socket]:
        for batch in joined(self._listing, fields, selection):
            yield from batch

    @property
    def problems(self) -> Sequence[str]:
        """What could not be listed, and why; one line each."""
        return self._listing.problems

    @property
    def notes(self) -> Sequence[str]:
        """Things worth knowing that leave nothing out; one line each."""
        return self._listing.notes

    def close(self) -> None:
        """Ends the listing and closes its sockets. May be called more than once."""
        self._records.close()  # type: ignore[attr-defined]  # it is a generator

    def __iter__(self) -> Iterator[Socket]:
        return self._records

    def __next__(self) -> Socket:
        return next(self._records)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def sockets(
    protocols: str | Iterable[str] | None = None,
    *,
    families: str | Iterable[str] | None = None,
    states: str | Iterable[str] | None = None,
    filter: str = "",
    pids: int | Iterable[int] = (),
    process_names: str | Iterable[str] = (),
    users: str | int | Iterable[str | int] = (),
    processes: bool = False,
    peers: bool = False,
    user_names: bool = False,
    cgroups: bool = False,
    tcp_info: bool = False,
    memory: bool = False,
    netns: str | Iterable[str] | None = None,
    all_netns: bool = False,
) -> Sockets:
    """The sockets of this machine, or of the network namespaces named, over sock_diag(7).

    What to list, one or several of each:

    - ``protocols``: of tcp, mptcp, udp, udplite, sctp, dccp, raw, unix, packet, netlink, vsock and xdp; None is all.
      One that is named and that the kernel cannot list is a problem, one that is not named a note at most.
    - ``families``: of inet and inet6, for the protocols over IP; None is both.
    - ``states``: names of states, see ``netinspect explain``; None is all of them.
    - ``filter``: an expression as ss(8) has them; the kernel applies it (``dport = :ssh and dst 10.0.0.0/8``).
    - ``pids``, ``process_names`` (patterns), ``users`` (names or ids): those sockets only.
    - ``netns``: a network namespace or several, each by its name, a process id or a path; ``all_netns``: every one.

    What to find out beside what every record has: ``processes`` and ``owner_reason`` (``processes``), ``peers``,
    ``user`` (``user_names``), ``cgroup`` (``cgroups``), ``tcp_info`` and ``memory``.

    Raises UsageError for a value that makes no sense, NamespaceError for a namespace that is not there or may not be
    entered, and while iterating NetlinkError where the kernel refuses or its answers are malformed. All of them are
    NetinspectErrors.
    """
    listed = PROTOCOLS if protocols is None else _several(protocols)
    of_families = FAMILIES if families is None else _several(families)
    for names, known in ((listed, PROTOCOLS), (of_families, FAMILIES)):
        for name in names:
            if name not in known:
                raise UsageError(f"{name!r} is none of {', '.join(known)}")
    expression = None
    mask = ALL_STATES if states is None else state_mask(_several(states))
    if filter:
        from .filters import parse

        expression = parse(filter)
        if expression.states is not None:
            mask &= expression.states
    query = Query(
        listed,
        of_families,
        mask,
        explicit=protocols is not None,
        expression=expression,
        tcp_info=tcp_info,
        memory=memory,
    )
    wanted = {"processes": processes, "peers": peers, "user": user_names, "cgroup": cgroups}
    fields = [field for field, asked in wanted.items() if asked]
    selection = Selection(_several(pids), _several(process_names), _several(users))
    return Sockets(Listing(query, _places(netns, all_netns)), fields, selection)


def _several(values: Any) -> tuple[Any, ...]:
    """Values, of which a single one may stand alone."""
    return (values,) if isinstance(values, str | int) else tuple(values)


def _places(netns: str | Iterable[str] | None, all_netns: bool) -> list[Place]:
    if all_netns:
        if netns is not None:
            raise UsageError("netns and all_netns exclude each other")
        return EveryPlace()
    if netns is None:
        return [Place()]
    if isinstance(netns, str):
        return [Place(netns)]
    return [Place(name, name) for name in netns]
