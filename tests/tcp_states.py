"""A socket of every kind and state, made and held in a throwaway namespace: what differential tests compare on.

No state needs a packet made by hand, a firewall rule or a privilege: a socket that shall not hear its peer gets a
filter that drops every segment sent to it (socket(7): SO_ATTACH_FILTER). So the handshake, or the closing, stops where
it should, and stays there for a minute and more, which is as long as the kernel keeps sending again.

``every_socket(namespace, directory)`` is all of it, as a context manager. What is in it:

==================== ===================================================================================================
tcp, four families   ``inet`` (127.0.0.1), ``inet6`` (::1), ``mapped`` (::ffff:127.0.0.1) and ``link-local`` (fe80::1 on
                     zoo0), each in LISTEN, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK,
                     CLOSING, TIME_WAIT and BOUND_INACTIVE; the labels are "inet FIN_WAIT1 client" and so on
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
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from throwaway import Namespace

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
    "BOUND_INACTIVE": 7,
}
"""net/tcp_states.h; a bound socket that does nothing is TCP_CLOSE to everybody but sock_diag."""

NAMES: dict[str, bytes] = {
    "plain": b"plain",
    "odd length": b"odd",
    "newline": b"new\nline",
    "escape": b"\x1b[31mred\x1b]0;title\x07",
    "not UTF-8": b"\xff\xfe\x80",
    "UTF-8": "größe".encode(),
    "right to left": "\u202egnp".encode(),
    "space": b"a b  c ",
    "longest": b"x" * 60,
}
"""Names of unix sockets: each as a path in the directory, and as an abstract name."""

ABSTRACT_NAMES: dict[str, bytes] = {
    "NULs at the end": b"\0tail\0\0\0",
    "NULs inside": b"\0in\0si\0de",
    "empty": b"\0",
    "nothing but NULs": b"\0\0\0\0",
    "longest of all": b"\0" + b"y" * 107,
}

IPPROTO_MPTCP = 262
IPPROTO_UDPLITE = 136
_SO_MARK = 36
_SO_ATTACH_FILTER = 26
_IFA_F_NODAD = 0x02


class Held(NamedTuple):
    """What is known of one socket without asking sock_diag."""

    label: str
    protocol: str
    family: str
    type: str
    state: str
    local_address: str | None
    local_port: int | None
    remote_address: str | None
    remote_port: int | None
    interface: str | None
    inode: int
    """0 where no process has it: SYN_RECV, TIME_WAIT, orphans, connections not yet accepted."""


class Sockets:
    """The sockets that are held, by label, and the namespaces that they are in."""

    def __init__(self, namespace: Namespace, other: Namespace) -> None:
        self.namespace = namespace
        self.other = other
        self.held: dict[str, Held] = {}
        self.opened: dict[str, socket.socket] = {}

    def __iter__(self) -> Iterator[Held]:
        return iter(self.held.values())

    def __getitem__(self, label: str) -> Held:
        return self.held[label]

    def keep(self, label: str, opened: socket.socket, **known: object) -> socket.socket:
        """Notes a socket that is open, with what it says of itself; ``known`` is what it cannot tell."""
        self.opened[label] = opened
        self.note(label, opened, inode=os.fstat(opened.fileno()).st_ino, **known)
        return opened

    def note(self, label: str, opened: socket.socket, **known: object) -> None:
        """Notes a socket that has, or had, the addresses of ``opened``."""
        if label in self.held:
            raise ValueError(f"{label} is there already")
        fields = {**_described(opened), "inode": 0, **known}
        self.held[label] = Held(label, **fields)  # type: ignore[arg-type]

    def close(self) -> None:
        """Closes all, TCP with a reset, so that nothing keeps the namespaces alive."""
        for opened in self.opened.values():
            try:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
            opened.close()


_FAMILIES = {socket.AF_INET: "inet", socket.AF_INET6: "inet6", socket.AF_UNIX: "unix", socket.AF_PACKET: "packet"}
_FAMILIES[socket.AF_NETLINK] = "netlink"
_TYPES = {socket.SOCK_STREAM: "stream", socket.SOCK_DGRAM: "dgram", socket.SOCK_SEQPACKET: "seqpacket"}
_TYPES[socket.SOCK_RAW] = "raw"
_PROTOCOLS = {0: "tcp", 6: "tcp", 17: "udp", IPPROTO_UDPLITE: "udplite", IPPROTO_MPTCP: "mptcp"}


def _described(opened: socket.socket) -> dict[str, object]:
    family = _FAMILIES[opened.family]
    described: dict[str, object] = {
        "protocol": _PROTOCOLS[opened.proto] if family.startswith("inet") else family,
        "family": family,
        "type": _TYPES[opened.type],
        "state": "UNCONNECTED",
        "local_address": None,
        "local_port": None,
        "remote_address": None,
        "remote_port": None,
        "interface": None,
    }
    if not family.startswith("inet"):
        return described
    local = opened.getsockname()
    try:
        remote = opened.getpeername()
    except OSError:
        remote = ("0.0.0.0" if family == "inet" else "::", 0)
    else:
        described["state"] = "ESTABLISHED"
    described.update(local_address=_bare(local[0]), local_port=local[1])
    described.update(remote_address=_bare(remote[0]), remote_port=remote[1])
    for address in (local, remote):
        if len(address) == 4 and address[3]:
            described["interface"] = socket.if_indextoname(address[3])
    device = opened.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0").decode()
    if device:
        described["interface"] = device
    return described


def _bare(address: str) -> str:
    return address.split("%")[0]


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
        _across(made)
        yield made


def _make_all(made: Sockets, directory: str) -> None:
    index = socket.if_nametoindex("zoo0")
    tcp_states(made, "inet", socket.AF_INET, ("127.0.0.1", 0))
    tcp_states(made, "inet6", socket.AF_INET6, ("::1", 0))
    tcp_states(made, "mapped", socket.AF_INET6, ("::ffff:127.0.0.1", 0))
    tcp_states(made, "link-local", socket.AF_INET6, ("fe80::1", 0, 0, index))
    _tcp_orphans(made)
    _tcp_queues(made)
    _tcp_options(made)
    for protocol in ("udp", "udplite"):
        _datagrams(made, protocol)
    _unix(made, directory)
    _packet(made)
    _netlink(made)
    _mptcp(made)


# --- TCP -------------------------------------------------------------------------------------------------------------


def tcp_states(made: Sockets, label: str, family: int, address: tuple[object, ...]) -> None:
    """Every TCP state in one family, at ``address``, which is one of this host's."""
    listener = _listening(family, address)
    made.keep(f"{label} LISTEN", listener, state="LISTEN")
    deaf_listener = _listening(family, address)
    deafen(deaf_listener)
    made.keep(f"{label} LISTEN deaf", deaf_listener, state="LISTEN")

    bound = socket.socket(family)
    bound.bind(address)
    made.keep(f"{label} BOUND_INACTIVE", bound, state="BOUND_INACTIVE")

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
        _await(lambda: opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == STATE_NUMBERS[state], state)  # noqa: B023


def await_in_table(held: Held) -> None:
    """Waits until procfs has a TCP socket with these ports in this state: for those that no descriptor leads to."""
    path = f"/proc/thread-self/net/{'tcp' if held.family == 'inet' else 'tcp6'}"
    wanted = (f"{held.local_port:04X}", f"{held.remote_port:04X}", f"{STATE_NUMBERS[held.state]:02X}")

    def present() -> bool:
        with open(path) as table:
            rows = [line.split() for line in table]
        return any((row[1][-4:], row[2][-4:], row[3]) == wanted for row in rows[1:])

    _await(present, held.label)


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within 10 s")
        time.sleep(0.002)


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
    """The remote end of one that is not connected yet, so cannot tell."""
    described = _described(listener)
    return {"remote_address": described["local_address"], "remote_port": described["local_port"]}


def _mirrored(client: socket.socket, listener: socket.socket) -> dict[str, object]:
    """The addresses of the other end of ``client``'s connection."""
    mine, there = _described(client), _described(listener)
    return {
        "local_address": there["local_address"],
        "local_port": there["local_port"],
        "remote_address": mine["local_address"],
        "remote_port": mine["local_port"],
        "interface": mine["interface"],
    }


# --- the other families ----------------------------------------------------------------------------------------------


def _datagrams(made: Sockets, protocol: str) -> None:
    number = {"udp": socket.IPPROTO_UDP, "udplite": IPPROTO_UDPLITE}[protocol]
    index = socket.if_nametoindex("zoo0")

    def opened(family: int, address: tuple[object, ...], device: bytes = b"") -> socket.socket:
        made_one = socket.socket(family, socket.SOCK_DGRAM, number)
        if device:
            made_one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device + b"\0")
        made_one.bind(address)
        return made_one

    try:
        any_address = opened(socket.AF_INET, ("", 0))
    except OSError as error:
        if error.errno != errno.EPROTONOSUPPORT:
            raise
        return  # UDP-Lite has left the kernel
    made.keep(f"{protocol} any", any_address)
    made.keep(f"{protocol} any inet6", opened(socket.AF_INET6, ("::", 0)))
    made.keep(f"{protocol} link-local", opened(socket.AF_INET6, ("fe80::1", 0, 0, index)), interface="zoo0")
    made.keep(f"{protocol} device", opened(socket.AF_INET, ("127.0.0.1", 0), b"lo"))
    for label, family, address in (("inet", socket.AF_INET, "127.0.0.1"), ("inet6", socket.AF_INET6, "::1")):
        server = made.keep(f"{protocol} {label} server", opened(family, (address, 0)))
        client = opened(family, (address, 0))
        client.connect(server.getsockname())
        client.send(b"d" * 100)
        client.send(b"d" * 50)
        made.keep(f"{protocol} {label} client", client)
    mapped = opened(socket.AF_INET6, ("::", 0))
    mapped.connect(("::ffff:127.0.0.1", made[f"{protocol} device"].local_port))
    made.keep(f"{protocol} mapped", mapped)


def _unix(made: Sockets, directory: str) -> None:
    kinds = {"stream": socket.SOCK_STREAM, "dgram": socket.SOCK_DGRAM, "seqpacket": socket.SOCK_SEQPACKET}
    for kind, number in kinds.items():
        one, two = socket.socketpair(socket.AF_UNIX, number)
        one.send(b"p" * 30)
        made.keep(f"unix {kind} pair one", one, state="ESTABLISHED")
        made.keep(f"unix {kind} pair two", two, state="ESTABLISHED")
        made.keep(f"unix {kind} unnamed", socket.socket(socket.AF_UNIX, number))

    def named(label: str, kind: str, name: bytes) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX, kinds[kind])
        opened.bind(name)
        listens = kind != "dgram"
        if listens:
            opened.listen(3)
        state = "LISTEN" if listens else "UNCONNECTED"
        return made.keep(label, opened, state=state, local_address=shown_name(name))

    for label, name in NAMES.items():
        kind = list(kinds)[len(name) % 3]
        named(f"unix path {label}", kind, os.fsencode(directory) + b"/" + name)
        named(f"unix abstract {label}", kind, b"\0" + name)
    for label, name in ABSTRACT_NAMES.items():
        named(f"unix abstract {label}", list(kinds)[len(name) % 3], name)

    path = os.fsencode(directory) + b"/connected"
    listener = named("unix listener", "stream", path)
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    server = listener.accept()[0]
    client.send(b"s" * 200)
    client.shutdown(socket.SHUT_WR)
    made.keep("unix client", client, state="ESTABLISHED", remote_address=shown_name(path))
    made.keep("unix server", server, state="ESTABLISHED", local_address=shown_name(path))
    waiting = socket.socket(socket.AF_UNIX)
    waiting.connect(path)
    made.keep("unix waiting client", waiting, state="ESTABLISHED", remote_address=shown_name(path))


def shown_name(name: bytes) -> str:
    """A unix socket's name as a record has it."""
    raw = name.replace(b"\0", b"@") if name[:1] == b"\0" else name
    return raw.decode("utf-8", "backslashreplace")


def _packet(made: Sockets) -> None:
    def opened(kind: int, protocol: int, device: str) -> socket.socket:
        made_one = socket.socket(socket.AF_PACKET, kind, 0)
        made_one.bind((device, protocol))
        return made_one

    everything = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    made.keep("packet all", everything, local_address="all")
    made.keep("packet arp", opened(socket.SOCK_DGRAM, 0x0806, "lo"), local_address="arp", interface="lo")
    made.keep("packet unknown", opened(socket.SOCK_RAW, 0x1234, "zoo0"), local_address="0x1234", interface="zoo0")
    made.keep("packet none", socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0), local_address="none")
    # Something for the first one to have in its queue.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 9))


def _netlink(made: Sockets) -> None:
    def opened(protocol: int, groups: int = 0) -> socket.socket:
        made_one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        made_one.bind((0, groups))
        return made_one

    def keep(label: str, made_one: socket.socket, name: str, **known: object) -> None:
        made.keep(label, made_one, local_address=name, local_port=made_one.getsockname()[0], **known)

    keep("netlink route", opened(0, groups=0x15), "route")
    keep("netlink uevent", opened(15, groups=1), "kobject_uevent")
    keep("netlink generic", opened(16), "generic")
    to_kernel = opened(0)
    to_kernel.connect((0, 0))
    keep("netlink connected", to_kernel, "route", state="ESTABLISHED", remote_port=0)
    unread = opened(0)
    unread.send(struct.pack("=IHHIIB3x", 20, 18, 0x301, 1, 0, 0))  # RTM_GETLINK, and nobody reads the answer
    keep("netlink unread", unread, "route")


def _mptcp(made: Sockets) -> None:
    try:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
    except OSError:
        return
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    made.keep("mptcp LISTEN", listener, state="LISTEN")
    client, server = connected(listener)
    client.sendall(b"m" * 300)
    server.recv(300)
    made.keep("mptcp client", client)
    # Python takes the protocol of an accepted socket from the listener, where the kernel has made it the same.
    made.keep("mptcp server", server)


# --- two namespaces --------------------------------------------------------------------------------------------------


def connect_namespaces(here: Namespace, there: Namespace) -> None:
    """A veth pair: zoo0 here with 192.0.2.1 and fe80::1, zoo1 there with 192.0.2.2 and fe80::2."""
    here.call(lambda: _make_veth(there.descriptor))
    here.call(lambda: _configure("zoo0", 1))
    there.call(lambda: _configure("zoo1", 2))
    here.call(lambda: _activate("zoo0"))
    there.call(lambda: _activate("zoo1"))


def _make_veth(other: int) -> None:
    from pyroute2 import IPRoute

    with IPRoute() as route:
        route.link("add", ifname="zoo0", kind="veth", peer={"ifname": "zoo1", "net_ns_fd": other})


def _configure(name: str, number: int) -> None:
    from pyroute2 import IPRoute

    index = socket.if_nametoindex(name)
    with IPRoute() as route:
        route.addr("add", index=index, address=f"192.0.2.{number}", prefixlen=30)
        # No duplicate address detection: it takes seconds.
        route.addr("add", index=index, address=f"fe80::{number}", prefixlen=64, flags=_IFA_F_NODAD)
        route.link("set", index=index, state="up")


def _activate(name: str) -> None:
    """Asks for the carrier (ethtool: ETHTOOL_GLINK), which makes the kernel see it now and not within a second."""
    value = ctypes.create_string_buffer(struct.pack("=II", 0x0A, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        fcntl.ioctl(opened, 0x8946, struct.pack("16sQ8x", name.encode(), ctypes.addressof(value)))


def _across(made: Sockets) -> None:
    for label, family, here, there in (
        ("inet", socket.AF_INET, "192.0.2.1", "192.0.2.2"),
        ("inet6", socket.AF_INET6, "fe80::1", "fe80::2"),
    ):

        def scoped(address: str, port: int, name: str, family: int = family) -> tuple[object, ...]:
            return (address, port) if family == socket.AF_INET else (address, port, 0, socket.if_nametoindex(name))

        listener = made.other.call(lambda: _listening(family, scoped(there, 0, "zoo1")))  # noqa: B023
        made.opened[f"veth {label} other listener"] = listener
        port = listener.getsockname()[1]

        def call() -> socket.socket:
            client = socket.socket(family)  # noqa: B023
            client.connect(scoped(there, port, "zoo0"))  # noqa: B023
            return client

        made.namespace.call(lambda: made.keep(f"veth {label} client", call()))  # noqa: B023
        made.opened[f"veth {label} other server"] = listener.accept()[0]
