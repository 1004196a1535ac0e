"""Where a lab's network namespaces live, and how to get things done inside them.

With CAP_SYS_ADMIN namespaces are made in this process, which enters and leaves them as it needs. Without, they belong
to a user namespace of their own (user_namespaces(7)). A process cannot visit that and come back, so a forked child does
what must be done inside, and sends back the result: sockets too, which stay in the namespace where they were opened.
This process owns the user namespace, so it has every capability over those sockets (net/netlink: netlink_ns_capable).

Nothing has a name in a file system: a namespace lives as long as a descriptor of it is open, so none
outlives its holder, whatever becomes of that.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar

from ..engine.namespaces import inside
from ..engine.netlink.transport import connect
from ..uapi.netlink import NETLINK_NETFILTER, NETLINK_ROUTE
from .child import Descriptor, in_child
from .errors import LabError

Result = TypeVar("Result")

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_BUFFER = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


class Namespace(NamedTuple):
    """A network namespace: a descriptor that keeps it alive, and two netlink sockets opened inside."""

    descriptor: int
    route: socket.socket
    netfilter: socket.socket

    def close(self) -> None:
        """Lets go of it."""
        os.close(self.descriptor)
        self.route.close()
        self.netfilter.close()


class World:
    """``user`` is a descriptor of the user namespace that the network namespaces are in; None: this process's own."""

    def __init__(self, user: int | None) -> None:
        self.user = user

    @classmethod
    def open(cls, user_namespace: bool | None = None) -> World:
        """A world where network namespaces can be made; True insists on a user namespace of its own.

        Raises LabError, naming the setting that forbids it, where neither is allowed.
        """
        if not user_namespace and _may_unshare():
            return cls(None)
        descriptor: Descriptor = in_child(_new_user_namespace, lambda: None)
        return cls(descriptor.detach())

    def create(self, count: int, prepare: Callable[[int], object]) -> list[Namespace]:
        """That many namespaces with ``lo`` up; ``prepare(number)`` runs inside each before, to set its sysctls.

        Raises LabError where there may be no more of them.
        """

        def make() -> list[tuple[Descriptor, socket.socket, socket.socket]]:
            made: list[tuple[Descriptor, socket.socket, socket.socket]] = []
            try:
                for number in range(count):
                    unshare(CLONE_NEWNET)
                    prepare(number)
                    loopback_up()
                    descriptor = Descriptor(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
                    made.append((descriptor, _netlink(NETLINK_ROUTE), _netlink(NETLINK_NETFILTER)))
            except BaseException as error:
                for descriptor, *_ in made:
                    os.close(descriptor.detach())
                if isinstance(error, OSError):
                    raise LabError(refusal(error)) from None
                raise
            return made

        if self.user is None:
            home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                made = make()
            finally:
                _setns(home, CLONE_NEWNET)
                os.close(home)
        else:
            user = self.user
            made = in_child(make, lambda: _setns(user, CLONE_NEWUSER))
        return [Namespace(descriptor.detach(), route, netfilter) for descriptor, route, netfilter in made]

    def open_sockets(self, descriptor: int) -> Namespace:
        """A namespace that exists, with sockets of our own inside."""
        route, netfilter = self.call(descriptor, lambda: (_netlink(NETLINK_ROUTE), _netlink(NETLINK_NETFILTER)))
        return Namespace(descriptor, route, netfilter)

    def call(self, namespace: int, function: Callable[[], Result]) -> Result:
        """What ``function`` returns inside that namespace; whatever it raises is raised here.

        In a user namespace it runs in a forked child: its result (which may contain sockets) is pickled, and what it
        changes in this process's memory is lost.
        """
        if self.user is None:
            return inside(namespace, function)
        return in_child(function, lambda: self.enter(namespace))  # type: ignore[no-any-return]

    def enter(self, namespace: int) -> None:
        """Moves this process into that namespace for good. Raises OSError.

        It must have no other thread, unless that is about to end.
        """
        if self.user is not None:
            _alone()
            _setns(self.user, CLONE_NEWUSER)
        _setns(namespace, CLONE_NEWNET)

    def close(self) -> None:
        if self.user is not None:
            os.close(self.user)
            self.user = None


def _netlink(protocol: int) -> socket.socket:
    made: Any = connect(protocol)
    # Batches are sent and answered as a whole: let buffers be as large as the kernel allows without privileges.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    made.bind((0, 0))
    return socket.socket(fileno=made.detach())


def loopback_up() -> None:
    """Brings up ``lo`` of the current namespace (netdevice(7): SIOCSIFFLAGS)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        fcntl.ioctl(opened, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


def unshare(flags: int) -> None:
    """unshare(2), which Python has since 3.12 only. Raises OSError."""
    if _libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _setns(descriptor: int, kind: int) -> None:
    if _libc.setns(descriptor, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _alone() -> None:
    """Waits for other threads to end, for a second at most: setns(2) leads to a user namespace only without them, and
    a thread goes on for a moment when what it was for has been done."""
    until = monotonic() + 1
    while len(os.listdir("/proc/self/task")) > 1 and monotonic() < until:
        sleep(0.001)


def _may_unshare() -> bool:
    """Whether this process may create network namespaces."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWNET)
        _setns(home, CLONE_NEWNET)
    except OSError as error:
        if error.errno == errno.EPERM:
            return False
        raise LabError(refusal(error)) from None
    finally:
        os.close(home)
    return True


def _new_user_namespace() -> Descriptor:
    try:
        enter_user_namespace()
        descriptor = os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        unshare(CLONE_NEWNET)
    except OSError as error:
        raise LabError(refusal(error)) from None
    return Descriptor(descriptor)


def enter_user_namespace() -> None:
    """Moves this process, which must have one thread only, into a user namespace of its own, where it is root.

    Raises OSError.
    """
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    for name, value in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(value)


_SETTINGS: tuple[tuple[str, Callable[[int], bool], str], ...] = (
    # user_namespaces(7), namespaces(7); Debian's patch; Ubuntu's AppArmor since 23.10.
    ("user.max_user_namespaces", lambda value: value == 0, "set it above 0"),
    ("user.max_net_namespaces", lambda value: value == 0, "set it above 0"),
    ("kernel.unprivileged_userns_clone", lambda value: value == 0, "set it to 1"),
    ("kernel.apparmor_restrict_unprivileged_userns", lambda value: value == 1, "set it to 0"),
)


def refusal(error: OSError, read: Callable[[str], str] | None = None) -> str:
    """One line that names the setting that forbids namespaces, if it is a setting."""

    def from_proc(name: str) -> str:
        with open("/proc/sys/" + name.replace(".", "/")) as file:
            return file.read()

    for name, forbids, remedy in _SETTINGS:
        try:
            value = int((read or from_proc)(name))
        except (OSError, ValueError):
            continue  # this kernel has no such setting
        if forbids(value):
            return f"a lab needs network namespaces, and {name}={value} forbids them: {remedy}, or run as root"
    if error.errno == errno.ENOSPC:
        return (
            "a lab needs network namespaces, and the limits user.max_net_namespaces and user.max_user_namespaces are "
            "reached: raise them"
        )
    return (
        f"a lab needs network namespaces: {os.strerror(error.errno or 0)}; no sysctl forbids them, so a container's "
        "seccomp filter or security module does: run as root, or with CAP_SYS_ADMIN"
    )
