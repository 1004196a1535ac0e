"""Routes of every kind in a throwaway namespace, and rtnetlink's raw answers for two decoders to be held together."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from patience import until
from throwaway import Namespace

from netinspect.engine.netlink.transport import connect
from netinspect.uapi.netlink import NETLINK_ROUTE

SETUP = """
link add v0 type veth peer name v1
link set v0 addrgenmode none
link set v1 addrgenmode none
link set v0 up
link set v1 up
address add 10.0.0.1/24 dev v0
address add 10.0.1.1/24 dev v1
"""
IPV4 = """
nexthop add id 5 via 10.0.0.2 dev v0
nexthop add id 7 via 10.0.0.3 dev v0
nexthop add id 8 blackhole
nexthop add id 6 group 5/7,3
route add 10.9.0.0/16 nexthop via 10.0.0.2 weight 2 nexthop via 10.0.1.3 dev v1
route add 10.10.0.0/16 nexthop via 10.0.0.2 nexthop via inet6 fe80::9 dev v1 weight 256
route add 10.11.0.0/16 nhid 5
route add 10.12.0.0/16 nhid 6
route add 10.12.1.0/24 nhid 8
route add 10.13.0.0/16 via inet6 fe80::1 dev v0
route add 10.14.0.0/16 encap ip id 5 src 1.2.3.3 dst 1.2.3.4 ttl 9 tos 4 key via 10.0.0.2
route add 10.15.0.0/16 encap ip6 id 77 dst fd00::9 hoplimit 3 via 10.0.0.2
route add default via 10.0.0.9 metric 50
route add default via 10.0.0.8 metric 4294967295
route add 10.20.0.0/16 via 10.0.0.2 mtu lock 1400 advmss 1300 rtt 20ms rttvar 8ms congctl reno features ecn initcwnd 7
route add 10.21.0.0/16 via 10.0.0.2 window 5000 ssthresh 9 cwnd lock 3 reordering 5 hoplimit 9 rto_min 300ms initrwnd 4
route add 10.22.0.0/16 via 10.0.0.2 quickack 1 fastopen_no_cookie 1 realm 3/4
route add blackhole 10.30.0.0/16
route add unreachable 10.31.0.0/16
route add prohibit 10.32.0.0/16
route add throw 10.33.0.0/16
route add multicast 224.9.0.0/16 dev v0
route add broadcast 10.34.0.255 dev v0
route add local 10.35.0.1 dev lo table main
route add 10.40.0.0/16 via 10.77.0.1 dev v0 onlink
route add 10.41.0.1 dev v0 metric 7 src 10.0.0.1 proto static scope link
route add 10.41.0.0/25 dev v0 tos 0x10 proto bird
route add 10.41.0.0/25 dev v0 proto 77
route add 10.50.0.0/16 via 10.0.0.7 table 100
route add 10.51.0.0/16 via 10.0.0.7 table 70000
route add 255.255.255.255 dev v0
"""
IPV6 = """
address add fd00::1/64 dev v0 nodad
route add fd01::/64 encap seg6 mode encap segs fd00::9,fd00::8 dev v0
route add fd02::/64 encap seg6 mode inline segs fd00::9 dev v0
route add fd03::/64 encap seg6local action End dev v0
route add fd04::/64 encap seg6local action End.X nh6 fd00::2 dev v0
route add fd05::/64 encap seg6local action End.T table 254 dev v0
route add fd06::/64 encap seg6local action End.B6.Encaps srh segs fd00::9,fd00::8 dev v0
route add fd07::/64 encap ip6 id 5 dst fd00::9 via fd00::2
route add fd09::/64 nexthop via fd00::2 dev v0 weight 3 nexthop via fd00::3 dev v0
route add unreachable fd0a::/64
route add blackhole fd0b::/64
route add prohibit fd0c::/64
route add throw fd0c:1::/64
route add fd0d::1 via fd00::2 mtu 1300 hoplimit 9
route add fd0e::/64 via fd00::2 table 77
route add fd0f::/64 dev v0 pref low
route add multicast ff0e::/16 dev v1 table local
route add anycast fd00::77 dev v0
route add fd10::/64 from fd00::/64 dev v0
route add default via fd00::3 expires 1000 pref high
"""


def await_carrier(namespace: Namespace, *names: str) -> None:
    """Waits until the kernel has noticed that these interfaces have a carrier, which it does in a thread of its own.

    Only then they have their IPv6 multicast route, and the routes through them are not "linkdown".
    """

    def noticed() -> bool:
        with open("/proc/thread-self/net/ipv6_route") as table:
            rows = [line.split() for line in table]
        return {row[-1] for row in rows if (row[0][:4], row[1]) == ("ff00", "08")} >= set(names)

    namespace.call(lambda: until(noticed, "carrier"))


def build(namespace: Namespace) -> None:
    """Makes all of it. Lines that this kernel cannot do are left out by ip itself."""
    # A group of next hops has no family, so that -4 would make it fail.
    for family, lines in ([], SETUP + IPV4), (["-6"], IPV6):
        namespace.run("ip", "-force", *family, "-batch", "-", input=lines, check=False)
    await_carrier(namespace, "v0", "v1")


def many(namespace: Namespace, count: int) -> None:
    """``count`` routes for each family, through v0."""
    four = "".join(
        f"route add {11 + (n >> 16)}.{n >> 8 & 255}.{n & 255}.0/24 via 10.0.0.{2 + n % 7}\n" for n in range(count)
    )
    six = "".join(f"route add fd20:{n:x}:{n * 7919 & 0xFFFF:x}::/48 via fd00::{2 + n % 7}\n" for n in range(count))
    namespace.run("ip", "-4", "-batch", "-", input=SETUP + four)
    namespace.run("ip", "-6", "-batch", "-", input="address add fd00::1/64 dev v0 nodad\n" + six)
    await_carrier(namespace, "v0", "v1")


def raw_messages(namespace: Namespace, request: bytes) -> list[bytes]:
    """The messages that answer a dump, as the kernel sends them; without its end."""
    opened = namespace.call(lambda: connect(NETLINK_ROUTE))
    try:
        return list(_messages(opened, request))
    finally:
        opened.close()


def _messages(opened: object, request: bytes) -> Iterator[bytes]:
    assert isinstance(opened, socket.socket) or hasattr(opened, "recv")
    opened.send(request)  # type: ignore[union-attr]
    while True:
        data = opened.recv(1 << 20)  # type: ignore[union-attr]
        at = 0
        while at < len(data):
            length, kind = struct.unpack_from("=IH", data, at)
            if kind == 3:
                return
            assert kind != 2, data[at : at + length]
            yield data[at : at + length]
            at += length + 3 & ~3


class Routers:
    """This side, a router and the other side, each in a namespace: the last link takes packets of 1,400 bytes only."""

    def __init__(self) -> None:
        self.here, self.router, self.there = Namespace(), Namespace(), Namespace()
        self._link(self.here, "near", self.router, "left", 1500)
        self._link(self.router, "right", self.there, "end", 1400)
        for name, namespace, addresses in (
            ("near", self.here, ("10.1.0.1/24", "fd01::1/64")),
            ("left", self.router, ("10.1.0.2/24", "fd01::2/64")),
            ("right", self.router, ("10.2.0.2/24", "fd02::2/64")),
            ("end", self.there, ("10.2.0.1/24", "fd02::1/64")),
        ):
            for address in addresses:
                namespace.run("ip", "address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        for namespace, four, six in ((self.here, "10.1.0.2", "fd01::2"), (self.there, "10.2.0.2", "fd02::2")):
            namespace.run("ip", "route", "add", "default", "via", four)
            namespace.run("ip", "-6", "route", "add", "default", "via", six)
        self.router.call(_forward)

    @staticmethod
    def _link(one: Namespace, name: str, other: Namespace, other_name: str, mtu: int) -> None:
        one.run("ip", "link", "add", name, "type", "veth", "peer", "name", "far")
        one.run("ip", "link", "set", name, "mtu", str(mtu))
        one.run("ip", "link", "set", "far", "mtu", str(mtu))
        one.run("ip", "link", "set", "far", "netns", other.path, "name", other_name)
        one.run("ip", "link", "set", name, "up")
        other.run("ip", "link", "set", other_name, "up")

    def provoke(self, destinations: Sequence[str] = ("10.2.0.1", "fd02::1")) -> list[socket.socket]:
        """Connected sockets on this side whose packets were too big for the last link. The caller closes them."""
        return self.here.call(lambda: list(map(_too_big, destinations)))

    def close(self) -> None:
        for namespace in (self.here, self.router, self.there):
            namespace.close()


def _forward() -> None:
    for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path("/proc/sys/net", path).write_text("1")


def _too_big(destination: str) -> socket.socket:
    six = ":" in destination
    opened = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    # IP_MTU_DISCOVER and IPV6_MTU_DISCOVER with IP_PMTUDISC_DO (ip(7)).
    opened.setsockopt(*((socket.IPPROTO_IPV6, 23, 2) if six else (socket.IPPROTO_IP, 10, 2)))
    opened.connect((destination, 4242))
    opened.settimeout(5)
    for _ in range(50):
        try:
            opened.send(b"x" * 1440)
        except OSError as error:
            if error.errno == 90:  # EMSGSIZE: the exception is there
                break
        opened.settimeout(0.05)
        try:
            opened.recv(1)
        except OSError:
            pass
    return opened
