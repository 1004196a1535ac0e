"""IPsec's policies and security associations, as far as they decide on a packet's way (linux/xfrm.h)."""

from __future__ import annotations

from _socket import inet_ntop, ntohs
from errno import EACCES, EPERM
from struct import Struct, unpack_from

from ...engine.netlink.messages import attributes, malformed, message
from ...engine.netlink.transport import Dump
from ...errors import NetlinkError
from ...uapi import xfrm
from ...uapi.netlink import AF_INET6, NLM_F_DUMP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.places import Place

_SELECTOR = Struct("=16s16sHHHHHBBB3xiI")
"""struct xfrm_selector: addresses, ports in network order with masks, family, prefixes, protocol, interface, user."""
_POLICY = 56 + 64 + 32
"""Where priority, index, direction and action are in struct xfrm_userpolicy_info."""
_POLICY_SIZE = 168
_TEMPLATE = Struct("=16sIB3xH2x16sIBBB1x12x")
"""struct xfrm_user_tmpl: destination, SPI, protocol, family, source, request, mode, share, optional."""
_STATE_SIZE = 224
_PROTOCOLS = {50: "esp", 51: "ah", 108: "comp"}
_HEADER = 16


class Template:
    """What a policy wants of a packet: to go by such an association, or to have come by one."""

    __slots__ = ("destination", "mode", "optional", "protocol", "request", "source")

    def __init__(self, raw: bytes, family: int) -> None:
        destination, _, protocol, own, source, self.request, mode, _, optional = _TEMPLATE.unpack(raw)
        family = own or family
        self.destination, self.source = _address(destination, family), _address(source, family)
        self.protocol, self.mode, self.optional = protocol, mode, bool(optional)

    def __str__(self) -> str:
        mode = xfrm.XFRM_MODES[self.mode] if self.mode < len(xfrm.XFRM_MODES) else f"mode {self.mode}"
        ends = f" {self.source} > {self.destination}" if self.mode == 1 else ""
        return f"{_PROTOCOLS.get(self.protocol, self.protocol)} {mode}{ends}" + (
            f" reqid {self.request}" if self.request else ""
        )


class Policy:
    """One policy: which packets, in which direction, and what becomes of them."""

    __slots__ = (
        *("blocks", "destination", "direction", "family", "if_id", "index", "interface", "mark", "ports", "priority"),
        *("protocol", "source", "templates"),
    )

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER + _POLICY_SIZE:
            raise malformed(f"a policy of {len(data)} bytes", "listing IPsec policies")
        found = _SELECTOR.unpack_from(data, _HEADER)
        to, source, dport, dport_mask, sport, sport_mask, self.family = found[:7]
        length, source_length, self.protocol, self.interface, _ = found[7:]
        self.destination = _prefix(to, self.family, length)
        self.source = _prefix(source, self.family, source_length)
        self.ports: tuple[int, ...] = (ntohs(sport), ntohs(sport_mask), ntohs(dport), ntohs(dport_mask))
        """Source port and mask, destination port and mask."""
        self.priority, self.index, self.direction, action = unpack_from("=IIBB", data, _HEADER + _POLICY)
        self.blocks = action == xfrm.XFRM_POLICY_BLOCK
        inside = attributes(data, _HEADER + _POLICY_SIZE, len(data), "listing IPsec policies")
        at, size = inside.get(xfrm.XFRMA_TMPL, (0, 0))
        self.templates = [
            Template(data[where : where + _TEMPLATE.size], self.family)
            for where in range(at, at + size - _TEMPLATE.size + 1, _TEMPLATE.size)
        ]
        self.mark = (0, 0)
        at, size = inside.get(xfrm.XFRMA_MARK, (0, 0))
        if size >= 8:
            self.mark = unpack_from("=II", data, at)
        at, size = inside.get(xfrm.XFRMA_IF_ID, (0, 0))
        self.if_id = unpack_from("=I", data, at)[0] if size >= 4 else 0

    @property
    def way(self) -> str:
        """The direction, as ip-xfrm(8) calls it."""
        return ("in", "out", "fwd")[self.direction] if self.direction < 3 else str(self.direction)

    def __str__(self) -> str:
        what = "block" if self.blocks else "; ".join(map(str, self.templates)) or "allow"
        return f"{self.source} > {self.destination} dir {self.way} priority {self.priority}: {what}"


class Association:
    """One security association (struct xfrm_usersa_info)."""

    __slots__ = ("destination", "mode", "protocol", "request", "source")

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER + _STATE_SIZE:
            raise malformed(f"a security association of {len(data)} bytes", "listing IPsec's associations")
        destination, _, self.protocol, source = unpack_from("=16sIB3x16s", data, _HEADER + 56)
        self.request, family, self.mode = unpack_from("=IHB", data, _HEADER + 208)
        self.destination, self.source = _address(destination, family), _address(source, family)

    def fits(self, template: Template) -> bool:
        """Whether a policy's template may be met by it (net/xfrm/xfrm_state.c: xfrm_state_look_at)."""
        if (self.protocol, self.mode) != (template.protocol, template.mode):
            return False
        if template.request and self.request != template.request:
            return False
        return template.mode != 1 or (self.destination, self.source) == (template.destination, template.source)


def _address(raw: bytes, family: int) -> str:
    return inet_ntop(AF_INET6, raw) if family == AF_INET6 else inet_ntop(2, raw[:4])


def _prefix(raw: bytes, family: int, length: int) -> str:
    return f"{_address(raw, family)}/{length}"


def _messages(place: Place, kind: int, body: int, operation: str) -> Iterator[bytes]:
    for run in Dump(place.connect(xfrm.NETLINK_XFRM), message(kind, NLM_F_DUMP, bytes(body)), operation):
        for single in run.singles():
            yield single.data


def policies(place: Place) -> list[Policy] | None:
    """The policies, in the order in which they count; none where the kernel has no IPsec, None where that needs root.

    Raises NetlinkError.
    """
    try:
        found = [Policy(data) for data in _messages(place, xfrm.XFRM_MSG_GETPOLICY, 64, "listing IPsec policies")]
    except NetlinkError as error:
        if error.errno in (EPERM, EACCES):
            return None
        return []
    return sorted(found, key=lambda policy: (policy.priority, policy.index))


def associations(place: Place) -> list[Association]:
    """The security associations. Raises NetlinkError."""
    operation = "listing IPsec's associations"
    return [Association(data) for data in _messages(place, xfrm.XFRM_MSG_GETSA, 24, operation)]
