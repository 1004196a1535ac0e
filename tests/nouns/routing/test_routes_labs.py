"""Routes, rules, look-ups and exceptions in the labs of routing, against `ip` and `netstat` on the same hosts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ip_routes import as_ip_has_it, by_ip, in_the_same_words, shared
from patience import standing_still
from throwaway import NETINSPECT

from netinspect.engine.places import Place
from netinspect.lab import load
from netinspect.nouns.routing.listing import Query, RouteListing
from netinspect.records import Route
from netinspect.testing import AssertingLab

HOSTS = [
    *(("policy", host) for host in ("client", "r1", "r2", "server")),
    *(("pmtu", host) for host in ("client", "near", "far", "server")),
]
FAMILIES = [("inet", "-4"), ("inet6", "-6")]
on_every_host = pytest.mark.parametrize(("topology", "name"), HOSTS, ids="-".join)
of_each_family = pytest.mark.parametrize(("family", "option"), FAMILIES, ids=["inet", "inet6"])


@pytest.fixture(scope="module")
def labs() -> Iterator[dict[str, AssertingLab]]:
    """Both labs; in ``pmtu`` the client has learned the path MTU."""
    with AssertingLab(load("policy")) as policy, AssertingLab(load("pmtu")) as pmtu:
        pmtu.traffic("bulk")
        yield {"policy": policy, "pmtu": pmtu}


def ours(host: Any, *arguments: str) -> Any:
    """What our command says as JSON."""
    return json.loads(host.run(*NETINSPECT, *arguments, "--json").stdout)


@of_each_family
@on_every_host
def test_every_route_of_every_table_is_as_ip_shows_it(
    topology: str, name: str, family: str, option: str, labs: dict[str, AssertingLab], need: Callable[[str], None]
) -> None:
    need("ip")
    host = labs[topology][name]

    def look() -> tuple[list[Route], Any]:
        listing = RouteListing(Query((family,), table=None), (Place(host.path),))
        records = [record for batch in listing.batches() for record in batch]
        return records, ours(host, "routes", option, "--table", "all")

    # Routes that go with addresses come by and by.
    theirs, (records, rows) = standing_still(
        lambda: list(map(in_the_same_words, by_ip(host, option, "route", "show", "table", "all"))), look
    )
    assert len(theirs) > 5
    assert shared(list(map(as_ip_has_it, records)), family) == shared(theirs, family)
    assert [(row["destination"], row["table"]) for row in rows] == [(one.destination, one.table) for one in records]


@on_every_host
def test_rules_are_those_of_ip(
    topology: str, name: str, labs: dict[str, AssertingLab], need: Callable[[str], None]
) -> None:
    need("ip")
    host = labs[topology][name]
    for option in ("-4", "-6"):
        theirs = json.loads(host.run("ip", "-j", option, "rule").stdout)
        found = ours(host, "rules", option)
        assert list(map(rule_as_ip_has_it, found)) == list(map(rule_in_the_same_words, theirs))
        assert topology != "policy" or name != "client" or len(found) > 3


def rule_as_ip_has_it(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "priority": row["priority"],
        "src": row["source"],
        "dst": row["destination"],
        "mark": row["mark"],
        "action": row["action"],
        "table": row["table"],
        "iif": row["input_interface"],
        "oif": row["output_interface"],
    }


def rule_in_the_same_words(row: dict[str, Any]) -> dict[str, Any]:
    def prefix(side: str) -> str | None:
        address = row.get(side, "all")
        length = row.get(f"{side}len", 128 if ":" in address else 32)
        return None if address == "all" else f"{address}/{length}"

    action = row.get("action", "lookup")
    return {
        "priority": row["priority"],
        "src": prefix("src"),
        "dst": prefix("dst"),
        "mark": int(row["fwmark"], 0) if "fwmark" in row else None,
        "action": action,
        # ip names a table where there is none to look into.
        "table": row["table"] if action == "lookup" else None,
        "iif": row.get("iif"),
        "oif": row.get("oif"),
    }


LOOKUPS = [
    ("policy", "client", "10.9.0.1 from 10.0.1.11", 100),
    ("policy", "client", "10.9.0.1 from 10.0.2.11", 200),
    ("policy", "client", "10.9.0.1 mark 1", 300),
    ("policy", "client", "10.9.0.1 mark 2", 301),
    ("policy", "client", "10.0.2.1", 32766),
    ("policy", "client", "10.0.1.11", 0),
    ("policy", "client", "172.16.0.1 from 10.0.2.11", 200),
    ("policy", "client", "fd00:9::1 from fd00:1::11", 101),
    ("policy", "client", "fd00:9::1 from fd00:2::11", 201),
    ("policy", "client", "fd00:2::1", 32766),
    ("policy", "r1", "10.9.0.1 from 10.0.1.11 iif client", 32766),
    ("policy", "r1", "fd00:9::1 from fd00:1::11 iif client", 32766),
    ("policy", "r2", "10.0.2.11 from 10.9.0.1 iif server", 32766),
    ("policy", "server", "10.0.1.11 from 10.9.0.1", 32766),
    ("policy", "server", "fd00:2::11", 32766),
    ("pmtu", "client", "10.3.0.2", 32766),
    ("pmtu", "client", "fd00:3::2", 32766),
    ("pmtu", "server", "10.1.0.2", 32766),
    ("pmtu", "near", "10.3.0.2 from 10.1.0.2 iif client", 32766),
]


@pytest.mark.parametrize(("topology", "name", "words", "rule"), LOOKUPS, ids=lambda value: str(value))
def test_a_lookup_agrees_with_ip_and_names_the_rule(
    topology: str, name: str, words: str, rule: int, labs: dict[str, AssertingLab], need: Callable[[str], None]
) -> None:
    need("ip")
    host = labs[topology][name]
    (row,) = ours(host, "routes", "get", *words.split())
    (answer,) = by_ip(host, "route", "get", *words.split())
    assert row["destination"].partition("/")[0] == answer["dst"]
    assert (row["gateway"], row["interface"]) == (answer.get("gateway"), answer["dev"])
    assert row["preferred_source"] == answer.get("prefsrc")
    assert row["type"] == answer.get("type", "unicast")
    assert row["table"] == answer.get("table", "main")
    assert row["metric"] == answer.get("metric", 0)
    metrics = {key: value for part in answer.get("metrics", ()) for key, value in part.items()}
    assert (row["metrics"] or {}).get("mtu") == metrics.get("mtu")
    assert (row["expires"] is None) == ("expires" not in answer)
    assert row["expires"] is None or abs(row["expires"] - answer["expires"]) <= 20
    assert row["rule"]["priority"] == rule
    (entry,) = by_ip(host, "route", "get", "fibmatch", *words.split())
    whole = {"0.0.0.0/0": "default", "::/0": "default"}
    assert whole.get(row["entry"], row["entry"].removesuffix("/32").removesuffix("/128")) == entry["dst"]


@pytest.mark.parametrize(
    ("address", "expected", "theirs"),
    [
        ("10.0.1.11", {"local"}, ["local"]),
        ("10.0.1.255", {"local", "broadcast"}, ["local", "brd"]),
        ("224.0.0.1", {"local", "multicast"}, ["local", "mc"]),
        ("10.0.1.1", set(), []),
    ],
)
def test_flags_of_an_answer_are_those_of_the_routing_cache(
    address: str, expected: set[str], theirs: list[str], labs: dict[str, AssertingLab], need: Callable[[str], None]
) -> None:
    need("ip")
    host = labs["policy"].client
    assert set(ours(host, "routes", "get", address)[0]["flags"]) == {"cloned", *expected}
    (answer,) = by_ip(host, "route", "get", address)
    assert set(theirs) <= set(answer["cache"])


@pytest.mark.parametrize(
    "words",
    ["192.0.2.1", "198.51.100.1", "203.0.113.1", "10.66.0.1", "10.66.0.1 from 10.0.1.11", "2001:db8:bad::1"],
)
def test_where_ip_finds_no_route_neither_do_we(
    words: str, labs: dict[str, AssertingLab], need: Callable[[str], None]
) -> None:
    need("ip")
    host = labs["policy"].client
    theirs = host.run("ip", "route", "get", *words.split(), check=False)
    result = host.run(*NETINSPECT, "routes", "get", *words.split(), check=False)
    assert bool(theirs.returncode) == bool(result.returncode), (theirs.stderr, result.stderr)
    if theirs.returncode:
        assert theirs.stderr.splitlines()[0].removeprefix("RTNETLINK answers: ").lower() in result.stderr.lower()


def test_a_look_up_in_several_namespaces_has_the_answers_of_those_that_have_one(labs: dict[str, AssertingLab]) -> None:
    lab = labs["policy"]
    where = [word for name in ("client", "r1", "server") for word in ("--netns", lab[name].path)]
    result = lab.client.run(*NETINSPECT, "routes", "get", "10.0.2.11", *where, "--json")
    rows = json.loads(result.stdout)
    assert [row["netns"] for row in rows] == [lab.client.path, lab.server.path]
    assert result.stderr == f"netinspect: network namespace {lab.r1.path}: {NO_ROUTE.format('10.0.2.11')}\n"
    result = lab.client.run(*NETINSPECT, "routes", "get", "192.0.2.1", *where, check=False)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 3)
    result = lab.client.run(*NETINSPECT, "routes", "get", "127.0.0.1", "--all-netns", "--json", check=False)
    assert json.loads(result.stdout)[0]["destination"] == "127.0.0.1/32"


NO_ROUTE = "looking up {}: Network is unreachable: no route leads there"


@of_each_family
@pytest.mark.parametrize(("topology", "name"), [pair for pair in HOSTS if pair[0] == "pmtu"], ids="-".join)
def test_exceptions_are_those_of_ip(
    topology: str, name: str, family: str, option: str, labs: dict[str, AssertingLab], need: Callable[[str], None]
) -> None:
    need("ip")
    host = labs[topology][name]
    if name == "client":
        # Anew: an exception goes with the neighbour entry of its gateway, and all namespaces share that table.
        labs[topology].traffic("bulk").close()
    theirs = by_ip(host, option, "route", "show", "cache")
    rows = ours(host, "routes", "cache", option)
    later = by_ip(host, option, "route", "show", "cache")
    assert len(rows) == (name == "client")
    for row, other, after in zip(rows, theirs, later, strict=True):
        assert (row["family"], row["destination"].partition("/")[0]) == (family, other["dst"])
        assert (row["gateway"], row["interface"]) == (other["gateway"], other["dev"])
        assert (row["pmtu"], row["metric"]) == (other["metrics"][0]["mtu"], other.get("metric", 0))
        assert other["expires"] + 1 >= row["expires"] >= after["expires"] - 1
        assert row["pmtu"] == 1400


@pytest.mark.parametrize("options", ["-rn", "-rne", "-rnee", "-rnv", "-6rn", "-46rn"])
@on_every_host
def test_netstat_shows_the_same_lines(
    topology: str, name: str, options: str, labs: dict[str, AssertingLab], need: Callable[[str], None]
) -> None:
    need("netstat")
    host = labs[topology][name]
    environment = {**os.environ, "LC_ALL": "C"}
    theirs = host.run("netstat", options, env=environment).stdout.splitlines()
    found = host.run(*NETINSPECT, "netstat", options, env=environment).stdout.splitlines()
    assert list(map(without_references, found)) == list(map(without_references, theirs))


def without_references(line: str) -> str:
    words = line.split()
    return " ".join(words[:4] + words[5:]) if len(words) == 7 and ":" in words[0] else line
