"""Filter expressions: what they mean, where bad ones go wrong, and what they select of records."""

from __future__ import annotations

import ctypes
import os
import socket as sockets
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netinspect.errors import ExitStatus, UsageError
from netinspect.nouns.sockets.filter import STATE_NAMES, FilterError, Lookups, leaves, parse, predicate, state_bits
from netinspect.nouns.sockets.filter_conditions import (
    EVERY,
    LOCAL,
    REMOTE,
    Address,
    And,
    Autobound,
    Cgroup,
    Condition,
    Expression,
    Family,
    Interface,
    Mark,
    Name,
    Not,
    Or,
    Port,
)
from netinspect.nouns.sockets.filter_glob import matcher
from netinspect.nouns.sockets.filter_states import ALL, names_of_states
from netinspect.records import Socket

HOSTS = {
    "one.example": {2: ["192.0.2.1"]},
    "both.example": {2: ["192.0.2.1", "192.0.2.2"], 10: ["2001:db8::1"]},
    "six.example": {10: ["2001:db8::1"]},
    "bücher.example": {2: ["192.0.2.3"]},
}
SERVICES = {"ssh": {"tcp": 22}, "domain": {"tcp": 53, "udp": 53}, "odd": {"tcp": 1, "udp": 2}}


class Known(Lookups):
    """What the names in these tests stand for, without asking the system."""

    def addresses(self, host: str, families: Sequence[int]) -> list[bytes]:
        found = HOSTS.get(host, {})
        packed = [sockets.inet_pton(family, text) for family in families for text in found.get(family, [])]
        if not packed:
            raise OSError(-2, "Name or service not known")
        return packed

    def ports(self, service: str) -> dict[str, int]:
        return SERVICES.get(service, {})

    def interface_exists(self, name: str) -> bool:
        return name in ("lo", "eth0")

    def cgroup_id(self, path: str) -> int:
        if path != "/system.slice/sshd.service":
            raise FileNotFoundError(2, "No such file or directory")
        return 4242


def read(text: str, family: str | None = None) -> Expression:
    return parse(text, family=family, lookups=Known())


def meaning(text: str, family: str | None = None) -> Condition:
    return read(text, family).condition


def local(text: str, length: int | None = None) -> Address:
    return Address(LOCAL, *_prefix(text, length))


def remote(text: str, length: int | None = None) -> Address:
    return Address(REMOTE, *_prefix(text, length))


def _prefix(text: str, length: int | None) -> tuple[bytes, int]:
    packed = sockets.inet_pton(sockets.AF_INET6 if ":" in text else sockets.AF_INET, text)
    return packed, 8 * len(packed) if length is None else length


SSH = Port(LOCAL, "=", 22)
TO_SSH = Port(REMOTE, "=", 22)
WEB = Port(LOCAL, "=", 80)
OTHER = Port(LOCAL, "=", 443)

GOOD: list[tuple[str, Condition]] = [
    ("", EVERY),
    (" \t ", EVERY),
    # Ports: every operator in each of its spellings, and none.
    *((f"sport {sign} :22", SSH) for sign in ("=", "==", "eq", "")),
    *((f"sport {sign} :22", Not(SSH)) for sign in ("!=", "ne", "neq")),
    *((f"dport {sign} 22", Not(Port(REMOTE, ">=", 22))) for sign in ("<", "lt")),
    *((f"dport {sign} 22", Not(Port(REMOTE, "<=", 22))) for sign in (">", "gt")),
    *((f"dport {sign} 22", Port(REMOTE, "<=", 22)) for sign in ("<=", "le", "leq")),
    *((f"dport {sign} 22", Port(REMOTE, ">=", 22)) for sign in (">=", "ge", "geq")),
    *((f"sport = {port}", SSH) for port in (":22", "22", ":ssh", "ssh", "0x16", ":0X16")),
    ("sport=:22", SSH),
    ("dport>=22", Port(REMOTE, ">=", 22)),
    ("sport :0", Port(LOCAL, "=", 0)),
    ("sport = *", EVERY),
    ("sport = :*", EVERY),
    ("sport != *", Not(EVERY)),
    ("sport = inet::22", And((Family("inet"), SSH))),
    ("sport = inet6:ssh", And((Family("inet6"), SSH))),
    ("dport = netlink:kernel", And((Family("netlink"), Port(REMOTE, "=", 0)))),
    ("sport = 65535", Port(LOCAL, "=", 65535)),
    ("sport = netlink:4294967295", And((Family("netlink"), Port(LOCAL, "=", 4294967295)))),
    # IPv4 addresses.
    ("src 10.1.2.3", local("10.1.2.3")),
    ("src = 10.1.2.3", local("10.1.2.3")),
    ("dst == 10.1.2.3", remote("10.1.2.3")),
    ("dst != 10.1.2.3", Not(remote("10.1.2.3"))),
    ("dst 10.0.0.0/8", remote("10.0.0.0", 8)),
    ("dst 10.9.9.9/8", remote("10.0.0.0", 8)),
    ("dst 10/8", remote("10.0.0.0", 8)),
    ("dst 193.233.7/24", remote("193.233.7.0", 24)),
    ("dst 10.0.0.0/255.0.0.0", remote("10.0.0.0", 8)),
    ("dst 10.1.2.3/0", remote("0.0.0.0", 0)),
    ("dst 10.1.2.3/0.0.0.0", remote("0.0.0.0", 0)),
    ("dst 255.255.255.255/31", remote("255.255.255.254", 31)),
    ("src 10.1.2.3:22", And((local("10.1.2.3"), SSH))),
    ("src 10.1.2.3:ssh", And((local("10.1.2.3"), SSH))),
    ("src 10.1.2.0/24:22", And((local("10.1.2.0", 24), SSH))),
    ("src 10.1.2.3:", local("10.1.2.3")),
    ("src 10.1.2.3:*", local("10.1.2.3")),
    ("src inet:10.1.2.3", And((Family("inet"), local("10.1.2.3")))),
    # IPv6 addresses.
    ("src ::1", local("::1")),
    ("src [::1]", local("::1")),
    ("src ::", local("::")),
    ("src ::/0", local("::", 0)),
    ("src [::1]:22", And((local("::1"), SSH))),
    ("src [fe80::1]/64", local("fe80::", 64)),
    ("src [fe80::1/64]", local("fe80::", 64)),
    ("src [fe80::1/64]:22", And((local("fe80::", 64), SSH))),
    ("src [fe80::1]/64:22", And((local("fe80::", 64), SSH))),
    ("src fe80::1/64", local("fe80::", 64)),
    ("src fe80::1/64:22", And((local("fe80::", 64), SSH))),
    ("src fe80::1:22", local("fe80::1:22")),
    ("src ::ffff:10.1.2.3", local("::ffff:10.1.2.3")),
    ("src inet6:::1", And((Family("inet6"), local("::1")))),
    ("src inet6:[::1]:22", And((Family("inet6"), And((local("::1"), SSH))))),
    # Wildcards.
    *((f"src {wildcard}", EVERY) for wildcard in ("*", "*:*", ":", "any", "all")),
    *((f"src {wildcard}", SSH) for wildcard in (":22", "*:22", "*:ssh", ":ssh")),
    ("src inet:*", Family("inet")),
    ("dst inet6:*:22", And((Family("inet6"), TO_SSH))),
    # Names of hosts.
    ("dst one.example", remote("192.0.2.1")),
    ("dst both.example", Or((remote("192.0.2.1"), remote("192.0.2.2"), remote("2001:db8::1")))),
    ("dst both.example:22", And((Or((remote("192.0.2.1"), remote("192.0.2.2"), remote("2001:db8::1"))), TO_SSH))),
    ("dst inet:both.example", And((Family("inet"), Or((remote("192.0.2.1"), remote("192.0.2.2")))))),
    ("dst inet6:both.example", And((Family("inet6"), remote("2001:db8::1")))),
    ("dst bücher.example", remote("192.0.2.3")),
    # Other families.
    ("src unix:/tmp/*.sock", Name(LOCAL, "unix", "/tmp/*.sock")),
    ("src /tmp/*.sock", Name(LOCAL, "unix", "/tmp/*.sock")),
    ("dst @abstract", Name(REMOTE, "unix", "@abstract")),
    ("src unix:", Name(LOCAL, "unix", "")),
    ("src unix:[!a]*", Name(LOCAL, "unix", "[!a]*")),
    (r"src unix:/tmp/a\ b\(c\)\\d", Name(LOCAL, "unix", r"/tmp/a b(c)\d")),
    ("src unix:/tmp/\udcff", Name(LOCAL, "unix", r"/tmp/\\xff")),
    ("src netlink:route", And((Family("netlink"), Name(LOCAL, "netlink", "route")))),
    ("src netlink:*:77", And((Family("netlink"), Port(LOCAL, "=", 77)))),
    ("dst netlink:route:kernel", And((Family("netlink"), Name(REMOTE, "netlink", "route"), Port(REMOTE, "=", 0)))),
    ("src link:arp:eth0", And((Family("packet"), Name(LOCAL, "packet", "arp"), Interface("eth0")))),
    ("src link:*", Family("packet")),
    ("src vsock:2:1024", And((Family("vsock"), Name(LOCAL, "vsock", "host"), Port(LOCAL, "=", 1024)))),
    # By number, and by the names that ss has for them: what is listed under another name is found all the same.
    ("src netlink:rtnl", And((Family("netlink"), Name(LOCAL, "netlink", "route")))),
    ("src netlink:15", And((Family("netlink"), Name(LOCAL, "netlink", "kobject_uevent")))),
    ("src netlink:Genl:*", And((Family("netlink"), Name(LOCAL, "netlink", "generic")))),
    ("src netlink:31", And((Family("netlink"), Name(LOCAL, "netlink", "31")))),
    ("src link:2054", And((Family("packet"), Name(LOCAL, "packet", "arp")))),
    ("src link:0x88b5:lo", And((Family("packet"), Name(LOCAL, "packet", "0x88b5"), Interface("lo")))),
    ("src link:mpls_uc", And((Family("packet"), Name(LOCAL, "packet", "mpls")))),
    ("src vsock:77", And((Family("vsock"), Name(LOCAL, "vsock", "77")))),
    # The rest.
    ("dev lo", Interface("lo")),
    ("dev = lo", Interface("lo")),
    ("dev != eth0", Not(Interface("eth0"))),
    ("dev 7", Interface("7")),
    ("fwmark 5", Mark(5, 0xFFFFFFFF)),
    ("fwmark = 0x1/0xff", Mark(1, 255)),
    ("fwmark != 0xFFFFFFFF", Not(Mark(0xFFFFFFFF, 0xFFFFFFFF))),
    ("cgroup /system.slice/sshd.service", Cgroup("/system.slice/sshd.service", 4242)),
    ("cgroup != /system.slice/sshd.service", Not(Cgroup("/system.slice/sshd.service", 4242))),
    ("autobound", Autobound()),
    # How they go together.
    *((f"sport :22 {word} sport :80", And((SSH, WEB))) for word in ("and", "&", "&&", "")),
    *((f"sport :22 {word} sport :80", Or((SSH, WEB))) for word in ("or", "|", "||")),
    *((f"{word} sport :22", Not(SSH)) for word in ("not", "!")),
    ("not not sport :22", SSH),
    ("!!!sport :22", Not(SSH)),
    ("sport :22 or sport :80 and sport :443", Or((SSH, And((WEB, OTHER))))),
    ("sport :22 and sport :80 or sport :443", Or((And((SSH, WEB)), OTHER))),
    ("sport :22 or sport :80 sport :443", Or((SSH, And((WEB, OTHER))))),
    ("not sport :22 and sport :80", And((Not(SSH), WEB))),
    ("not ( sport :22 and sport :80 )", Not(And((SSH, WEB)))),
    ("( sport :22 or sport :80 ) and sport :443", And((Or((SSH, WEB)), OTHER))),
    ("sport :22 ( sport :80 )", And((SSH, WEB))),
    ("sport :22 not sport :80", And((SSH, Not(WEB)))),
    ("(sport=:22|sport=:80)&sport!=:443", And((Or((SSH, WEB)), Not(OTHER)))),
    ("autobound autobound", And((Autobound(), Autobound()))),
    ("((((sport :22))))", SSH),
    (
        "sport = :ssh or dst 10.0.0.0/8 and not dport >= 1024",
        Or((SSH, And((remote("10.0.0.0", 8), Not(Port(REMOTE, ">=", 1024)))))),
    ),
]


@pytest.mark.parametrize(("text", "condition"), GOOD)
def test_an_expression_means(text: str, condition: Condition) -> None:
    found = read(text)
    # Named tuples of different types can be equal, their texts cannot.
    assert repr(found) == repr(Expression(None, condition))


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("state established", {"ESTABLISHED"}),
        ("state ESTABLISHED state syn-sent", {"ESTABLISHED", "SYN_SENT"}),
        ("state bucket", {"SYN_RECV", "NEW_SYN_RECV", "TIME_WAIT"}),
        ("state connected exclude established exclude time-wait state closed", None),
        ("state FIN_WAIT1 state fin-wait-2", {"FIN_WAIT1", "FIN_WAIT2"}),
        ("state listening state closed", {"LISTEN", "CLOSE", "UNCONNECTED", "BOUND_INACTIVE"}),
    ],
)
def test_states_come_first_and_add_up(text: str, states: set[str] | None) -> None:
    found = read(f"{text} ( dport = :ssh )")
    assert found.condition == TO_SSH
    assert found.states is not None
    if states is not None:
        assert names_of_states(found.states) == states


def test_an_expression_without_states_selects_no_states() -> None:
    assert read("sport :22").states is None


def test_exclude_begins_with_all_states() -> None:
    kept = read("exclude listening excl time-wait").states
    assert kept is not None
    assert names_of_states(ALL) - names_of_states(kept) == {"LISTEN", "TIME_WAIT"}


def test_groups_of_states_are_those_of_ss() -> None:
    def names(name: str) -> set[str]:
        bits = state_bits(name)
        assert bits is not None
        return set(names_of_states(bits))

    everything = names("all")
    assert names("connected") == everything - {"LISTEN", "CLOSE", "UNCONNECTED", "BOUND_INACTIVE"}
    assert names("synchronized") == names("connected") - {"SYN_SENT"}
    assert names("big") == everything - names("bucket")


def test_every_name_of_states_that_is_offered_is_one() -> None:
    assert all(state_bits(name) for name in STATE_NAMES)
    assert state_bits("nonsense") is None
    assert state_bits("new-syn-recv") is None, "the kernel's own affair: part of syn-recv"


BAD: list[tuple[str, int, str]] = [
    ("sport = and", 9, "expected a port after 'sport ='"),
    ("sport", 6, "expected a port after 'sport'"),
    ("sport  =  ", 11, "expected a port after 'sport ='"),
    ("sport = = 22", 9, "expected a port after 'sport ='"),
    ("sport ! 22", 7, "expected a port after 'sport'"),
    ("sport >= *", 10, "expected a port number"),
    ("sport = :", 10, "expected a port number"),
    ("sport = 022", 9, "'022' is neither a port number"),
    ("sport = :nonsense", 10, "'nonsense' is neither a port number nor a service name"),
    ("sport = -1", 9, "'-1' is neither a port number"),
    ("sport = 1_0", 9, "'1_0' is neither"),
    ("sport = 22.5", 9, "'22.5' is neither"),
    ("sport = 0x", 9, "'0x' is neither"),
    ("sport = ²", 9, "'²' is neither"),
    ("sport = 65536", 9, "a port is from 0 to 65535; of another family: netlink:65536"),
    ("dport >= :65536", 11, "a port is from 0 to 65535"),
    ("sport = inet:65536", 14, "a port is from 0 to 65535"),
    ("dst 10.0.0.1:65536", 14, "a port is from 0 to 65535"),
    ("dst [::1]:65536", 11, "a port is from 0 to 65535"),
    ("sport = :4294967296", 10, "a port is from 0 to 65535"),
    ("sport = netlink:4294967296", 17, "a port of a netlink socket is from 0 to 4294967295"),
    ("sport = " + "9" * 5000, 9, "neither a port number"),
    ("sport = odd", 9, "the service 'odd' is port 1 in tcp and 2 in udp: give the number"),
    ("sport = 10.0.0.1:22", 9, "'10.0.0.1:22' is neither a port number"),
    ("dst", 4, "expected an address after 'dst'"),
    ("dst >= 10.0.0.1", 5, "'dst' is compared with = and != only"),
    ("dev < lo", 5, "'dev' is compared with = and != only"),
    ("dst 22", 5, "'22' is not an address; for a port write ':22'"),
    ("dst 10.1", 5, "'10.1' is neither an address nor a host name"),
    ("dst 10.1.2.3.4", 5, "'10.1.2.3.4' is neither"),
    ("dst 10.1.2.256", 5, "'10.1.2.256' is neither"),
    ("dst 0x7f000001", 5, "'0x7f000001' is not an address"),
    ("dst 10.1.2.3/33", 14, "expected a prefix length of 0 to 32"),
    ("dst 10.1.2.3/", 14, "expected a prefix length of 0 to 32"),
    ("dst 10.1.2.3/255.0.255.0", 14, "expected a prefix length of 0 to 32"),
    ("dst [::1]/129", 11, "expected a prefix length of 0 to 128"),
    ("dst ::1/129", 9, "expected a prefix length of 0 to 128"),
    ("dst [::1", 9, "expected ']' behind the address"),
    ("dst [::1]x", 10, "expected ':' and a port, or '/' and a prefix length, behind ']'"),
    ("dst [::g]", 6, "'::g' is not an IPv6 address"),
    ("dst [10.1.2.3]", 6, "'10.1.2.3' is not an IPv6 address"),
    ("dst ::1::2", 5, "is not an IPv6 address"),
    ("dst inet:::1", 10, "'::1' is not an IPv4 address"),
    ("dst inet6:10.1.2.3", 11, "'10.1.2.3' is not an IPv6 address"),
    ("dst 10.1.2.3:nonsense", 14, "'nonsense' is neither a port number"),
    ("dst inet:10.1.2.3:nonsense", 19, "'nonsense' is neither a port number"),
    (r"dst \1\0.1.2.3:nonsense", 16, "'nonsense' is neither a port number"),
    ("dst absent.example", 5, "the host 'absent.example' was not found: Name or service not known"),
    ("dst inet6:one.example", 11, "the host 'one.example' was not found"),
    ("dst one.example/24", 5, "'one.example/24' is neither"),
    ("dst a..b", 5, "'a..b' is neither"),
    ("dst " + "a" * 300, 5, "is neither an address"),
    ("src netlink:route:x", 19, "'x' is not a port of a netlink socket"),
    ("src vsock:2:kernel", 13, "'kernel' is not a port of a vsock socket"),
    ("src netlink:router", 13, "'router' is not a protocol of netlink sockets: give its number"),
    ("src link:arpa", 10, "'arpa' is not a protocol of packet sockets"),
    ("src link:arp:eth7", 14, "no interface 'eth7'"),
    ("dst vsock:hosts", 11, "'hosts' is not a vsock address"),
    ("dev", 4, "expected an interface after 'dev'"),
    ("dev eth7", 5, "no interface 'eth7'"),
    ("fwmark", 7, "expected a mark after 'fwmark'"),
    ("fwmark x", 8, "expected a 32-bit mark"),
    ("fwmark 1/x", 10, "expected a 32-bit mark"),
    ("fwmark 1/", 10, "expected a 32-bit mark"),
    ("fwmark 0x100000000", 8, "expected a 32-bit mark"),
    ("cgroup", 7, "expected a cgroup path after 'cgroup'"),
    ("cgroup /absent", 8, "cgroup '/absent': No such file or directory"),
    ("state", 6, "expected a state name after 'state'"),
    ("state nonsense", 7, "no state 'nonsense'; states are established,"),
    ("exclude state", 9, "expected a state name after 'exclude'"),
    ("sport :22 state established", 11, "'state' must come before all conditions"),
    ("sport :22 and state established", 15, "'state' must come before all conditions"),
    ("nonsense", 1, "expected a condition (sport, dport,"),
    ("22", 1, "instead of '22'"),
    ("or sport :22", 1, "instead of 'or'"),
    ("sport :22 or", 13, "expected a condition"),
    ("sport :22 and and sport :22", 15, "instead of 'and'"),
    ("sport :22 nonsense", 11, "expected 'and', 'or' or another condition"),
    ("sport :22 = 3", 11, "expected 'and', 'or' or another condition"),
    ("sport :22 )", 11, "')' without '('"),
    (")", 1, "expected a condition"),
    ("()", 2, "expected a condition"),
    ("( sport :22", 12, "expected 'and', 'or', another condition or ')'"),
    ("( sport :22 nonsense )", 13, "expected 'and', 'or', another condition or ')'"),
    ("not", 4, "expected a condition"),
    ("(" * 101 + "sport :22" + ")" * 101, 101, "more than 100 nested parentheses"),
]


@pytest.mark.parametrize(("text", "column", "reason"), BAD)
def test_a_bad_expression_points_at_the_column_where_it_went_wrong(text: str, column: int, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    error = caught.value
    assert isinstance(error, FilterError)
    assert error.status == ExitStatus.USAGE
    assert reason in error.reason
    assert error.column == column
    message, shown, caret = str(error).split("\n")
    assert message == f"filter: {error.reason}"
    assert len(message) < 260
    if len(text) < 60:
        assert shown == f"  {text}"
        assert caret == " " * (column + 1) + "^"


def test_a_message_is_made_of_the_reason_the_expression_and_a_caret() -> None:
    with pytest.raises(FilterError) as caught:
        read("dst 10/8 and sport = or autobound")
    assert str(caught.value) == (
        "filter: expected a port after 'sport ='\n  dst 10/8 and sport = or autobound\n                       ^"
    )


def test_of_a_long_expression_the_part_around_the_fault_is_shown() -> None:
    text = "sport = :22 or " * 50 + "nonsense" + " or sport = :22" * 50
    with pytest.raises(FilterError) as caught:
        read(text)
    _, shown, caret = str(caught.value).split("\n")
    assert caught.value.column == 15 * 50 + 1
    assert len(shown) <= 80
    assert shown.startswith("  …")
    assert shown.endswith("…")
    assert shown[len(caret) - 1 :].startswith("nonsense")


def test_control_characters_in_a_bad_expression_are_shown_as_escapes_and_the_caret_knows() -> None:
    with pytest.raises(FilterError) as caught:
        read("sport = :22 \x1b[31m")
    _, shown, caret = str(caught.value).split("\n")
    assert shown == r"  sport = :22 \x1b[31m"
    assert caret == " " * 14 + "^"
    with pytest.raises(FilterError) as caught:
        read("src unix:\x1b\u202e\udcff nonsense")
    _, shown, caret = str(caught.value).split("\n")
    assert shown == r"  src unix:\x1b\u202e\xff nonsense"
    assert shown[len(caret) - 1 :] == "nonsense"


def test_the_caret_stands_below_wide_characters() -> None:
    with pytest.raises(FilterError) as caught:
        read("src /tmp/日本 nonsense")
    assert str(caught.value).endswith("\n" + " " * (2 + 14) + "^")
    assert caught.value.column == 13


def test_where_one_family_alone_is_listed_hosts_are_of_that_family() -> None:
    assert meaning("src *foo*", "unix") == Name(LOCAL, "unix", "*foo*")
    assert meaning("src route", "netlink") == And((Family("netlink"), Name(LOCAL, "netlink", "route")))
    assert meaning("src inet:10.1.2.3", "unix") == And((Family("inet"), local("10.1.2.3")))


words = st.sampled_from(
    [
        *("sport", "dport", "src", "dst", "dev", "fwmark", "cgroup", "autobound", "state", "exclude", "established"),
        *("and", "or", "not", "&", "|", "!", "(", ")", "=", "==", "!=", "<", "<=", ">=", ":22", "22", "ssh", "*", "::"),
        *(
            "10.0.0.0/8",
            "[::1]:22",
            "[",
            "]",
            "unix:[a",
            "/x",
            "\\",
            "lo",
            "0x1/0xff",
            "inet:",
            "inet6:",
            "netlink:a:b",
        ),
        "both.example",
    ]
)


@settings(max_examples=4 * settings().max_examples)
@given(
    st.one_of(
        st.text(),
        st.lists(words).map(" ".join),
        st.lists(words).map("".join),
        st.lists(st.one_of(words, st.text(max_size=3))).map(" ".join),
    )
)
@example("(" * 100_000)
@example("!" * 100_000)
@example("not " * 50_000 + "autobound")
@example("sport :22 or " * 20_000 + "sport :22")
@example("sport 22 " * 20_000)
@example("src [" + ":" * 10_000)
@example("dst \0")
@example("\\")
def test_no_text_raises_anything_but_a_usage_error(text: str) -> None:
    failure = None
    try:
        expression = parse(text, lookups=Known())
    except FilterError as error:
        failure = error
    if failure:
        assert 1 <= failure.column <= len(text) + 1
        assert all(line.isprintable() for line in str(failure).split("\n"))
    else:
        assert predicate(expression)(record()) in (True, False)
        assert all(leaf is not None for leaf in leaves(expression.condition))


@given(st.text(max_size=20))
@example("a" * 10_000)
@example("\0")
@example("\ud800")
@example("xn--\x80")
def test_no_name_makes_the_system_s_lookups_raise_anything_unexpected(name: str) -> None:
    lookups = Lookups()
    assert isinstance(lookups.ports(name), dict)
    for look_up in (lookups.cgroup_id, lambda text: lookups.addresses(f"{text}.1", [sockets.AF_INET])):
        failure = None
        try:
            look_up(name)
        except OSError as error:
            failure = error
        assert failure is None or failure.strerror


def test_names_of_services_and_hosts_are_the_system_s() -> None:
    lookups = Lookups()
    assert lookups.ports("ssh") in ({"tcp": 22}, {"tcp": 22, "udp": 22})
    assert Lookups(("udp",)).ports("tftp") == {"udp": 69}
    assert sockets.inet_aton("127.0.0.1") in lookups.addresses("localhost", [sockets.AF_INET])


def record(**fields: Any) -> Socket:
    given: dict[str, Any] = {
        "protocol": "tcp",
        "family": "inet",
        "type": "stream",
        "state": "ESTABLISHED",
        "recv_queue": 0,
        "send_queue": 0,
        "local_address": "10.1.2.3",
        "local_port": 40000,
        "remote_address": "192.0.2.1",
        "remote_port": 22,
        "interface": None,
        "uid": 0,
        "inode": 1234,
        "cookie": 1,
    }
    return Socket(**(given | fields))


def six(**fields: Any) -> Socket:
    return record(**({"family": "inet6", "local_address": "::1", "remote_address": "2001:db8::1"} | fields))


def unix(name: str | None, **fields: Any) -> Socket:
    fixed = {"protocol": "unix", "family": "unix", "local_port": None, "remote_address": None, "remote_port": None}
    return record(local_address=name, **(fixed | fields))


def netlink(**fields: Any) -> Socket:
    fixed = {"protocol": "netlink", "family": "netlink", "local_address": "route", "remote_address": None}
    return record(**(fixed | {"local_port": 77, "remote_port": 0} | fields))


def packet(**fields: Any) -> Socket:
    fixed = {"protocol": "packet", "family": "packet", "local_address": "arp", "local_port": None}
    return record(**(fixed | {"remote_address": None, "remote_port": None} | fields))


def vsock(**fields: Any) -> Socket:
    return record(**({"protocol": "vsock", "family": "vsock", "local_address": "host", "local_port": 1024} | fields))


MAPPED = six(local_address="::ffff:10.1.2.3", remote_address="::ffff:192.0.2.1")

SELECTS: list[tuple[str, Socket, bool]] = [
    ("src 10.0.0.0/8", record(), True),
    ("src 10.1.2.3/31", record(), True),
    ("src 10.1.2.0/31", record(), False),
    ("src 11.0.0.0/8", record(), False),
    ("src 0.0.0.0/0", record(), True),
    ("src ::/0", record(), False),
    ("src ::/0", six(), True),
    ("src 0.0.0.0/0", six(), False),
    ("src ::1", six(), True),
    # v4-mapped: an IPv4 condition holds for them, and an IPv6 one holds for no IPv4 socket.
    ("src 10.0.0.0/8", MAPPED, True),
    ("src 0.0.0.0/0", MAPPED, True),
    ("src 11.0.0.0/8", MAPPED, False),
    ("src ::ffff:10.1.2.3", MAPPED, True),
    ("src ::ffff:10.1.2.3", record(), False),
    ("src inet:10.0.0.0/8", MAPPED, False),
    ("src inet:*", MAPPED, False),
    ("src inet6:*", MAPPED, True),
    ("dst 192.0.2.1:22", MAPPED, True),
    ("dst 192.0.2.1:23", MAPPED, False),
    # Addresses select IP sockets only, wildcards all.
    ("src 10.1.2.3", unix("10.1.2.3"), False),
    ("not src 10.1.2.3", unix("x"), True),
    ("src *", unix(None), True),
    ("src inet:*", unix(None), False),
    # The ports of unix sockets are inode numbers, as ss shows them.
    ("sport = 1234", unix(None), True),
    ("dport = 99", unix(None, peer_inode=99), True),
    ("dport = 0", unix(None), True),
    ("sport = 77", netlink(), True),
    ("dport = netlink:kernel", netlink(), True),
    ("dport = netlink:kernel", unix(None), False),
    ("sport = 0", packet(), True),
    ("dport < 1", packet(), True),
    # Names.
    ("src unix:/run/*", unix("/run/x/y.sock"), True),
    ("src /RUN/*", unix("/run/x/y.sock"), True),
    ("src unix:/run/?", unix("/run/xy"), False),
    ("dst unix:/run/x", unix(None, remote_address="/run/x"), True),
    ("dst unix:/run/x", unix("/run/x"), False),
    ("src unix:*", unix(None), True),
    ("src unix:?*", unix(None), False),
    ("src unix:*", record(), False),
    ("src @x", unix("@x"), True),
    ("src netlink:ROUTE:77", netlink(), True),
    ("src netlink:route:78", netlink(), False),
    ("src netlink:generic", netlink(), False),
    ("src link:arp", packet(), True),
    ("src link:arp:lo", packet(interface="lo"), True),
    ("src link:arp:lo", packet(interface=None), False),
    ("src vsock:2:1024", vsock(), True),
    ("src vsock:host", vsock(), True),
    ("src vsock:3", vsock(), False),
    # Interfaces.
    ("dev lo", record(interface="lo"), True),
    ("dev lo", record(), False),
    ("dev != lo", unix(None), True),
    ("dev 1", record(interface="lo"), True),
    ("dev 2", record(interface="lo"), False),
    ("dev 0", record(interface="lo"), False),
    ("dev 0", record(), True),
    ("dev 0", unix(None), True),
    ("dev 9", record(interface="if9"), True),
    # Marks and cgroups.
    ("fwmark 5", record(mark=5), True),
    ("fwmark 1/3", record(mark=5), True),
    ("fwmark 5/3", record(mark=5), False),
    ("fwmark 0", record(mark=None), True),
    ("fwmark 0/0", record(mark=7), True),
    ("cgroup /system.slice/sshd.service", record(cgroup_id=4242), True),
    ("cgroup /system.slice/sshd.service", record(cgroup_id=None), False),
    ("cgroup != /system.slice/sshd.service", unix(None), True),
    # The kernel's choice.
    ("autobound", record(), True),
    ("autobound", record(local_port=22), False),
    ("autobound", unix(None), True),
    ("autobound", unix("@0a1f2"), True),
    ("autobound", unix("@other"), False),
    ("autobound", netlink(), False),
    ("autobound", netlink(local_port=0xFFFFFC00), True),
    ("autobound", packet(), False),
    ("autobound", packet(local_address="none"), True),
    ("autobound", vsock(), True),
    # States.
    ("state established", record(), True),
    ("exclude established", record(), False),
    ("state closed", record(protocol="udp", state="UNCONNECTED"), True),
    ("state closed", record(state="CLOSE"), True),
    ("state listening sport = 1", record(state="LISTEN"), False),
]


@pytest.mark.parametrize(("text", "socket", "selected"), SELECTS)
def test_an_expression_selects(text: str, socket: Socket, selected: bool) -> None:
    select = predicate(read(text), interface_index={"lo": 1, "eth0": 2}.get)
    assert select(socket) is selected


def test_the_range_of_ports_that_the_kernel_chooses_from_is_the_namespace_s() -> None:
    select = predicate(read("autobound"), local_ports=lambda: (1000, 2000))
    assert [select(record(local_port=port)) for port in (999, 1000, 2000, 2001)] == [False, True, True, False]


patterns = st.one_of(
    # Without what POSIX leaves open, and C libraries decide in their own ways: [. and [: by chance, an endless range.
    st.text(alphabet="ab/.*?[]!^-\\:", max_size=12).filter(
        lambda text: not any(part in text for part in ("[.", "[:")) and not text.rstrip("\\").endswith("-")
    ),
    st.lists(
        st.sampled_from(
            ["*", "?", "[ab]", "[!a]", "[^b]", "[a-c]", "[]a]", "[[:digit:]]", "[![:alpha:]]", "a", "B", "/"]
        ),
        max_size=6,
    ).map("".join),
)


@settings(max_examples=5 * settings().max_examples)
@given(patterns, st.text(alphabet="abcAB1/.[]-\\!^:", max_size=8))
def test_patterns_match_what_fnmatch_of_the_c_library_matches(pattern: str, text: str) -> None:
    fnmatch = ctypes.CDLL(None).fnmatch
    expected = fnmatch(pattern.encode(), text.encode(), 1 << 4) == 0  # FNM_CASEFOLD
    assert matcher(pattern)(text) is expected


def test_no_pattern_takes_long() -> None:
    assert matcher("*a" * 40 + "b")("a" * 2000) is False
    assert matcher("*" * 5000 + "b")("a" * 2000) is False


def test_the_cgroup_of_this_process_is_found_by_its_path() -> None:
    with open("/proc/self/cgroup") as file:
        paths = [line[3:].strip() for line in file if line.startswith("0::")]
    if not paths:
        pytest.skip("this kernel, or container, has no cgroup version 2")
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split()[4] for line in file if " - cgroup2 " in line]
    if not mounts or not os.path.isdir(mounts[0] + paths[0]):
        pytest.skip("the cgroup of this process is not mounted here")
    inode = os.stat(mounts[0] + paths[0]).st_ino
    assert parse(f"cgroup {paths[0]}").condition == Cgroup(paths[0], inode)
    assert parse(f"cgroup {mounts[0]}{paths[0]}").condition == Cgroup(mounts[0] + paths[0], inode)
    with pytest.raises(FilterError, match="outside"):
        parse("cgroup /../../../../../../etc")
    with pytest.raises(FilterError, match=r"Not a directory|No such file"):
        parse("cgroup /cgroup.procs")
