"""What only links of one kind have, as ip(8) shows it: what a kernel with all these kinds sent, and the running one."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_kernel import Recorder, attribute, split
from link_kinds import FIELDS, differences, link_infos, make
from throwaway import Namespace

from netinspect.engine.netlink.transport import Dump, connect
from netinspect.nouns.links.decode import _OF_THEIR_OWN, _PORTS_OF_THEIR_OWN, OTHER_KINDS, request
from netinspect.nouns.links.decode_kinds import _KINDS, _PORTS, kinds_of
from netinspect.nouns.links.render import TEXTS

# What Linux 6.1 and iproute2 6.1 said.
LINES = [json.loads(line) for line in Path(__file__).with_name("link_kinds.jsonl").read_text().splitlines()]
RECORDED = [line for line in LINES if "info" in line]
INDEXES = {line["name"]: line["index"] for line in LINES}


@pytest.mark.skipif(sys.byteorder == "big", reason="the bytes were recorded where the byte order is little")
@pytest.mark.parametrize("line", RECORDED, ids=lambda line: line["name"])
def test_what_was_recorded_is_as_ip_showed_it(line: dict[str, Any]) -> None:
    assert differences(bytes.fromhex(line["info"]), line["ip"], INDEXES) == []


def test_every_kind_was_recorded() -> None:
    kinds = {line["ip"].get("info_kind") for line in RECORDED}
    assert kinds >= FIELDS.keys() - {"xfrm"}
    assert _KINDS.keys() == _OF_THEIR_OWN
    assert _PORTS.keys() == _PORTS_OF_THEIR_OWN
    assert {field for field, _ in (*_KINDS.values(), *_PORTS.values())} >= set(OTHER_KINDS)


def test_what_this_kernel_sends_is_as_ip_shows_it(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    make(namespace.run)
    recorder = Recorder(namespace.call(lambda: connect(0)))
    for _ in Dump(recorder, request(), "recording"):
        pass
    infos = dict(link_infos([single for datagram in recorder.datagrams for single in split(datagram)][:-1]))
    rows = json.loads(namespace.run("ip", "-d", "-j", "link").stdout)
    indexes = {row["ifname"]: row["ifindex"] for row in rows}
    for row in rows:
        if row["ifindex"] in infos:
            assert differences(infos[row["ifindex"]], row.get("linkinfo", {}), indexes) == [], row["ifname"]


def test_an_ipsec_interface_is_read_from_bytes_as_in_the_header() -> None:
    # No kernel of `make test-kernels` but the one of `make kernel` has these.
    info = attribute(1, b"xfrm\0") + attribute(
        2, attribute(1, struct.pack("=I", 3)) + attribute(2, struct.pack("=I", 42))
    )
    found = kinds_of(info)["xfrm"]
    assert (found.link_index, found.interface_id, found.unknown_attributes) == (3, 42, ())


def test_each_field_of_a_kind_is_a_column_that_can_be_shown() -> None:
    assert {"bridge", "bridge_port", "vxlan", "tun", "macvlan", *OTHER_KINDS} <= TEXTS.keys()


@pytest.mark.parametrize(
    ("kind", "field", "number"),
    [("macvlan", "macvlan", 5), ("bond", "bond", 8), ("bond", "bond", 23), ("vlan", "vlan", 3)],
)
def test_a_list_inside_that_makes_no_sense_is_unknown(kind: str, field: str, number: int) -> None:
    broken = attribute(number, struct.pack("=HH", 1000, 1) + bytes(4))
    found = kinds_of(attribute(1, kind.encode() + b"\0") + attribute(2, broken))[field]
    assert [(one.number, one.length) for one in found.unknown_attributes] == [(number, 8)]
