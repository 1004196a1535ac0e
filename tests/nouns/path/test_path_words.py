"""A flow as people type it, and as programs print it."""

from __future__ import annotations

import pytest

from netinspect.errors import UsageError
from netinspect.nouns.path.filter_words import flow_words

ONE = "10.0.0.2 > 198.51.100.1:443"


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
        ("IP 10.0.0.2.1234 > 198.51.100.1.443: Flags [S], seq 1", "10.0.0.2:1234 > 198.51.100.1:443"),
    ],
)
def test_what_is_meant(text: str, meant: str) -> None:
    assert str(flow_words([text])) == meant
    assert str(flow_words(text.split())) == meant


@pytest.mark.parametrize("text", ["a b", "10.0.0.2 198.51.100.1:99999", "10.0.0.2 nonsense", "10.0.0.256 1.1.1.1"])
def test_meaningless_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        flow_words(text.split())
