"""Routes in the words of `ip -j -d route`, so that ours and its can be compared."""

from __future__ import annotations

import json
from typing import Any

from netinspect.records import Route

_SHARED_METRICS = (
    "mtu",
    "advmss",
    "window",
    "cwnd",
    "ssthresh",
    "initcwnd",
    "initrwnd",
    "hoplimit",
    "reordering",
    "quickack",
)


def by_ip(host: Any, *arguments: str) -> list[dict[str, Any]]:
    """What `ip -j -d` says. It gives a key twice where a route has an encapsulation: the first is the route's."""
    text = host.run("ip", "-j", "-d", *arguments).stdout or "[]"
    found: list[dict[str, Any]] = json.loads(text, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    return found


def as_ip_has_it(found: Route) -> dict[str, Any]:
    """A record in the words of `ip -j -d route`, with the fields that both show."""
    address, _, length = found.destination.partition("/")
    whole = "128" if found.family == "inet6" else "32"
    if length == "0":
        address = "default"
    row: dict[str, Any] = {
        "type": found.type,
        "dst": address if length in ("0", whole) else found.destination,
        "table": found.table,
        "protocol": found.protocol,
        "scope": found.scope,
        "metric": found.metric,
        "prefsrc": found.preferred_source,
        "from": found.source,
        "tos": found.tos,
        "nhid": found.next_hop_id,
        "pref": found.preference,
        "flags": sorted(flag for flag in found.flags if flag != "pervasive"),
    }
    if found.next_hops is None:
        row |= {"gateway": found.gateway, "dev": found.interface}
    else:
        row["nexthops"] = [(hop.gateway, hop.interface, hop.weight, sorted(hop.flags)) for hop in found.next_hops]
    if found.encapsulation is not None:
        row["encap"] = found.encapsulation.type
    metrics = found.metrics
    if metrics is not None:
        # The peer rounds times as the kernel keeps them.
        row["metrics"] = {
            name: value for name, value in metrics._asdict().items() if value is not None and name != "locked"
        }
    return row


def in_the_same_words(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `ip -j -d route` with the same keys."""
    found: dict[str, Any] = {
        "type": row.get("type", "unicast"),
        "dst": row["dst"],
        "table": row.get("table", "main"),
        "protocol": row.get("protocol"),
        "scope": row.get("scope", "global"),
        "metric": row.get("metric", 0),
        "prefsrc": row.get("prefsrc"),
        "from": row.get("from"),
        "tos": int(str(row.get("tos", 0)), 0),
        "nhid": row.get("nhid"),
        "pref": row.get("pref"),
        "flags": sorted(row.get("flags", [])),
    }
    if "nexthops" in row:
        found["nexthops"] = [
            (
                hop.get("gateway", (hop.get("via") or {}).get("host")),
                hop.get("dev"),
                hop.get("weight"),
                sorted(hop.get("flags", [])),
            )
            for hop in row["nexthops"]
        ]
    else:
        found |= {"gateway": row.get("gateway", (row.get("via") or {}).get("host")), "dev": row.get("dev")}
    if "encap" in row:
        found["encap"] = row["encap"]
    if "metrics" in row:
        metrics: dict[str, Any] = {}
        for part in row["metrics"]:
            metrics |= part
        for name, scale in (("rtt", 8), ("rttvar", 4), ("rto_min", 1)):
            if name in metrics:
                metrics[name] *= scale
        if "features" in metrics:
            metrics["features"] = tuple(metrics["features"])
        found["metrics"] = metrics
    return found


def shared(rows: list[dict[str, Any]], family: str) -> list[dict[str, Any]]:
    """The rows without what the two show differently."""
    found = []
    for row in map(dict, rows):
        # ip of iproute2 6.1 tells hop limits and similar by other names, and IPv6's scope never but as global.
        row.pop("scope" if family == "inet6" else "pref")
        if row.get("nhid") is not None:
            row.pop("nexthops", None)
            row.pop("gateway", None)
            row.pop("dev", None)
        if "encap" in row:
            row.pop("tos")
        if "metrics" in row:
            row["metrics"] = {name: value for name, value in row["metrics"].items() if name in _SHARED_METRICS}
        found.append(row)
    return found
