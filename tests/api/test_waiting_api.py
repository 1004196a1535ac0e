"""`wait_for`, `check`, `path` and `diagnose` of the API: what they return, and each error with its one meaning."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from threading import Thread

import pytest
from throwaway import Namespace

import netinspect
from netinspect import conditions, errors, records


def test_a_wait_returns_what_it_saw(namespace: Namespace) -> None:
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    port = listener.getsockname()[1]
    try:
        result = netinspect.wait_for(f"listening :{port}", netns=namespace.path)
        assert isinstance(result, records.ConditionResult)
        assert result.holds
        (found,) = result.found
        assert isinstance(found, records.Socket)
        assert found.local_port == port
        assert netinspect.check(["listening", f"127.0.0.1:{port}"], netns=namespace.path).holds
        assert netinspect.wait_for(f"closed :{port}", protocol="udp", netns=namespace.path).holds
    finally:
        listener.close()


def test_a_wait_is_woken(namespace: Namespace) -> None:
    thread = Thread(target=lambda: namespace.run("ip", "link", "add", "late", "type", "veth"))
    thread.start()
    try:
        result = netinspect.wait_for("link late", timeout=60, netns=namespace.path)
    finally:
        thread.join()
    assert [link.name for link in result.found if isinstance(link, records.Link)] == ["late"]


def test_each_way_in_which_a_wait_fails_has_its_error(namespace: Namespace) -> None:
    with pytest.raises(errors.ConditionTimeoutError, match="does not hold") as late:
        netinspect.wait_for("listening :1", timeout=0.01, netns=namespace.path)
    assert not late.value.result.holds
    assert late.value.result.waited >= 0.01
    assert late.value.lines[0] == str(late.value).split("\n", 1)[0]
    with pytest.raises(errors.ConditionTimeoutError, match="still holds"):
        netinspect.wait_for("not link lo", timeout=0, netns=namespace.path)
    assert netinspect.check("link lo up", netns=namespace.path).holds

    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(errors.ProcessEndedError, match="has ended"):
        netinspect.wait_for("listening :1", timeout=60, pids=process.pid, netns=namespace.path)
    with pytest.raises(errors.NamespaceError):
        netinspect.wait_for("listening :1", netns="no-such-namespace")


@pytest.mark.parametrize(
    "call",
    [
        lambda: netinspect.wait_for(""),
        lambda: netinspect.wait_for("listening"),
        lambda: netinspect.wait_for("hearing :80"),
        lambda: netinspect.wait_for("listening :80", timeout=-1),
        lambda: netinspect.wait_for("listening :80", timeout=float("nan")),
        lambda: netinspect.wait_for("link lo", protocol="tcp"),
        lambda: netinspect.wait_for("listening :80", protocol="sctp"),
        lambda: netinspect.check("listening :80", families="inet7"),
        lambda: netinspect.check("listening :80", natted_to="10.0.0.1"),
        lambda: netinspect.check("flow", natted_to=":80"),
        lambda: netinspect.check("flow", count=0),
        lambda: netinspect.check("link lo", netns="x", all_netns=True),
        lambda: netinspect.path("127.0.0.1", "nowhere"),
        lambda: netinspect.path("127.0.0.1", "10.0.0.0/8"),
        lambda: netinspect.path("127.0.0.1", "127.0.0.1", protocol="nonsense"),
        lambda: netinspect.path("127.0.0.1", "127.0.0.1", mark=-1),
        lambda: netinspect.path("127.0.0.1", "127.0.0.1", source_port=0),
        lambda: netinspect.path("127.0.0.1", "127.0.0.1", iif="no-such-link"),
        lambda: netinspect.diagnose("certainly no flow"),
        lambda: netinspect.diagnose(sample=-1),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(call: Callable[[], object]) -> None:
    with pytest.raises(errors.UsageError):
        call()


def test_the_path_of_a_packet_is_a_record(namespace: Namespace, capfd: pytest.CaptureFixture[str]) -> None:
    namespace.run("ip", "link", "set", "lo", "up")
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    port = listener.getsockname()[1]
    found = netinspect.path("127.0.0.1", f"127.0.0.1:{port}", netns=namespace.path)
    listener.close()
    assert found.verdict == "arrives", found
    assert {step.direction for step in found.steps} == {"there", "back"}
    assert found.steps[-1].stage == "end"
    assert found.packet.destination_port == port
    lost = netinspect.path("127.0.0.1", f"127.0.0.1:{port}", netns=namespace.path)
    assert (lost.verdict, lost.cause) == ("fails", "no-socket")
    assert capfd.readouterr() == ("", "")


def test_findings_are_records(namespace: Namespace, capfd: pytest.CaptureFixture[str]) -> None:
    with netinspect.diagnose("10.9.9.9 -> 203.0.113.1:443", sample=0, netns=namespace.path) as findings:
        found = list(findings)
    assert all(isinstance(finding, records.Finding) for finding in found)
    assert [finding.severity for finding in found if finding.severity == "error"] == ["error"], found
    labelled = list(netinspect.diagnose(sample=0, netns=[namespace.path]))
    assert {finding.netns for finding in labelled} == {namespace.path}
    assert capfd.readouterr() == ("", "")


def test_typed_conditions_are_the_same_as_their_words(namespace: Namespace) -> None:
    def says(condition: conditions.Condition | str) -> tuple[str, bool, bool]:
        result = netinspect.check(condition, netns=namespace.path)
        return result.condition, result.negated, result.holds

    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    port = listener.getsockname()[1]
    try:
        for typed, words in (
            (conditions.listening(port), f"listening :{port}"),
            (conditions.listening(f"127.0.0.1:{port}"), f"listening 127.0.0.1:{port}"),
            (~conditions.listening(port), f"not listening :{port}"),
            (~~conditions.closed(port), f"closed :{port}"),
            (conditions.closed(f"sport = :{port}"), f"closed sport = :{port}"),
            (conditions.established("dport = :1"), "established dport = :1"),
            (conditions.route("default", via="192.0.2.1", metric=5), "route default via 192.0.2.1 metric 5"),
            (conditions.route("127.0.0.1", interface="lo"), "route 127.0.0.1 dev lo"),
            (conditions.link("lo", up=True), "link lo up"),
            (conditions.link("lo", up=False, mtu=1), "link lo down mtu 1"),
            (conditions.address("127.0.0.1/8", interface="lo"), "address 127.0.0.1/8 dev lo"),
            (conditions.flow(destination="192.0.2.9", destination_port=80), "flow dst 192.0.2.9 dport 80"),
            (conditions.membership("224.0.0.1", interface="lo"), "member 224.0.0.1 dev lo"),
        ):
            assert says(typed) == says(words)
        assert netinspect.wait_for(conditions.listening(port), netns=namespace.path).holds
    finally:
        listener.close()


def test_typed_conditions_have_their_own_keywords_and_errors() -> None:
    with pytest.raises(errors.UsageError, match="goes into the condition itself"):
        netinspect.check(conditions.listening(80), protocol="udp")
    for wrong in (
        lambda: conditions.listening("127.0.0.1"),
        lambda: conditions.listening(80, protocol="sctp"),
        lambda: conditions.listening(80, families="inet4"),
        lambda: conditions.established(count=0),
        lambda: conditions.route("nowhere"),
        lambda: conditions.flow(natted_to=":80"),
        lambda: conditions.address("127.0.0.1/64"),
    ):
        with pytest.raises(errors.UsageError):
            wrong()
    assert str(~conditions.link("lo")) == "not: link lo is there"
    assert repr(conditions.link("lo")) == "<condition: link lo is there>"
