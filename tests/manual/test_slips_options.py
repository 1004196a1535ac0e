"""Options and words of ss, ip, conntrack, netstat, lsof and others where ours are expected: what to type is printed."""

from __future__ import annotations

import shlex

import pytest
from typed_lines import suggested

from netinspect.environment import Environment
from netinspect.main import command_of, run
from netinspect.manual.slips import makes_sense

MEANT = """
    drops -w => drops
    drops -w 1 => drops
    drops -i lo => drops dev lo
    drops -t 5 => drops --for 5
    drops lo => drops dev lo
    drops reasons => drops count
    sockets -w 1 => sockets --watch 1
    sockets -Z => sockets
    sockets -tlnO => sockets -tln
    sockets -tnE => sockets --watch 1 -tn
    sockets -A inet,unix => sockets --tcp --mptcp --udp --raw --sctp --dccp --unix
    sockets -f inet6 => sockets --ipv6
    sockets -c => sockets --watch 1
    sockets -u root => sockets --user root
    sockets -p nginx => sockets -p --process nginx
    sockets --json-pretty => sockets --json
    sockets --output json => sockets --format json
    sockets --yaml => sockets
    sockets -tn --all-namespaces => sockets -tn --all-netns
    ss -tlnpZO => sockets -tlnp
    ss -b => sockets
    ss --tos => sockets
    ss -tnA tcp => sockets -tn --tcp
    ss --query=udp => sockets --udp
    ss --net=blue => sockets --netns blue
    ss -T => sockets --processes
    ss -K =>
    :https => sockets 'sport = :https or dport = :https'
    [::1]:22 => sockets 'src [::1]:22 or dst [::1]:22'
    localhost:22 => sockets 'src 127.0.0.1:22 or dst 127.0.0.1:22'
    lo => links lo
    tulpn => sockets -tulpn
    -rn => routes -n
    -g => groups
    -l 22 => sockets -l 'sport = :22 or dport = :22'
    ip -j -p a => addresses --json
    ip -n blue link => links -N blue
    ip -all netns exec ip l => links --all-netns
    ip -netns blue r => routes -N blue
    ip -s -d link show dev lo => links --statistics lo
    ip r g 1.1.1.1 => routes get 1.1.1.1
    ip n s nud stale => neighbours --state stale
    ip a s up => addresses
    ip l s up => links --up
    ip route show to match 10.0.0.1 => routes match 10.0.0.1
    ip maddress show dev lo => groups --interface lo
    ip vrf show => links --kind vrf
    ip ntable => neighbours tables
    ip token =>
    ip -t monitor neigh => neighbours --watch 1
    conntrack -L -p tcp --dport 443 => conntrack list -p tcp --destination-port 443
    conntrack -L -f ipv6 -o extended => conntrack list --ipv6 --extended
    conntrack -L expect => conntrack expectations
    conntrack -E -e NEW,DESTROY => conntrack events --event new,destroy
    conntrack -E -o timestamp -e ALL => conntrack events --extended
    conntrack -G --orig-src 10.0.0.1 => conntrack list --source 10.0.0.1
    conntrack -L -z => conntrack list
    nat -t nat -v => nat --extended
    nat --src 10.0.0.1 => nat --source 10.0.0.1
    nat check => nat diagnose
    netstat -b =>
    routes -C => routes cache
    routes -T 100 => routes --table 100
    routes src 10.0.0.1 => routes --source 10.0.0.1
    routes lookup 1.1.1.1 => routes get 1.1.1.1
    routes -o json => routes --format json
    links -S lo => links --statistics lo
    links -i lo => links lo
    links veth => links --kind veth
    links -4 => links
    addresses global => addresses --scope global
    neighbours --nud stale => neighbours --state stale
    groups dev lo => groups --interface lo
    groups mdb => groups bridge
    stats -w 1 => stats --watch 1
    stats drops => drops account
    path -t 127.0.0.1:80 => path tcp 127.0.0.1 127.0.0.1:80
    path -n 127.0.0.1 => path 127.0.0.1 127.0.0.1
    top -p 12 => top --pid 12
    top -u root => top --user root
    top flows => top
    lab ls => lab list
    lab start gateway => lab up gateway
    lab rm x => lab down x
    wait up lo => wait link lo up
    wait tcp 22 => wait listening --tcp 22
    wait established 80 => wait established 'sport = :80 or dport = :80'
    wait listening 80 -t 5 => wait listening 80 --timeout 5
    assert connected 10.0.0.1:22 => assert established 'dst 10.0.0.1:22'
    snapshot -o x => snapshot x
    schema ss => schema sockets
    capabilities -v => capabilities --all
    explain time wait => explain TIME_WAIT
    completion --bash => completion bash
    lsof -i4 => sockets -4
    lsof -itcp:443 -sTCP:ESTABLISHED => sockets -t --state established 'sport = :443 or dport = :443'
    lsof -a -p 12 -i => sockets --pid 12
    lsof -i @127.0.0.1:22 => sockets 'src 127.0.0.1:22 or dst 127.0.0.1:22'
    lsof -U => sockets -x
    fuser -n tcp 22 => sockets -ap -t 'sport = :22 or dport = :22'
    fuser -k 22/tcp =>
    nc -zv 127.0.0.1 22 => path 127.0.0.1 127.0.0.1:22
    wget http://x =>
    nsenter -t 1 -n ip -br a => addresses -N 1
    watch -n1 ss -t => sockets -t --watch 1
    sudo ss -tln => sockets -tln
    cat /proc/net/tcp => sockets -ta
    cat /proc/net/dev => links --statistics
    sar -n DEV => links --rates 1
    docker ps => sockets -tlp --all-netns
    bpftrace =>
    list =>
    help ss => help sockets
"""
"""What is typed, and what is printed to type instead; nothing where one line says why there is nothing."""


@pytest.mark.parametrize("line", MEANT.strip().splitlines())
def test_words_of_other_programs(line: str) -> None:
    typed, _, meant = line.strip().partition(" =>")
    assert suggested(typed) == meant.strip()
    if meant:
        assert makes_sense(shlex.split(meant), command_of)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sockets -tlnZ", "`netinspect netstat -Z` shows the contexts of SELinux"),
        ("ss -tlnZ", "`netinspect netstat -Z` shows the contexts of SELinux"),
        ("sockets -V", "`netinspect --version` shows the version"),
        ("ss --bpf -K", "netinspect changes nothing"),
        ("ss -b", "netinspect shows no filters that programs attach to sockets"),
        ("sockets --yaml", "the formats are table, json, ndjson and csv"),
        ("links -o yaml", "the formats are table, json, ndjson and csv"),
        ("links -6", "`netinspect addresses` has -4 and -6"),
        ("conntrack -L -z", "netinspect changes nothing, counters neither"),
        ("docker ps", "netinspect lists no containers"),
        ("nc -z 127.0.0.1 22", "netinspect sends nothing"),
        ("ip token", "netinspect has nothing of this object of ip(8)"),
    ],
)
def test_what_there_is_nothing_for_is_said(line: str, said: str) -> None:
    complaints: list[bytes] = []
    assert run(shlex.split(line), Environment(lambda _: None, complaints.append, False, 80)) == 2
    (only,) = b"".join(complaints).decode().splitlines()
    assert said in only
