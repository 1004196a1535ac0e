"""Which dropped packets are wanted, as people type it: ``10.0.0.1 -> b:443``, ``tcp port 80``, ``reason NO_SOCKET``."""

from __future__ import annotations

from ...engine.prefixes import packed, within
from ...errors import UsageError
from ..conntrack.decode_names import PROTOCOLS
from ..conntrack.filter import port_of, prefix_of
from ..path.filter_words import flow_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ...records import Drop

    Prefix = tuple[bytes, int]

FAMILIES = {"ip": "inet", "ipv4": "inet", "inet": "inet", "ip6": "inet6", "ipv6": "inet6", "inet6": "inet6"} | {
    name: name for name in ("arp", "unix", "netlink")
}
"""Words for families."""
_KEYWORDS = "host, net, port, dev, pid, reason, ip, ip6, arp, and names of reasons and protocols"


class Filter:
    """What is wanted: every part that is not empty. Several values of one part are alternatives."""

    def __init__(self) -> None:
        self.families: set[str] = set()
        self.protocols: set[str] = set()
        self.reasons: set[str] = set()
        self.interfaces: set[str] = set()
        self.pids: set[int] = set()
        self.ports: set[int] = set()
        """On either side."""
        self.hosts: list[Prefix] = []
        """Each must be on one of the two sides."""
        self.side_hosts: dict[str, Prefix] = {}
        self.side_ports: dict[str, int] = {}

    @property
    def of_reasons_alone(self) -> bool:
        """Whether the reason decides, so that no packet need be decoded."""
        parts = (self.families, self.protocols, self.interfaces, self.pids, self.ports, self.hosts)
        return not any(parts) and not self.side_hosts and not self.side_ports

    def wants(self, drop: Drop) -> bool:
        """Whether a packet is wanted, except the processes."""
        if self.reasons and drop.reason not in self.reasons:
            return False
        if self.families and drop.family not in self.families:
            return False
        if self.protocols and drop.protocol not in self.protocols:
            return False
        if self.interfaces and self.interfaces.isdisjoint((drop.interface, drop.received_on)):
            return False
        ports = {"source": drop.source_port, "destination": drop.destination_port}
        if self.ports and self.ports.isdisjoint(ports.values()):
            return False
        if any(ports[side] != wanted for side, wanted in self.side_ports.items()):
            return False
        if not self.hosts and not self.side_hosts:
            return True
        ends = {"source": drop.source_address, "destination": drop.destination_address}
        if not all(any(_is_in(end, host) for end in ends.values()) for host in self.hosts):
            return False
        return all(_is_in(ends[side], host) for side, host in self.side_hosts.items())

    def wants_processes(self, drop: Drop) -> bool:
        """Whether the processes of its socket are wanted ones."""
        return not self.pids or any(process.pid in self.pids for process in drop.processes)


def _is_in(address: str | None, prefix: Prefix) -> bool:
    return address is not None and within(packed(address), *prefix)


def parse(words: Sequence[str], reasons: Collection[str] = ()) -> Filter:
    """The filter that the words of a command line make. ``reasons`` are the names that are known. Raises UsageError.

    What is of drops alone is taken out, and tcpdump(8)'s words; the rest is a flow, as `netinspect path` takes it.
    """
    found = Filter()
    rest = " ".join(words).split()[::-1]
    known = {name.upper() for name in reasons}
    flow: list[str] = []
    while rest:
        word = rest.pop()
        low = word.lower()
        if low in ("src", "source", "dst", "destination") and rest and rest[-1].lower() in ("port", "host", "net"):
            if rest.pop().lower() == "port":
                word = "sport" if low.startswith("s") else "dport"
            flow += [word, _next(rest, low)]
        elif low in ("host", "net"):
            found.hosts.append(prefix_of(_next(rest, low)))
        elif low == "port":
            found.ports.add(port_of(_next(rest, low)))
        elif low in ("dev", "iif", "oif", "interface"):
            found.interfaces.add(_next(rest, low))
        elif low == "pid":
            found.pids.add(_number(_next(rest, low)))
        elif low == "reason":
            found.reasons.update(_reason(name, known) for name in _next(rest, low).split(","))
        elif low in FAMILIES:
            found.families.add(FAMILIES[low])
        elif low in PROTOCOLS.values() or low == "icmp6":
            found.protocols.add("icmpv6" if low == "icmp6" else low)
        elif _bare(word) in known:
            found.reasons.add(_bare(word))
        elif low not in ("and", "&&"):
            flow.append(word)
    if flow:
        _put(found, flow)
    return found


def _put(found: Filter, words: list[str]) -> None:
    """Takes a flow. One address that stands alone, or one port, is that of either end."""
    try:
        asked = flow_words(words)
    except UsageError as error:
        raise UsageError(f"{error}; a filter of drops also has {_KEYWORDS}") from None
    if asked.protocol is not None:
        found.protocols.add(PROTOCOLS.get(asked.protocol, str(asked.protocol)))
    alone = len(words) == 1
    if alone and asked.destination is None:
        if asked.source is not None:
            found.hosts.append(prefix_of(asked.source))
        found.ports.update(port for port in (asked.source_port, asked.destination_port) if port is not None)
        return
    for side, address, port in (
        ("source", asked.source, asked.source_port),
        ("destination", asked.destination, asked.destination_port),
    ):
        if address is not None:
            found.side_hosts[side] = prefix_of(address)
        if port is not None:
            found.side_ports[side] = port


def _next(rest: list[str], word: str) -> str:
    if not rest:
        raise UsageError(f"{word!r} needs a value")
    return rest.pop()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise UsageError(f"{text!r} is not a process id")
    return int(text)


def _bare(reason: str) -> str:
    return reason.upper().removeprefix("SKB_DROP_REASON_")


def _reason(text: str, known: Collection[str]) -> str:
    """A reason by its name, or by a number as a reason without a name is shown. Raises UsageError."""
    name = _bare(text)
    if known and name not in known and not name[-1:].isdecimal():
        from difflib import get_close_matches

        alike = get_close_matches(name, known, n=3)
        hint = f": did you mean {' or '.join(alike)}?" if alike else " (`netinspect explain` lists them)"
        raise UsageError(f"no reason {text!r}{hint}")
    return name
