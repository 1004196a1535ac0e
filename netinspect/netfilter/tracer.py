"""A table that traces one flow: it belongs to this process, and the kernel takes it away with it (NFT_TABLE_F_OWNER).

linux/netfilter/nf_tables.h. The chains have a priority before every other's, so that all of their rules are traced; of
answers only what follows connection tracking, which alone knows whose answers they are.
"""

from __future__ import annotations

from _socket import inet_pton
from os import getpid, strerror
from struct import pack, unpack_from

from ..engine.netlink.messages import attribute, message
from ..errors import NetlinkError
from ..uapi import nf_tables as nft
from ..uapi.netlink import NETLINK_NETFILTER, NLM_F_ACK, NLM_F_CREATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.places import Place

_OPERATION = "adding a table that traces"
_BATCH_BEGIN, _BATCH_END = 16, 17
"""linux/netfilter/nfnetlink.h: NFNL_MSG_BATCH_*"""
_ERROR = 2
_NESTED = 0x8000
_FAMILIES = {"inet": 2, "inet6": 10}
_HOOKS = {"prerouting": 0, "output": 3}
_FIRST, _BEHIND_TRACKING = -450, -150
_REGISTER = 1
_WITH_PORTS = (6, 17, 132, 136, 33)
_REPLY = b"\1"
NAME = "netinspect_probe"
"""The table's name begins so; the process id follows."""


class Tracer:
    """Traces a flow from now on until it is closed. Ports of 0 are any."""

    def __init__(
        self,
        place: Place,
        protocol: int,
        source: str,
        destination: str,
        source_port: int = 0,
        destination_port: int = 0,
        *,
        tracked: bool = True,
    ) -> None:
        """``tracked``: connection tracking is at work there. It is not to begin only because it is asked for answers.

        Raises NetlinkError: EPERM without CAP_NET_ADMIN, EOPNOTSUPP before Linux 5.12."""
        family = "inet6" if ":" in source else "inet"
        self.table = f"{NAME}_{getpid()}"
        packed = [inet_pton(_FAMILIES[family], address) for address in (source, destination)]
        ports = (source_port, destination_port) if protocol in _WITH_PORTS else (0, 0)
        original = _meta(nft.NFT_META_L4PROTO, bytes([protocol]))
        offset = 12 if family == "inet" else 8
        reply = _ct(nft.NFT_CT_DIRECTION, _REPLY) + _ct(nft.NFT_CT_PROTOCOL, bytes([protocol]), direction=0)
        keys = (nft.NFT_CT_SRC_IP, nft.NFT_CT_DST_IP) if family == "inet" else (nft.NFT_CT_SRC_IP6, nft.NFT_CT_DST_IP6)
        for number, address in enumerate(packed):
            original += _payload(nft.NFT_PAYLOAD_NETWORK_HEADER, offset + number * len(address), address)
            reply += _ct(keys[number], address, direction=0)
        for number, port in enumerate(ports):
            if port:
                original += _payload(nft.NFT_PAYLOAD_TRANSPORT_HEADER, 2 * number, pack("!H", port))
                key = (nft.NFT_CT_PROTO_SRC, nft.NFT_CT_PROTO_DST)[number]
                reply += _ct(key, pack("!H", port), direction=0)
        if not tracked:
            reply = _meta(nft.NFT_META_L4PROTO, bytes([protocol]))
            for number, address in enumerate(reversed(packed)):
                reply += _payload(nft.NFT_PAYLOAD_NETWORK_HEADER, offset + number * len(address), address)
            for number, port in enumerate(reversed(ports)):
                if port:
                    reply += _payload(nft.NFT_PAYLOAD_TRANSPORT_HEADER, 2 * number, pack("!H", port))
        parts = [self._add(nft.NFT_MSG_NEWTABLE, family, _text(nft.NFTA_TABLE_NAME, self.table) + _owned())]
        for hook, number in _HOOKS.items():
            for name, priority, expressions in (
                (hook, _FIRST, original),
                (f"{hook}_replies", _BEHIND_TRACKING if tracked else _FIRST, reply),
            ):
                parts.append(self._add(nft.NFT_MSG_NEWCHAIN, family, self._chain(name, number, priority)))
                parts.append(self._add(nft.NFT_MSG_NEWRULE, family, self._rule(name, expressions)))
        self._socket = place.connect(NETLINK_NETFILTER)
        try:
            self._send(parts)
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """The kernel takes the table away with the socket that made it."""
        self._socket.close()

    def _chain(self, name: str, hook: int, priority: int) -> bytes:
        inside = _number(nft.NFTA_HOOK_HOOKNUM, hook) + attribute(nft.NFTA_HOOK_PRIORITY, pack("!i", priority))
        return (
            _text(nft.NFTA_CHAIN_TABLE, self.table)
            + _text(nft.NFTA_CHAIN_NAME, name)
            + attribute(nft.NFTA_CHAIN_HOOK | _NESTED, inside)
            + _text(nft.NFTA_CHAIN_TYPE, "filter")
        )

    def _rule(self, chain: str, conditions: bytes) -> bytes:
        value = attribute(nft.NFTA_DATA_VALUE, b"\1")
        load = _number(nft.NFTA_IMMEDIATE_DREG, _REGISTER) + attribute(nft.NFTA_IMMEDIATE_DATA | _NESTED, value)
        on = _number(nft.NFTA_META_KEY, nft.NFT_META_NFTRACE) + _number(nft.NFTA_META_SREG, _REGISTER)
        return (
            _text(nft.NFTA_RULE_TABLE, self.table)
            + _text(nft.NFTA_RULE_CHAIN, chain)
            + attribute(
                nft.NFTA_RULE_EXPRESSIONS | _NESTED,
                conditions + _expression("immediate", load) + _expression("meta", on),
            )
        )

    @staticmethod
    def _add(kind: int, family: str, attributes: bytes) -> bytes:
        flags = NLM_F_CREATE | NLM_F_ACK
        body = pack("=BBH", _FAMILIES[family], 0, 0) + attributes
        return message(nft.NFNL_SUBSYS_NFTABLES << 8 | kind, flags, body)

    def _send(self, parts: list[bytes]) -> None:
        border = pack("!BBH", 0, 0, nft.NFNL_SUBSYS_NFTABLES)
        whole = message(_BATCH_BEGIN, 0, border) + b"".join(parts) + message(_BATCH_END, 0, border)
        try:
            self._socket.send(whole)
            left = len(parts)
            while left > 0:
                data, _ = self._socket.recvfrom(1 << 16, 0)
                at = 0
                while at + 20 <= len(data):
                    length, kind = unpack_from("=IH", data, at)
                    if kind == _ERROR:
                        (code,) = unpack_from("=i", data, at + 16)
                        if code:
                            raise NetlinkError(_OPERATION, -code)
                        left -= 1
                    at += max(length, 16) + 3 & ~3
        except OSError as error:
            raise NetlinkError(_OPERATION, error.errno or 0, strerror(error.errno) if error.errno else "") from None


def _owned() -> bytes:
    return _number(nft.NFTA_TABLE_FLAGS, nft.NFT_TABLE_F_OWNER)


def _text(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def _number(kind: int, number: int) -> bytes:
    return attribute(kind, pack("!I", number))


def _expression(name: str, inside: bytes) -> bytes:
    body = _text(nft.NFTA_EXPR_NAME, name) + attribute(nft.NFTA_EXPR_DATA | _NESTED, inside)
    return attribute(nft.NFTA_LIST_ELEM | _NESTED, body)


def _equals(value: bytes) -> bytes:
    inside = (
        _number(nft.NFTA_CMP_SREG, _REGISTER)
        + _number(nft.NFTA_CMP_OP, nft.NFT_CMP_EQ)
        + attribute(nft.NFTA_CMP_DATA | _NESTED, attribute(nft.NFTA_DATA_VALUE, value))
    )
    return _expression("cmp", inside)


def _meta(key: int, value: bytes) -> bytes:
    inside = _number(nft.NFTA_META_DREG, _REGISTER) + _number(nft.NFTA_META_KEY, key)
    return _expression("meta", inside) + _equals(value)


def _payload(base: int, offset: int, value: bytes) -> bytes:
    inside = (
        _number(nft.NFTA_PAYLOAD_DREG, _REGISTER)
        + _number(nft.NFTA_PAYLOAD_BASE, base)
        + _number(nft.NFTA_PAYLOAD_OFFSET, offset)
        + _number(nft.NFTA_PAYLOAD_LEN, len(value))
    )
    return _expression("payload", inside) + _equals(value)


def _ct(key: int, value: bytes, direction: int | None = None) -> bytes:
    inside = _number(nft.NFTA_CT_DREG, _REGISTER) + _number(nft.NFTA_CT_KEY, key)
    if direction is not None:
        inside += attribute(nft.NFTA_CT_DIRECTION, bytes([direction]))
    return _expression("ct", inside) + _equals(value)
