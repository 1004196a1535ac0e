"""Sockets of every kind but TCP, and two namespaces joined by a veth pair: see tcp_states.py for what there is."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct

from held_sockets import IPPROTO_MPTCP, IPPROTO_UDPLITE, Sockets
from throwaway import Namespace

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

_IFA_F_NODAD = 0x02


def make_others(made: Sockets, directory: str) -> None:
    """Everything but TCP; runs inside the namespace. ``directory`` is where the unix sockets' paths go."""
    for protocol in ("udp", "udplite"):
        _datagrams(made, protocol)
    _unix(made, directory)
    _packet(made)
    _netlink(made)
    _mptcp(made)


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
    # Its other end has no inode yet by which it could be found.
    made.keep("unix waiting client", waiting, state="ESTABLISHED")


def shown_name(name: bytes) -> str:
    """A unix socket's name as a record has it."""
    raw = b"@" + name[1:] if name[:1] == b"\0" else name
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
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
    client.connect(listener.getsockname())
    server = listener.accept()[0]
    client.sendall(b"m" * 300)
    server.recv(300)
    made.keep("mptcp client", client)
    # Python takes the protocol of an accepted socket from the listener, where the kernel has made it the same.
    made.keep("mptcp server", server)


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


def across(made: Sockets) -> None:
    """A connection over the pair in each family: the client is noted, the other end is in ``opened`` only."""
    for label, family, there in (("inet", socket.AF_INET, "192.0.2.2"), ("inet6", socket.AF_INET6, "fe80::2")):

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


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen()
    return listener
