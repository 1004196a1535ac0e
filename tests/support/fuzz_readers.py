"""Targets of the fuzzers for what is no decoder of one noun: whole rulesets, files of /proc, containers, terminals.

What a function reads from a fixed place, it is given here: the system call's wrapper is put aside for the time.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

from fuzz_inputs import seeds

from netinspect import procfs
from netinspect.engine.columns import Batch
from netinspect.engine.netlink.messages import Answer, Run
from netinspect.environment import Environment
from netinspect.netfilter import decode as nftables
from netinspect.uapi import nf_tables as nft
from netinspect.uapi.nf_tables import NFNL_SUBSYS_NFTABLES

NOWHERE = Environment(lambda _: None, lambda *_: None, False, 80)

Read = Callable[[bytes], list[Any]]


def text_of(data: bytes) -> str:
    """As files of the kernel are read."""
    return data.decode("utf-8", "backslashreplace")


def words(data: bytes) -> list[str]:
    """As in sys.argv: what is not UTF-8 are surrogates; no word has a NUL."""
    return [word.decode("utf-8", "surrogateescape") for word in data.split(b"\0")]


@contextlib.contextmanager
def instead(of: Any, name: str, made: Any) -> Iterator[None]:
    """Something else in the place of an attribute, for the time."""
    before = getattr(of, name)
    setattr(of, name, made)
    try:
        yield
    finally:
        setattr(of, name, before)


@contextlib.contextmanager
def path_of(data: bytes) -> Iterator[str]:
    """A file with these bytes, in memory."""
    with contextlib.ExitStack() as stack:
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("fuzzed")
            stack.callback(os.close, descriptor)
            os.write(descriptor, data)
            yield f"/proc/self/fd/{descriptor}"
        else:
            made = stack.enter_context(tempfile.NamedTemporaryFile())
            made.write(data)
            made.flush()
            yield made.name


# Rulesets.


def runs_of(data: bytes) -> list[Run]:
    """The messages in received bytes."""
    return Answer(data, "fuzzing").runs


def _places() -> Iterator[tuple[str, str, Any, str | None]]:
    """Family, hook, packet and device."""
    from netinspect.netfilter.packet import Ends, Interface, Packet, Tracking

    lan, wan = Interface(2, "r0", 1, 5, "veth", None), Interface(3, "r1", 1, 6, "veth", None)
    to, back = Ends("10.1.0.1", "10.2.0.1", 6, 1000, 80), Ends("10.2.0.1", "10.1.0.1", 6, 80, 1000)
    known = Tracking("new", "original", 0, 0, 0, to, back, None, 0)
    whole: dict[str, Any] = {"tcp_flags": 2, "tcp_options": bytes((2, 4, 5, 180)), "length": 44, "ttl": 64, "tos": 0}
    whole |= {"incoming": lan, "outgoing": wan, "tracking": known, "link_source": "02:00:00:00:00:01", "uid": 0}
    four = Packet("10.1.0.1", "10.2.0.1", 6, 1000, 80, **whole)
    six = Packet("fd01::1", "fd02::1", 17, 53, 53, ethertype=0x86DD, incoming=lan, outgoing=wan)
    for hook in ("prerouting", "input", "forward", "output", "postrouting"):
        yield "ip", hook, four, None
        yield "ip6", hook, six, None
        yield "bridge", hook, four, None
    yield "netdev", "ingress", four, "r0"
    yield "netdev", "egress", six, "r1"
    yield "arp", "input", Packet(None, None, ethertype=0x806, arp=bytes(28), incoming=lan), None


_PLACES = list(_places())


def route_found(data: bytes) -> list[Any]:
    """The kernel's answers about routes, as rules ask for them."""
    from netinspect.netfilter.kernel import Found

    answers = [Found(run.data[: run.length]) for run in runs_of(data)]
    return [(answer.type, answer.indices, answer.mtu, answer.gateway()) for answer in answers]


def neighbour_answer(data: bytes) -> list[Any]:
    """The kernel's answers about a neighbour, and about an entry of a bridge's forwarding table."""
    from netinspect.nouns.path import request

    return [request.forwarding_port(runs_of(data)), request.link_address_of(runs_of(data))]


def source_filter(data: bytes) -> list[Any]:
    """What getsockopt(2) gives of a membership's source filter."""
    from netinspect.nouns.groups.request_filter import filter_answer

    try:
        return [filter_answer(data, family) for family in ("inet", "inet6")]
    except OSError:
        return []  # as of one that cannot be asked


class _InterfaceNames(dict[int, str]):
    def __missing__(self, index: int) -> str:
        return f"if{index}"


class _Known:
    """The corpus's tables, chains, sets and the like: what is read is of one of them."""

    def __init__(self) -> None:
        runs = runs_of(b"".join(seeds("ruleset")))
        self.elements = _of(runs, nft.NFT_MSG_NEWSETELEM)
        self.tables = list(nftables.tables(_of(runs, nft.NFT_MSG_NEWTABLE)))
        self.chains = {chain.key: chain for chain in nftables.chains(_of(runs, nft.NFT_MSG_NEWCHAIN))}
        self.sets = {found.key: found for found in nftables.sets(_of(runs, nft.NFT_MSG_NEWSET))}
        self.objects = {
            (found.family, found.table, found.name): found for found in nftables.objects(_of(runs, nft.NFT_MSG_NEWOBJ))
        }
        self.hooks = [chain for chain in self.chains.values() if chain.hook]
        self.hooks.sort(key=lambda chain: chain.kind != "filter")


def _of(runs: list[Run], number: int) -> list[bytes]:
    kind = NFNL_SUBSYS_NFTABLES << 8 | number
    return list(nftables.in_order(run for run in runs if run.kind == kind))


_KNOWN: list[_Known] = []
_MOST_RULES = 4
"""What is not known of a packet doubles the ways that it may go, with each rule."""


def ruleset(data: bytes) -> list[Any]:
    """What messages add to a ruleset: decoded, written in words, and walked by packets in every hook."""
    from netinspect.netfilter.evaluate import run_hook
    from netinspect.netfilter.ruleset import Ruleset
    from netinspect.netfilter.text import exactly, rule_text
    from netinspect.nouns.nat.decode_rules import nat_rules

    if not _KNOWN:
        _KNOWN.append(_Known())
    known, runs = _KNOWN[0], runs_of(data)
    own = _of(runs, nft.NFT_MSG_NEWSETELEM)

    def elements(request: bytes, operation: str) -> Iterator[bytes]:
        wanted = request[20:]  # table and set
        return (single for single in (*own, *known.elements) if single[20 : 20 + len(wanted)] == wanted)

    made = Ruleset(elements)  # type: ignore[arg-type]
    made._names = _InterfaceNames()  # type: ignore[assignment]
    made.tables = (*known.tables, *nftables.tables(_of(runs, nft.NFT_MSG_NEWTABLE)))
    made.chains = dict(known.chains)
    made.chains |= {chain.key: chain for chain in nftables.chains(_of(runs, nft.NFT_MSG_NEWCHAIN))}
    made.sets = known.sets | {found.key: found for found in nftables.sets(_of(runs, nft.NFT_MSG_NEWSET))}
    objects = nftables.objects(_of(runs, nft.NFT_MSG_NEWOBJ))
    made.objects = known.objects | {(found.family, found.table, found.name): found for found in objects}
    flowtables = nftables.flowtables(_of(runs, nft.NFT_MSG_NEWFLOWTABLE))
    made.flowtables = {(found.family, found.table, found.name): found for found in flowtables}
    made.rules.update(nftables.rules_by_chain(_of(runs, nft.NFT_MSG_NEWRULE)))
    every = list(made.every_rule())
    found: list[Any] = [rule_text(made, rule) for rule in every]
    found += [exactly(made, rule) for rule in every]
    found += nat_rules(list(made.chains.values()), every)
    for single in every[:_MOST_RULES]:
        # In a chain of each hook of its family, wherever it stands.
        for chain in [chain for chain in known.hooks if chain.family == single.family]:
            made.rules[chain.key] = [single]
        for family, hook, packet, device in _PLACES:
            if family == single.family or (single.family == "inet" and family in ("ip", "ip6")):
                found += run_hook(made, family, hook, packet, device=device).outcomes
    return found


def legacy(data: bytes) -> list[Any]:
    """Tables of legacy iptables, as getsockopt(2) gives them, walked by packets in every hook."""
    from netinspect.netfilter import legacy as tables
    from netinspect.netfilter.evaluate import run_hook
    from netinspect.netfilter.ruleset import Ruleset

    info, entries = data[:84].ljust(84, b"\0"), data[84:]

    def asked(*arguments: Any) -> bytes:
        return info if arguments[2] == 64 else bytes(40) + entries

    with instead(tables, "_ask", asked), instead(tables, "socket", lambda *_: mock.Mock()):
        name = info.split(b"\0", 1)[0].decode("ascii", "replace")
        table = tables.read("ip" if len(data) % 5 else "ip6", name if name.isalpha() else "filter")
    if table is None:
        return []
    made = Ruleset(lambda *_: iter(()))  # type: ignore[arg-type, return-value]
    made._names = _InterfaceNames()  # type: ignore[assignment]
    made.chains = {chain.key: chain for chain in table.chains}
    for rule in table.rules[:_MOST_RULES]:
        made.rules.setdefault((rule.family, rule.table, rule.chain), []).append(rule)
    return [
        outcome
        for family, hook, packet, device in _PLACES
        for outcome in run_hook(made, family, hook, packet, device=device).outcomes
    ]


# Files of /proc and the like.


def _hides() -> list[Any]:
    return [procfs._hides_processes(), procfs._is_privileged()]


def _family() -> object:
    with contextlib.suppress(ValueError):
        return procfs.parent_and_users(7)
    return None


def _of_a_process() -> list[Any]:
    with instead(procfs, "counts_descriptors", lambda: False):
        return [
            procfs.may_have_files(7),
            _family(),
            procfs.descriptors_in_flight(7, 3),
            procfs.command_name(7),
            procfs.program_name(7),
            procfs.arguments(7),
            procfs.security_context(7),
        ]


_FILES: tuple[Callable[[], Any], ...] = (
    _hides,
    _of_a_process,
    lambda: procfs.registered_files("x"),
    lambda: procfs.network_namespace_mounts([]),
    procfs.cgroup2_mounts,
    lambda: [procfs.has_protocol("udplite"), procfs.sockets_in_use("sctp")],
    lambda: procfs.sysctl("net.x"),
    procfs.kernel_configuration,
    lambda: [*procfs.raw_sockets("inet"), *procfs.raw_sockets("inet6")],
    lambda: [procfs.legacy_tables(), procfs.network_text("snmp"), procfs.interface_sysctl("ipv4", "lo", "x")],
    lambda: [procfs.has_module("nf_nat_ftp")],
    procfs.code_symbols,
    procfs.outer_uid,
)


def files_of_proc(data: bytes) -> list[Any]:
    """One of the readers, chosen by the first byte, of what follows."""
    if not data:
        return []
    given = data[1:]
    with (
        instead(procfs, "_read", lambda *_: given),
        instead(procfs, "_record", lambda *_: given),
    ):
        return [_FILES[data[0] % len(_FILES)]()]


def kernel_symbols(data: bytes) -> list[Any]:
    """/proc/kallsyms, and names of places by it."""
    from netinspect.nouns.drops.names import Places, Reasons
    from netinspect.nouns.drops.names import text_of as meaning

    with instead(procfs, "_read", lambda *_: data):
        places = Places(procfs.code_symbols())
    reasons = Reasons({2: "SKB_DROP_REASON_NOT_SPECIFIED"}, {1: "SKB_DROP_REASON_SUBSYS_X"})
    numbers = struct.unpack_from(f"={min(len(data) // 8, 4)}Q", data)
    return [*(places[number] for number in numbers), *(meaning(reasons[number], "x+0x1") for number in numbers)]


def softnet(data: bytes) -> list[Any]:
    """/proc/net/softnet_stat and netfilter/nfnetlink_queue, as `drops account` reads them."""
    from netinspect.nouns.drops.listing_account import Account

    place = mock.Mock()
    place.call = lambda _: text_of(data)
    account = Account.__new__(Account)
    account.places = (place,)
    account.problems = []
    return [str(figure.value) for read in (account._softnet, account._queues) for figure in read(place).values()]


def groups_of_processes(data: bytes) -> list[Any]:
    """/proc/PID/cgroup: unit, container and pod."""
    from netinspect.engine.containers.cgroups import short, unit_and_container

    groups = procfs.cgroups(data)
    unit, container = unit_and_container(groups)
    return [*groups, unit, short(container) if container else None]


# Containers.


def engine(podman: bool) -> Read:
    """What Docker's or Podman's API answers."""
    from netinspect.engine.containers import engines

    def read(data: bytes) -> list[Any]:
        exchange = engines._Exchange("/nowhere", engines._PATHS[podman])
        try:
            exchange.received.append(data)
            body = exchange.body()
        finally:
            exchange.socket.close()
        try:
            return list(engines._containers(data if body is None else body, podman=podman))
        except ValueError:
            return []  # as `ask` takes it

    return read


def bundle(data: bytes) -> list[Any]:
    """A container's configuration, as containerd and CRI-O keep it."""
    from netinspect.engine.containers import kubernetes

    with path_of(data) as path, instead(kubernetes, "BUNDLES", (path,)):
        return [kubernetes.of_bundle("0" * 64)]


def logs(data: bytes) -> list[Any]:
    """Names of files in /var/log/containers."""
    from netinspect.engine.containers import kubernetes

    with instead(os, "listdir", lambda _: data.split(b"\0")):
        return [*kubernetes.of_logs().values(), *kubernetes.of_pods().values()]


# Packets, records of programs, drivers.


def heard(data: bytes) -> list[Any]:
    """A packet that came in, as packet(7) gives it."""
    from netinspect.netfilter.packet import of_headers
    from netinspect.nouns.nat.diagnose_capture import Heard, wrong_checksums
    from netinspect.nouns.nat.diagnose_invalid import _ERRORS

    if len(data) < 20 or data[0] >> 4 not in (4, 6) or (data[0] >> 4 == 6 and len(data) < 40):
        return []
    packet = Heard(data, "lo", unfinished=False)
    size = (data[0] & 15) * 4 if data[0] >> 4 == 4 else 40
    whole = of_headers(data[:size], data[size:])
    return [whole, packet.payload, packet.ports, packet.begins, packet.protocol in _ERRORS, *wrong_checksums([packet])]


def ring(data: bytes) -> list[Any]:
    """A ring buffer of the program that sees dropped packets, and its records."""
    from netinspect.engine.bpf.ring import Ring
    from netinspect.nouns.drops.decode import FRAMED, Header, records
    from netinspect.nouns.drops.request import RECORD

    size = 1 << 12
    consumer, producer = bytearray(4096), bytearray(data[: 4096 + 2 * size].ljust(4096 + 2 * size, b"\0"))
    taken = Ring(consumer, producer, size, RECORD.size).take(8)
    whole = taken + data[: len(data) // FRAMED.size * FRAMED.size]
    return [Header(record[9], record[11], record[10]).source for record in records(whole)]


def driver(data: bytes) -> list[Any]:
    """The counters of a network card's driver (ethtool)."""
    from netinspect.nouns.drops import listing_driver

    if len(data) < 2:
        return []
    first, second = 2 + data[0], 2 + data[0] + data[1]
    parts = iter((data[2:first], data[first:second], data[second:]))

    def ask(asking: object, interface: str, command: Any) -> None:
        for at, byte in enumerate(next(parts)[: len(command)]):
            command[at] = byte

    with instead(listing_driver, "_ask", ask):
        return listing_driver._of(mock.Mock(), "eth0")


# What people type and set.


def completion(data: bytes) -> list[Any]:
    """What a shell asks for when Tab is pressed, and names that it is offered."""
    from netinspect.completion.command_values import KINDS, is_offered

    given = words(data)
    kind = list(KINDS)[len(data) % len(KINDS)]
    return [*map(is_offered, given), sorted(KINDS[kind](given))]


def terminal(data: bytes) -> list[Any]:
    """Settings of the terminal and the pager, and text that is fitted to its width."""
    from netinspect.engine import terminal as made
    from netinspect.engine.screen import pager_of

    given = [word.replace("\0", "") for word in data.decode("utf-8", "surrogateescape").split("\n")]
    names = ("COLUMNS", "LINES", "NO_COLOR", "CLICOLOR_FORCE", "TERM", "CLICOLOR")
    with mock.patch.dict("os.environ", dict(zip(names, given, strict=False))):
        columns, lines = made.size()
        pager = pager_of(dict(zip(("NETINSPECT_PAGER", "PAGER"), given, strict=False)))
        found: list[Any] = [columns, lines, pager, made.wants_colour("auto", True)]
    room = columns % 100
    for text in given:
        found += [
            made.shortened(text, room),
            made.folded(text, room + 1),
            made.tone("address", text),
            made.cut(text, 9),
        ]
        assert made.width(found[-4]) <= max(room, 0)
    return found


def rates(decode: Callable[[bytes], Iterable[Batch]]) -> Read:
    """Two samples of sockets, and the rates between, as `netinspect top` shows them."""
    from netinspect.top.rates import GROUPS, Sampler, grouped

    def read(data: bytes) -> list[Any]:
        middle = len(data) // 8 * 4
        sampler, found = Sampler(), []
        for part in (data, data[middle:] if len(data) % 8 else data):
            found = sampler.rates(sampler.counted(decode(part)))
        return [*found, *(group for by in GROUPS for group in grouped(found, by))]

    return read


# Names and states in files.


def names(data: bytes) -> list[Any]:
    """Files that give names to numbers and addresses: protocols(5), hosts(5), nsswitch.conf(5), networks(5)."""
    from netinspect.engine import names as read
    from netinspect.netstat import command_routes

    with path_of(data) as path:
        found: list[Any] = [read.ServiceNames("raw", path=path)[47]]
        with contextlib.suppress(KeyError, OSError):
            found.append(read.HostsFile(path)("10.0.0.1"))
        with instead(read, "_NAME_SWITCH_FILE", path):
            found.append(read._services_elsewhere())
        with instead(command_routes, "_NETWORKS_FILE", path):
            found.append(command_routes._network_names())
        return found


_REGISTRY: list[tuple[Any, str]] = []


def registered(data: bytes) -> list[Any]:
    """The state file of a lab that is up."""
    from netinspect.lab import registry

    if not _REGISTRY:
        directory = tempfile.TemporaryDirectory()
        with mock.patch.dict("os.environ", {registry.DIRECTORY: directory.name}):
            _REGISTRY.append((registry.Registry(), directory))
    made = _REGISTRY[0][0]
    (made.path / "fuzzed.json").write_bytes(data)
    return [(entry.state, entry.alive) for entry in made.entries()]


def fault(data: bytes) -> list[Any]:
    """A fault that breaks a lab."""
    from netinspect.lab.fault import load

    with path_of(data) as path:
        return [load(path)]
