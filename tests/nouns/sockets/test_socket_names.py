"""Names of sockets and processes that others chose: distinguished, found again, and no line of their own anywhere."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from owning import child
from throwaway import Namespace

from netinspect.engine.text import raw
from netinspect.nouns.sockets.decode_unix import socket_path

NAMES = (b"@x", b"\0x", b"\0a\0b", b"\0a@b", b"./@x", b"caf\xe9", rb"caf\xe9", b"new\nline", b"a b", b"=1+1", b"a\\")


@pytest.fixture
def named(namespace: Namespace, tmp_path: Path) -> Iterator[Namespace]:
    """A namespace in which sockets of these names listen; paths are below the current directory."""
    with ExitStack() as opened:
        home = os.getcwd()
        opened.callback(os.chdir, home)
        os.chdir(tmp_path)
        for name in NAMES:
            if name == b"./@x":
                continue  # the same file as @x
            listener = opened.enter_context(namespace.call(lambda: socket.socket(socket.AF_UNIX)))
            listener.bind(name)
            listener.listen(1)
        yield namespace


def test_each_name_is_its_own_and_gives_its_bytes_back(named: Namespace) -> None:
    listed = json.loads(named.netinspect("sockets", "-xl", "--json").stdout)
    names = [row["local_address"] for row in listed]
    assert len(set(names)) == len(names)
    assert sorted(map(socket_path, names)) == sorted(set(NAMES) - {b"./@x"})


def test_each_row_of_a_table_and_of_csv_is_one_line(named: Namespace) -> None:
    rows = named.netinspect("sockets", "-xlH").stdout.splitlines()
    assert len(rows) == len(NAMES) - 1
    assert len(set(rows)) == len(rows)
    assert all(map(str.isprintable, rows))
    table = named.netinspect("sockets", "-xl", "--format", "csv", "--columns", "local_address").stdout
    cells = [row[0] for row in csv.reader(io.StringIO(table))][1:]
    assert len(cells) == len(NAMES) - 1
    assert not [cell for cell in cells if cell[0] in "=+-@"]


def test_each_name_is_found_raw_and_as_listed(named: Namespace) -> None:
    listed = json.loads(named.netinspect("sockets", "-xl", "--json").stdout)
    for row in listed:
        name = row["local_address"]
        if "\0" in name:
            name = name.replace("\0", "@")
        named.netinspect("assert", "listening", "--unix", name)
    for name in (b"caf\xe9", b"new\nline", b"./@x", b"@x"):
        named.netinspect("assert", "listening", "--unix", os.fsdecode(name))
        pattern = os.fsdecode(name).replace("\n", "?")  # white space ends a value
        assert named.netinspect("sockets", "-xlH", "src", f"unix:{pattern}").stdout.count("\n") == 1


def test_the_kernels_own_form_is_what_netstat_shows(named: Namespace) -> None:
    shown = {line.rpartition(" ")[2] for line in named.netinspect("netstat", "-xl").stdout.splitlines()[2:]}
    assert {"@x", "@a@b", "@a\\"} <= shown | {"@a\\"}
    assert "./@x" not in shown


@pytest.mark.parametrize("name", [b"svc(1", b"job[3]", b"a\\", b"x\n tcp LISTEN", b"my proc:x", b"caf\xe9"])
def test_names_of_processes_are_taken_literally_but_for_stars_and_question_marks(
    namespace: Namespace, name: bytes
) -> None:
    import ctypes

    libc = ctypes.CDLL(None)
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    port = listener.getsockname()[1]
    with child(lambda: libc.prctl(15, name, 0, 0, 0)) as pid:
        listener.close()
        (row,) = json.loads(namespace.netinspect("sockets", "-tlnp", "--json").stdout)
        (process,) = [process for process in row["processes"] if process["pid"] == pid]
        assert raw(process["name"]) == name
        for pattern in (os.fsdecode(name), os.fsdecode(name[:-1]) + "?", "*" + os.fsdecode(name[1:])):
            found = namespace.netinspect("sockets", "-tlnH", "--process", pattern).stdout
            assert found.count("\n") == 1
        (line,) = namespace.netinspect("sockets", "-tlnpH").stdout.splitlines()
        assert line.isprintable()
        if name == b"a\\":
            assert '(("a\\\\",pid=' in line
        said = namespace.netinspect("assert", "listening", f"127.0.0.9:{port}", check=False).stderr
        assert len(said.splitlines()) == 3
