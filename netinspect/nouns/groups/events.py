"""Joins and leaves of multicast groups as they occur: reported by the kernel if it does so, otherwise sampled.

The kernel reports joins and leaves of IPv4 and IPv6 groups since about Linux 6.14 (RTNLGRP_IPV4_MCADDR,
RTNLGRP_IPV6_MCADDR), and those of the link layer never. So all are also sampled, and what sampling finds first is
reported to be sampled.
"""

from __future__ import annotations

import _socket
from errno import ENOBUFS
from select import POLLIN, poll
from time import monotonic, time

from ...engine.dumps import Faults, sound
from ...engine.netlink.groups import MEMBERSHIP_EVENTS
from ...engine.netlink.messages import Answer
from ...errors import NetlinkError, UsageError
from ...records import GroupEvent
from ...uapi.netlink import NETLINK_ADD_MEMBERSHIP, NETLINK_ROUTE, SOL_NETLINK
from . import decode as multicast
from .listing import FAMILIES, Query, memberships
from .names import group_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from ...engine.places import Place

    Key = tuple[str, int, str]

_SIZE = 1 << 16
_OPERATION = "watching multicast groups"
_BUFFER = 1 << 20


class Watch:
    """Watches some places, which must be open."""

    def __init__(self, query: Query, places: Sequence[Place], interval: float) -> None:
        """``interval``: seconds between samples. Raises NetlinkError."""
        found = [{place.interface(name) for name in query.interfaces} - {None} for place in places]
        if query.interfaces and not any(found):
            raise UsageError(f"no interface {min(query.interfaces)!r}")
        self._places = [
            _Watched(query.on(frozenset(named[1] for named in there if named)) if query.interfaces else query, place)
            for place, there in zip(places, found, strict=True)
        ]
        self._interval = interval
        self.reported = frozenset.intersection(*(watched.reported for watched in self._places))
        for watched in self._places:
            watched.begin()

    def events(self, seconds: float | None = None) -> Iterator[list[GroupEvent]]:
        """What happens, as it happens, for that many seconds; None is for ever. Raises NetlinkError,
        NetinspectError."""
        end = None if seconds is None else monotonic() + seconds
        due = monotonic() + self._interval
        waiting = poll()
        by_descriptor = {watched.socket.fileno(): watched for watched in self._places}
        for descriptor in by_descriptor:
            waiting.register(descriptor, POLLIN)
        while True:
            now = monotonic()
            last = end is not None and now >= end
            if not last:
                until = due if end is None else min(due, end)
                ready = waiting.poll(1000 * max(until - now, 0))
                found = [event for descriptor, _ in ready for event in by_descriptor[descriptor].received()]
                if found:
                    yield found
            if last or monotonic() >= due:
                found = [event for watched in self._places for event in watched.sampled()]
                if found:
                    yield found
                due = monotonic() + self._interval
            if last:
                return

    def close(self) -> None:
        """Closes the sockets."""
        for watched in self._places:
            watched.socket.close()


class _Watched:
    """One namespace: what is known of it, and how news of it comes."""

    def __init__(self, query: Query, place: Place) -> None:
        self._query = query
        self._place = place
        self._known: dict[Key, str] = {}
        self.socket = _listener(place)
        reported = set()
        for family, number in MEMBERSHIP_EVENTS.items():
            if family in query.families:
                try:
                    self.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, number)
                except OSError:
                    continue  # this kernel does not report
                reported.add(family)
        self.reported = frozenset(reported)

    def begin(self) -> None:
        """Learns what is there. The socket is listening already, so that nothing is missed between the two."""
        self._known = self._now()

    def received(self) -> Iterator[GroupEvent]:
        """The kernel's reports since the last call."""
        while True:
            try:
                buffer = self.socket.recv(_SIZE)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != ENOBUFS:
                    raise NetlinkError(_OPERATION, error.errno or 0) from None
                yield from self._lost()
                continue
            faults = Faults()
            for run in Answer(buffer, _OPERATION).runs:
                for group in sound(run, multicast.groups, faults):
                    yield from self._happened(group)
            if faults.count:
                yield from self._lost()

    def _lost(self) -> Iterator[GroupEvent]:
        yield GroupEvent(time(), "lost", None, None, None, None, None, "rtnetlink", self._place.label)
        yield from self._differences(self._now())

    def sampled(self) -> Iterator[GroupEvent]:
        """What has changed without the kernel telling."""
        yield from self.received()
        now = self._now()
        news = list(self.received())
        if news:
            # The sample may be older than the kernel's reports: wait for the next one.
            yield from news
        else:
            yield from self._differences(now)

    def _now(self) -> dict[Key, str]:
        rows = memberships(self._query, self._place, [], [])
        return {(row.family, row.interface_index, row.group): row.interface for row in rows}

    def _happened(self, group: multicast.Group) -> Iterator[GroupEvent]:
        key = group.family, group.index, group.group
        if group.left == (key not in self._known):
            return  # known already: the events and what was read first overlap
        if group.left:
            interface = self._known[key]
        else:
            interface = self._names(group.index)
        if not self._query.wants(interface, group.group):
            return
        yield self._event("leave" if group.left else "join", key, interface, "rtnetlink")

    def _names(self, index: int) -> str:
        from ...engine.places import InterfaceNames

        return InterfaceNames(self._place)[index]  # not kept: an interface may be renamed

    def _differences(self, now: dict[Key, str]) -> Iterator[GroupEvent]:
        gone = {key: name for key, name in self._known.items() if key not in now}
        new = {key: name for key, name in now.items() if key not in self._known}
        for key, name in gone.items():
            yield self._event("leave", key, name, "sampled")
        for key, name in new.items():
            yield self._event("join", key, name, "sampled")

    def _event(self, event: str, key: Key, interface: str, source: str) -> GroupEvent:
        family, index, group = key
        if event == "leave":
            del self._known[key]
        else:
            self._known[key] = interface
        return GroupEvent(time(), event, interface, index, family, group, group_name(group), source, self._place.label)


def _listener(place: Place) -> Any:
    """A socket for events. Only one with an address gets any: the kernel's own address is 0."""
    opened: Any
    opened = place.connect(NETLINK_ROUTE)
    opened.bind((0, 0))
    opened.setblocking(False)
    opened.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, _BUFFER)
    return opened


def unreported(query: Query, reported: frozenset[str]) -> list[str]:
    """Families that are watched by sampling alone."""
    return [family for family in FAMILIES if family in query.families and family not in reported]
