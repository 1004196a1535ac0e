"""``netinspect snapshot`` and ``netinspect diff``: what is written is read again, and what changed is reported."""

from __future__ import annotations

import itertools
import json
import os
import socket
import string
import struct
import subprocess
import types
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tcp_states import await_states, every_socket
from throwaway import NETINSPECT, Namespace

from netinspect import records
from netinspect.engine.columns import Batch
from netinspect.engine.json_schema import array_schema
from netinspect.engine.schema import rows_of
from netinspect.engine.structured import dumps
from netinspect.errors import IncomparableError, SnapshotError
from netinspect.records import Difference
from netinspect.snapshots.compare import differences
from netinspect.snapshots.nouns import NOUNS
from netinspect.snapshots.read import parse, read, read_both
from netinspect.snapshots.take import FORMAT, End, Header, Snapshot, SnapshotNamespace, write


def diff(namespace: Namespace, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and differences."""
    result = namespace.netinspect("diff", "--json", *arguments, check=False)
    assert result.stderr == "", result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)
    Draft202012Validator(array_schema(Difference)).validate(found)
    return result.returncode, found


@pytest.fixture
def before(namespace: Namespace, tmp_path: Path) -> str:
    """A snapshot of the fresh namespace."""
    path = str(tmp_path / "before")
    namespace.netinspect("snapshot", path)
    return path


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    """Sockets that are closed behind the test."""
    kept: list[socket.socket] = []
    yield kept
    for one in kept:
        one.close()


# What changed


def test_nothing_has_changed_where_nothing_happened(
    namespace: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("zoo")  # a name short enough for unix sockets
    path = str(directory / "snapshot")
    with every_socket(namespace, directory):
        namespace.netinspect("snapshot", path)
        assert diff(namespace, path, "--ignore", "sockets") == (0, [])
        # TCP's own timers end some of these sockets while the test runs.
        still = [one for one in diff(namespace, path, "--only", "sockets")[1] if one["before"]["state"] == "LISTEN"]
        assert still == []
        assert diff(namespace, path, path) == (0, [])
        assert diff(namespace, path, path, "--all-fields") == (0, [])
        assert namespace.netinspect("diff", path, path).stdout == ""


def test_a_listener_that_came_and_one_that_went(
    namespace: Namespace, tmp_path: Path, opened: list[socket.socket]
) -> None:
    path = str(tmp_path / "snapshot")
    first = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    gone = first.getsockname()[1]
    namespace.netinspect("snapshot", path)
    opened.append(namespace.call(lambda: socket.create_server(("0.0.0.0", 0))))
    first.close()
    status, found = diff(namespace, path)
    assert status == 1
    told = {(one["change"], (one["before"] or one["after"])["local_port"]) for one in found}
    assert told == {("removed", gone), ("added", opened[0].getsockname()[1])}
    assert all(one["noun"] == "sockets" and (one["before"] is None) != (one["after"] is None) for one in found)
    table = namespace.netinspect("diff", path, check=False)
    assert table.returncode == 1
    assert [line.split()[:4] for line in table.stdout.splitlines()[1:]] == [
        ["removed", "sockets", "tcp", "LISTEN"],
        ["added", "sockets", "tcp", "LISTEN"],
    ]


def test_a_connection_that_is_being_closed_has_changed(namespace: Namespace, tmp_path: Path) -> None:
    path = str(tmp_path / "snapshot")
    with namespace.call(lambda: socket.create_server(("127.0.0.1", 0))) as listener:
        client = namespace.call(lambda: socket.create_connection(listener.getsockname()))
        accepted = listener.accept()[0]
        namespace.netinspect("snapshot", path)
        client.shutdown(socket.SHUT_WR)
        await_states((client, "FIN_WAIT2"), (accepted, "CLOSE_WAIT"))  # the answer to its end is delayed by 40 ms
        _, found = diff(namespace, path)
        table = namespace.netinspect("diff", path, check=False).stdout
        client.close()
        accepted.close()
    states = {(one["change"], one["before"]["state"], one["after"]["state"]) for one in found}
    assert states == {("changed", "ESTABLISHED", "FIN_WAIT2"), ("changed", "ESTABLISHED", "CLOSE_WAIT")}
    assert all("state" in one["fields"] for one in found)
    assert "state ESTABLISHED -> CLOSE_WAIT" in table


@pytest.mark.parametrize(
    ("change", "expected", "fields"),
    [
        ("ip route add 10.9.0.0/16 dev lo metric 5", "added routes 10.9.0.0/16 dev lo proto boot metric 5", []),
        (
            "ip route change 10.8.0.0/16 dev lo mtu 1400",
            "changed routes 10.8.0.0/16 dev lo proto boot mtu 1400",
            ["metrics"],
        ),
        ("ip route del 10.8.0.0/16", "removed routes 10.8.0.0/16 dev lo proto boot", []),
        ("ip rule add from 10.0.0.0/8 lookup 9 pref 7", "added rules inet 7: from 10.0.0.0/8 lookup 9", []),
        ("ip link set lo alias front", "changed links lo up,loopback", ["alias"]),
        ("ip link add v0 type bridge", "added links v0 bridge", []),
        ("ip addr change 10.1.0.1/32 dev lo metric 9", "changed addresses 10.1.0.1/32 on lo", ["metric"]),
        ("ip addr add 10.2.0.1/32 dev lo noprefixroute", "added addresses 10.2.0.1/32 on lo", []),
    ],
)
def test_routes_rules_links_and_addresses(
    namespace: Namespace, need: Callable[[str], None], tmp_path: Path, change: str, expected: str, fields: list[str]
) -> None:
    need("ip")
    path = str(tmp_path / "snapshot")
    namespace.run("ip", "-batch", "-", input="route add 10.8.0.0/16 dev lo\naddr add 10.1.0.1/32 dev lo\n")
    namespace.netinspect("snapshot", path, "--ignore", "sockets")
    assert diff(namespace, path) == (0, [])
    namespace.run(*change.split())
    status, found = diff(namespace, path, "--only", expected.split()[1])
    assert status == 1
    (one,) = found
    assert f"{one['change']} {one['noun']} {one['what']}".startswith(expected)
    assert one["fields"] == fields


def test_flows_and_memberships(
    namespace: Namespace, need: Callable[[str], None], tmp_path: Path, opened: list[socket.socket]
) -> None:
    need("nft")
    path = str(tmp_path / "snapshot")
    namespace.run(
        "nft", "add table t; add chain t o { type filter hook output priority 0; }; add rule t o ct state new"
    )
    namespace.netinspect("snapshot", path)
    sender = namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    opened.append(sender)
    request = socket.inet_aton("239.1.1.1") + struct.pack("@4si", bytes(4), 1)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    sender.sendto(b"x", ("127.0.0.1", 9))
    _, found = diff(namespace, path, "--ignore", "sockets")
    told = {(one["noun"], one["after"].get("destination_port") or one["after"].get("group")) for one in found}
    assert {("flows", 9), ("groups", "239.1.1.1")} <= told
    assert {one["change"] for one in found} == {"added"}


def test_another_process_id_is_no_change_but_another_program_is(namespace: Namespace, tmp_path: Path) -> None:
    path = str(tmp_path / "snapshot")
    with namespace.call(lambda: socket.create_server(("127.0.0.1", 0))) as listener:

        def hold(*argv: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(argv, pass_fds=[listener.fileno()])

        holder = hold("sleep", "20")
        namespace.netinspect("wait", "listening", f":{listener.getsockname()[1]}", "--process", "sleep")
        namespace.netinspect("snapshot", path)
        holder.kill()
        holder.wait()
        holder = hold("sleep", "20")
        namespace.netinspect("wait", "listening", f":{listener.getsockname()[1]}", "--process", "sleep")
        assert diff(namespace, path) == (0, [])
        status, (found,) = diff(namespace, path, "--all-fields", "--only", "sockets")
        assert (status, found["change"], found["fields"]) == (1, "changed", ["processes"])
        holder.kill()
        holder.wait()
        status, (found,) = diff(namespace, path)
        assert (status, found["change"], found["fields"]) == (1, "changed", ["processes"])


def test_the_namespaces_of_the_snapshot_are_looked_at_again(
    namespace: Namespace, tmp_path: Path, opened: list[socket.socket]
) -> None:
    other, path = Namespace(), str(tmp_path / "snapshot")
    namespace.netinspect("snapshot", path, "--netns", other.path)
    opened.append(namespace.call(lambda: socket.create_server(("127.0.0.1", 0))))
    assert diff(namespace, path) == (0, [])
    assert diff(namespace, path, "--netns", namespace.path)[0] == 1
    both = str(tmp_path / "both")
    namespace.netinspect("snapshot", both, "--netns", other.path, "--netns", namespace.path)
    opened.append(other.call(lambda: socket.create_server(("127.0.0.1", 0))))
    _, found = diff(namespace, both)
    assert [(one["change"], one["netns"]) for one in found] == [("added", other.path)]
    result = namespace.netinspect("diff", path, both, check=False)
    assert result.returncode == 2
    assert "one snapshot has one network namespace, the other several" in result.stderr
    other.close()


# The file


def test_the_file_is_lines_of_ascii_json_with_header_and_end(namespace: Namespace, tmp_path: Path) -> None:
    with namespace.call(lambda: socket.socket(socket.AF_UNIX)) as odd:
        odd.bind("\0\x1b[31m\u202e\n\x9b")
        written = subprocess.run(
            ["nsenter", f"--net={namespace.path}", *NETINSPECT, "snapshot", "-"], capture_output=True, check=True
        ).stdout
    assert set(written) <= set(range(32, 127)) | {10}
    first, *rows, last = map(json.loads, written.decode().splitlines())
    assert (first["noun"], first["format"], first["nouns"]) == ("snapshot", FORMAT, [*NOUNS])
    assert (last["noun"], last["records"], last["problems"]) == ("end", len(rows), [])
    for row in rows:
        noun = NOUNS[row.pop("noun")]
        Draft202012Validator(array_schema(getattr(records, noun.record))).validate([row])
        assert tuple(row) == noun.fields
    assert "netlink" not in {row.get("protocol") for row in rows if "inode" in row}


def test_only_the_nouns_that_were_asked_for(namespace: Namespace, tmp_path: Path) -> None:
    path = str(tmp_path / "snapshot")
    namespace.netinspect("snapshot", path, "--only", "routes,groups")
    assert read(path).header.nouns == ("routes", "groups")
    whole = str(tmp_path / "whole")
    namespace.netinspect("snapshot", whole, "--ignore", "groups")
    assert read(whole).header.nouns == tuple(noun for noun in NOUNS if noun != "groups")
    result = namespace.netinspect("diff", path, whole)
    assert (
        "not compared, since only one snapshot has them: addresses, flows, groups, links, rules, sockets"
        in result.stderr
    )
    assert namespace.netinspect("diff", path, "--only", "sockets", check=False).returncode == 2


def test_what_cannot_be_listed_is_in_the_file_and_makes_a_comparison_trouble(
    namespace: Namespace, tmp_path: Path, before: str
) -> None:
    # In a user namespace that does not own the network namespace ctnetlink refuses.
    command = ["unshare", "--user", *NETINSPECT, "snapshot", "-"]
    result = namespace.run(*command, check=False)
    assert result.returncode == 3
    assert "CAP_NET_ADMIN" in result.stderr
    path = tmp_path / "incomplete"
    path.write_text(result.stdout)
    # Where TIPC is loaded, each namespace has a socket of the kernel's, whose owner only root can tell.
    assert set(read(str(path)).end.incomplete) - {"sockets"} == {"flows"}
    compared = namespace.netinspect("diff", before, str(path), check=False)
    assert compared.returncode == 2
    assert "CAP_NET_ADMIN" in compared.stderr
    assert namespace.netinspect("diff", before, str(path), "--ignore", "flows,sockets").returncode == 0


def test_a_snapshot_that_fails_leaves_no_file(namespace: Namespace, tmp_path: Path, before: str) -> None:
    kept = Path(before).read_bytes()
    assert namespace.netinspect("snapshot", before, "--netns", "no-such-namespace", check=False).returncode == 1
    assert Path(before).read_bytes() == kept
    assert namespace.netinspect("snapshot", str(tmp_path / "no" / "such"), check=False).returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["before"]
    link = tmp_path / "link"
    link.symlink_to(before)
    namespace.netinspect("snapshot", str(link), "--only", "routes")
    assert link.is_symlink()
    assert read(before).header.nouns == ("routes",)


HEADER = Header("snapshot", FORMAT, "1", "host", "Linux", 0.0, (), False, (SnapshotNamespace(None, 1),), ("routes",))


def lines(*objects: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


WRITTEN = json.loads(dumps(HEADER))
END = json.loads(dumps(End("end", 0, (), (), ())))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("no JSON\n", ":1: not a snapshot"),
        ("[]\n", ":1: not a snapshot"),
        ("{}\n", "not a header"),
        (lines({"noun": "routes"}), "not a header"),
        (lines({**WRITTEN, "format": FORMAT + 1}), "newer"),
        (lines(WRITTEN), "truncated after 0 records"),
        (lines(WRITTEN, {**END, "records": 1}), "truncated"),
        (lines(WRITTEN, {"noun": "towns"}), ":2: malformed: no noun 'towns'"),
        (lines(WRITTEN, {"noun": "routes", "flags": 7}), ":2: malformed"),
        (lines(WRITTEN) + '{"noun":"rou', ":2: malformed"),
        (lines(WRITTEN, END, {"noun": "routes"}), "after the trailer"),
        ("[" * 100_000 + "\n", "not a snapshot"),
    ],
)
def test_what_is_no_whole_snapshot_is_refused(text: str, message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        parse(text.encode().splitlines(), "file")


@given(st.binary())
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(data)
    with pytest.raises(SnapshotError):
        read(str(path))


@pytest.mark.parametrize(
    "arguments",
    ["", "a b c", "a b --netns c", "- -", "a --only towns", "a --only routes --ignore flows", "no-such-file", "/"],
)
def test_errors_have_their_own_exit_status(namespace: Namespace, arguments: str) -> None:
    result = namespace.netinspect("diff", *arguments.split(), check=False, input="")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


# What is written is read again


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return values(arguments[0])
    if origin in (Union, types.UnionType):
        return st.one_of(map(values, arguments))
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(values, arguments))
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if hasattr(hint, "_fields"):
        return st.tuples(*map(values, get_type_hints(hint, include_extras=True).values())).map(hint._make)
    return {
        int: st.integers(-(2**63), 2**64 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: st.text(st.characters(codec="utf-8"), max_size=4),
        bool: st.booleans(),
        type(None): st.none(),
    }[hint]


class Given:
    """Instead of what the kernel has, these records."""

    def __init__(self, rows: dict[str, list[Any]]) -> None:
        self._rows = rows

    def batches(self) -> Iterator[tuple[str, Batch]]:
        for name, rows in self._rows.items():
            if rows:
                yield name, rows_of(rows)

    def end(self) -> End:
        return End("end", sum(map(len, self._rows.values())), ("flows: \x1b",), ("flows",), ())


@cache
def fields_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Fields of a noun's record."""
    noun = NOUNS[name]
    hints = get_type_hints(getattr(records, noun.record), include_extras=True)
    return st.fixed_dictionaries({field: values(hint) for field, hint in hints.items() if field in noun.fields})


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@pytest.mark.parametrize("name", NOUNS)
@given(data=st.data())
def test_every_record_is_read_as_it_was_written(name: str, data: st.DataObject) -> None:
    record = getattr(records, NOUNS[name].record)
    rows = [record(**data.draw(fields_of(name))) for _ in range(data.draw(st.integers(1, 2)))]
    # A batch's column has values of one kind, as the decoders make them: JSON's writer counts on it.
    written: list[bytes] = []
    head = HEADER._replace(nouns=(name,))
    for row in rows:
        written.clear()
        end = write(head, Given({name: [row]}), written.append)  # type: ignore[arg-type]
        assert all(chr(byte) in string.printable for byte in b"".join(written))
        found = parse(b"".join(written).splitlines(), "file")
        assert found == Snapshot(head, {name: [row]}, end)


def routes(*texts: str) -> list[records.Route]:
    """Small routes: destination, gateway, expires."""
    made = []
    for text in texts:
        destination, gateway, expires = text.split()
        made.append(
            records.Route(
                "inet", "unicast", destination, gateway, "eth0", "main", "static", "global", 0, None
            )._replace(expires=float(expires))
        )
    return made


def snapshot(rows: list[Any], noun: str = "routes", header: Header = HEADER) -> Snapshot:
    return Snapshot(header, {noun: rows}, End("end", len(rows), (), (), ()))


@given(*[st.lists(st.sampled_from(["a x 1", "a y 1", "a y 2", "b x 1", "b x 2", "c z 1"])) for _ in range(2)])
def test_differences_make_the_second_of_the_first(ones: list[str], others: list[str]) -> None:
    first, second = routes(*ones), routes(*others)
    found = list(differences(snapshot(first), snapshot(second), ["routes"], all_fields=True))
    left = Counter(first)
    left.subtract(one.before for one in found if one.before is not None)
    left.update(one.after for one in found if one.after is not None)
    assert +left == Counter(second)
    assert all(count >= 0 for count in left.values())
    # No more is reported than there is to tell.
    assert sum(one.before is not None for one in found) == (Counter(first) - Counter(second)).total()
    # Without what changes by itself there is less of it, and none where only that has changed.
    fewer = list(differences(snapshot(first), snapshot(second), ["routes"]))
    assert len(fewer) <= len(found)
    assert all("expires" not in one.fields for one in fewer)
    stripped = [Counter(row._replace(expires=None) for row in rows) for rows in (first, second)]
    assert (not fewer) == (stripped[0] == stripped[1])


@given(*[st.lists(st.sampled_from(["a x 1", "a y 1", "a y 2", "b x 1", "b x 2", "c z 1"])) for _ in range(2)])
def test_equal_lines_of_two_files_are_no_difference(
    tmp_path_factory: pytest.TempPathFactory, ones: list[str], others: list[str]
) -> None:
    """They are left out when the files are read, so that a few changes of a million routes take little memory."""
    paths = [tmp_path_factory.getbasetemp() / name for name in ("one", "other")]
    for path, texts in zip(paths, (ones, others), strict=True):
        with path.open("wb") as file:
            write(HEADER, Given({"routes": routes(*texts)}), file.write)  # type: ignore[arg-type]
    found = [
        list(differences(first, second, ["routes"], all_fields=True))
        for first, second in (read_both(*map(str, paths)), [read(str(path)) for path in paths])
    ]
    assert Counter(one.before for one in found[0]) == Counter(one.before for one in found[1])
    assert Counter(one.after for one in found[0]) == Counter(one.after for one in found[1])
    first, second = read_both(*map(str, paths))
    assert sum(map(len, first.records.values())) == (Counter(ones) - Counter(others)).total()
    assert sum(map(len, second.records.values())) == (Counter(others) - Counter(ones)).total()


def test_a_namespace_is_known_again_by_its_inode() -> None:
    def taken(label: str, inode: int) -> Snapshot:
        header = HEADER._replace(namespaces=(SnapshotNamespace("web", 1), SnapshotNamespace(label, inode)))
        return snapshot([row._replace(netns=label) for row in routes("a x 1")], header=header)

    assert list(differences(taken("100", 7), taken("200", 7), ["routes"])) == []
    assert len(list(differences(taken("100", 7), taken("200", 8), ["routes"]))) == 2
    with pytest.raises(IncomparableError):
        list(differences(taken("100", 7), snapshot([]), ["routes"]))


# What others may have done to a file


def changed(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """The value with another one at a place within it."""
    if not path:
        return new
    copied = list(value) if isinstance(value, list) else dict(value)
    copied[path[0]] = changed(copied[path[0]], path[1:], new)
    return copied


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place within a value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


OTHER = (None, True, (1 << 64) - 1, 1.5, "\ud800\n\x1b[31m", [], [[]], ["x"], {})


def test_no_value_of_another_type_is_taken_for_a_record(namespace: Namespace, tmp_path: Path) -> None:
    namespace.run("ip", "route", "add", "10.9.0.0/16", "nexthop", "dev", "lo", "nexthop", "dev", "lo", check=False)
    kept = [namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))]
    path = tmp_path / "snapshot"
    namespace.netinspect("snapshot", str(path))
    kept[0].close()
    text = path.read_text().splitlines()
    head, end = text[0], text[-1]
    seen = set()
    refused = []
    whole = read(str(path))
    for line in text:
        row = json.loads(line)
        if row["noun"] in seen:
            continue
        seen.add(row["noun"])
        for place in places(row):
            for other in OTHER:
                new = json.dumps(changed(row, place, other))
                given = {"snapshot": [new, end], "end": [head, new]}.get(row["noun"], [head, new, END_OF_ONE])
                try:
                    found = parse([one.encode() for one in given], "file")
                except SnapshotError as error:
                    refused.append(str(error))
                    continue
                # What is taken has the right types, so that whatever works with records can work with it.
                assert_typed(found.header, Header)
                for one in itertools.chain(*found.records.values()):
                    assert_typed(one, type(one))
                try:
                    for difference in differences(whole, found, [*found.records]):
                        dumps(difference)
                except IncomparableError:
                    pass
    assert all(text.startswith("file:") and "\n" not in text for text in refused)
    assert seen >= {"snapshot", "end", "sockets", "routes", "rules", "links", "addresses"}


END_OF_ONE = dumps(End("end", 1, (), (), ()))


def assert_typed(value: Any, hint: Any) -> None:
    """The value is of that type, all the way down."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        assert_typed(value, arguments[0])
    elif origin in (Union, types.UnionType):
        matching = [
            one for one in arguments if isinstance(value, (int, float) if one is float else get_origin(one) or one)
        ]
        assert matching, (value, hint)
        assert_typed(value, matching[0])
    elif origin is tuple:
        assert isinstance(value, tuple)
        for inner in value:
            assert_typed(inner, arguments[0])
    elif hasattr(hint, "_fields"):
        assert type(value) is hint
        for field, inner in get_type_hints(hint, include_extras=True).items():
            assert_typed(getattr(value, field), inner)
    else:
        assert type(value) in ((int, float) if hint is float else (hint,)), (value, hint)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"mtu":65536', '"mtu":' + "9" * 400_000),
        ('"netns":[]', '"netns":["/fifo"]'),
        ('"netns":[]', '"netns":["' + "x" * 5000 + '/"]'),
        ('"name":"lo"', '"name":{}'),
    ],
)
def test_a_changed_file_is_trouble_in_one_line(before: str, namespace: Namespace, old: str, new: str) -> None:
    path = Path(before)
    fifo = path.with_name("fifo")
    os.mkfifo(fifo)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new.replace("/fifo", str(fifo)), 1))
    for arguments in ((before,), (before, before)):
        if "netns" in old and len(arguments) == 2:
            continue
        result = namespace.netinspect("diff", *arguments, check=False, timeout=30)
        assert result.returncode == 2
        assert result.stderr.count("\n") == 1
        assert "mistake" not in result.stderr


def test_without_proc_the_rest_is_in_the_snapshot(namespace: Namespace) -> None:
    shell = 'mount -t tmpfs none /proc && exec "$@"'
    result = namespace.run("unshare", "-m", "sh", "-c", shell, "sh", *NETINSPECT, "snapshot", "-", check=False)
    assert result.returncode == 3
    assert all(line.startswith("netinspect: ") for line in result.stderr.splitlines())
    found = parse(result.stdout.encode().splitlines(), "file")
    assert found.records["links"]
    assert "links" not in found.end.incomplete
