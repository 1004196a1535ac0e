"""A flow as people type it, and as programs print it."""

from __future__ import annotations

from pathlib import Path

import pytest

from netinspect.errors import UsageError
from netinspect.nouns.path.filter_words import flow_words

ONE = "10.0.0.2 > 198.51.100.1:443"
BOTH = "10.0.0.2:1234 > 198.51.100.1:443"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10.0.0.2 -> 198.51.100.1:443", ONE),
        ("10.0.0.2 > 198.51.100.1:443", ONE),
        ("10.0.0.2>198.51.100.1:443", ONE),
        ("10.0.0.2 198.51.100.1:443", ONE),
        ("10.0.0.2 to 198.51.100.1:443", ONE),
        ("from 10.0.0.2 to 198.51.100.1 port 443", ONE),
        ("10.0.0.2 198.51.100.1 443", ONE),
        ("10.0.0.2 198.51.100.1 https", ONE),
        ("10.0.0.2:* > 198.51.100.1:443", ONE),
        ("src 10.0.0.2 dst 198.51.100.1 dport 443", ONE),
        ("src=10.0.0.2 dst=198.51.100.1 dport=443", ONE),
        ("10.0.0.2,198.51.100.1", "10.0.0.2 > 198.51.100.1"),
        ("tcp 10.0.0.2 198.51.100.1:443", f"tcp {ONE}"),
        ("10.0.0.2 198.51.100.1:443/tcp", f"tcp {ONE}"),
        ("10.0.0.2 198.51.100.1 443/tcp", f"tcp {ONE}"),
        ("tcp/443 10.0.0.2", "tcp 10.0.0.2 > any:443"),
        ("any 198.51.100.1:443", "any > 198.51.100.1:443"),
        ("* 198.51.100.1:443", "any > 198.51.100.1:443"),
        ("udp 10.0.0.0/24", "udp 10.0.0.0/24 > any"),
        ("ping 10.0.0.2 198.51.100.1", "icmp 10.0.0.2 > 198.51.100.1"),
        ("fd00::1 2001:db8::1 443", "fd00::1 > [2001:db8::1]:443"),
        ("fd00::1 -> [2001:db8::1]:443", "fd00::1 > [2001:db8::1]:443"),
        (
            "tcp      6 431999 ESTABLISHED src=10.0.0.2 dst=198.51.100.1 sport=4444 dport=443 src=198.51.100.1 "
            "dst=203.0.113.1 sport=443 dport=4444 [ASSURED] mark=0 use=1",
            "tcp 10.0.0.2:4444 > 198.51.100.1:443",
        ),
        (
            "tcp 10.0.0.2:1234 > 198.51.100.1:443 (replies to 203.0.113.1:1234), without a reply",
            "tcp 10.0.0.2:1234 > 198.51.100.1:443",
        ),
        (
            "masquerade tcp ESTABLISHED 431999 10.0.0.2:1234 198.51.100.1:443 203.0.113.1:1234 ASSURED",
            "tcp 10.0.0.2:1234 > 198.51.100.1:443",
        ),
        ("IP 10.0.0.2.1234 > 198.51.100.1.443: Flags [S], seq 1", f"tcp {BOTH}"),
        ("12:34:56.12 eth0  Out IP 10.0.0.2.1234 > 198.51.100.1.https: Flags [S.], seq 1, length 0", f"tcp {BOTH}"),
        (
            "2026-11-28 12:34:56.1 IP6 fd00::2.1234 > 2001:db8::4.443: Flags [S]",
            "tcp [fd00::2]:1234 > [2001:db8::4]:443",
        ),
        ("IP 10.0.0.2.1234 > 198.51.100.1.443: 4711+ A? example.com. (28)", f"udp {BOTH}"),
        ("IP 10.0.0.2.1234 > 198.51.100.1.443: UDP, length 5", f"udp {BOTH}"),
        (
            "1:2:3.4 IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto UDP (17), length 60) 10.0.0.2.1234 > "
            "198.51.100.1.443: [udp sum ok] UDP, length 32",
            f"udp {BOTH}",
        ),
        ("IP 10.0.0.2 > 198.51.100.1: ICMP echo request, id 5, seq 1, length 64", "icmp 10.0.0.2 > 198.51.100.1"),
        ("IP6 fd00::2 > fd00::3: ICMP6, echo request, id 5, seq 1, length 64", "icmpv6 fd00::2 > fd00::3"),
        (
            "Nov 28 12:00:00 gw kernel: [1.4] port DROP: IN=eth0 OUT= MAC=aa:bb SRC=10.0.0.2 DST=198.51.100.1 LEN=60 "
            "TOS=0x00 PREC=0x00 TTL=63 ID=1 DF PROTO=TCP SPT=1234 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0",
            f"tcp {BOTH}",
        ),
        (
            "IN=eth0 SRC=10.0.0.2 DST=198.51.100.1 PROTO=ICMP TYPE=3 CODE=4 [SRC=192.0.2.1 DST=192.0.2.2 PROTO=TCP "
            "SPT=1 DPT=2 ] MTU=1300",
            "icmp 10.0.0.2 > 198.51.100.1",
        ),
        (
            'trace id 1234abcd ip nat pre packet: iif "eth0" ether saddr aa:bb:cc:dd:ee:ff ip saddr 10.0.0.2 ip daddr '
            "198.51.100.1 ip ttl 63 ip id 1 tcp sport 1234 tcp dport 443 tcp flags == syn",
            f"tcp {BOTH}",
        ),
        (
            "gre      47 179 timeout=180 src=10.0.0.2 dst=198.51.100.1 srckey=0x0 dstkey=0x1 src=198.51.100.1 "
            "dst=10.0.0.2 srckey=0x1 dstkey=0x0 mark=0 use=1",
            "gre 10.0.0.2 > 198.51.100.1",
        ),
        (
            "unknown  2 599 src=10.0.0.2 dst=224.0.0.22 [UNREPLIED] src=224.0.0.22 dst=10.0.0.2 mark=0 use=1",
            "igmp 10.0.0.2 > 224.0.0.22",
        ),
        (
            "[1700000000.1] [DESTROY] tcp 6 src=10.0.0.2 dst=198.51.100.1 sport=1234 dport=443 packets=5 bytes=3 "
            "src=198.51.100.1 dst=10.0.0.2 sport=443 dport=1234 packets=4 bytes=2 [ASSURED]",
            f"tcp {BOTH}",
        ),
        ('ESTAB 0 0 10.0.0.2:1234 198.51.100.1:443 users:(("curl",pid=12,fd=3))', BOTH),
        ("tcp ESTAB 0 0 10.0.0.2%eth0:1234 198.51.100.1:443 timer:(on,1min,0) uid:1 ino:2 sk:3 <->", f"tcp {BOTH}"),
        ("udp UNCONN 0 0 [::ffff:10.0.0.2]:1234 [::ffff:198.51.100.1]:443", f"udp {BOTH}"),
        ("tcp6 0 0 fd00::2:1234 2001:db8::4:443 ESTABLISHED 123/curl", "tcp [fd00::2]:1234 > [2001:db8::4]:443"),
        (
            '{"protocol":"tcp","source_address":"10.0.0.2","destination_address":"198.51.100.1","destination_port":443}',
            f"tcp {ONE}",
        ),
        ("protocol=tcp source_address=10.0.0.2 destination_address=198.51.100.1 destination_port=443", f"tcp {ONE}"),
        ("10.0.0.2 ⇒ 198.51.100.1:443", ONE),
        ("10.0.0.2 ---> 198.51.100.1:443", ONE),
        ("10.0.0.2 - 198.51.100.1:443", ONE),
        ('"10.0.0.2 > 198.51.100.1:443"', ONE),
        ("'10.0.0.2' '198.51.100.1:443'", ONE),
        ("-s 10.0.0.2 -d 198.51.100.1 -p tcp --dport 443", f"tcp {ONE}"),
        ("ip saddr 10.0.0.2 ip daddr 198.51.100.1 tcp dport 443", f"tcp {ONE}"),
        ("https://198.51.100.1/index.html", "tcp any > 198.51.100.1:443"),
        ("10.0.0.2 -> http://[2001:db8::1]:8080/", "tcp 10.0.0.2 > [2001:db8::1]:8080"),
        ("10.0.0.2 localhost:80", "10.0.0.2 > 127.0.0.1:80"),
        ("TCP 10.0.0.2:1234 > 198.51.100.1:443 SYN", f"tcp {BOTH}"),
        ("fe80::1%eth0 > fe80::2%eth0:22", "fe80::1 > [fe80::2]:22"),
    ],
)
def test_what_is_meant(text: str, meant: str) -> None:
    assert str(flow_words([text])) == meant
    assert str(flow_words(text.split())) == meant


@pytest.mark.parametrize(
    "text",
    [
        "a b",
        "mark=5",
        "{}",
        "Connection refused",
        "10.0.0.2 198.51.100.1:99999",
        "10.0.0.2 nonsense",
        "10.0.0.256 1.1.1.1",
        "{",
        "{]",
    ],
)
def test_meaningless_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        flow_words(text.split())


# Each line is what is meant, two spaces, and the words, with \\n and \\t for what they stand for.
SAID = [line.split("  ", 1) for line in (Path(__file__).parent / "said_of_flows.txt").read_text().splitlines()]


@pytest.mark.parametrize(("meant", "text"), SAID)
def test_what_programs_say(meant: str, text: str) -> None:
    """Errors, logs and lists of programs, and commands that somebody ran."""
    text = text.replace("\\n", "\n").replace("\\t", "\t")
    assert str(flow_words([text])) == meant
    assert str(flow_words(text.split())) == meant
