"""Programs that read netstat read `netinspect netstat` as well, and learn the same from it."""

from __future__ import annotations

import os
import shlex
import socket
import struct
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from availability import unavailable
from throwaway import NETINSPECT, Namespace

GROUP = "239.7.7.7"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    """A namespace that keeps still: listeners, connections, unix sockets, links, routes, a group, and counters."""
    namespace = Namespace()
    path = tmp_path_factory.mktemp("unix") / "listener"
    for line in (
        "link add d0 type veth peer name d1",
        "link set d1 up mtu 1400",
        "link set d0 up mtu 1400",
        "address add 192.0.2.1/24 dev d0",
        "address add 2001:db8::1/64 dev d0 nodad",
        "route add default via 192.0.2.254",
        "route add 198.51.100.0/24 via 192.0.2.253 metric 7 mtu 1300",
        "route add prohibit 203.0.113.0/24",
        "-6 route add default via 2001:db8::ff",
    ):
        namespace.run("ip", *line.split())
    opened = namespace.call(lambda: sockets(path))
    yield namespace
    for one in opened:
        one.close()
    namespace.close()


def sockets(path: Path) -> list[socket.socket]:
    opened: list[socket.socket] = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        listener = socket.create_server((address, 8080), family=family)
        client = socket.socket(family)
        client.connect((address, 8080))
        accepted = listener.accept()[0]
        client.send(b"unread")
        datagram = socket.socket(family, socket.SOCK_DGRAM)
        datagram.bind((address, 5353))
        opened += [listener, client, accepted, datagram]
    opened.append(socket.create_server(("0.0.0.0", 22)))
    member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + struct.pack("=I", 0))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    return [*opened, member, listener, client, listener.accept()[0], *socket.socketpair()]


def texts(host: Namespace, options: str) -> tuple[str, str]:
    """What net-tools prints, and what we print."""
    environment = {**os.environ, "LC_ALL": "C"}
    before = host.run("netstat", *options.split(), env=environment).stdout
    for _ in range(100):
        ours = host.run(*NETINSPECT, "netstat", *options.split(), env=environment).stdout
        theirs = host.run("netstat", *options.split(), env=environment).stdout
        if theirs == before:
            return theirs, ours
        before = theirs  # the kernel has sent something of its own, such as a report of a group
    raise AssertionError("the namespace does not keep still")


def installed(name: str) -> Any:
    """A reader's module, of the extra `test`."""
    try:
        return import_module(name)
    except ImportError:
        unavailable(f"{name} is not installed")


def alike(theirs: Any, ours: Any) -> None:
    """The same records; sockets may come in another order."""
    if isinstance(theirs, list):
        assert sorted(map(repr, ours)) == sorted(map(repr, theirs))
    else:
        assert ours == theirs
    assert theirs


# jc: what it takes for which options

JC = {
    "-an": lambda rows: {"LISTEN", "ESTABLISHED"} <= {row.get("state") for row in rows},
    "-tulnp": lambda rows: {row["local_port_num"] for row in rows if row["proto"] == "tcp"} == {22, 8080},
    "-aneop": lambda rows: any(row["recv_q"] == 6 for row in rows if row["kind"] == "network"),
    "-xap": lambda rows: any(row["path"].endswith("listener") for row in rows if row.get("path")),
    "-rn": lambda rows: {row["genmask"] for row in rows} >= {"0.0.0.0", "255.255.255.0"},
    "-rne": lambda rows: any(row.get("metric") == 7 for row in rows),
    "-i": lambda rows: {row["iface"]: row["mtu"] for row in rows} == {"d0": 1400, "d1": 1400, "lo": 65536},
}


@pytest.mark.parametrize("options", JC)
def test_jc(host: Namespace, need: Callable[[str], None], options: str) -> None:
    need("netstat")
    jc = installed("jc")
    theirs, ours = (jc.parse("netstat", text) for text in texts(host, options))
    alike(theirs, ours)
    assert JC[options](ours)


# insights-core: the commands that it runs


@pytest.mark.parametrize("options", ["-neopa", "-agn", "-i", "-s"])
def test_insights(host: Namespace, need: Callable[[str], None], options: str) -> None:
    need("netstat")
    parsers = installed("insights.parsers.netstat")
    wrap = installed("insights.tests").context_wrap
    parser = {
        "-neopa": parsers.Netstat,
        "-agn": parsers.NetstatAGN,
        "-i": parsers.Netstat_I,
        "-s": parsers.NetstatS,
    }[options]
    theirs, ours = (parser(wrap(text)) for text in texts(host, options))
    if options == "-neopa":
        for section, rows in theirs.datalist.items():
            alike(*([{**row, "raw line": None} for row in found] for found in (rows, ours.datalist[section])))
        assert ours.listening_pid == theirs.listening_pid
        assert len(ours.listening_pid) == 1, "it has one listener of each process"
        return
    alike(theirs.data, ours.data)
    if options == "-agn":
        assert GROUP in {row["group"] for row in ours.group_by_iface()["d0"]}
    elif options == "-i":
        assert ours.group_by_iface["lo"]["MTU"] == "65536"
    else:
        assert int(ours["tcp"]["passive_connection_openings"]) == 2


# testinfra: what is listening, and who is connected


def test_testinfra(host: Namespace, need: Callable[[str], None], tmp_path: Path) -> None:
    need("netstat")
    testinfra = installed("testinfra")
    reader = installed("testinfra.modules.socket").LinuxSocketNetstat
    local = testinfra.get_host("local://")
    ours = tmp_path / "netstat"
    ours.write_text(f"""#!/bin/sh\nexec {shlex.join(NETINSPECT)} netstat "$@"\n""")
    ours.chmod(0o755)
    found = []
    for command in ("netstat", str(ours)):
        module = type("Netstat", (reader,), {"_command": command})
        module.get_module_class = classmethod(lambda cls, _: cls)
        checked = module.get_module(local)

        def look(checked: Any = checked) -> Any:
            return (
                sorted(checked.get_listening_sockets()),
                [
                    checked(name).is_listening
                    for name in (
                        "tcp://0.0.0.0:22",
                        "tcp://127.0.0.1:8080",
                        "tcp://::1:8080",
                        "udp://127.0.0.1:5353",
                        "tcp://23",
                    )
                ],
                sorted(checked("tcp://127.0.0.1:8080").clients),
            )

        found.append(host.call(look))
    assert found[1] == found[0]
    assert found[1][1] == [True, True, True, True, False]
    assert len(found[1][2]) >= 1


# what scripts in the wild do with it

IDIOMS = (
    "netstat -nat | awk '{print $6}' | sort | uniq -c | sort -rn",
    "netstat -tlnp | awk '$4 ~ /:8080$/ {print $7}' | cut -d/ -f1 | sort -u",
    "netstat -anp 2>/dev/null | grep :5353 | awk '{print $6}' | cut -d/ -f1 | sort -u",
    "netstat -tln | awk 'NR>2 {n=split($4,a,\":\"); print a[n]}' | sort -nu",
    "netstat -tuln | grep -E ':(22|8080)\\s' | wc -l",
    "netstat -an | grep -c ESTABLISHED",
    "netstat -ant | grep LISTEN | perl -lane 'print $1 if $F[3] =~ /:(\\d+)$/' | sort -n",
    "netstat -ntu | awk '{print $5}' | cut -d: -f1 | sort | uniq -c | sort -n",
    "netstat -l46n | awk '/^(tcp|udp)/ {print $1, $4}' | sort",
    "netstat -rn | awk '$1==\"0.0.0.0\" {print $2, $8}'",
    "netstat -r -n | grep '^default\\|^0.0.0.0' | tr -s ' '",
    "netstat -rn | awk '/UG/ {print $2}' | sort -u",
    "netstat -nr | sed -n 's/^198\\.51\\.100\\.0 *\\([0-9.]*\\).*/\\1/p'",
    'netstat -6rn | awk \'$1=="::/0" || $1=="[::]/0" {print $2, $NF}\' | sort -u',
    "netstat -i | awk 'NR>2 {print $1, $2}'",
    "netstat -ni | tail -n +3 | awk '{print $1}' | sort",
    "netstat -ie | grep -E '^[a-z]' | awk '{print $1, $4}'",
    "netstat -gn | awk '$1==\"d0\" {print $3}' | sort",
    "netstat -s | sed -n 's/^ *\\([0-9]*\\) passive connection openings$/\\1/p'",
    "netstat -st | awk '/segments retransmitted/ {print $1}'",
    "netstat -s | perl -ne 'print \"$1\\n\" if /^(\\w+):$/'",
    "netstat -s --udp | grep 'packet receive errors' | awk '{print $1}'",
    "netstat -xl | awk '/STREAM.*LISTENING/ {print $NF}'",
    "netstat -xan | grep -c CONNECTED",
    "netstat -tan | awk 'NR>2 && $2>0 {print $2, $4}'",
    "netstat -tanW | awk 'NR>2 {print NF}' | sort -u",
    "netstat -tane | awk 'NR>2 {print $7}' | sort -u",
    "netstat -tano | awk '/ESTABLISHED/ {print $7}' | sort -u",
    "netstat -A inet -an | awk '{print $1}' | sort | uniq -c",
    "netstat --inet6 -an | awk '{print $1}' | sort | uniq -c",
    "netstat -Mn 2>&1 | tail -n +2",
    # Ansible's listen_ports_facts: protocol, address and port, process id and name of what listens
    "netstat -plunt | perl -lane 'next if $F[0] !~ /^(tcp|udp)/ or /ESTABLISHED/; ($i, $n) = /(\\d+)\\/(\\S+)/; "
    'print "@F[0,3] $i $n"\' | sort',
    # cloud-init's netinfo: counts fields, and takes the interface from the last of IPv6
    "netstat --route --numeric --extend | awk 'NR>2 {print NF, $1, $2, $3, $4, $5, $8}'",
    "netstat -A inet6 --route --numeric | awk 'NR>2 && NF==7 {print $1, $2, $3, $7}' | sort",
    # Salt's network module
    "netstat -tulpnea | awk '/^(tcp|udp)/ {print NF, $1, $4, $5, $NF}' | sort",
    "netstat -i -n -a | awk 'NR>1 {print NF, $1}'",
    # InSpec's port, and Serverspec: an address with its last colon cut off
    "netstat -tulpen | sed -nE 's/^(tcp6?|udp6?) +[0-9]+ +[0-9]+ +(.*):([0-9]+|\\*) +.*$/\\1 \\2 \\3/p' | sort -u",
    # Wazuh and OSSEC: what listens, as one line of words
    "netstat -tulpn | sed -nE 's/^([a-z0-9]+) +[0-9]+ +[0-9]+ +([^ ]+):([0-9]*) +([0-9.:*]+).* ([0-9]+\\/[^ ]*|-) *$"
    "/\\1 \\2 == \\3 == \\4 \\5/p' | sort -k 4 -g",
    # Munin's and Nagios' counts of states; Lynis' and chkrootkit's ports
    "netstat -nt | awk '/^tcp/ {n[$6]++} END {for (s in n) print s, n[s]}' | sort",
    "netstat -an --tcp --udp | tr -s ' ' | cut -d' ' -f4 | sed 's/.*[.:]//' | sort -n | uniq",
    "netstat -s | awk '/connections established|resets sent|failed connection/ {print $1}'",
    # sos and xsos: whole reports
    "netstat -W -neopa | awk '/^(tcp|udp)/ {print NF, $1, $4, $5, $7}' | sort",
    "netstat -W -agn | awk 'NR>3 {print NF, $1, $3}'",
    # bwm-ng, ifstat: the counters of one interface
    "netstat -i -a -n | awk '$1==\"lo\" {print NF, $2, $NF}'",
)


@pytest.mark.parametrize("idiom", IDIOMS)
def test_idioms_of_scripts(host: Namespace, need: Callable[[str], None], idiom: str) -> None:
    need("netstat")
    if "perl" in idiom:
        need("perl")
    ours = f'netstat() {{ {shlex.join(NETINSPECT)} netstat "$@"; }}\n{idiom}'
    environment = {**os.environ, "LC_ALL": "C"}
    found = [host.run("sh", "-c", script, env=environment, check=False).stdout for script in (idiom, ours)]
    assert found[1] == found[0]
    assert found[0].strip() or "-M" in idiom
