"""Labs whose hosts can be waited for and asserted about: what the fixture ``lab`` makes."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..lab.lab import Host, Lab
from ..lab.topology import Topology
from ..lab.topology_file import load
from . import assertions

if TYPE_CHECKING:
    import subprocess

    from ..records import Flow, Membership, Route, Socket
    from .leaks import Inventory

_TIMEOUT = 5.0


class AssertingHost(Host):
    """A host with assertions. Each waits, up to ``timeout`` seconds, for what it asserts, and returns what it found.

    Raises AssertionError that says what was there instead.
    """

    lab: AssertingLab

    def wait_listening(
        self,
        port: int,
        address: str | None = None,
        *,
        protocol: str = "tcp",
        process: subprocess.Popen[Any] | None = None,
        timeout: float = _TIMEOUT,
    ) -> Socket:
        """Waits for a listener, or a UDP socket, on that port; with ``address``, one that is reached at it.

        Gives up at once when ``process``, which is to open it, has ended.
        """
        __tracebackhide__ = True
        return assertions.wait_listening(self, port, address, protocol, process, timeout)

    def wait_established(
        self,
        *,
        local_port: int | None = None,
        remote_port: int | None = None,
        remote_address: str | None = None,
        count: int = 1,
        timeout: float = _TIMEOUT,
    ) -> list[Socket]:
        """Waits for that many established TCP connections with these ports and that address."""
        __tracebackhide__ = True
        return assertions.wait_established(self, local_port, remote_port, remote_address, count, timeout)

    def assert_natted(self, flow: str | socket.socket, *, to: str, timeout: float = _TIMEOUT) -> Flow:
        """Asserts that this host translates a flow: its source, or its destination, becomes ``to``.

        ``flow`` is a connected socket of one of its ends, or ``"[PROTOCOL] SOURCE[:PORT] [-> DESTINATION[:PORT]]"``
        as it was before translation; ``to`` is ``"ADDRESS[:PORT]"``.
        """
        __tracebackhide__ = True
        return assertions.assert_natted(self, flow, to, timeout)

    def assert_route(
        self,
        to: str,
        *,
        via: str | None = None,
        interface: str | None = None,
        type: str | None = None,
        table: int | None = None,
        metric: int | None = None,
        source: str | None = None,
        mtu: int | None = None,
        timeout: float = _TIMEOUT,
    ) -> Route:
        """Asserts how this host routes.

        For an address: which route the kernel takes, exceptions included. For a prefix, ``default`` or ``default6``:
        that a table has that very route.
        """
        __tracebackhide__ = True
        wanted = {
            "via": via,
            "interface": interface,
            "type": type,
            "table": table,
            "metric": metric,
            "source": source,
            "mtu": mtu,
        }
        return assertions.assert_route(self, to, wanted, timeout)

    def assert_member(
        self, group: str, *, interface: str | None = None, source: str | None = None, timeout: float = _TIMEOUT
    ) -> Membership:
        """Asserts that this host receives a multicast group, on that interface, from that source."""
        __tracebackhide__ = True
        return assertions.assert_member(self, group, interface, source, timeout)


class AssertingLab(Lab[AssertingHost]):
    """A lab of hosts with assertions."""

    def __init__(self, topology: Topology | None = None, **options: Any) -> None:
        self._first: Inventory | None = None
        self.at_failure: str | None = None
        """What it looked like when an assertion failed."""
        super().__init__(topology, host_type=AssertingHost, **options)
        if self.kept or self.holders or any(spec.fill for spec in self.topology.hosts.values()):
            self._first = self.inventory()

    def snapshot(self) -> str:
        """Sockets, routes and flows of every host, as text."""
        from .observing import snapshot

        return snapshot(self.hosts.values())

    def inventory(self) -> Inventory:
        """What is there now: for ``assert_no_leaks(since=…)``."""
        from .leaks import inventory

        return inventory(self)

    def assert_no_leaks(self, *, since: Inventory | None = None, timeout: float = _TIMEOUT) -> None:
        """Asserts that nothing is left behind: since the lab was made, or since that inventory.

        That is: processes in the lab's namespaces; TCP and UDP sockets, except TIME_WAIT; conntrack entries of TCP
        connections that were never closed. Entries of other protocols end by timeout only, and are not counted.
        """
        __tracebackhide__ = True
        from .leaks import assert_no_leaks

        assert_no_leaks(self, since or self._first, timeout)


class LabFactory:
    """Makes the labs of one test, and takes them down."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.labs: list[AssertingLab] = []

    def __call__(
        self,
        topology: str | Topology | None = None,
        *,
        name: str | None = None,
        user_namespace: bool | None = None,
        **parameters: int,
    ) -> AssertingLab:
        """A lab of the topology of that name, or in that file (relative to the test's), or an empty one.

        ``parameters`` are those of the topology. ``user_namespace=True`` makes one also as root.
        """
        if isinstance(topology, str):
            if topology.endswith(".toml"):
                topology = str(self._directory / topology)
            topology = load(topology, parameters)
        made = AssertingLab(topology, name=name, user_namespace=user_namespace)
        self.labs.append(made)
        return made

    def close(self) -> None:
        """Takes all down; the first that cannot be is reported, after the others."""
        failures = []
        while self.labs:
            try:
                self.labs.pop().close()
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]
