"""Events of the connection tracking table: every one is reported, or the loss is counted and the table read again."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import IO, Any

import pytest
from conntrack_entries import CONFIRMED, SEEN_REPLY, Entry, add
from conntrack_tables import flush
from throwaway import NETINSPECT, Namespace

from netinspect.engine.netlink.messages import message
from netinspect.engine.places import Place
from netinspect.nouns.conntrack.decode import flow_body
from netinspect.nouns.conntrack.decode_events import event_runs
from netinspect.nouns.conntrack.events import Watch
from netinspect.nouns.conntrack.filter import FlowFilter, prefix_of
from netinspect.nouns.conntrack.listing import FlowListing
from netinspect.uapi.nfnetlink import IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_NEW

ALL = ("new", "update", "destroy")
BUFFER = 8 << 20


def entries(count: int, first: int = 0) -> list[Entry]:
    return [
        Entry(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", "192.0.2.1", status=SEEN_REPLY | CONFIRMED)
        for number in range(first, first + count)
    ]


@pytest.fixture
def place(namespace: Namespace) -> Iterator[Place]:
    made = Place(namespace.path)
    made.open()
    yield made
    made.close()


def received(watch: Watch) -> list[Any]:
    return [event for batch in watch.events() for event in batch]


def test_new_and_destroyed_entries_are_reported_in_order(namespace: Namespace, place: Place) -> None:
    watch = Watch(place, FlowFilter(), ALL, BUFFER)
    assert not add(namespace, [*entries(3), Entry("fd00::1", "fd00::2", 6, state=1), *entries(2, 3)])
    events = received(watch)
    assert [event.event for event in events] == ["new"] * 6
    assert [event.source_address for event in events] == [
        "10.0.0.0",
        "10.0.0.1",
        "10.0.0.2",
        "fd00::1",
        "10.0.0.3",
        "10.0.0.4",
    ]
    flush(namespace)
    events = received(watch)
    assert {event.event for event in events} == {"destroy"}
    assert len(events) == 6
    assert (watch.lost, watch.newly_lost()) == (0, 0)
    watch.close()


def test_only_requested_events_are_reported(namespace: Namespace, place: Place) -> None:
    wanted = FlowFilter()
    wanted.addresses["source_address"] = [prefix_of("10.0.0.2")]
    destroyed = Watch(place, FlowFilter(), ("destroy",), BUFFER)
    one = Watch(place, wanted, ALL, BUFFER)
    add(namespace, entries(4))
    assert received(destroyed) == []
    assert [event.source_address for event in received(one)] == ["10.0.0.2"]
    flush(namespace)
    assert len(received(destroyed)) == 4
    destroyed.close()
    one.close()


def test_every_event_is_reported_or_counted_as_lost_and_the_table_read_again(
    namespace: Namespace, place: Place
) -> None:
    made = 3000
    small, large = Watch(place, FlowFilter(), ALL, 20_000), Watch(place, FlowFilter(), ALL, BUFFER)
    add(namespace, entries(made))
    found = received(small)
    lost = small.newly_lost()
    assert lost > 0
    assert len(found) + lost == made
    assert len(received(large)) == made
    resync = [event for batch in small.resync(lost) for event in batch]
    assert (resync[0].event, resync[0].lost) == ("overrun", lost)
    assert resync[-1].event == "resynced"
    current = {event.id for event in resync[1:-1]}
    assert {event.event for event in resync[1:-1]} == {"current"}
    assert current == {flow.id for batch in FlowListing(places=[Place(namespace.path)]).batches() for flow in batch}
    # What comes afterwards is reported again.
    add(namespace, entries(5, made))
    assert len(received(small)) == 5
    assert small.newly_lost() == 0
    small.close()
    large.close()


def test_runs_of_events_know_their_order() -> None:
    def single(kind: int, flags: int, payload: bytes) -> bytes:
        return message(kind, flags, flow_body(2) + payload)

    sent = [
        single(IPCTNL_MSG_CT_NEW, 0x600, b""),
        single(IPCTNL_MSG_CT_NEW, 0x600, b""),
        single(IPCTNL_MSG_CT_NEW, 0, b""),
        single(IPCTNL_MSG_CT_DELETE, 0, b""),
        single(IPCTNL_MSG_CT_NEW, 0x600, bytes(8)),
        single(IPCTNL_MSG_CT_NEW, 0x600, b""),
        single(0x900, 0, b""),
    ]
    runs = [(event, run.count, run.positions) for event, run in event_runs(sent, "testing")]
    assert runs == [("new", 3, [0, 1, 5]), ("update", 1, [2]), ("destroy", 1, [3]), ("new", 1, [4])]


def test_events_of_several_kinds_come_in_the_order_of_the_kernel(namespace: Namespace, place: Place) -> None:
    watch = Watch(place, FlowFilter(), ALL, BUFFER)
    expected = []
    for number, entry in enumerate([*entries(3), Entry("fd00::1", "fd00::2", 6, state=1), *entries(2, 3)]):
        assert not add(namespace, [entry])
        expected.append(("new", entry.source))
        if number % 2:
            flush(namespace)
            known = [source for event, source in expected if event == "new"]
            gone = [source for event, source in expected if event == "destroy"]
            expected += [("destroy", source) for source in known if source not in gone]
    (batch,) = watch.events()
    events = [(event.event, event.source_address) for event in batch]
    # A flush deletes in the order of the kernel's table.
    assert [event for event, _ in events] == [event for event, _ in expected]
    assert sorted(events) == sorted(expected)
    assert [event for event in events if event[0] == "new"] == [event for event in expected if event[0] == "new"]
    watch.close()


def started(namespace: Namespace, *arguments: str) -> subprocess.Popen[str]:
    """The command inside, once it listens."""
    process = namespace.popen(
        [*NETINSPECT, "conntrack", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        # Protocol 12 with a group: our command has subscribed.
        lines = namespace.run("cat", "/proc/thread-self/net/netlink").stdout.splitlines()[1:]
        if any(words[1] == "12" and int(words[3], 16) for words in map(str.split, lines)):
            return process
        time.sleep(0.02)
    process.kill()
    raise AssertionError("it did not subscribe")


def test_the_command_shows_events_at_once_and_ends_when_asked(namespace: Namespace) -> None:
    process = started(namespace, "events", "-n", "--times", "3")
    add(namespace, entries(1))
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 20)[0]
    assert process.stdout.readline().startswith("Time ")
    assert process.stdout.readline().split()[1] == "new"
    add(namespace, entries(5, 1))
    output, errors = process.communicate(timeout=20)
    assert len(output.splitlines()) == 2
    assert (process.returncode, errors) == (0, "")


def test_a_loss_is_reported_and_changes_the_exit_status(namespace: Namespace) -> None:
    made, shown = 3000, 3300
    process = started(namespace, "events", "--times", str(shown), "--buffer", "5000", "--format", "ndjson")
    process.send_signal(signal.SIGSTOP)
    add(namespace, entries(made))
    process.send_signal(signal.SIGCONT)
    assert process.stdout is not None
    events = [json.loads(line) for line in iterate_to(process.stdout, '"resynced"')]
    lost = sum(event["lost"] or 0 for event in events)
    assert lost > 0
    assert sum(event["event"] == "new" for event in events) + lost == made
    # What comes afterwards is reported again: as much as it was asked for.
    while len(events) < shown:
        count = min(5, shown - len(events))
        add(namespace, entries(count, made))
        made += count
        events += [json.loads(process.stdout.readline()) for _ in range(count)]
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert f"{lost} events were lost" in errors
    last = max(number for number, event in enumerate(events) if event["event"] == "overrun")
    known = {event["id"] for event in events[last:] if event["id"]}
    assert known == {flow.id for batch in FlowListing(places=[Place(namespace.path)]).batches() for flow in batch}


def iterate_to(lines: IO[str], last: str) -> Iterator[str]:
    """The lines up to the first that has ``last`` in it."""
    for line in lines:
        yield line
        if last in line:
            return
    raise AssertionError(f"no line has {last}")


def test_the_monitor_knows_how_many_entries_there_are(namespace: Namespace) -> None:
    add(namespace, entries(10))
    process = started(namespace, "monitor", "--interval", "0.5", "--times", "2", "-j")
    process.send_signal(signal.SIGSTOP)  # its intervals do not end before the entries are there
    add(namespace, entries(7, 10))
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=60)
    rates = json.loads(output)
    assert (process.returncode, errors) == (0, "")
    assert len(rates) == 2
    assert sum(line["new"] for line in rates) <= 7  # the first of them may be in the table that is read at the start
    assert rates[-1]["flows"] == 17
    assert rates[-1]["lost"] == 0


def test_the_monitor_reads_the_table_again_after_a_loss(namespace: Namespace) -> None:
    process = started(namespace, "monitor", "--interval", "0.5", "--times", "3", "--buffer", "5000", "-j")
    process.send_signal(signal.SIGSTOP)
    add(namespace, entries(3000))
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=60)
    rates = json.loads(output)
    assert [line["flows"] for line in rates] == [3000] * 3
    lost = sum(line["lost"] for line in rates)
    assert sum(line["new"] for line in rates) + lost == 3000
    assert lost > 0
    assert process.returncode == 3
    assert f"{lost} events were lost" in errors
    assert sum(line["resyncs"] for line in rates) > 0
    assert all(line["seconds"] >= 0.25 for line in rates), "a line of no time at all, to make up for a late one"
