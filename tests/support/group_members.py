"""Sockets that join multicast groups, in this process or another, for the tests of memberships."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from patience import until

from netinspect.engine.places import Place
from netinspect.nouns.groups.listing import MembershipListing, Query
from netinspect.records import Membership

if TYPE_CHECKING:
    from collections.abc import Iterator

    from throwaway import Namespace

MCAST_JOIN_GROUP, MCAST_BLOCK_SOURCE, MCAST_JOIN_SOURCE_GROUP = 42, 43, 46
PACKET_ADD_MEMBERSHIP, SOL_PACKET = 1, 263

GROUPS = {"inet": "239.1.2.3", "inet6": "ff15::1:2:3"}
SENDERS = {"inet": "10.0.0.9", "inet6": "fd00::9"}


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _storage(address: str) -> bytes:
    """struct sockaddr_storage."""
    if ":" in address:
        raw = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, address), 0)
    else:
        raw = struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_pton(socket.AF_INET, address))
    return raw.ljust(128, b"\0")


def join(opened: socket.socket, group: str, interface: str, include: Any = (), exclude: Any = ()) -> None:
    """Joins a group on an interface (RFC 3678), from these sources only, or from all but those."""
    level = socket.IPPROTO_IPV6 if ":" in group else socket.IPPROTO_IP
    head = struct.pack("@I0P", socket.if_nametoindex(interface)) + _storage(group)
    for source in include:
        opened.setsockopt(level, MCAST_JOIN_SOURCE_GROUP, head + _storage(source))
    if not include:
        opened.setsockopt(level, MCAST_JOIN_GROUP, head)
    for source in exclude:
        opened.setsockopt(level, MCAST_BLOCK_SOURCE, head + _storage(source))


def member(
    group: str,
    interface: str,
    *,
    bind: str | None = None,
    port: int = 0,
    include: Any = (),
    exclude: Any = (),
) -> socket.socket:
    """A UDP socket that has joined a group, bound to an address and port where ``bind`` is given."""
    opened = socket.socket(family_of(group), socket.SOCK_DGRAM)
    join(opened, group, interface, include, exclude)
    if bind is not None:
        opened.bind((bind, port))
    return opened


def packet_member(interface: str, address: bytes) -> socket.socket:
    """A packet socket that has joined a link-layer group (packet(7))."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    request = struct.pack("=iHH8s", socket.if_nametoindex(interface), 0, len(address), address)
    opened.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)
    return opened


@contextmanager
def another_process(namespace: Namespace, **arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """Another process with such a member; it is there when the block begins, and gone when it ends."""
    program = (
        "import sys, os; sys.path[:0] = sys.argv[1].split(os.pathsep); from group_members import member\n"
        f"opened = member(**{arguments!r})\nprint(opened.fileno(), flush=True)\nsys.stdin.read()"
    )
    process = namespace.popen(
        [sys.executable, "-c", program, __file__.rpartition("/")[0]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip().isdecimal()
        yield process
    finally:
        process.kill()
        process.communicate()


def with_interfaces(namespace: Namespace, *, ipv6: bool = True) -> None:
    """Puts two interfaces that are connected into a namespace; ``veth0`` has addresses.

    Without IPv6 nothing is sent that a test has not sent: else the kernel reports its memberships by and by, the first
    of which may come before the other end has a route for it.
    """

    def make() -> None:
        from pyroute2 import IPRoute

        with IPRoute() as netlink:
            netlink.link("add", ifname="veth0", kind="veth", peer={"ifname": "veth1"})
            for name in ("veth0", "veth1"):
                settings = {"accept_dad": 0, "accept_ra": 0, "disable_ipv6": int(not ipv6)}
                for setting, value in settings.items():
                    with open(f"/proc/sys/net/ipv6/conf/{name}/{setting}", "w") as file:
                        file.write(str(value))
                index = netlink.link_lookup(ifname=name)[0]
                netlink.link("set", index=index, state="up")
            index = netlink.link_lookup(ifname="veth0")[0]
            netlink.addr("add", index=index, address="10.0.0.1", prefixlen=24)
            if ipv6:
                netlink.addr("add", index=index, address="fd00::1", prefixlen=64)
        # Link-local addresses come when the carrier has been noticed, and the groups that go with addresses by and by.
        if ipv6:
            until(settled, "address with its groups")

    def settled() -> bool:
        """Whether each of the three addresses has its group, and the link layer that of the group."""
        texts = {}
        for name in ("if_inet6", "igmp6", "dev_mcast"):
            with open(f"/proc/thread-self/net/{name}") as file:
                texts[name] = file.read()
        addresses = [line.split() for line in texts["if_inet6"].splitlines() if line.split()[5] != "lo"]
        return len(addresses) == 3 and all(
            re.search(rf"^\d+\s+{words[5]}\s+ff02\w+1ff{words[0][-6:]}\s", texts["igmp6"], re.MULTILINE)
            and re.search(rf"^\d+\s+{words[5]}\s.*3333ff{words[0][-6:]}$", texts["dev_mcast"], re.MULTILINE)
            for words in addresses
        )

    namespace.call(make)


def listed(path: str, **query: Any) -> list[Membership]:
    listing = MembershipListing(Query(**query), [Place(path)])
    found = [row for batch in listing.batches() for row in batch]
    assert listing.problems == []
    return found
