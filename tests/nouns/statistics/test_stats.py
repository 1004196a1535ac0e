"""Protocol statistics: every counter of the kernel's, with its meaning; rates, and changes since a sample."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from group_members import with_interfaces
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from throwaway import Namespace

from netinspect.engine.netlink.messages import Run
from netinspect.engine.places import Place
from netinspect.errors import NetinspectError, NetlinkError
from netinspect.nouns.links import decode_statistics as link_statistics
from netinspect.nouns.routing import decode_neighbour_tables as neighbour_tables
from netinspect.nouns.statistics import decode_text as statistics_text
from netinspect.nouns.statistics import listing as statistics
from netinspect.nouns.statistics import listing_mibs as mibs
from netinspect.nouns.statistics import listing_samples as samples
from netinspect.nouns.statistics.counters import meaning
from netinspect.nouns.statistics.listing import Query, StatisticListing
from netinspect.records import Statistic


@pytest.fixture
def wired(namespace: Namespace) -> Namespace:
    with_interfaces(namespace)
    return namespace


def listed(namespace: Namespace, *groups: str, **options: Any) -> list[Statistic]:
    listing = StatisticListing(Query(groups), [Place(namespace.path)], **options)
    found = [row for batch in listing.batches() for row in batch]
    assert listing.problems == []
    return found


def send_to_nobody(namespace: Namespace, datagrams: int) -> None:
    """Each is a counter's step: Udp.NoPorts, Udp.OutDatagrams and some of ICMP."""

    def send() -> None:
        for _ in range(datagrams):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
                opened.sendto(b"nobody is there", ("127.0.0.1", 9))

    namespace.call(send)


def file(namespace: Namespace, name: str) -> str:
    return namespace.run("cat", f"/proc/net/{name}").stdout


def test_every_counter_of_the_kernels_files_is_there_with_unit_and_meaning(wired: Namespace) -> None:
    send_to_nobody(wired, 3)
    rows = {(row.group, row.counter): row for row in listed(wired) if row.interface is None}
    expected: dict[tuple[str, str], int] = {}
    for name in ("snmp", "netstat"):
        lines = file(wired, name).splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=True):
            title, *counters = names.split()
            expected |= {
                (title[:-1], counter): int(value) for counter, value in zip(counters, values.split()[1:], strict=True)
            }
    for line in file(wired, "snmp6").splitlines():
        counter, value = line.split()
        found = re.match("[^6]*6", counter)
        assert found is not None
        expected[found[0], counter] = int(value)
    for name in ("sockstat", "sockstat6"):
        for line in file(wired, name).splitlines():
            title, *words = line.split()
            expected |= {("sockstat", title + counter): 0 for counter in words[::2]}
    expected = {(group, counter.replace(":", ".")): value for (group, counter), value in expected.items()}
    assert expected.keys() <= rows.keys()
    assert len(expected) > 300
    # Those of UDP and ICMP over IPv4 stand still: nobody sends any more.
    for key, value in expected.items():
        if key[0] in ("Udp", "Icmp", "Tcp"):
            assert rows[key].value == value, key
    for key in expected:
        assert rows[key].meaning, f"{key} has no meaning"
        assert rows[key].unit or rows[key].kind == "setting", key
        assert rows[key].source.startswith("procfs: /proc/net/")


def test_counters_of_interfaces_are_those_of_ip_and_of_procfs(wired: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    before: dict[tuple[str, str, str | None], int] = {}
    deadline = monotonic() + 60
    while True:
        # Until nothing moves any more: MLD and neighbour discovery send something for a while, at first after a delay.
        links = {link["ifname"]: link["stats64"] for link in json.loads(wired.run("ip", "-s", "-j", "link").stdout)}
        files = {name: file(wired, f"dev_snmp6/{name}") for name in links}
        rows = listed(wired, "link", "Ip6", "Icmp6")
        ours = {(row.group, row.counter, row.interface): row.value for row in rows if row.interface}
        if ours == before and ours["Ip6", "Ip6OutMcastPkts", "veth0"]:
            break
        assert monotonic() < deadline, "the counters do not stand still"
        before = ours
    assert set(links) == {"lo", "veth0", "veth1"}
    for name, stats in links.items():
        for way in ("rx", "tx"):
            for counter in ("packets", "bytes", "errors", "dropped"):
                assert ours["link", f"{way}_{counter}", name] == stats[way][counter]
        told = dict(line.split() for line in files[name].splitlines())
        of_ipv6 = {counter: value for (group, counter, of), value in ours.items() if (group, of) == ("Ip6", name)}
        assert len(of_ipv6) > 30
        for counter, value in of_ipv6.items():
            if counter in told:
                assert value == int(told[counter]), (name, counter)
    assert ours["Ip6", "Ip6OutMcastPkts", "veth0"] > 0
    assert {row.source for row in rows if row.interface} == {"rtnetlink"}


def test_neighbour_tables_and_connection_tracking_are_there(wired: Namespace) -> None:
    rows = {(row.counter, row.interface) for row in listed(wired, "neighbour")}
    for table in ("arp_cache", "ndisc_cache"):
        assert {("entries", table), ("gc_thresh3", table), ("table_fulls", table), ("res_failed", table)} <= rows
    assert len(rows) == 2 * (4 + len(neighbour_tables.STATISTICS))
    conntrack = {row.counter: row for row in listed(wired, "conntrack")}
    if conntrack:  # else this kernel has none
        assert {"entries", "insert_failed", "drop"} <= conntrack.keys()
        assert conntrack["drop"].source == "ctnetlink"


def test_a_bridge_counts_igmp_and_mld(wired: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    wired.run("ip", "link", "add", "br0", "type", "bridge", "mcast_stats_enabled", "1")
    wired.run("ip", "link", "set", "br0", "up")
    deadline = monotonic() + 30
    rows: dict[str, Statistic] = {}
    # The bridge's own report of the groups that it joined comes after a random delay.
    while monotonic() < deadline and not (rows and rows["igmp_v3reports_rx"].value):
        rows = {row.counter: row for row in listed(wired, "bridge")}
        sleep(0.05)
    assert set(rows) == set(link_statistics.BRIDGE)
    assert rows["igmp_v3reports_rx"].value > 0
    assert rows["igmp_v3reports_rx"].interface == "br0"


def test_every_counter_that_is_decoded_by_place_has_a_meaning() -> None:
    orders = (link_statistics._IP6_CLASSIC, link_statistics._IP6_REORGANIZED)
    assert set(orders[0]) == set(orders[1])
    for group, names in (
        ("link", link_statistics.LINK),
        ("bridge", link_statistics.BRIDGE),
        ("Icmp6", tuple(f"Icmp6{name}" for name in link_statistics.ICMP6)),
        ("Ip6", tuple(f"Ip6{name}" for name in orders[0])),
        ("neighbour", neighbour_tables.STATISTICS),
    ):
        for name in names:
            assert meaning(group, name).meaning, name


@given(st.lists(st.integers(0, 5), min_size=37, max_size=37), st.booleans())
def test_ipv6_counters_are_named_by_the_order_that_procfs_agrees_with(numbers: list[int], classic: bool) -> None:
    order = link_statistics._IP6_CLASSIC if classic else link_statistics._IP6_REORGANIZED
    told = {f"Ip6{name}": number for name, number in zip(order, numbers, strict=True)}
    found = link_statistics.ip6_counters(numbers, lambda: told)
    assert found is not None
    assert {counter: value for _, counter, value in found} == told
    if any(numbers):
        assert link_statistics.ip6_counters(numbers, lambda: None) is None


def test_older_kernels_with_fewer_counters_have_the_classic_order() -> None:
    found = link_statistics.ip6_counters(list(range(36)), lambda: None)
    assert found is not None
    assert {counter: value for _, counter, value in found}["Ip6ReasmOverlaps"] == 35


def test_nonzero_leaves_out_what_is_zero_or_does_not_change(wired: Namespace) -> None:
    rows = listed(wired, nonzero=True)
    assert rows
    assert all(row.value for row in rows)
    assert listed(wired, "Udp", seconds=0.01, nonzero=True) == []


def test_rates_are_the_change_in_a_second(wired: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 104.0])
    monkeypatch.setattr(statistics, "monotonic", lambda: next(times))
    monkeypatch.setattr(statistics, "sleep", lambda seconds: send_to_nobody(wired, 8))
    rows = {row.counter: row for row in listed(wired, "Udp", seconds=4)}
    assert (rows["NoPorts"].rate, rows["NoPorts"].value) == (2.0, 8)
    assert rows["InDatagrams"].rate == 0.0


def saved(namespace: Namespace, path: Path) -> samples.Sample:
    listing = StatisticListing(Query(), [Place(namespace.path)])
    samples.save(str(path), listing.figures())
    return samples.load(str(path))


def test_changes_since_a_sample(wired: Namespace, tmp_path: Path) -> None:
    send_to_nobody(wired, 5)
    sample = saved(wired, tmp_path / "sample")
    send_to_nobody(wired, 3)
    rows = {row.counter: row for row in listed(wired, "Udp", since=sample)}
    assert (rows["NoPorts"].value, rows["NoPorts"].change, rows["NoPorts"].reset) == (8, 3, False)
    assert (rows["InDatagrams"].change, rows["InDatagrams"].reset) == (0, False)


def test_a_namespace_that_was_made_anew_has_changed_by_all_that_it_has_counted(tmp_path: Path) -> None:
    first, second = Namespace(), Namespace()
    send_to_nobody(first, 5)
    sample = saved(first, tmp_path / "sample")
    send_to_nobody(second, 7)
    rows = {row.counter: row for row in listed(second, "Udp", since=sample)}
    # 7 - 5 would be wrong: these are other counters.
    assert (rows["NoPorts"].value, rows["NoPorts"].change, rows["NoPorts"].reset) == (7, 7, True)
    first.close()
    second.close()


def test_another_start_of_the_machine_is_a_reset(wired: Namespace, tmp_path: Path) -> None:
    path = tmp_path / "sample"
    send_to_nobody(wired, 2)
    saved(wired, path)
    content = json.loads(path.read_text())
    content["boot"] = "00000000-0000-0000-0000-000000000000"
    path.write_text(json.dumps(content))
    rows = {row.counter: row for row in listed(wired, "Udp", since=samples.load(str(path)))}
    assert (rows["NoPorts"].change, rows["NoPorts"].reset) == (2, True)


def test_a_counter_that_fell_began_anew(wired: Namespace, tmp_path: Path) -> None:
    path = tmp_path / "sample"
    send_to_nobody(wired, 2)
    saved(wired, path)
    content = json.loads(path.read_text())
    for figure in content["namespaces"][0]["figures"]:
        if figure[:2] == ["Udp", "NoPorts"]:
            figure[3] = 1000
    path.write_text(json.dumps(content))
    rows = {row.counter: row for row in listed(wired, "Udp", since=samples.load(str(path)))}
    assert (rows["NoPorts"].change, rows["NoPorts"].reset) == (2, True)
    assert rows["InErrors"].reset is False


def test_levels_go_up_and_down(wired: Namespace, tmp_path: Path) -> None:
    opened = wired.call(lambda: socket.create_server(("127.0.0.1", 0)))
    sample = saved(wired, tmp_path / "sample")
    opened.close()
    rows = {row.counter: row for row in listed(wired, "sockstat", since=sample)}
    assert (rows["TCP.inuse"].value, rows["TCP.inuse"].change, rows["TCP.inuse"].kind) == (0, -1, "level")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'"time":[0-9.]+', '"time":1' + "0" * 400),
        (r'"time":[0-9.]+', '"time":"1"'),
        (r'"time":[0-9.]+', '"time":NaN'),
        (r'"namespaces":\[.*', '"namespaces":[{}]}'),
        (r'"namespaces":\[.*', '"namespaces":' + "[" * 100_000),
        (r'"name":null', '"name":[]'),
        (r'"identity":[^,]*', '"identity":[]'),
        (r'"figures":\[\[', '"figures":[[],['),
        (r'"figures":\[\[', '"figures":[[[],"a",null,1],['),
        (r'"figures":\[\[', '"figures":[["a","b",null,1.5],['),
        (r'"figures":\[\[', '"figures":[["a","b",null,' + "9" * 400_000 + "],["),
        (r'"boot":[^,]*', '"boot":{}'),
    ],
)
def test_a_sample_that_somebody_has_changed_is_none(wired: Namespace, tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "sample"
    saved(wired, path)
    text, count = re.subn(old, lambda _: new, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)
    with pytest.raises(NetinspectError, match="not a sample of"):
        samples.load(str(path))


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"netinspect_sample": 2}', '{"netinspect_sample": 1}'])
def test_a_file_that_is_not_a_sample_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sample"
    path.write_text(content)
    with pytest.raises(NetinspectError, match="not a sample of"):
        samples.load(str(path))


def test_the_error_for_a_missing_sample_shows_how_to_create_one(tmp_path: Path) -> None:
    with pytest.raises(NetinspectError, match="--save"):
        samples.load(str(tmp_path / "none"))
    with pytest.raises(NetinspectError, match="saving the sample"):
        samples.save(str(tmp_path / "no" / "directory"), [])
    assert os.listdir(tmp_path) == []


def test_the_command_saves_compares_and_validates(wired: Namespace, tmp_path: Path) -> None:
    path = str(tmp_path / "sample")
    assert wired.netinspect("stats", "--save", path).stdout == ""
    send_to_nobody(wired, 4)
    rows = json.loads(wired.netinspect("stats", "udp", "--since", path, "-z", "-j", "--save", path).stdout)
    Draft202012Validator(json.loads(wired.netinspect("schema", "stats").stdout)).validate(rows)
    assert {(row["counter"], row["change"]) for row in rows} == {("NoPorts", 4), ("OutDatagrams", 4)}
    # --save wrote the same file anew: nothing has happened since.
    assert json.loads(wired.netinspect("stats", "udp", "--since", path, "-z", "-j").stdout) == []


@pytest.mark.parametrize(
    ("names", "counter"),
    [
        ("ListenOverflows", "TcpExt ListenOverflows"),
        ("tcpextlistenoverflows", "TcpExt ListenOverflows"),
        ("TcpExt.ListenOverflows", "TcpExt ListenOverflows"),
        ("12 times the listen queue of a socket overflowed", "TcpExt ListenOverflows"),
        ("Ip6InReceives", "Ip6 Ip6InReceives"),
        ("rx_missed_errors", "link rx_missed_errors"),
        ("insert_failed", "conntrack insert_failed"),
        ("UDP.mem", "sockstat UDP.mem"),
    ],
)
def test_counters_are_explained_by_any_of_their_names(namespace: Namespace, names: str, counter: str) -> None:
    rows = json.loads(namespace.netinspect("stats", "explain", names, "-j").stdout)
    assert f"{rows[0]['group']} {rows[0]['counter']}" == counter
    assert rows[0]["meaning"]


def test_explaining_all_gives_every_counter_once(namespace: Namespace) -> None:
    rows = json.loads(namespace.netinspect("stats", "explain", "-j").stdout)
    Draft202012Validator(json.loads(namespace.netinspect("schema", "stats-explain").stdout)).validate(rows)
    names = [(row["group"], row["counter"]) for row in rows]
    assert len(names) == len(set(names)) > 500
    assert all(row["meaning"] for row in rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "no table"),
        (["explain", "nonsense"], "no counter"),
        (["explain", "ListenOverflow"], "did you mean TcpExt.ListenOverflows"),
        (["--rates", "0"], "at least 0.01"),
        (["health", "tcp"], "takes no name"),
        (["health", "--save", "x"], "does not go with"),
        (["tcp", "-6"], "no table matches both the protocol and the address family"),
    ],
)
def test_bad_usage_is_one_clear_line(namespace: Namespace, arguments: list[str], words: str) -> None:
    result = namespace.netinspect("stats", *arguments, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", sorted(mibs.FILES))
@given(text=st.text(alphabet="TcpInOut6:0123456789- \n", max_size=200))
def test_a_file_that_makes_no_sense_gives_one_clear_error(name: str, text: str) -> None:
    try:
        mibs.FILES[name](text, name)
    except NetinspectError as error:
        message = str(error)
    else:
        return
    assert message.startswith(f"/proc/net/{name}: ")


def test_names_without_values_are_refused() -> None:
    for text in ("Tcp: A B\n", "Tcp: A B\nUdp: 1 2\n", "Tcp: A B\nTcp: 1\n", "Tcp: A\nTcp: one\n"):
        with pytest.raises(NetinspectError):
            statistics_text.pairs(text, "snmp")


@given(
    st.binary(min_size=20, max_size=300).map(lambda data: data + bytes(-len(data) % 4)), st.sampled_from([18, 92, 66])
)
def test_senseless_messages_raise_nothing_else(body: bytes, kind: int) -> None:
    data = (16 + len(body)).to_bytes(4, sys.byteorder) + kind.to_bytes(2, sys.byteorder) + bytes(10) + body
    run = Run(data, kind, len(data), 1)
    for read in (link_statistics.links, link_statistics.bridges, neighbour_tables.tables):
        try:
            list(read(run))  # type: ignore[operator]
        except NetlinkError:
            continue
