"""The Python API of connection tracking."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from availability import unavailable
from conntrack_entries import OF_EVERY_KIND, add
from throwaway import Namespace

import netinspect
from netinspect.errors import NamespaceError, UsageError
from netinspect.records import Flow, Translation


@pytest.fixture(scope="module")
def tracked() -> Iterator[Namespace]:
    made = Namespace()
    if refused := add(made, OF_EVERY_KIND):
        assert all(entry.zone for entry in refused)
        unavailable("this kernel has no zones of connection tracking (CONFIG_NF_CONNTRACK_ZONES)")
    yield made
    made.close()


def test_flows_are_records_and_the_listing_a_context_manager(tracked: Namespace) -> None:
    with netinspect.flows(netns=tracked.path) as listed:
        first = next(listed)
        assert isinstance(first, Flow)
        assert len(list(listed)) == len(OF_EVERY_KIND) - 1
    assert (list(listed.problems), list(listed.notes)) == ([], [])
    assert list(listed) == []


def test_flows_are_selected_by_one_value_or_several(tracked: Namespace) -> None:
    def ports(**wanted: object) -> list[int]:
        return sorted(flow.source_port for flow in netinspect.flows(netns=tracked.path, **wanted))  # type: ignore[arg-type]

    assert ports(protocols="tcp", states=["established", "time-wait"], families="inet") == [1003, 1007, 5000]
    assert ports(source="10.0.0.10", zones=[7, 8]) == [10, 11]
    assert ports(marks="0x1234") == [53]
    assert ports(status=["!SEEN_REPLY"], protocols=17) == [14]
    assert ports(reply_destination="203.0.113.1", protocols="udp", port=53) == [5000]
    assert ports(destination_port=[443]) == [1024, 1024]
    assert ports(minimum_bytes=1) == []


def test_translations_are_records(tracked: Namespace) -> None:
    found = list(netinspect.translations(netns=tracked.path, families="inet6"))
    assert all(isinstance(record, Translation) for record in found)
    assert [(record.inside_address, record.outside_address, record.outside_port) for record in found] == [
        ("fd00::3", "2001:db8::99", 8)
    ]


def test_several_namespaces_are_named(tracked: Namespace, namespace: Namespace) -> None:
    with netinspect.flows(netns=[tracked.path, namespace.path]) as listed:
        assert {flow.netns for flow in listed} == {tracked.path}
    assert "nothing is tracked" in listed.notes[0]


def test_senseless_values_are_refused() -> None:
    for wanted in ({"source": "nowhere"}, {"families": "ipx"}, {"protocols": "x"}, {"states": ["x"]}, {"zones": "x"}):
        with pytest.raises(UsageError):
            netinspect.flows(**wanted)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        netinspect.flows(colour="red")
    with pytest.raises(NamespaceError):
        list(netinspect.flows(netns="/nowhere/at/all"))


def test_the_table_is_counted_and_added_up(tracked: Namespace) -> None:
    (size,) = netinspect.flow_count(netns=tracked.path)
    listed = list(netinspect.flows(netns=tracked.path))
    assert size.entries == len(listed) == len(OF_EVERY_KIND)
    assert {counter.cpu for counter in netinspect.flow_statistics(netns=tracked.path)} >= {None, 0}
    assert list(netinspect.expectations(netns=tracked.path)) == []

    groups = netinspect.flow_groups(netinspect.flows(netns=tracked.path), by="protocol")
    assert sum(group.flows for group in groups) == len(listed)
    assert [group.flows for group in groups] == sorted((group.flows for group in groups), reverse=True)
    with pytest.raises(UsageError, match="not one of source"):
        netinspect.flow_groups(netinspect.flows(netns=tracked.path), by="colour")

    translated = list(netinspect.translations(netns=tracked.path))
    assert list(netinspect.flows(netns=tracked.path, translated=True)) == [
        flow for flow in listed if {"SRC_NAT", "DST_NAT"} & set(flow.status)
    ]
    hosts = netinspect.inside_hosts(netinspect.translations(netns=tracked.path))
    assert sum(host.flows for host in hosts) == len(translated)
    usage = netinspect.outside_addresses(netinspect.translations(netns=tracked.path))
    assert {one.outside_address for one in usage} <= {one.outside_address for one in translated}
    assert [one.processes for one in netinspect.translations(netns=tracked.path, processes=True, port=1)] == []


def test_what_counts_takes_the_rest_of_a_listing(tracked: Namespace) -> None:
    with netinspect.flows(netns=tracked.path) as listed:
        next(listed)
        assert sum(group.flows for group in netinspect.flow_groups(listed)) == len(OF_EVERY_KIND) - 1
