"""The Python API of conditions: what `netinspect wait` and `netinspect assert` take, with the result as a record."""

from __future__ import annotations

from ..conditions import Condition
from ..errors import ConditionTimeoutError, ConditionUnknownError, ProcessEndedError, UsageError
from ..waiting.conditions_sockets import FAMILIES, PROTOCOLS
from ..waiting.result import Ended, waited
from ..waiting.wait import Where
from ..waiting.words import Asked, least_of, one_of, translation_of
from .listed import several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..records import ConditionResult

    Texts = str | Iterable[str]

_SOCKETS = ("listening", "established", "closed")
_GOES_WITH = {
    "protocol": _SOCKETS,
    "families": _SOCKETS,
    "process_names": ("listening", "established"),
    "pids": ("listening", "established"),
    "count": ("established", "flow"),
    "natted_to": ("flow",),
}
"""The conditions that each keyword may add something to."""


def wait_for(
    condition: Texts | Condition,
    *,
    timeout: float = 10.0,
    protocol: str | None = None,
    families: Texts = (),
    process_names: Texts = (),
    pids: int | Iterable[int] = (),
    count: int = 1,
    natted_to: str | None = None,
    netns: Texts | None = None,
    all_netns: bool = False,
) -> ConditionResult:
    """Waits until a condition holds, for ``timeout`` seconds at most (``float("inf")``: no limit), and returns it.

    ``condition`` has the words of `netinspect wait`, as one text or one by one: ``listening :8080``,
    ``established dport = :443``, ``closed :80``, ``route 10.0.0.0/8 via 192.0.2.1``, ``link eth0 up``,
    ``address 192.0.2.7``, ``flow dst 192.0.2.9 state ESTABLISHED``, ``member 239.1.1.1``; ``not`` before them negates.
    Or it is one of ``netinspect.conditions``, which has all of this typed: ``conditions.listening(8080)``.
    ``found`` of the result has the records that match, ``waited`` the seconds.

    - ``protocol``: tcp (the default), udp or unix; ``families``: of inet and inet6, for sockets
    - ``process_names`` (patterns), ``pids``: who must hold the socket; with one process, its end ends the wait
    - ``count``: connections or flows, at least; ``natted_to``: ADDRESS or ADDRESS:PORT a flow is translated to

    Kernel events wake it where there are any. With several namespaces the condition holds if it holds in one.

    Raises ConditionTimeoutError when time is up, ProcessEndedError, and ConditionUnknownError where not all could be
    looked at; their ``result`` says what is there (``nearest``). Raises UsageError for words that make no
    sense, NamespaceError, and NetlinkError or ConntrackError where the kernel refuses.
    """
    asked = _asked(condition, protocol, families, process_names, pids, count, natted_to)
    ended = _waited(asked, timeout, netns, all_netns)
    result = ended.result
    if result.holds:
        return result
    text = "\n".join((ended.claim, *result.problems, *result.nearest))
    if result.problems:
        raise ConditionUnknownError(text, result)
    if ended.process is not None:
        raise ProcessEndedError(text, result)
    raise ConditionTimeoutError(text, result)


def check(
    condition: Texts | Condition,
    *,
    protocol: str | None = None,
    families: Texts = (),
    process_names: Texts = (),
    pids: int | Iterable[int] = (),
    count: int = 1,
    natted_to: str | None = None,
    netns: Texts | None = None,
    all_netns: bool = False,
) -> ConditionResult:
    """Whether a condition holds now: ``holds`` of the result; ``nearest`` has what is there where it does not.

    Takes what ``wait_for`` takes. ``problems`` of the result has what could not be looked at. Raises UsageError for
    words that make no sense, NamespaceError, and NetlinkError or ConntrackError where the kernel refuses.
    """
    asked = _asked(condition, protocol, families, process_names, pids, count, natted_to)
    return _waited(asked, 0.0, netns, all_netns).result


def _asked(
    condition: Texts | Condition,
    protocol: str | None,
    families: Texts,
    process_names: Texts,
    pids: int | Iterable[int],
    count: int,
    natted_to: str | None,
) -> Condition:
    if isinstance(condition, Condition):
        given = {"protocol": protocol, "families": families, "process_names": process_names, "pids": pids}
        for name, value in {**given, "count": count != 1, "natted_to": natted_to}.items():
            if value not in (None, False, ()):
                raise UsageError(f"{name} goes into the condition itself: see netinspect.conditions")
        return condition
    target = None if natted_to is None else translation_of(natted_to, "natted_to")
    least_of(count)
    if protocol is not None:
        one_of(PROTOCOLS, protocol)
    one_of(FAMILIES, *several(families))
    asked = Asked(
        condition.split() if isinstance(condition, str) else list(condition),
        protocol=protocol or "tcp",
        families=several(families),
        process_names=several(process_names),
        pids=several(pids),
        least=count,
        natted_to=target,
    )
    added: dict[str, Any] = {
        "protocol": protocol,
        "families": asked.families if families else None,
        "process_names": asked.process_names,
        "pids": asked.pids,
        "count": count > 1,
        "natted_to": natted_to,
    }
    for name, value in added.items():
        if value and asked.subject not in _GOES_WITH[name]:
            raise UsageError(f"{name} goes with {', '.join(_GOES_WITH[name])}, not with {asked.subject}")
    return Condition(asked.condition(), negated=asked.negated, pids=asked.pids)


def _waited(asked: Condition, timeout: float, netns: Texts | None, all_netns: bool) -> Ended:
    if not timeout >= 0:
        raise UsageError(f"timeout is 0 or more seconds, not {timeout}")
    if netns is not None and all_netns:
        raise UsageError("netns and all_netns exclude each other")
    where = Where(() if netns is None else several(netns), everywhere=all_netns)
    process = next(iter(asked.pids)) if len(asked.pids) == 1 and timeout > 0 else None
    return waited(asked.checked, where, timeout, negated=asked.negated, process=process)
