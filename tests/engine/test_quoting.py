"""Words of printed commands: what a shell and nft(8) make of them is the very text, and nothing more runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest
from availability import unavailable
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from throwaway import Namespace

from netinspect.engine.quoting import nft_command, nft_identifier, nft_string, shell_line, shell_word

HOSTILE = st.lists(
    st.sampled_from(
        (*"ab1 \t\n;#$'\"`\\*?[]{}()<>|&!~%-=@./", "$(touch x)", "\x1b[31m", "é", "\u202e", "\udcff", "%s", "\\n", "--")
    ),
    min_size=1,
    max_size=8,
).map("".join)


@pytest.mark.parametrize("shell", ["sh", "bash"])
@given(words=st.lists(HOSTILE, min_size=1, max_size=4))
@example(words=["-n", "", "a\n\nb", "$(exit)", "'"])
def test_a_shell_makes_of_a_line_the_very_words(shell: str, words: list[str]) -> None:
    if shutil.which(shell) is None:
        unavailable(f"no {shell}")
    line = shell_line(words)
    if line is None:
        assert any(word.endswith("\n") for word in words)
        return
    assert line.isprintable()
    result = subprocess.run([shell, "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    assert result.stdout.split(b"\0")[:-1] == [word.encode("utf-8", "surrogateescape") for word in words]
    assert result.stderr == b""


def _interface_name(name: str) -> bool:
    """Whether the kernel takes it for an interface (net/core/dev.c: dev_valid_name)."""
    return len(name.encode("utf-8", "surrogateescape")) < 16 and not any(
        letter in "/:" or letter.isspace() for letter in name
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])
@given(name=HOSTILE.filter(_interface_name), wildcard=st.booleans())
@example(name="a*", wildcard=False)
@example(name="a\\", wildcard=False)
@example(name="x'y;#", wildcard=False)
def test_nft_matches_the_very_interface(
    namespace: Namespace, need: Callable[[str], None], name: str, wildcard: bool
) -> None:
    need("nft")
    quoted = nft_string(name, wildcard=wildcard)
    if quoted is None or (wildcard and name == "*"):
        return
    namespace.run("nft", "flush ruleset; add table ip t; add chain ip t c")
    namespace.run("sh", "-c", nft_command(f"add rule ip t c oifname {quoted} counter") or "false")
    rules = namespace.run("nft", "--debug=netlink", "list", "table", "ip", "t", errors="surrogateescape").stdout
    compared = next(line for line in rules.splitlines() if "cmp eq reg" in line)
    words = [int(word, 16) for word in compared.split("reg")[1].split() if word.startswith("0x")]
    found = b"".join(word.to_bytes(4, "little") for word in words)
    raw = name.encode("utf-8", "surrogateescape")
    if wildcard and name.endswith("*"):
        assert found.startswith(raw[:-1])
    else:
        assert found.split(b"\0", 1)[0] == raw


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=HOSTILE | st.sampled_from(["nat", "accept", "last", "x-y", "_a", "a.b", "9a", "filter", "mark"]))
def test_nft_makes_the_very_table(namespace: Namespace, need: Callable[[str], None], name: str) -> None:
    need("nft")
    quoted = nft_identifier(name)
    if quoted is None:
        return
    namespace.run("nft", "flush ruleset")
    namespace.run("sh", "-c", nft_command(f"add table ip {quoted}") or "false")
    listed = json.loads(namespace.run("nft", "-j", "list", "tables").stdout)["nftables"]
    assert [each["table"]["name"] for each in listed if "table" in each] == [name]


def test_what_nft_cannot_write() -> None:
    assert [nft_string(name) for name in ("", 'a"b', "a\\*")] == [None] * 3
    assert [nft_identifier(name) for name in ("", "a b", "counter", "9a", "é", ".", "a\\n", "a\\")] == [None] * 8
    assert (shell_word(""), shell_word("a\n"), shell_word("a\0")) == ("''", None, None)


def test_a_word_that_no_shell_can_make() -> None:
    assert [shell_word(word) for word in ("a\0", "a\n", "\ud800")] == [None] * 3
