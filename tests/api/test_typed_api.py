"""The API as its users see it: typed, listed by dir() and help(), documented with examples that run."""

from __future__ import annotations

import ast
import inspect
import pydoc
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conntrack_entries import Entry, add
from group_members import join
from throwaway import Namespace

import netinspect
from netinspect import errors, records

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)

USER_CODE = """
import netinspect
reveal_type(next(netinspect.sockets()))


def annotated(rows: netinspect.Listed[netinspect.records.Socket]) -> netinspect.Events[netinspect.records.FlowEvent]:
    return netinspect.flow_events()


reveal_type([flow for flow in netinspect.flows()])
reveal_type(next(netinspect.translations()))
reveal_type(next(netinspect.routes()))
reveal_type(netinspect.route_to("127.0.0.1"))
reveal_type(next(netinspect.links()))
reveal_type(next(netinspect.memberships()))
reveal_type(next(netinspect.statistics()))
reveal_type(next(netinspect.flow_events()))
reveal_type(netinspect.capabilities())
reveal_type(next(netinspect.diagnose()))
reveal_type(netinspect.path("127.0.0.1", "127.0.0.1:80"))
reveal_type(netinspect.path("127.0.0.1", "127.0.0.1:80").steps[0])
reveal_type(netinspect.wait_for("listening :80", timeout=5))
reveal_type(netinspect.check("listening :80"))
reveal_type(next(netinspect.drops()))
reveal_type(netinspect.socket_counts(netinspect.sockets())[0])
reveal_type(netinspect.route_counts(netinspect.routes())[0])
reveal_type(next(netinspect.flow_count()))
reveal_type(next(netinspect.flow_statistics()))
reveal_type(next(netinspect.expectations()))
reveal_type(netinspect.flow_groups(netinspect.flows())[0])
reveal_type(netinspect.inside_hosts(netinspect.translations())[0])
reveal_type(netinspect.outside_addresses(netinspect.translations())[0])
reveal_type(next(netinspect.rules()))
reveal_type(next(netinspect.neighbours()))
reveal_type(next(netinspect.neighbour_tables()))
reveal_type(next(netinspect.multicast_routes()))
reveal_type(next(netinspect.multicast_interfaces()))
reveal_type(next(netinspect.bridge_groups()))
reveal_type(next(netinspect.drop_account()))
reveal_type(netinspect.health()[0])
reveal_type(netinspect.compare(netinspect.take_snapshot(), netinspect.load_snapshot("/tmp/x")))
reveal_type(~netinspect.conditions.listening(80))
reveal_type(netinspect.errors.NetlinkError("x", 1).errno)
with netinspect.membership_events() as changes:
    reveal_type([change for change in changes])
with netinspect.addresses() as found:
    reveal_type(next(found))
next(netinspect.sockets()).nope
netinspect.flows(colour="red")
netinspect.wait_for("listening :80", until=5)
netinspect.inside_hosts(netinspect.flows())
netinspect.check(netinspect.conditions.link("lo", state="up"))
netinspect.nothing
"""


def test_a_type_checker_knows_the_record_of_each_row(tmp_path: Path) -> None:
    program = tmp_path / "user.py"
    program.write_text(USER_CODE)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--cache-dir",
        str(tmp_path),
        str(program),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path).stdout
    revealed = re.findall(r'Revealed type is "([^"]*)"', shown)
    assert [re.findall(r"(\w+)\]*$", name)[-1] for name in revealed] == [
        *("Socket", "Flow", "Translation", "Route", "Route", "Link", "Membership", "Statistic", "FlowEvent"),
        *("Capability", "Finding", "Path", "PathStep", "ConditionResult", "ConditionResult", "Drop"),
        *("SocketCount", "RouteCount", "ConntrackCount", "ConntrackStatistic", "Expectation", "FlowGroup"),
        *("InsideHost", "OutsideAddress", "Rule", "Neighbour", "NeighbourTable", "MulticastRoute"),
        *("MulticastInterface", "BridgeGroup", "DropCounter", "HealthCheck", "Difference", "Condition", "int"),
        *("GroupEvent", "Address"),
    ]
    wrong = [line for line in shown.splitlines() if ": error: " in line]
    assert [re.findall('"(nope|colour|until|inside_hosts|state|nothing)"', line) for line in wrong] == [
        ["nope"],
        ["colour"],
        ["until"],
        ["inside_hosts"],
        ["state"],
        ["nothing"],
    ]


def test_dir_and_help_have_every_entry_with_its_meaning() -> None:
    assert set(netinspect.__all__) <= set(dir(netinspect))
    assert sorted(netinspect.__all__) == netinspect.__all__
    stub = ast.parse(Path(netinspect.__file__).with_suffix(".pyi").read_text())
    (entries,) = [node.value for node in stub.body if isinstance(node, ast.Assign)]
    assert ast.literal_eval(entries) == netinspect.__all__
    text = pydoc.plain(pydoc.render_doc(netinspect))
    for name in netinspect.__all__:
        entry = getattr(netinspect, name)
        assert inspect.getdoc(entry), name
        assert f"{name}(" in text
        parameters = inspect.signature(entry).parameters.values()
        assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters), name
        assert all(parameter.annotation is not parameter.empty for parameter in parameters), name
        assert f"netinspect.{name}(" in DOCUMENT.read_text() or f"`{name}`" in DOCUMENT.read_text(), name


def test_errors_conditions_and_records_need_no_import_of_their_own() -> None:
    program = "import netinspect as n; print(n.errors.NetlinkError, n.conditions.link, n.records.Socket)"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert {"conditions", "errors", "records"} <= set(dir(netinspect))


def test_every_documented_error_is_there_and_one_of_ours() -> None:
    named = set(re.findall(r"`(\w+Error)`", DOCUMENT.read_text()))
    assert {"UsageError", "NetlinkError", "ConntrackError"} <= named
    for name in named:
        assert issubclass(getattr(errors, name), errors.NetinspectError)
    # Those of the command line alone: what is written, and the words of a base class.
    every = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}
    assert every - named <= {"NetinspectError", "OutputError", "ConditionError"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("netinspect.", 1)[-1].partition("(")[0])
def test_the_examples_run(namespace: Namespace, example: str, tmp_path: Path) -> None:
    program = example.replace("/tmp/netinspect-example", str(tmp_path / "example"))
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    namespace.run(sys.executable, "-c", program)
    listener.close()


def test_events_of_flows_come_as_records(namespace: Namespace) -> None:
    events = netinspect.flow_events("new", seconds=3, netns=namespace.path)
    import threading

    threading.Timer(0.3, lambda: add(namespace, [Entry("10.1.0.1", "10.1.0.2")])).start()
    first = next(events)
    events.close()
    assert isinstance(first, records.FlowEvent)
    assert (first.event, first.source_address) == ("new", "10.1.0.1")
    with pytest.raises(errors.UsageError):
        netinspect.flow_events("old")


def test_events_of_memberships_come_as_records(namespace: Namespace) -> None:
    import threading

    opened = namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    threading.Timer(0.3, lambda: join(opened, "239.9.9.9", "lo")).start()
    events = netinspect.membership_events(families="inet", interval=0.2, seconds=3, netns=namespace.path)
    found = next(event for event in events if event.group == "239.9.9.9")
    opened.close()
    assert (found.event, found.interface) == ("join", "lo")


def test_snapshots_are_taken_and_compared(namespace: Namespace) -> None:
    before = netinspect.take_snapshot("routes", netns=namespace.path)
    namespace.run("ip", "route", "add", "10.77.0.0/16", "dev", "lo")
    after = netinspect.take_snapshot(["routes", "links"], netns=namespace.path)
    assert [(one.change, one.noun) for one in netinspect.compare(before, after)] == [("added", "routes")]
    with pytest.raises(errors.UsageError, match="is not one of"):
        netinspect.take_snapshot("nonsense")


def test_capabilities_are_records() -> None:
    found = netinspect.capabilities()
    assert all(isinstance(feature, records.Capability) for feature in found)
