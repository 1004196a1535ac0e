"""Decoding of memberships: what procfs and netlink may answer, and what groups are called."""

from __future__ import annotations

import socket
import sys
from collections import Counter
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.netlink.messages import Run
from netinspect.errors import NetinspectError, NetlinkError
from netinspect.nouns.groups import decode as multicast
from netinspect.nouns.groups import decode_packet as packet_memberships
from netinspect.nouns.groups import decode_text as multicast_text
from netinspect.nouns.groups import request_filter as multicast_filter
from netinspect.nouns.groups.names import group_name
from netinspect.uapi.rtnetlink import RTM_GETMULTICAST, RTM_NEWMULTICAST

READERS = {
    "igmp": multicast_text.igmp,
    "igmp6": multicast_text.igmp6,
    "dev_mcast": multicast_text.link_layer,
    "mcfilter": lambda text: multicast_text.source_filters(text, "inet"),
    "mcfilter6": lambda text: multicast_text.source_filters(text, "inet6"),
    "ip_mr_vif": lambda text: list(multicast_text.multicast_interfaces(text, "inet")),
}


def word(address: str) -> str:
    """A 32-bit number in the order of the network, as the kernel prints it."""
    return f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}"


HOSTS, OTHER = word("224.0.0.1"), word("239.1.1.1")
IGMP = (
    "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
    f"2\teth0      :     2      V3\n\t\t\t\t{OTHER}     2 1:00000064\t\t1\n\t\t\t\t{HOSTS}     1 0:00000000\t\t0\n"
    f"3\tvery-long-name1:     1      V2\n\t\t\t\t{HOSTS}     1 0:00000000\t\t0\n"
)


def test_every_column_of_igmp_is_read() -> None:
    found = multicast_text.igmp(IGMP)
    assert set(found) == {(2, "239.1.1.1"), (2, "224.0.0.1"), (3, "224.0.0.1")}
    told = found[2, "239.1.1.1"]
    assert (told.interface, told.users, told.version, told.timer, told.reporter) == ("eth0", 2, "IGMPv3", 1.0, True)
    assert (found[3, "224.0.0.1"].interface, found[3, "224.0.0.1"].version) == ("very-long-name1", "IGMPv2")
    assert found[2, "224.0.0.1"].timer is None


def test_timer_and_reporter_of_igmp6_are_in_its_flags() -> None:
    line = "2    eth0            ff150000000000000000000000010001     1 {:08X} 50\n"
    ((key, told),) = multicast_text.igmp6(line.format(0x03)).items()
    assert key == (2, "ff15::1:1")
    assert (told.interface, told.users, told.timer, told.reporter) == ("eth0", 1, 0.5, True)
    ((_, told),) = multicast_text.igmp6(line.format(0x04)).items()
    assert (told.timer, told.reporter) == (None, False)


@pytest.mark.parametrize("name", READERS)
@given(text=st.text(alphabet="0123456789abcdefXV:\t \n-", max_size=200))
def test_a_file_that_makes_no_sense_gives_one_clear_error(name: str, text: str) -> None:
    try:
        READERS[name](text)
    except NetinspectError as error:
        message = str(error)
    else:
        return
    assert message.startswith(f"/proc/net/{name}: ")


users = st.lists(
    st.tuples(st.sampled_from(["include", "exclude"]), st.sets(st.sampled_from("abcd"), max_size=3)).filter(
        lambda user: user[0] == "exclude" or user[1]
    ),
    min_size=1,
    max_size=4,
)


@given(users)
def test_the_mode_from_counts_is_the_true_one_or_none(users: list[tuple[str, set[str]]]) -> None:
    filters = multicast_text.SourceFilter()
    for mode, counts in (("include", filters.included), ("exclude", filters.excluded)):
        counts.update(Counter(source for which, sources in users if which == mode for source in sources))
    # RFC 3376, section 3.2: one that excludes makes the interface exclude.
    truth = "exclude" if any(mode == "exclude" for mode, _ in users) else "include"
    assert filters.mode(len(users)) in (truth, None)
    if len(users) == 1:
        assert filters.mode(1) == truth
    # ip_check_mc_rcu in net/ipv4/igmp.c
    asked = {source for mode, sources in users if mode == "include" for source in sources}
    refusals = [sources for mode, sources in users if mode == "exclude"]
    refused = set.intersection(*refusals) - asked if refusals else set()
    told = filters.refused(len(users))
    assert told is None or set(told) == refused
    if len({mode for mode, _ in users}) == 1:
        assert told is not None


def messages(kind: int, family: int, group: bytes) -> Run:
    body = pack("=BxxxI", family, 7) + pack("=HH", 4 + len(group), 7) + group
    data = pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body
    return Run(data, kind, len(data), 1)


@pytest.mark.parametrize("kind", [RTM_NEWMULTICAST, RTM_GETMULTICAST])
@pytest.mark.parametrize("group", ["239.1.1.1", "ff15::1"])
def test_both_kinds_of_answer_are_taken(kind: int, group: str) -> None:
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    (found,) = multicast.groups(messages(kind, family, socket.inet_pton(family, group)))
    assert (found.group, found.index, found.created, found.left) == (group, 7, None, False)


@pytest.mark.parametrize(("family", "size"), [(2, 16), (10, 4), (99, 4)])
def test_a_group_of_another_size_or_family_is_malformed(family: int, size: int) -> None:
    with pytest.raises(NetlinkError, match="malformed"):
        list(multicast.groups(messages(RTM_NEWMULTICAST, family, bytes(size))))


@given(st.binary(min_size=16, max_size=200).map(lambda data: data + bytes(-len(data) % 4)))
def test_packet_sockets_with_senseless_attributes_raise_nothing_else(body: bytes) -> None:
    data = pack("=IHHII", 16 + len(body), 20, 0, 0, 0) + body
    try:
        list(packet_memberships.memberships(Run(data, 20, len(data), 1)))
    except NetlinkError:
        pass


@given(st.sampled_from(["inet", "inet6"]), st.integers(0, 1), st.integers(0, 8))
def test_a_filter_is_read_as_written(family: str, mode: int, count: int) -> None:
    group = {"inet": "239.1.1.1", "inet6": "ff15::1"}[family]
    request = multicast_filter.filter_request(family, 3, group, 8)
    head = len(request) - 8 * 128
    number = socket.AF_INET if family == "inet" else socket.AF_INET6
    sources = [f"10.0.0.{n}" if family == "inet" else f"fd00::{n + 1:x}" for n in range(count)]
    entries = b"".join(
        (bytes(4) if family == "inet" else bytes(8)).join((b"", socket.inet_pton(number, source))).ljust(128, b"\0")
        for source in sources
    )
    answer = request[: head - 8] + pack("=II", mode, count) + entries
    assert multicast_filter.filter_answer(answer, family) == (("exclude", "include")[mode], count, tuple(sources))


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("224.0.0.1", "all systems on this link"),
        ("224.0.0.251", "multicast DNS"),
        ("224.0.0.99", "local network control"),
        ("239.255.255.250", "SSDP: UPnP discovery"),
        ("239.1.1.1", "administratively scoped"),
        ("239.195.0.1", "organization-local scope"),
        ("232.1.1.1", "source-specific multicast"),
        ("225.1.1.1", None),
        ("ff02::1", "all nodes on this link"),
        ("ff02::1:ff12:3456", "neighbour discovery of addresses that end in 12:3456"),
        ("ff02::1:3", "LLMNR: link-local multicast name resolution"),
        ("ff3e::8000:1", "source-specific multicast, global"),
        ("ff3e:40:2001:db8::1", "assigned by unicast prefix, global"),
        ("ff15::1", "not registered, this site"),
        ("01:00:5e:00:00:fb", "IPv4 224.0.0.251 (multicast DNS)"),
        ("01:00:5e:01:01:01", "IPv4 *.1.1.1 or *.129.1.1"),
        ("33:33:00:00:00:fb", "IPv6 ff02::fb (multicast DNS)"),
        ("33:33:ff:12:34:56", "IPv6 ff02::1:ff12:3456 (neighbour discovery)"),
        ("01:80:c2:00:00:0e", "LLDP, PTP peer delay"),
        ("02:00:00:00:00:01", None),
    ],
)
def test_groups_are_called_what_they_are_registered_for(group: str, name: str | None) -> None:
    assert group_name(group) == name


@given(
    st.one_of(
        st.ip_addresses(v=4).map(str),
        st.ip_addresses(v=6).map(str),
        st.binary(min_size=6, max_size=20).map(lambda octets: octets.hex(":")),
    )
)
def test_every_address_has_a_name_or_none(group: str) -> None:
    name = group_name(group)
    assert name is None or name.isprintable()
