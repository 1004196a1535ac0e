"""Network namespaces: naming them and opening sockets inside them (network_namespaces(7), setns(2))."""

from __future__ import annotations

import posix
from _stat import S_ISCHR, S_ISSOCK
from errno import EACCES, ENOENT, EPERM

from ..environment import KINDS
from ..errors import FileError, NamespaceError
from .files import open_regular
from .text import raw, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable
    from typing import TypeVar

    from .namespaces_of_sockets import OnTheirWay

    Identity = tuple[int, int]

    Result = TypeVar("Result")

NAMED = "/run/netns"
_CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703
"""linux/nsfs.h"""


def open_namespace(name: str) -> int:
    """A file descriptor of the network namespace with that name (ip-netns(8)), of that process id, or at that path.

    Or, where there is none, of the container, pod or systemd unit that is called so: see containers/namespaces.py. What
    has a kind before a colon, as ``lab:gateway/lan1``, is looked for among that kind alone. Raises NamespaceError where
    there is none, or it may not be opened.
    """
    of_kind = name.partition(":")[0] in (*KINDS, *_KINDS) and ":" in name
    is_path = "/" in name and not of_kind
    if is_path:
        # Of all paths only /proc's lead to sockets that have a namespace to find; elsewhere no server may answer.
        if name.startswith("/proc/") and (of_socket := _of_socket(name)) is not None:
            return of_socket
        candidates = [name]
    elif of_kind:
        candidates = [_found(name)]
    else:
        from os import fsdecode

        # Listings label a namespace whose name is not UTF-8 by a text that stands for it.
        names = dict.fromkeys((name, fsdecode(raw(name))))
        candidates = [f"{NAMED}/{each}" for each in names] + (
            _of_process(name) if name.isascii() and name.isdecimal() else []
        )
    descriptor = _open(name, candidates)
    # A container's title has "/" inside: default/web-7d9f/nginx.
    if descriptor is None and not (of_kind or name.isdecimal() or (is_path and name[0] in "/.")):
        descriptor = _open(name, [_found(name)])
    if descriptor is None:
        raise NamespaceError(_NOT_FOUND.format(repr(name), "or a path"))
    return descriptor


def _of_process(pid: str) -> list[str]:
    """The paths of its namespace: that of another thread where the first one has ended."""
    from ..procfs import other_threads

    path = f"/proc/{pid}/ns/net"
    try:
        posix.stat(path)
    except FileNotFoundError:
        return [path, *(f"/proc/{thread}/ns/net" for thread in other_threads(int(pid)))]
    except OSError:
        pass  # opening it says why
    return [path]


def _of_socket(path: str) -> int | None:
    """A descriptor of the namespace of the socket, or the tun device, at ``/proc/PID/fd/NUMBER``; None for others."""
    try:
        status = posix.stat(path)
        if not (S_ISSOCK(status.st_mode) or S_ISCHR(status.st_mode)):
            return None
        from .namespaces_of_sockets import is_socket_path, keeps_a_namespace, namespace_of_socket

        found = is_socket_path(path) if keeps_a_namespace(status) else None
        return None if found is None else namespace_of_socket(*found)
    except (OSError, ValueError):
        return None  # it is reported as any other file would be


_KINDS = ("container", "pod", "unit")
_NOT_FOUND = "no network namespace {}: give a name listed by `ip netns`, the id of a running process, {}"


def _open(name: str, candidates: Iterable[str]) -> int | None:
    """A descriptor of the first of these paths that is there. Raises NamespaceError."""
    failure = 0
    for path in candidates:
        try:
            descriptor = open_regular(path)
        except FileError as error:
            if not error.errno:
                raise NamespaceError(f"{name!r} is not a network namespace") from None
            if not failure or error.errno != ENOENT:
                failure = error.errno
            continue
        if _is_network_namespace(descriptor):
            return descriptor
        posix.close(descriptor)
        raise NamespaceError(f"{name!r} is not a network namespace")
    if failure in (EACCES, EPERM):
        raise NamespaceError(f"network namespace {name!r}: permission denied (run as root, or as its owner)")
    return None


def _found(name: str) -> str:
    """The path of a namespace that is called by what is inside. Raises NamespaceError, and errors of KINDS."""
    kind, colon, rest = name.partition(":")
    if colon and kind in KINDS:
        path: str = KINDS[kind]().find(rest)
        return path
    from .containers.names import known
    from .containers.namespaces import find

    found = find(name)
    if found is None:
        unreachable = known().unreachable()
        why = f" ({unreachable})" if unreachable else ""
        raise NamespaceError(_NOT_FOUND.format(repr(name), f"a path, a container, pod or unit, or lab:LAB/HOST{why}"))
    return found


def every_namespace(
    *, closely: bool = False, problems: list[str] | None = None
) -> tuple[list[tuple[str, str, tuple[int, int]]], int]:
    """All network namespaces that have a name or a process, as (label, path, identity), the current one first.

    With ``closely`` also those that something else keeps: a thread that is not the first of its process, a mount
    outside of /run/netns, an open file or, as root, a socket. That is a look at every descriptor of the machine. One
    that only a descriptor on its way keeps has no path: ``problems`` gets a message about those. Nobody can find one
    that only the kernel keeps.

    The label is the name (ip-netns(8)), that of a lab's host, container, pod or unit, the lowest id of a process or
    thread inside, or a path: `--netns` takes each.
    The identity (st_dev, st_ino) shows whether the path still leads there: processes end, or go elsewhere. Also
    returned is the number of processes whose namespace may not be seen: there may be namespaces that only they are in.
    Raises NetinspectError where /proc is not mounted.
    """
    from os import fsencode

    from ..procfs import process_ids

    pids = process_ids()
    found: dict[tuple[int, int], tuple[str, str]] = {}
    inside: dict[tuple[int, int], list[int]] = {}
    try:
        current = posix.stat("/proc/thread-self/ns/net")
    except OSError as error:
        raise NamespaceError(f"the current network namespace, /proc/thread-self/ns/net: {error.strerror}") from None
    try:
        names = sorted(posix.listdir(NAMED))
    except OSError:
        names = []
    for name in names:
        _take(found, f"{NAMED}/{name}", text(fsencode(name)), current.st_dev)
    hidden = 0
    for pid in pids:
        path = f"/proc/{pid}/ns/net"
        try:
            status = posix.stat(path)
        except PermissionError:
            hidden += 1
        except OSError:
            continue  # ended just now
        else:
            identity = status.st_dev, status.st_ino
            found.setdefault(identity, (str(pid), path))
            inside.setdefault(identity, []).append(pid)
    if closely:
        from ..procfs import network_namespace_mounts, other_threads
        from .descriptors import network_namespace_files

        for pid in pids:
            for thread in other_threads(pid):
                _take(found, f"/proc/{thread}/ns/net", str(thread), current.st_dev)
        # To ask a socket for its namespace takes CAP_NET_ADMIN.
        sockets: dict[str, str] | None = {} if posix.geteuid() == 0 else None
        mounts = network_namespace_mounts(pids)
        reachable = [path for path, _, followed in mounts if followed]
        for path in (*reachable, *network_namespace_files(pids, sockets)):
            _take(found, path, text(fsencode(path)), current.st_dev)
        if sockets:
            from .namespaces_of_sockets import OnTheirWay, namespaces_of_sockets

            on_their_way = None if problems is None else OnTheirWay(_is_network_namespace)
            for path, identity in namespaces_of_sockets(sockets.values(), on_their_way):
                found.setdefault(identity, (path, path))
            if problems is not None and on_their_way is not None:
                problems += _on_their_way(on_their_way, found)
        listed = {inode for _, inode in found}
        if problems is not None and not listed.issuperset(inode for _, inode, _ in mounts):
            # What is still mounted was not unmounted while we looked.
            still = [mount for mount in mounts if mount[1] not in listed and mount in network_namespace_mounts(pids)]
            problems += _out_of_reach(still)
    _label(found, inside, pids, (current.st_dev, current.st_ino))
    first = found.pop((current.st_dev, current.st_ino), None)
    if first:
        found = {(current.st_dev, current.st_ino): first} | found
    return [(*named, identity) for identity, named in found.items()], hidden


def _out_of_reach(mounts: list[tuple[str, int, bool]]) -> list[str]:
    """A message about namespaces that are mounted where no path leads: below another mount, or where it may hang."""
    if not mounts:
        return []
    from os import fsencode

    paths = ", ".join(sorted({text(fsencode(path)) for path, *_ in mounts}))
    count = len({inode for _, inode, _ in mounts})
    return [f"network namespaces mounted where they cannot be reached are not listed: {count}, at {paths}"]


def _on_their_way(waiting: OnTheirWay, found: Container[Identity]) -> list[str]:
    """Messages about namespaces that only a descriptor keeps that is on its way to a process."""
    messages = []
    unlisted = {identity: path for identity, path in waiting.found.items() if identity not in found}
    if unlisted:
        queues = ", ".join(sorted(set(unlisted.values())))
        messages.append(
            f"network namespaces that only a descriptor on its way to a process keeps are not listed: {len(unlisted)}, "
            f"in the queue of {queues}"
        )
    if unread := waiting.unread():
        messages.append(
            "network namespaces may be kept by descriptors on their way that cannot be looked at, in the queue of "
            + ", ".join(sorted(unread))
        )
    return messages


def _label(
    found: dict[Identity, tuple[str, str]], inside: dict[Identity, list[int]], pids: list[int], current: Identity
) -> None:
    """Calls namespaces that have no name, or one that a program made up, by what is known of those inside."""
    unnamed = [
        identity
        for identity, (label, _) in found.items()
        if identity != current and (label.isdecimal() or label[:1] == "/" or _is_made_up(label))
    ]
    # The machine's own has containers inside as well: those that share it.
    of_init = inside.get(identity := next((one for one, held in inside.items() if held[0] == 1), current))
    if of_init and identity in unnamed:
        unnamed.remove(identity)
    if not unnamed:
        return
    labels: dict[Identity, str] = {}
    if any(identity in inside for identity in unnamed):
        from .containers.namespaces import labels as by_process

        labels |= by_process({identity: inside.get(identity, []) for identity in unnamed}, pids)
    for kind, knows in KINDS.items():
        labels |= {identity: f"{kind}:{name}" for identity, name in knows().labels().items()}
    for identity in unnamed:
        if identity in labels:
            found[identity] = labels[identity], found[identity][1]


def _is_made_up(name: str) -> bool:
    """Whether a name is one that container engines make up: ``netns-`` or ``cni-`` and a UUID (RFC 9562)."""
    prefix, _, rest = name.partition("-")
    return prefix in ("netns", "cni") and len(rest) == _UUID_LENGTH and rest.count("-") == 4 and _UUID.issuperset(rest)


_UUID_LENGTH = 36
_UUID = frozenset("0123456789abcdef-")


def _take(found: dict[tuple[int, int], tuple[str, str]], path: str, label: str, device: int) -> None:
    """Takes in the namespace at that path, if there is one that is not known."""
    try:
        status = posix.stat(path)
    except OSError:
        return  # removed just now, or not ours to see
    # What is not mounted is an empty file, on another file system.
    if status.st_dev == device:
        found.setdefault((status.st_dev, status.st_ino), (label, path))


def _is_network_namespace(descriptor: int) -> bool:
    import fcntl

    try:
        return fcntl.ioctl(descriptor, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False


def inside(descriptor: int | None, action: Callable[[], Result]) -> Result:
    """What ``action`` returns when run inside that namespace; None is the current one.

    Only the calling thread moves, and moves back. Raises NamespaceError where entering is not permitted.
    """
    if descriptor is None:
        return action()
    try:
        home = posix.open("/proc/thread-self/ns/net", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError as error:
        raise NamespaceError(f"the current network namespace, /proc/self/ns/net: {error.strerror}") from None
    try:
        try:
            _setns(descriptor)
        except OSError as error:
            # setns(2) asks for CAP_SYS_ADMIN even where it would lead to the namespace that we are in.
            if error.errno == EPERM and _is_same(descriptor, home):
                return action()
            raise _not_entered(error) from None
        try:
            return action()
        finally:
            _setns(home)
    finally:
        posix.close(home)


def enter(descriptor: int) -> None:
    """Moves the calling thread into that namespace. Raises NamespaceError where that is not permitted."""
    try:
        _setns(descriptor)
    except OSError as error:
        raise _not_entered(error) from None


def _is_same(one: int, other: int) -> bool:
    first, second = posix.fstat(one), posix.fstat(other)
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _not_entered(error: OSError) -> NamespaceError:
    if isinstance(error, PermissionError):
        return NamespaceError("entering another network namespace needs CAP_SYS_ADMIN: run as root")
    return NamespaceError(f"entering the network namespace: {error.strerror}")


_calls: list[Callable[[int, int], object]] = []
"""setns(2), which Python has since 3.12: looked for once."""


def _setns(descriptor: int) -> None:
    if not _calls:
        known: Callable[[int, int], object] | None = getattr(posix, "setns", None)
        if known is None:
            from .calls import function

            known = function("setns", "i")
        _calls.append(known)
    _calls[0](descriptor, _CLONE_NEWNET)
