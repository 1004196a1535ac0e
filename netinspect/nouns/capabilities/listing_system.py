"""What is not asked over netlink: owners, namespaces, cgroup paths, the counters of protocols, and names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ... import procfs
from ...engine import descriptors
from ...engine.bpf.task_files import Unsuitable, held_sockets
from ...engine.names import SERVICES_FILE, HostNames, ServiceNames, UserNames
from ...engine.namespaces import enter, every_namespace, open_namespace
from ...errors import NamespaceError, NetinspectError
from .listing_prober import NO, PARTIAL, UNKNOWN, YES, Feature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Capability

_CGROUPS = Feature("sockets", "cgroup paths", "cgroup paths: ids are shown")
_OWNERS = Feature("sockets", "owners", "-p: who holds a socket")
_NAMESPACE = Feature("sockets", "another network namespace", "--netns: only the current namespace is accessible")
_NAMESPACES = Feature("sockets", "all network namespaces", "--all-netns")
_COUNTERS = Feature("stats", "counters of protocols", "counters of")
_SERVICES = Feature("names", "services", "service names: ports are shown as numbers")
_USERS = Feature("names", "users", "names of users unknown to this system: ids are shown")
_HOSTS = Feature("names", "hosts", "host names: addresses are shown")

_COUNTER_FILES = {"snmp": "IP, ICMP, TCP and UDP", "netstat": "the extensions of IP and TCP", "snmp6": "IPv6"}
_LOOPBACK = "127.0.0.1"
_HOST_DEADLINE = 1.0


def probe_sockets() -> Iterator[Capability]:
    """What belongs to sockets and is not sock_diag's."""
    yield _cgroup_paths()
    yield _owners()
    yield _namespace()
    yield _namespaces()


def probe() -> Iterator[Capability]:
    """Counters that have no netlink source, and names."""
    yield _protocol_counters()
    yield _services()
    yield _users()
    yield _hosts()


def _cgroup_paths() -> Capability:
    mounts = procfs.cgroup2_mounts()
    if mounts:
        return _CGROUPS.has(YES, f"cgroup v2 is mounted on {mounts[0][1]}")
    return _CGROUPS.has(NO, "no cgroup v2 is mounted", _CGROUPS.lost, "mount -t cgroup2 none DIRECTORY")


def _owners() -> Capability:
    try:
        holders, unseen = descriptors.socket_holders()
    except NetinspectError as error:
        return _OWNERS.has(NO, str(error), _OWNERS.lost, "mount -t proc proc /proc")
    evidence = f"/proc: {len(holders)} processes hold sockets, {len(unseen.refused)} cannot be read; {_at_once()}"
    lost, remedies = [], []
    if unseen.failed:
        lost.append(f"{len(unseen.failed)} processes could not be read: {next(iter(unseen.failed.values()))}")
        remedies.append("try again")
    if unseen.refused:
        lost.append("owners among processes that cannot be read")
        remedies.append(_more_privilege())
    if procfs.processes_hidden():
        evidence += "; process 1 is hidden"
        lost.append("owners among other users' processes, which /proc hides")
        remedies.append("run as root, or in the group that /proc's gid= option names (proc(5): hidepid)")
    if not procfs.in_initial_pid_namespace():
        evidence += "; this is not the initial pid namespace"
        lost.append("owners outside this pid namespace")
        remedies.append("run on the machine itself, not in a container (docker run --pid=host)")
    if lost:
        return _OWNERS.has(PARTIAL, evidence, "; ".join(lost), "; ".join(remedies))
    return _OWNERS.has(YES, evidence)


def _at_once() -> str:
    """Whether the descriptors of all processes can be listed at once, where there are many: else it takes longer."""
    try:
        held_sockets()
    except Unsuitable as error:
        return f"where many files are open it takes longer, as no BPF iterator lists them ({error})"
    return "a BPF iterator lists them where many files are open"


def _namespace() -> Capability:
    """Entering the namespace in which we are needs the same privilege as any other, and changes nothing."""
    try:
        current = open_namespace("/proc/thread-self/ns/net")
        try:
            enter(current)
        finally:
            os.close(current)
    except (NamespaceError, OSError) as error:
        return _NAMESPACE.has(NO, str(error), _NAMESPACE.lost, "run as root (CAP_SYS_ADMIN)")
    return _NAMESPACE.has(YES, "setns(2) into the current one: permitted")


def _namespaces() -> Capability:
    try:
        found, hidden = every_namespace()
    except OSError as error:
        return _NAMESPACES.has(NO, f"/proc: {error.strerror}", _NAMESPACES.lost, "mount -t proc proc /proc")
    evidence = f"/proc: {len(found)} namespaces; those of {hidden} processes are not visible"
    if hidden:
        lost = "--all-netns: namespaces that only such processes are in"
        return _NAMESPACES.has(PARTIAL, evidence, lost, _more_privilege())
    return _NAMESPACES.has(YES, evidence)


def _more_privilege() -> str:
    """What lets us look into all processes."""
    if os.geteuid():
        return "run as root (CAP_SYS_PTRACE)"
    return "none for root here: a security module, or another user namespace, denies access"


def _protocol_counters() -> Capability:
    missing = [file for file in _COUNTER_FILES if not procfs.has_network_file(file)]
    if not missing:
        return _COUNTERS.has(YES, "/proc/net/snmp, netstat and snmp6: netlink has no source for them")
    lost = f"{_COUNTERS.lost} {', '.join(_COUNTER_FILES[file] for file in missing)}"
    state = PARTIAL if len(missing) < len(_COUNTER_FILES) else NO
    evidence = f"/proc/net: {', '.join(missing)} cannot be read"
    return _COUNTERS.has(state, evidence, lost, "mount -t proc proc /proc; `modprobe ipv6` for snmp6")


def _services() -> Capability:
    known = len(ServiceNames("tcp")) - 1  # port 0 is always there
    evidence = f"{SERVICES_FILE}: {known} TCP ports have names"
    if known:
        return _SERVICES.has(YES, evidence)
    return _SERVICES.has(NO, evidence, _SERVICES.lost, f"install {SERVICES_FILE} (Debian: netbase; Fedora: setup)")


def _users() -> Capability:
    uid = os.geteuid()
    name = UserNames()[uid]
    if name != str(uid):
        return _USERS.has(YES, f"user {uid} is {name}")
    return _USERS.has(PARTIAL, f"user {uid} has no name", _USERS.lost, "add them; nsswitch.conf(5) says where: passwd")


def _hosts() -> Capability:
    hosts = HostNames(deadline=_HOST_DEADLINE)
    hosts.want([_LOOPBACK])
    hosts.settle()
    if hosts.incomplete:
        evidence = f"no answer for {_LOOPBACK} in {_HOST_DEADLINE:g} s"
        return _HOSTS.has(UNKNOWN, evidence, _HOSTS.lost, "see resolv.conf(5); -n shows addresses")
    if hosts.get(_LOOPBACK) == _LOOPBACK:
        remedy = "name it in /etc/hosts; nsswitch.conf(5) says where names are looked up: hosts"
        return _HOSTS.has(PARTIAL, f"{_LOOPBACK} has no name", _HOSTS.lost, remedy)
    return _HOSTS.has(YES, f"{_LOOPBACK} is {hosts.get(_LOOPBACK)}")
