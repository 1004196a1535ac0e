"""Probes of netfilter: connection tracking, translations and nftables rules."""

from __future__ import annotations

from errno import EINVAL
from typing import TYPE_CHECKING

from ... import procfs
from ...uapi.netlink import NETLINK_NETFILTER
from ...uapi.nfnetlink import NFNLGRP_CONNTRACK_NEW
from . import request as probes
from .listing_prober import NO, UNCLEAR, YES, Answer, Feature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Capability
    from .listing_prober import Prober

_MODULE = ("nf_conntrack_netlink", "NF_CT_NETLINK")
_CONNECTIONS = Feature("conntrack", "connections", "all connection tracking", *_MODULE)
_FILTER = Feature("conntrack", "filter in the kernel", "speed: netinspect selects the flows itself", since="5.8")
_EXPECTATIONS = Feature("conntrack", "expectations", "expected connections (FTP, SIP …)", *_MODULE)
_STATISTICS = Feature("conntrack", "statistics", "conntrack stats: the counters of each processor", *_MODULE)
_EVENTS = Feature(
    "conntrack", "events", "conntrack events: flows as they start and end", "nf_conntrack", "NF_CONNTRACK_EVENTS"
)
_ACCOUNTING = Feature("conntrack", "accounting", "packets and bytes of flows", "nf_conntrack", "NF_CONNTRACK")
_TIMESTAMPS = Feature(
    "conntrack", "timestamps", "start and end times of flows", "nf_conntrack", "NF_CONNTRACK_TIMESTAMP"
)
_TRANSLATIONS = Feature("nat", "translations", "the translation table (masquerade)", *_MODULE)
_RULES = Feature("nat", "nftables rules", "nat diagnose: NAT rules", "nf_tables", "NF_TABLES")


def probe(prober: Prober) -> Iterator[Capability]:
    """Connection tracking and NAT. Without CAP_NET_ADMIN netfilter answers nothing at all."""
    table = prober.ask(NETLINK_NETFILTER, probes.netfilter_table(probes.CONNTRACK))
    yield prober.result(_CONNECTIONS, table._replace(text=table.text + _size(prober)), "ctnetlink dump")
    yield _filter(prober, table)
    for feature, kind in ((_EXPECTATIONS, probes.EXPECTATIONS), (_STATISTICS, probes.CONNTRACK_CPU_STATISTICS)):
        answer = prober.ask(NETLINK_NETFILTER, probes.netfilter_table(kind))
        yield prober.result(feature, answer, "ctnetlink dump")
    joined = prober.join(NETLINK_NETFILTER, NFNLGRP_CONNTRACK_NEW)
    if joined.errno:
        yield prober.result(_EVENTS, joined, "ctnetlink group")
    else:
        yield _setting(prober, _EVENTS, "net.netfilter.nf_conntrack_events")
    yield _setting(prober, _ACCOUNTING, "net.netfilter.nf_conntrack_acct")
    yield _setting(prober, _TIMESTAMPS, "net.netfilter.nf_conntrack_timestamp")
    yield prober.result(_TRANSLATIONS, table, "ctnetlink dump")
    answer = prober.ask(NETLINK_NETFILTER, probes.netfilter_table(probes.NFTABLES))
    yield prober.result(_RULES, answer, "nf_tables dump")


def _size(prober: Prober) -> str:
    """How full the table is, where the kernel reports. A namespace in which nothing tracks yet has no entries."""
    now, most = prober.ask(NETLINK_NETFILTER, probes.conntrack_size(), probes.entries).value or (None, None)
    if now is None:
        return ""
    limit = f" of {most}" if most else ""
    return f", {now}{limit} entries" + ("" if now else " (nothing is tracked until a rule needs it)")


def _filter(prober: Prober, table: Answer) -> Capability:
    """A kernel with filter support refuses an invalid filter; an older one ignores it."""
    if table.errno:
        return prober.result(_FILTER, table, "ctnetlink dump")
    answer = prober.ask(NETLINK_NETFILTER, probes.wrongly_filtered_conntrack())
    if answer.errno == EINVAL:
        return _FILTER.has(YES, "CTA_FILTER: an invalid one was refused")
    if answer.errno == 0:
        return prober.lacks(_FILTER, "CTA_FILTER", "an invalid one was not refused")
    return prober.result(_FILTER, answer, "CTA_FILTER")


def _setting(prober: Prober, feature: Feature, sysctl: str) -> Capability:
    """A feature that a sysctl turns on; everybody may read it."""
    value = procfs.sysctl(sysctl)
    if value is None and procfs.sysctl("kernel.ostype") is None:
        return prober.result(feature, Answer(UNCLEAR, "/proc/sys cannot be read"), sysctl)
    if value is None:
        return prober.lacks(feature, sysctl, "there is none")
    if value != "0":
        return feature.has(YES, f"{sysctl} = {value}")
    remedy = f"sysctl -w {sysctl}=1 (for new flows)"
    return feature.has(NO, f"{sysctl} = {value}", feature.lost, remedy)
