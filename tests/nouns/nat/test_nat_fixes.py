"""Printed fixes, run as they are by a shell on a gateway whose names are hostile: each does what it says, no more.

Interfaces, tables, chains, sets and comments are called what the shell, nft(8), iptables(8), ip(8) and sysctl(8) could
take for something of their own. ``NETINSPECT_FIX_SEEDS`` tries more names than the suite does.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from availability import unavailable
from conntrack_entries import Entry, add
from kernel_lacks import nftables_lacks
from nat_lab import SERVER, Traffic, netinspect

from netinspect.engine.places import Place
from netinspect.engine.quoting import nft_identifier, nft_string
from netinspect.lab import Lab
from netinspect.nouns.conntrack.filter import FlowFilter
from netinspect.nouns.nat.diagnose import diagnose, narrowed
from netinspect.nouns.nat.diagnose_situation import Situation
from netinspect.nouns.path.filter_words import flow_words

Need = Callable[[str], None]
INSIDE = "192.168.1.11"
OUT = ("tcp", INSIDE, f"{SERVER}:443")
IN = ("tcp", SERVER, "203.0.113.1:80")
HAIRPIN = ("tcp", INSIDE, "203.0.113.1:80")


class Names(NamedTuple):
    """What the parts of a gateway are called."""

    lan: str
    wan: str
    wan2: str
    table: str
    chain: str
    set: str
    comment: str


CHOSEN = (
    Names("'>x;#", "$(>x)", "`>x`", "t", "c", "s", "'; >x; '$(>x)"),
    Names('x"drop;#', 'y"accept;#', "-n", "a; flush ruleset; #", "b\nflush ruleset", 's"', '"; flush ruleset; #'),
    Names("*", "w?[]", "b=c", "t-1", "c.d", "s_1", "\\"),
    Names("!", "w+", "é", "counter", "-c", "$s", "\n#"),
    Names("aaaaaaaaaaaa;>x", "a.b", "a", "T", "policy", "@s", "{}"),
    Names("all=1", "lo*", "up", "_t", "_c", "x/y", "\x1b[2J"),
)
_PIECES = (*"abc-;#'\"`\\*?[]{}()<>|&!~+=@%,^$", ">x", "$(>x)", "é", "\u202e", "--", "-n", "drop", "\\n")


def seeded(seed: int) -> Names:
    """Names at random."""
    chance = random.Random(seed)

    def name(limit: int) -> str:
        while True:
            made = "".join(chance.choices(_PIECES, k=chance.randint(1, 6)))
            if len(made.encode()) <= limit and made not in (".", ".."):
                return made

    lan, wan, wan2 = (f"{name(13)}{number}"[-15:] for number in range(3))
    return Names(lan, wan, wan2, *(name(20) for _ in range(4)))


SEEDS = int(os.environ.get("NETINSPECT_FIX_SEEDS", "1"))
WORLDS = [*CHOSEN, *map(seeded, range(SEEDS))]


def _tracking_settings() -> dict[Any, str]:
    found = Path("/proc/sys/net/netfilter").iterdir()
    return {path.name: path.read_text() for path in found if path.is_file() and path.name != "nf_conntrack_count"}


class World:
    """A gateway between a private network and a server, with a second way out."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.lab: Lab[Any] = Lab()
        self.inside, self.outside = self.lab.host("inside"), self.lab.host("outside")
        self.gateway = self.lab.host("gateway", forwarding=True)
        self.lab.link(self.inside, self.gateway, f"{INSIDE}/24", "192.168.1.1/24", names=("eth0", names.lan))
        self.lab.link(self.gateway, self.outside, "203.0.113.1/24", f"{SERVER}/24", names=(names.wan, "eth0"))
        ends = ("198.51.100.1/24", "198.51.100.100/24")
        self.lab.link(self.gateway, self.outside, *ends, names=(names.wan2, "eth1"))
        # A way past the gateway, and two hosts on a bridge of it.
        self.lab.link(self.inside, self.outside, "10.77.0.1/24", "10.77.0.2/24", names=("eth9", "eth9"))
        self.left, self.right = self.lab.host("left"), self.lab.host("right")
        for at, (host, port) in enumerate(((self.left, "p0"), (self.right, "p1"))):
            self.lab.link(host, self.gateway, f"10.55.0.{at + 1}/24", names=("eth0", port))
        self.inside.route("default", via="192.168.1.1")
        self.gateway.route("default", via=SERVER)
        self.traffic = Traffic(self.lab)
        self.traffic.listen("outside", SERVER, 443)
        self.traffic.listen("outside", SERVER, 21)
        self.traffic.listen("inside", INSIDE, 8080)

    def diagnose(self, flow: tuple[str, ...]) -> list[dict[str, Any]]:
        words = flow_words(flow) if flow else None
        wanted = FlowFilter() if words is None else narrowed(FlowFilter(), words)
        with Place(self.gateway.path) as place:
            situation = Situation(place, wanted, 0, asked=words is not None)
            found = diagnose(situation, words)
            situation.stacks.close()
        return [finding._asdict() for finding in found if finding.severity != "note"]

    def path_fixes(self, iif: str, flow: tuple[str, ...]) -> list[dict[str, Any]]:
        """What `path` prints to be pasted, as findings."""
        result = netinspect(self.gateway, "path", "-j", "--iif", iif, *flow, check=False)
        return [
            {**step, "check": step["cause"]}
            for step in json.loads(result.stdout)
            if step["verdict"] == "dropped" and step["direction"] == "there"
        ]

    def nft(self, commands: list[Any]) -> None:
        """As JSON, in which names are what they are."""
        script = json.dumps({"nftables": [{"add": command} for command in commands]})
        self.gateway.run("nft", "-j", "-f", "-", input=script)

    def ip(self, *arguments: str) -> str:
        return self.gateway.run("ip", *arguments).stdout

    def state(self) -> dict[str, Any]:
        """All that a fix may change, without counters, handles and what is different each time."""
        ruleset = json.loads(self.gateway.run("nft", "-j", "list", "ruleset").stdout)["nftables"]
        objects = Counter()
        for entry in ruleset:
            for kind, value in entry.items():
                if kind != "metainfo":
                    value.pop("handle", None)
                    text = json.dumps([kind, value], sort_keys=True)
                    objects[text] += 1
        links = json.loads(self.ip("-j", "link"))
        settings = {}
        for name in ("lan", "wan", "wan2"):
            for setting in ("forwarding", "rp_filter", "accept_local", "proxy_arp", "route_localnet"):
                value = getattr(self.names, name)
                path = f"/proc/sys/net/ipv4/conf/{value}/{setting}"
                settings[name, setting] = self.gateway.call(lambda path=path: Path(path).read_text())
        settings["all"] = self.gateway.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").read_text())
        settings |= self.gateway.call(_tracking_settings)
        legacy = []
        names = Path("/proc/net/ip_tables_names")  # not there without the modules
        if self.gateway.call(lambda: names.exists() and names.read_text()):
            saved = self.gateway.run("iptables-legacy-save").stdout
            legacy = [line.partition(" [")[0] for line in saved.splitlines() if not line.startswith("#")]
        return {
            "nft": objects,
            "links": [(link["ifname"], "UP" in link["flags"], link["mtu"]) for link in links],
            "addresses": sorted(
                (link["ifname"], address["local"], address["prefixlen"])
                for link in json.loads(self.ip("-j", "-4", "address"))
                for address in link["addr_info"]
            ),
            "routes": sorted(map(repr, json.loads(self.ip("-j", "route", "show", "table", "all")))),
            "rules": json.loads(self.ip("-j", "rule")),
            "settings": settings,
            "legacy": legacy,
            "flows": self.flows(),
        }

    def flows(self) -> set[str]:
        """The entries, by their ends and zones."""
        lines = self.gateway.run("conntrack", "-L").stdout.splitlines()
        return {
            " ".join(re.findall(r"^\w+|(?:src|dst|sport|dport|zone)=\S+", line))
            for line in lines
            if "=224." not in line
        }

    def track(self, *entries: Entry) -> None:
        assert add(self.gateway, entries) == []

    def forget(self) -> None:
        self.gateway.run("conntrack", "-F")

    def close(self) -> None:
        self.traffic.close()
        self.lab.close()


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(WORLDS[request.param])
    try:
        yield made
    finally:
        made.close()


# Rules as nft(8) reads them in JSON.


def table(n: Names, family: str = "ip") -> Any:
    return {"table": {"family": family, "name": n.table}}


def chain(n: Names, hook: str, priority: int, kind: str = "nat", policy: str = "accept", suffix: str = "") -> Any:
    return {
        "chain": {
            "family": "ip",
            "table": n.table,
            "name": n.chain + suffix,
            "type": kind,
            "hook": hook,
            "prio": priority,
            "policy": policy,
        }
    }


def rule(n: Names, *expressions: Any, suffix: str = "") -> Any:
    return {
        "rule": {
            "family": "ip",
            "table": n.table,
            "chain": n.chain + suffix,
            "expr": list(expressions),
            "comment": n.comment,
        }
    }


def is_equal(left: Any, right: Any) -> Any:
    return {"match": {"op": "==", "left": left, "right": right}}


def meta(key: str, value: Any) -> Any:
    return is_equal({"meta": {"key": key}}, value)


def field(protocol: str, name: str, value: Any) -> Any:
    return is_equal({"payload": {"protocol": protocol, "field": name}}, value)


def state(*values: str) -> Any:
    return {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": list(values)}}


MASQUERADE, ACCEPT, DROP = {"masquerade": None}, {"accept": None}, {"drop": None}


def interface(name: str) -> str:
    """In JSON, too, a star at the end is a wildcard."""
    return name[:-1] + "\\*" if name.endswith("*") else name


def translating(n: Names) -> list[Any]:
    return [
        table(n),
        chain(n, "postrouting", 100, suffix="post"),
        rule(n, meta("oifname", interface(n.wan)), MASQUERADE, suffix="post"),
    ]


def addresses(n: Names, *elements: Any) -> Any:
    return {
        "set": {
            "family": "ip",
            "table": n.table,
            "name": n.set,
            "type": "ipv4_addr",
            "flags": ["interval"],
            "elem": list(elements),
        }
    }


class Kind(NamedTuple):
    """A finding that prints a fix: its check, the flow, the rules, what else is done, and what the fix may change."""

    check: str
    flow: tuple[str, ...]
    rules: Callable[[Names], list[Any]]
    changes: str = "nft"
    before: Callable[[World], object] = lambda world: None
    after: Callable[[World], object] = lambda world: None
    by_path: bool = False
    removes: int = 0
    """Flows that the fix ends."""
    peers: bool = False
    """Whether the hosts beside must be seen."""
    again: Callable[[World], object] = lambda world: None
    """What is done when it has run: some fixes are for flows to come."""


def nothing(n: Names) -> list[Any]:
    return []


def forward(n: Names, *accepted: Any) -> list[Any]:
    made = [chain(n, "forward", 0, "filter", "drop")]
    return [table(n), *made, *(rule(n, *expressions, ACCEPT) for expressions in accepted)]


def sysctl(world: World, name: str, setting: str, value: int) -> None:
    world.gateway.call(lambda: Path(f"/proc/sys/net/ipv4/conf/{name}/{setting}").write_text(str(value)))


def other_way(world: World) -> None:
    """Answers to the inside leave by the second way out."""
    world.ip("route", "add", f"{INSIDE}/32", "via", "198.51.100.100", "dev", world.names.wan2)
    sysctl(world, world.names.lan, "rp_filter", 1)


def one_way(world: World) -> None:
    world.ip("route", "del", f"{INSIDE}/32")
    sysctl(world, world.names.lan, "rp_filter", 0)


def unset_forwarding(world: World) -> None:
    sysctl(world, world.names.lan, "forwarding", 0)


def set_forwarding(world: World) -> None:
    sysctl(world, world.names.lan, "forwarding", 1)


MARKED = [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 0x51}}]

KINDS = {
    "no rule": Kind("no-rule", OUT, nothing),
    "no rule, and a chain": Kind("no-rule", OUT, lambda n: [table(n), chain(n, "postrouting", 100)]),
    "another interface": Kind(
        "other-interface",
        OUT,
        lambda n: [
            table(n),
            chain(n, "postrouting", 100),
            rule(n, meta("oifname", interface(n.wan2)), MASQUERADE),
        ],
    ),
    "an exception before it": Kind(
        "shadowed",
        OUT,
        lambda n: [
            table(n),
            chain(n, "postrouting", 100),
            rule(n, field("ip", "daddr", {"prefix": {"addr": "203.0.0.0", "len": 8}}), ACCEPT),
            rule(n, meta("oifname", interface(n.wan)), MASQUERADE),
        ],
    ),
    "not tracked": Kind(
        "notrack",
        OUT,
        lambda n: [
            *translating(n),
            chain(n, "prerouting", -300, "filter"),
            rule(n, meta("iifname", interface(n.lan)), {"notrack": None}),
        ],
    ),
    "a mark": Kind(
        "mark",
        OUT,
        lambda n: [
            table(n),
            chain(n, "postrouting", 100),
            rule(n, meta("mark", 1), meta("oifname", interface(n.wan)), MASQUERADE),
        ],
    ),
    "answers are dropped": Kind(
        "established", OUT, lambda n: [*translating(n), *forward(n, [meta("iifname", interface(n.lan))])]
    ),
    "errors are dropped": Kind(
        "related",
        OUT,
        lambda n: [
            *translating(n),
            *forward(n, [meta("iifname", interface(n.lan))], [state("established")]),
        ],
    ),
    "forward drops": Kind(
        "rule",
        OUT,
        lambda n: [*translating(n), *forward(n, [state("established", "related")])],
    ),
    "forward drops what a dnat sends on": Kind(
        "dnat-dropped",
        IN,
        lambda n: [
            *translating(n),
            *forward(n, [meta("iifname", interface(n.lan))], [state("established", "related")]),
            chain(n, "prerouting", -100, suffix="pre"),
            rule(
                n,
                meta("iifname", interface(n.wan)),
                field("tcp", "dport", 80),
                {"dnat": {"addr": INSIDE, "port": 8080}},
                suffix="pre",
            ),
        ],
    ),
    "a dnat in output": Kind(
        "dnat",
        IN,
        lambda n: [
            *translating(n),
            addresses(n, "203.0.113.1"),
            chain(n, "output", -100),
            rule(
                n,
                field("ip", "daddr", f"@{n.set}"),
                field("tcp", "dport", 80),
                {"dnat": {"addr": INSIDE, "port": 8080}},
            ),
        ],
    ),
    "a mark too late": Kind(
        "mark-late",
        OUT,
        lambda n: [
            *translating(n),
            addresses(n, {"prefix": {"addr": "203.0.113.0", "len": 24}}),
            chain(n, "forward", -150, "filter"),
            rule(n, meta("iifname", interface(n.lan)), field("ip", "daddr", f"@{n.set}"), *MARKED),
        ],
        before=lambda world: (
            world.ip("rule", "add", "fwmark", "0x51", "lookup", "51", "pref", "60"),
            world.ip("route", "add", "default", "via", "198.51.100.100", "table", "51"),
        ),
        after=lambda world: (world.ip("rule", "del", "pref", "60"), world.ip("route", "flush", "table", "51")),
    ),
    "forwarding of one interface": Kind(
        "forwarding", OUT, translating, "settings", before=unset_forwarding, after=set_forwarding
    ),
    "the reverse path": Kind("rp-filter", OUT, translating, "settings", before=other_way, after=one_way, by_path=True),
    "127.0.0.1 from outside": Kind(
        "route-localnet",
        IN,
        lambda n: [
            *translating(n),
            chain(n, "prerouting", -100, suffix="pre"),
            rule(n, meta("iifname", interface(n.wan)), {"dnat": {"addr": "127.0.0.1"}}, suffix="pre"),
        ],
        "settings",
        after=lambda world: sysctl(world, world.names.wan, "route_localnet", 0),
        by_path=True,
    ),
    "what path says of forward": Kind(
        "policy",
        OUT,
        lambda n: [*translating(n), *forward(n, [state("established", "related")])],
        by_path=True,
    ),
    "a route that refuses": Kind(
        "route",
        OUT,
        translating,
        "routes",
        before=lambda world: world.ip("route", "add", "blackhole", SERVER),
        after=lambda world: world.gateway.run("ip", "route", "del", "blackhole", SERVER, check=False),
    ),
    "a rule that refuses": Kind(
        "route",
        OUT,
        translating,
        "rules",
        before=lambda world: world.ip("rule", "add", "to", SERVER, "pref", "70", "prohibit"),
        after=lambda world: world.gateway.run("ip", "rule", "del", "pref", "70", check=False),
    ),
    "a way out that is down": Kind(
        "link",
        (),
        lambda n: [*translating(n), rule(n, meta("oifname", interface(n.wan2)), MASQUERADE, suffix="post")],
        "links",
        before=lambda world: world.ip("link", "set", "dev", world.names.wan2, "down"),
        after=lambda world: world.ip("link", "set", "dev", world.names.wan2, "up"),
    ),
    "an address that nobody has": Kind(
        "snat-address",
        (),
        lambda n: [
            table(n),
            chain(n, "postrouting", 100),
            rule(n, meta("oifname", interface(n.wan)), {"snat": {"addr": "203.0.113.50"}}),
        ],
        "addresses",
        after=lambda world: world.gateway.run(
            "ip", "address", "del", "203.0.113.50/32", "dev", world.names.wan, check=False
        ),
    ),
    "iptables, another destination": Kind(
        "other-destination",
        OUT,
        nothing,
        before=lambda world: world.gateway.run(
            *("iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-d", "1.1.1.1", "-j", "MASQUERADE")
        ),
    ),
}
ELSEWHERE = "9.9.9.9"


def behind_private(world: World) -> None:
    """The next hop is in a private network, of which the way out has its first address that fits."""
    world.ip("address", "add", "10.9.9.1/24", "dev", world.names.wan)
    world.outside.run("ip", "address", "add", "10.9.9.2/24", "dev", "eth0")
    world.ip("route", "replace", "default", "via", "10.9.9.2")


def before_public(world: World) -> None:
    world.ip("route", "replace", "default", "via", SERVER)
    world.ip("address", "del", "10.9.9.1/24", "dev", world.names.wan)
    world.outside.run("ip", "address", "del", "10.9.9.2/24", "dev", "eth0")


def back_past_it(world: World) -> None:
    world.outside.run("ip", "route", "add", f"{INSIDE}/32", "via", "10.77.0.1")
    world.inside.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth9.rp_filter=0")


def back_by_it(world: World) -> None:
    world.outside.run("ip", "route", "del", f"{INSIDE}/32")


BRIDGE = "br*;$(>x)'"


def bridge(world: World) -> None:
    world.ip("link", "add", "name", BRIDGE, "up", "type", "bridge")
    for port in ("p0", "p1"):
        world.ip("link", "set", "dev", port, "master", BRIDGE, "up")
    world.ip("address", "add", "10.55.0.254/24", "dev", BRIDGE)
    world.gateway.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")


def no_bridge(world: World) -> None:
    world.ip("link", "del", "dev", BRIDGE)
    world.gateway.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")


def file_transfer(world: World) -> None:
    world.forget()
    world.traffic.connect("inside", SERVER, 21)


def tracking_setting(world: World, name: str, value: int) -> None:
    world.gateway.call(lambda: Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").write_text(str(value)))


def legacy_drops(world: World) -> None:
    world.gateway.run("iptables-legacy", "-P", "FORWARD", "DROP")
    world.traffic.datagram("inside", SERVER, 9)
    world.forget()


def iptables(*lines: str) -> Callable[[World], None]:
    """Rules of iptables-nft's, and behind them a chain of its filter table, as it is called here, that drops."""

    def run(world: World) -> None:
        for line in lines:
            world.gateway.run("iptables-nft", *line.split())

    return run


def chain_of_iptables(world: World) -> None:
    """iptables-nft's own table, in which FORWARD jumps to a chain that is called as nothing of its own would be."""
    world.gateway.run("iptables-nft", "-P", "FORWARD", "ACCEPT")
    where = {"family": "ip", "table": "filter"}
    dropping = [meta("iifname", interface(world.names.lan)), {"counter": None}, DROP]
    world.nft(
        [
            {"chain": {**where, "name": world.names.chain}},
            {
                "rule": {
                    **where,
                    "chain": "FORWARD",
                    "expr": [{"counter": None}, {"jump": {"target": world.names.chain}}],
                }
            },
            {"rule": {**where, "chain": world.names.chain, "expr": dropping}},
        ]
    )


def flow(source: str, outside: str, port: int = 53, *, destination: str = ELSEWHERE, **fields: Any) -> Entry:
    """A flow of UDP, translated to an outside address where that is another."""
    reply = (destination, outside, port, 1000)
    nat = ("source", outside, 1000) if outside != source else None
    return Entry(source, destination, ports=(1000, port), reply=reply, nat=nat, timeout=9000, **fields)


TRANSLATED_ELSEWHERE = Entry(
    SERVER, "203.0.113.1", ports=(4000, 5000), reply=("192.168.1.12", SERVER, 5000, 4000), timeout=9000,
    nat=("destination", "192.168.1.12", 5000),
)  # fmt: skip


def forwarding_datagrams(n: Names) -> list[Any]:
    to = {"dnat": {"addr": INSIDE, "port": 5000}}
    return [
        *translating(n),
        chain(n, "prerouting", -100, suffix="pre"),
        rule(n, meta("iifname", interface(n.wan)), field("udp", "dport", 5000), to, suffix="pre"),
    ]


def taken(n: Names, family: str, name: str) -> list[Any]:
    """A table of somebody else's, with chains that are called as ours would be, elsewhere."""
    where = {"family": family, "table": name}
    return [
        {"table": {"family": family, "name": name}},
        *(
            {"chain": {**where, "name": each, "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}
            for each in ("forward", "prerouting", "postrouting")
        ),
    ]


KINDS |= {
    "a host asks for itself": Kind(
        "hairpin",
        HAIRPIN,
        peers=True,
        rules=lambda n: [
            *translating(n),
            chain(n, "prerouting", -100, suffix="pre"),
            rule(
                n,
                field("ip", "daddr", "203.0.113.1"),
                field("tcp", "dport", 80),
                {"dnat": {"addr": INSIDE, "port": 8080}},
                suffix="pre",
            ),
        ],
    ),
    "a host asks for itself, with iptables": Kind(
        "hairpin",
        HAIRPIN,
        peers=True,
        rules=nothing,
        before=iptables(
            "-t nat -A POSTROUTING ! -d 192.168.1.0/24 -j MASQUERADE",
            f"-t nat -A PREROUTING -d 203.0.113.1 -p tcp --dport 80 -j DNAT --to-destination {INSIDE}:8080",
        ),
    ),
    "masquerade takes a private address": Kind(
        "masquerade-private",
        ("tcp", INSIDE, f"{ELSEWHERE}:443"),
        translating,
        before=behind_private,
        after=before_public,
    ),
    "only one direction": Kind(
        "asymmetric",
        OUT,
        peers=True,
        rules=lambda n: [
            table(n),
            chain(n, "forward", 0, "filter"),
            rule(n, state("invalid"), DROP),
        ],
        before=back_past_it,
        after=back_by_it,
    ),
    "bridged frames": Kind(
        "br-netfilter",
        ("tcp", "10.55.0.1", "10.55.0.2:80"),
        peers=True,
        rules=lambda n: [*translating(n), *forward(n, [meta("iifname", interface(n.lan))], [state("established")])],
        before=bridge,
        after=no_bridge,
    ),
    "no helper": Kind(
        "helper",
        (),
        translating,
        before=file_transfer,
        again=file_transfer,
    ),
    "no helper, and its table is somebody's": Kind(
        "helper",
        (),
        lambda n: [*translating(n), *taken(n, "ip", "netinspect-helpers")],
        before=file_transfer,
        again=file_transfer,
    ),
    "a smaller way out": Kind(
        "mtu",
        (),
        lambda n: [*translating(n), *taken(n, "inet", "clamp")],
        before=lambda world: world.ip("link", "set", "dev", world.names.wan, "mtu", "1400"),
        after=lambda world: world.ip("link", "set", "dev", world.names.wan, "mtu", "1500"),
    ),
    "no rule, and its tables are somebody's": Kind(
        "no-rule",
        OUT,
        lambda n: [rule for name in ("nat", "netinspect", "netinspect-nat") for rule in taken(n, "ip", name)],
    ),
    "a translation whose address is gone": Kind(
        "stale",
        (),
        translating,
        "flows",
        before=lambda world: world.track(
            flow(INSIDE, "203.0.113.99"),
            flow(INSIDE, "203.0.113.1", 54),
            flow("203.0.113.99", "203.0.113.99", 55),
        ),
        removes=1,
    ),
    "an entry from before the rule": Kind(
        "stale",
        (),
        forwarding_datagrams,
        "flows",
        before=lambda world: world.track(
            TRANSLATED_ELSEWHERE,
            TRANSLATED_ELSEWHERE._replace(
                zone=7, reply=(INSIDE, SERVER, 5000, 4000), nat=("destination", INSIDE, 5000)
            ),
            TRANSLATED_ELSEWHERE._replace(
                ports=(4001, 5000), reply=(INSIDE, SERVER, 5000, 4001), nat=("destination", INSIDE, 5000)
            ),
        ),
        removes=1,
    ),
    "a flow from before translation": Kind(
        "untranslated",
        (),
        translating,
        "flows",
        before=lambda world: world.track(flow(INSIDE, INSIDE), flow(INSIDE, "203.0.113.1", 54)),
        removes=1,
    ),
    "a timeout that is too short": Kind(
        "timeout",
        (),
        translating,
        "settings",
        before=lambda world: tracking_setting(world, "udp_timeout", 3),
        after=lambda world: tracking_setting(world, "udp_timeout", 30),
    ),
    "a time to live that ends here": Kind(
        "ttl",
        OUT,
        lambda n: [
            *translating(n),
            chain(n, "prerouting", -150, "filter", suffix="ttl"),
            rule(
                n,
                meta("iifname", interface(n.lan)),
                {"mangle": {"key": {"payload": {"protocol": "ip", "field": "ttl"}}, "value": 1}},
                suffix="ttl",
            ),
        ],
    ),
    "a rule behind one for everybody": Kind(
        "rule-order",
        (),
        translating,
        "rules",
        before=lambda world: (
            world.ip("rule", "add", "iif", world.names.lan, "lookup", "52", "pref", "40000"),
            world.ip("route", "add", "default", "via", "198.51.100.100", "table", "52"),
        ),
        after=lambda world: (
            *(world.gateway.run("ip", "rule", "del", "lookup", "52", check=False) for _ in range(2)),
            world.ip("route", "flush", "table", "52"),
        ),
    ),
    "a chain of iptables": Kind("rule", OUT, nothing, before=chain_of_iptables),
    "a policy of legacy iptables": Kind(
        "legacy-policy",
        (),
        translating,
        "legacy",
        before=legacy_drops,
        after=lambda world: world.gateway.run("iptables-legacy", "-P", "FORWARD", "ACCEPT"),
    ),
    "bridged frames, before it is known where they go": Kind(
        "br-netfilter",
        ("tcp", "10.55.0.1", "10.55.0.2:80"),
        peers=True,
        rules=lambda n: [table(n), chain(n, "prerouting", -150, "filter", "drop")],
        before=bridge,
        after=no_bridge,
    ),
    "a rule that speaks of bridged frames": Kind(
        "rule",
        OUT,
        rules=lambda n: [
            *translating(n),
            chain(n, "forward", 0, "filter"),
            rule(n._replace(comment="bridge-nf-call"), meta("iifname", interface(n.lan)), DROP),
        ],
    ),
}
FOLLOWING = {"addresses": {"routes"}, "links": {"routes", "addresses"}}
"""What changes with them by itself."""


def pairs() -> list[tuple[int, str]]:
    """All kinds with the first names, and every tenth with each of the others; all where more names are tried."""
    return [
        (number, name)
        for number in range(len(WORLDS))
        for at, name in enumerate(KINDS)
        if not number or SEEDS > 1 or not (at + number) % 10
    ]


@pytest.mark.parametrize(("world", "name"), pairs(), indirect=["world"])
def test_a_fix_does_what_it_says_and_nothing_else(need: Need, world: World, tmp_path: Path, name: str) -> None:
    need("nft")
    need("iptables-nft")
    need("iptables-legacy")
    need("conntrack")
    need("ip")
    need("sysctl")
    if lacks := nftables_lacks():
        unavailable(lacks[0])
    kind = KINDS[name]
    plain = world.names is WORLDS[0]  # as hostile as nft can write
    for file in ("a", "b"):
        (tmp_path / file).touch()  # what a glob would stand for
    seen: list[Any] = []
    try:
        world.nft([{"table": {"family": "ip", "name": "mine"}}, *kind.rules(world.names)])
        kind.before(world)
        before = world.state()
        if kind.peers:
            seen += [host.popen(["sleep", "60"]) for host in (world.inside, world.outside, world.left, world.right)]
        iif = world.names.lan if kind.flow == OUT else world.names.wan

        def look() -> list[dict[str, Any]]:
            return world.path_fixes(iif, kind.flow) if kind.by_path else world.diagnose(kind.flow)

        found = [finding for finding in look() if finding["check"] == kind.check]
        assert found, look()
        assert world.state() == before
        for finding in found:
            if finding is not found[0] and finding not in look():
                continue  # what helps one helps the other
            fix = finding["fix"]
            if not fix:
                assert finding["advice"], finding
                fix = [*finding["advice"].split(" before: "), ""][1]
            if not fix:
                assert not plain, finding
                continue
            assert fix.isprintable()
            shell = "bash" if len(fix) % 2 and os.path.exists("/bin/bash") else "sh"
            result = subprocess.run(
                ["nsenter", f"--net={world.gateway.path}", shell, "-c", fix.replace("iptables ", "iptables-nft ")],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=20,
            )
            said = re.sub(
                r"conntrack v\S+ \(conntrack-tools\): \d+ flow entries have been deleted.\n", "", result.stderr
            )
            assert (result.returncode, said) == (0, ""), (fix, result)
            assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"], fix
            after = world.state()
            changed = {domain for domain in after if after[domain] != before[domain]}
            assert changed <= {kind.changes, *FOLLOWING.get(kind.changes, ())}, (fix, changed)
            added, removed = after["nft"] - before["nft"], before["nft"] - after["nft"]
            assert added.total() <= 3 + (kind.check == "helper"), (fix, added)
            assert removed.total() <= (fix.startswith("nft delete rule")), (fix, removed)
            assert len(before["flows"] - after["flows"]) == kind.removes, fix
            if kind.changes == "settings":
                assert sum(after["settings"][key] != before["settings"][key] for key in before["settings"]) <= 1, fix
            kind.again(world)
            left = {(one["check"], one["subject"]) for one in look()}
            assert (finding["check"], finding["subject"]) not in left, (fix, left)
    finally:
        for process in seen:
            process.kill()
            process.wait()
        world.gateway.run("nft", "flush", "ruleset")
        world.forget()
        kind.after(world)


def test_most_fixes_are_written() -> None:
    """Names that nft can write, hostile as they are, take no fix away."""
    plain = WORLDS[0]
    assert all(map(nft_string, plain[:3]))
    assert all(map(nft_identifier, plain[3:6]))
