"""Address translation and packet drops of a lab, as nftables rules over netlink (linux/netfilter/nf_tables.h).

Each family has a table ``lab`` of its own. A rule is a list of expressions: load something into a register, compare
it, act; ``nft --debug=netlink`` prints rules in this form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES, nfgen_msg
from pyroute2.netlink.nfnetlink.nftsocket import (
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWTABLE,
    nft_chain_msg,
    nft_rule_msg,
    nft_table_msg,
)

from ..uapi.netlink import NLM_F_APPEND, NLM_F_CREATE
from .requests import BATCH_SEQUENCE, Requests, encoded
from .topology import Drop, Nat

TABLE = "lab"
_FAMILIES = {4: 2, 6: 10}
"""NFPROTO_IPV4, NFPROTO_IPV6 (linux/netfilter.h)"""
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_PROTOCOLS = {"tcp": 6, "udp": 17}
# Hooks (linux/netfilter.h) and priorities (linux/netfilter_ipv4.h: NF_IP_PRI_*).
_PREROUTING, _INPUT, _FORWARD, _POSTROUTING = 0, 1, 2, 4
_CHAINS = {
    "prerouting": ("nat", _PREROUTING, -100),
    "postrouting": ("nat", _POSTROUTING, 100),
    "forward": ("filter", _FORWARD, 0),
    "input": ("filter", _INPUT, 0),
}
_VERDICT, _FIRST, _SECOND = 0, 1, 2
"""Registers."""
_META_IIFNAME, _META_OIFNAME, _META_L4PROTO = 6, 7, 16
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_SOURCE_OFFSET = {4: (12, 4), 6: (8, 16)}
_SOURCE_PORT, _DESTINATION_PORT = 0, 2
_SNAT, _DNAT = 0, 1
_NAME_SIZE = 16

Expression = dict[str, Any]


def add_rules(requests: Requests, nat: Sequence[Nat], drops: Sequence[Drop], have: set[tuple[int, str]]) -> None:
    """These rules, with the tables and chains they need. ``have`` has those that exist, and gets the new ones."""
    requests.within(*_batch())
    for translation in nat:
        chain = "postrouting" if translation.kind in ("masquerade", "snat") else "prerouting"
        _chain(requests, translation.family, chain, have)
        _rule(requests, translation.family, chain, list(_translation(translation)), f"the {translation.kind} rule")
    for drop in drops:
        _chain(requests, drop.family, drop.hook, have)
        _rule(requests, drop.family, drop.hook, list(_dropped(drop)), "the drop rule")


@cache
def _batch() -> tuple[bytes, bytes]:
    """The messages that open and close a transaction."""
    around = []
    for kind in (_BATCH_BEGIN, _BATCH_END):
        message = nfgen_msg()
        message["res_id"] = NFNL_SUBSYS_NFTABLES
        around.append(encoded(message, kind, 0, BATCH_SEQUENCE))
    return around[0], around[1]


def _add(requests: Requests, message: Any, kind: int, family: int, attributes: list[Any], what: str) -> None:
    message["nfgen_family"] = _FAMILIES[family]
    message["attrs"] = attributes
    requests.add(message, NFNL_SUBSYS_NFTABLES << 8 | kind, NLM_F_CREATE | NLM_F_APPEND, f"{what} (nftables)")


def _chain(requests: Requests, family: int, name: str, have: set[tuple[int, str]]) -> None:
    if not any(known == family for known, _ in have):
        _add(requests, nft_table_msg(), NFT_MSG_NEWTABLE, family, [["NFTA_TABLE_NAME", TABLE]], f"the table {TABLE}")
    if (family, name) in have:
        return
    have.add((family, name))
    kind, hook, priority = _CHAINS[name]
    attributes = [
        ["NFTA_CHAIN_TABLE", TABLE],
        ["NFTA_CHAIN_NAME", name],
        ["NFTA_CHAIN_HOOK", {"attrs": [["NFTA_HOOK_HOOKNUM", hook], ["NFTA_HOOK_PRIORITY", priority]]}],
        ["NFTA_CHAIN_TYPE", kind],
    ]
    _add(requests, nft_chain_msg(), NFT_MSG_NEWCHAIN, family, attributes, f"the chain {name}")


def _rule(requests: Requests, family: int, chain: str, expressions: list[Expression], what: str) -> None:
    attributes = [
        ["NFTA_RULE_TABLE", TABLE],
        ["NFTA_RULE_CHAIN", chain],
        ["NFTA_RULE_EXPRESSIONS", expressions],
    ]
    _add(requests, nft_rule_msg(), NFT_MSG_NEWRULE, family, attributes, what)


def _translation(nat: Nat) -> Iterator[Expression]:
    if nat.out is not None:
        yield from _interface(_META_OIFNAME, nat.out)
    if nat.into is not None:
        yield from _interface(_META_IIFNAME, nat.into)
    if nat.source is not None:
        yield from _source(nat.source, nat.family)
    yield from _transport(nat.protocol)
    yield from _port(_DESTINATION_PORT, nat.port)
    yield _expression("counter")
    attributes: list[list[Any]] = []
    if nat.kind in ("snat", "dnat"):
        assert nat.to is not None
        yield _load(_FIRST, ip_address(nat.to).packed)
        attributes = [
            ["NFTA_NAT_TYPE", _SNAT if nat.kind == "snat" else _DNAT],
            ["NFTA_NAT_FAMILY", _FAMILIES[nat.family]],
            ["NFTA_NAT_REG_ADDR_MIN", _FIRST],
        ]
    name, prefix = {"masquerade": ("masq", "MASQ"), "redirect": ("redir", "REDIR")}.get(nat.kind, ("nat", "NAT"))
    if nat.to_port is not None:
        yield _load(_SECOND, nat.to_port.to_bytes(2, "big"))
        attributes.append([f"NFTA_{prefix}_REG_PROTO_MIN", _SECOND])
    yield _expression(name, attributes)


def _dropped(drop: Drop) -> Iterator[Expression]:
    if drop.into is not None:
        yield from _interface(_META_IIFNAME, drop.into)
    yield from _transport(drop.protocol)
    yield from _port(_DESTINATION_PORT, drop.port)
    yield from _port(_SOURCE_PORT, drop.source_port)
    yield _expression("counter")
    verdict = {"attrs": [["NFTA_DATA_VERDICT", {"attrs": [["NFTA_VERDICT_CODE", 0]]}]]}
    yield _expression("immediate", [["NFTA_IMMEDIATE_DREG", _VERDICT], ["NFTA_IMMEDIATE_DATA", verdict]])


def _interface(key: int, name: str) -> Iterator[Expression]:
    yield _expression("meta", [["NFTA_META_DREG", _FIRST], ["NFTA_META_KEY", key]])
    yield _equals(name.encode().ljust(_NAME_SIZE, b"\0"))


def _source(prefix: str, family: int) -> Iterator[Expression]:
    network = ip_network(prefix)
    offset, size = _SOURCE_OFFSET[family]
    yield _payload(_NETWORK_HEADER, offset, size)
    if network.prefixlen < network.max_prefixlen:
        yield _expression(
            "bitwise",
            [
                ["NFTA_BITWISE_SREG", _FIRST],
                ["NFTA_BITWISE_DREG", _FIRST],
                ["NFTA_BITWISE_LEN", size],
                ["NFTA_BITWISE_MASK", _value(network.netmask.packed)],
                ["NFTA_BITWISE_XOR", _value(bytes(size))],
            ],
        )
    yield _equals(network.network_address.packed)


def _transport(protocol: str | None) -> Iterator[Expression]:
    if protocol is not None:
        yield _expression("meta", [["NFTA_META_DREG", _FIRST], ["NFTA_META_KEY", _META_L4PROTO]])
        yield _equals(bytes((_PROTOCOLS[protocol],)))


def _port(offset: int, port: int | None) -> Iterator[Expression]:
    if port is not None:
        yield _payload(_TRANSPORT_HEADER, offset, 2)
        yield _equals(port.to_bytes(2, "big"))


def _payload(base: int, offset: int, size: int) -> Expression:
    return _expression(
        "payload",
        [
            ["NFTA_PAYLOAD_DREG", _FIRST],
            ["NFTA_PAYLOAD_BASE", base],
            ["NFTA_PAYLOAD_OFFSET", offset],
            ["NFTA_PAYLOAD_LEN", size],
        ],
    )


def _equals(value: bytes) -> Expression:
    return _expression("cmp", [["NFTA_CMP_SREG", _FIRST], ["NFTA_CMP_OP", 0], ["NFTA_CMP_DATA", _value(value)]])


def _load(register: int, value: bytes) -> Expression:
    return _expression("immediate", [["NFTA_IMMEDIATE_DREG", register], ["NFTA_IMMEDIATE_DATA", _value(value)]])


def _value(value: bytes) -> dict[str, Any]:
    return {"attrs": [["NFTA_DATA_VALUE", value]]}


def _expression(name: str, attributes: list[Any] | None = None) -> Expression:
    return {"attrs": [["NFTA_EXPR_NAME", name], ["NFTA_EXPR_DATA", {"attrs": attributes or []}]]}


__all__ = ["TABLE", "add_rules"]
