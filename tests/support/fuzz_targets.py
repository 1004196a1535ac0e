"""Everything of ours that reads what others wrote, as functions of bytes: netlink messages, expressions, files.

A target takes any bytes. It returns what was read, or raises NetinspectError; anything else is a fault. What is read of
a message is checked when it is decoded: columns that are taken later must not raise, for rows are out by then.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import fuzz_readers as readers
from fuzz_commands import commands
from fuzz_readers import NOWHERE, path_of, runs_of, text_of, words

from netinspect.engine.columns import Batch, interleaved
from netinspect.engine.cut import CutBatch
from netinspect.engine.netlink import interfaces, nsid
from netinspect.engine.netlink.messages import Run
from netinspect.engine.rtnetlink import Names
from netinspect.errors import NetinspectError
from netinspect.netfilter import decode as nftables
from netinspect.nouns.capabilities import request as capabilities
from netinspect.nouns.conntrack import decode as conntrack
from netinspect.nouns.conntrack import decode_events as conntrack_events
from netinspect.nouns.conntrack import decode_expectations as expectations
from netinspect.nouns.conntrack import decode_single as conntrack_single
from netinspect.nouns.conntrack import decode_statistics as conntrack_statistics
from netinspect.nouns.drops import decode_qdiscs
from netinspect.nouns.groups import decode as memberships
from netinspect.nouns.groups import decode_interfaces as mld_versions
from netinspect.nouns.groups import decode_mdb as bridge_groups
from netinspect.nouns.groups import decode_packet as packet_memberships
from netinspect.nouns.groups import decode_routing as multicast_routing
from netinspect.nouns.groups import decode_text as group_texts
from netinspect.nouns.links import decode as links
from netinspect.nouns.links import decode_addresses as addresses
from netinspect.nouns.links import decode_statistics as link_statistics
from netinspect.nouns.nat import decode_rules as nat_rules
from netinspect.nouns.routing import decode as routes
from netinspect.nouns.routing import decode_neighbour_tables as neighbour_tables
from netinspect.nouns.routing import decode_neighbours as neighbours
from netinspect.nouns.routing import decode_netconf as netconf
from netinspect.nouns.routing import decode_nexthops as nexthops
from netinspect.nouns.routing import decode_rules as rules
from netinspect.nouns.sockets import decode_inet as inet_sockets
from netinspect.nouns.sockets import decode_other as other_sockets
from netinspect.nouns.sockets import decode_unix as unix_sockets
from netinspect.nouns.sockets.filter_lookups import Lookups
from netinspect.nouns.statistics import decode_text as statistic_texts
from netinspect.uapi import nf_tables as nft
from netinspect.uapi.nf_tables import NFNL_SUBSYS_NFTABLES
from netinspect.uapi.rtnetlink import RTM_NEWLINK


class _Numbers(dict[int, str]):
    """A name for every number."""

    def __missing__(self, number: int) -> str:
        return f"n{number}"


NAMES = Names(_Numbers(), _Numbers(), _Numbers(), _Numbers())


class Target(NamedTuple):
    """``read`` gives the records of what it is given; ``rows`` says whether they have ``unknown_attributes``."""

    read: Callable[[bytes], list[Any]]
    rows: bool = False


def _taken(batches: Iterable[Batch]) -> list[Any]:
    """The records of batches that have been decoded."""
    found = list(batches)
    try:
        return [record for batch in found for record in batch]
    except Exception as error:
        raise AssertionError(f"a column of a batch that was decoded raised {error!r}") from error


def _by_run(decode: Callable[[Run], Iterable[Any]]) -> Callable[[bytes], list[Any]]:
    def read(data: bytes) -> list[Any]:
        found = [item for run in runs_of(data) for item in decode(run)]
        return _taken(found) if found and isinstance(found[0], Batch) else found

    return read


def _table(decode: Callable[[list[Run]], Batch | None]) -> Callable[[bytes], list[Any]]:
    def read(data: bytes) -> list[Any]:
        batch = decode(runs_of(data))
        return _taken([batch]) if batch is not None else []

    return read


def _flows(run: Run) -> Iterator[Batch]:
    """As a live view has them: with all counters in one value, and single rows that are as those of the whole."""
    for batch in conntrack_single.SingleDecoder().batches(run):
        assert isinstance(batch, CutBatch)
        assert len(list(batch.values("counters"))) == len(batch)
        assert list(batch.single(len(batch) - 1)) == list(batch)[-1:]
        yield batch


def _whole(decode: Callable[[list[Run]], Any]) -> Callable[[bytes], list[Any]]:
    def read(data: bytes) -> list[Any]:
        found = decode(runs_of(data))
        return list(found) if isinstance(found, Iterator | list) else [found]

    return read


def _events(data: bytes) -> list[Any]:
    from netinspect.engine.netlink.subscription import split

    messages = list(split(data, "fuzzing"))
    decoder = conntrack.Decoder()
    parts = [part for _, run in conntrack_events.event_runs(messages, "fuzzing") for part in decoder.placed(run)]
    return _taken([interleaved(parts)] if parts else [])


def _sockets(protocol: str) -> Callable[[bytes], list[Any]]:
    def read(data: bytes) -> list[Any]:
        found = []
        for run in runs_of(data):
            inet_sockets.identities(run)
            found += inet_sockets.Decoder(protocol, "if{}".format).batches(run)
        return _taken(found)

    return read


def _batches_of_tcp(data: bytes) -> list[Batch]:
    return [batch for run in runs_of(data) for batch in inet_sockets.Decoder("tcp", "if{}".format).batches(run)]


def _unix(data: bytes) -> list[Any]:
    runs = runs_of(data)
    names = {inode: name for run in runs for inode, name in unix_sockets.names_by_inode(run)}
    return _taken([batch for run in runs for batch in unix_sockets.decode(run, names)])


_NEWCHAIN, _NEWRULE = (NFNL_SUBSYS_NFTABLES << 8 | kind for kind in (nft.NFT_MSG_NEWCHAIN, nft.NFT_MSG_NEWRULE))


def _ruleset(data: bytes) -> list[Any]:
    runs = runs_of(data)
    found = list(nftables.rules(nftables.in_order(run for run in runs if run.kind == _NEWRULE)))
    chains = list(nftables.chains(nftables.in_order(run for run in runs if run.kind == _NEWCHAIN)))
    for rule in found:
        nftables.needs_tracking(rule)
    return list(nat_rules.nat_rules(chains, found))


def _statistics(data: bytes) -> list[Any]:
    found: list[Any] = []
    for run in runs_of(data):
        for link in link_statistics.links(run) if run.kind == RTM_NEWLINK else ():
            found.append(link.counters)
            link_statistics.ip6_counters(link.ip6, dict)
        found += link_statistics.bridges(run)
    return found


def _first_run(read: Callable[[Run], Any]) -> Callable[[bytes], list[Any]]:
    return lambda data: [read(run) for run in runs_of(data)[:1]]


def _name(number: int) -> str:
    return f"if{number}"


def _traced(data: bytes) -> list[Any]:
    from netinspect.engine.netlink.subscription import split
    from netinspect.netfilter.trace import event

    return [event(single) for single in split(data, "fuzzing")]


MESSAGES: dict[str, Target] = {
    **{protocol: Target(_sockets(protocol), True) for protocol in ("tcp", "udp", "raw", "mptcp", "sctp")},
    "unix": Target(_unix, True),
    **{
        family: Target(_by_run(lambda run, family=family: other_sockets.Decoder(family, _name).batches(run)), True)
        for family in ("packet", "netlink", "tipc", "vsock", "xdp")
    },
    "packet-groups": Target(_by_run(packet_memberships.memberships)),
    "routes": Target(_table(lambda runs: routes.Decoder(NAMES).batch(runs)), True),
    "rules": Target(_table(lambda runs: rules.batch(runs, NAMES)), True),
    "neighbours": Target(_table(lambda runs: neighbours.Decoder(NAMES).batch(runs)), True),
    "neighbour-tables": Target(_by_run(neighbour_tables.tables)),
    "nexthops": Target(_whole(lambda runs: nexthops.objects(runs, NAMES)), True),
    "netconf": Target(_whole(netconf.has_mpls)),
    "links": Target(_table(lambda runs: links.Decoder(_Numbers(), _Numbers()).batch(runs)), True),
    "addresses": Target(_table(lambda runs: addresses.batch(runs, NAMES)), True),
    "interface-names": Target(_whole(interfaces.names)),
    "plain-addresses": Target(_whole(addresses.own_addresses)),
    "link-statistics": Target(_statistics),
    "nsid": Target(_whole(nsid.number)),
    "memberships": Target(_by_run(memberships.groups), True),
    "bridge-groups": Target(_by_run(lambda run: bridge_groups.groups(run, _name)), True),
    "queriers": Target(_by_run(bridge_groups.queriers)),
    "mld-versions": Target(_by_run(mld_versions.forced_versions)),
    "multicast-routes": Target(_by_run(lambda run: multicast_routing.routes(run, _name)), True),
    "multicast-interfaces": Target(_by_run(lambda run: multicast_routing.interfaces(run, _name))),
    "flows": Target(_by_run(_flows), True),
    "flow-events": Target(_events, True),
    "expectations": Target(_by_run(expectations.batches), True),
    "conntrack-size": Target(_whole(conntrack_statistics.size)),
    "conntrack-counters": Target(_whole(conntrack_statistics.counters)),
    "nftables": Target(_ruleset),
    "neighbour-answer": Target(readers.neighbour_answer),
    "route-found": Target(readers.route_found),
    "ruleset": Target(readers.ruleset),
    "qdiscs": Target(_by_run(decode_qdiscs.qdiscs)),
    "traced": Target(_traced),
    "top": Target(readers.rates(_batches_of_tcp)),
    "probe-sockets": Target(_first_run(capabilities.reported)),
    "probe-links": Target(_first_run(capabilities.has_ipv6_counters)),
    "probe-entries": Target(_first_run(capabilities.entries)),
    "probe-tables": Target(_first_run(capabilities.family_of)),
}
"""Decoders of netlink messages, by what they read."""


def _text(read: Callable[[str], Any]) -> Callable[[bytes], list[Any]]:
    return lambda data: [read(text_of(data))]


def _filter(data: bytes) -> list[Any]:
    from netinspect.nouns.sockets.filter_evaluate import predicate
    from netinspect.nouns.sockets.filter_parse import parse
    from netinspect.records import Socket

    expression = parse(data.decode("utf-8", "surrogateescape"), lookups=_NoLookups())
    test = predicate(expression, interface_index=lambda _: None, local_ports=lambda: (32768, 60999))
    here, there = ("10.0.0.1", 22), ("10.0.0.2", 40000)
    connection = Socket("tcp", "inet", "stream", "ESTABLISHED", 0, 0, *here, *there, None, 0, 5, 6)
    return [test(connection), test(connection._replace(protocol="unix", family="unix", local_address="/run/x"))]


class _NoLookups(Lookups):
    """Names stand for nothing: a fuzzer asks no resolver."""

    def addresses(self, host: str, families: Sequence[int]) -> list[bytes]:
        return []

    def ports(self, service: str) -> dict[str, int]:
        return {}

    def interface_exists(self, name: str) -> bool:
        return False

    def cgroup_id(self, path: str) -> int:
        return 7


def _options(data: bytes) -> list[Any]:
    from netinspect.main import COMMANDS, command_of

    name, *arguments = words(data)
    return [command_of(name).read(arguments, NOWHERE)] if name in COMMANDS else []


def _condition(data: bytes) -> list[Any]:
    from netinspect.waiting.command import Wait

    command = Wait.read(words(data), NOWHERE)
    return [] if command is None else [command.condition()]


def _topology(data: bytes) -> list[Any]:
    from netinspect.lab.topology_file import parse

    return [parse(data.decode("utf-8", "replace"), "fuzzed.toml", "fuzzed", {})]


def _snapshot(data: bytes) -> list[Any]:
    from netinspect.snapshots.read import parse

    return [parse(data.splitlines(keepends=True), "fuzzed")]


def _file(read: Callable[[str], Any]) -> Callable[[bytes], list[Any]]:
    """For readers of files: the bytes are put into one, in memory."""

    def of(data: bytes) -> list[Any]:
        with path_of(data) as path:
            return [read(path)]

    return of


def _sample(path: str) -> Any:
    from netinspect.nouns.statistics.listing_samples import load

    return load(path)


def _services(path: str) -> Any:
    from netinspect.engine.names import ServiceNames

    return ServiceNames("tcp", path=path)[22], ServiceNames("udp", path=path, last=True)[53]


def _routing_names(path: str) -> Any:
    from netinspect.nouns.routing.names import RoutingNames

    names = RoutingNames("rt_tables")
    names._read(path)
    return names[254]


def _flow(data: bytes) -> list[Any]:
    from netinspect.nouns.path.filter_words import flow_words

    return [flow_words(words(data))]


def _drops(data: bytes) -> list[Any]:
    from netinspect.nouns.drops.filter import parse

    return [parse(words(data), ("NO_SOCKET", "NOT_SPECIFIED"))]


def _types(data: bytes) -> list[Any]:
    from netinspect.engine.bpf.btf import Btf
    from netinspect.engine.bpf.task_files import _Types
    from netinspect.nouns.drops.request import Layout

    with contextlib.suppress(ValueError):
        single = _Types(data)
        for structure, member in (("outer", "named"), ("bits", "x")):
            with contextlib.suppress(ValueError):
                single.offsets(structure, member)
        single.function("event")
    types = Btf(data, ("outer", "bits", "reasons", "sk_buff", "skb_drop_reason", "btf_trace_event"))
    found = [types.offset("outer", "named.deep"), types.offset("bits", "x"), types.values("reasons")]
    found.append(types.tracepoint_arguments("event"))
    with contextlib.suppress(NetinspectError):  # these are not the kernel's
        found.append(Layout(types).offsets)
    return found


def _dropped(data: bytes) -> list[Any]:
    from netinspect.nouns.drops.decode import Header

    return [Header(socket.htons(kind), data) for kind in (0, 0x0800, 0x86DD, 0x0806)]


TEXTS: dict[str, Target] = {
    "legacy": Target(readers.legacy),
    "proc": Target(readers.files_of_proc),
    "kallsyms": Target(readers.kernel_symbols),
    "softnet": Target(readers.softnet),
    "docker": Target(readers.engine(podman=False)),
    "podman": Target(readers.engine(podman=True)),
    "bundle": Target(readers.bundle),
    "container-logs": Target(readers.logs),
    "source-filter": Target(readers.source_filter),
    "heard": Target(readers.heard),
    "ring": Target(readers.ring),
    "driver": Target(readers.driver),
    "completion": Target(readers.completion),
    "terminal": Target(readers.terminal),
    "names": Target(readers.names),
    "registry": Target(readers.registered),
    "fault": Target(readers.fault),
    "flow-words": Target(_flow),
    "drop-words": Target(_drops),
    "btf": Target(_types),
    "dropped-packet": Target(_dropped),
    "filter": Target(_filter),
    "options": Target(_options),
    "condition": Target(_condition),
    "topology": Target(_topology),
    "snapshot": Target(_snapshot),
    "sample": Target(_file(_sample)),
    "services": Target(_file(_services)),
    "rt_tables": Target(_file(_routing_names)),
    "cgroup": Target(readers.groups_of_processes),
    "igmp": Target(_text(group_texts.igmp)),
    "igmp6": Target(_text(group_texts.igmp6)),
    "dev_mcast": Target(_text(group_texts.link_layer)),
    "mcfilter": Target(_text(lambda text: group_texts.source_filters(text, "inet"))),
    "mcfilter6": Target(_text(lambda text: group_texts.source_filters(text, "inet6"))),
    "ip_mr_vif": Target(_text(lambda text: list(group_texts.multicast_interfaces(text, "inet")))),
    "netstat": Target(_text(lambda text: statistic_texts.pairs(text, "netstat"))),
    "snmp6": Target(_text(lambda text: statistic_texts.by_title(statistic_texts.columns(text, "snmp6")))),
    "sockstat": Target(_text(lambda text: statistic_texts.socket_counts(text, "sockstat"))),
}
"""Parsers and readers of files, by what they read."""

TARGETS = {**MESSAGES, **TEXTS, "commands": Target(commands)}
