"""Routes that a router's advertisement brings, in `netinspect netstat -6r` as net-tools shows them."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from throwaway import NETINSPECT

from netinspect.engine.places import Place
from netinspect.nouns.routing.listing import Query, RouteListing
from netinspect.testing import AssertingLab
from netinspect.waiting.until import until

FOREVER = 0xFFFFFFFF
ON_LINK, AUTONOMOUS = 0x80, 0x40


def prefix(address: str, lifetime: int, flags: int = ON_LINK | AUTONOMOUS) -> bytes:
    """A prefix of the link (RFC 4861, 4.6.2)."""
    head = struct.pack("!BBBBIII", 3, 4, 64, flags, lifetime, lifetime, 0)
    return head + socket.inet_pton(socket.AF_INET6, address)


def route(address: str, lifetime: int) -> bytes:
    """A route to a prefix of 48 bits through the router (RFC 4191, 2.3)."""
    return struct.pack("!BBBBI", 24, 3, 48, 0, lifetime) + socket.inet_pton(socket.AF_INET6, address)


ADVERTISEMENT = (
    struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    + prefix("2001:db8:1::", 3600)
    + prefix("2001:db8:2::", FOREVER)
    + prefix("2001:db8:3::", 3600, ON_LINK)
    + prefix("2001:db8:4::", FOREVER, ON_LINK)
    + route("2001:db8:a::", 600)
    + route("2001:db8:b::", FOREVER)
)
"""What a router says: RFC 4861, 4.2. The kernel fills in the checksum."""

ALIKE = """
address add 2001:db8:9::1/64 dev eth0 valid_lft 500 preferred_lft 400 nodad
route add 2001:db8:77::/48 via 2001:db8:9::2 proto ra dev eth0
route add 2001:db8:78::/48 via 2001:db8:9::2 proto ra dev eth0 expires 100
route add 2001:db8:79::/48 dev eth0 proto kernel expires 100
route add default via fe80::77 proto ra dev eth0 metric 600
route add 2001:db8:1::/64 dev eth0 metric 77
"""
"""Routes that look as if an advertisement had brought them."""


def advertise() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as opened:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
        opened.sendto(ADVERTISEMENT, ("ff02::1", 0))


@pytest.fixture(scope="module")
def host() -> Iterator[Any]:
    """A host that has heard of a router, and has other routes beside."""
    with AssertingLab() as lab:
        host, router = lab.host("host"), lab.host("router", forwarding=True)
        lab.link(host, router, "10.0.0.2/24", "10.0.0.1/24")
        host.sysctl("net.ipv6.conf.eth0.accept_ra", 1)
        host.run("sysctl", "-q", "-e", "-w", "net.ipv6.conf.eth0.accept_ra_rt_info_max_plen=64", check=False)

        def heard() -> bool:
            # Not before both have addresses of the link.
            try:
                router.call(advertise)
            except OSError:
                return False
            routes = host.run("ip", "-6", "route", "show", "default").stdout
            addresses = host.run("ip", "-6", "address", "show", "dev", "eth0", "tentative").stdout
            return "proto ra" in routes and not addresses

        assert until(heard, bool, 15, longest=0.5)[0]
        host.run("ip", "-batch", "-", input=ALIKE)
        yield host


def test_flags_are_those_of_netstat(host: Any, need: Callable[[str], None]) -> None:
    need("netstat")
    environment = {**os.environ, "LC_ALL": "C"}
    theirs = [line.split() for line in host.run("netstat", "-6rn", env=environment).stdout.splitlines()]
    ours = [line.split() for line in host.run(*NETINSPECT, "netstat", "-6rn").stdout.splitlines()]
    assert {"UAe", "UA", "UGDAe", "Ue", "UG"} <= {row[2] for row in theirs}
    # The fifth column is the kernel's own count of references, which only procfs shows.
    assert [row[:4] + row[5:] for row in ours] == [row[:4] + row[5:] for row in theirs]
    assert {row[4] for row in ours[2:]} == {"1"}


def test_the_kernel_marks_advertised_prefixes(host: Any) -> None:
    listing = RouteListing(Query(("inet6",), table=None, advertised=True), (Place(host.path),))
    found = [record for batch in listing.batches() for record in batch]
    assert [one.destination for one in found] == [f"2001:db8:{number}::/64" for number in (1, 2, 3, 4)]
    assert {(one.protocol, one.metric, one.gateway) for one in found} == {("kernel", 256, None)}
    assert [one.expires is None for one in found] == [False, True, False, True]
