"""Traffic scenarios: Python files in ``netns-lab/scenarios``, played between the hosts of a lab.

A scenario is a module with a docstring that says what it does, ``NEEDS``, the roles that a topology must have for it,
``PACKETS`` and ``SECONDS``, the most that it sends and takes, and ``play(traffic)``. Sockets it passes to
``traffic.keep`` stay open until the traffic is closed.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..engine.answering import answered
from .errors import LabError
from .topology_file import data_directory

if TYPE_CHECKING:
    from .lab import Host, Lab
    from .topology import Topology

Progress = Callable[[str], None]
_LONG = 1.0
"""Seconds after which progress is shown."""
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Traffic:
    """A scenario at play: its hosts, what it keeps open, what it has sent."""

    def __init__(
        self, lab: Lab[Any], scenario: str, needs: tuple[str, ...], seconds: float, progress: Progress
    ) -> None:
        self.lab = lab
        self.scenario = scenario
        self._needs = needs
        self._seconds = seconds
        self.counts: dict[str, int] = {}
        self.packets = 0
        """Packets that left the interfaces of the lab's hosts meanwhile, as the kernel counted them; lo left out."""
        self.seconds = 0.0
        self._progress = progress
        self._kept: list[socket.socket] = []
        self._started = self._shown = time.monotonic()

    def host(self, role: str) -> Host:
        """The first host that plays that role."""
        host: Host = self.lab.role(role)[0]
        return host

    def hosts(self, role: str) -> list[Host]:
        """All hosts that play that role."""
        return self.lab.role(role)

    def families(self) -> Iterator[tuple[int, str, str]]:
        """For each family that client and server share: 4 or 6, and their addresses."""
        client, server = self.host("client"), self.host("server")
        for family in (4, 6):
            ours, theirs = client.address(family), server.address(family)
            if ours and theirs:
                yield family, ours, theirs

    def keep(self, *opened: socket.socket) -> None:
        """Keeps sockets open until ``close``."""
        self._kept += opened

    def count(self, what: str, number: int = 1) -> None:
        """Counts what was sent; raises LabError when the scenario's time is over."""
        self.counts[what] = self.counts.get(what, 0) + number
        now = time.monotonic()
        if now > self._started + self._seconds:
            raise LabError(f"traffic {self.scenario}: not done in {self._seconds:.0f} s: {self}")
        if now > self._shown + _LONG:
            self._shown = now
            self._progress(f"{self.scenario}: {self}")

    @property
    def remaining(self) -> float:
        """Seconds that the scenario has left: what its sockets may wait."""
        return max(0.1, self._started + self._seconds - time.monotonic())

    def listen(self, host: Host, address: str, backlog: int = 128) -> socket.socket:
        """A TCP listener on a free port of that host."""
        family = _FAMILIES[6 if ":" in address else 4]

        def open_listener() -> socket.socket:
            return socket.create_server((address, 0), family=family, backlog=backlog)

        return self._timed(host.call(open_listener))

    def connect(self, host: Host, there: tuple[Any, ...], number: int = 1) -> list[socket.socket]:
        """That many TCP connections from a host; they need not be accepted meanwhile."""

        def open_connections() -> list[socket.socket]:
            return [socket.create_connection(there[:2], timeout=self.remaining) for _ in range(number)]

        opened = [self._timed(connection) for connection in host.call(open_connections)]
        self.count("connections", number)
        return opened

    def datagram(self, host: Host, address: str) -> socket.socket:
        """A UDP socket on a free port of that host."""
        family = _FAMILIES[6 if ":" in address else 4]

        def open_socket() -> socket.socket:
            opened = socket.socket(family, socket.SOCK_DGRAM)
            opened.bind((address, 0))
            return opened

        return self._timed(host.call(open_socket))

    def raw(self, host: Host, family: int, interface: str | None = None) -> socket.socket:
        """A socket that sends whole IP packets, as the host's routes say (raw(7): IP_HDRINCL)."""

        def open_socket() -> socket.socket:
            opened = socket.socket(_FAMILIES[family], socket.SOCK_RAW, socket.IPPROTO_RAW)
            if interface is not None:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            return opened

        return self._timed(host.call(open_socket))

    def _timed(self, opened: socket.socket) -> socket.socket:
        opened.settimeout(self.remaining)
        return opened

    def close(self) -> None:
        """Closes what was kept open."""
        for opened in self._kept:
            opened.close()
        self._kept = []

    def __str__(self) -> str:
        """What was sent, in one line."""
        counted = ", ".join(f"{number:,} {what}" for what, number in self.counts.items()) or "nothing"
        if not self.seconds:
            return counted
        return f"{counted}; {self.packets:,} packets between hosts in {self.seconds:.2f} s"


def scenario_names() -> list[str]:
    """The names of the scenarios that come with the package."""
    return sorted(path.stem.replace("_", "-") for path in (data_directory() / "scenarios").glob("*.py"))


def scenario(name: str) -> ModuleType:
    """The scenario of that name, or in that Python file. Raises LabError where there is none, or it is incomplete."""
    known = "/" not in name and not name.endswith(".py")
    path = data_directory() / "scenarios" / f"{name.replace('-', '_')}.py" if known else Path(name)
    spec = spec_from_file_location(f"netinspect_lab_scenario_{path.stem}", path)
    if spec is None or spec.loader is None or not answered(os.path.isfile, path):
        raise LabError(f"no scenario {name!r}: give one of {', '.join(scenario_names())}, or the path of a Python file")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise LabError(f"{path}: {type(error).__name__}: {error}") from error
    for attribute in ("NEEDS", "PACKETS", "SECONDS", "play"):
        if not hasattr(module, attribute):
            raise LabError(f"{path}: a scenario needs {attribute}")
    return module


def fits(module: ModuleType, topology: Topology) -> bool:
    """Whether a topology has the roles that a scenario needs."""
    return all(role in topology.roles for role in module.NEEDS)


def play(lab: Lab[Any], name: str, progress: Progress | None = None) -> Traffic:
    """Plays a scenario. Raises LabError where it does not fit the lab, or takes longer than it may."""
    module = scenario(name)
    missing = [role for role in module.NEEDS if role not in lab.roles]
    if missing:
        raise LabError(f"scenario {name} needs a host in the role of {' and '.join(missing)}: lab {lab.name} has none")
    before = _sent_packets(lab)
    traffic = Traffic(lab, name, module.NEEDS, module.SECONDS, progress or (lambda line: None))
    started = time.monotonic()
    try:
        module.play(traffic)
    except TimeoutError:
        traffic.close()
        raise LabError(f"traffic {name}: no answer in {module.SECONDS} s; sent: {traffic}") from None
    except BaseException:
        traffic.close()
        raise
    traffic.seconds = time.monotonic() - started
    traffic.packets = _sent_packets(lab) - before
    return traffic


def _sent_packets(lab: Lab[Any]) -> int:
    from pyroute2.netlink.rtnl import RTM_GETLINK
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    from .requests import dump

    total = 0
    for host in lab.hosts.values():
        for link in dump(host.namespace.route, ifinfmsg(), RTM_GETLINK, f"listing the links of {host.name}"):
            if link["index"] != 1:
                total += link.get_attr("IFLA_STATS64")["tx_packets"]
    return total


def crafted() -> Any:
    """scapy, for packets that no socket sends. Raises LabError where it is not installed."""
    import logging

    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
    try:
        import scapy.layers.inet
        import scapy.layers.inet6
    except ImportError:
        raise LabError("this scenario crafts packets with scapy: pip install 'netinspect[lab]'") from None
    return scapy


__all__ = ["Traffic", "crafted", "fits", "play", "scenario", "scenario_names"]
