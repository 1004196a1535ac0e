"""Topologies as data: what they may say, and the line that an error names."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netinspect.lab.errors import TopologyError
from netinspect.lab.toml_lines import line_of, lines
from netinspect.lab.topology import HostSpec, Link, Route, Topology, check
from netinspect.lab.topology_file import load, names, parse
from netinspect.testing import LabFactory

GOOD = """
[hosts.a.interfaces.eth0]
addresses = ["10.0.0.1/24"]

[hosts.b.interfaces.eth0]
addresses = ["10.0.0.2/24"]

[[links]]
ends = ["a:eth0", "b:eth0"]
"""


@pytest.mark.parametrize("name", names())
def test_every_topology_of_the_package_is_valid_and_described(name: str) -> None:
    topology = load(name)
    assert topology.description
    assert topology.hosts
    assert {"client", "server"} <= set(topology.roles)


def test_the_package_has_the_topologies_that_it_promises() -> None:
    assert set(names()) >= {"pair", "gateway", "dualstack", "multicast", "pmtu", "policy", "cgnat", "scale"}


@pytest.mark.parametrize(
    ("addition", "line", "message"),
    [
        ('[hosts.c]\nforwarding = "yes"', 12, "hosts.c.forwarding: must be true or false, not 'yes'"),
        ("[hosts.c]\nforward = true", 12, "hosts.c.forward: not known here: forwarding, sysctls"),
        (
            '[hosts.c.interfaces.lo]\naddresses = [\n  "10.0.0.300/24",\n]',
            13,
            "addresses[0]: '10.0.0.300/24' is not an",
        ),
        ('[hosts.c.interfaces.eth7]\naddresses = ["10.0.0.3/24"]', 11, "no link ends here, and it is not a bridge"),
        (
            '[[hosts.a.routes]]\nto = "10.1.0.0/16"\nvia = "fd00::1"',
            13,
            "routes[0].via: 'fd00::1' is not an IPv4 address",
        ),
        ('[[hosts.a.routes]]\nto = "10.1.0.1/16"', 12, "routes[0].to: '10.1.0.1/16' is not a prefix"),
        ('[[hosts.a.routes]]\nvia = "10.0.0.1"', 11, "hosts.a.routes[0]: to is missing"),
        ('[[hosts.a.routes]]\nto = "default"\ntype = "blackhole"\nvia = "10.0.0.2"', 13, "takes no next hop"),
        ('[[hosts.a.nat]]\nkind = "mask"', 12, "nat[0].kind: 'mask' is not one of masquerade, snat, dnat, redirect"),
        ('[[hosts.a.nat]]\nkind = "masquerade"\nout = "eth5"', 13, "nat[0].out: no interface 'eth5'"),
        ('[[hosts.a.nat]]\nkind = "redirect"\nprotocol = "tcp"\nport = 80', 11, "redirect needs to_port"),
        ('[[hosts.a.joins]]\ngroup = "10.0.0.1"\ninterface = "eth0"', 12, "'10.0.0.1' is not a multicast address"),
        ('[[links]]\nends = ["a:eth1"]', 12, "a link has two ends"),
        ('[[links]]\nends = ["a:eth1", "nobody:eth0"]', 12, "ends[1]: no host 'nobody'"),
        ('[[links]]\nends = ["a:eth0", "b:eth1"]', 12, "a has an interface 'eth0' already"),
        ('[[links]]\nends = ["a:a-very-long-name", "b:eth1"]', 12, "is not a valid interface name"),
        ("[hosts.c.sysctls]\n'kernel.hostname' = 'x'", 12, "only sysctls below net. belong to a network namespace"),
        ("[hosts.c]\nfill = [{ kind = 'sockets', count = '$many' }]", 12, "no parameter 'many'"),
        ('[roles]\nclient = "nobody"', 12, "roles.client: no host 'nobody'"),
        ("[planets]\nx = 1", 11, "planets: not known here"),
    ],
)
def test_an_error_in_a_topology_names_its_line(addition: str, line: int, message: str) -> None:
    with pytest.raises(TopologyError) as caught:
        parse(f"{GOOD}\n{addition}\n", "my.toml", "my", {})
    assert str(caught.value).startswith(f"my.toml:{line}: ")
    assert message in str(caught.value)


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(TopologyError, match=r"my\.toml: .*line 3, column"):
        parse("\n\n[hosts\n", "my.toml", "my", {})


def test_parameters_replace_numbers_and_unknown_ones_are_refused() -> None:
    text = "[parameters]\nmany = 3\n[hosts.a]\nfill = [{ kind = 'sockets', count = '$many' }]\n"
    assert parse(text, "my.toml", "my", {}).hosts["a"].fill[0].count == 3
    assert parse(text, "my.toml", "my", {"many": 5}).hosts["a"].fill[0].count == 5
    with pytest.raises(TopologyError, match="'my' has no parameter 'few': it has many"):
        parse(text, "my.toml", "my", {"few": 5})


def test_the_error_for_an_unknown_topology_lists_the_known_ones() -> None:
    with pytest.raises(TopologyError, match="no topology 'pear': give one of bridge-netfilter, cgnat"):
        load("pear")


def test_a_topology_made_in_python_is_checked_too() -> None:
    topology = Topology(
        hosts={"a": HostSpec(routes=(Route("nowhere"),)), "b": HostSpec()},
        links=(Link((("a", "eth0"), ("b", "eth0"))),),
    )
    with pytest.raises(TopologyError, match=r"hosts\.a\.routes\[0\]\.to: 'nowhere' is not a prefix"):
        check(topology)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Any:
    """Every path of a parsed document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from paths(item, (*path, key))


KEYS = st.text("abc-_1", min_size=1, max_size=3)
STRINGS = st.sampled_from(['"x"', "'y # no'", '"[z] = \\" {"', '"""a\n[b]\n"""', "'''c\n#d\n'''", '"""q\\"""" "'[:-2]])
SCALARS = st.sampled_from(["1", "true", "2.5", "1979-05-27T07:32:00Z", "0x10"]) | STRINGS


def _array(items: list[str], broken: bool) -> str:
    return "[" + (",\n  # comment ]\n  " if broken else ", ").join(items) + "]"


def _inline(items: dict[str, str]) -> str:
    return "{ " + ", ".join(f"{key} = {value}" for key, value in items.items()) + " }"


VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.builds(_array, st.lists(inner, max_size=3), st.booleans())
        | st.builds(_inline, st.dictionaries(KEYS, inner, max_size=3))
    ),
    max_leaves=6,
)
PAIRS = st.dictionaries(KEYS, VALUES, max_size=3).map(
    lambda pairs: "".join(f"{key} = {value} # end\n" for key, value in pairs.items())
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    text = draw(PAIRS)
    for number in range(draw(st.integers(0, 4))):
        header = draw(st.sampled_from(["[t{n}]", "[[list]]", "[t{n}.sub]", '[ "quoted key {n}" ]', "[list.under{n}]"]))
        if header.startswith("[list.") and "[[list]]" not in text:
            header = "[[list]]"
        text += f"\n{header.format(n=number)}\n{draw(PAIRS)}"
    return text


@given(documents())
def test_every_key_table_and_element_of_a_document_has_its_line(text: str) -> None:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a key given twice
    found = lines(text)
    assert set(paths(document)) <= set(found)
    rows = text.split("\n")
    for path in paths(document):
        if isinstance(path[-1], str):
            assert path[-1] in rows[found[path] - 1]


def test_a_missing_key_has_the_line_of_its_table() -> None:
    assert line_of(lines("a = 1\n[b]\nc = 2\n"), ("b", "missing", 0)) == 2


def test_the_topology_in_the_documentation_works(lab: LabFactory) -> None:
    text = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    (example,) = (part.split("```")[0] for part in text.split("```toml\n") if "[[links]]\n" in part.split("```")[0])
    net = lab(parse(example, "docs/testing.md", "example", {}))
    net.traffic("idle")
    net.router.assert_natted("10.1.0.2 -> 10.2.0.2", to="10.2.0.1")


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 5000 + "]" * 5000,
        "a" + ".a" * 50_000 + " = 1",
        'x = {b = """\n""", ' + '"a".' * 50_000 + "a = 1}",
        '"\\' * 50_000,
        "x = " + "{a=" * 5000 + "1" + "}" * 5000,
        "[hosts.a]\n" + "a." * 5000 + "b = 1",
        "[links]\n" + "x = " + "9" * 5000,
        "[hosts.a.interfaces.lo]\nmtu = " + "9" * 4000,
        "[hosts.a.interfaces.lo]\nmtu = -1",
        "[hosts.a.interfaces.lo]\naddresses = ['fe80::1%eth0/64']",
        "[hosts.a]\nroutes = [{ to = 'default', via = '10.0.0.1', metric = -1 }]",
        "[hosts.a]\nroutes = [{ to = 'default', via = '10.0.0.1', metric = 4294967296 }]",
        "[hosts.a]\nroutes = [{ to = 'default6', via = 'fe80::1%lo' }]",
        "[hosts.a]\nroutes = [{ to = '" + "9" * 100_000 + "', via = '10.0.0.1' }]",
        "[hosts.a]\nrules = [{ priority = -1 }]",
        "[hosts.a]\nrules = [{ priority = 4294967296 }]",
        "[hosts.a]\nrules = [{ priority = 1, mark = 4294967296 }]",
        "[hosts.a]\nrules = [{ priority = 1, mark = -5 }]",
        "[hosts.a]\nrules = [{ priority = 1, table = 4294967296 }]",
        "[hosts.a]\nrules = [{ priority = 1, table = -1 }]",
        "[hosts.a]\nrules = [{ priority = 1, source = '10.0.0.0/8', to = 'fd00::/8' }]",
        "[hosts.a]\nrules = [{ priority = 1.5 }]",
        "[hosts.a]\nrules = [{ priority = nan }]",
        "[hosts.a]\nnat = [{ kind = 'masquerade', source = 'fd00::/8' }]",
        "[hosts.a]\nnat = [{ kind = 'redirect', to_port = 80, protocol = 'tcp', port = 65536 }]",
        "[hosts.a]\nfill = [{ kind = 'sockets', count = 99999999999999 }]",
        "[hosts.a]\nsysctls = { 'net.ipv4.x' = \"a\\u0000b\" }",
        '[hosts.a]\nsysctls = { "net.ipv4.\\u0000" = 1 }',
        "[hosts.a]\nsysctls = { 'net.ipv4.x' = 1.5 }",
        '[hosts."' + "a" * 5000 + '"]',
        '[hosts."a\\nnetinspect: all is well"]',
        '[hosts.a]\n"\\u001b[31m\\n" = 1',
        '[roles]\n"\\n" = "\\n"',
        "[hosts.a.interfaces.'eth%d']\nbridge = []",
        'description = ["a"]',
        "description = 2020-01-01",
        "description = " + "9" * 3_000_000,
        "description = 0x" + "f" * 300_000,
    ],
    ids=lambda text: text.replace("\n", " ")[:60],
)
def test_extreme_values_are_one_short_line(text: str) -> None:
    with pytest.raises(TopologyError) as caught:
        parse(text, "my.toml", "my", {})
    message = str(caught.value)
    assert message.startswith("my.toml")
    assert message.isprintable()
    assert len(message) < 400


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "fifo.toml")
    (tmp_path / "directory.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b"description = '\xe9'")
    with open(tmp_path / "large.toml", "wb") as file:
        file.truncate(1 << 33)
    (tmp_path / "a\nb.toml").write_text("x = 1")
    for name, message in (
        ("fifo", "is a FIFO"),
        ("directory", "is a directory"),
        ("latin", "can't decode byte"),
        ("large", "too large"),
        ("a\nb", r"a\\x0ab\.toml:1: x: not known here"),
    ):
        with pytest.raises(TopologyError, match=message):
            load(str(tmp_path / f"{name}.toml"))
    for name in ("/dev/zero", "x\0.toml", "/" + "x" * 5000 + ".toml"):
        with pytest.raises(TopologyError):
            load(name)
