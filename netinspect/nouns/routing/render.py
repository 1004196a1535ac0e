"""What a route says beside its plain columns, as text in ip-route(8)'s words."""

from __future__ import annotations

from ...engine.columns import NONE
from ...engine.rows import Cell, Texts
from ...engine.table import Column, Field
from ...engine.text import unknown_text
from .render_rules import rule_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ...engine.columns import Batch
    from ...records import AffectedSocket, Encapsulation, NextHop, NextHopObject, RouteMetrics

_UNITS = {"rtt": 8.0, "rttvar": 4.0}
"""Metrics that the kernel keeps in parts of a millisecond."""


def encapsulation_text(found: Encapsulation) -> str:
    """As ``encap ip id 5 dst 192.0.2.1 ttl 0``."""
    words = [f"encap {found.type}"]
    if found.labels is not None:
        words.append(_stack(found.labels))
    for name, value in (
        ("freq", None if found.frequency is None else "/".join(map(str, found.frequency))),
        ("mode", found.mode),
        ("action", found.action),
        ("id", found.tunnel_id),
        ("src", found.source),
        ("dst", found.destination),
        ("ttl", found.ttl),
        ("tos", found.tos or None),
        ("segs", None if found.segments is None else f"[ {' '.join(found.segments)} ]"),
        ("table", found.table),
        ("vrftable", found.vrf_table),
        ("nh", found.next_hop),
        ("if_id", found.interface_id),
        ("trace prealloc type", None if found.trace_type is None else f"{found.trace_type:#08x}"),
        ("ns", found.trace_namespace),
        ("size", found.trace_size),
        ("dev", found.interface),
        ("data", found.raw or None),
    ):
        if value is not None:
            words.append(f"{name} {value}")
    return " ".join([*words, *(found.tunnel_flags or ())])


def metrics_text(metrics: RouteMetrics) -> str:
    """As ``mtu lock 1400 advmss 1360``."""
    words = []
    locked = metrics.locked or ()
    values: dict[str, Any] = metrics._asdict()
    for name, value in values.items():
        if value is None or name in ("locked", "unknown_attributes"):
            continue
        if name in _UNITS:
            value = f"{value / _UNITS[name]:g}ms"
        elif name == "rto_min":
            value = f"{value}ms"
        elif name == "features":
            value = " ".join(value)
        words.append(f"{name} lock {value}" if name in locked else f"{name} {value}")
    return " ".join([*words, *map(unknown_text, metrics.unknown_attributes)])


def next_hop_text(hop: NextHop) -> str:
    """As ``nexthop via 192.0.2.1 dev eth0 weight 2``."""
    words = ["nexthop"]
    if hop.encapsulation is not None:
        words.append(encapsulation_text(hop.encapsulation))
    if hop.new_labels:
        words.append(f"as to {_stack(hop.new_labels)}")
    if hop.gateway is not None:
        words.append(f"via {hop.gateway}")
    if hop.interface is not None:
        words.append(f"dev {hop.interface}")
    words.append(f"weight {hop.weight}")
    if hop.realms is not None:
        words.append(_realms(hop.realms))
    return " ".join([*words, *hop.flags, *map(unknown_text, hop.unknown_attributes)])


def object_text(found: NextHopObject) -> str:
    """As ``nhid 6 (group 1 2 weight 3)``."""
    if found.group is None:
        return f"nhid {found.id}" + (" (blackhole)" if found.blackhole else "")
    members = [str(member.id) + (f" weight {member.weight}" if member.weight != 1 else "") for member in found.group]
    return f"nhid {found.id} ({found.group_type} group {' '.join(members)})"


def socket_text(socket: AffectedSocket) -> str:
    """As ``tcp 10.0.0.1:40000 > 443``."""
    host = f"[{socket.local_address}]" if ":" in socket.local_address else socket.local_address
    return f"{socket.protocol} {host}:{socket.local_port or '*'} > {socket.remote_port or '*'}"


def _stack(labels: Iterable[int]) -> str:
    return "/".join(map(str, labels))


def _realms(word: int) -> str:
    source, destination = word >> 16, word & 0xFFFF
    return f"realm {source}/{destination}" if source else f"realm {destination}"


_DETAILS = (
    "type",
    "source",
    "tos",
    "next_hop_id",
    "next_hop_object",
    "encapsulation",
    "new_labels",
    "ttl_propagate",
    "flags",
    "metrics",
    "realms",
    "expires",
    "error",
    "preference",
    "input_interface",
    "mark",
    "uid",
    "next_hops",
    "rule",
    "entry",
    "sockets",
    "unknown_attributes",
)
"""The fields that ``Details`` shows where they say something."""


class Prefixes(Field):
    """A column of texts that mostly differ and need no escaping: what fills the cell stands beside the text, at a third
    of what a directive with a width takes.
    """

    def __init__(self, title: str, field: str) -> None:
        super().__init__(title, field)
        self._ends = Texts(lambda length: self._aligned("-" * length)[length:])

    def cells(self, batch: Batch) -> Sequence[Cell]:
        column = batch.column(self.field)
        if not column.plain:
            return super().cells(batch)
        texts = list(column.values(batch.count))
        return Cell(texts), Cell(map(self._ends.__getitem__, map(len, texts)))


class Details(Column):
    """The last column of the table of routes: whatever is out of the ordinary."""

    def __init__(self, title: str, *, without: Sequence[str] = ()) -> None:
        """``without`` are fields that have columns of their own."""
        super().__init__(title, self._texts_of)
        self._fields = [field for field in _DETAILS if field not in without]
        self._made: dict[tuple[str, ...], Texts] = {}

    def _texts_of(self, batch: Batch) -> Iterable[str]:
        fields = tuple(field for field in self._fields if _has_content(batch.column(field)))
        # Most fields are not there, so that the texts are found by few values.
        made = self._made.get(fields)
        if made is None:
            made = self._made[fields] = Texts(lambda values: details_text(dict(zip(fields, values, strict=True))))
        columns = list(map(batch.column, fields))
        constants = tuple(column.value for column in columns if column.constant)
        if len(constants) == len(columns):
            return [made[constants]] * batch.count
        return map(made.__getitem__, zip(*map(batch.values, fields), strict=True))


def _has_content(column: Any) -> bool:
    return column is not NONE and not column.is_all(())


def details_text(route: dict[str, Any]) -> str:
    """The text of the given fields, without the usual values."""
    words = []
    if route.get("type") not in (None, "unicast"):
        words.append(route["type"])
    for field, word in (("source", "from"), ("tos", "tos"), ("input_interface", "iif")):
        if route.get(field):
            words.append(f"{word} {route[field]}")
    if route.get("next_hop_object") is not None:
        words.append(object_text(route["next_hop_object"]))
    elif route.get("next_hop_id") is not None:
        words.append(f"nhid {route['next_hop_id']}")
    if route.get("encapsulation") is not None:
        words.append(encapsulation_text(route["encapsulation"]))
    if route.get("new_labels"):
        words.append(f"as to {_stack(route['new_labels'])}")
    if route.get("ttl_propagate") is not None:
        words.append(f"ttl-propagate {'enabled' if route['ttl_propagate'] else 'disabled'}")
    words += route.get("flags") or ()
    if route.get("metrics") is not None:
        words.append(metrics_text(route["metrics"]))
    if route.get("realms") is not None:
        words.append(_realms(route["realms"]))
    if route.get("expires") is not None:
        words.append(f"expires {route['expires']:.0f}sec")
    if route.get("error") is not None:
        words.append(f"error -{route['error']}")
    if route.get("preference") not in (None, "medium"):
        words.append(f"pref {route['preference']}")
    for field, word in (("mark", "mark"), ("uid", "uid")):
        if route.get(field) is not None:
            words.append(f"{word} {route[field]}")
    words += map(next_hop_text, route.get("next_hops") or ())
    if route.get("rule") is not None:
        words.append(f"rule: {rule_text(route['rule'])}")
    if route.get("entry") is not None:
        words.append(f"entry: {route['entry']}")
    if route.get("sockets"):
        words.append("sockets: " + ", ".join(map(socket_text, route["sockets"])))
    words += map(unknown_text, route.get("unknown_attributes") or ())
    return " ".join(words)
