"""Tables that change thousands of times a second: what never changes is in every whole answer exactly once.

``make churn`` lists 2,000 times, the suite a few.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import churn
import pytest
from conntrack_entries import Entry, add
from throwaway import Namespace

import netinspect
from netinspect.api.listed import Listed
from netinspect.nouns.groups.listing import MembershipListing, Query

LISTINGS = int(os.environ.get("NETINSPECT_CHURN_LISTINGS", 20))
RATE = 2000
"""Changes a second."""
STABLE = 300
GROUPS = 900
"""Rows that never change: more than fill one answer of the kernel."""


class Churned(NamedTuple):
    """One noun: rows that stay, and how they are listed and distinguished."""

    make: Callable[[Namespace], Any]
    listed: Callable[[], Any]
    key: Callable[[Any], Hashable]
    expected: Iterable[Hashable]


def _listeners(namespace: Namespace) -> list[socket.socket]:
    return namespace.call(lambda: [socket.create_server(("127.0.0.1", 20_000 + at)) for at in range(STABLE)])


def _batch(line: str) -> Callable[[Namespace], None]:
    def make(namespace: Namespace) -> None:
        lines = "".join(line.format(high=at >> 8, low=at & 255) + "\n" for at in range(STABLE))
        namespace.run("ip", "-batch", "-", input=lines)

    return make


def _flows(namespace: Namespace) -> None:
    assert add(namespace, [Entry(f"10.1.{at >> 8}.{at & 255}", "10.2.0.1") for at in range(STABLE)]) == []


def _interface(namespace: Namespace) -> None:
    namespace.run("ip", "link", "add", churn.INTERFACE, "up", "type", "veth")


def _neighbours(namespace: Namespace) -> None:
    _interface(namespace)
    _batch(f"neighbour add 10.1.{{high}}.{{low}} lladdr 02:00:00:00:00:01 nud permanent dev {churn.INTERFACE}")(
        namespace
    )


def _members(namespace: Namespace) -> list[socket.socket]:
    """Twenty groups for each socket: the kernel allows no more (net.ipv4.igmp_max_memberships)."""

    def join() -> list[socket.socket]:
        opened = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(GROUPS // 20)]
        index = socket.if_nametoindex(churn.INTERFACE)
        for at in range(GROUPS):
            request = struct.pack("=4s4xi", bytes((239, 1, at >> 8, at & 255)), index)
            opened[at // 20].setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        return opened

    _interface(namespace)
    return namespace.call(join)


def _texts(before: str, behind: str = "", count: int = STABLE) -> list[str]:
    return [f"{before}{at >> 8}.{at & 255}{behind}" for at in range(count)]


NOUNS = {
    "sockets": Churned(
        _listeners, lambda: netinspect.sockets("tcp"), lambda row: row.local_port, range(20_000, 20_000 + STABLE)
    ),
    "routes": Churned(
        _batch("route add 10.1.{high}.{low}/32 dev lo"),
        lambda: netinspect.routes(families="inet"),
        lambda row: row.destination,
        _texts("10.1.", "/32"),
    ),
    "addresses": Churned(
        _batch("address add 10.1.{high}.{low}/32 dev lo"),
        lambda: netinspect.addresses(families="inet"),
        lambda row: row.address,
        _texts("10.1."),
    ),
    "links": Churned(
        _batch("link add s{high}.{low} type veth peer name t{high}.{low}"),
        netinspect.links,
        lambda row: row.name,
        _texts("s"),
    ),
    "rules": Churned(
        lambda namespace: (
            namespace.run(
                "ip",
                "-batch",
                "-",
                input="".join(f"rule add priority {1000 + 10 * at} table 254\n" for at in range(STABLE)),
            )
            and None
        ),
        lambda: netinspect.rules(families="inet"),
        lambda row: row.priority,
        range(1000, 1000 + 10 * STABLE, 10),
    ),
    "neighbours": Churned(
        _neighbours, lambda: netinspect.neighbours(families="inet"), lambda row: row.address, _texts("10.1.")
    ),
    # Source filters are learnt from sockets, which are gone before they are asked.
    "groups": Churned(
        _members,
        lambda: Listed("Membership", MembershipListing(Query(("inet",), filters=False))),
        lambda row: row.group,
        _texts("239.1.", count=GROUPS),
    ),
    "flows": Churned(_flows, netinspect.flows, lambda row: row.source_address, _texts("10.1.")),
}


def test_neighbours_stay_while_others_come_and_go_in_another_namespace(
    namespace: Namespace, record_property: Callable[[str, object], None]
) -> None:
    """All namespaces have one table: what moves in it elsewhere is not heard here."""
    _neighbours(namespace)
    rows = "".join(
        f"neighbour add 10.2.{at >> 8}.{at & 255} lladdr 02:00:00:00:00:01 nud permanent dev {churn.INTERFACE}\n"
        for at in range(700)
    )
    namespace.run("ip", "-batch", "-", input=rows)
    expected = {*_texts("10.1."), *_texts("10.2.", count=700)}
    other = Namespace()
    try:
        _interface(other)
        program = [sys.executable, churn.__file__, "neighbours", str(RATE)]
        changing = other.popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert changing.stdout is not None
        assert changing.stdout.readline() == "begun\n"
        whole = missing = repeated = 0
        for _ in range(LISTINGS):
            listing = namespace.call(lambda: netinspect.neighbours(families="inet"))
            found = namespace.call(lambda listing=listing: Counter(row.address for row in listing))
            if not listing.problems:
                whole += 1
                missing += sum(key not in found for key in expected)
                repeated += sum(found[key] > 1 for key in expected)
        changes = int(changing.communicate("", timeout=60)[0])
    finally:
        other.close()
    told = f"neighbours elsewhere: {LISTINGS} listings, {whole} whole, {missing} missing, {repeated} repeated"
    record_property("churn", told)
    print(f"{told}; {changes} changes")
    assert (missing, repeated) == (0, 0), told
    assert whole > 0, told


@pytest.mark.parametrize("noun", NOUNS)
def test_what_never_changes_is_there_exactly_once(
    namespace: Namespace, noun: str, record_property: Callable[[str, object], None]
) -> None:
    churned = NOUNS[noun]
    kept = churned.make(namespace)
    expected = set(churned.expected)
    program = [sys.executable, churn.__file__, noun, str(RATE)]
    changing = namespace.popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    whole = missing = repeated = others = 0
    try:
        assert changing.stdout is not None
        assert changing.stdout.readline() == "begun\n"
        time.sleep(0.2)
        began = time.monotonic()

        def look() -> None:
            nonlocal whole, missing, repeated, others
            listing = churned.listed()
            found = Counter(map(churned.key, listing))
            others += sum(count for key, count in found.items() if key not in expected)
            if listing.problems:
                return  # it says that it is not whole
            whole += 1
            missing += sum(key not in found for key in expected)
            repeated += sum(found[key] > 1 for key in expected)

        listings = 0
        while listings < LISTINGS or (not whole and time.monotonic() < began + 30):
            namespace.call(look)
            listings += 1
        took = time.monotonic() - began
        changes = int(changing.communicate("", timeout=60)[0])
    finally:
        changing.kill()
        for one in kept or ():
            one.close()
    told = f"{noun}: {listings} listings in {took:.1f} s, {whole} whole, {missing} missing, {repeated} repeated"
    told += f"; {changes} changes, {changes / (took + 0.2):.0f} a second; {others / listings:.0f} other rows in each"
    record_property("churn", told)
    print(told)
    assert (missing, repeated) == (0, 0), told
    assert whole > 0, told
    assert others > 0, f"{told}: nothing changed"
