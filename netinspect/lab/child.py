"""Getting things done in a forked child, which may be where this process may not go, and sends back what came of it.

What it sends is pickled. Sockets and descriptors travel along (unix(7): SCM_RIGHTS), and stay what they were opened on.
"""

from __future__ import annotations

import _socket
import ctypes
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
from io import BytesIO
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from ..errors import NamespaceError

Result = TypeVar("Result")

_PR_SET_PDEATHSIG = 1
_DESCRIPTORS_AT_ONCE = 200
"""unix(7): SCM_RIGHTS passes at most 253 in one message."""

_libc = ctypes.CDLL(None, use_errno=True)


class Descriptor:
    """A file descriptor that travels from a child of ``in_child`` to its parent."""

    def __init__(self, number: int) -> None:
        self.number = number

    def detach(self) -> int:
        """The number; the descriptor is the caller's from now on."""
        number, self.number = self.number, -1
        return number


def die_with_parent(parent: int) -> None:
    """Called in a child: SIGKILL when the parent is gone, however that comes about (prctl(2): PR_SET_PDEATHSIG)."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def outlive_parent() -> None:
    """Takes back ``die_with_parent``."""
    _libc.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)


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
