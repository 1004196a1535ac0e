"""Sizes and counters of the neighbour tables, ARP's and IPv6's (linux/neighbour.h: RTM_GETNEIGHTBL, NDTA_*)."""

from __future__ import annotations

from _struct import iter_unpack, pack, unpack_from

from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import malformed, message
from ...engine.text import text
from ...uapi.neighbour import NDTA_CONFIG, NDTA_NAME, NDTA_STATS, NDTA_THRESH1, NDTA_THRESH2, NDTA_THRESH3
from ...uapi.netlink import NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETNEIGHTBL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.netlink.messages import Layout, Run


_BODY = 4
_SHAPE = Shape(
    {NDTA_NAME: ANY, NDTA_THRESH1: 4, NDTA_THRESH2: 4, NDTA_THRESH3: 4, NDTA_CONFIG: 8, NDTA_STATS: 8},
    (6, 8, 9),  # parameters, the garbage collector's interval, padding
)
_ENTRIES = 4
"""Offset of ndtc_entries in struct ndt_config."""

STATISTICS = (
    *("allocs", "destroys", "hash_grows", "res_failed", "lookups", "hits", "rcv_probes_mcast", "rcv_probes_ucast"),
    *("periodic_gc_runs", "forced_gc_runs", "table_fulls"),
)
"""struct ndt_stats."""
_THRESHOLDS = {"gc_thresh1": NDTA_THRESH1, "gc_thresh2": NDTA_THRESH2, "gc_thresh3": NDTA_THRESH3}


def request() -> bytes:
    """A dump of all tables (struct ndtmsg)."""
    return message(RTM_GETNEIGHTBL, NLM_F_DUMP, pack("=BxH", 0, 0))


def tables(run: Run) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Name of each table, arp_cache or ndisc_cache, and its figures. Raises NetlinkError where it is malformed.

    Messages about the parameters of an interface, which have no counters, are passed over.
    """
    for part, layout in run.by_layout(_BODY, _SHAPE):
        if NDTA_STATS in layout and NDTA_NAME in layout:
            if not layout.keys() >= set(_THRESHOLDS.values()):
                raise malformed("a table of neighbours without its limits", run.operation)
            for first in range(0, len(part.data), part.length):
                yield _table(part.data[first : first + part.length], layout)


def _table(data: bytes, layout: Layout) -> tuple[str, list[tuple[str, int]]]:
    fields = {kind: data[at : at + size] for kind, (at, size) in layout.items()}
    figures: list[tuple[str, int]] = []
    configuration = fields.get(NDTA_CONFIG, b"")
    if len(configuration) >= _ENTRIES + 4:
        figures.append(("entries", unpack_from("=I", configuration, _ENTRIES)[0]))
    figures += [(name, unpack_from("=I", fields[kind])[0]) for name, kind in _THRESHOLDS.items()]
    statistics = fields[NDTA_STATS]
    numbers = [value for (value,) in iter_unpack("=Q", statistics[: len(statistics) // 8 * 8])]
    figures += zip(STATISTICS, numbers, strict=False)
    return text(fields[NDTA_NAME].split(b"\0", 1)[0]), figures
