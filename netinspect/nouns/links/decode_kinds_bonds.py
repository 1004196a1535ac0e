"""Settings of bonds and of their ports (linux/if_link.h: IFLA_BOND_*)."""

from __future__ import annotations

from sys import byteorder

from ...errors import MalformedError
from ...records import Bond, UnknownAttribute
from .decode_kinds_values import choice, hardware, inside, number, switch, targets, values_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode_kinds_values import Fields

_BOND: Fields = {
    "active_index": (2, number),
    "miimon": (3, number),
    "up_delay": (4, number),
    "down_delay": (5, number),
    "use_carrier": (6, switch),
    "arp_interval": (7, number),
    "arp_targets": (8, targets),
    "arp_validate": (
        9,
        choice("none", "active", "backup", "all", "filter", "filter_active", "filter_backup"),
    ),
    "arp_all_targets": (10, choice("any", "all")),
    "primary_index": (11, number),
    "primary_reselect": (12, choice("always", "better", "failure")),
    "fail_over_address": (13, choice("none", "active", "follow")),
    "transmit_hash": (14, choice("layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac")),
    "resend_igmp": (15, number),
    "peer_notifications": (16, number),
    "all_active": (17, switch),
    "minimum_links": (18, number),
    "learning_interval": (19, number),
    "packets_per_member": (20, number),
    "lacp_rate": (21, choice("slow", "fast")),
    "lacp_select": (22, choice("stable", "bandwidth", "count", "prio")),
    "actor_priority": (24, number),
    "port_key": (25, number),
    "actor_address": (26, hardware),
    "dynamic_balance": (27, switch),
    "peer_notification_delay": (28, number),
    "lacp_active": (29, switch),
    "missed_max": (30, number),
    "neighbour_targets": (31, targets),
    "coupled_control": (32, switch),
    "broadcast_neighbour": (33, switch),
    "lacp_strict": (34, switch),
}
"""IFLA_BOND_*."""
_BOND_AGGREGATOR = 23
_AGGREGATOR: Fields = {
    "aggregator": (1, number),
    "aggregator_ports": (2, number),
    "actor_key": (3, number),
    "partner_key": (4, number),
    "partner_address": (5, hardware),
}
"""IFLA_BOND_AD_INFO_*."""
_CHURN = ("monitoring", "churned", "none")
BOND_PORT: Fields = {
    "state": (1, choice("active", "backup")),
    "link": (2, choice("up", "going down", "down", "going up")),
    "failures": (3, number),
    "permanent_address": (4, hardware),
    "queue": (5, number),
    "aggregator": (6, number),
    "actor_state": (7, number),
    "partner_state": (8, number),
    "priority": (9, lambda raw: int.from_bytes(raw, byteorder, signed=True)),
    "actor_priority": (10, number),
    "actor_churn": (11, choice(*_CHURN)),
    "partner_churn": (12, choice(*_CHURN)),
}
"""IFLA_BOND_SLAVE_*."""


def bond(data: bytes) -> Bond:
    """The settings of a bond, and of the aggregator that is active."""
    found = inside(data)
    values = values_of(_BOND, found, (), (1, _BOND_AGGREGATOR))  # the mode is a field of the link's own
    aggregator = found.raw(_BOND_AGGREGATOR)
    if aggregator is not None:
        try:
            inner = values_of(_AGGREGATOR, inside(aggregator), (), ())
        except MalformedError:
            inner = {"unknown_attributes": (UnknownAttribute(_BOND_AGGREGATOR, len(aggregator), ()),)}
        else:
            unknown = [one._replace(inside=(_BOND_AGGREGATOR,)) for one in inner["unknown_attributes"]]
            inner["unknown_attributes"] = tuple(unknown)
        values |= inner | {"unknown_attributes": values["unknown_attributes"] + inner["unknown_attributes"]}
    return Bond(**values)
