"""Sockets that a test holds, with what is known of each without asking sock_diag."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from throwaway import Namespace

IPPROTO_MPTCP = 262
IPPROTO_UDPLITE = 136


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
        fields = {**described(opened), "inode": 0, **known}
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


def described(opened: socket.socket) -> dict[str, object]:
    family = _FAMILIES[opened.family]
    """What a socket says of itself, as fields of ``Held``."""
    found: dict[str, object] = {
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
        return found
    local = opened.getsockname()
    try:
        remote = opened.getpeername()
    except OSError:
        remote = ("0.0.0.0" if family == "inet" else "::", 0)
    else:
        found["state"] = "ESTABLISHED"
    found.update(local_address=_bare(local[0]), local_port=local[1])
    found.update(remote_address=_bare(remote[0]), remote_port=remote[1])
    for address in (local, remote):
        if len(address) == 4 and address[3]:
            found["interface"] = socket.if_indextoname(address[3])
    device = opened.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0").decode()
    if device:
        found["interface"] = device
    return found


def _bare(address: str) -> str:
    return address.split("%")[0]
