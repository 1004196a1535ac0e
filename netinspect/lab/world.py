"""Where a lab's network namespaces live, and how to get things done inside them.

With CAP_SYS_ADMIN namespaces are made in this process, which enters and leaves them as it needs. Without, they belong
to a user namespace of their own (user_namespaces(7)). A process cannot visit that and come back, so a forked child does
what must be done inside, and sends back the result: sockets too, which stay in the namespace where they were opened.
This process owns the user namespace, so it has every capability over those sockets (net/netlink: netlink_ns_capable).

Nothing has a name in a file system: a namespace lives for as long as somebody holds a descriptor of it, so none
outlives its holder, whatever becomes of that.
"""

from __future__ import annotations

import _socket
import ctypes
import errno
import os
import pickle
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from io import BytesIO
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from ..errors import NamespaceError
from ..namespaces import inside
from .errors import LabError

Result = TypeVar("Result")

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_NETLINK_ROUTE, _NETLINK_NETFILTER = 0, 12
_SOL_NETLINK, _NETLINK_GET_STRICT_CHK = 270, 12
_DESCRIPTORS_AT_ONCE = 200
"""unix(7): SCM_RIGHTS passes at most 253 in one message."""
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
        """That many namespaces; ``prepare(number)`` runs inside each, to set its sysctls."""

        def make() -> list[tuple[Descriptor, socket.socket, socket.socket]]:
            made = []
            for number in range(count):
                _unshare(CLONE_NEWNET)
                prepare(number)
                made.append(
                    (
                        Descriptor(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)),
                        _netlink(_NETLINK_ROUTE),
                        _netlink(_NETLINK_NETFILTER),
                    )
                )
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
        route, netfilter = self.call(descriptor, lambda: (_netlink(_NETLINK_ROUTE), _netlink(_NETLINK_NETFILTER)))
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
        """Moves this process, which must have one thread only, into that namespace for good. Raises OSError."""
        if self.user is not None:
            _setns(self.user, CLONE_NEWUSER)
        _setns(namespace, CLONE_NEWNET)

    def close(self) -> None:
        if self.user is not None:
            os.close(self.user)
            self.user = None


class Descriptor:
    """A file descriptor that travels from a child of ``in_child`` to its parent."""

    def __init__(self, number: int) -> None:
        self.number = number

    def detach(self) -> int:
        """The number; the descriptor is the caller's from now on."""
        number, self.number = self.number, -1
        return number


def _netlink(protocol: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    # Batches are sent and answered as a whole: let buffers be as large as the kernel allows without privileges.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    with suppress(OSError):  # since Linux 4.20: a dump of route exceptions needs it
        opened.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
    opened.bind((0, 0))
    return opened


def _unshare(flags: int) -> None:
    if _libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _setns(descriptor: int, kind: int) -> None:
    if _libc.setns(descriptor, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with_parent(parent: int) -> None:
    """Called in a child: SIGKILL when the parent is gone, however that comes about (prctl(2): PR_SET_PDEATHSIG)."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def outlive_parent() -> None:
    """Takes back ``die_with_parent``."""
    _libc.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)


def _may_unshare() -> bool:
    """Whether this process may make network namespaces as it is."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _unshare(CLONE_NEWNET)
        _setns(home, CLONE_NEWNET)
    except OSError as error:
        if error.errno == errno.EPERM:
            return False
        raise LabError(_refusal(error)) from None
    finally:
        os.close(home)
    return True


def _new_user_namespace() -> Descriptor:
    uid, gid = os.geteuid(), os.getegid()
    try:
        _unshare(CLONE_NEWUSER)
        for name, value in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(value)
        descriptor = os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        _unshare(CLONE_NEWNET)
    except OSError as error:
        raise LabError(_refusal(error)) from None
    return Descriptor(descriptor)


_SETTINGS: tuple[tuple[str, Callable[[int], bool], str], ...] = (
    # user_namespaces(7), namespaces(7); Debian's patch; Ubuntu's AppArmor since 23.10.
    ("user.max_user_namespaces", lambda value: value == 0, "set it above 0"),
    ("user.max_net_namespaces", lambda value: value == 0, "set it above 0"),
    ("kernel.unprivileged_userns_clone", lambda value: value == 0, "set it to 1"),
    ("kernel.apparmor_restrict_unprivileged_userns", lambda value: value == 1, "set it to 0"),
)


def _refusal(error: OSError, read: Callable[[str], str] | None = None) -> str:
    """One line that says which setting forbids namespaces, as far as settings tell."""

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
            "a lab needs network namespaces, and there are as many as user.max_net_namespaces and "
            "user.max_user_namespaces allow: raise them"
        )
    return (
        f"a lab needs network namespaces: {os.strerror(error.errno or 0)}; no sysctl forbids them, so a container's "
        "seccomp filter or security module does: run as root, or with CAP_SYS_ADMIN"
    )


class _Spawner:
    """Starts children from the main thread or, in other threads, from one that lives as long as the process.

    PR_SET_PDEATHSIG counts the death of the thread that forked: a short-lived one would take its children along.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def __call__(self, start: Callable[[], Result]) -> Result:
        """What ``start`` returns."""
        if threading.current_thread() is threading.main_thread():
            return start()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="netinspect-lab-spawner", daemon=True)
                self._thread.start()
        future: Future[Result] = Future()
        self._tasks.put((future, start))
        return future.result()

    def _serve(self) -> None:
        while True:
            future, start = self._tasks.get()
            try:
                future.set_result(start())
            except BaseException as error:
                future.set_exception(error)


spawn = _Spawner()


def fork() -> int:
    """fork(2), for a child that runs Python and dies with this process."""
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Python 3.12 warns of forking with threads. The child here runs plain code, ends with _exit, and is killed
        # with its parent at the latest.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        die_with_parent(parent)
    return child


def in_child(function: Callable[[], Any], enter: Callable[[], None]) -> Any:
    """What ``function`` returns in a forked child that has called ``enter`` first; its exception is raised here."""
    return spawn(lambda: _in_child(function, enter))


def _in_child(function: Callable[[], Any], enter: Callable[[], None]) -> Any:
    ours, theirs = socket.socketpair()
    child = fork()
    if child == 0:
        status = 70  # EX_SOFTWARE (sysexits.h): what went wrong could not even be sent
        try:
            ours.close()
            _send(theirs, _outcome(function, enter))
            sys.stdout.flush()
            sys.stderr.flush()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    theirs.close()
    with ours:
        try:
            succeeded, result = _receive(ours)
        except EOFError:
            _, status = os.waitpid(child, 0)
            raise NamespaceError(
                f"the process inside the namespace ended without a result ({_ending(status)})"
            ) from None
        except BaseException:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
    os.waitpid(child, 0)
    if not succeeded:
        raise result
    return result


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit status {code}"


class Outcome(NamedTuple):
    """A pickled value, the descriptors that go with it, and the value itself, which keeps them open."""

    data: bytes
    descriptors: list[int]
    value: Any


def _outcome(function: Callable[[], Any], enter: Callable[[], None]) -> Outcome:
    """The pickled result or exception, and the descriptors in it."""
    try:
        try:
            enter()
        except OSError as error:
            raise NamespaceError(f"entering the lab's namespaces: {error.strerror}") from None
        return _pickled((True, function()))
    except BaseException as error:
        where = "".join(traceback.format_tb(error.__traceback__))
        error.add_note(f"inside the namespace, in a process of its own:\n{where}")
        try:
            pickled = _pickled((False, error))
            pickle.loads(pickled.data)
            return pickled
        except Exception:
            return _pickled((False, RuntimeError(f"{type(error).__name__}: {error}\n{where}")))


def _pickled(value: Any) -> Outcome:
    descriptors: list[int] = []
    buffer = BytesIO()

    class Pickler(pickle.Pickler):
        def reducer_override(self, item: Any) -> Any:
            if isinstance(item, _socket.socket):
                descriptors.append(item.fileno())
                return _socket_again, (len(descriptors) - 1, item.gettimeout())
            if isinstance(item, Descriptor):
                descriptors.append(item.number)
                return _descriptor_again, (len(descriptors) - 1,)
            return NotImplemented

    Pickler(buffer).dump(value)
    return Outcome(buffer.getvalue(), descriptors, value)


_received = threading.local()


def _socket_again(number: int, timeout: float | None) -> socket.socket:
    again = socket.socket(fileno=_received.descriptors[number])
    again.settimeout(timeout)
    return again


def _descriptor_again(number: int) -> Descriptor:
    return Descriptor(_received.descriptors[number])


def _send(connection: socket.socket, outcome: Outcome) -> None:
    data, descriptors, _ = outcome
    connection.sendall(b"%16d%16d" % (len(data), len(descriptors)))
    for start in range(0, len(descriptors), _DESCRIPTORS_AT_ONCE):
        socket.send_fds(connection, [b"+"], descriptors[start : start + _DESCRIPTORS_AT_ONCE])
    connection.sendall(data)


def _receive(connection: socket.socket) -> tuple[bool, Any]:
    head = _exactly(connection, 32)
    size, count = int(head[:16]), int(head[16:])
    descriptors: list[int] = []
    while len(descriptors) < count:
        mark, new, _, _ = socket.recv_fds(connection, 1, _DESCRIPTORS_AT_ONCE)
        if not mark:
            raise EOFError
        for number in new:
            os.set_inheritable(number, False)
        descriptors += new
    _received.descriptors = descriptors
    result = pickle.loads(_exactly(connection, size))
    return bool(result[0]), result[1]


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
