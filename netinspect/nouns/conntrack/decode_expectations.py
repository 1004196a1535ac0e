"""Expectations of connection tracking helpers (linux/netfilter/nfnetlink_conntrack.h: CTA_EXPECT_*)."""

from __future__ import annotations

from ...engine.columns import NONE, Batch, Constant
from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import NLM_F_DUMP, message
from .decode import (
    CTA_PROTO_DST_PORT,
    CTA_PROTO_SRC_PORT,
    FAMILIES,
    Decoder,
    attribute_be16,
    attribute_be32,
    attribute_text,
    flow_body,
    port,
    protocol,
    tuple_sizes,
)
from .decode_names import BitNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.columns import Column
    from ...engine.netlink.messages import Paths, Run

NFNL_SUBSYS_CTNETLINK_EXP = 2
IPCTNL_MSG_EXP_GET = NFNL_SUBSYS_CTNETLINK_EXP << 8 | 1

CTA_EXPECT_MASTER, CTA_EXPECT_TUPLE, CTA_EXPECT_MASK = 1, 2, 3
CTA_EXPECT_TIMEOUT, CTA_EXPECT_ID, CTA_EXPECT_HELP_NAME = 4, 5, 6
CTA_EXPECT_ZONE, CTA_EXPECT_FLAGS = 7, 8

_FLAGS = BitNames(("PERMANENT", "INACTIVE", "USERSPACE"))
"""nf_conntrack_common.h: NF_CT_EXPECT_*"""
_TUPLES = {"": CTA_EXPECT_TUPLE, "master_": CTA_EXPECT_MASTER}
_SIDES = ("source", "destination")
_BODY = 4
_SHAPE = Shape(
    {
        **tuple_sizes(CTA_EXPECT_MASTER),
        **tuple_sizes(CTA_EXPECT_TUPLE),
        **tuple_sizes(CTA_EXPECT_MASK),
        **dict.fromkeys([(kind,) for kind in (CTA_EXPECT_TIMEOUT, CTA_EXPECT_ID, CTA_EXPECT_FLAGS)], 4),
        (CTA_EXPECT_HELP_NAME,): ANY,
        (CTA_EXPECT_ZONE,): 2,
    },
    ((9,), (10,), (11,)),  # CLASS, NAT, FN: the helper's own
)
_FAMILY = 16


class ExpectationBatch(Batch):
    """Expectations as columns."""

    __slots__ = ()
    record = "Expectation"


def request(family: int = 0) -> bytes:
    """A dump of the expectations."""
    return message(IPCTNL_MSG_EXP_GET, NLM_F_DUMP, flow_body(family))


def batches(run: Run) -> Iterator[ExpectationBatch]:
    """The expectations of a run. Raises NetlinkError where messages are malformed."""
    decoder = Decoder()
    for part, paths in run.by_paths(_BODY, _SHAPE):
        for family, same in part.by_value(_FAMILY):
            yield _batch(decoder, family, same, paths)


def _batch(decoder: Decoder, family: int, run: Run, paths: Paths) -> ExpectationBatch:
    columns: dict[str, Column] = {
        "family": Constant(FAMILIES.get(family) or f"unknown-{family}"),
        "protocol": protocol(run, paths, CTA_EXPECT_TUPLE),
        "timeout": attribute_be32(run, paths, CTA_EXPECT_TIMEOUT),
        "helper": attribute_text(run, paths, CTA_EXPECT_HELP_NAME),
        "flags": _flags(run, paths),
        "zone": attribute_be16(run, paths, CTA_EXPECT_ZONE),
        "id": attribute_be32(run, paths, CTA_EXPECT_ID),
        "unknown_attributes": Constant(_SHAPE.unknown(paths)),
    }
    for number, side in enumerate(_SIDES):
        for prefix, tuple_kind in _TUPLES.items():
            columns[f"{prefix}{side}_address"] = decoder.address(run, paths, tuple_kind, number)
            columns[f"{prefix}{side}_port"] = port(
                run, paths, tuple_kind, (CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT)[number]
            )
        columns[f"{side}_mask"] = decoder.address(run, paths, CTA_EXPECT_MASK, number)
        columns[f"{side}_port_mask"] = port(
            run, paths, CTA_EXPECT_MASK, (CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT)[number]
        )
    return ExpectationBatch(run.count, lambda field: columns.get(field, NONE))


def _flags(run: Run, paths: Paths) -> Column:
    words = attribute_be32(run, paths, CTA_EXPECT_FLAGS)
    if isinstance(words, Constant):
        return Constant(() if words.value is None else _FLAGS[words.value])
    return list(map(_FLAGS.__getitem__, words))
