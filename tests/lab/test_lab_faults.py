"""Faults as data: every one breaks what its probe shows in a lab that was healthy, and says what a user sees."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from struct import pack
from time import sleep

import pytest
from lab_needs import topology_works

from netinspect import main
from netinspect.environment import of_process
from netinspect.lab import fault, netem
from netinspect.lab.errors import LabError, TopologyError
from netinspect.lab.topology import Impairment, amount
from netinspect.lab.topology_file import load, names
from netinspect.testing import AssertingLab, LabFactory

NETEM = {"uplink-lossy", "uplink-slow"}
SETTINGS = ("net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", "net.ipv6.conf.all.forwarding")
CASES = [(name, topology) for name in fault.names() for topology in fault.load(name).fits if name not in NETEM]
AT_ONCE = 8


def groups() -> Iterator[object]:
    """A topology and some of the faults that fit it: as many as are tried at once."""
    for topology in sorted({topology for _, topology in CASES}):
        fitting = [name for name, of in CASES if of == topology]
        for start in range(0, len(fitting), AT_ONCE):
            yield pytest.param(topology, fitting[start : start + AT_ONCE], id=f"{topology} {start}")


def test_every_fault_of_the_package_has_a_symptom_and_a_topology() -> None:
    for name in fault.names():
        loaded = fault.load(name)
        assert loaded.name == name
        for line in (loaded.description, loaded.cause):
            assert len(line) <= 100
            assert line.endswith(".")
        assert set(loaded.fits) <= set(names())
        for topology in map(load, loaded.fits):
            assert {*loaded.hosts, loaded.probe.client, loaded.probe.server} <= set(topology.hosts)
    fitting = {topology for _, topology in CASES}
    assert fitting >= {"gateway", "uplinks", "docker", "kubernetes", "hairpin", "npt", "bridge-netfilter", "vpn"}


def healthy_probe(lab: AssertingLab, name: str) -> str | None:
    """What is wrong with a probe of a lab whose ports an earlier probe may have used just now."""
    for _ in range(10):
        found = lab.probe(fault.load(name), timeout=5)
        if found is None or "in use" not in found:
            break
        sleep(0.2)
    return found


SHOWN = "ip -o -4 address; ip -o -6 address; ip -4 route show table all | sort; ip -6 route show table all | sort"
SHOWN += "; ip -4 rule | sort; ip -6 rule | sort; nft -s list ruleset; cat"


def seen(lab: AssertingLab, loaded: fault.Fault) -> list[str]:
    """What hosts that a fault changes are, as programs show it: without states of addresses, and what is counted."""
    settings = " ".join(f"/proc/sys/{key.replace('.', '/')}" for key in SETTINGS)
    texts = [lab[name].run("sh", "-c", f"{SHOWN} {settings}").stdout for name in loaded.hosts]
    return [
        re.sub(r" (tentative|nodad|proto kernel_ll|pref medium|linkdown)\b|valid_lft.*", "", text) for text in texts
    ]


@pytest.mark.parametrize(("topology", "faults"), [*groups()])
def test_every_fault_breaks_and_mends_a_lab(topology: str, faults: list[str], need: Callable[[str], None]) -> None:
    need("nft")
    topology_works(topology)

    def healthy() -> list[str]:
        """One lab for all probes."""
        with AssertingLab(load(topology)) as lab:
            found = ((name, healthy_probe(lab, name)) for name in faults)
            return [f"{name}: not healthy before: {said}" for name, said in found if said]

    def broken(name: str) -> str | None:
        loaded = fault.load(name)
        with AssertingLab(load(topology)) as lab:
            if not loaded.flush:
                lab.probe(loaded, timeout=5)  # what is to go stale
            before = seen(lab, loaded)
            lab.break_with(name)
            if not lab.probe(loaded, timeout=0.5):
                return f"{name}: still works"
            assert lab.mend() == [name]
            if (after := seen(lab, loaded)) != before:
                return f"{name}: mended, it is {after}, and was {before}"
            answered = healthy_probe(lab, name)
            return f"{name}: mended: {answered}" if answered else None

    with ThreadPoolExecutor(AT_ONCE) as pool:  # most of the time goes by with waiting for answers that do not come
        before = pool.submit(healthy)
        wrong = [line for line in pool.map(broken, faults) if line]
        assert [*before.result(), *wrong] == []


def test_a_fault_breaks_a_lab_in_a_user_namespace_too(lab: LabFactory, need: Callable[[str], None]) -> None:
    need("nft")
    net = lab("gateway", user_namespace=True)
    loaded = fault.load("no-forward-rule")
    assert net.probe(loaded) is None
    assert net.break_with("no-forward-rule") == loaded
    assert net.probe(loaded) == "timed out"


def test_a_fault_that_does_not_fit_changes_nothing(lab: LabFactory) -> None:
    net = lab("pair")
    with pytest.raises(LabError, match=r"fault forwarding-off does not fit topology pair: it fits gateway"):
        net.break_with("forwarding-off")
    with pytest.raises(TopologyError, match="no fault 'nothing'"):
        net.break_with("nothing")
    with pytest.raises(TopologyError, match="no fault"):
        fault.load("..\n")


GOOD = """description = "x."
cause = "y."
fits = ["pair"]
[probe]
client = "client"
server = "server"
to = "10.0.0.2"
port = 80
"""


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[hosts.a]\nsysctl = {}", 10, "hosts.a.sysctl: not known here: sysctls"),
        ("[hosts.a]\nsysctls = { 'kernel.hostname' = 1 }", 10, "only sysctls below net."),
        ("[hosts.a]\nmtu = { eth0 = 1 }", 10, "hosts.a.mtu.eth0: an MTU is 68 to 65535"),
        ("[hosts.a]\naddresses = { eth0 = ['x'] }", 10, "is not an address with its prefix length"),
        ("[hosts.a]\nno_routes = [{ to = 'nowhere' }]", 10, "no_routes[0].to: 'nowhere' is not a prefix"),
        ("[hosts.a]\nno_routes = [{ to = 'default', table = -1 }]", 10, "a table's number is 1 to 4294967295"),
        ("[hosts.a]\nno_rules = [-1]", 10, "a priority is 0 to 4294967295"),
        ("[hosts.a]\nroutes = [{ to = 'default' }]", 10, "a route needs via, interface or nexthops"),
        ("[hosts.a]\nimpairments.eth0 = { delay = '5 minutes' }", 10, "a delay is as 20ms"),
        ("[hosts.a]\nimpairments.eth0 = { loss = '101%' }", 10, "a loss is as 1%"),
        ("[hosts.a]\nimpairments.eth0 = { rate = '1bit' }", 10, "a rate is as 10mbit"),
        ("", 1, "hosts is missing"),
        ("[hosts]", 9, "a fault changes something on some host"),
    ],
)
def test_an_error_in_a_fault_names_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(TopologyError) as caught:
        fault.parse(f"{GOOD}{text}\n", "my.toml", "my")
    assert str(caught.value).startswith(f"my.toml:{line}: ")
    assert message in str(caught.value)
    for wrong in ("port = 0", "port = 65536", "size = 0", "connections = 1001", "pause = -1", "protocol = 'sctp'"):
        key = wrong.split(" ")[0]
        text = "\n".join(row for row in GOOD.splitlines() if not row.startswith(f"{key} "))
        with pytest.raises(TopologyError, match=rf"my\.toml:\d+: probe\.{key}: "):
            fault.parse(f"{text}\n{wrong}\n[hosts.a]\n", "my.toml", "my")


def test_a_fault_of_ones_own_in_a_topology_of_ones_own(lab: LabFactory, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        '[hosts.a]\ninterfaces.eth0.addresses = ["10.0.0.1/24"]\nrules = [{ priority = 7, mark = 9 }]\n'
        '[hosts.b]\ninterfaces.eth0.addresses = ["10.0.0.2/24"]\n[[links]]\nends = ["a:eth0", "b:eth0"]\n'
    )
    (tmp_path / "gone.toml").write_text(
        'description = "Gone."\ncause = "Gone."\nfits = ["mine"]\n'
        '[hosts.a]\nno_rules = [7]\n[hosts.b]\nno_addresses = { eth0 = ["10.0.0.2/24"] }\n'
        '[probe]\nclient = "a"\nserver = "b"\nto = "10.0.0.2"\nport = 80\n'
    )
    net = lab(str(tmp_path / "mine.toml"))
    loaded = fault.load(str(tmp_path / "gone.toml"))
    assert net.probe(loaded) is None
    net.break_with(str(tmp_path / "gone.toml"))
    assert net.probe(loaded)
    with pytest.raises(LabError, match="host a: the kernel refused removing the rule of priority 7"):
        net.break_with(str(tmp_path / "gone.toml"))
    missing = (tmp_path / "gone.toml").read_text().replace("eth0 =", "eth9 =")
    (tmp_path / "gone.toml").write_text(missing)
    with pytest.raises(LabError, match="host b has no interface 'eth9'"):
        net.break_with(str(tmp_path / "gone.toml"))


def test_the_fault_in_the_documentation_works(lab: LabFactory, tmp_path: Path, need: Callable[[str], None]) -> None:
    need("nft")
    text = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    (example,) = (part.split("```")[0] for part in text.split("```toml\n") if part.startswith('description = "Nobody'))
    (tmp_path / "documented.toml").write_text(example)
    net = lab("gateway")
    assert net.probe(net.break_with(str(tmp_path / "documented.toml"))) == "timed out"


def test_rules_that_nft_refuses_are_one_line(lab: LabFactory, tmp_path: Path, need: Callable[[str], None]) -> None:
    need("nft")
    (tmp_path / "wrong.toml").write_text('[hosts.a]\nnft = """\ntable ip x {\n  chain y { frobnicate; }\n}\n"""\n')
    with pytest.raises(LabError, match=r"^host a: nft: .*:2:\d+-\d+: Error: syntax error"):
        lab(str(tmp_path / "wrong.toml"))


def test_impairments_are_encoded_as_the_kernel_wants_them() -> None:
    # struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter; then attributes (linux/pkt_sched.h).
    assert netem.options(Impairment(loss="50%")) == (
        pack("=IIIIII", 0, 10_000, 0x8000_0000, 0, 0, 0) + pack("=HHq", 12, 10, 0)
    )
    assert netem.options(Impairment("20ms", None, "10mbit"))[24:] == (
        pack("=HHq", 12, 10, 20_000_000) + pack("=HHIiIi", 20, 6, 1_250_000, 0, 0, 0)
    )
    assert netem.options(Impairment(rate="100gbit"))[-12:] == pack("=HHQ", 12, 8, 12_500_000_000)
    assert [amount("delay", text) for text in ("1us", "1.5ms", "61s", "1m", "ms", "-1ms", "1e3ms")] == [
        1000,
        1_500_000,
        *[None] * 5,
    ]


def test_a_link_is_impaired_or_the_missing_kernel_support_reported(lab: LabFactory, tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text(
        '[hosts.a.interfaces.eth0]\naddresses = ["10.0.0.1/24"]\n[hosts.b.interfaces.eth0]\n'
        'addresses = ["10.0.0.2/24"]\n[[links]]\nends = ["a:eth0", "b:eth0"]\ndelay = "50ms"\n'
    )
    slow = fault.parse(f"{GOOD}[hosts.a]\n".replace('"client"', '"a"').replace('"server"', '"b"'), "x.toml", "x")
    said = ""
    try:
        net = lab(str(tmp_path / "slow.toml"))
    except LabError as error:
        said = str(error)
    if said:
        assert "this kernel has no netem (CONFIG_NET_SCH_NETEM, module sch_netem)" in said
        for name in NETEM:
            with pytest.raises(LabError, match="this kernel has no netem"):
                lab("gateway").break_with(name)
        return
    from time import monotonic

    started = monotonic()
    assert net.probe(slow) is None
    assert monotonic() - started > 0.1  # there and back
    for name in NETEM:
        net = lab("gateway")
        assert net.probe(net.break_with(name))


def test_one_of_several_faults_is_mended_and_others_stay(lab: LabFactory, need: Callable[[str], None]) -> None:
    need("nft")
    net = lab("gateway")
    before = seen(net, fault.load("forwarding-off"))
    for name in ("forwarding-off", "no-forward-rule", "wan-down", "stale-translation"):
        net.break_with(name)
    broken = seen(net, fault.load("forwarding-off"))
    assert net.mend("no-forward-rule") == ["no-forward-rule"]
    assert seen(net, fault.load("forwarding-off")) != broken
    with pytest.raises(
        LabError, match="does not have the fault 'no-forward-rule': it has forwarding-off, wan-down, st"
    ):
        net.mend("no-forward-rule")
    assert net.mend() == ["forwarding-off", "wan-down", "stale-translation"]
    assert seen(net, fault.load("forwarding-off")) == before
    assert net.mend() == []
    with pytest.raises(LabError, match="does not have the fault 'wan-down': it has none"):
        net.mend("wan-down")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Runs ``netinspect lab``: exit status, standard output and error."""
    monkeypatch.setenv("NETINSPECT_LAB_DIRECTORY", str(tmp_path / "labs"))

    def call(*arguments: str) -> tuple[int, str, str]:
        words = [sys.executable, "-m", "netinspect", "lab", *arguments]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    yield call
    call("down", "--all")


def test_faults_on_the_command_line(
    command: Callable[..., tuple[int, str, str]], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    topology_works("gateway")
    saw = "Nobody inside reaches anything outside."
    assert "\nFaults of gateway:\n" in (listed := command("list")[1])
    assert f"  forwarding-off                {saw}\n" in listed
    assert command("up", "gateway+forwarding-off", "--name", "one")[:2] == (0, "one: lan1, lan2, gateway, wan\n")
    assert command("up", "gateway", "--name", "two")[0] == 0
    assert command("break", "two", "forwarding-off") == (0, f"two: {saw}\n", "")
    for name in ("one", "two"):
        assert command("exec", name, "gateway", "--", "cat", "/proc/sys/net/ipv4/ip_forward")[1] == "0\n"
    # Mended by another command than the one that broke it, also where it was broken from the start.
    assert command("mend", "one") == (0, "one: forwarding-off is undone\n", "")
    assert command("mend", "one") == (0, "one is not broken\n", "")
    assert command("break", "two", "no-forward-rule")[0] == 0
    assert command("mend", "two", "forwarding-off") == (0, "two: forwarding-off is undone\n", "")
    for name in ("one", "two"):
        assert command("exec", name, "gateway", "--", "cat", "/proc/sys/net/ipv4/ip_forward")[1] == "1\n"
    assert command("exec", "two", "gateway", "--", "nft", "list", "table", "ip", "firewall")[0] == 0
    for arguments, status, message in (
        (("break", "two", "vpn-table-empty"), 1, "does not fit topology gateway: it fits vpn"),
        (("break", "two", "nothing"), 2, "no fault 'nothing'"),
        (("break", "three", "forwarding-off"), 1, "no lab 'three' is up"),
        (("break", "two"), 2, "lab break: FAULT is missing"),
        (("mend", "two", "forwarding-off"), 1, "does not have the fault 'forwarding-off': it has no-forward-rule"),
        (("mend",), 2, "lab mend: NAME is missing"),
        (("up", "gateway+nothing"), 2, "no fault 'nothing'"),
        (("up", "pair+forwarding-off"), 1, "does not fit topology pair"),
        (("run", "gateway", "request", "idle", "--", "true"), 2, "lab run: unexpected operand 'idle'"),
        (("run", "--", "true"), 2, "lab run: "),
    ):
        capfd.readouterr()
        try:
            seen = main.run(["lab", *arguments], of_process())
        finally:
            output, errors = capfd.readouterr()
        assert (seen, output) == (status, ""), errors
        assert message in errors
        assert errors.count("\n") == 1
    # Without a scenario, and on the broken host: traffic that shows the fault goes on meanwhile.
    words = ("wait", "flow", "dst 203.0.113.100", "--timeout", "20")
    done = command("run", "gateway+no-nat-rule", "--", sys.executable, "-m", "netinspect", *words)
    assert (done[0], done[2]) == (0, "Requests leave with private addresses and get no answer.\n")
    assert command("run", "gateway+forwarding-off", "--", "cat", "/proc/sys/net/ipv4/ip_forward")[:2] == (0, "0\n")
    assert command("run", "gateway", "--", "sh", "-c", "exit 3")[0] == 3
    (tmp_path / "empty.toml").write_text("")
    command("up", str(tmp_path / "empty.toml"))
    for arguments in (("run", str(tmp_path / "empty.toml"), "--", "true"), ("shell", "empty")):
        status, output, errors = command(*arguments)
        assert (status, output, errors.count("\n")) == (1, "", 1)
        assert "has no hosts" in errors
