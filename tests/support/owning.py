"""Listings with their owners, and processes that own something: what the tests of owners and peers share."""

from __future__ import annotations

import json
import os
import signal
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from throwaway import Namespace

from netinspect.engine.columns import Batch
from netinspect.nouns.sockets.listing import ALL_STATES, Query, SocketListing
from netinspect.nouns.sockets.owners import Owners


def dumped(namespace: Namespace | None, *protocols: str) -> list[Batch]:
    """The sockets of a namespace: None is the suite's own."""
    listing = SocketListing(Query(protocols, states=ALL_STATES))
    return namespace.call(lambda: list(listing.batches())) if namespace else list(listing.batches())


def scanned() -> Owners:
    owners = Owners()
    owners.scan()
    return owners


def inode(opened: socket.socket) -> int:
    return os.fstat(opened.fileno()).st_ino


@contextmanager
def child(action: Callable[[], object]) -> Iterator[int]:
    """A forked process that runs ``action``, and lives until the end of the block."""
    receiving, sending = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            kept = action()  # noqa: F841 (a socket in there stays open)
            os.write(sending, b"r")
            signal.pause()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(sending)
    try:
        assert os.read(receiving, 1) == b"r"
        yield pid
    finally:
        os.close(receiving)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def answer_of_child(action: Callable[[], object]) -> Any:
    """What ``action`` returns in a forked process, through JSON; its OSError is raised here."""
    receiving, sending = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            try:
                answer: dict[str, object] = {"answer": action()}
            except OSError as error:
                answer = {"errno": error.errno}
            with os.fdopen(sending, "w") as pipe:
                json.dump(answer, pipe)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(sending)
    with os.fdopen(receiving) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    told: dict[str, Any] = json.loads(text)
    if "errno" in told:
        raise OSError(told["errno"], os.strerror(told["errno"]))
    return told["answer"]
