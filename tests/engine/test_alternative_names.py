"""An interface may be named by an alternative name, short or long, wherever it may be named; no other name is taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pytest
from throwaway import Namespace

import netinspect
from netinspect.engine.places import Place
from netinspect.errors import UsageError

LONG = "a-very-long-alternative-name-of-an-interface"
SETUP = f"""
link add v0 type veth peer name v1
link property add dev v0 altname short0
link property add dev v0 altname {LONG}
link add b0 type bridge
link property add dev b0 altname {LONG}-bridge
link set v1 master b0
link set v0 up
link set v1 up
link set b0 up
addr add 10.0.0.1/24 dev v0
addr add 10.0.9.1/24 dev b0
route add 192.0.2.0/24 via 10.0.0.9
neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev v0
"""


@pytest.fixture
def named(namespace: Namespace, need: Callable[[str], None]) -> Namespace:
    need("ip")
    namespace.run("sh", "-c", "printf '%s' \"$0\" | ip -batch -", SETUP.lstrip())
    return namespace


COMMANDS = (
    "links {}",
    "addresses {}",
    "routes -n -i {}",
    "routes -n get 192.0.2.1 oif {}",
    "neighbours {}",
    "groups -i {}",
    "groups bridge -i {}",
    "stats -i {}",
    "netstat -I={}",
    "assert member 224.0.0.1 dev {}",
    "assert address 10.0.0.1 dev {}",
    "assert route 192.0.2.0/24 dev {}",
    "assert route 192.0.2.1 dev {}",
)


def test_an_alternative_name_is_as_good_as_the_name(named: Namespace) -> None:
    def said(command: str, name: str) -> tuple[str, int, int]:
        result = named.netinspect(*command.format(name).split(), check=False)
        return command, result.returncode, len(result.stdout.splitlines())

    for command in COMMANDS:
        expected = said(command, "v0")
        assert expected[1] == 0
        assert "bridge" in command or expected[2] > 1 or command.startswith("assert"), command
        assert said(command, "short0") == said(command, LONG) == expected
        if command == "links {}":
            assert said(command, f"v0 {LONG} v0") == expected  # one link by three names
        unknown = named.netinspect(*command.format("nope").split(), check=False)
        assert unknown.returncode == (1 if command.startswith("assert") else 2), unknown.stderr
        assert "no interface 'nope'" in unknown.stderr
        assert unknown.stdout == ""


def test_the_master_of_links_may_be_named_so_too(named: Namespace) -> None:
    for name in ("b0", f"{LONG}-bridge"):
        rows = json.loads(named.netinspect("links", "-j", "--master", name).stdout)
        assert [row["name"] for row in rows] == ["v1"]
        named.netinspect("assert", "link", "v1", "master", name)


def test_filters_of_sockets_take_alternative_names(named: Namespace) -> None:
    import socket

    def bound() -> socket.socket:
        opened = socket.create_server(("0.0.0.0", 7001))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"v0")
        return opened

    with named.call(bound):
        for name in ("v0", "short0", LONG):
            assert ":7001 " in named.netinspect("sockets", "-tlnH", f"dev = {name}").stdout
            assert ":7001 " not in named.netinspect("sockets", "-tlnH", f"dev != {name}").stdout


def test_of_several_namespaces_one_has_to_have_it(named: Namespace) -> None:
    other = Namespace()
    places = ("-N", named.path, "-N", other.path)
    for command in ("links", "groups -i", "stats -i", "routes -i", "neighbours", "addresses", "sockets -a dev ="):
        words = [*command.split(), LONG] if "dev" not in command else ["sockets", "-a", f"dev = {LONG}"]
        assert named.netinspect(*words, *places, check=False).returncode == 0, command
        words = [word.replace(LONG, "nope") for word in words]
        result = named.netinspect(*words, *places, check=False)
        assert (result.returncode, "nope" in result.stderr) == (2, True), (command, result.stderr)
    other.close()


def test_an_interface_may_be_yet_to_come_and_go(named: Namespace) -> None:
    for condition in ("address 10.0.0.1 dev nope", "member 224.0.0.1 dev nope", "route 192.0.2.0/24 dev nope"):
        result = named.netinspect("assert", "not", *condition.split(), check=False)
        assert (result.returncode, "no interface 'nope'" in result.stderr) == (3, True), result.stderr
        named.netinspect("wait", "--timeout", "1", "not", *condition.split())
        assert named.netinspect("wait", "--timeout", "0.2", *condition.split(), check=False).returncode == 1


@pytest.mark.parametrize("listing", [netinspect.addresses, netinspect.routes, netinspect.neighbours])
@pytest.mark.parametrize("families", ["inet", "inet6"])
def test_an_interface_may_go_between_its_look_up_and_the_dump(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch, listing: Callable[..., Iterable[object]], families: str
) -> None:
    answers = [(0x7FFFFFF, "first")]
    monkeypatch.setattr(Place, "interface", lambda *_: answers.pop() if answers else None)
    if listing is netinspect.neighbours:  # the kernel takes any number there, and has no neighbours of it
        assert list(listing(netns=namespace.path, interface="first", families=families)) == []
    else:
        with pytest.raises(UsageError, match=r"^no interface 'first'$"):
            list(listing(netns=namespace.path, interface="first", families=families))
