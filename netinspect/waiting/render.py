"""A record's identity in one line, for messages and differences, in the words of the usual tools."""

from __future__ import annotations

from ..nouns.routing.render import details_text
from ..nouns.routing.render_rules import rule_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..records import Address, Flow, Link, Membership, Route, Rule, Socket


def line(record: Any) -> str:
    """The record in one line, its namespace behind it where it is reported. Not yet printable."""
    make = _LINES.get(type(record).__name__)
    text = _plain(record) if make is None else make(record)
    netns = getattr(record, "netns", None)
    return text if netns is None else f"{text} (netns {netns})"


def endpoint(address: str | None, port: int | None) -> str:
    """``address:port`` as people write it."""
    shown = f"[{address}]" if address and ":" in address and port is not None else address or "*"
    return shown if port is None else f"{shown}:{port or '*'}"


def socket_line(socket: Socket) -> str:
    """As ``tcp ESTABLISHED 10.0.0.1:80 -> 10.0.0.2:40000 (nginx 12)``."""
    words = [socket.protocol, socket.state]
    if socket.family in ("inet", "inet6"):
        words.append(endpoint(socket.local_address, socket.local_port))
        if socket.remote_port:
            words += ["->", endpoint(socket.remote_address, socket.remote_port)]
    else:
        words.append(endpoint(socket.local_address, socket.local_port))
        if socket.remote_address:
            words += ["->", endpoint(socket.remote_address, socket.remote_port)]
    if socket.interface is not None:
        words.append(f"dev {socket.interface}")
    if socket.processes:
        words.append("(" + ", ".join(f"{process.name} {process.pid}" for process in socket.processes) + ")")
    return " ".join(words)


def flow_line(flow: Flow) -> str:
    """As ``tcp ESTABLISHED 10.0.0.1:4000 -> 10.0.0.2:80 (source becomes 192.0.2.1:4000)``."""
    words = [flow.protocol, *([flow.state] if flow.state else [])]
    source = endpoint(flow.source_address, flow.source_port)
    words += [source, "->", endpoint(flow.destination_address, flow.destination_port)]
    if flow.icmp_type is not None:
        words.append(f"type {flow.icmp_type} id {flow.icmp_id}")
    became = endpoint(flow.reply_destination_address, flow.reply_destination_port)
    if became != source:
        words.append(f"(source becomes {became})")
    became = endpoint(flow.reply_source_address, flow.reply_source_port)
    if became != endpoint(flow.destination_address, flow.destination_port):
        words.append(f"(destination becomes {became})")
    if flow.zone:
        words.append(f"zone {flow.zone}")
    return " ".join(words)


def route_line(route: Route) -> str:
    """As ip-route(8) shows it: ``10.0.0.0/8 via 10.1.1.1 dev eth0 metric 100``."""
    words = [] if route.type == "unicast" else [route.type]
    words.append(route.destination)
    for name, value in (
        ("via", route.gateway),
        ("dev", route.interface),
        ("table", route.table if route.table != "main" else None),
        ("proto", route.protocol),
        ("src", route.preferred_source),
        ("metric", route.metric or None),
    ):
        if value is not None:
            words.append(f"{name} {value}")
    more = {name: value for name, value in route._asdict().items() if name not in ("type", "rule", "entry", "uid")}
    details = details_text(more)
    return " ".join([*words, details] if details else words)


def membership_line(membership: Membership) -> str:
    """As ``239.1.1.1 on eth0 only from 10.0.0.1``."""
    words = [membership.group, "on", membership.interface]
    if membership.included:
        words.append(f"only from {', '.join(membership.included)}")
    if membership.excluded:
        words.append(f"not from {', '.join(membership.excluded)}")
    return " ".join(words)


def link_line(link: Link) -> str:
    """As ``eth0 veth up,broadcast state up mtu 1500 master br0``."""
    words = [link.name, *([link.kind] if link.kind else []), ",".join(link.flags) or "-"]
    words += ["state", link.state, "mtu", str(link.mtu)]
    for name, value in (("master", link.master), ("address", link.address)):
        if value is not None:
            words += [name, value]
    return " ".join(words)


def address_line(address: Address) -> str:
    """As ``10.0.0.1/24 on eth0 scope global permanent``."""
    words = [f"{address.address}/{address.prefix_length}", "on", address.interface, "scope", address.scope]
    if address.peer is not None:
        words[1:1] = ["peer", address.peer]
    return " ".join([*words, ",".join(address.flags)] if address.flags else words)


def rule_line(rule: Rule) -> str:
    """As `ip rule` shows it, the family before it."""
    return f"{rule.family} {rule_text(rule)}"


def _plain(record: Any) -> str:
    fields = record._asdict().items()
    return " ".join(f"{name} {value}" for name, value in fields if value not in (None, ()) and name != "netns")


_LINES: dict[str, Callable[[Any], str]] = {
    "Socket": socket_line,
    "Flow": flow_line,
    "Route": route_line,
    "Membership": membership_line,
    "Link": link_line,
    "Address": address_line,
    "Rule": rule_line,
}
