"""Words of other programs, and misspelt ones: the command that was meant is printed, and it works."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from throwaway import Namespace
from typed_lines import suggested

from netinspect.environment import Environment
from netinspect.main import run
from netinspect.manual import live_names

OURSELVES = shlex.quote(Path("/proc/self/comm").read_text().rstrip("\n"))
"""What this process is called."""


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("ss", "sockets"),
        ("-tlnp", "sockets -tlnp"),
        ("--csv", "sockets --format csv"),
        ("version", "--version"),
        ("port 22", "sockets 'sport = :22 or dport = :22'"),
        (":443", "sockets 'sport = :443 or dport = :443'"),
        ("10.0.0.1", "sockets 'src 10.0.0.1 or dst 10.0.0.1'"),
        ("lsof -nP -i :22", "sockets 'sport = :22 or dport = :22'"),
        ("ip -s link", "links --statistics"),
        ("ip -s link show lo", "links --statistics lo"),
        ("ethtool -S lo", "links --statistics lo"),
        ("links -br", "links"),
        ("addresses -br lo", "addresses lo"),
        ("routes -d", "routes"),
        ("stats -az", "stats"),
        ("stats -a Tcp", "stats Tcp"),
        ("nat -L", "nat"),
        ("top -d 2", "top --interval 2"),
        ("top -b -n 1", "top --once"),
        ("top --by pid", "top --by process"),
        ("top --by=ip -t", "top --by=remote -t"),
        ("sockets -iTCP:22", "sockets --tcp 'sport = :22 or dport = :22'"),
        ("sockets --events", "sockets --watch 1"),
        ("sockets -i lo", "sockets -i 'dev = lo'"),
        ("watch sockets", "sockets --watch 1"),
        ("watch -n 2 ss -t", "sockets -t --watch 2"),
        ("ip -br -6 addr", "addresses -6"),
        ("diagnos", "nat diagnose"),
        ("cap", "capabilities"),
        ("lab up gateway+drop-after-nta", "lab up gateway+drop-after-nat"),
        ("ss -tlnp", "sockets -tlnp"),
        ("socket", "sockets"),
        ("scokets -tan", "sockets -tan"),
        ("route -n", "routes -n"),
        ("link", "links"),
        ("ip a", "addresses"),
        ("ip addr show", "addresses"),
        ("ip -6 route", "routes -6"),
        ("ip route get 10.0.0.1", "routes get 10.0.0.1"),
        ("ip link show lo", "links lo"),
        ("ip neigh", "neighbours"),
        ("arp -a", "neighbours -a"),
        ("ip rule", "rules"),
        ("ip maddr", "groups"),
        ("bridge mdb", "groups bridge"),
        ("ifconfig", "links"),
        ("traceroute 127.0.0.1", "path 127.0.0.1 127.0.0.1"),
        ("nstat", "stats"),
        ("conntrack -L", "conntrack list"),
        ("conntrack -L -n", "conntrack list -n"),
        ("conntrack -E", "conntrack events"),
        ("conntrack -C", "conntrack count"),
        ("sockets :22", "sockets 'sport = :22 or dport = :22'"),
        ("sockets -tan 443", "sockets -tan 'sport = :443 or dport = :443'"),
        ("sockets port 22", "sockets 'sport = :22 or dport = :22'"),
        ("sockets -n 10.0.0.1", "sockets -n 'src 10.0.0.1 or dst 10.0.0.1'"),
        ("links --csv", "links --format csv"),
        ("sockets --lisen", "sockets --listening"),
        ("sockets --no-colour", "sockets --color=never"),
        ("links --format jsn", "links --format json"),
        ("links --format=jsn", "links --format=json"),
        ("links --columns name,stat,mtu", "links --columns name,state,mtu"),
        ("links --sort -mtuu", "links --sort -mtu"),
        ("sockets --state listning", "sockets --state listening"),
        ("sockets --state=established,closewiat", "sockets --state=established,close-wait"),
        ("neighbours --state reachabel", "neighbours --state reachable"),
        ("conntrack --state ESTABLISHD", "conntrack --state ESTABLISHED"),
        ("stats explain TcpRetransSeg", "stats explain Tcp.RetransSegs"),
        ("stats tcpp", "stats Tcp"),
        ("lab up gatway", "lab up gateway"),
        ("lab stauts", "lab status"),
        ("explain close-wiat", "explain CLOSE_WAIT"),
        ("help sokets", "help sockets"),
        ("schema sokets", "schema sockets"),
        ("wait listenning 80", "wait listening 80"),
        # Words of programs that do what this one does not, and what serves as well.
        ("ps aux", "sockets -ap"),
        ("tcpdump -i lo port 80", "conntrack events"),
        ("iptables -t nat -L -n", "nat diagnose"),
        ("tc -s qdisc show dev lo", "drops account"),
        ("ping -c 1 127.0.0.1", "path 127.0.0.1 127.0.0.1"),
        ("path 127.0.0.1:80", "path 127.0.0.1 127.0.0.1:80"),
        ("iftop", "top"),
        ("ethtool -i lo", "links lo"),
        ("fuser 80/tcp", "sockets -ap -t 'sport = :80 or dport = :80'"),
        ("lsof -i tcp:80", "sockets -t 'sport = :80 or dport = :80'"),
        ("lsof -iTCP -sTCP:LISTEN", "sockets -t -l"),
        ("ip monitor link", "links --watch 1"),
        ("ip netns exec blue ss -tln", "sockets -tln -N blue"),
        ("ip netns exec blue ip r", "routes -N blue"),
        # Words behind ip(8)'s objects, behind ours too.
        ("ip r s t local", "routes --table local"),
        ("ip route show dev lo proto kernel", "routes --interface lo --protocol kernel"),
        ("ip -d link show type bridge", "links --kind bridge"),
        ("links show dev lo", "links lo"),
        ("neighbours dev lo", "neighbours lo"),
        ("rules list", "rules"),
        ("routes table main", "routes --table main"),
        # Options and states without their dashes.
        ("sockets listening", "sockets --listening"),
        ("sockets tcp established", "sockets --tcp --state established"),
        ("stats ListenDrops", "stats TcpExt"),
        ("stats healt", "stats health"),
        ("conntrack tcp", "conntrack --protocol tcp"),
        ("conntrack -n 10.0.0.1", "conntrack -n --source 10.0.0.1"),
        ("groups lo", "groups --interface lo"),
        ("wait port 80", "wait listening 80"),
        ("wait :80 --timeout 3", "wait listening :80 --timeout 3"),
        ("sockets -t --port 80", "sockets -t 'sport = :80 or dport = :80'"),
        ("sockets --dport 80 -n", "sockets -n 'dport = :80'"),
        ("sockets 127.0.0.1:22", "sockets 'src 127.0.0.1:22 or dst 127.0.0.1:22'"),
        ("sockets -n http", "sockets -n 'sport = :http or dport = :http'"),
        (f"sockets -t {OURSELVES}", f"sockets -t --process {OURSELVES}"),
        (f"top {OURSELVES}", f"top --process {OURSELVES}"),
        ("top 443", "top 'sport = :443 or dport = :443'"),
        ("sockets --tpc", "sockets --tcp"),
        # Names that the system has, and those that an error lists.
        ("links l0", "links lo"),
        ("routes -i lp", "routes -i lo"),
        ("groups --interface=ol", "groups --interface=lo"),
        ("sockets 'dev lp and sport = :22'", "sockets 'dev lo and sport = :22'"),
        ("sockets sport = :htpp", "sockets sport '=' :http"),
        ("routes --table mian", "routes --table main"),
        ("routes --type unicst", "routes --type unicast"),
        ("conntrack list -p tpc", "conntrack list -p tcp"),
        ("nat dignose", "nat diagnose"),
        ("groups routs", "groups routes"),
        ("drops acount", "drops account"),
        ("completion bsh", "completion bash"),
        ("explain TcpRetransSegs", "stats explain Tcp.RetransSegs"),
        ("explain TCPLostRetransmitt", "stats explain TcpExt.TCPLostRetransmit"),
    ],
)
def test_the_command_to_type_is_printed(line: str, meant: str) -> None:
    assert suggested(line) == meant


@pytest.mark.parametrize(
    "line",
    [
        *("frobnicate", "links --frobnicate", "sockets 'sport ='", "conntrack -D", "routes -x"),
        *("ip route add default via 10.0.0.1", "bridge fdb", "bridge vlan show", "dig example.com", "links zzzz9"),
        "rules show table 254",
    ],
)
def test_nothing_is_suggested_where_nothing_is_known(line: str) -> None:
    assert suggested(line) == ""


def test_a_suggestion_stays_one_line_that_a_shell_reads_as_it_was() -> None:
    assert suggested("scokets 'a\x1b[2J' ''") == "sockets \"$(printf 'a\\033\\1332J')\" ''"


def test_where_a_command_is_known_to_be_meant_the_others_are_not_named() -> None:
    complaints: list[bytes] = []
    run(["arp"], Environment(lambda _: None, complaints.append, False, 80))
    assert complaints == [b"netinspect: no command 'arp' (see `netinspect --help`); try: netinspect neighbours\n"]
    run(["qqqq"], Environment(lambda _: None, complaints.append, False, 80))
    assert b"sockets, top, routes" in complaints[1]
    for words in (
        "conntrack -D -s 10.0.0.1",
        "routes add default via 10.0.0.1",
        "links set lo up",
        "rules del table 7",
    ):
        run(words.split(), Environment(lambda _: None, complaints.append, False, 80))
        assert complaints[-1].endswith(b"; netinspect changes nothing\n")
    for words, said in (("bridge fdb", b"no forwarding tables"), ("ip a del 10.0.0.1", b"netinspect changes nothing")):
        run(words.split(), Environment(lambda _: None, complaints.append, False, 80))
        assert said in complaints[-1]
        assert b"sockets, top, routes" not in complaints[-1]


def test_namespaces_that_are_misspelt(namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not in the machine's own directory: what others list there would not be a namespace.
    (tmp_path / "slips-first").touch()
    monkeypatch.setattr(live_names, "_NAMED_NAMESPACES", str(tmp_path))
    assert suggested("links -N slips-firts") == "links -N slips-first"
    assert suggested("sockets -tln --netns=slips-frst") == "sockets -tln --netns=slips-first"
    # The interfaces are those of the namespace that was asked for.
    namespace.run("ip", "link", "add", "outside7", "type", "veth")
    assert suggested(f"links outsdie7 -N {namespace.path}") == f"links outside7 -N {namespace.path}"
    assert suggested("links outsdie7") == ""


def test_help_before_the_command_is_help_for_it() -> None:
    shown: list[bytes] = []
    run(["-h", "sockets"], Environment(shown.append, lambda _: None, False, 80))
    assert b"".join(shown).startswith(b"Usage: netinspect sockets")


@pytest.mark.parametrize("line", ["sockets -tK", "sockets --kill", "ss -K dst 10.0.0.1", "kill 1", "conntrack -D"])
def test_what_would_end_connections_is_said_to_change_nothing(line: str) -> None:
    complaints: list[bytes] = []
    run(shlex.split(line), Environment(lambda _: None, complaints.append, False, 80))
    (said,) = b"".join(complaints).decode().splitlines()
    assert said.count("netinspect changes nothing") == 1
    assert "try:" not in said
