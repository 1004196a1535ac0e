"""What `netinspect sockets` lists, as Socket records."""

from __future__ import annotations

from ..errors import UsageError
from ..nouns.sockets.listing import ALL_STATES, FAMILIES, PROTOCOLS, Query, SocketListing, family_of, state_mask
from ..nouns.sockets.listing_joined import Selection, joined
from .listed import Listed, places_of, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..records import Socket, SocketCount


def sockets(
    protocols: str | Iterable[str] | None = None,
    *,
    families: str | Iterable[str] | None = None,
    states: str | Iterable[str] | None = None,
    filter: str = "",
    pids: int | Iterable[int] = (),
    process_names: str | Iterable[str] = (),
    users: str | int | Iterable[str | int] = (),
    containers: str | Iterable[str] = (),
    processes: bool = False,
    peers: bool = False,
    user_names: bool = False,
    cgroups: bool = False,
    tcp_info: bool = False,
    memory: bool = False,
    netns: str | Iterable[str] | None = None,
    all_netns: bool = False,
) -> Listed[Socket]:
    """Sockets of the current or the selected network namespaces, read over sock_diag(7).

    Selectors, each with one value or several:

    - ``protocols``: any of tcp, mptcp, udp, udplite, sctp, dccp, raw, unix, packet, netlink, tipc, vsock and xdp; None
      is all. A protocol that the kernel cannot list is a problem if it is named, otherwise a note.
    - ``families``: inet, inet6, for the protocols over IP; None is both.
    - ``states``: names of states, see ``netinspect explain``; None is all of them.
    - ``filter``: an expression as in ss(8), applied by the kernel (``dport = :ssh and dst 10.0.0.0/8``).
    - ``pids``, ``process_names`` (patterns), ``users`` (names or ids).
    - ``containers``: of these containers or pods (names or ids), in their network namespaces and the current one unless
      ``netns`` or ``all_netns`` says where; and ports that are published for them.
    - ``netns``: network namespaces by name, process id or path; ``all_netns``: all of them.

    Additional fields: ``processes`` and ``owner_reason`` (``processes``), ``peers``, ``user`` (``user_names``),
    ``cgroup`` (``cgroups``), ``tcp_info`` and ``memory``.

    Raises UsageError for an invalid value, NamespaceError for a namespace that does not exist or cannot be entered, and
    while iterating NetlinkError if the kernel refuses or its answer is malformed. All of them are NetinspectErrors.
    """
    listed = PROTOCOLS if protocols is None else several(protocols)
    of_families = FAMILIES if families is None else several(families)
    for names, known in ((listed, PROTOCOLS), (of_families, FAMILIES)):
        for name in names:
            if name not in known:
                raise UsageError(f"{name!r} is not one of {', '.join(known)}")
    expression = None
    mask = ALL_STATES if states is None else state_mask(several(states))
    if filter:
        from ..nouns.sockets.filter import parse

        expression = parse(filter, family=family_of(listed))
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
    selection = Selection(several(pids), several(process_names), several(users), several(containers))
    places = places_of(netns, all_netns)
    if containers and netns is None and not all_netns:
        from ..nouns.sockets.listing_containers import places_of as places_of_containers

        places = places_of_containers(selection.containers)
    listing = SocketListing(query, places)
    return Listed("Socket", listing, joined(listing, fields, selection))


def socket_counts(found: Listed[Socket]) -> list[SocketCount]:
    """How many sockets there are by protocol, family and state: the rest of a listing of ``sockets``, counted.

    Raises what iterating raises.
    """
    from ..nouns.sockets.listing_counts import counts

    return counts(found.batches())
