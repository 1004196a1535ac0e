"""A socket of every kind and state, made and held in a throwaway namespace: what differential tests compare on.

No state needs a packet made by hand, a firewall rule or a privilege: a socket that shall not hear its peer gets a
filter that drops every segment sent to it (socket(7): SO_ATTACH_FILTER). So the handshake, or the closing, stops where
it should, and stays there for a minute, which is as long as the kernel keeps sending again: ``young`` gives worlds that
are not that old.

``every_socket(namespace, directory)`` is all of it, as a context manager. What is in it:

==================== ===================================================================================================
tcp, four families   ``inet`` (127.0.0.1), ``inet6`` (::1), ``mapped`` (::ffff:127.0.0.1) and ``link-local`` (fe80::1 on
                     zoo0), each in LISTEN, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK,
                     CLOSING, TIME_WAIT, and CLOSE (bound only: the kernel lists it when asked for BOUND_INACTIVE);
                     labels are "inet FIN_WAIT1 client" and so on
tcp, orphans         in FIN_WAIT1 and FIN_WAIT2, with no process
tcp, queues          unread data, unacknowledged data (retransmit timer), a closed window (probe timer), a full backlog
tcp, options         keepalive timer; bound to a device; marked; reno and BBR; IPV6_V6ONLY; a dual-stack accept
tcp, veth            192.0.2.1 to 192.0.2.2 and fe80::1 to fe80::2, zoo0 here to zoo1 in ``other``
udp, udplite         unconnected and connected, inet and inet6, link-local, bound to a device, with unread data
unix                 stream, dgram, seqpacket: unnamed pairs, and listeners and connections with odd names (``NAMES``)
packet, netlink      packet raw and dgram, with protocol and interface; netlink with groups, connected, unread data
mptcp                a listener and a connection, where the kernel has it
==================== ===================================================================================================
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from tempfile import TemporaryDirectory
from time import monotonic

from fake_kernel import recorded
from held_sockets import Held, Sockets, described
from other_sockets import across, connect_namespaces, make_others
from patience import until
from throwaway import Namespace

from netinspect.nouns.sockets.request import request

STATE_NUMBERS = {
    "ESTABLISHED": 1,
    "SYN_SENT": 2,
    "SYN_RECV": 3,
    "FIN_WAIT1": 4,
    "FIN_WAIT2": 5,
    "TIME_WAIT": 6,
    "CLOSE": 7,
    "CLOSE_WAIT": 8,
    "LAST_ACK": 9,
    "LISTEN": 10,
    "CLOSING": 11,
}
"""net/tcp_states.h"""

_AGE = 25.0
_SO_MARK = 36
_SO_ATTACH_FILTER = 26


@contextmanager
def every_socket(namespace: Namespace, directory: str | os.PathLike[str]) -> Iterator[Sockets]:
    """Everything in the table above, until the end of the block. ``directory`` is where the unix sockets' paths go."""
    with ExitStack() as stack:
        other = Namespace()
        stack.callback(other.close)
        connect_namespaces(namespace, other)
        made = Sockets(namespace, other)
        stack.callback(made.close)
        namespace.call(lambda: _make_all(made, os.fspath(directory)))
        across(made)
        yield made


class Young:
    """Such a world whenever one is asked for, and another one before TIME_WAIT, which is a minute, is over in it."""

    def __init__(self, make: Callable[[], AbstractContextManager[Sockets]]) -> None:
        self._make = make
        self._stack = ExitStack()
        self._made: Sockets | None = None
        self._since = 0.0

    def get(self) -> Sockets:
        """The world, of less than half that age."""
        if self._made is None or monotonic() - self._since > _AGE:
            self.close()
            self._since = monotonic()
            self._made = self._stack.enter_context(self._make())
        return self._made

    def close(self) -> None:
        """Lets go of it."""
        self._made = None
        self._stack.close()


@contextmanager
def young(name: str, make: Callable[[Sockets], object] | None = None) -> Iterator[Young]:
    """Worlds in namespaces and directories of their own, with what ``make`` adds to them inside."""

    @contextmanager
    def world() -> Iterator[Sockets]:
        namespace = Namespace()
        try:
            with TemporaryDirectory(prefix=name) as directory, every_socket(namespace, directory) as made:
                if make is not None:
                    make(made)
                yield made
        finally:
            namespace.close()

    worlds = Young(world)
    try:
        yield worlds
    finally:
        worlds.close()


def _make_all(made: Sockets, directory: str) -> None:
    index = socket.if_nametoindex("zoo0")
    tcp_states(made, "inet", socket.AF_INET, ("127.0.0.1", 0))
    tcp_states(made, "inet6", socket.AF_INET6, ("::1", 0))
    tcp_states(made, "mapped", socket.AF_INET6, ("::ffff:127.0.0.1", 0))
    tcp_states(made, "link-local", socket.AF_INET6, ("fe80::1", 0, 0, index))
    _tcp_orphans(made)
    _tcp_queues(made)
    _tcp_options(made)
    make_others(made, directory)


_BOUND_INACTIVE = 13


def _is_listed(bound: socket.socket) -> bool:
    """Whether this kernel lists sockets that are bound and nothing else (since about Linux 6.8)."""
    inode = struct.pack("=I", os.fstat(bound.fileno()).st_ino)
    # struct inet_diag_msg: the inode is its last word.
    return any(
        single[16 + 68 : 16 + 72] == inode for single in recorded(request(bound.family, 6, 1 << _BOUND_INACTIVE))
    )


def tcp_states(made: Sockets, label: str, family: int, address: tuple[object, ...]) -> None:
    """Every TCP state in one family, at ``address``, which is one of this host's."""
    listener = _listening(family, address)
    made.keep(f"{label} LISTEN", listener, state="LISTEN")
    deaf_listener = _listening(family, address)
    deafen(deaf_listener)
    made.keep(f"{label} LISTEN deaf", deaf_listener, state="LISTEN")

    bound = socket.socket(family)
    bound.bind(address)
    if _is_listed(bound):
        made.keep(f"{label} CLOSE", bound, state="CLOSE")

    unheard = _calling(deaf_listener)
    made.keep(f"{label} SYN_SENT", unheard, **_to(deaf_listener), state="SYN_SENT")
    # The answer to its SYN does not reach this one, so the listener waits for the end of the handshake.
    half = _calling(listener, deaf=True)
    made.keep(f"{label} SYN_SENT deaf", half, **_to(listener), state="SYN_SENT")
    made.note(f"{label} SYN_RECV", listener, **_mirrored(half, listener), state="SYN_RECV")

    def pair(state: str) -> tuple[socket.socket, socket.socket]:
        client, server = connected(listener)
        made.opened[f"{label} {state} client"], made.opened[f"{label} {state} server"] = client, server
        return client, server

    def ends(state: str, client: socket.socket, server: socket.socket, client_state: str, server_state: str) -> None:
        await_states((client, client_state), (server, server_state))
        made.keep(f"{label} {state} client", client, state=client_state)
        made.keep(f"{label} {state} server", server, state=server_state)

    client, server = pair("ESTABLISHED")
    ends("ESTABLISHED", client, server, "ESTABLISHED", "ESTABLISHED")

    client, server = pair("FIN_WAIT2")
    client.shutdown(socket.SHUT_WR)
    ends("FIN_WAIT2", client, server, "FIN_WAIT2", "CLOSE_WAIT")

    client, server = pair("FIN_WAIT1")
    deafen(server)
    client.shutdown(socket.SHUT_WR)
    ends("FIN_WAIT1", client, server, "FIN_WAIT1", "ESTABLISHED")

    client, server = pair("LAST_ACK")
    client.shutdown(socket.SHUT_WR)
    await_states((client, "FIN_WAIT2"), (server, "CLOSE_WAIT"))
    deafen(client)
    server.shutdown(socket.SHUT_WR)
    ends("LAST_ACK", client, server, "FIN_WAIT2", "LAST_ACK")

    # Both say that they end, and one does not hear it.
    client, server = pair("CLOSING")
    deafen(server)
    client.shutdown(socket.SHUT_WR)
    server.shutdown(socket.SHUT_WR)
    ends("CLOSING", client, server, "CLOSING", "FIN_WAIT1")

    client, server = pair("TIME_WAIT")
    made.note(f"{label} TIME_WAIT", client, state="TIME_WAIT")
    client.shutdown(socket.SHUT_WR)
    await_states((client, "FIN_WAIT2"), (server, "CLOSE_WAIT"))
    server.close()
    client.close()
    await_in_table(made[f"{label} SYN_RECV"])
    await_in_table(made[f"{label} TIME_WAIT"])


def _tcp_orphans(made: Sockets) -> None:
    listener = made.opened["inet LISTEN"]
    client, server = connected(listener)
    made.keep("orphaned FIN_WAIT1 peer", server)
    made.note("orphaned FIN_WAIT1", client, state="FIN_WAIT1")
    deafen(server)
    client.close()
    await_in_table(made["orphaned FIN_WAIT1"])

    client, server = connected(listener)
    made.note("orphaned FIN_WAIT2", client, state="FIN_WAIT2")
    client.close()
    await_states((server, "CLOSE_WAIT"))
    made.keep("orphaned FIN_WAIT2 peer", server, state="CLOSE_WAIT")
    await_in_table(made["orphaned FIN_WAIT2"])


def _tcp_queues(made: Sockets) -> None:
    listener = made.opened["inet LISTEN"]
    client, server = connected(listener)
    client.sendall(b"u" * 1000)
    made.keep("unread sender", client)
    made.keep("unread", server)

    client, server = connected(listener)
    deafen(server)
    client.sendall(b"u" * 500)
    made.keep("unacknowledged", client)
    made.keep("unacknowledged peer", server)

    # A receiver with a small buffer that does not read: the sender is left probing the closed window.
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.bind(("127.0.0.1", 0))
    small.listen()
    made.keep("closed window LISTEN", small, state="LISTEN")
    client, server = connected(small)
    client.setblocking(False)
    try:
        while True:
            client.send(b"w" * 4096)
    except BlockingIOError:
        pass
    made.keep("closed window", client)
    made.keep("closed window peer", server)
    _await_timer(made["closed window"], 4)

    backlog = socket.create_server(("127.0.0.1", 0), backlog=2)
    made.keep("backlog", backlog, state="LISTEN")
    for number in range(3):
        waiting = socket.create_connection(backlog.getsockname())
        made.keep(f"backlog client {number}", waiting)
        made.note(f"backlog waiting {number}", backlog, **_mirrored(waiting, backlog), state="ESTABLISHED")
    refused = _calling(backlog)
    made.keep("backlog refused", refused, **_to(backlog), state="SYN_SENT")


def _tcp_options(made: Sockets) -> None:
    listener = made.opened["inet LISTEN"]
    client, server = connected(listener)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 900)
    made.keep("keepalive", client)
    made.keep("keepalive peer", server)

    device = socket.socket()
    device.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    device.bind(("127.0.0.1", 0))
    device.listen(7)
    made.keep("bound to device", device, state="LISTEN")

    marked = socket.create_server(("127.0.0.1", 0))
    marked.setsockopt(socket.SOL_SOCKET, _SO_MARK, 0x2A)
    made.keep("marked", marked, state="LISTEN")

    only = socket.socket(socket.AF_INET6)
    only.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    only.bind(("::", 0))
    only.listen()
    made.keep("v6only", only, state="LISTEN")

    dual = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    made.keep("dual stack", dual, state="LISTEN")
    made.keep("dual stack client", socket.create_connection(("127.0.0.1", dual.getsockname()[1])))
    made.keep("dual stack server", dual.accept()[0])

    for name in ("reno", "bbr"):
        client, server = connected(listener)
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
        except OSError:
            client.close()
            server.close()
            continue
        client.sendall(b"c" * 3000)
        server.recv(3000)
        made.keep(f"congestion {name}", client)
        made.keep(f"congestion {name} peer", server)


def deafen(opened: socket.socket) -> None:
    """From now on nothing that is sent to the socket arrives: a filter whose one instruction is ``return 0``."""
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
    program = struct.pack("@HP", 1, ctypes.addressof(instruction))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def connected(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Both ends of a new connection, the client's first."""
    client = socket.socket(listener.family, listener.type, listener.proto)
    client.connect(listener.getsockname())
    return client, listener.accept()[0]


def await_states(*expected: tuple[socket.socket, str]) -> None:
    """Waits until each TCP socket is in its state (TCP_INFO's first byte)."""
    for opened, state in expected:
        until(lambda: opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == STATE_NUMBERS[state], state)  # noqa: B023


def await_in_table(held: Held) -> None:
    """Waits until procfs has a TCP socket with these ports in this state: for those that no descriptor leads to."""
    wanted = f"{STATE_NUMBERS[held.state]:02X}"
    until(lambda: wanted in [row[3] for row in _table_rows(held)], held.label)


def _await_timer(held: Held, number: int) -> None:
    until(lambda: any(row[5].startswith(f"{number:02X}:") for row in _table_rows(held)), f"timer of {held.label}")


def _table_rows(held: Held) -> list[list[str]]:
    """The rows of /proc/net/tcp, or tcp6, that have these ports."""
    ports = [f"{held.local_port:04X}", f"{held.remote_port:04X}"]
    with open(f"/proc/thread-self/net/{'tcp' if held.family == 'inet' else 'tcp6'}") as table:
        rows = [line.split() for line in table]
    return [row for row in rows if [row[1][-4:], row[2][-4:]] == ports]


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen(64)
    return listener


def _calling(listener: socket.socket, *, deaf: bool = False) -> socket.socket:
    """A socket that is on its way to connect."""
    client = socket.socket(listener.family)
    if deaf:
        deafen(client)
    client.setblocking(False)
    if client.connect_ex(listener.getsockname()) != errno.EINPROGRESS:
        raise AssertionError("connected at once")
    return client


def _to(listener: socket.socket) -> dict[str, object]:
    """The remote end of one that is not connected yet, so does not have it."""
    there = described(listener)
    return {"remote_address": there["local_address"], "remote_port": there["local_port"]}


def _mirrored(client: socket.socket, listener: socket.socket) -> dict[str, object]:
    """The addresses of the other end of ``client``'s connection."""
    mine, there = described(client), described(listener)
    return {
        "local_address": there["local_address"],
        "local_port": there["local_port"],
        "remote_address": mine["local_address"],
        "remote_port": mine["local_port"],
        "interface": mine["interface"],
    }
