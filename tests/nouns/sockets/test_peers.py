"""Who holds the other end of a socket: on loopback, over unix sockets, and across namespaces joined by veth."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import pytest
from other_sockets import connect_namespaces
from owning import child, inode, scanned
from throwaway import Namespace

from netinspect.engine.places import Place
from netinspect.nouns.sockets.listing import ALL_STATES, Query, SocketListing
from netinspect.nouns.sockets.peers import Peers
from netinspect.records import Process, Socket

PROTOCOLS = ("tcp", "udp", "udplite", "mptcp", "unix")
AF_INET, AF_INET6, SOCK_DGRAM = socket.AF_INET, socket.AF_INET6, socket.SOCK_DGRAM


class Found:
    """A listing of some namespaces with owners and peers."""

    def __init__(self, *namespaces: Namespace, protocols: Sequence[str] = PROTOCOLS) -> None:
        labels = [str(number) for number in range(len(namespaces))] if len(namespaces) > 1 else [None]
        places = [Place(namespace.path, label) for namespace, label in zip(namespaces, labels, strict=True)]
        owners = scanned()
        listing = SocketListing(Query(protocols, states=ALL_STATES), places)
        batches = list(owners.joined(list(listing.batches()), lambda: ()))
        peers = Peers(owners)
        for batch in batches:
            peers.learn(batch)
        joined = [batch.joined(peers.columns) for batch in batches]
        self.records: list[Socket] = [record for batch in joined for record in batch]
        self.texts = {
            number: text
            for batch in joined
            for number, text in zip(batch.values("inode"), batch.values("peer_owners"), strict=True)
        }

    def of(self, opened: socket.socket) -> list[int] | None:
        """The descriptors of this process that hold the other end; None where no other end is found."""
        (record,) = [record for record in self.records if record.inode == inode(opened)]
        if record.peers is None:
            assert self.texts[record.inode] == ""
            return None
        assert all(isinstance(process, Process) and process.pid == os.getpid() for process in record.peers)
        return sorted(process.fd for process in record.peers)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def pair(
    stack: ExitStack, namespace: Namespace, family: int, address: tuple[object, ...], client: int | None = None
) -> tuple[socket.socket, socket.socket]:
    """A TCP connection within a namespace: its two ends."""

    def make() -> tuple[socket.socket, socket.socket]:
        listener = stack.enter_context(socket.socket(family))
        listener.bind(address)
        listener.listen()
        calling = stack.enter_context(socket.socket(client or family))
        target = listener.getsockname()
        calling.connect(("127.0.0.1", target[1]) if client == AF_INET else target)
        return calling, stack.enter_context(listener.accept()[0])

    return namespace.call(make)


@pytest.mark.parametrize(
    ("family", "address", "client"),
    [
        (AF_INET, ("127.0.0.1", 0), None),
        (AF_INET6, ("::1", 0), None),
        (AF_INET6, ("::ffff:127.0.0.1", 0), None),
        (AF_INET6, ("::", 0), AF_INET),
    ],
    ids=["IPv4", "IPv6", "IPv4-mapped", "IPv4 to a dual-stack listener"],
)
def test_the_two_ends_of_a_tcp_connection_find_each_other(
    namespace: Namespace, stack: ExitStack, family: int, address: tuple[object, ...], client: int | None
) -> None:
    calling, accepted = pair(stack, namespace, family, address, client)
    bystanders = pair(stack, namespace, family, address, client)
    found = Found(namespace)
    assert found.of(calling) == [accepted.fileno()]
    assert found.of(accepted) == [calling.fileno()]
    assert found.of(bystanders[0]) == [bystanders[1].fileno()]
    assert [record.peers for record in found.records if record.state == "LISTEN"] == [None, None]


def test_every_holder_of_the_other_end_is_listed(namespace: Namespace, stack: ExitStack) -> None:
    calling, accepted = pair(stack, namespace, AF_INET, ("127.0.0.1", 0))
    with child(lambda: None) as pid:
        found = Found(namespace)
    (record,) = [record for record in found.records if record.inode == inode(calling)]
    assert {(one.pid, one.fd) for one in record.peers or ()} == {
        (os.getpid(), accepted.fileno()),
        (pid, accepted.fileno()),
    }
    assert f"pid={pid},fd={accepted.fileno()}" in found.texts[inode(calling)]


def test_an_other_end_that_nobody_holds_has_its_reason(namespace: Namespace, stack: ExitStack) -> None:
    listener = namespace.call(lambda: stack.enter_context(socket.create_server(("127.0.0.1", 0))))
    waiting = namespace.call(lambda: stack.enter_context(socket.create_connection(listener.getsockname())))
    calling, accepted = pair(stack, namespace, AF_INET, ("127.0.0.1", 0))
    accepted.close()
    found = Found(namespace)
    assert found.of(waiting) == []
    assert found.texts[inode(waiting)] == "(not accepted)"
    assert found.of(calling) == []
    assert found.texts[inode(calling)] == "(orphaned)"


def test_a_socket_connected_to_itself_is_its_own_other_end(namespace: Namespace, stack: ExitStack) -> None:
    def make() -> socket.socket:
        alone = stack.enter_context(socket.socket())
        alone.bind(("127.0.0.1", 0))
        alone.connect(alone.getsockname())
        return alone

    alone = namespace.call(make)
    assert Found(namespace).of(alone) == [alone.fileno()]


def datagram(stack: ExitStack, address: tuple[object, ...], to: tuple[object, ...] | None = None) -> socket.socket:
    made = stack.enter_context(socket.socket(AF_INET6 if ":" in str(address[0]) else AF_INET, SOCK_DGRAM))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(address)
    if to is not None:
        made.connect(to)
    return made


def test_connected_datagram_sockets_find_each_other(namespace: Namespace, stack: ExitStack) -> None:
    def make() -> list[socket.socket]:
        first = datagram(stack, ("127.0.0.1", 5001), ("127.0.0.1", 5002))
        second = datagram(stack, ("127.0.0.1", 5002), ("127.0.0.1", 5001))
        # As near, but what is sent to 5002 from 5001 goes to the socket connected to 5001.
        return [first, second, datagram(stack, ("127.0.0.1", 5002))]

    first, second, unconnected = namespace.call(make)
    found = Found(namespace)
    assert (found.of(first), found.of(second)) == ([second.fileno()], [first.fileno()])
    assert found.of(unconnected) is None


@pytest.mark.parametrize(
    ("servers", "client", "expected"),
    [
        ([("0.0.0.0", 53)], ("127.0.0.1", 53), [0]),
        ([("0.0.0.0", 53), ("127.0.0.1", 53)], ("127.0.0.1", 53), [1]),
        ([("127.0.0.1", 53), ("127.0.0.1", 53)], ("127.0.0.1", 53), [0, 1]),
        ([("::", 53)], ("127.0.0.1", 53), [0]),
        ([("::", 53)], ("::1", 53), [0]),
        ([("::", 53), ("0.0.0.0", 53)], ("127.0.0.1", 53), [1]),
        ([("127.0.0.2", 53), ("0.0.0.0", 54)], ("127.0.0.1", 53), None),
        # Nothing says that this address is one of ours.
        ([("0.0.0.0", 53)], ("192.0.2.7", 53), None),
    ],
)
def test_a_datagram_server_is_the_other_end_of_its_clients(
    namespace: Namespace,
    stack: ExitStack,
    servers: list[tuple[str, int]],
    client: tuple[str, int],
    expected: list[int] | None,
) -> None:
    def make() -> list[socket.socket]:
        opened = [datagram(stack, address) for address in servers]
        return [*opened, datagram(stack, ("::1" if ":" in client[0] else "127.0.0.1", 0), client)]

    if client[0] == "192.0.2.7":
        namespace.run("ip", "route", "add", "192.0.2.7", "dev", "lo")
    *opened, calling = namespace.call(make)
    found = Found(namespace).of(calling)
    assert found == (None if expected is None else sorted(opened[number].fileno() for number in expected))


def test_an_ipv6_only_server_is_no_other_end_of_an_ipv4_client(namespace: Namespace, stack: ExitStack) -> None:
    def make() -> socket.socket:
        server = stack.enter_context(socket.socket(AF_INET6, SOCK_DGRAM))
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind(("::", 53))
        return datagram(stack, ("127.0.0.1", 0), ("127.0.0.1", 53))

    calling = namespace.call(make)
    assert Found(namespace).of(calling) is None


def test_unix_sockets_have_their_peers(namespace: Namespace, stack: ExitStack) -> None:
    def make() -> list[socket.socket]:
        left, right = socket.socketpair()
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind("\0peers")
        listener.listen()
        waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
        waiting.connect("\0peers")
        server = stack.enter_context(socket.socket(socket.AF_UNIX, SOCK_DGRAM))
        server.bind("\0dgram")
        client = stack.enter_context(socket.socket(socket.AF_UNIX, SOCK_DGRAM))
        client.connect("\0dgram")
        return [stack.enter_context(left), stack.enter_context(right), listener, waiting, server, client]

    left, right, listener, waiting, server, client = namespace.call(make)
    found = Found(namespace)
    assert (found.of(left), found.of(right)) == ([right.fileno()], [left.fileno()])
    assert (found.of(listener), found.of(server)) == (None, None)
    assert found.of(client) == [server.fileno()]
    assert found.of(waiting) == []
    assert found.texts[inode(waiting)] == "(not accepted)"


# --- across namespaces ------------------------------------------------------------------------------------------------


@contextmanager
def joined_namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    with closing(Namespace()) as here, closing(Namespace()) as there:
        connect_namespaces(here, there)
        yield here, there


def across(
    stack: ExitStack, here: Namespace, there: Namespace, family: int = AF_INET
) -> tuple[socket.socket, socket.socket]:
    """A TCP connection from 192.0.2.1 or fe80::1 here, port 6000, to .2 or ::2 there."""

    def scoped(number: int, port: int, device: str) -> tuple[object, ...]:
        if family == AF_INET:
            return (f"192.0.2.{number}", port)
        return (f"fe80::{number}", port, 0, socket.if_nametoindex(device))

    def listen() -> socket.socket:
        listener = stack.enter_context(socket.socket(family))
        listener.bind(scoped(2, 5000, "zoo1"))
        listener.listen()
        return listener

    def call() -> socket.socket:
        calling = stack.enter_context(socket.socket(family))
        calling.bind(scoped(1, 6000, "zoo0"))
        calling.connect(scoped(2, 5000, "zoo0"))
        return calling

    listener = there.call(listen)
    calling = here.call(call)
    return calling, stack.enter_context(listener.accept()[0])


@pytest.mark.parametrize("family", [AF_INET, AF_INET6], ids=["IPv4", "link-local"])
def test_ends_in_two_namespaces_find_each_other(stack: ExitStack, family: int) -> None:
    here, there = stack.enter_context(joined_namespaces())
    calling, accepted = across(stack, here, there, family)
    found = Found(here, there)
    assert (found.of(calling), found.of(accepted)) == ([accepted.fileno()], [calling.fileno()])
    # The other end is not seen where only one namespace is listed.
    assert Found(here).of(calling) is None


def test_no_other_end_is_given_where_two_namespaces_have_the_same(stack: ExitStack) -> None:
    first, second = (stack.enter_context(joined_namespaces()) for _ in range(2))
    ends = [across(stack, *namespaces) for namespaces in (first, second)]
    found = Found(*first, *second)
    assert [found.of(end) for pair in ends for end in pair] == [None] * 4
    # Each pair alone is clear.
    assert Found(*first).of(ends[0][0]) == [ends[0][1].fileno()]
    # One end twice and the other once is as unclear: it belongs to one of the two.
    assert Found(*first, second[0]).of(ends[0][0]) is None
    assert Found(*first, second[0]).of(ends[0][1]) is None


def test_loopback_connections_of_other_namespaces_are_no_other_ends(stack: ExitStack) -> None:
    namespaces = [stack.enter_context(closing(Namespace())) for _ in range(2)]

    def make() -> tuple[socket.socket, socket.socket]:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 5000)))
        calling = stack.enter_context(socket.create_connection(("127.0.0.1", 5000), source_address=("127.0.0.1", 6000)))
        return calling, stack.enter_context(listener.accept()[0])

    pairs = [namespace.call(make) for namespace in namespaces]
    found = Found(*namespaces)
    for calling, accepted in pairs:
        assert (found.of(calling), found.of(accepted)) == ([accepted.fileno()], [calling.fileno()])
    # Alone it finds nobody, although the other namespace has both.
    pairs[0][1].close()
    pairs[0][0].close()
    lone = namespaces[0].call(lambda: datagram(stack, ("127.0.0.1", 6000), ("127.0.0.1", 5000)))
    namespaces[1].call(lambda: datagram(stack, ("127.0.0.1", 5000), ("127.0.0.1", 6000)))
    assert Found(*namespaces).of(lone) is None


def test_link_local_ends_are_distinguished_by_interface(namespace: Namespace, stack: ExitStack) -> None:
    # The same address on two interfaces, each with a connection to itself, and all ports the same.
    for name in ("left", "right"):
        namespace.run("ip", "link", "add", name, "type", "ifb")
        namespace.run("ip", "address", "add", "fe80::5/64", "dev", name, "nodad")
        namespace.run("ip", "link", "set", name, "up")

    def make() -> list[tuple[socket.socket, socket.socket]]:
        pairs = []
        for name in ("left", "right"):
            index = socket.if_nametoindex(name)
            listener = stack.enter_context(socket.socket(AF_INET6))
            listener.bind(("fe80::5", 5000, 0, index))
            listener.listen()
            calling = stack.enter_context(socket.socket(AF_INET6))
            calling.bind(("fe80::5", 6000, 0, index))
            calling.connect(("fe80::5", 5000, 0, index))
            pairs.append((calling, stack.enter_context(listener.accept()[0])))
        return pairs

    pairs = namespace.call(make)
    found = Found(namespace)
    for calling, accepted in pairs:
        assert (found.of(calling), found.of(accepted)) == ([accepted.fileno()], [calling.fileno()])
