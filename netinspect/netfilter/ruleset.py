"""The whole ruleset of nftables in one network namespace, read over netlink, of one generation."""

from __future__ import annotations

from _functools import partial
from bisect import bisect_right
from errno import EINTR, EINVAL, ENOBUFS, ENOENT, EOPNOTSUPP
from itertools import count
from struct import pack

from ..engine.netlink.messages import attribute, message
from ..engine.netlink.transport import Dump
from ..engine.places import InterfaceNames
from ..errors import NetinspectError, NetlinkError
from ..procfs import legacy_tables
from ..uapi import nf_tables as nft
from ..uapi.netlink import NETLINK_NETFILTER, NLM_F_ACK, NLM_F_DUMP
from ..uapi.nf_tables import NFNL_SUBSYS_NFTABLES
from . import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeVar

    from ..engine.netlink.transport import NetlinkSocket
    from ..engine.places import Place
    from .decode import Chain, Element, Flowtable, Key, Object, Rule, Set, Table
    from .machine import Program

    Found = TypeVar("Found")

ATTEMPTS = 3
"""How often it is read before it is reported that it keeps changing."""
_DUMPED = 4096
"""Elements of a set that are read at once. Of a larger set the kernel is asked for one element at a time."""
_IPTABLES = frozenset(("filter", "nat", "mangle", "raw", "security"))
"""Tables of iptables-nft."""
_NAT_HOOKS = {"prerouting": -100, "output": -100, "postrouting": 100, "input": 100}
"""linux/netfilter_ipv4.h: NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC. All chains of type nat are called from these places,
whatever their own priorities, which only order them among themselves (net/netfilter/nf_nat_core.c)."""


class RulesetChangingError(NetinspectError):
    """The ruleset kept changing while it was read."""


class Elements:
    """The elements of a set, for looking up keys as the kernel does."""

    __slots__ = ("_exact", "_ranges", "_starts", "all", "default", "ordered")

    def __init__(self, found: Set, elements: Iterable[Element]) -> None:
        self.all = tuple(elements)
        self._exact: dict[bytes, Element] = {}
        self._ranges: list[tuple[tuple[tuple[bytes, bytes], ...], Element]] = []
        self._starts: list[bytes] = []
        self.ordered: list[Element] = []
        """Where intervals of one field begin and end, ascending."""
        self.default: Element | None = None
        """The element that stands for all others (`*`)."""
        ordered = []
        for element in self.all:
            if element.flags & nft.NFT_SET_ELEM_CATCHALL:
                self.default = element
            elif element.end is not None:
                self._ranges.append((tuple(decode.fields(found, element.key, element.end)), element))
            elif found.flags & nft.NFT_SET_INTERVAL:
                ordered.append(element)
            else:
                self._exact[element.key] = element
        # Of an interval's end and the next one's beginning at the same place, the beginning counts.
        ordered.sort(key=lambda element: (element.key, not element.flags & nft.NFT_SET_ELEM_INTERVAL_END))
        self.ordered = ordered
        self._starts = [element.key for element in ordered]

    def find(self, found: Set, key: bytes) -> Element | None:
        """The element that ``key`` is in; None where it is in none."""
        element = self._exact.get(key)
        if element is not None:
            return element
        at = bisect_right(self._starts, key)
        if at and not self.ordered[at - 1].flags & nft.NFT_SET_ELEM_INTERVAL_END:
            return self.ordered[at - 1]
        if self._ranges:
            parts = [part for part, _ in decode.fields(found, key, key)]
            for ranges, element in self._ranges:
                if all(low <= part <= high for part, (low, high) in zip(parts, ranges, strict=True)):
                    return element
        return self.default


class Ruleset:
    """Tables, chains, rules, sets, objects and flowtables of one generation.

    Elements of sets are read when they are first looked up, so they may be younger: ``changed`` is true where the
    ruleset has changed since it was read.
    """

    def __init__(self, ask: Ask | None = None) -> None:
        self._ask = ask
        self.generation = 0
        self.tables: tuple[Table, ...] = ()
        self.chains: dict[Key, Chain] = {}
        self.rules: dict[Key, Sequence[Rule]] = {}
        """The rules of each chain in order."""
        self.sets: dict[Key, Set] = {}
        self.objects: dict[Key, Object] = {}
        self.flowtables: dict[Key, Flowtable] = {}
        self.legacy: dict[tuple[str, str], str] = {}
        """The tables of legacy iptables among them, by family and the name that each has here, with its own name."""
        self.unknown: tuple[str, ...] = ()
        """What filters packets here and could not be read: tables of legacy iptables."""
        self.programs: dict[bytes, Program] = {}
        """What the evaluation has made of expressions so far, by their bytes."""
        self._elements: dict[Key, Elements | None] = {}
        self._asked: dict[tuple[Key, bytes], Element | None] = {}
        self._names: InterfaceNames | None = None
        self.changed = False

    def every_rule(self) -> Iterator[Rule]:
        """The rules of all chains, each chain's in order."""
        for rules in self.rules.values():
            yield from rules

    def iptables(self, chain: Chain) -> tuple[str, str] | None:
        """The program that a chain is changed with and its name for the table: of iptables-nft's and legacy iptables'.

        None for a chain that is nft's own. One of iptables' must not be changed behind its back.
        """
        six = "6" if chain.family == "ip6" else ""
        name = self.legacy.get((chain.family, chain.table))
        if name is not None:
            return f"ip{six}tables-legacy", name
        if chain.family not in ("ip", "ip6") or chain.table not in _IPTABLES:
            return None
        made = any(
            other.hook is not None and other.name == other.hook.upper()
            for other in self.chains.values()
            if (other.family, other.table) == (chain.family, chain.table)
        )
        return (f"ip{six}tables", chain.table) if made else None

    @property
    def needs_tracking(self) -> bool:
        """Whether connections are tracked: only where a rule needs it. A table that cannot be read may have one.

        Raises NetlinkError where a rule is malformed.
        """
        if self.unknown or any(chain.kind == "nat" for chain in self.chains.values()):
            return True
        return any(map(decode.needs_tracking, self.every_rule()))

    def base_chains(self, family: str, hook: str, device: str | None = None) -> list[Chain]:
        """The base chains that packets of a family meet at a hook, in the order in which they are called.

        ``family`` is ip, ip6, arp, bridge or netdev; chains of inet are called for ip and ip6, and at ingress, which is
        asked for as netdev with a ``device``. Chains of type nat are all called at one place, among themselves by
        their priorities. Of chains with equal priorities the one registered last is called first
        (net/netfilter/core.c: nf_hook_entries_grow): in one table that of the higher handle; of two tables the later
        one's is taken for it, which is wrong where a chain was added to the older table afterwards.
        """
        tables = {(table.family, table.name): table for table in self.tables}
        found = []
        for chain in self.chains.values():
            if chain.hook != hook or not _serves(chain.family, family, hook):
                continue
            if family == "netdev" and not _has_device(chain, device):
                continue
            table = tables.get((chain.family, chain.table))
            if table is not None and table.dormant:
                continue
            later = (-table.handle if table else 0, -chain.handle)
            found.append(((place_of(chain), chain.kind == "nat", chain.priority, *later), chain))
        found.sort(key=lambda entry: entry[0])
        return [chain for _, chain in found]

    def text(self, rule: Rule) -> str:
        """A rule in nft(8)'s own words, without its handle; one line. Raises NetlinkError."""
        from .text import rule_text

        return rule_text(self, rule)

    def interface_name(self, index: int) -> str:
        """The name of an interface now; ``if`` and its number where there is none."""
        if self._names is None:
            assert self._ask is not None
            self._names = InterfaceNames(self._ask.place)
        return self._names[index]

    def elements(self, found: Set) -> Elements | None:
        """The elements of a set; None where it is too large to be read at once. Raises NetlinkError."""
        key = found.key
        if key not in self._elements:
            self._elements[key] = self._read_elements(found)
        return self._elements[key]

    def find(self, found: Set, key: bytes) -> Element | None:
        """The element of a set that a key is in; None where it is in none. Raises NetlinkError."""
        elements = self.elements(found)
        if elements is not None:
            return elements.find(found, key)
        asked = (found.key, key)
        if asked not in self._asked:
            self._asked[asked] = self._ask_for(found, key)
        return self._asked[asked]

    def _read_elements(self, found: Set) -> Elements | None:
        if found.number is not None and found.number > _DUMPED:
            return None
        assert self._ask is not None
        elements: list[Element] = []
        names = _names(found)
        payload = pack("=BBH", decode.FAMILY_NUMBERS.get(found.family, 0), 0, 0) + names
        request = message(NFNL_SUBSYS_NFTABLES << 8 | nft.NFT_MSG_GETSETELEM, NLM_F_DUMP, payload)
        for data in self._ask(request, f"reading the elements of set {found.name}"):
            self._check(data)
            elements += decode.elements_of(found, (data,))
            if len(elements) > _DUMPED and not found.anonymous:
                return None
        return Elements(found, elements)

    def _ask_for(self, found: Set, key: bytes) -> Element | None:
        """Asks the kernel, which looks the key up as for a packet. Raises NetlinkError."""
        assert self._ask is not None
        wanted = attribute(nft.NFTA_SET_ELEM_KEY | _NESTED, attribute(nft.NFTA_DATA_VALUE, key))
        payload = pack("=BBH", decode.FAMILY_NUMBERS.get(found.family, 0), 0, 0) + _names(found)
        payload += attribute(nft.NFTA_SET_ELEM_LIST_ELEMENTS | _NESTED, attribute(1 | _NESTED, wanted))
        request = message(NFNL_SUBSYS_NFTABLES << 8 | nft.NFT_MSG_GETSETELEM, NLM_F_ACK, payload)
        try:
            for data in self._ask(request, f"asking for an element of set {found.name}"):
                self._check(data)
                for element in decode.elements_of(found, (data,)):
                    return element
        except NetlinkError as error:
            if error.errno != ENOENT:
                raise
        return None

    def _check(self, data: bytes) -> None:
        if int.from_bytes(data[18:20], "big") != self.generation & 0xFFFF:
            self.changed = True


_NESTED = 0x8000


def _names(found: Set) -> bytes:
    table, name = found.raw
    return attribute(nft.NFTA_SET_ELEM_LIST_TABLE, table) + attribute(nft.NFTA_SET_ELEM_LIST_SET, name)


def _serves(family: str, wanted: str, hook: str) -> bool:
    if family == "inet":
        return wanted == "netdev" if hook == "ingress" else wanted in ("ip", "ip6")
    return family == wanted


def _has_device(chain: Chain, device: str | None) -> bool:
    return device is None or any(
        device.startswith(name[:-1]) if name.endswith("*") else name == device for name in chain.devices
    )


def place_of(chain: Chain) -> int:
    """At which priority a base chain is called."""
    if chain.kind == "nat" and chain.hook in _NAT_HOOKS:
        return _NAT_HOOKS[chain.hook]
    return chain.priority


class Ask:
    """Asks the kernel over one socket, which is opened when it is needed, and again where an answer was not read."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._socket: _Kept | None = None

    def __call__(self, request: bytes, operation: str) -> Iterator[bytes]:
        """The messages of the answer in the kernel's order. Raises NetlinkError and NamespaceError.

        With errno EINTR where the kernel says that it changed meanwhile.
        """
        opened, self._socket = self._socket or _Kept(self.place.connect(NETLINK_NETFILTER)), None
        whole = False
        try:
            dump = Dump(opened, request, operation)
            for runs in dump.answers():
                yield from decode.in_order(runs)
            whole = True
        except NetlinkError as error:
            whole = bool(error.errno) and error.errno != ENOBUFS
            raise
        finally:
            if whole:
                self._socket = opened
            else:
                opened.end()
        if dump.interrupted:
            raise NetlinkError(operation, EINTR)

    def close(self) -> None:
        """Closes the socket. It is opened again where it is needed."""
        if self._socket is not None:
            self._socket.end()
            self._socket = None


class _Kept:
    """A socket that outlives one dump."""

    def __init__(self, opened: NetlinkSocket) -> None:
        self.send = opened.send
        self.recvfrom = opened.recvfrom
        self.setsockopt = opened.setsockopt
        self.end = opened.close

    def close(self) -> None:
        pass


def read(place: Place) -> Ruleset:
    """The ruleset of a place: empty where the kernel has no nftables.

    Raises NetlinkError, with EPERM where reading it takes a privilege; NamespaceError; and RulesetChangingError.
    """
    ask = Ask(place)
    for _ in range(ATTEMPTS):
        ruleset = Ruleset(ask)
        try:
            if _read(ruleset, ask):
                break
        except NetlinkError as error:
            if error.errno in (EINVAL, EOPNOTSUPP):
                ruleset = Ruleset(ask)
                break
            if error.errno not in (EINTR, ENOBUFS):
                raise
    else:
        raise RulesetChangingError(f"reading nftables: the ruleset kept changing while it was read, {ATTEMPTS} times")
    for table in place.call(legacy_tables):
        _add_legacy(ruleset, place, *table.split())
    return ruleset


def _add_legacy(ruleset: Ruleset, place: Place, family: str, name: str) -> None:
    """A table of legacy iptables: to packets its chains are no others than nftables' of the same priorities."""
    from . import legacy

    taken = {(table.family, table.name) for table in ruleset.tables}
    called = next(made for made in _legacy_names(name) if (family, made) not in taken)
    try:
        found = place.call(partial(legacy.read, family, name, called))
    except NetlinkError as error:
        ruleset.unknown += (f"legacy iptables: {family} {name} ({error})",)
        return
    ruleset.legacy[family, called] = name
    ruleset.tables += (decode.Table(family, called, 0, False, False),)
    ruleset.chains.update((chain.key, chain) for chain in found.chains)
    by_chain: dict[Key, list[Rule]] = {}
    for rule in found.rules:
        by_chain.setdefault((family, called, rule.chain), []).append(rule)
    ruleset.rules.update(by_chain)


def _legacy_names(name: str) -> Iterator[str]:
    yield f"legacy-{name}"
    yield from map(f"legacy-{name}-{{}}".format, count(2))


def _read(ruleset: Ruleset, ask: Ask) -> bool:
    """Reads it; returns whether it was the same at the end."""
    begun = _generation(ask)
    if not begun:
        return True  # a kernel whose nftables knows no generations has no ruleset either

    def dump(kind: int, what: str) -> Iterator[bytes]:
        return ask(decode.dump_request(kind), f"listing the {what} of nftables")

    ruleset.generation = begun
    ruleset.tables = tuple(decode.tables(dump(nft.NFT_MSG_GETTABLE, "tables")))
    if not ruleset.tables:
        return _generation(ask) == begun
    ruleset.chains = {chain.key: chain for chain in decode.chains(dump(nft.NFT_MSG_GETCHAIN, "chains"))}
    ruleset.rules.update(decode.rules_by_chain(dump(nft.NFT_MSG_GETRULE, "rules")))
    ruleset.sets = {single.key: single for single in decode.sets(dump(nft.NFT_MSG_GETSET, "sets"))}
    for found in _where_known(decode.objects(dump(nft.NFT_MSG_GETOBJ, "objects"))):
        ruleset.objects[found.family, found.table, found.name] = found
    for flowtable in _where_known(decode.flowtables(dump(nft.NFT_MSG_GETFLOWTABLE, "flowtables"))):
        ruleset.flowtables[flowtable.family, flowtable.table, flowtable.name] = flowtable
    return _generation(ask) == begun


def _where_known(listed: Iterator[Found]) -> Iterator[Found]:
    """What a kernel lists that knows of such things; nothing where it does not."""
    try:
        yield from listed
    except NetlinkError as error:
        if error.errno not in (EINVAL, EOPNOTSUPP):
            raise


def _generation(ask: Ask) -> int:
    request = message(NFNL_SUBSYS_NFTABLES << 8 | nft.NFT_MSG_GETGEN, NLM_F_ACK, pack("=BBH", 0, 0, 0))
    return decode.generation(ask(request, "asking for the generation of nftables"))
