"""Every scenario in every topology that it fits: bounded, counted correctly, and leaving behind what it promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from lab_needs import topology_works
from patience import eventually

from netinspect.lab import traffic
from netinspect.lab.errors import LabError
from netinspect.lab.requests import dump
from netinspect.lab.topology_file import load, names
from netinspect.testing import AssertingLab, LabFactory, observing
from netinspect.waiting.until import until

FITTING = [
    (topology, scenario)
    for topology in names()
    for scenario in traffic.scenario_names()
    if traffic.fits(traffic.scenario(scenario), load(topology))
]


def test_every_kind_of_traffic_exists_and_fits_some_topology() -> None:
    promised = {
        *("request", "bulk", "idle", "half-closed", "refused", "udp", "unix", "multicast"),
        *("syn", "fragments", "too-big", "redirect", "reports", "invalid"),
    }
    assert promised <= set(traffic.scenario_names())
    assert {scenario for _, scenario in FITTING} == set(traffic.scenario_names())


@pytest.mark.parametrize(("topology", "scenario"), FITTING)
def test_every_scenario_keeps_its_bounds_and_counts_what_it_sent(lab: LabFactory, topology: str, scenario: str) -> None:
    pytest.importorskip("scapy")
    topology_works(topology)
    net = lab(topology)
    played = net.traffic(scenario)
    module = traffic.scenario(scenario)
    assert sum(played.counts.values()) > 0
    assert played.packets <= module.PACKETS
    assert played.seconds <= module.SECONDS
    assert f"{played.packets:,} packets between hosts" in str(played)
    shows_its_effect(net, scenario)


@pytest.mark.parametrize("scenario", traffic.scenario_names())
def test_every_scenario_works_in_a_user_namespace(lab: LabFactory, scenario: str) -> None:
    pytest.importorskip("scapy")
    topology = next(topology for topology, fitting in reversed(FITTING) if fitting == scenario)
    topology_works(topology)
    net = lab(topology, user_namespace=True)
    assert net.traffic(scenario).counts
    shows_its_effect(net, scenario)


def shows_its_effect(net: AssertingLab, scenario: str) -> None:
    """Packets that were sent last may be on their way."""
    check = EFFECTS.get(scenario)
    if check is not None:
        eventually(lambda: check(net))


def states(host: Any) -> list[str]:
    return [record.state for record in observing.sockets(host) if not (record.local_address or "").startswith("127.")]


def both(net: AssertingLab) -> int:
    """How many families client and server share."""
    return sum(bool(net.client.address(family) and net.server.address(family)) for family in (4, 6))


def idle_connections(net: AssertingLab) -> None:
    assert states(net.client).count("ESTABLISHED") == 5 * both(net)


def half_closed(net: AssertingLab) -> None:
    assert states(net.client) == ["FIN_WAIT2"] * both(net)
    assert states(net.server) == ["CLOSE_WAIT"] * both(net)


def half_open(net: AssertingLab) -> None:
    assert states(net.server).count("SYN_RECV") == 16 * both(net)


def too_big(net: AssertingLab) -> None:
    if net.topology.name != "policy":  # there an exception belongs to one of two ways, and a look-up takes either
        net.client.assert_route(net.server.addresses[0], mtu=1280)
    assert len([route for route in observing.routes(net.client, exceptions=True) if route.pmtu == 1280]) == both(net)


def redirected(net: AssertingLab) -> None:
    neighbours = [address for host in net.role("neighbour") for address in host.addresses]
    net.client.assert_route(net.server.ipv4, via=neighbours[0])
    net.client.assert_route(net.server.ipv6, via=next(address for address in neighbours if address[:5] == "fe80:"))


def reported(net: AssertingLab) -> None:
    if net.bridge.run("sh", "-c", "command -v bridge", check=False).returncode:
        return  # iproute2's bridge(8) is the witness; without it the packet counts must do
    groups = net.bridge.run("bridge", "mdb").stdout
    for number in range(8):
        assert f"port sender grp 239.2.0.{number} temp" in groups
        assert f"port sender grp ff15::2:{number:x} temp" in groups


def received(net: AssertingLab) -> None:
    # m1 and m2 take the ten datagrams of each family; m3 refuses their sender.
    (played,) = net._traffic
    assert played.counts == {"datagrams": 20, "datagrams received": 40}


def invalid(net: AssertingLab) -> None:
    assert invalid_packets(net.role("nat")[0]) == 16 * both(net)


def invalid_packets(host: Any) -> int:
    from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_CTNETLINK
    from pyroute2.netlink.nfnetlink.nfctsocket import IPCTNL_MSG_CT_GET_STATS_CPU, nfct_stats_cpu

    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS_CPU
    answers = dump(host.namespace.netfilter, nfct_stats_cpu(), kind, "statistics")
    return sum(answer.get_attr("CTA_STATS_INVALID") for answer in answers)


def fragments(net: AssertingLab) -> None:
    (played,) = net._traffic
    assert played.counts["datagrams put together"] == both(net)


EFFECTS: dict[str, Callable[[AssertingLab], None]] = {
    "idle": idle_connections,
    "half-closed": half_closed,
    "syn": half_open,
    "too-big": too_big,
    "redirect": redirected,
    "reports": reported,
    "multicast": received,
    "invalid": invalid,
    "fragments": fragments,
}


def test_bulk_traffic_over_a_small_mtu_teaches_the_client(lab: LabFactory) -> None:
    net = lab("pmtu")
    net.traffic("bulk")
    net.client.assert_route(net.server.ipv4, mtu=1400)
    net.client.assert_route(net.server.ipv6, mtu=1400)


def test_the_bridge_knows_which_sources_the_members_want(lab: LabFactory, need: Callable[[str], None]) -> None:
    need("bridge")
    net = lab("multicast")

    def wanted() -> dict[str, tuple[str, list[str]]]:
        entries = json.loads(net.bridge.run("bridge", "-d", "-j", "mdb").stdout)[0]["mdb"]
        return {
            entry["port"]: (entry["filter_mode"], [source["address"] for source in entry.get("source_list", ())])
            for entry in entries
            if entry["grp"] == "239.1.1.1" and "src" not in entry
        }

    expected = {"m1": ("exclude", []), "m2": ("include", ["10.0.0.1"]), "m3": ("exclude", ["10.0.0.1"])}
    found, _ = until(wanted, expected.__eq__, 30)
    assert found == expected


def test_both_translations_of_cgnat_are_seen(lab: LabFactory) -> None:
    net = lab("cgnat")
    net.traffic("idle")
    net.cpe.assert_natted(net.home.ipv4, to="100.64.0.2")
    net.carrier.assert_natted("100.64.0.2", to="203.0.113.1")


def test_the_error_for_a_scenario_names_the_missing_role(lab: LabFactory) -> None:
    with pytest.raises(LabError, match="scenario redirect needs a host in the role of router and neighbour"):
        lab("pair").traffic("redirect")
    with pytest.raises(LabError, match="no scenario 'nothing': give one of bulk"):
        lab("pair").traffic("nothing")


def test_a_scenario_of_ones_own_is_bounded_in_time_and_shows_progress(lab: LabFactory, tmp_path: Any) -> None:
    file = tmp_path / "endless.py"
    file.write_text(
        '"""Never ends."""\nimport time\nNEEDS = ()\nPACKETS = 0\nSECONDS = 1.3\n'
        "def play(traffic):\n    while True:\n        time.sleep(0.05)\n        traffic.count('rounds')\n"
    )
    shown: list[str] = []
    with pytest.raises(LabError, match=r"not done in 1 s: .* rounds"):
        lab("pair").traffic(str(file), progress=shown.append)
    assert any(line.startswith(f"{file}: ") for line in shown)
