"""The SNMP MIBs as procfs has them: /proc/net/snmp, netstat, snmp6, sockstat and their like (proc_pid_net(5)).

These counters of a whole namespace have no netlink source. Each function takes the text of a file, keeps the kernel's
order, and raises NetinspectError for a malformed line.
"""

from __future__ import annotations

from ...errors import NetinspectError

Table = tuple[str, list[tuple[str, int]]]
"""Its title, and its counters by name."""


def pairs(text: str, name: str) -> list[Table]:
    """``snmp`` and ``netstat``: for each table a line of names and a line of values, both behind its title."""
    lines = [line for line in text.splitlines() if line]
    tables: list[Table] = []
    if len(lines) % 2:
        raise _senseless(name, "a line with names but no values")
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        title, _, words = names.partition(":")
        same, _, numbers = values.partition(":")
        if title != same or len(words.split()) != len(numbers.split()):
            raise _senseless(name, f"names and values of {title} do not match")
        tables.append((title, _numbers(name, words.split(), numbers.split())))
    return tables


def columns(text: str, name: str) -> list[tuple[str, int]]:
    """``snmp6``, ``sctp/snmp`` and ``xfrm_stat``: a name and a value in each line."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if any(len(words) != 2 for words in lines):
        raise _senseless(name, "not a name and a value")
    return _numbers(name, [words[0] for words in lines], [words[1] for words in lines])


def by_title(counters: list[tuple[str, int]]) -> list[Table]:
    """The counters of ``snmp6`` by their prefix, up to the 6: ``Ip6``, ``Icmp6``, ``Udp6``, ``UdpLite6``."""
    tables: list[Table] = []
    for counter, value in counters:
        title = counter[: counter.find("6") + 1] or counter
        if not tables or tables[-1][0] != title:
            tables.append((title, []))
        tables[-1][1].append((counter, value))
    return tables


def socket_counts(text: str, name: str) -> list[Table]:
    """``sockstat`` and ``sockstat6``: ``TCP: inuse 1 orphan 0 …`` for each protocol."""
    tables: list[Table] = []
    for line in text.splitlines():
        title, _, rest = line.partition(":")
        words = rest.split()
        if len(words) % 2:
            raise _senseless(name, f"a name without a value in {title}")
        tables.append((title, _numbers(name, words[::2], words[1::2])))
    return tables


def _numbers(name: str, words: list[str], numbers: list[str]) -> list[tuple[str, int]]:
    try:
        return list(zip(words, map(int, numbers), strict=True))
    except ValueError as error:
        raise _senseless(name, str(error)) from None


def _senseless(name: str, what: str) -> NetinspectError:
    return NetinspectError(f"/proc/net/{name}: malformed line: {what}")
