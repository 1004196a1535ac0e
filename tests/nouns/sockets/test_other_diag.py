"""The decoders of packet and netlink sockets, against ss and procfs; of vsock and xdp, on bytes as in their headers."""

from __future__ import annotations

import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from fake_kernel import attribute, message, recorded, runs_of
from held_sockets import Held, Sockets
from hypothesis import given
from hypothesis import strategies as st
from patience import standing_still
from tcp_states import every_socket
from throwaway import Namespace

from netinspect.engine.table import Endpoint, Table
from netinspect.errors import NetlinkError
from netinspect.nouns.sockets.decode_other import FAMILIES, Decoder, request
from netinspect.records import Memory, Socket

AF = {"packet": 17, "netlink": 16, "vsock": 40, "xdp": 44}
COOKIE = (3 << 32) + 2
HEADED = [name for name, family in FAMILIES.items() if family.cookie is not None]
"""Those whose answers begin with the family: all but tipc (test_tipc.py)."""


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sockets]:
    namespace = Namespace()
    with every_socket(namespace, tmp_path_factory.mktemp("sockets")) as made:
        yield made
    namespace.close()


def decoded(family: str, data: list[bytes], name: Callable[[int], str] = "if{}".format) -> list[Socket]:
    decoder = Decoder(family, name)
    return [record for run in runs_of(data) for batch in decoder.batches(run) for record in batch]


def listed(held: Sockets, family: str) -> list[Socket]:
    data = held.namespace.call(lambda: recorded(request(family)))
    return held.namespace.call(lambda: decoded(family, data, socket.if_indextoname))


def table(held: Sockets, name: str) -> list[dict[str, str]]:
    """The rows of a table of procfs, by heading."""

    def read() -> list[list[str]]:
        with open(f"/proc/thread-self/net/{name}") as lines:
            return [line.split() for line in lines]

    headings, *rows = held.namespace.call(read)
    return [dict(zip(headings, row, strict=True)) for row in rows]


@pytest.mark.parametrize("family", ["packet", "netlink"])
def test_every_socket_that_is_held_is_listed_once_with_all_that_is_known_of_it(held: Sockets, family: str) -> None:
    known = Counter(one[1:] for one in held if one.protocol == family)
    found = Counter(tuple(getattr(record, field) for field in Held._fields[1:]) for record in listed(held, family))
    assert known - found == Counter()
    if family == "packet":
        assert found == known


def test_packets_that_nobody_reads_are_in_the_receive_queue(held: Sockets) -> None:
    (record,) = [record for record in listed(held, "packet") if record.inode == held["packet all"].inode]
    assert record.recv_queue > 0
    assert record.memory is not None
    assert record.recv_queue == record.memory.receive_allocated


def test_answers_that_nobody_reads_are_in_the_receive_queue(held: Sockets) -> None:
    (record,) = [record for record in listed(held, "netlink") if record.inode == held["netlink unread"].inode]
    assert record.recv_queue > 0


def test_netlink_groups_are_those_that_were_joined(held: Sockets) -> None:
    records = {record.inode: record for record in listed(held, "netlink")}
    assert records[held["netlink route"].inode].groups == (1, 3, 5)
    assert records[held["netlink uevent"].inode].groups == (1,)
    assert not records[held["netlink unread"].inode].groups


def test_the_kernels_own_netlink_sockets_have_port_0(held: Sockets) -> None:
    kernels = [record for record in listed(held, "netlink") if record.local_port == 0]
    assert {"route", "sock_diag", "generic"} <= {record.local_address for record in kernels}
    assert {(record.state, record.remote_port) for record in kernels} == {("UNCONNECTED", None)}


def test_group_members_are_listed_once_though_the_kernel_reports_them_twice(held: Sockets) -> None:
    data = held.namespace.call(lambda: recorded(request("netlink")))
    told = Counter(struct.unpack_from("=I", single, 32)[0] for single in data)
    listed_once = Counter(record.inode for record in decoded("netlink", data))
    assert set(listed_once.values()) == {1}
    assert listed_once.keys() == told.keys()
    member = netlink(0, (1, struct.pack("@L", 1)))
    assert len(decoded("netlink", [member, member])) == 1
    assert len(decoded("netlink", [member, netlink(0), member])) == 1


def test_procfs_has_the_same_netlink_sockets(held: Sockets) -> None:
    names = {"0": "route", "4": "sock_diag", "15": "kobject_uevent", "16": "generic"}

    shown = Counter(
        (names[row["Eth"]], int(row["Pid"]), int(row["Inode"]), int(row["Pid"]) and int(row["Rmem"]), int(row["Wmem"]))
        for row in table(held, "netlink")
        if row["Eth"] in names
    )
    found = Counter(
        (record.local_address, port, record.inode, port and record.recv_queue, record.send_queue)
        for record in listed(held, "netlink")
        if (port := record.local_port or 0) == 0 or record.local_address != "sock_diag"  # the one that asks
        if record.local_address in names.values()
    )
    assert found == shown


def test_procfs_has_the_same_packet_sockets(held: Sockets) -> None:
    names = {"0003": "all", "0806": "arp", "1234": "0x1234", "0000": "none"}
    index = held.namespace.call(lambda: {"0": None} | {str(number): name for number, name in socket.if_nameindex()})
    shown = {
        (int(row["Inode"]), names[row["Proto"]], index[row["Iface"]], {"3": "raw", "2": "dgram"}[row["Type"]])
        for row in table(held, "packet")
    }
    assert shown == {
        (record.inode, record.local_address, record.interface, record.type) for record in listed(held, "packet")
    }


def test_ss_shows_the_same_packet_sockets(held: Sockets, need: Callable[[str], None]) -> None:
    need("ss")
    # Packets arrive meanwhile: the kernel reports its memberships.
    before, result = standing_still(
        lambda: listed(held, "packet"), lambda: held.namespace.run("ss", "-H", "-O", "-n", "-a", "-0", "-e", "-m")
    )
    pattern = r"(p_\w+) +UNCONN +(\d+) +(\d+) +(\S+):(\S+) +\* +(?:uid:(\d+) )?ino:(\d+) sk:(\w+) .*(skmem:\S+)"
    rows = [re.match(pattern, line) for line in result.stdout.splitlines()]
    records = {record.inode: record for record in before}
    assert len(rows) == len(records)
    protocols = {"all": "*", "arp": "[2054]", "0x1234": "[4660]", "none": "[0]"}
    for row in rows:
        assert row is not None
        kind, received, sent, protocol, interface, uid, inode, cookie, memory = row.groups()
        record = records[int(inode)]
        assert record.type == {"p_raw": "raw", "p_dgr": "dgram"}[kind]
        assert record.recv_queue == int(received)
        assert sent == "0"  # which ss never fills in
        assert protocols[record.local_address or ""] == protocol
        assert (record.interface or "*") == interface
        assert record.uid == int(uid or 0)
        assert record.cookie == int(cookie, 16)
        assert list(record.memory or ()) == list(map(int, re.findall(r"\d+", memory)))


def test_ss_shows_the_same_netlink_sockets(held: Sockets, need: Callable[[str], None]) -> None:
    need("ss")
    # Members of groups are told of neighbours, and of devices of the machine.
    records, result = standing_still(
        lambda: [
            record
            for record in listed(held, "netlink")
            if record.local_address in ("route", "kobject_uevent", "generic") and record.local_port
        ],
        lambda: held.namespace.run("ss", "-H", "-O", "-n", "-a", "-e", "-m", "-f", "netlink"),
    )
    pattern = r"(?:nl +)?UNCONN +(\d+) +(\d+) +(\w+):(\S+) +(\S+) .*groups=0x(\w+)\s+(skmem:\S+)"
    shown: set[tuple[object, ...]] = set()
    for line in result.stdout.splitlines():
        row = re.match(pattern, line)
        assert row is not None
        received, sent, protocol, port, destination, groups, memory = row.groups()
        if protocol in ("0", "15", "16", "rtnl", "uevent", "genl") and port != "0":
            # ss tells a port id as a signed number, and the groups up to 32.
            figures = tuple(map(int, re.findall(r"\d+", memory)))
            shown.add((int(port) % (1 << 32), int(received), int(sent), destination, int(groups, 16), figures))
    found = {
        (
            record.local_port,
            record.recv_queue,
            record.send_queue,
            "*" if record.remote_port is None else f"0:{record.remote_port}",
            sum(1 << number - 1 for number in record.groups or () if number <= 32),
            tuple(record.memory or ()),
        )
        for record in records
    }
    assert found == shown


def test_a_family_that_this_kernel_lacks_is_not_found(namespace: Namespace) -> None:
    for family in ("vsock", "xdp"):
        try:
            namespace.call(lambda: recorded(request(family)))  # noqa: B023
        except NetlinkError as error:
            missing = error.errno
        else:
            missing = 2
        assert missing == 2


# --- bytes made by the headers ---------------------------------------------------------------------------------------

MEMORY = tuple(range(100, 109))


def vsock(state: int, *, shutdown: int = 0, kind: int = 1, local: int = 3, port: int = 1024, remote: int = 2) -> bytes:
    """struct vsock_diag_msg (linux/vm_sockets_diag.h)."""
    body = struct.pack("=BBBB5I", AF["vsock"], kind, state, shutdown, local, port, remote, 22, 77)
    return message(20, body + struct.pack("=II", 2, 3))


def xdp(*attributes: tuple[int, bytes], kind: int = 3) -> bytes:
    """struct xdp_diag_msg (linux/xdp_diag.h)."""
    body = struct.pack("=BBxxIII", AF["xdp"], kind, 88, 2, 3)
    return message(20, body + b"".join(attribute(*pair) for pair in attributes))


def netlink(state: int, *attributes: tuple[int, bytes], protocol: int = 0, cookie: int = COOKIE) -> bytes:
    """struct netlink_diag_msg (linux/netlink_diag.h)."""
    body = struct.pack("=BBBB6I", AF["netlink"], 3, protocol, state, 5, 44, 1, 99, cookie & 0xFFFFFFFF, cookie >> 32)
    return message(20, body + b"".join(attribute(*pair) for pair in attributes))


def test_a_vsock_connection_is_decoded() -> None:
    (record,) = decoded("vsock", [vsock(1, shutdown=2)])
    assert record == Socket(
        protocol="vsock",
        family="vsock",
        type="stream",
        state="ESTABLISHED",
        recv_queue=0,
        send_queue=0,
        local_address="3",
        local_port=1024,
        remote_address="host",
        remote_port=22,
        interface=None,
        uid=None,
        inode=77,
        cookie=COOKIE,
        shutdown="send",
    )


@pytest.mark.parametrize(
    ("number", "address"), [(0, "hypervisor"), (1, "local"), (2, "host"), (3, "3"), (0xFFFFFFFF, "*")]
)
def test_a_vsock_address_has_its_name(number: int, address: str) -> None:
    assert decoded("vsock", [vsock(10, local=number)])[0].local_address == address


def test_any_vsock_port_is_none() -> None:
    assert [record.local_port for record in decoded("vsock", [vsock(10, port=0xFFFFFFFF), vsock(10, port=0)])] == [
        None,
        0,
    ]


def test_vsock_states_are_those_of_tcp() -> None:
    states = {record.state for record in decoded("vsock", [vsock(number) for number in (1, 2, 7, 10, 11)])}
    assert states == {"ESTABLISHED", "SYN_SENT", "UNCONNECTED", "LISTEN", "CLOSING"}


def test_an_xdp_socket_is_decoded() -> None:
    data = [
        xdp(
            (1, struct.pack("=II", 4, 7)),
            (2, struct.pack("=I", 1000)),
            (3, struct.pack("=I", 2048)),
            (8, struct.pack("=9I", *MEMORY)),
        )
    ]
    (record,) = decoded("xdp", data)
    assert record == Socket(
        protocol="xdp",
        family="xdp",
        type="raw",
        state="UNCONNECTED",
        recv_queue=100,
        send_queue=102,
        local_address=None,
        local_port=7,
        remote_address=None,
        remote_port=None,
        interface="if4",
        uid=1000,
        inode=88,
        cookie=COOKIE,
        memory=Memory(*MEMORY),
        drops=MEMORY[-1],
    )


def test_an_xdp_socket_without_a_device_is_decoded() -> None:
    (record,) = decoded("xdp", [xdp()])
    assert (record.interface, record.local_port, record.memory, record.uid) == (None, None, None, None)


@pytest.mark.parametrize(("device", "text"), [((4, 0), "if4:q0"), ((4, 7), "if4:q7"), (None, "*")])
def test_an_xdp_socket_is_shown_at_its_queue_also_the_first(device: tuple[int, int] | None, text: str) -> None:
    message = xdp(*([(1, struct.pack("=II", *device))] if device else []))
    output = bytearray()
    table = Table([Endpoint("LOCAL", "local"), Endpoint("REMOTE", "remote")], output.extend, heading=False)
    for run in runs_of([message]):
        for batch in Decoder("xdp", "if{}".format).batches(run):
            table.add(batch)
    table.end()
    assert output.decode().split() == [text, "*"]


@pytest.mark.parametrize(
    ("state", "name", "remote"), [(0, "UNCONNECTED", None), (1, "ESTABLISHED", 44), (7, "UNCONNECTED", None)]
)
def test_a_netlink_socket_is_connected_in_its_own_state_only(state: int, name: str, remote: int | None) -> None:
    for data in ([netlink(state)], [netlink(state), netlink(1, cookie=1), netlink(0, cookie=2)]):
        record = decoded("netlink", data)[0]
        assert (record.state, record.remote_port, record.inode, record.cookie) == (name, remote, 99, COOKIE)


@pytest.mark.parametrize(
    ("raw", "groups"),
    [
        (b"", ()),
        (bytes(8), ()),
        (struct.pack("@L", 1), (1,)),
        (struct.pack("@LL", 1 << 2, 1 << 3), (3, 8 * struct.calcsize("@L") + 4)),
    ],
)
def test_netlink_groups_are_the_bits_of_a_map(raw: bytes, groups: tuple[int, ...]) -> None:
    assert [record.groups for record in decoded("netlink", [netlink(0, (1, raw))])] == [groups]


def test_an_unknown_netlink_protocol_is_shown_by_number() -> None:
    data = [netlink(0, protocol=number, cookie=number) for number in (16, 22, 23, 31)]
    records = decoded("netlink", data)
    assert [record.local_address for record in records] == ["generic", "smc", "23", "31"]


def test_memory_of_an_older_kernel_has_no_drops() -> None:
    (record,) = decoded("netlink", [netlink(0, (0, struct.pack("=8I", *MEMORY[:8])))])
    assert record.memory == Memory(*(*MEMORY[:8], 0))


@pytest.mark.parametrize("family", HEADED)
def test_identities_are_the_low_words_of_the_cookies(family: str) -> None:
    body = FAMILIES[family].body
    cookies = [(7 << 32) + number for number in (1, 0xFFFFFFFF)]
    data = [message(20, bytes([AF[family]]) + bytes(body - 9) + struct.pack("=II", low, 7)) for low in (1, 0xFFFFFFFF)]
    (run,) = runs_of(data)
    assert list(Decoder(family, str).identities(run)) == [1, 0xFFFFFFFF]
    assert [record.cookie for record in decoded(family, data)] == cookies


@pytest.mark.parametrize("family", HEADED)
def test_a_socket_of_another_family_is_malformed(family: str) -> None:
    with pytest.raises(NetlinkError, match=f"a socket of another address family than {AF[family]}"):
        decoded(family, [message(20, bytes(FAMILIES[family].body))])


@given(
    st.sampled_from(HEADED),
    st.binary(min_size=31, max_size=31),
    st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=40)), max_size=5),
)
def test_attributes_of_any_content_are_decoded_or_a_netlink_error(
    family: str, body: bytes, found: list[tuple[int, bytes]]
) -> None:
    header = bytes([AF[family]]) + body[: FAMILIES[family].body - 1]
    data = [message(20, header + b"".join(attribute(*pair) for pair in found))] * 2
    try:
        records = decoded(family, data)
    except NetlinkError:
        return
    assert len(records) == (1 if family == "netlink" else 2)
