"""A lab: hosts that are network namespaces, with links between them, gone when it is closed or its process ends."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .errors import LabError
from .processes import Holder, kill_until_gone, popen, process_inside
from .sysctls import write_sysctls
from .topology import HostSpec, Interface, Link, Route, Topology, check
from .world import Namespace, World

if TYPE_CHECKING:
    import socket
    from typing import Self

    from .before import Broken
    from .fault import Fault
    from .traffic import Traffic

Result = TypeVar("Result")

_SYSCTLS = {
    # A new namespace takes some of these over from the host; a lab must not depend on it.
    "net.ipv4.ip_forward": "0",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    "net.ipv4.conf.all.accept_redirects": "1",
    "net.ipv4.conf.default.accept_redirects": "1",
    # Addresses are usable at once: no duplicate address detection, also for link-local ones.
    "net.ipv6.conf.default.accept_dad": "0",
    "net.ipv6.conf.default.disable_ipv6": "0",
}
_BRIDGE_SYSCTLS = {"net.bridge.bridge-nf-call-iptables": "0", "net.bridge.bridge-nf-call-ip6tables": "0"}
"""With br_netfilter loaded, bridged frames pass the IP rules unless these are 0."""
_FORWARDING = {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}

_numbers = itertools.count(1)


class Host:
    """One host of a lab: a network namespace with ``lo`` up."""

    def __init__(self, lab: Lab[Any], name: str, namespace: Namespace) -> None:
        self.lab = lab
        self.name = name
        self.namespace = namespace
        self.inode = os.fstat(namespace.descriptor).st_ino
        self.interfaces: dict[str, int] = {"lo": 1}
        """Interface indexes by name."""
        self.addresses: list[str] = []
        """Its addresses, in the order in which they were given."""
        self.chains: set[tuple[int, str]] = set()

    @property
    def path(self) -> str:
        """A path that opens the namespace: for ``netinspect --netns`` and nsenter(1), with enough privileges."""
        return f"/proc/{os.getpid()}/fd/{self.namespace.descriptor}"

    @property
    def ipv4(self) -> str:
        """Its first IPv4 address. Raises LabError where it has none."""
        return self._address(4)

    @property
    def ipv6(self) -> str:
        """Its first IPv6 address. Raises LabError where it has none."""
        return self._address(6)

    def address(self, family: int) -> str | None:
        """Its first address of family 4 or 6."""
        return next((address for address in self.addresses if (":" in address) == (family == 6)), None)

    def _address(self, family: int) -> str:
        address = self.address(family)
        if address is None:
            raise LabError(f"host {self.name} has no IPv{family} address")
        return address

    def call(self, function: Callable[[], Result]) -> Result:
        """What ``function`` returns inside this namespace: a socket it opens there stays there, also once returned.

        As root it runs in this thread. Without root it runs in a forked child: its result is pickled (sockets are
        passed), and what it changes in memory is lost. Whatever it raises is raised here.
        """
        return self.lab.world.call(self.namespace.descriptor, function)

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """A process in this namespace (options as for subprocess.Popen; text unless ``text=False``).

        It is killed when the lab is closed, or when this process ends, however it ends.
        """
        options.setdefault("text", True)
        enter = partial(self.lab.world.enter, self.namespace.descriptor)
        process = popen(argv, enter, self.lab.mark, **options)
        self.lab.started.append(process)
        return process

    def run(
        self, *argv: str, check: bool = True, timeout: float | None = 60, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in this namespace to its end; its output is in the result.

        Raises AssertionError where it fails, unless ``check`` is false, and when it takes more than ``timeout`` s.
        """
        text_input = options.pop("input", None)
        if text_input is not None:
            options["stdin"] = subprocess.PIPE
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = self.popen(argv, **options)
        shown = " ".join(argv)
        try:
            output, errors = process.communicate(text_input, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            raise AssertionError(f"on {self.name}: {shown}: still running after {timeout} s\n{errors or ''}") from None
        finally:
            self.lab.started.remove(process)
        if check and process.returncode != 0:
            raise AssertionError(
                f"on {self.name}: {shown}: exit status {process.returncode}\n{output or ''}{errors or ''}"
            )
        return subprocess.CompletedProcess(list(argv), process.returncode, output, errors)

    def route(self, to: str, **options: Any) -> None:
        """Adds a route: ``route("default", via="10.0.0.1")``; options are the fields of topology.Route."""
        self._add(routes=(Route(to, **options),))

    def nat(self, kind: str, **options: Any) -> None:
        """Adds address translation: ``nat("masquerade", out="wan")``; options are the fields of topology.Nat."""
        from .topology import Nat

        self._add(nat=(Nat(kind, **options),))

    def drop(self, **options: Any) -> None:
        """Drops forwarded packets: options are the fields of topology.Drop."""
        from .topology import Drop

        self._add(drops=(Drop(**options),))

    def join(self, group: str, interface: str, **options: Any) -> None:
        """Joins a multicast group for as long as the lab is up; options are the fields of topology.Join."""
        from .topology import Join

        self._add(joins=(Join(group, interface, **options),))

    def bridge(self, name: str, *ports: str, addresses: Sequence[str] = ()) -> None:
        """Makes a bridge of these interfaces."""
        self._add(interfaces={name: Interface(tuple(addresses), bridge=ports)})

    def sysctl(self, name: str, value: str | int) -> None:
        """Sets a sysctl below ``net.`` in this namespace."""
        self._add(sysctls={name: str(value)})

    def fill(self, kind: str, count: int) -> None:
        """Makes ``count`` "sockets", "routes" or "flows"."""
        from .topology import Fill

        self._add(fill=(Fill(kind, count),))

    def _add(self, **parts: Any) -> None:
        self.lab.add(Topology(hosts={self.name: HostSpec(**parts)}))

    def interface_name(self, index: int) -> str:
        """The name of an interface of this host, or its number."""
        for name, known in self.interfaces.items():
            if known == index:
                return name
        return str(index)

    def __repr__(self) -> str:
        return f"<host {self.name} of {self.lab.name}>"


AnyHost = TypeVar("AnyHost", bound=Host)


class Lab(Generic[AnyHost]):
    """A network of namespaces, made of a topology, of calls to ``host`` and ``link``, or of both. Close it after use.

    ``lab["name"]`` and ``lab.name`` are its hosts, and ``lab.client`` the host that plays that role.
    """

    def __init__(
        self,
        topology: Topology | None = None,
        *,
        name: str | None = None,
        user_namespace: bool | None = None,
        host_type: type[AnyHost] | None = None,
        world: World | None = None,
    ) -> None:
        """``world`` is given where the hosts are another process's, and ``adopt`` follows for each.

        Raises LabError or TopologyError; nothing is left behind then.
        """
        topology = topology or Topology()
        self.name = name or f"{topology.name}-{os.getpid()}-{next(_numbers)}"
        self.mark = Holder.current().mark(self.name)
        self.topology = topology
        self.hosts: dict[str, AnyHost] = {}
        self.roles: dict[str, tuple[str, ...]] = {}
        self.started: list[subprocess.Popen[Any]] = []
        self.holders: list[int] = []
        """Children that hold large numbers of sockets."""
        self.kept: list[socket.socket] = []
        """Sockets that keep multicast memberships."""
        self._host_type = cast("type[AnyHost]", host_type or Host)
        self._traffic: list[Traffic] = []
        self.broken: Broken | None = None
        """By which faults, where there are any."""
        self._owned = world is None
        self.world = world or World.open(user_namespace)
        try:
            self.add(topology)
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> AnyHost:
        """The host of that name or, where no host is called so, the first that plays that role."""
        if name in self.hosts:
            return self.hosts[name]
        if name in self.roles:
            return self.hosts[self.roles[name][0]]
        raise LabError(f"lab {self.name} has no host {name!r}: it has {', '.join(self.hosts) or 'none'}")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> AnyHost:
            if name.startswith("_") or name in ("hosts", "roles"):
                raise AttributeError(name)
            try:
                return self[name]
            except LabError as error:
                raise AttributeError(str(error)) from None

    else:

        def __getattr__(self, name: str) -> AnyHost:
            raise NotImplementedError

    def role(self, name: str) -> list[AnyHost]:
        """The hosts that play that role: none where it is unknown."""
        return [self.hosts[host] for host in self.roles.get(name, ())]

    def host(self, name: str, *, forwarding: bool = False, sysctls: Mapping[str, str] | None = None) -> AnyHost:
        """Adds a host."""
        self.add(Topology(hosts={name: HostSpec(forwarding=forwarding, sysctls=dict(sysctls or {}))}))
        return self.hosts[name]

    def link(
        self,
        left: Host,
        right: Host,
        left_addresses: str | Sequence[str] = (),
        right_addresses: str | Sequence[str] = (),
        *,
        names: tuple[str, str] | None = None,
        mtu: int | None = None,
    ) -> None:
        """Connects two hosts by a veth pair; interfaces are called eth0, eth1 … unless ``names`` says otherwise."""
        ends = names or (self._free_name(left), self._free_name(right, 1 if left is right else 0))
        hosts: dict[str, HostSpec] = {}
        for host, end, addresses in zip((left, right), ends, (left_addresses, right_addresses), strict=True):
            given = (addresses,) if isinstance(addresses, str) else tuple(addresses)
            spec = hosts.get(host.name, HostSpec())
            hosts[host.name] = HostSpec(interfaces={**spec.interfaces, end: Interface(given)})
        self.add(Topology(hosts=hosts, links=(Link(((left.name, ends[0]), (right.name, ends[1])), mtu),)))

    @staticmethod
    def _free_name(host: Host, skip: int = 0) -> str:
        free = (f"eth{number}" for number in itertools.count() if f"eth{number}" not in host.interfaces)
        return next(itertools.islice(free, skip, None))

    def add(self, topology: Topology) -> None:
        """Makes everything in that topology; hosts that exist are added to. Raises LabError or TopologyError."""
        check(topology, {name: set(host.interfaces) for name, host in self.hosts.items()})
        specs = topology.hosts
        new = [name for name in specs if name not in self.hosts]
        if new:
            settings = [_settings(specs[name]) for name in new]
            namespaces = self.world.create(len(new), lambda number: write_sysctls(settings[number]))
            for name, namespace in zip(new, namespaces, strict=True):
                self.hosts[name] = self._host_type(self, name, namespace)
        for name, spec in specs.items():
            if name not in new and (changed := _changes(spec)):
                self.hosts[name].call(partial(write_sysctls, changed))
        if not topology.bare:
            from .build import build  # costs a tenth of a second the first time

            build(self, topology)
        self.roles.update(topology.roles)

    def adopt(self, name: str, descriptor: int, interfaces: Mapping[str, int], addresses: Sequence[str]) -> None:
        """Adds a host whose namespace another process has made."""
        host = self._host_type(self, name, self.world.open_sockets(descriptor))
        host.interfaces.update(interfaces)
        host.addresses += addresses
        self.hosts[name] = host

    def traffic(self, scenario: str, **options: Any) -> Traffic:
        """Plays a traffic scenario; what it opened stays open until its ``close``, or the lab's."""
        from .traffic import play

        played = play(self, scenario, **options)
        self._traffic.append(played)
        return played

    def break_with(self, fault: str) -> Fault:
        """Breaks the lab by the fault of that name, or in that file: ``break_with("no-forward-rule")``.

        Raises TopologyError where there is none, LabError where it does not fit this topology.
        """
        from .breaking import break_lab
        from .fault import load

        loaded = load(fault)
        break_lab(self, loaded)
        return loaded

    def mend(self, fault: str | None = None) -> list[str]:
        """Undoes ``break_with``: all faults, or the one of that name. Returns the names of those that are undone.

        What faults changed is as it was before the first of them; learnt neighbours are forgotten. Raises LabError
        where the lab does not have that fault.
        """
        from .mending import mend_lab

        return mend_lab(self, fault)

    def probe(self, fault: Fault, *, timeout: float = 0.7) -> str | None:
        """None where the traffic that shows the fault is answered; else what went wrong, in a few words.

        ``timeout``: how many seconds each step may take.
        """
        from .probing import answered

        return answered(self, fault.probe, timeout)

    def close(self) -> None:
        """Kills what runs inside, and lets go of the namespaces. Closing twice does no harm."""
        for played in self._traffic:
            played.close()
        for process in self.started:
            if process.poll() is None:
                process.kill()
        for pid in self.holders:
            os.kill(pid, 9)
        for process in self.started:
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        for pid in self.holders:
            os.waitpid(pid, 0)
        inodes = {host.inode for host in self.hosts.values()}
        if self._owned and (self.started or self.holders):
            kill_until_gone(lambda pid: process_inside(pid, inodes))
        for kept in self.kept:
            kept.close()
        for host in self.hosts.values():
            host.namespace.close()
        self.world.close()
        self.hosts, self.roles = {}, {}
        self.started, self.holders, self.kept, self._traffic = [], [], [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _settings(spec: HostSpec) -> dict[str, str]:
    """All sysctls of a new host that are not an interface's."""
    bridges = _BRIDGE_SYSCTLS if os.path.isdir("/proc/sys/net/bridge") else {}
    return {**_SYSCTLS, **bridges, **_changes(spec)}


def _changes(spec: HostSpec) -> dict[str, str]:
    return {**(_FORWARDING if spec.forwarding else {}), **spec.sysctls}
