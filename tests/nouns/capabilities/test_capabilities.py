"""``netinspect capabilities``: against kernels that refuse, lack or answer nonsense, and against this one."""

import errno
import json
import os
import socket
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from availability import unavailable
from fake_kernel import FakeKernel, Received
from hypothesis import given
from hypothesis import strategies as st
from throwaway import NETINSPECT, Namespace

from netinspect import procfs
from netinspect.engine import descriptors
from netinspect.engine.netlink.transport import Dump, connect
from netinspect.environment import Environment
from netinspect.errors import ExitStatus, NetlinkError
from netinspect.main import run
from netinspect.nouns.capabilities import listing_netfilter as netfilter
from netinspect.nouns.capabilities import listing_routing as routing
from netinspect.nouns.capabilities import listing_sockets as sockets
from netinspect.nouns.capabilities import listing_system as system
from netinspect.nouns.capabilities import listing_tracing as tracing
from netinspect.nouns.capabilities import request as probes
from netinspect.nouns.capabilities.listing import capabilities
from netinspect.nouns.capabilities.listing_prober import PRIVILEGE, Answer, Feature, Prober
from netinspect.nouns.sockets import request as inet_request
from netinspect.records import Capability
from netinspect.uapi.netlink import NETLINK_ROUTE, NETLINK_SOCK_DIAG, NLMSG_DONE, NLMSG_ERROR
from netinspect.uapi.rtnetlink import RTM_GETADDR, RTM_GETNEXTHOP, RTM_GETROUTE, RTM_GETRULE

NOT_OVER_NETLINK = {
    *("owners", "another network namespace", "all network namespaces", "cgroup paths", "counters of protocols"),
    *("accounting", "timestamps", "services", "users", "hosts"),
}


class Kernel(FakeKernel):
    """A fake kernel whose multicast groups may be joined, or not."""

    def __init__(self, answer: Callable[[bytes], Iterable[Received]] | Iterable[Received], joins: int = 0) -> None:
        super().__init__(answer)
        self._joins = joins

    def setsockopt(self, *_: object) -> None:
        if self._joins:
            raise OSError(self._joins, os.strerror(self._joins))


FROM_PROCFS = {"groups: IPv4 groups", "groups: IPv6 groups"}
"""What procfs shows as well, and is partial therefore where netlink does not."""

DONE = struct.pack("=IHHIIi", 20, NLMSG_DONE, 0, 1, 0, 0)


def error_message(number: int) -> bytes:
    return struct.pack("=IHHIIi", 36, NLMSG_ERROR, 0, 1, 0, -number) + bytes(16)


def framed(payload: bytes) -> bytes:
    """Some bytes as a message that fits the probes' answers at first sight."""
    padded = payload + bytes(-len(payload) % 4)
    return struct.pack("=IHHII", 16 + len(padded), 20, 2, 1, 0) + padded


def over_netlink(kernel: Callable[[int], FakeKernel]) -> dict[str, Capability]:
    prober = Prober(kernel)
    found = [
        *sockets.probe(prober),
        *routing.probe(prober),
        *netfilter.probe(prober),
        *routing.probe_statistics(prober),
    ]
    return {f"{item.view}: {item.name}": item for item in found if item.name not in NOT_OVER_NETLINK}


NAMES = list(over_netlink(lambda protocol: Kernel([DONE])))


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES])
def test_a_refusal_names_the_missing_privilege(number: int) -> None:
    found = over_netlink(lambda protocol: Kernel([error_message(number)], number))
    for name, item in found.items():
        assert os.strerror(number) in item.evidence
        if "listener" in item.evidence:  # what would be seen on it is not known
            assert item.state == "unknown"
        else:
            assert (item.state, item.remedy) == ("partial" if name in FROM_PROCFS else "no", PRIVILEGE)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.EPROTONOSUPPORT])
def test_a_kernel_that_lacks_everything_is_reported_so(number: int) -> None:
    found = over_netlink(lambda protocol: Kernel([error_message(number)], number))
    for name, item in found.items():
        assert item.lost
        assert item.remedy or item.lost.startswith("nothing")
        if "listener" in item.evidence:
            assert item.state == "unknown"
        elif name.startswith("sockets: raw"):
            assert item.state in ("partial", "no")  # partial where procfs has them
        else:
            assert item.state == ("partial" if name in FROM_PROCFS else "no")


@pytest.mark.parametrize("number", [errno.EBUSY, errno.ENOBUFS, errno.ENOMEM, errno.EINTR])
def test_any_other_error_is_unknown(number: int) -> None:
    found = over_netlink(lambda protocol: Kernel([error_message(number)], number))
    assert {item.state for item in found.values()} == {"unknown"}
    assert all(os.strerror(number) in item.evidence for item in found.values())


@pytest.mark.parametrize("number", [errno.EPROTONOSUPPORT, errno.EACCES, errno.EMFILE])
def test_a_netlink_socket_that_cannot_be_opened_is_reported(number: int) -> None:
    def refuse(protocol: int) -> FakeKernel:
        raise NetlinkError("opening a netlink socket", number)

    found = over_netlink(refuse)
    assert list(found) == NAMES
    assert "yes" not in {item.state for item in found.values()}


def test_a_kernel_that_is_silent_is_unknown() -> None:
    found = over_netlink(lambda protocol: Kernel([], errno.EBUSY))
    assert {item.state for item in found.values()} == {"unknown"}


def test_an_empty_table_is_supported_and_nothing_more_is_claimed() -> None:
    found = over_netlink(lambda protocol: Kernel([DONE]))
    if not Path("/proc/sys/net/netfilter/nf_conntrack_events").exists():
        del found["conntrack: events"]  # connection tracking is not loaded
    assert {name: item.state for name, item in found.items() if item.state != "yes" and "mptcp" not in name} == {
        "sockets: TCP's own state": "unknown",
        "sockets: socket memory": "unknown",
        "sockets: firewall marks": "unknown",
        "sockets: cgroup ids": "unknown",
        "routes: MPLS routes": "unknown",
        "groups: IPv4 multicast routes": "unknown",
        "groups: IPv6 multicast routes": "unknown",
        "routes: IPv4 route exceptions": "no",  # nothing was refused, so there is no strict checking
        "routes: IPv6 route exceptions": "no",
        "conntrack: filter in the kernel": "no",  # the same for its filters
        "stats: IPv6 counters of interfaces": "unknown",
    }


def test_a_family_that_is_answered_for_with_the_rows_of_others_is_not_supported() -> None:
    """What rtnetlink does for MPLS and multicast where the kernel lacks them."""
    row = struct.pack("=IHHII", 28, 24, 2, 1, 0) + bytes((socket.AF_INET, *[0] * 11))
    found = over_netlink(lambda protocol: Kernel([row + DONE]))
    states = {name: found[name].state for name in found if name.startswith("routes: ") and name.endswith(" routes")}
    assert states == {"routes: IPv4 routes": "yes", "routes: IPv6 routes": "no", "routes: MPLS routes": "no"}
    assert found["groups: IPv4 multicast routes"].state == "no"


def test_an_old_kernel_without_strict_checking_has_no_route_exceptions() -> None:
    found = over_netlink(lambda protocol: Kernel([DONE]))
    assert found["routes: IPv4 route exceptions"].remedy == "Linux 5.3 or later"


def test_strict_checking_without_next_hop_objects_proves_no_exceptions() -> None:
    """Linux 4.20 to 5.2 accepts the request and never answers with an exception."""

    def answer(request: bytes) -> list[Received]:
        if request == probes.strictly_wrong():
            return [error_message(errno.EINVAL)]
        if request == probes.table(RTM_GETNEXTHOP):
            return [error_message(errno.EOPNOTSUPP)]
        return [DONE]

    found = over_netlink(lambda protocol: Kernel(answer))
    assert found["routes: IPv4 route exceptions"].state == "unknown"


@given(st.lists(st.binary(max_size=120) | st.binary(max_size=100).map(framed), max_size=2))
def test_whatever_the_answer_is_nothing_is_raised_and_every_name_is_there(datagrams: list[bytes]) -> None:
    found = over_netlink(lambda protocol: Kernel([*datagrams, DONE]))
    assert list(found) == NAMES


FEATURE = Feature("sockets", "raw", "raw sockets", "raw_diag", "INET_RAW_DIAG")


@pytest.mark.parametrize(
    ("configuration", "remedy", "evidence"),
    [
        ("CONFIG_INET_RAW_DIAG=m\n", "`modprobe raw_diag` as root", "CONFIG_INET_RAW_DIAG=m"),
        (
            "# CONFIG_INET_RAW_DIAG is not set\n",
            "built without CONFIG_INET_RAW_DIAG",
            "CONFIG_INET_RAW_DIAG is not set",
        ),
        ("CONFIG_INET_RAW_DIAG=y\n", "a newer kernel", "CONFIG_INET_RAW_DIAG=y"),
        (None, "`modprobe raw_diag` as root, or a kernel with CONFIG_INET_RAW_DIAG", "No such file"),
    ],
)
def test_the_remedy_follows_from_how_the_kernel_was_built(
    configuration: str | None, remedy: str, evidence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "kernel_configuration", lambda: configuration)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "none", "no such release", "", "")))
    found = Prober(connect).result(FEATURE, Answer(errno.ENOENT, "No such file or directory"), "sock_diag dump")
    assert remedy in (found.remedy or "")
    assert evidence in found.evidence


# This kernel ---------------------------------------------------------------------------------------------------------


def found_in(namespace: Namespace, *prefix: str) -> dict[str, Capability]:
    """What the command finds in a namespace; ``prefix`` is a program that runs it."""
    text = namespace.run(*prefix, *NETINSPECT, "capabilities", "--json").stdout
    return {f"{item['view']}: {item['name']}": Capability(**item) for item in json.loads(text)}


def test_every_view_is_covered_and_missing_features_name_their_loss(namespace: Namespace) -> None:
    found = found_in(namespace)
    views = "sockets routes rules neighbours addresses links groups conntrack nat path drops top stats names"
    assert list(dict.fromkeys(item.view for item in found.values())) == views.split()
    for item in found.values():
        assert item.state in ("yes", "no", "partial", "unknown")
        assert item.evidence
        assert (item.lost is None) == (item.state == "yes")
        assert item.remedy or item.state == "yes" or (item.lost or "").startswith("nothing")


def test_sock_diag_features_agree_with_dumps(namespace: Namespace) -> None:
    def refused(protocol: str, family: int) -> bool:
        request = inet_request.request(family, inet_request.PROTOCOLS[protocol][0], 0xFFFFFFFF)
        try:
            list(Dump(connect(NETLINK_SOCK_DIAG), request, "test"))
        except NetlinkError as error:
            return error.errno == errno.ENOENT
        return False

    found = {f"{item.view}: {item.name}": item for item in namespace.call(capabilities)}
    for protocol in ("tcp", "udp", "udplite", "raw", "sctp", "dccp"):
        for family, name in ((socket.AF_INET, "IPv4"), (socket.AF_INET6, "IPv6")):
            item = found[f"sockets: {protocol} over {name}"]
            assert (item.state != "yes") == namespace.call(lambda p=protocol, f=family: refused(p, f)), item


def test_raw_sockets_without_raw_diag_are_partial_with_a_remedy(namespace: Namespace) -> None:
    item = found_in(namespace)["sockets: raw over IPv4"]
    if item.state == "yes":
        unavailable("this kernel has raw_diag")
    assert item.state == "partial"
    assert "procfs" in (item.lost or "")
    assert "raw_diag" in f"{item.remedy}" or "CONFIG_INET_RAW_DIAG" in f"{item.remedy}"


def test_privileged_features_are_no_without_privileges(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("setpriv")
    found = found_in(namespace, "setpriv", "--bounding-set=-all", "--inh-caps=-all")
    for name in ("sockets: filter by mark", "conntrack: connections", "nat: translations", "nat: nftables rules"):
        assert (found[name].state, found[name].remedy) == ("no", PRIVILEGE), name
        assert "Operation not permitted" in found[name].evidence
    assert found["sockets: firewall marks"].state == "no"
    assert found["sockets: another network namespace"].state == "no"
    for name in ("sockets: tcp over IPv4", "sockets: TCP's own state", "routes: IPv4 routes", "links: interfaces"):
        # The tcp_info of an older kernel lacks some fields, for everybody.
        assert found[name].state in ("yes", "partial"), name


def test_with_privileges_the_same_is_yes(namespace: Namespace) -> None:
    found = found_in(namespace)
    for name in ("sockets: filter by mark", "sockets: firewall marks", "sockets: another network namespace"):
        assert found[name].state == "yes", name


def test_accounting_follows_the_sysctl(namespace: Namespace) -> None:
    path = "/proc/sys/net/netfilter/nf_conntrack_acct"
    if namespace.run("test", "-w", path, check=False).returncode:
        unavailable("no connection tracking, or its sysctls may not be set")
    for value, state in (("1", "yes"), ("0", "no")):
        namespace.run("sh", "-c", f"echo {value} > {path}")
        item = found_in(namespace)["conntrack: accounting"]
        assert (item.state, item.evidence) == (state, f"net.netfilter.nf_conntrack_acct = {value}")
    assert item.remedy is not None
    assert item.remedy.startswith("sysctl -w net.netfilter.nf_conntrack_acct=1")


def test_probing_leaves_nothing_behind(namespace: Namespace) -> None:
    def tables() -> list[bytes]:
        requests = [
            (NETLINK_SOCK_DIAG, inet_request.request(socket.AF_INET, 6, 0xFFFFFFFF)),
            (NETLINK_ROUTE, probes.table(RTM_GETROUTE)),
            (NETLINK_ROUTE, probes.table(RTM_GETRULE)),
            (NETLINK_ROUTE, probes.table(RTM_GETADDR)),
        ]
        return [run.data[16:] for protocol, request in requests for run in Dump(connect(protocol), request, "test")]

    def stripped() -> list[int]:
        return [len(part) for part in namespace.call(tables)]

    before = stripped()
    namespace.call(capabilities)
    assert stripped() == before


def test_without_a_loopback_address_what_it_would_show_is_unknown(
    namespace: Namespace, need: Callable[[str], None]
) -> None:
    need("ip")
    namespace.run("ip", "address", "flush", "dev", "lo")
    found = found_in(namespace)
    assert found["sockets: TCP's own state"].state == "unknown"
    assert "127.0.0.1" in found["sockets: TCP's own state"].evidence
    assert found["sockets: tcp over IPv4"].state == "yes"


def test_in_a_pid_namespace_of_ones_own_owners_are_partial(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("unshare")
    prefix = ("unshare", "--pid", "--fork", "--mount-proc")
    if namespace.run(*prefix, "true", check=False).returncode:
        unavailable("no pid namespace with a /proc of its own can be made here")
    item = found_in(namespace, *prefix)["sockets: owners"]
    assert item.state == "partial"
    assert "outside this pid namespace" in (item.lost or "")
    assert "not the initial pid namespace" in item.evidence


def test_hidden_processes_make_owners_partial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "socket_holders", lambda: ([], descriptors.Unseen()))
    monkeypatch.setattr(procfs, "in_initial_pid_namespace", lambda: True)
    monkeypatch.setattr(procfs, "processes_hidden", lambda: True)
    item = next(item for item in system.probe_sockets() if item.name == "owners")
    assert item.state == "partial"
    assert "hidepid" in (item.remedy or "")


# The command ---------------------------------------------------------------------------------------------------------


class Outcome:
    """What a run of the command printed, and its exit status."""

    def __init__(self, *arguments: str, columns: int = 80) -> None:
        output: list[bytes] = []
        errors: list[bytes] = []
        self.status = run(["capabilities", *arguments], Environment(output.append, errors.append, False, columns))
        self.output = b"".join(output).decode()
        self.errors = b"".join(errors).decode()


def test_the_table_has_every_capability_and_its_loss(namespace: Namespace) -> None:
    outcome = namespace.call(Outcome)
    assert outcome.status == ExitStatus.OK
    assert outcome.errors == ""
    for item in namespace.call(capabilities):
        assert f"{item.view:10}  {item.name}" in outcome.output
        if item.lost:
            assert f"{item.view}: {item.name}" in outcome.output.replace("\n  ", " ")
    assert "To get it: " in outcome.output


def test_json_fits_the_schema(namespace: Namespace) -> None:
    from jsonschema import Draft202012Validator

    document: Any = json.loads(namespace.netinspect("capabilities", "--json").stdout)
    schema = json.loads(namespace.netinspect("schema", "capabilities").stdout)
    Draft202012Validator(schema).validate(document)
    assert len(document) == len({(item["view"], item["name"]) for item in document})


def test_another_namespace_can_be_asked_for(namespace: Namespace) -> None:
    namespace.call(lambda: None)
    outcome = Outcome("--netns", namespace.path, "--json")
    assert outcome.status == ExitStatus.OK
    assert json.loads(outcome.output)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("--netns", "no-such-namespace"), ExitStatus.FAILED), (("x",), ExitStatus.USAGE), (("-Q",), ExitStatus.USAGE)],
)
def test_bad_usage_is_one_line(arguments: tuple[str, ...], status: int) -> None:
    outcome = Outcome(*arguments)
    assert outcome.status == status
    assert outcome.output == ""
    assert outcome.errors.count("\n") == 1


def _lines(namespace: Namespace, *arguments: str, terminal: bool = False) -> list[str]:
    """What the command writes in a namespace, to a pipe or as to a terminal of 80 columns."""

    def written() -> str:
        output: list[bytes] = []
        errors: list[bytes] = []
        environment = Environment(output.append, errors.append, terminal, 80)
        assert run(["capabilities", *arguments], environment) == ExitStatus.OK
        return b"".join(output).decode()

    return namespace.call(written).splitlines()


def test_a_terminal_shows_a_summary_by_view_and_what_is_missing(namespace: Namespace) -> None:
    brief = _lines(namespace, "--no-pager", terminal=True)
    assert all(len(line) <= 80 for line in brief)
    found = {line.split()[0]: line for line in brief[: brief.index("")] if not line.startswith(" ")}
    whole = found_in(namespace)
    assert set(found) == {item.view for item in whole.values()}
    for view in found:
        items = [item for item in whole.values() if item.view == view]
        works = sum(item.state == "yes" for item in items)
        assert (
            found[view]
            .split(maxsplit=1)[1]
            .startswith("all work" if works == len(items) else f"{works} of {len(items)}")
        )
    assert "--all" in brief[-1]
    assert "evidence" not in " ".join(brief[:-1])
    assert _lines(namespace, "--summary") == brief


def test_all_features_with_their_evidence_are_shown_in_a_pipe_and_with_all(namespace: Namespace) -> None:
    piped = _lines(namespace)
    assert piped[0].split() == ["View", "What", "State", "Evidence"]
    shown = _lines(namespace, "--all", "--no-pager", terminal=True)
    assert all(len(line) <= 80 for line in shown)
    rows = [[line[:30].split() for line in lines if line[:1].strip()] for lines in (shown, piped)]
    assert [row for row in rows[0] if row[1:]] == [row for row in rows[1] if row[1:]]


@pytest.mark.parametrize("form", ["ndjson", "csv", "json"])
def test_every_format_has_every_feature(namespace: Namespace, form: str) -> None:
    text = namespace.run(*NETINSPECT, "capabilities", "--format", form, "--columns", "view,state").stdout
    heads = {"ndjson": '{"view":"sockets","state":', "csv": "view,state\nsockets,", "json": '[\n{"view":"sockets",'}
    assert text.startswith(heads[form])
    assert text.count("sockets") == sum(name.startswith("sockets: ") for name in found_in(namespace))


def test_a_container_engine_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    path.touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.setenv("CONTAINER_HOST", "")
    found = tracing.containers()
    assert found.state == "no"
    assert "Connection refused" in found.evidence
    path.unlink()
    found = tracing.containers()
    assert (found.state, found.remedy) == ("no", None)
    assert (found.lost or "").startswith("nothing")
