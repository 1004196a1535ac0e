"""``netinspect stats explain``: what counters mean."""

from __future__ import annotations

from difflib import get_close_matches
from re import sub
from textwrap import fill
from typing import TYPE_CHECKING

from ...engine.help import show
from ...errors import ExitStatus, UsageError
from ...netstat.render_statistics import TABLES
from ...records import CounterMeaning
from ..conntrack.decode_statistics import COUNTERS, EXPECTATION_COUNTERS
from .counters import meaning, texts
from .listing_health import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .command import Stats

_WIDEST = 100
_SOURCES = {
    "Ip": "/proc/net/snmp",
    "IpExt": "/proc/net/netstat",
    "Ip6": "/proc/net/snmp6; of one interface: rtnetlink, RTM_GETLINK, IFLA_INET6_STATS",
    "Icmp": "/proc/net/snmp",
    "Icmp6": "/proc/net/snmp6; of one interface: rtnetlink, RTM_GETLINK, IFLA_INET6_ICMP6STATS",
    "Tcp": "/proc/net/snmp",
    "TcpExt": "/proc/net/netstat",
    "MPTcpExt": "/proc/net/netstat",
    "Udp": "/proc/net/snmp",
    "UdpLite": "/proc/net/snmp",
    "Udp6": "/proc/net/snmp6",
    "UdpLite6": "/proc/net/snmp6",
    "Sctp": "/proc/net/sctp/snmp",
    "Xfrm": "/proc/net/xfrm_stat",
    "Tls": "/proc/net/tls_stat",
    "sockstat": "/proc/net/sockstat, /proc/net/sockstat6",
    "link": "rtnetlink, RTM_GETLINK, IFLA_STATS64",
    "bridge": "rtnetlink, RTM_GETSTATS, IFLA_STATS_LINK_XSTATS",
    "neighbour": "rtnetlink, RTM_GETNEIGHTBL",
    "conntrack": "ctnetlink, IPCTNL_MSG_CT_GET_STATS_CPU",
}
_ALIKE = {"Ip6": ("Ip", "IpExt"), "UdpLite": ("Udp",), "Udp6": ("Udp",), "UdpLite6": ("Udp",)}
"""Tables that have counters of others too."""
_NOT_IN_IP6 = frozenset(("Forwarding", "DefaultTTL", "ForwDatagrams"))


def explain(command: Stats) -> int:
    """Explains the counters named, all of them where none is. Raises UsageError for a name that none goes by."""
    known, names = list(meanings()), command.words
    found = [entry for name in names for entry in lookup(name, known)] if names else known
    if command.format != "table" or command.chosen is not None:
        command.write_records(found)
        return ExitStatus.OK
    width = min(command.environment.columns, _WIDEST)
    if not names:
        return show("".join(f"{full_name(entry)}: {entry.meaning}\n" for entry in found), command.environment)
    command.environment.write("\n".join(_article(entry, width) for entry in found).encode())
    return ExitStatus.OK


def meanings() -> Iterator[CounterMeaning]:
    """All counters that this version knows."""
    for group in _SOURCES:
        own = texts().get(group, {})
        names = list(own)
        if group == "conntrack":
            names += [name for name, _ in (*COUNTERS.values(), *EXPECTATION_COUNTERS.values())]
        for other in _ALIKE.get(group, ()):
            names += [
                name for name in texts()[other] if name not in own and not (group == "Ip6" and name in _NOT_IN_IP6)
            ]
        prefix = group if group in ("Ip6", "Icmp6", "Udp6", "UdpLite6") else ""
        for name in names:
            counter = prefix + name
            entry = meaning(group, counter)
            yield CounterMeaning(
                group,
                counter,
                entry.kind,
                entry.unit,
                entry.meaning or "",
                TABLES.get(group, {}).get(counter, ("", ""))[1] or None,
                tuple(check.name for check in CHECKS if f"{group}.{counter}" in check.counters),
                _SOURCES[group],
            )


def lookup(name: str, known: Sequence[CounterMeaning]) -> list[CounterMeaning]:
    """The counters that go by a name: the kernel's, nstat's (TcpExtListenDrops), or netstat's words.

    Raises UsageError, with names that are spelled alike.
    """
    by_key: dict[str, list[CounterMeaning]] = {}
    for entry in known:
        for key in {_key(entry.counter), _key(entry.group + entry.counter), _words(entry.netstat or "")}:
            by_key.setdefault(key, []).append(entry)
    found = by_key.get(_key(name)) or by_key.get(_words(name))
    if found and name.strip():
        return found
    alike = [full_name(by_key[key][0]) for key in get_close_matches(_key(name), by_key, n=4, cutoff=0.7)]
    hint = f"did you mean {' or '.join(dict.fromkeys(alike))}?" if alike else "`netinspect stats explain` lists all"
    error = UsageError(f"no counter {name!r}: {hint}")
    error.slip = name, alike[:1]
    raise error


def _key(name: str) -> str:
    return sub(r"[^a-z0-9]", "", name.casefold())


def _words(text: str) -> str:
    """netstat's words without their number: as they stand in its source, or in a line of its output."""
    return " ".join(sub(r"\{\}|\b[0-9]+\b", "", text).casefold().replace(":", " ").split())


def full_name(entry: CounterMeaning) -> str:
    """``TcpExt.ListenDrops``; the table is not repeated."""
    return entry.counter if entry.counter.startswith(entry.group) else f"{entry.group}.{entry.counter}"


def _article(entry: CounterMeaning, width: int) -> str:
    """All there is to say of one counter."""

    def paragraph(label: str, text: str) -> str:
        return fill(text, width, initial_indent=f"  {label}", subsequent_indent="  ", break_long_words=False)

    unit = f" of {entry.unit}" if entry.unit else ""
    lines = [f"{full_name(entry)} ({entry.kind}{unit})", paragraph("", entry.meaning)]
    if entry.netstat:
        lines.append(paragraph("netstat -s: ", entry.netstat.format("N")))
    if entry.checks:
        lines.append(paragraph("Looked at by stats health: ", ", ".join(entry.checks)))
    lines.append(paragraph("Source: ", entry.source))
    return "\n".join(lines) + "\n"
