"""Names of interfaces by index, from the real kernel."""

from __future__ import annotations

import errno
import socket

import pytest
from fake_kernel import attribute, message, runs_of
from throwaway import Namespace

from netinspect.engine.netlink import interfaces as link
from netinspect.engine.netlink.transport import Dump, connect
from netinspect.errors import NetlinkError
from netinspect.uapi.if_link import IFLA_IFNAME
from netinspect.uapi.netlink import NETLINK_ROUTE


def name(namespace: Namespace, index: int) -> str | None:
    opened = namespace.call(lambda: connect(NETLINK_ROUTE))
    return link.name(Dump(opened, link.request(index=index), "naming an interface"))


def test_the_loopback_interface_is_named(namespace: Namespace) -> None:
    assert name(namespace, namespace.call(lambda: socket.if_nametoindex("lo"))) == "lo"


@pytest.mark.parametrize("shown", ["veth-0", "zo\x1b[0mo", "größe", "fifteen_letters"])
def test_an_interface_with_an_odd_name_has_just_that_name(namespace: Namespace, shown: str) -> None:
    def make() -> int:
        from pyroute2 import IPRoute

        with IPRoute() as route:
            route.link("add", ifname="before", kind="veth", peer={"ifname": "peer"})
            index = socket.if_nametoindex("before")
            route.link("set", index=index, ifname=shown)
        return index

    assert name(namespace, namespace.call(make)) == shown


def test_an_interface_that_is_not_there_is_an_error(namespace: Namespace) -> None:
    with pytest.raises(NetlinkError) as caught:
        name(namespace, 4711)
    assert caught.value.errno == errno.ENODEV


def test_a_name_that_is_not_utf_8_is_shown_with_escapes() -> None:
    runs = runs_of([message(16, bytes(16) + attribute(IFLA_IFNAME, b"\xffx\0"))])
    assert link.name(runs) == "\\xffx"
    assert link.name(runs_of([message(16, bytes(16))])) is None
    assert link.name([]) is None
