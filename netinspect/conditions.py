"""Typed conditions for ``netinspect.wait_for`` and ``netinspect.check``.

    from netinspect import conditions, wait_for

    wait_for(conditions.listening(8080, process_names="nginx"))
    wait_for(~conditions.link("eth0", up=True), timeout=60)

Each function stands for a word of `netinspect wait`, and raises UsageError for a value that makes no sense. ``~``
negates.
"""

from __future__ import annotations

from .waiting.conditions_sockets import FAMILIES, PROTOCOLS
from .waiting.words import Asked, least_of, one_of, translation_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .waiting.conditions import Condition as Checked

    Texts = str | Iterable[str]

__all__ = ["Condition", "address", "closed", "established", "flow", "link", "listening", "membership", "route"]


class Condition:
    """A condition: something that holds in the kernel, or does not. ``str`` says what; ``~`` is its opposite."""

    __slots__ = ("checked", "negated", "pids")

    def __init__(self, checked: Checked, *, negated: bool = False, pids: frozenset[int] = frozenset()) -> None:
        """Made by the functions of this module. ``pids``: the processes that must hold a socket."""
        self.checked = checked
        self.negated = negated
        self.pids = pids

    def __invert__(self) -> Condition:
        return Condition(self.checked, negated=not self.negated, pids=self.pids)

    def __str__(self) -> str:
        return f"not: {self.checked}" if self.negated else str(self.checked)

    def __repr__(self) -> str:
        return f"<condition: {self}>"


def listening(
    target: int | str,
    *,
    protocol: str = "tcp",
    families: Texts = (),
    process_names: Texts = (),
    pids: int | Iterable[int] = (),
) -> Condition:
    """A socket listens: on a port, an ``"ADDRESS:PORT"`` or, with ``protocol="unix"``, on a name.

    ``protocol``: tcp, udp or unix; ``families``: of inet and inet6. ``process_names`` (patterns) and ``pids``: who must
    hold it.
    """
    return _of_sockets(["listening", _target(target)], protocol, families, process_names, pids)


def established(
    filter: str = "",
    *,
    protocol: str = "tcp",
    families: Texts = (),
    process_names: Texts = (),
    pids: int | Iterable[int] = (),
    count: int = 1,
) -> Condition:
    """``count`` connections at least are established; ``filter`` as in ss(8): ``"dport = :443"``."""
    return _of_sockets(["established", *filter.split()], protocol, families, process_names, pids, count)


def closed(target: int | str, *, protocol: str = "tcp", families: Texts = ()) -> Condition:
    """No socket has a port, an ``"ADDRESS:PORT"``, the ends of a filter or, with ``protocol="unix"``, a name."""
    words = [target] if isinstance(target, str) and protocol == "unix" else _target(target).split()
    return _of_sockets(["closed", *words], protocol, families)


def route(
    destination: str,
    *,
    via: str | None = None,
    interface: str | None = None,
    table: str | int | None = None,
    protocol: str | int | None = None,
    source: str | None = None,
    metric: int | None = None,
    type: str | None = None,
    mtu: int | None = None,
) -> Condition:
    """A route to a prefix is there; or, of an address, the kernel's route to it is like this."""
    return _of_words(
        ["route", destination],
        via=via,
        dev=interface,
        table=table,
        proto=protocol,
        src=source,
        metric=metric,
        type=type,
        mtu=mtu,
    )


def link(name: str, *, up: bool | None = None, mtu: int | None = None, master: str | None = None) -> Condition:
    """A link of this name is there, and ``up`` (or with False down), with this MTU and master."""
    state = [] if up is None else ["up" if up else "down"]
    return _of_words(["link", name, *state], mtu=mtu, master=master)


def address(address: str, *, interface: str | None = None) -> Condition:
    """An address, with or without a prefix length, can be used: it has passed duplicate address detection."""
    return _of_words(["address", address], dev=interface)


def flow(
    *,
    protocol: str | int | None = None,
    source: str | None = None,
    destination: str | None = None,
    source_port: int | str | None = None,
    destination_port: int | str | None = None,
    port: int | str | None = None,
    reply_source: str | None = None,
    reply_destination: str | None = None,
    reply_source_port: int | str | None = None,
    reply_destination_port: int | str | None = None,
    state: str | None = None,
    status: str | None = None,
    mark: str | int | None = None,
    zone: int | None = None,
    helper: str | None = None,
    natted_to: str | None = None,
    count: int = 1,
) -> Condition:
    """``count`` flows at least are tracked; selectors as in ``netinspect.flows``.

    ``natted_to``: the ADDRESS or ADDRESS:PORT that they are translated to.
    """
    words = {
        "proto": protocol,
        "src": source,
        "dst": destination,
        "sport": source_port,
        "dport": destination_port,
        "port": port,
        "reply-src": reply_source,
        "reply-dst": reply_destination,
        "reply-sport": reply_source_port,
        "reply-dport": reply_destination_port,
        "state": state,
        "status": status,
        "mark": mark,
        "zone": zone,
        "helper": helper,
    }
    target = None if natted_to is None else translation_of(natted_to, "natted_to")
    return _condition(Asked(_words(["flow"], words), least=least_of(count), natted_to=target))


def membership(group: str, *, interface: str | None = None, source: str | None = None) -> Condition:
    """A multicast group is received, on ``interface``, and from ``source``."""
    return _of_words(["member", group], **{"dev": interface, "from": source})


def _of_sockets(
    words: list[str],
    protocol: str,
    families: Texts,
    process_names: Texts = (),
    pids: int | Iterable[int] = (),
    count: int = 1,
) -> Condition:
    chosen = [families] if isinstance(families, str) else list(families)
    one_of(PROTOCOLS, protocol)
    one_of(FAMILIES, *chosen)
    return _condition(
        Asked(
            words,
            protocol=protocol,
            families=chosen,
            process_names=[process_names] if isinstance(process_names, str) else process_names,
            pids=[pids] if isinstance(pids, int) else pids,
            least=least_of(count),
        )
    )


def _of_words(words: list[str], **values: object) -> Condition:
    return _condition(Asked(_words(words, values)))


def _condition(asked: Asked) -> Condition:
    return Condition(asked.condition(), negated=asked.negated, pids=asked.pids)


def _words(words: list[str], values: dict[str, object] | dict[str, str | int | None]) -> list[str]:
    return words + [word for name, value in values.items() if value is not None for word in (name, str(value))]


def _target(target: int | str) -> str:
    return f":{target}" if isinstance(target, int) else target
