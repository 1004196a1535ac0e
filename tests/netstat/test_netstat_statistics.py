"""`netinspect netstat -s` line for line against net-tools, on what the kernel counts and on whatever it may count."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from patience import standing_still
from throwaway import Namespace

from netinspect.errors import NetinspectError
from netinspect.netstat import command_statistics
from netinspect.netstat.render_statistics import TABLES, text
from netinspect.nouns.statistics import decode_text as statistics_text

OPTIONS = ["-s", "-st", "-su", "-sw", "-sS", "-sU", "-s4", "-s6", "-s6t", "-s6u", "-s6w", "-sn --inet6", "-stu"]
ALL = frozenset(("raw", "tcp", "udp", "sctp"))


@pytest.mark.parametrize("options", OPTIONS)
def test_the_counters_of_a_namespace_line_for_line(
    namespace: Namespace, need: Callable[[str], None], options: str
) -> None:
    need("netstat")

    def traffic() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
            client.sendall(b"x" * 100_000)
            server.recv(1000)
        listener.close()
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family, socket.SOCK_DGRAM) as opened:
                opened.sendto(b"nobody", (address, 9))

    namespace.call(traffic)
    theirs, ours = standing_still(
        lambda: namespace.run("netstat", *options.split()).stdout,
        lambda: namespace.netinspect("netstat", *options.split()).stdout,
    )
    assert ours == theirs


def test_families_without_counters_are_refused_as_net_tools_does(namespace: Namespace) -> None:
    for options in (["-s", "-x"], ["-s46"], ["-s64"]):
        result = namespace.netinspect("netstat", *options, check=False)
        assert (result.returncode, result.stdout) == (1, "")
        assert "No statistics support for specified address family" in result.stderr


def kernel_names() -> dict[str, list[str]]:
    """The tables of this kernel, and of those that had other counters: all names that net-tools has words for."""
    names: dict[str, list[str]] = {}
    for file in ("snmp", "netstat"):
        for line in Path(f"/proc/net/{file}").read_text().splitlines()[::2]:
            title, *counters = line.split()
            names[title[:-1]] = counters
    for line in Path("/proc/net/snmp6").read_text().splitlines():
        counter = line.split()[0]
        names.setdefault(counter[: counter.index("6") + 1], []).append(counter)
    names["Sctp"] = []
    for title, words in TABLES.items():
        known = names.setdefault(title, [])
        known += [name for name in words if name not in known]
    names.setdefault("MPTcpExt", ["MPCapableSYNRX"])  # a kernel without CONFIG_MPTCP has no such line
    for title in ("UdpLite", "UdpLite6"):  # since Linux 7.1
        names.setdefault(title, [])
    names["IcmpMsg"] = ["InType3", "OutType3"]
    names["NewExt"] = ["Unheard", "Of"]
    return names


NAMES = kernel_names()
SNMP = ("Ip", "Icmp", "IcmpMsg", "Tcp", "Udp", "UdpLite")
NETSTAT = ("TcpExt", "IpExt", "MPTcpExt", "NewExt")
SNMP6 = ("Ip6", "Icmp6", "Udp6", "UdpLite6")


def pairs(titles: tuple[str, ...], values: dict[tuple[str, str], int]) -> str:
    return "".join(
        f"{title}: {' '.join(NAMES[title])}\n{title}: {' '.join(str(values[title, name]) for name in NAMES[title])}\n"
        for title in titles
    )


def columns(titles: tuple[str, ...], values: dict[tuple[str, str], int]) -> str:
    return "".join(f"{name:32}\t{values[title, name]}\n" for title in titles for name in NAMES[title])


IN_A_PROC_OF_ITS_OWN = """
mount -t tmpfs none /proc && mkdir -p /proc/net/sctp && cd "$1" &&
cp snmp netstat snmp6 /proc/net && cp sctp_snmp /proc/net/sctp/snmp && {
  netstat -s; echo ====; netstat -s6; echo ====; netstat -st; echo ====; netstat -s6w; }
"""


def net_tools(directory: Path) -> list[str]:
    """What net-tools makes of these files, in a mount namespace in which they are all of /proc."""
    command = ["unshare", "--mount", "sh", "-c", IN_A_PROC_OF_ITS_OWN, "sh", str(directory)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return result.stdout.split("====\n")


def of_ours(directory: Path) -> list[str]:
    def read(name: str) -> str:
        return (directory / name).read_text()

    inet = statistics_text.pairs(read("snmp"), "snmp") + statistics_text.pairs(read("netstat"), "netstat")
    inet.append(("Sctp", statistics_text.columns(read("sctp_snmp"), "sctp/snmp")))
    inet6 = statistics_text.by_title(statistics_text.columns(read("snmp6"), "snmp6"))
    inet6 += [table for table in statistics_text.pairs(read("snmp"), "snmp") if table[0].startswith("Tcp")]
    return [text(inet, ALL), text(inet6, ALL), text(inet, {"tcp"}), text(inet6, {"raw"})]


numbers = st.one_of(st.just(0), st.integers(1, 9), st.integers(0, 2**64 - 1))


@settings(
    max_examples=max(1, settings().max_examples // 3), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_the_kernel_may_count_line_for_line(
    tmp_path: Path, need: Callable[[str], None], data: st.DataObject
) -> None:
    need("netstat")
    keys = [(title, name) for title in (*SNMP, *NETSTAT, *SNMP6, "Sctp") for name in NAMES[title]]
    chosen = data.draw(st.lists(numbers, min_size=8, max_size=8))
    start = data.draw(st.integers(0, 7))
    values = {key: chosen[(number * 5 + start) % 8] for number, key in enumerate(keys)}
    (tmp_path / "snmp").write_text(pairs(SNMP, values))
    (tmp_path / "netstat").write_text(pairs(NETSTAT, values))
    (tmp_path / "snmp6").write_text(columns(SNMP6, values))
    (tmp_path / "sctp_snmp").write_text(columns(("Sctp",), values))
    for found, expected in zip(of_ours(tmp_path), net_tools(tmp_path), strict=True):
        assert found == expected


def test_no_counter_is_lost() -> None:
    every = {title: [(name, number + 1) for number, name in enumerate(names)] for title, names in NAMES.items()}
    shown = text(every.items(), ALL)
    hidden = {name for title in TABLES for name, (when, _) in TABLES[title].items() if when == "hidden"}
    assert hidden == {"DefaultTTL", "RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn"}  # settings, as in net-tools
    for title, counters in every.items():
        part = shown.partition(f"{title}:\n")[2]
        for name, value in counters:
            assert name in hidden or re.search(rf"\b{value}\b", part), (title, name)


def test_a_file_that_makes_no_sense_costs_its_counters_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def tables(file: str) -> list[statistics_text.Table]:
        return statistics_text.pairs({"snmp": "Udp: InDatagrams\nUdp: 7\n", "netstat": "TcpExt: x\n"}[file], file)

    monkeypatch.setattr(command_statistics, "_FILES", {"inet": ("netstat", "snmp"), "inet6": ("netstat",)})
    monkeypatch.setattr(command_statistics, "tables", tables)
    problems: list[str] = []
    assert "7 packets received" in command_statistics.statistics((), (), problems.append)
    assert problems == ["/proc/net/netstat: malformed line: a line with names but no values"]
    with pytest.raises(NetinspectError, match="malformed"):
        command_statistics.statistics(("inet6",), (), problems.append)
