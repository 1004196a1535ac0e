"""Words of other programs, and misspelt ones: the command that was meant is printed, and it works."""

from __future__ import annotations

import shlex

import pytest

from netinspect.environment import Environment
from netinspect.main import run


def suggested(line: str) -> str:
    """What is printed after ``; try: netinspect``."""
    complaints: list[bytes] = []
    run(shlex.split(line), Environment(lambda _: None, complaints.append, False, 80))
    return b"".join(complaints).decode().split("\n")[0].partition("; try: netinspect ")[2]


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
        ("ip -s link", "links"),
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
        ("traceroute 10.0.0.1", "path 10.0.0.1"),
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
    ],
)
def test_the_command_to_type_is_printed(line: str, meant: str) -> None:
    assert suggested(line) == meant


@pytest.mark.parametrize("line", ["frobnicate", "links --frobnicate", "sockets 'sport ='", "conntrack -D", "routes -x"])
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


def test_help_before_the_command_is_help_for_it() -> None:
    shown: list[bytes] = []
    run(["-h", "sockets"], Environment(shown.append, lambda _: None, False, 80))
    assert b"".join(shown).startswith(b"Usage: netinspect sockets")
