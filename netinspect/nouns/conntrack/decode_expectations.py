"""Expectations of connection tracking helpers (linux/netfilter/nfnetlink_conntrack.h: CTA_EXPECT_*)."""

from __future__ import annotations

from ...engine.columns import NONE, Constant
from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import message
from ...engine.schema import Schema
from ...uapi.netlink import NLM_F_DUMP
from ...uapi.nfnetlink import (
    CTA_EXPECT_FLAGS,
    CTA_EXPECT_HELP_NAME,
    CTA_EXPECT_ID,
    CTA_EXPECT_MASK,
    CTA_EXPECT_MASTER,
    CTA_EXPECT_TIMEOUT,
    CTA_EXPECT_TUPLE,
    CTA_EXPECT_ZONE,
    CTA_PROTO_DST_PORT,
    CTA_PROTO_SRC_PORT,
    IPCTNL_MSG_EXP_GET,
)
from .decode import (
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
    from collections.abc import Callable, Iterator, Sequence

    from ...engine.columns import Batch, Column
    from ...engine.netlink.messages import Paths, Run


_FLAGS = BitNames(("PERMANENT", "INACTIVE", "USERSPACE"))
"""nf_conntrack_common.h: NF_CT_EXPECT_*"""
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


def request(family: int = 0) -> bytes:
    """A dump of the expectations."""
    return message(IPCTNL_MSG_EXP_GET, NLM_F_DUMP, flow_body(family))


def batches(run: Run) -> Iterator[Batch]:
    """The expectations of a run. Raises NetlinkError where messages are malformed."""
    return (batch for batch, _ in placed(run))


def placed(run: Run) -> Iterator[tuple[Batch, Sequence[int]]]:
    """The same, each batch with the positions of its messages, which ``run`` must know if they are asked for."""
    decoder = Decoder()
    for part, paths in run.by_paths(_BODY, _SHAPE):
        for _, same in part.by_value(_FAMILY):
            yield _EXPECTATION.batch(same.count, decoder, same, paths), same.positions or ()


def _flags(run: Run, paths: Paths) -> Column:
    words = attribute_be32(run, paths, CTA_EXPECT_FLAGS)
    return Constant(()) if words is NONE else words.map(_FLAGS.__getitem__)


def _address(tuple_kind: int, side: int) -> Callable[[Decoder, Run, Paths], Column]:
    return lambda decoder, run, paths: decoder.address(run, paths, tuple_kind, side)


def _port(tuple_kind: int, side: int) -> Callable[[Decoder, Run, Paths], Column]:
    return lambda decoder, run, paths: port(run, paths, tuple_kind, (CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT)[side])


_EXPECTATION = Schema(
    "Expectation",
    {
        "family": lambda decoder, run, paths: Constant(
            FAMILIES.get(run.data[_FAMILY]) or f"unknown-{run.data[_FAMILY]}"
        ),
        "protocol": lambda decoder, run, paths: protocol(run, paths, CTA_EXPECT_TUPLE),
        "timeout": lambda decoder, run, paths: attribute_be32(run, paths, CTA_EXPECT_TIMEOUT),
        "helper": lambda decoder, run, paths: attribute_text(run, paths, CTA_EXPECT_HELP_NAME),
        "flags": lambda decoder, run, paths: _flags(run, paths),
        "zone": lambda decoder, run, paths: attribute_be16(run, paths, CTA_EXPECT_ZONE),
        "id": lambda decoder, run, paths: attribute_be32(run, paths, CTA_EXPECT_ID),
        **{
            f"{prefix}{end}_{what}": make(tuple_kind, side)
            for side, end in enumerate(("source", "destination"))
            for prefix, tuple_kind in (("", CTA_EXPECT_TUPLE), ("master_", CTA_EXPECT_MASTER))
            for what, make in (("address", _address), ("port", _port))
        },
        "source_mask": _address(CTA_EXPECT_MASK, 0),
        "source_port_mask": _port(CTA_EXPECT_MASK, 0),
        "destination_mask": _address(CTA_EXPECT_MASK, 1),
        "destination_port_mask": _port(CTA_EXPECT_MASK, 1),
        "unknown_attributes": lambda decoder, run, paths: Constant(_SHAPE.unknown(paths)),
        "netns": NONE,
    },
    extra={"icmp_id": NONE},  # which tables of flows show where there is not a port
)
