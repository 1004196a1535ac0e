"""Namespaces by name, process and path, and the list of all of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from throwaway import Namespace

from netinspect.errors import NamespaceError
from netinspect.namespaces import every_namespace, inside, open_namespace


def current() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_only_the_calling_thread_moves_and_it_moves_back_even_after_an_error(namespace: Namespace) -> None:
    home = current()
    assert namespace.call(current) == os.fstat(namespace.descriptor).st_ino != home
    with pytest.raises(ZeroDivisionError):
        inside(namespace.descriptor, lambda: 1 // 0)
    assert current() == home


def test_a_namespace_is_opened_by_process_id_and_by_path(namespace: Namespace) -> None:
    with namespace.popen(["sleep", "20"]) as sleeper:
        while Path(f"/proc/{sleeper.pid}/comm").read_text() != "sleep\n":
            pass
        for name in (str(sleeper.pid), f"/proc/{sleeper.pid}/ns/net", namespace.path):
            descriptor = open_namespace(name)
            assert os.fstat(descriptor).st_ino == os.fstat(namespace.descriptor).st_ino
            os.close(descriptor)
        found = dict(every_namespace()[0])
        assert os.stat(found[str(sleeper.pid)]).st_ino == os.fstat(namespace.descriptor).st_ino
        sleeper.kill()


def test_a_namespace_is_opened_and_listed_by_its_name(namespace: Namespace, tmp_path: Path) -> None:
    # The suite has a mount namespace of its own: what is mounted over /run/netns is seen here alone.
    os.makedirs("/run/netns", exist_ok=True) if os.access("/run", os.W_OK) else None
    if not os.path.isdir("/run/netns"):
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.makedirs("/run/netns")
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run/netns"], check=True)
    try:
        Path("/run/netns/blue").touch()
        Path("/run/netns/removed").touch()
        subprocess.run(["mount", "--bind", namespace.path, "/run/netns/blue"], check=True)
        descriptor = open_namespace("blue")
        assert os.fstat(descriptor).st_ino == os.fstat(namespace.descriptor).st_ino
        os.close(descriptor)
        labels = [label for label, _ in every_namespace()[0]]
        assert "blue" in labels
        assert "removed" not in labels
        with pytest.raises(NamespaceError, match="not a network namespace"):
            open_namespace("removed")
    finally:
        subprocess.run(["umount", "-R", "--lazy", "/run/netns"], check=True)


def test_the_current_namespace_comes_first_and_none_comes_twice() -> None:
    found, _ = every_namespace()
    inodes = [os.stat(path).st_ino for _, path in found]
    assert inodes[0] == current()
    assert len(set(inodes)) == len(inodes)


@pytest.mark.parametrize("name", ["nope", "/dev/null", "/", "0", "a/b\0", "..", ""])
def test_what_is_no_namespace_is_one_clear_error(name: str) -> None:
    with pytest.raises(NamespaceError):
        open_namespace(name)
