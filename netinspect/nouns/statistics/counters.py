"""What the kernel's counters mean: counters.toml, and finding a counter in it."""

from __future__ import annotations

from re import compile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RELATED = {
    "Udp": ("Udp",),
    "UdpLite": ("Udp",),
    "Udp6": ("Udp",),
    "UdpLite6": ("Udp",),
    "Ip6": ("Ip6", "Ip", "IpExt"),
    "IcmpMsg": ("Icmp",),
}
"""Tables that share their meanings with others."""
_PREFIXED = ("Ip6", "Icmp6", "Udp6", "UdpLite6")
"""Tables in which the kernel puts the table's name before each counter's."""
_TYPE = compile(r"(In|Out)Type([0-9]+)$")

_texts: dict[str, dict[str, Any]] = {}


class Meaning:
    """Unit, meaning and kind (counter, level or setting) of a counter."""

    __slots__ = ("kind", "meaning", "unit")

    def __init__(self, unit: str | None, meaning: str | None, kind: str = "counter") -> None:
        self.unit = unit or None
        self.meaning = meaning
        self.kind = kind


UNKNOWN = Meaning(None, None)
"""A counter that this version does not know: a newer kernel's."""


def texts() -> dict[str, dict[str, Any]]:
    """All there is in counters.toml, by table and counter."""
    if not _texts:
        import tomllib

        from ...engine.files import package_text

        _texts.update(tomllib.loads(package_text(__name__, "counters.toml")))
    return _texts


def meaning(group: str, counter: str) -> Meaning:
    """What a counter means; UNKNOWN where that is not known."""
    if group == "conntrack":
        found = _conntrack().get(counter)
        if found is not None:
            return found
    short = counter.removeprefix(group) if group in _PREFIXED else counter
    for table in _RELATED.get(group, (group,)):
        entry = texts().get(table, {}).get(short)
        if entry is not None:
            return Meaning(*entry)
    match = _TYPE.match(short)
    if match and group in ("IcmpMsg", "Icmp6"):
        way = "received" if match[1] == "In" else "sent"
        version = "ICMPv6" if group == "Icmp6" else "ICMP"
        return Meaning("messages", f"of {version} type {match[2]} {way} (IANA: {version} parameters)")
    return UNKNOWN


def _conntrack() -> dict[str, Meaning]:
    from ..conntrack.decode_statistics import COUNTERS, EXPECTATION_COUNTERS

    found = {name: Meaning("events", text) for name, text in (*COUNTERS.values(), *EXPECTATION_COUNTERS.values())}
    for name in ("found", "invalid", "drop", "error"):
        found[name].unit = "packets"
    return found
