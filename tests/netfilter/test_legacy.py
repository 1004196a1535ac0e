"""Tables of legacy iptables, read with getsockopt(2): from the program, and constructed."""

from __future__ import annotations

import shutil
import struct
from typing import Any

import pytest
from availability import unavailable
from throwaway import Namespace

from netinspect.engine.places import Place
from netinspect.errors import MalformedError, NetlinkError
from netinspect.netfilter import legacy
from netinspect.nouns.nat.decode_rules import nat_rules
from netinspect.nouns.nat.listing import Kinds
from netinspect.procfs import legacy_tables


def entry(name: bytes, info: bytes = b"", *, target_offset: int = 112, next_offset: int | None = None) -> bytes:
    """A struct ipt_entry without conditions, and its target."""
    info += bytes(-len(info) % 8)
    size = 32 + len(info)
    following = 112 + size if next_offset is None else next_offset
    return bytes(88) + struct.pack("=HH20x", target_offset, following) + struct.pack("=H29sB", size, name, 0) + info


SNAT = struct.pack("=II4s4sHH", 1, 1, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 9]), 0, 0)
BEGINNINGS = {0: "PREROUTING"}


def test_what_rules_do_is_shown_with_their_chains() -> None:
    table = entry(b"MASQUERADE", bytes(20)) + entry(b"", bytes(4)) + entry(b"ERROR", b"mine".ljust(32, b"\0"))
    table += entry(b"SNAT", SNAT) + entry(b"WEIRD", b"12345678") + entry(b"ERROR", b"ERROR".ljust(32, b"\0"))
    rules = list(legacy._rules("ip", "nat", BEGINNINGS, table, "testing"))
    assert [(rule.chain, rule.expressions[0].text(1)) for rule in rules] == [
        ("PREROUTING", "MASQUERADE"),
        ("mine", "SNAT"),
        ("mine", "WEIRD"),
    ]
    masquerade, snat = nat_rules((), rules)
    assert (masquerade.kind, masquerade.addresses) == ("masquerade", None)
    assert (snat.kind, snat.addresses) == ("snat", (bytes([192, 0, 2, 1]), bytes([192, 0, 2, 9])))


@pytest.mark.parametrize(
    "table",
    [
        entry(b"SNAT", SNAT, target_offset=0),
        entry(b"SNAT", SNAT, target_offset=600),
        entry(b"SNAT", SNAT, next_offset=0),
        entry(b"SNAT", SNAT, next_offset=4000),
    ],
)
def test_an_entry_whose_lengths_make_no_sense_is_malformed(table: bytes) -> None:
    with pytest.raises(MalformedError):
        list(legacy._rules("ip", "nat", BEGINNINGS, table, "testing"))


def test_a_table_that_is_replaced_while_it_is_read_is_read_again(monkeypatch: Any) -> None:
    rules = entry(b"MASQUERADE", bytes(20))
    answers: list[bytes | OSError] = []

    def ask(opened: Any, level: int, option: int, request: bytes) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    info = legacy._INFO.pack(b"nat", 1, *[0] * 10, 1, len(rules))
    answers += [info, OSError(11, "again"), info, legacy._ENTRIES.pack(b"nat", len(rules)) + rules]
    monkeypatch.setattr(legacy, "_ask", ask)
    assert [rule.chain for rule in legacy.targets("ip", "nat")] == ["PREROUTING"]
    answers += [OSError(1, "Operation not permitted")]
    with pytest.raises(NetlinkError, match=r"legacy iptables .* Operation not permitted"):
        legacy.targets("ip", "nat")


@pytest.mark.parametrize(("program", "family"), [("iptables-legacy", "ip"), ("ip6tables-legacy", "ip6")])
def test_rules_are_those_that_the_program_made(namespace: Namespace, program: str, family: str) -> None:
    low, high, inside = ("192.0.2.1", "192.0.2.9", "127.0.0.1") if family == "ip" else ("fd00::1", "fd00::9", "::1")
    if shutil.which(program) is None:
        unavailable(f"{program} is not installed")
    if namespace.run(program, "-t", "nat", "-N", "mine", check=False).returncode:
        unavailable("this kernel has no legacy iptables (CONFIG_IP_NF_IPTABLES_LEGACY)")
    for words in (
        "-A POSTROUTING -o eth9 -p tcp -j MASQUERADE",
        f"-A mine -j SNAT --to-source {low}-{high}",
        "-A POSTROUTING -j mine",
        "-A OUTPUT -p tcp -j REDIRECT --to-ports 8080",
    ):
        namespace.run(program, "-t", "nat", *words.split())
    assert f"{family} nat" in namespace.call(legacy_tables)
    rules = list(nat_rules((), namespace.call(lambda: legacy.targets(family, "nat"))))
    found = {(rule.rule.chain, rule.kind) for rule in rules}
    assert found == {("OUTPUT", "redirect"), ("POSTROUTING", "masquerade"), ("mine", "snat")}
    kinds = Kinds(Place(namespace.path))
    assert (kinds.source(inside), kinds.source("198.51.100.1")) == ("masquerade", "snat")
