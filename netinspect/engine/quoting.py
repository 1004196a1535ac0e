"""Names within commands that are printed to be pasted: quoted for the shell and, inside that, for nft(8).

A name is somebody else's text. Where a language has no way to write it, these functions return None: then no command
is printed, but what to do in words.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-")
"""Characters that mean themselves to every shell (POSIX.1, Shell Command Language, 2.2)."""

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.")
_IDENTIFIER = _LETTERS | frozenset("0123456789/-_")

_KEYWORDS = frozenset(
    (
        *("accept", "add", "ah", "all", "and", "arp", "auto-merge", "bridge", "cgroup"),
        *("chain", "comment", "comp", "constant", "continue", "counter", "cpu", "create", "ct"),
        *("daddr", "day", "dccp", "define", "delete", "describe", "device", "devices", "dnat"),
        *("drop", "dst", "dup", "dynamic", "ecn", "element", "elements", "eq", "esp"),
        *("ether", "exists", "expires", "export", "exthdr", "fib", "flags", "flow", "flowtable"),
        *("flush", "frag", "frag-off", "fwd", "gc-interval", "ge", "get", "goto", "handle"),
        *("hbh", "hdrlength", "hook", "hour", "ibriport", "ibrname", "icmp", "icmpv6", "id"),
        *("igmp", "iif", "iifgroup", "iifname", "iiftype", "import", "include", "index", "inet"),
        *("insert", "interval", "ip", "ip6", "ipsec", "jhash", "jump", "last", "le"),
        *("limit", "list", "log", "lt", "map", "mark", "masquerade", "meta", "meter"),
        *("mh", "missing", "monitor", "ne", "netdev", "nftrace", "not", "notrack", "numgen"),
        *("obriport", "obrname", "offload", "oif", "oifgroup", "oifname", "oiftype", "or", "osf"),
        *("pkttype", "policy", "position", "priority", "queue", "quota", "random", "redefine", "redirect"),
        *("reject", "rename", "replace", "reset", "return", "rt", "rt0", "rt2", "rt4"),
        *("rtclassid", "rule", "ruleset", "sctp", "secmark", "set", "size", "skgid", "skuid"),
        *("snat", "socket", "srh", "symhash", "synproxy", "table", "tcp", "th", "time"),
        *("timeout", "tproxy", "type", "typeof", "udp", "udplite", "undefine", "update", "vlan"),
        *("vmap", "xor", "xt"),
    )
)
"""Words that nft(8) 1.0.6 takes for none of a table, chain or set: each was tried."""


def shell_word(word: str) -> str | None:
    """A word for a POSIX shell that stands for this text and nothing else, without control characters.

    Where the text has characters that are not printable, printf(1) makes it: only so is the command one line. None for
    what a shell cannot make so: NUL, a line end at the end, and what is no text at all.
    """
    if word and _PLAIN.issuperset(word) and word[0] not in "=%":  # which zsh has its own ways with
        return word
    if word.isprintable():
        return "'" + word.replace("'", "'\\''") + "'"
    if word.endswith("\n") or "\0" in word:
        return None
    try:
        return f"\"$(printf '{''.join(map(_octal, word))}')\""
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte
        return None


def shell_line(words: Sequence[str]) -> str | None:
    """A command line for a POSIX shell of these words; None where it cannot make one of them."""
    quoted = [shell_word(word) for word in words]
    return None if None in quoted else " ".join(filter(None, quoted))


def nft_string(name: str, *, wildcard: bool = False) -> str | None:
    """The name of an interface as a quoted string of nft's language; None where that cannot write it.

    A star at its end is the name's own unless ``wildcard``. Between quotes nothing else has a meaning, and a quote
    cannot be written.
    """
    if '"' in name or not name or "\n" in name:
        return None
    if name.endswith("*") and not wildcard:
        if name.endswith("\\*"):
            return None
        name = name[:-1] + "\\*"
    return f'"{name}"'


def nft_identifier(name: str) -> str | None:
    """The name of a table, chain or set in nft's language, which has no quotes for it; None where it has no way."""
    if not name or name[0] not in _LETTERS or not _IDENTIFIER.issuperset(name) or name in _KEYWORDS or name == ".":
        return None
    return name


def nft_command(statement: str) -> str | None:
    """A command line for the shell that runs statements of nft's language."""
    return shell_line(["nft", statement])


def _octal(character: str) -> str:
    """A character as printf(1) takes it in its format."""
    if character in _PLAIN and character not in "%-":
        return character
    return "".join(map("\\{:03o}".format, character.encode("utf-8", "surrogateescape")))
