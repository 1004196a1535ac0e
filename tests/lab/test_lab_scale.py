"""Large tables: as many as asked for, no more and no less, seen by the usual tools."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from availability import unavailable

from netinspect.lab.errors import LabError
from netinspect.testing import LabFactory

Need = Callable[[str], None]
NONE = {"sockets": 0, "routes": 0, "flows": 0}


@pytest.mark.parametrize("count", [1, 7, 40_000])
def test_scale_holds_that_many_sockets(lab: LabFactory, need: Need, count: int) -> None:
    need("ss")
    net = lab("scale", **{**NONE, "sockets": count})
    assert net.big.run("ss", "-Htan").stdout.count("\n") == count
    assert net.peer.run("ss", "-Htan").stdout == ""


@pytest.mark.parametrize("count", [1, 50_000])
def test_scale_has_that_many_routes(lab: LabFactory, need: Need, count: int) -> None:
    need("ip")
    net = lab("scale", **{**NONE, "routes": count})
    listed = net.big.run("ip", "route").stdout
    assert listed.count(" via 10.0.0.2 dev eth0 ") == count
    assert "16.0.0.0/24 via 10.0.0.2" in listed


@pytest.mark.parametrize("count", [1, 100_000])
def test_scale_tracks_that_many_flows(lab: LabFactory, need: Need, count: int) -> None:
    need("conntrack")
    most = Path("/proc/sys/net/netfilter/nf_conntrack_max")
    if most.exists() and int(most.read_text()) < count:
        unavailable(f"this kernel tracks no {count} connections (net.netfilter.nf_conntrack_max)")
    net = lab("scale", **{**NONE, "flows": count})
    assert net.big.run("conntrack", "-C").stdout.strip() == str(count)
    first = net.big.run("conntrack", "-L", "-s", "100.64.0.0").stdout
    assert "ESTABLISHED src=100.64.0.0 dst=198.51.100.1" in first
    assert "[ASSURED]" in first


def test_scale_works_in_a_user_namespace(lab: LabFactory, need: Need) -> None:
    need("ss")
    net = lab("scale", user_namespace=True, sockets=3000, routes=3000, flows=3000)
    assert net.big.run("ss", "-Htan").stdout.count("\n") == 3000


def test_more_than_conntrack_may_hold_is_refused_with_the_setting(lab: LabFactory) -> None:
    limit = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    if limit >= 1 << 22:
        pytest.skip("conntrack may hold more than a lab makes")
    with pytest.raises(LabError, match=f"nf_conntrack_max={limit} allows no more"):
        lab("scale", **{**NONE, "flows": limit + 1})


def test_processes_that_hold_sockets_are_gone_with_the_lab(lab: LabFactory) -> None:
    net = lab("scale", **{**NONE, "sockets": 100})
    holders = list(net.holders)
    assert holders
    net.assert_no_leaks()
    net.close()
    for pid in holders:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
