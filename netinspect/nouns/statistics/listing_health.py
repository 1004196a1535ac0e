"""What an administrator should look at first: a handful of checks over the counters, with thresholds and their sources.

Most look for events that must not happen, such as packets or connections dropped by a full queue. The others are
ratios.
"""

from __future__ import annotations

from ...engine.places import Place, in_places
from ...errors import NetinspectError
from ...records import HealthCheck
from .listing import Figure, Query, figures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ...engine.columns import Batch
    from .listing import Key
    from .listing_samples import Sample

    Counts = dict[str | None, tuple[Place, dict[Key, Figure]]]
    """By label, a place and what is counted there."""

OK, WARNING, CRITICAL, UNKNOWN = "ok", "warning", "critical", "unknown"

_FEWEST = 100
"""Segments, packets or datagrams below which a ratio says nothing."""


class Counted:
    """What was counted, in all or in a time, and what is so now."""

    def __init__(self, changes: dict[Key, int], levels: dict[Key, int]) -> None:
        self.changes = changes
        self.levels = levels

    def of(self, name: str) -> dict[str | None, int]:
        """A counter, ``TcpExt.ListenDrops``, by interface; None is the whole namespace. Empty where there is none."""
        group, _, counter = name.partition(".")
        return {
            interface: value
            for (of_group, of_counter, interface), value in self.changes.items()
            if (of_group, of_counter) == (group, counter)
        }

    def total(self, name: str) -> int | None:
        """A counter of the whole namespace, or of all interfaces together; None where there is none."""
        found = self.of(name)
        if not found:
            return None
        return found[None] if None in found else sum(found.values())

    def level(self, name: str, interface: str | None = None) -> int | None:
        """A current value; None if not reported."""
        group, _, counter = name.partition(".")
        return self.levels.get((group, counter, interface))


class Check:
    """One check. ``figure_of`` gives the figure that decides, and what was found in words; None where nothing is
    reported."""

    __slots__ = ("advice", "counters", "critical", "figure_of", "name", "reason", "unit", "warning")

    def __init__(
        self,
        name: str,
        counters: Sequence[str],
        unit: str,
        warning: float,
        critical: float | None,
        advice: str,
        reason: str,
        figure_of: Callable[[Check, Counted], tuple[float, str] | None] | None = None,
    ) -> None:
        """Without ``figure_of``, the value is the sum of the counters."""
        self.name = name
        self.counters = counters
        self.unit = unit
        self.warning = float(warning)
        self.critical = None if critical is None else float(critical)
        self.advice = advice
        self.reason = reason
        self.figure_of = figure_of or _sum

    def record(self, counted: Counted, label: str | None) -> HealthCheck:
        """The verdict."""
        figure = self.figure_of(self, counted)
        if figure is None:
            value, found, state = None, f"not reported by this kernel: {', '.join(self.counters)}", UNKNOWN
        else:
            value, found = figure
            state = OK
            if value >= self.warning:
                state = WARNING if self.critical is None or value < self.critical else CRITICAL
        return HealthCheck(
            self.name, state, value, self.unit, self.warning, self.critical, found, self.advice, self.reason, label
        )


def _counts_text(counted: Counted, names: Iterable[str]) -> str:
    """The counters that are not 0."""
    shown = []
    for name in names:
        for interface, value in counted.of(name).items():
            if value:
                shown.append(f"{name} {value}" + (f" ({interface})" if interface else ""))
    return ", ".join(shown) or "none"


def _sum(check: Check, counted: Counted) -> tuple[float, str] | None:
    values = [value for value in map(counted.total, check.counters) if value is not None]
    return (float(sum(values)), _counts_text(counted, check.counters)) if values else None


def _ratio(parts: Sequence[str], wholes: Sequence[str]) -> Callable[[Check, Counted], tuple[float, str] | None]:
    """Percent of the whole; 0 if the whole is too small to be meaningful."""

    def figure_of(check: Check, counted: Counted) -> tuple[float, str] | None:
        part = [value for value in map(counted.total, parts) if value is not None]
        whole = sum(value for value in map(counted.total, wholes) if value is not None)
        if not part:
            return None
        found = f"{_counts_text(counted, parts)}, of {' + '.join(wholes)} {whole}"
        if whole < _FEWEST:
            return 0.0, f"{found}: too few to judge"
        return round(100 * sum(part) / whole, 4), found

    return figure_of


def _worst_interface(check: Check, counted: Counted) -> tuple[float, str] | None:
    worst, where = 0.0, "none"
    packets = counted.of("link.rx_packets")
    if not packets:
        return None
    for interface, received in packets.items():
        errors = sum(counted.of(name).get(interface, 0) for name in check.counters)
        whole = received + counted.of("link.tx_packets").get(interface, 0) + errors
        if whole >= _FEWEST and 100 * errors / whole > worst:
            worst, where = round(100 * errors / whole, 4), f"{interface}: {errors} of {whole} packets"
    return worst, where


def _conntrack_failures(check: Check, counted: Counted) -> tuple[float, str] | None:
    values = {name: counted.total(name) for name in check.counters}
    if all(value is None for value in values.values()):
        return None
    failed, dropped, early, chain = (value or 0 for value in values.values())
    found = _counts_text(counted, check.counters)
    if failed and dropped:
        # nf_ct_resolve_clash counts each of them in `drop` too: one packet, not dropped because of a full table.
        found += f" ({min(failed, dropped)} of them the same packets)"
    return float(max(failed, dropped) + early + chain), found


def _tcp_buffers(check: Check, counted: Counted) -> tuple[float, str] | None:
    values = {name: counted.total(name) for name in check.counters}
    if all(value is None for value in values.values()):
        return None
    # A segment without space is counted in RcvPruned, and again by what was done with it.
    pruned, out_of_order, queue, backlog, ahead = (value or 0 for value in values.values())
    return float(max(pruned, queue + ahead) + out_of_order + backlog), _counts_text(counted, check.counters)


def _not_forwarded(check: Check, counted: Counted) -> tuple[float, str] | None:
    figure = _sum(check, counted)
    if figure is None or not figure[0] or not (counted.total("Ip.InAddrErrors") and counted.level("Ip.Forwarding")):
        return figure
    forwards = counted.level("Ip.Forwarding") == 1
    return figure[0], f"{figure[1]}; net.ipv4.ip_forward is {'1' if forwards else '0: this host forwards nothing'}"


def _dropped(check: Check, counted: Counted) -> tuple[float, str] | None:
    worst, where = 0.0, "none"
    packets = counted.of("link.rx_packets")
    if not packets:
        return None
    sent = counted.of("link.tx_packets")
    for way, passed in (("rx", packets), ("tx", sent)):
        for interface, dropped in counted.of(f"link.{way}_dropped").items():
            # What was received and then dropped is among the packets received; what was to be sent is not.
            whole = passed.get(interface, 0) + (dropped if way == "tx" else 0)
            if whole >= _FEWEST and 100 * dropped / whole > worst:
                worst = round(100 * dropped / whole, 4)
                where = f"{interface}: link.{way}_dropped {dropped} of {whole} packets"
    return worst, where


def _conntrack_use(check: Check, counted: Counted) -> tuple[float, str] | None:
    entries, maximum = counted.level("conntrack.entries"), counted.level("conntrack.maximum")
    if entries is None or not maximum:
        return None
    return round(100 * entries / maximum, 2), f"{entries} of {maximum} entries"


def _neighbour_use(check: Check, counted: Counted) -> tuple[float, str] | None:
    worst: tuple[float, str] | None = None
    for table in ("arp_cache", "ndisc_cache"):
        entries, most = (counted.level(f"neighbour.{name}", table) for name in ("entries", "gc_thresh3"))
        if entries is not None and most:
            use = round(100 * entries / most, 2)
            if worst is None or use > worst[0]:
                worst = use, f"{table}: {entries} of {most} entries"
    return worst


_ANY = (
    "Any is too many: each is a packet or a connection lost in this host, not on the way: a queue or buffer was full. "
)
_CHECKSUMS = (
    *("IpExt.InCsumErrors", "Icmp.InCsumErrors", "Icmp6.Icmp6InCsumErrors", "Tcp.InCsumErrors", "Udp.InCsumErrors"),
    *("Udp6.Udp6InCsumErrors", "UdpLite.InCsumErrors", "UdpLite6.UdpLite6InCsumErrors"),
)

CHECKS = (
    Check(
        "listen queue overflows",
        ("TcpExt.ListenOverflows", "TcpExt.TCPReqQFullDrop", "TcpExt.TCPFastOpenListenOverflow"),
        "connections",
        1,
        None,
        "A listener's accept queue, or its queue of half-open connections, was full: clients had to wait or failed. "
        "`netinspect sockets -tl` shows each queue (recv_queue) and its limit (send_queue): make the program accept "
        "faster, or raise its backlog and net.core.somaxconn.",
        _ANY + "listen(2), net/ipv4/tcp_input.c (tcp_conn_request), Documentation/networking/snmp_counter.rst.",
    ),
    Check(
        "SYN cookies",
        ("TcpExt.SyncookiesSent",),
        "segments",
        1,
        None,
        "More connections were begun than the queue of half-open ones holds: a SYN flood, or real load. Look at who "
        "they come from (`netinspect sockets --state syn-recv`); for real load raise net.ipv4.tcp_max_syn_backlog and "
        "the program's backlog.",
        "Any: cookies are sent only when the queue is full (tcp_syncookies=1), and such connections lose options "
        "where timestamps are off. RFC 4987; Documentation/networking/ip-sysctl.rst, tcp_syncookies.",
    ),
    Check(
        "TCP retransmissions",
        ("Tcp.RetransSegs", "Tcp.OutSegs"),
        "percent",
        1,
        5,
        "Segments are lost on the path, or arrive too late. `netinspect sockets -ti` shows for which peers; look at "
        "the "
        "interfaces' errors, at full queues, and at the path.",
        "Standard TCP's congestion window settles at 1.2/sqrt(p) segments for a loss of p (RFC 3649, section 3): 12 at "
        "1 %, 5 at 5 %, which is slow on any path that is not very short.",
        _ratio(("Tcp.RetransSegs",), ("Tcp.OutSegs", "Tcp.RetransSegs")),
    ),
    Check(
        "checksum errors",
        _CHECKSUMS,
        "percent",
        0.003,
        0.1,
        "Packets arrive damaged: memory or firmware of a card, a switch or a router, or broken checksum offloading "
        "(`ethtool -K … rx off` shows whether it is that). The link's own check (rx_crc_errors) did not find it.",
        "1 in 32,000 to 1 in 1,100 packets fail the checksum in the field, and less where all is well: Stone and "
        "Partridge, When the CRC and TCP Checksum Disagree, SIGCOMM 2000.",
        _ratio(_CHECKSUMS, ("Ip.InReceives", "Ip6.Ip6InReceives")),
    ),
    Check(
        "UDP receive buffers",
        ("Udp.RcvbufErrors", "Udp6.Udp6RcvbufErrors", "UdpLite.RcvbufErrors", "UdpLite6.UdpLite6RcvbufErrors"),
        "datagrams",
        1,
        None,
        "A program reads too slowly for what it is sent. `netinspect sockets -uam` shows whose queue is full "
        "(recv_queue) and what was dropped: raise SO_RCVBUF and net.core.rmem_max, or make it faster.",
        _ANY + "udp(7); net/ipv4/udp.c (__udp_enqueue_schedule_skb); RFC 4113 counts them with udpInErrors.",
    ),
    Check(
        "TCP receive buffers",
        ("TcpExt.RcvPruned", "TcpExt.OfoPruned", "TcpExt.TCPRcvQDrop", "TcpExt.TCPBacklogDrop", "TcpExt.TCPOFODrop"),
        "events",
        1,
        None,
        "Segments that were within the window had to be dropped since the socket's memory was used up, so they are "
        "sent again. `netinspect sockets -tm` shows whose: raise net.ipv4.tcp_rmem, or make the program read faster.",
        _ANY + "Documentation/networking/snmp_counter.rst; net/ipv4/tcp_input.c (tcp_prune_queue).",
        _tcp_buffers,
    ),
    Check(
        "TCP and UDP memory limits",
        (
            *("TcpExt.TCPAbortOnMemory", "TcpExt.TCPMemoryPressures", "TcpExt.TCPTimeWaitOverflow"),
            *("Udp.MemErrors", "Udp6.Udp6MemErrors"),
        ),
        "events",
        1,
        None,
        "All sockets together came to a limit: tcp_mem, udp_mem, tcp_max_orphans or tcp_max_tw_buckets. "
        "`netinspect stats sockstat` shows what is in use.",
        _ANY + "tcp(7): tcp_mem, tcp_max_orphans, tcp_max_tw_buckets; udp(7): udp_mem.",
    ),
    Check(
        "conntrack failures",
        ("conntrack.insert_failed", "conntrack.drop", "conntrack.early_drop", "conntrack.chain_toolong"),
        "events",
        1,
        None,
        "Connection tracking dropped packets. insert_failed: another flow had the same addresses and ports, as where "
        "NAT finds no free port (`netinspect nat outside`); that is no full table. drop beyond insert_failed, and "
        "early_drop: the table was full (`netinspect conntrack count`).",
        _ANY + "conntrack(8) -S; net/netfilter/nf_conntrack_core.c (nf_ct_resolve_clash, nf_conntrack_in, early_drop).",
        _conntrack_failures,
    ),
    Check(
        "conntrack table",
        ("conntrack.entries", "conntrack.maximum"),
        "percent",
        75,
        90,
        "When it is full, new connections are dropped. `netinspect conntrack top` shows whose they are: raise "
        "net.netfilter.nf_conntrack_max, shorten timeouts, or do not track what needs no tracking (notrack).",
        "75 %: the Prometheus node-exporter mixin (NodeHighNumberConntrackEntriesUsed); 90 %: OpenStack's rpc-maas "
        "(conntrack_count).",
        _conntrack_use,
    ),
    Check(
        "neighbour table overflows",
        ("neighbour.table_fulls",),
        "events",
        1,
        None,
        "Packets were dropped because no neighbour could be added (the kernel's log says so as well). Raise "
        "net.ipv4.neigh.default.gc_thresh3, and net.ipv6.neigh's, or make the links smaller. All namespaces share "
        "these tables.",
        _ANY + "arp(7): gc_thresh3; net/core/neighbour.c (neigh_alloc).",
    ),
    Check(
        "neighbour table",
        ("neighbour.entries", "neighbour.gc_thresh3"),
        "percent",
        50,
        90,
        "Above gc_thresh2 the table is cleaned up with every new neighbour, and at gc_thresh3 there is no new one. "
        "Raise both before that. All namespaces share these tables.",
        "50 % is gc_thresh2 where nothing was set (512 of 1024): arp(7). 90 % leaves time to act.",
        _neighbour_use,
    ),
    Check(
        "interface errors",
        ("link.rx_errors", "link.tx_errors"),
        "percent",
        1,
        5,
        "`netinspect stats link -z` shows which kind: rx_crc_errors is the cable or the port, rx_missed_errors a ring "
        "that is too small (`ethtool -G`).",
        "1 %: the Prometheus node-exporter mixin (NodeNetworkReceiveErrs, NodeNetworkTransmitErrs).",
        _worst_interface,
    ),
    Check(
        "interface drops",
        ("link.rx_dropped", "link.tx_dropped"),
        "percent",
        1,
        None,
        "`netinspect stats link -z` shows which way. rx_dropped: the kernel had no room or no use for it (unknown "
        "protocols, VLANs that are not set up); tx_dropped: the queue or the driver refused it. `tc -s qdisc` and "
        "`ethtool -S` have more.",
        "1 %, as for interface errors; some rx_dropped are packets of protocols that this host does not speak: "
        "Documentation/networking/statistics.rst, linux/if_link.h (rtnl_link_stats64).",
        _dropped,
    ),
    Check(
        "IP discards",
        ("Ip.InDiscards", "Ip6.Ip6InDiscards", "Ip.OutDiscards", "Ip6.Ip6OutDiscards"),
        "packets",
        1,
        None,
        "Valid packets were dropped: memory was short, or a neighbour's queue or a filter of what is sent refused "
        "them. Look at rules of output (`nft list ruleset`), and at neighbours that do not answer (`netinspect "
        "neighbours`).",
        "Any: ipIfStatsInDiscards and ipIfStatsOutDiscards count packets without an error in them (RFC 4293).",
    ),
    Check(
        "packets not forwarded",
        ("Ip.InAddrErrors", "Ip6.Ip6InAddrErrors"),
        "packets",
        1,
        None,
        "Packets came for other hosts, and this one does not forward: on a router or gateway set net.ipv4.ip_forward=1 "
        "(net.ipv6.conf.all.forwarding=1), or forwarding of the interface that they come in by. Elsewhere a neighbour "
        "takes this host for its router. `netinspect path` shows it for one flow.",
        "Any: a host that is nobody's router gets no such packets. RFC 4293, ipIfStatsInAddrErrors; net/ipv4/route.c "
        "(ip_error), net/ipv6/ip6_output.c (ip6_forward).",
        _not_forwarded,
    ),
    Check(
        "packets without a route",
        ("IpExt.InNoRoutes", "Ip6.Ip6InNoRoutes"),
        "packets",
        1,
        None,
        "Packets came that were to be forwarded, and no route leads there. `netinspect routes get ADDRESS from SOURCE "
        "iif INTERFACE` shows it for one address; look for a missing default route.",
        "Any: each was dropped. RFC 4293, ipIfStatsInNoRoutes; net/ipv4/route.c (ip_error).",
    ),
    Check(
        "reverse path filter",
        ("TcpExt.IPReversePathFilter",),
        "packets",
        1,
        None,
        "Packets came in by an interface by which no answer to them would leave (rp_filter): a route back is missing, "
        "or the way there and the way back differ. A few from addresses that nobody here has are forged, and dropping "
        "them is right. `netinspect routes get ADDRESS from SOURCE iif INTERFACE` shows it for one.",
        "Any: each was dropped. RFC 3704; Documentation/networking/ip-sysctl.rst, rp_filter; net/ipv4/ip_input.c.",
    ),
)
"""In the order of the output."""


class Health:
    """Reads the places once, or twice ``seconds`` apart, or computes the change since a sample."""

    def __init__(
        self, places: Sequence[Place] = (), *, seconds: float | None = None, since: Sample | None = None
    ) -> None:
        """Without ``places``: the current namespace."""
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._places = places or (Place(),)
        self._seconds = seconds
        self._since = since

    def checks(self) -> list[HealthCheck]:
        """The verdicts. Raises NamespaceError, NetinspectError."""
        before: Counts = {}
        if self._seconds is not None:
            from time import sleep

            before = self.counts()
            sleep(self._seconds)
            self.problems.clear()
        return self.verdicts(self.counts(), before)

    def counts(self) -> Counts:
        """What the kernel counts in each place now. Raises NamespaceError, NetinspectError."""
        found: Counts = {}
        self._look(lambda place, now: found.update({place.label: (place, now)}))
        return found

    def verdicts(self, now: Counts, before: Counts) -> list[HealthCheck]:
        """The verdicts of what was counted between two looks; of a place that the first had not, of all."""
        return [
            check
            for label, (place, figures) in now.items()
            for check in self._verdicts(place, figures, before[label][1] if label in before else None)
        ]

    def _look(self, use: Callable[[Place, dict[Key, Figure]], None]) -> None:
        def collect(place: Place) -> Iterator[Batch]:
            use(place, figures(_QUERY, place, self.problems, self.notes))
            return iter(())

        for _ in in_places(self._places, collect, self.problems.append):
            pass

    def _verdicts(
        self, place: Place, now: dict[Key, Figure], before: dict[Key, Figure] | None
    ) -> Iterator[HealthCheck]:
        levels = {key: figure.value for key, figure in now.items()}
        changes = dict(levels)
        if before is not None:
            for key, value in levels.items():
                earlier = before[key].value if key in before else 0
                changes[key] = value - earlier if value >= earlier else value
        elif self._since is not None:
            changes = {}
            for key, value in levels.items():
                change, _ = self._since.change(place, key, value, "counter")
                if change is None:
                    raise NetinspectError(f"the sample has no network namespace {place.label or 'like this'}")
                changes[key] = change
        counted = Counted(changes, levels)
        return (check.record(counted, place.label) for check in CHECKS)


_PACKETS = ("Ip.InReceives", "Ip6.Ip6InReceives", "link.rx_packets", "link.tx_packets")
"""What the ratios are of, beside the checks' own counters."""
_QUERY = Query(
    sorted({name.partition(".")[0] for name in (*_PACKETS, *(name for check in CHECKS for name in check.counters))})
)
